//! PostgreSQL's array literals: `{a,"b c",NULL}`, `{{1,2},{3,4}}`, `[1:2]={5,6}`.
//!
//! It knows brackets, quotes and commas; what an element means is the business of who asks. Bounds are dropped.

use std::borrow::Cow;

use super::Value;

/// How deep arrays may stand in each other, as in PostgreSQL.
pub const DIMENSIONS_MAX: usize = 6;

/// Why a text is no array.
#[derive(Debug)]
pub enum Flaw<E> {
    /// The text is no array literal.
    Malformed,
    /// More than [`DIMENSIONS_MAX`] dimensions.
    TooDeep,
    /// An element could not be read.
    Element(E),
}

/// Reads a literal; `element` reads each element that is not NULL, without its quotes and backslashes.
pub fn read<'a, E>(
    text: &'a str,
    element: &mut dyn FnMut(Cow<'a, str>) -> Result<Value<'a>, E>,
) -> Result<Vec<Value<'a>>, Flaw<E>> {
    let mut literal = Literal { text: without_bounds(text.trim_ascii()).ok_or(Flaw::Malformed)?, at: 0 };
    literal.take(b'{').ok_or(Flaw::Malformed)?;
    let values = literal.array(element, 1)?;
    if literal.at < literal.text.len() { Err(Flaw::Malformed) } else { Ok(values) }
}

/// The values, when all arrays that stand side by side have the same length and depth, as PostgreSQL demands. Arrays
/// with nothing in them are one empty array, however deep: `{{},{}}` is `{}`.
pub fn evened<'a>(values: Vec<Value<'a>>) -> Option<Vec<Value<'a>>> {
    let mut lengths = [0; DIMENSIONS_MAX];
    let mut depth = 0;
    let mut level = Some(&values[..]);
    while let (Some(values), true) = (level, depth < DIMENSIONS_MAX) {
        lengths[depth] = values.len();
        depth += 1;
        level = match values.first() {
            Some(Value::Array(inner)) => Some(inner),
            _ => None,
        };
    }
    let is_even = level.is_none() && has_lengths(&values, &lengths[..depth]);
    is_even.then(|| if lengths[depth - 1] == 0 { Vec::new() } else { values })
}

fn has_lengths(values: &[Value<'_>], lengths: &[usize]) -> bool {
    let [length, inner @ ..] = lengths else { return false };
    values.len() == *length
        && values.iter().all(|value| match value {
            Value::Array(values) => has_lengths(values, inner),
            _ => inner.is_empty(),
        })
}

/// Appends values as a literal that PostgreSQL reads back; every element is quoted.
pub fn write(values: &[Value<'_>], out: &mut String) {
    out.push('{');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match value {
            Value::Null => out.push_str("NULL"),
            Value::Array(inner) => write(inner, out),
            value => {
                out.push('"');
                for character in value.text().chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
}

/// Drops `[1:2][0:1]=` from the front.
fn without_bounds(text: &str) -> Option<&str> {
    if !text.starts_with('[') {
        return Some(text);
    }
    let (bounds, literal) = text.split_once('=')?;
    let is_bound = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'[' | b']' | b':' | b'-' | b'+' | b' ');
    (bounds.trim_ascii_end().ends_with(']') && bounds.bytes().all(is_bound)).then(|| literal.trim_ascii_start())
}

struct Literal<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Literal<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.byte() == Some(byte)).then(|| self.at += 1)
    }

    /// Reads up to the closing bracket; the opening one is behind.
    fn array<E>(
        &mut self,
        element: &mut dyn FnMut(Cow<'a, str>) -> Result<Value<'a>, E>,
        depth: usize,
    ) -> Result<Vec<Value<'a>>, Flaw<E>> {
        if depth > DIMENSIONS_MAX {
            return Err(Flaw::TooDeep);
        }
        let mut values = Vec::new();
        if self.take(b'}').is_some() {
            return Ok(values);
        }
        loop {
            self.skip_space();
            let text = match self.byte() {
                Some(b'{') => {
                    self.at += 1;
                    values.push(Value::Array(self.array(element, depth + 1)?));
                    None
                }
                Some(b'"') => Some(self.quoted().ok_or(Flaw::Malformed)?),
                _ => match self.bare().ok_or(Flaw::Malformed)? {
                    Some(text) => Some(text),
                    None => {
                        values.push(Value::Null);
                        None
                    }
                },
            };
            if let Some(text) = text {
                values.push(element(text).map_err(Flaw::Element)?);
            }
            if self.take(b'}').is_some() {
                return Ok(values);
            }
            self.take(b',').ok_or(Flaw::Malformed)?;
        }
    }

    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at + 1;
        let length = self.text.as_bytes()[start..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let mut at = start + length;
        if self.text.as_bytes()[at] == b'"' {
            self.at = at + 1;
            return Some(Cow::Borrowed(&self.text[start..at]));
        }
        let mut text = String::from(&self.text[start..at]);
        let mut escaped = false;
        for character in self.text[at..].chars() {
            at += character.len_utf8();
            match character {
                '"' if !escaped => {
                    self.at = at;
                    return Some(Cow::Owned(text));
                }
                '\\' if !escaped => escaped = true,
                _ => {
                    text.push(character);
                    escaped = false;
                }
            }
        }
        None
    }

    /// An element without quotes; an inner none is NULL.
    fn bare(&mut self) -> Option<Option<Cow<'a, str>>> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            match self.byte()? {
                b',' | b'}' => break,
                b'"' | b'{' => return None,
                b'\\' => {
                    has_escapes = true;
                    let escaped = self.text[self.at + 1..].chars().next()?;
                    self.at += 1 + escaped.len_utf8();
                }
                _ => self.at += 1,
            }
        }
        let raw = &self.text[start..self.at];
        if has_escapes {
            return Some(Some(Cow::Owned(without_escapes(raw))));
        }
        match raw.trim_ascii_end() {
            "" => None,
            text if text.eq_ignore_ascii_case("null") => Some(None),
            text => Some(Some(Cow::Borrowed(text))),
        }
    }
}

/// Drops backslashes, and the spaces at the end that no backslash protects.
fn without_escapes(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut kept = 0;
    let mut escaped = false;
    for character in raw.chars() {
        if character == '\\' && !escaped {
            escaped = true;
            continue;
        }
        text.push(character);
        if escaped || !character.is_ascii_whitespace() {
            kept = text.len();
        }
        escaped = false;
    }
    text.truncate(kept);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows the structure: elements in <>, NULL as such.
    fn shown(values: &[Value<'_>]) -> String {
        let each = values.iter().map(|value| match value {
            Value::Null => "NULL".into(),
            Value::Array(inner) => shown(inner),
            value => format!("<{}>", value.text()),
        });
        format!("{{{}}}", each.collect::<Vec<String>>().join(","))
    }

    fn take(text: &str) -> Result<Vec<Value<'_>>, Flaw<()>> {
        read(text, &mut |text| Ok(Value::Text(text)))
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        for (text, wanted) in [
            ("{}", "{}"),
            ("{{},{}}", "{{},{}}"),
            (" { } ", "{}"),
            (r#"{a,"b c",NULL}"#, "{<a>,<b c>,NULL}"),
            (r#"{null,"null",nu\ll}"#, "{NULL,<null>,<null>}"),
            ("{ a b , c }", "{<a b>,<c>}"),
            (r#"{"a\"b","c\\d","",é☃}"#, r#"{<a"b>,<c\d>,<>,<é☃>}"#),
            (r"{a\ \ ,\,\}}", "{<a  >,<,}>}"),
            ("{{1,2},{3,4}}", "{{<1>,<2>},{<3>,<4>}}"),
            ("[1:2]={5,6}", "{<5>,<6>}"),
            ("[-1:0][2:2] = {{5},{6}}", "{{<5>},{<6>}}"),
            ("{{{{{{1}}}}}}", "{{{{{{<1>}}}}}}"),
        ] {
            let values = take(text).unwrap();
            assert_eq!(shown(&values), wanted, "{text}");
            let values = evened(values).unwrap();
            let mut written = String::new();
            write(&values, &mut written);
            assert_eq!(take(&written).unwrap(), values, "{text} written as {written}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for text in [
            "",
            "a",
            "{",
            "}",
            "{a",
            "{a,",
            "{a,}",
            "{,a}",
            "{a}b",
            "{\"a}",
            r#"{"a\"}"#,
            r"{a\",
            "{a\"b\"}",
            "{\"a\"b}",
            "[1:2]",
            "[1:2]{1}",
            "[x]={1}",
            "{a{b}}",
            "{{{{{{{1}}}}}}}",
        ] {
            assert!(take(text).is_err(), "{text}");
        }
        for text in ["{{1,2},{3}}", "{{1},2}", "{1,{2}}", "{{1},NULL}", "{{},{1}}", "{{{1}},{2}}"] {
            assert!(evened(take(text).unwrap()).is_none(), "{text}");
        }
    }
}
