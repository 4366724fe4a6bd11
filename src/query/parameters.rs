//! The parameters of a question: pairs of a name and a value, as an address has them.

use super::Unanswered;
use crate::problem::ProblemType;
use crate::query_string;

/// The parameters in their order. Names may repeat.
pub type Parameters = [(String, String)];

/// Reads a query string.
pub fn read(query: Option<&str>) -> Result<Vec<(String, String)>, Unanswered> {
    query_string::pairs(query.unwrap_or("")).map(|(name, value)| Ok((decode(name)?, decode(value)?))).collect()
}

fn decode(text: &str) -> Result<String, Unanswered> {
    let decoded = query_string::decode(text).ok_or_else(|| bad(text, "it is not UTF-8 after decoding"))?;
    if decoded.contains('\0') {
        return Err(bad(text, "it holds the character U+0000, which no database can hold"));
    }
    Ok(decoded)
}

/// That a parameter cannot be understood, and why.
pub fn bad(name: &str, why: &str) -> Unanswered {
    Unanswered::new(ProblemType::BadQuery, format!("{name}: {why}"))
}

/// Reads a limit between 1 and `most`.
pub fn limit(name: &str, value: &str, most: usize) -> Result<usize, Unanswered> {
    let limit = value.parse::<usize>().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| bad(name, &format!("{value:?} is no whole number from 1 to {most}")))
}
