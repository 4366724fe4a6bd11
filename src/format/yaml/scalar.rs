//! What a scalar means by the core schema of YAML 1.2 (§10.3.2), and how JSON writes it.
//!
//! Every digit is kept. It knows nothing of keys and places.

use std::borrow::Cow;

/// What a scalar is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain<'a> {
    Null,
    Boolean(bool),
    /// A number as JSON writes it.
    Number(Cow<'a, str>),
    /// A number that JSON does not have: infinity, NaN.
    NoNumber,
    Text,
}

/// Longer hexadecimal and octal numbers are no numbers that anybody means, and slow to write as decimals.
const BASED_DIGITS_MAX: usize = 32;

/// Reads a scalar; only a plain one can be anything but text.
pub(super) fn read(text: &str, is_plain: bool) -> Plain<'_> {
    if !is_plain {
        return Plain::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Boolean(true),
        "false" | "False" | "FALSE" => Plain::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => Plain::NoNumber,
        _ => number(text).unwrap_or(Plain::Text),
    }
}

fn number(text: &str) -> Option<Plain<'_>> {
    for (prefix, base) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
            return is_number.then(|| based(digits, base));
        }
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    if [".inf", ".Inf", ".INF"].contains(&unsigned) {
        return Some(Plain::NoNumber);
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && is_digits(digits)
    };
    if !has_digits || !is_digits(whole) || !fraction.is_none_or(is_digits) || !exponent.is_none_or(is_exponent) {
        return None;
    }
    let is_json = sign == &text[..text.len() - unsigned.len()]
        && (whole == "0" || !whole.is_empty() && !whole.starts_with('0'))
        && fraction != Some("");
    if is_json {
        return Some(Plain::Number(Cow::Borrowed(text)));
    }
    let significant = whole.trim_start_matches('0');
    let mut digits = String::with_capacity(text.len() + 2);
    digits.push_str(sign);
    digits.push_str(if significant.is_empty() { "0" } else { significant });
    if let Some(fraction) = fraction {
        digits.push('.');
        digits.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        digits.push('e');
        digits.push_str(exponent);
    }
    Some(Plain::Number(Cow::Owned(digits)))
}

/// A hexadecimal or octal number as a decimal.
fn based(digits: &str, base: u32) -> Plain<'static> {
    let digits = digits.trim_start_matches('0');
    if digits.len() > BASED_DIGITS_MAX {
        return Plain::NoNumber;
    }
    let value = u128::from_str_radix(if digits.is_empty() { "0" } else { digits }, base);
    value.map_or(Plain::NoNumber, |value| Plain::Number(Cow::Owned(value.to_string())))
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
