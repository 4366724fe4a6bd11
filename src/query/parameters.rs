//! The parameters of a query string, decoded.

use crate::http::answer::Failure;
use crate::problem::ProblemType;

/// The parameters in their order. Names may repeat.
pub fn read(query: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let query = query.unwrap_or("");
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, Failure> {
    let text = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
    let decoded = decoded.map_err(|_| bad(&text, "it is not UTF-8 after decoding"))?;
    if decoded.contains('\0') {
        return Err(bad(&text, "it holds the character U+0000, which no database can hold"));
    }
    Ok(decoded.into_owned())
}

/// Encodes a name or a value for a query string.
pub fn encode(text: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEEP).to_string()
}

/// The failure of a parameter that cannot be understood.
pub fn bad(name: &str, why: &str) -> Failure {
    Failure::new(ProblemType::BadQuery, format!("{name}: {why}"))
}

/// Reads a limit between 1 and `most`.
pub fn limit(name: &str, value: &str, most: usize) -> Result<usize, Failure> {
    let limit = value.parse::<usize>().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| bad(name, &format!("{value:?} is no whole number from 1 to {most}")))
}
