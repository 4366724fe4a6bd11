//! Reads JSON and text as the types that are no arrays.
//!
//! What can mean one thing only becomes canonical, and borrows when it was so already. The notations of decimals and of
//! moments have modules of their own.

use std::borrow::Cow;

use super::decimal;
use super::interval::is_interval;
use super::misfit::MisfitKind::{Invalid, OutOfRange};
use super::misfit::{cut, shown};
use super::moment::{self, Moment};
use super::{Family, Misfit, Scalar, Value};
use crate::json::{self, Json};

/// Reads JSON as a type that is no array.
pub(super) fn read_scalar<'a>(scalar: &Scalar, json: Json<'a>) -> Result<Value<'a>, Misfit> {
    match (json, scalar.family()) {
        (Json::Null, _) => Ok(Value::Null),
        (Json::Text(text), _) => read_text(scalar, text),
        (Json::Number(digits), Family::Whole) => read_whole(scalar, digits, false),
        (Json::Number(digits), Family::Decimal) => read_decimal(scalar, Cow::Borrowed(digits), false),
        (Json::Number(digits), Family::Float) => read_float(scalar, digits, false),
        (Json::Boolean(value), Family::Boolean) => Ok(Value::Boolean(value)),
        (Json::Boolean(value), Family::Json) => Ok(Value::Json(Cow::Borrowed(if value { "true" } else { "false" }))),
        (Json::Boolean(value), Family::Unknown) => Ok(Value::Text(Cow::Borrowed(if value { "true" } else { "false" }))),
        (Json::Number(text), Family::Json) => Ok(Value::Json(Cow::Borrowed(text))),
        (Json::Array(text) | Json::Object(text), Family::Json) if has_nul_escape(text) => Err(Misfit::nul(text)),
        (Json::Array(text) | Json::Object(text), Family::Json) => Ok(Value::Json(Cow::Borrowed(text))),
        (Json::Number(text) | Json::Array(text) | Json::Object(text), Family::Unknown) => {
            Ok(Value::Text(Cow::Borrowed(text)))
        }
        (json, _) => Err(Misfit::wrong_kind(scalar, &json)),
    }
}

/// Reads text as any type, the way a database's input routine would.
pub(super) fn read_text<'a>(scalar: &Scalar, text: Cow<'a, str>) -> Result<Value<'a>, Misfit> {
    match scalar {
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => read_whole(scalar, &text, true),
        Scalar::Numeric { .. } => read_decimal(scalar, text, true),
        Scalar::Real | Scalar::Double => read_float(scalar, &text, true),
        Scalar::Text | Scalar::Varchar(None) | Scalar::Unknown(_) => without_nul(text).map(Value::Text),
        Scalar::Varchar(Some(length)) | Scalar::Char(length) => read_limited(scalar, text, *length as usize),
        Scalar::Boolean => match boolean(text.trim_ascii()) {
            Some(value) => Ok(Value::Boolean(value)),
            None => Err(Misfit::no_such(scalar, &text)),
        },
        Scalar::Date => read_moment(scalar, text, Moment::Date),
        Scalar::Time { zone } => read_moment(scalar, text, Moment::Time { zone: *zone }),
        Scalar::Timestamp { zone } => read_moment(scalar, text, Moment::Timestamp { zone: *zone }),
        Scalar::Interval if is_interval(&text) => Ok(Value::Text(decimal::trimmed(text))),
        Scalar::Bytea => bytes(&text).map(Value::Bytes).ok_or_else(|| Misfit::no_such(scalar, &text)),
        Scalar::Json | Scalar::Jsonb => read_json(scalar, text),
        Scalar::Uuid if is_canonical_uuid(text.as_bytes()) => Ok(Value::Text(text)),
        Scalar::Uuid => {
            uuid(&text).map(|text| Value::Text(Cow::Owned(text))).ok_or_else(|| Misfit::no_such(scalar, &text))
        }
        Scalar::Interval => Err(Misfit::no_such(scalar, &text)),
    }
}

/// `quoted` says that the number stood in a string, for the sentence if there must be one.
fn read_whole<'a>(scalar: &Scalar, text: &str, quoted: bool) -> Result<Value<'a>, Misfit> {
    let found = || if quoted { shown(text) } else { cut(text) };
    let value = match text.parse::<i64>() {
        Ok(value) => Ok(value),
        Err(_) => decimal::whole(text),
    };
    match value {
        Ok(value) if in_limits(scalar, value) => Ok(Value::Whole(value)),
        Ok(_) | Err(decimal::Flaw::TooLarge) => Err(Misfit::new(OutOfRange, found(), "is out of range", scalar)),
        Err(_) => Err(Misfit::new(Invalid, found(), "is not a whole number", scalar)),
    }
}

/// A whole number, when the type holds it.
pub(super) fn in_range<'a>(scalar: &Scalar, value: i64) -> Result<Value<'a>, Misfit> {
    match in_limits(scalar, value) {
        true => Ok(Value::Whole(value)),
        false => Err(Misfit::new(OutOfRange, value.to_string(), "is out of range", scalar)),
    }
}

fn in_limits(scalar: &Scalar, value: i64) -> bool {
    match scalar {
        Scalar::SmallInt => i16::try_from(value).is_ok(),
        Scalar::Integer => i32::try_from(value).is_ok(),
        _ => true,
    }
}

fn read_decimal<'a>(scalar: &Scalar, text: Cow<'a, str>, quoted: bool) -> Result<Value<'a>, Misfit> {
    let Scalar::Numeric { precision, scale } = *scalar else { return Err(Misfit::no_such(scalar, &text)) };
    let original = text.clone();
    decimal::canonical(text, precision, scale).map(Value::Decimal).map_err(|flaw| {
        let found = if quoted { shown(&original) } else { cut(&original) };
        match flaw {
            decimal::Flaw::LosesDigits => Misfit::new(OutOfRange, found, "would lose digits", scalar),
            decimal::Flaw::TooLarge => Misfit::new(OutOfRange, found, "is out of range", scalar),
            _ => Misfit::new(Invalid, found, "is not a decimal number", scalar),
        }
    })
}

fn read_float<'a>(scalar: &Scalar, text: &str, quoted: bool) -> Result<Value<'a>, Misfit> {
    let found = || if quoted { shown(text) } else { cut(text) };
    let parsed = match scalar {
        Scalar::Real => text.trim_ascii().parse::<f32>().ok().map(widened),
        _ => text.trim_ascii().parse::<f64>().ok(),
    };
    let value = parsed.ok_or_else(|| Misfit::new(Invalid, found(), "is not a number", scalar))?;
    let mantissa = || text.split(['e', 'E']).next().unwrap_or_default();
    let overflows = value.is_infinite() && !text.contains(['n', 'N']);
    let vanishes = value == 0.0 && mantissa().bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if overflows || vanishes {
        return Err(Misfit::new(OutOfRange, found(), "is out of range", scalar));
    }
    Ok(Value::Float(value))
}

/// The 64-bit float with the shortest digits of the 32-bit one: 0.1 stays 0.1, not 0.10000000149011612.
fn widened(value: f32) -> f64 {
    let mut digits = [0; 32];
    let mut rest = &mut digits[..];
    let written = std::io::Write::write_fmt(&mut rest, format_args!("{value:e}"));
    let left = rest.len();
    let text = std::str::from_utf8(&digits[..32 - left]);
    match (written, text.map(str::parse)) {
        (Ok(()), Ok(Ok(wide))) => wide,
        _ => f64::from(value),
    }
}

fn read_limited<'a>(scalar: &Scalar, text: Cow<'a, str>, length: usize) -> Result<Value<'a>, Misfit> {
    let text = without_nul(text)?;
    // A character has at least one byte.
    let Some((end, _)) = (text.len() > length).then(|| text.char_indices().nth(length)).flatten() else {
        return Ok(Value::Text(text));
    };
    if !text[end..].bytes().all(|byte| byte == b' ') {
        let problem = format!("has {} characters", text.chars().count());
        return Err(Misfit::new(OutOfRange, shown(&text), &problem, scalar));
    }
    Ok(Value::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }))
}

fn read_moment<'a>(scalar: &Scalar, text: Cow<'a, str>, kind: Moment) -> Result<Value<'a>, Misfit> {
    let original = text.clone();
    moment::canonical(text, kind).map(Value::Text).map_err(|flaw| match flaw {
        moment::Flaw::Invalid => Misfit::no_such(scalar, &original),
        moment::Flaw::Moving => {
            Misfit::new(Invalid, shown(&original), "means another moment each time it is read", scalar)
        }
        moment::Flaw::OutOfRange => Misfit::new(OutOfRange, shown(&original), "is out of range", scalar),
    })
}

fn read_json<'a>(scalar: &Scalar, text: Cow<'a, str>) -> Result<Value<'a>, Misfit> {
    if let Err(fault) = json::check(&text) {
        return Err(Misfit::new(Invalid, shown(&text), &format!("is not JSON ({fault})"), scalar));
    }
    if has_nul_escape(&text) { Err(Misfit::nul(&text)) } else { Ok(Value::Json(text)) }
}

/// Finds `\u0000` where the backslash is not itself escaped.
fn has_nul_escape(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        backslashes % 2 == 0
    })
}

fn without_nul(text: Cow<'_, str>) -> Result<Cow<'_, str>, Misfit> {
    if text.as_bytes().contains(&0) { Err(Misfit::nul(&text)) } else { Ok(text) }
}

fn boolean(word: &str) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    let (yes, no) = (is(["t", "true", "y", "yes", "on"]), is(["f", "false", "n", "no", "off"]));
    (yes || no || matches!(word, "0" | "1")).then_some(yes || word == "1")
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let half = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| Some(half(*high)? << 4 | half(*low)?)).collect())?
}

fn is_canonical_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// As PostgreSQL reads it: any case, braces around it, a hyphen or none after each four digits.
fn uuid(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut canonical = String::with_capacity(36);
    let mut digits = 0;
    let mut after_hyphen = true;
    for character in inner.chars() {
        if character == '-' && !after_hyphen && digits % 4 == 0 && digits < 32 {
            after_hyphen = true;
            continue;
        }
        if !character.is_ascii_hexdigit() || digits == 32 {
            return None;
        }
        if matches!(digits, 8 | 12 | 16 | 20) {
            canonical.push('-');
        }
        canonical.push(character.to_ascii_lowercase());
        digits += 1;
        after_hyphen = false;
    }
    (digits == 32).then_some(canonical)
}
