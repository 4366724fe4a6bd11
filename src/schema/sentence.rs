//! What a violation of a schema is called: one sentence, with what was found and what would be right.
//!
//! What is quoted from a document or a schema is cut, so that an answer stays an answer.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};

use crate::excerpt::{self, VALUE_CHARS, cut};
use crate::json::Json;

/// The sentence for `error`; `found` is the value it is about.
pub(super) fn sentence(error: &ValidationError<'_>, found: Option<&Json<'_>>) -> String {
    let shown = found.map_or_else(|| "the value".to_owned(), shown);
    match (error.kind(), found) {
        // It was tried on a member's name, or in a place that the crate did not note.
        (
            Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. },
            Some(Json::Object(_) | Json::Array(_)),
        ) => about(error.kind(), &format!("a text in {shown}")),
        _ => about(error.kind(), &shown),
    }
}

fn about(kind: &Kind, found: &str) -> String {
    match kind {
        Kind::Type { kind: TypeKind::Single(wanted) } => format!("{found} is not of type {wanted}"),
        Kind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<_> = wanted.iter().map(|wanted| wanted.to_string()).collect();
            format!("{found} is not of type {}", wanted.join(" or "))
        }
        Kind::Required { property } => format!("{} is missing", cut(&property.to_string(), 60)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let are = if unexpected.len() == 1 { "is" } else { "are" };
            format!("{} {are} not allowed here", names(unexpected))
        }
        Kind::AdditionalItems { limit } => format!("{found} has more than {limit} elements"),
        Kind::UnevaluatedItems { .. } => format!("{found} has elements that are not allowed here"),
        Kind::Minimum { limit } => format!("{found} is less than {limit}"),
        Kind::Maximum { limit } => format!("{found} is greater than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("{found} is not greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{found} is not less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("{found} is not a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("{found} has fewer than {}", several(*limit, "character")),
        Kind::MaxLength { limit } => format!("{found} has more than {}", several(*limit, "character")),
        Kind::MinItems { limit } => format!("{found} has fewer than {}", several(*limit, "element")),
        Kind::MaxItems { limit } => format!("{found} has more than {}", several(*limit, "element")),
        Kind::MinProperties { limit } => format!("{found} has fewer than {}", several(*limit, "member")),
        Kind::MaxProperties { limit } => format!("{found} has more than {}", several(*limit, "member")),
        Kind::UniqueItems => format!("{found} has two elements that are equal"),
        Kind::Contains => format!("the elements of {found} are not as `contains` wants them"),
        Kind::Pattern { pattern } => format!("{found} does not match the pattern {}", cut(pattern, 100)),
        Kind::Format { format } => format!("{found} is not in the format {format}"),
        Kind::Enum { options } => format!("{found} is not one of {}", cut(&options.to_string(), 200)),
        Kind::Constant { expected_value } => format!("{found} is not {}", cut(&expected_value.to_string(), 100)),
        Kind::AnyOf { .. } => format!("{found} is as none of the schemas of `anyOf` wants it"),
        Kind::OneOfNotValid { .. } => format!("{found} is as none of the schemas of `oneOf` wants it"),
        Kind::OneOfMultipleValid { .. } => {
            format!("{found} is as several of the schemas of `oneOf` want it; one may")
        }
        Kind::Not { .. } => format!("{found} is what `not` excludes"),
        Kind::FalseSchema => "no value is allowed here".to_owned(),
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().map_or_else(|| "a name".to_owned(), quoted);
            format!("the member's name {}", about(error.kind(), &name))
        }
        Kind::ContentEncoding { content_encoding } => format!("{found} is not encoded as {content_encoding}"),
        Kind::ContentMediaType { content_media_type } => format!("{found} is no {content_media_type}"),
        Kind::FromUtf8 { .. } => format!("{found} holds no UTF-8"),
        Kind::BacktrackLimitExceeded { .. } => format!("the pattern takes too long on {found}"),
        Kind::RegexEngineFailure { .. } => format!("the pattern cannot be tried on {found}"),
        Kind::Custom { message, .. } => cut(message, 200).into_owned(),
        Kind::Referencing(error) => cut(&error.to_string(), 200).into_owned(),
    }
}

fn several(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A few names in quotes.
fn names(names: &[String]) -> String {
    const NAMES_MAX: usize = 5;
    let shown: Vec<_> = names.iter().take(NAMES_MAX).map(|name| quoted(name)).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// A value in a few words.
fn shown(found: &Json<'_>) -> String {
    match found {
        Json::Text(text) => quoted(text),
        Json::Number(digits) => cut(digits, VALUE_CHARS).into_owned(),
        Json::Boolean(value) => value.to_string(),
        other => other.kind().to_owned(),
    }
}

fn quoted(text: &str) -> String {
    excerpt::quoted(text, VALUE_CHARS)
}
