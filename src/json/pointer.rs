//! JSON Pointers (RFC 6901): how their steps are written and read.

use std::borrow::Cow;

/// A member's name as a step of a pointer, without the `/` before it.
pub fn escaped(name: &str) -> Cow<'_, str> {
    match name.contains(['~', '/']) {
        true => Cow::Owned(name.replace('~', "~0").replace('/', "~1")),
        false => Cow::Borrowed(name),
    }
}

/// The name that a step means.
pub fn unescaped(step: &str) -> Cow<'_, str> {
    match step.contains('~') {
        // In this order: `~01` means `~1`.
        true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(step),
    }
}

/// The names that a pointer goes through; the empty one, and what does not begin with `/`, go through none.
pub fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.strip_prefix('/').into_iter().flat_map(|steps| steps.split('/')).map(unescaped)
}

/// Whether each `~` is one of an escape.
pub fn is_escaped(pointer: &str) -> bool {
    pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// The index of an array's element that a step means: digits, without a zero before them.
pub fn index(step: &str) -> Option<usize> {
    let is_index = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| is_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_their_steps() {
        for (name, step) in [("", ""), ("a b", "a b"), ("a/b", "a~1b"), ("~", "~0"), ("~1", "~01"), ("/~/", "~1~0~1")] {
            assert_eq!(escaped(name), step, "{name}");
            assert_eq!(unescaped(step), name, "{step}");
            assert!(is_escaped(step), "{step}");
        }
        for step in ["~", "a~", "~2", "~0~"] {
            assert!(!is_escaped(step), "{step}");
        }
    }

    #[test]
    fn a_pointer_is_its_steps() {
        for (pointer, wanted) in [("", vec![]), ("a", vec![]), ("/", vec![""]), ("/a//b~1c", vec!["a", "", "b/c"])] {
            assert_eq!(steps(pointer).collect::<Vec<_>>(), wanted, "{pointer}");
        }
    }

    #[test]
    fn an_index_is_digits_alone() {
        for (step, wanted) in [("0", Some(0)), ("10", Some(10)), ("01", None), ("00", None), ("+1", None), ("", None)] {
            assert_eq!(index(step), wanted, "{step}");
        }
    }
}
