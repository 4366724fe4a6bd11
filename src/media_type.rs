//! Media types (RFC 9110, 8.3.1): what `Content-Type`, `Accept` and CloudEvents say of a body.

use mediatype::{MediaType, MediaTypeList};

/// What kinds of bodies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One JSON text.
    Json,
    /// One JSON text a line.
    Lines,
    /// YAML.
    Yaml,
    /// Comma-separated values.
    Csv,
    /// A CloudEvent as JSON.
    Event,
    /// A batch of CloudEvents as JSON.
    Events,
    /// CloudEvents in another format.
    EventOfOther,
    /// Something else.
    Other,
}

/// What a media type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The kind of the body.
    pub kind: Kind,
    /// Whether its text is UTF-8; ASCII is.
    pub is_utf8: bool,
}

impl Said {
    /// Whether the body is one JSON text.
    pub fn is_json(self) -> bool {
        matches!(self.kind, Kind::Json | Kind::Event | Kind::Events)
    }
}

/// Reads a media type. Parameters that are none are passed over, except where they may say a charset.
pub fn read(text: &str) -> Said {
    let text = text.trim();
    if let Ok(media) = MediaType::parse(text) {
        return said(&media);
    }
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_silent = !parameters.to_ascii_lowercase().contains("charset");
    match MediaType::parse(essence.trim_end()) {
        Ok(media) => Said { is_utf8: is_silent, ..said(&media) },
        Err(_) => Said { kind: Kind::Other, is_utf8: is_silent },
    }
}

/// Whether a text is a media type: `type/subtype`, and parameters.
pub fn is_well_formed(text: &str) -> bool {
    MediaType::parse(text.trim()).is_ok_and(|media| media.params.iter().all(|(_, value)| !value.as_str().is_empty()))
}

fn said(media: &MediaType<'_>) -> Said {
    let is_utf8 = |charset: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    let mut charsets = media.params.iter().filter(|(name, _)| name.as_str().eq_ignore_ascii_case("charset"));
    Said { kind: kind(media), is_utf8: charsets.all(|(_, value)| is_utf8(&value.unquoted_str())) }
}

fn kind(media: &MediaType<'_>) -> Kind {
    let essence = media.essence().to_string().to_ascii_lowercase();
    match &*essence {
        "application/json" | "text/json" => Kind::Json,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => Kind::Lines,
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Kind::Yaml,
        "text/csv" => Kind::Csv,
        "application/cloudevents+json" => Kind::Event,
        "application/cloudevents-batch+json" => Kind::Events,
        _ if essence.starts_with("application/cloudevents") => Kind::EventOfOther,
        // RFC 6839, RFC 9512.
        _ if essence.ends_with("+json") => Kind::Json,
        _ if essence.ends_with("+yaml") => Kind::Yaml,
        _ => Kind::Other,
    }
}

/// What is asked for in one range of `Accept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accepted {
    /// None for `*/*` and `application/*`, which take anything.
    pub kind: Option<Kind>,
    /// How much it is liked, from 0 to 1.
    pub quality: f32,
}

/// The ranges of a value of `Accept`.
pub fn accepted(value: &str) -> impl Iterator<Item = Accepted> {
    MediaTypeList::new(value).flatten().map(|media| {
        let is_any = media.subty.as_str() == "*";
        let quality = media.params.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case("q"));
        let quality = quality.and_then(|(_, value)| value.as_str().parse().ok()).unwrap_or(1.0);
        let is_ours = is_any && (media.ty.as_str() == "*" || media.ty.as_str().eq_ignore_ascii_case("application"));
        Accepted { kind: (!is_ours).then(|| kind(&media)), quality }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_from_other_text() {
        for text in [
            "application/json",
            "text/plain; charset=utf-8",
            "a/b;c=\"d;e\";f=g",
            "application/vnd.x+json ; q=1",
            "a/b;",
        ] {
            assert!(is_well_formed(text), "{text}");
        }
        for text in ["", "json", "/", "a/", "/b", "a b/c", "a/b;c", "a/b;c=", "a/b;c=\"d", "a/b/c", "a/b;=d"] {
            assert!(!is_well_formed(text), "{text}");
        }
    }

    #[test]
    fn a_media_type_says_what_a_body_is() {
        for (text, kind, is_utf8) in [
            ("application/json", Kind::Json, true),
            ("Application/JSON ; Charset=\"UTF-8\"", Kind::Json, true),
            ("application/json; charset=latin1", Kind::Json, false),
            ("application/json; charset=utf-8; charset=latin1", Kind::Json, false),
            ("application/json; x", Kind::Json, true),
            ("application/json; charset", Kind::Json, false),
            ("image/x+json", Kind::Json, true),
            ("application/x-ndjson", Kind::Lines, true),
            ("TEXT/CSV", Kind::Csv, true),
            ("text/yaml;charset=us-ascii", Kind::Yaml, true),
            ("application/vnd.x+yaml", Kind::Yaml, true),
            ("application/cloudevents+json", Kind::Event, true),
            ("application/cloudevents-batch+JSON", Kind::Events, true),
            ("application/cloudevents+avro", Kind::EventOfOther, true),
            ("text/plain", Kind::Other, true),
            ("json", Kind::Other, true),
            ("", Kind::Other, true),
        ] {
            assert_eq!(read(text), Said { kind, is_utf8 }, "{text}");
        }
    }

    #[test]
    fn ranges_have_their_qualities() {
        let found: Vec<_> = accepted("text/csv;q=0.4, */*, application/json; q=0,").collect();
        let wanted = [(Some(Kind::Csv), 0.4), (None, 1.0), (Some(Kind::Json), 0.0)];
        assert_eq!(found, wanted.map(|(kind, quality)| Accepted { kind, quality }));
    }
}
