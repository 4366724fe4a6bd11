//! Query strings: pairs of a name and a value between `&`, percent-encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The pairs as they stand, in their order. A name without `=` has an empty value; names may repeat.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes a name or a value as forms and browsers write it, a space as `+`. None when it is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    decode_percent(&text.replace('+', " "))
}

/// Decodes percent-encoding alone, as paths and the URLs of backends have it. None when it is not UTF-8.
pub fn decode_percent(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

/// Encodes a name or a value.
pub fn encode(text: &str) -> String {
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEEP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stand_between_ampersands() {
        for (query, wanted) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a", vec![("a", "")]),
            ("a=1&a=2&&b=x=y", vec![("a", "1"), ("a", "2"), ("b", "x=y")]),
            ("=", vec![("", "")]),
        ] {
            assert_eq!(pairs(query).collect::<Vec<_>>(), wanted, "{query}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "a b", "a+b", "100%", "ä&=/?#", "\0", "~_.-"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text), "{text}");
            assert_eq!(decode_percent(&encode(text)).as_deref(), Some(text), "{text}");
        }
        assert_eq!((decode("a+b%2B"), decode_percent("a+b%2B")), (Some("a b+".into()), Some("a+b+".into())));
        assert_eq!((decode("%FF"), decode_percent("%FF")), (None, None));
    }
}
