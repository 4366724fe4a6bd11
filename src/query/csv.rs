//! Rows as comma-separated values (RFC 4180).
//!
//! NULL is an empty field, and empty text a pair of quotes, as PostgreSQL's COPY writes and reads them. Where a row has one
//! field only, NULL is a pair of quotes as well: an empty line would be passed over by those who read it.

use crate::json::{self, Json};

/// Writes the line of names.
pub fn header<'n>(names: impl Iterator<Item = &'n str>, to: &mut String) {
    line(names.map(Some), to);
}

/// Writes the line of a row, which is the text of a JSON object.
pub fn row(row: &str, to: &mut String) {
    let cells: Vec<_> = json::members(row).into_iter().map(|(_, value)| cell(value)).collect();
    line(cells.iter().map(Option::as_deref), to);
}

/// The text of a value, numbers with every digit; none for NULL.
pub fn cell(value: Json<'_>) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Boolean(value) => Some(value.to_string()),
        Json::Number(text) | Json::Array(text) | Json::Object(text) => Some(text.to_owned()),
        Json::Text(text) => Some(text.into_owned()),
    }
}

/// Writes a line of cells, of which NULL has none.
pub fn line<'c>(cells: impl Iterator<Item = Option<&'c str>>, to: &mut String) {
    let begin = to.len();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            to.push(',');
        }
        match cell {
            None => {}
            Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
                to.push('"');
                to.push_str(&text.replace('"', "\"\""));
                to.push('"');
            }
            Some(text) => to.push_str(text),
        }
    }
    if to.len() == begin {
        to.push_str("\"\"");
    }
    to.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line() {
        for (text, expected) in [
            (r#"{"a":1,"b":null,"c":"","d":"x"}"#, "1,,\"\",x\r\n"),
            (r#"{"a":"a,b","b":"say \"hi\"","c":"two\r\nlines"}"#, "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\"\r\n"),
            (
                r#"{"a":12345678901234567890.10,"b":{"c":[1]},"d":true}"#,
                "12345678901234567890.10,\"{\"\"c\"\":[1]}\",true\r\n",
            ),
            (r#"{"a":null}"#, "\"\"\r\n"),
            (r#"{"a":null,"b":null}"#, ",\r\n"),
            (r#"{"a":{"c":"d","e":1}}"#, "\"{\"\"c\"\":\"\"d\"\",\"\"e\"\":1}\"\r\n"),
        ] {
            let mut line = String::new();
            row(text, &mut line);
            assert_eq!(line, expected, "{text}");
        }
    }
}
