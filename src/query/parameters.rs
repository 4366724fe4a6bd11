//! The parameters of a query string, decoded.

use crate::http::answer::Failure;
use crate::problem::ProblemType;
use crate::query_string;

/// The parameters in their order. Names may repeat.
pub fn read(query: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    query_string::pairs(query.unwrap_or("")).map(|(name, value)| Ok((decode(name)?, decode(value)?))).collect()
}

fn decode(text: &str) -> Result<String, Failure> {
    let decoded = query_string::decode(text).ok_or_else(|| bad(text, "it is not UTF-8 after decoding"))?;
    if decoded.contains('\0') {
        return Err(bad(text, "it holds the character U+0000, which no database can hold"));
    }
    Ok(decoded)
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
