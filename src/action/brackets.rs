//! Texts with places for values in brackets: `Hello {query.user}`. `{{` and `}}` stand for the brackets themselves.
//!
//! What may stand between the brackets is the business of whoever has such texts.

/// A part of such a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<V> {
    /// Text as it stands.
    Fixed(String),
    /// A place for a value.
    Value(V),
}

/// Cuts a text into its parts, at least one; says what is wrong with it. `read` reads what stands between brackets.
pub fn parts<V>(text: &str, read: impl Fn(&str) -> Result<V, String>) -> Result<Vec<Part<V>>, String> {
    let mut parts = Vec::new();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        fixed.push_str(&rest[..at]);
        let bracket = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(bracket) {
            fixed.push_str(bracket);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| bracket == "{");
        let Some(end) = end else {
            return Err(format!("`{bracket}` stands alone; write `{bracket}{bracket}` for the bracket itself"));
        };
        if !fixed.is_empty() {
            parts.push(Part::Fixed(std::mem::take(&mut fixed)));
        }
        parts.push(Part::Value(read(&rest[..end])?));
        rest = &rest[end + 1..];
    }
    fixed.push_str(rest);
    if !fixed.is_empty() || parts.is_empty() {
        parts.push(Part::Fixed(fixed));
    }
    Ok(parts)
}
