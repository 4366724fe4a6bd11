//! `${NAME}` and `${NAME:-default}` in texts become environment variables; `$${` stands for `${` itself.
//!
//! It works on the texts of the parsed file, so a variable can never change the file's structure. It does not nest, and a
//! `$` without a brace is just a `$`.

/// A substitution that cannot be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Which `${` of the text it is, from 0, escaped ones counted.
    pub nth: usize,
    /// What is wrong, and what would be right.
    pub words: String,
}

/// The text with its variables put in; `None` when it has none, and every failure when there are some.
pub(super) fn substitute(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, Vec<Failure>> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut failures = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("${") {
        let at = from + found;
        let is_escaped = text[from..at].ends_with('$');
        out.push_str(&text[from..at - usize::from(is_escaped)]);
        from = at + 2;
        if is_escaped {
            out.push_str("${");
            continue;
        }
        let mut fail = |words| failures.push(Failure { nth: text[..at].matches("${").count(), words });
        let Some(end) = text[from..].find('}') else {
            fail("`${` has no closing `}`; write `$${` for the characters themselves".to_owned());
            break;
        };
        let inner = &text[from..from + end];
        from += end + 1;
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            fail(format!(
                "`${{{inner}}}` does not name an environment variable; write `${{NAME}}` or `${{NAME:-default}}`, or `$${{` for the characters themselves"
            ));
            continue;
        }
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        match (variable(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => fail(format!(
                "the environment variable {name} is not set; set it, or write a default as `${{{name}:-default}}`"
            )),
        }
    }
    out.push_str(&text[from.min(text.len())..]);
    if failures.is_empty() { Ok(Some(out)) } else { Err(failures) }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "ODD" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in() {
        let table = [
            ("plain $ text", None),
            ("${HOST}", Some("db.example")),
            ("a ${HOST} b ${HOST}", Some("a db.example b db.example")),
            ("${NONE:-x}", Some("x")),
            ("${NONE:-}", Some("")),
            ("${EMPTY:-x}", Some("x")),
            ("${EMPTY}", Some("")),
            ("${HOST:-x}", Some("db.example")),
            ("${NONE:-a:-b}", Some("a:-b")),
            ("$${HOST}", Some("${HOST}")),
            ("$${a ${HOST}", Some("${a db.example")),
            ("${ODD}", Some("${HOST}")),
        ];
        for (text, expected) in table {
            assert_eq!(substitute(text, &variable), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn every_variable_that_is_missing_is_named() {
        let table: [(&str, &[(usize, &str)]); 5] = [
            ("${NONE}", &[(0, "NONE is not set")]),
            ("$${x} ${NONE} ${HOST} ${NADA}", &[(1, "NONE"), (3, "NADA")]),
            ("${HOST", &[(0, "no closing")]),
            ("${}", &[(0, "does not name")]),
            ("${A-B}", &[(0, "`${A-B}` does not name")]),
        ];
        for (text, expected) in table {
            let failures = substitute(text, &variable).unwrap_err();
            assert_eq!(failures.len(), expected.len(), "{text}");
            for (failure, (nth, words)) in failures.iter().zip(expected) {
                assert!(failure.nth == *nth && failure.words.contains(words), "{text}: {failure:?}");
            }
        }
    }
}
