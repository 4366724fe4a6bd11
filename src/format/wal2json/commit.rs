//! Which commit of its source a wal2json document is of: what tells a transaction that is sent again from another one.
//!
//! The members are the plug-in's options: `include-lsn` gives `nextlsn` (v1) or `lsn` and `nextlsn` (v2), `include-xids` gives
//! `xid`.

use std::fmt;

use crate::json::{Json, Judged, Path, Reader};

/// A place in the source's log (pg_lsn). It is written `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Reads two hexadecimal numbers of at most 32 bits with a slash between them.
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let half = |digits: &str| {
            let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_number.then(|| u64::from_str_radix(digits, 16).ok())?
        };
        Some(Lsn(half(high)? << 32 | half(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// What a document says of its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit ends, of a whole transaction; of a line that is a document by itself, where its change stands.
    pub lsn: Lsn,
    /// The transaction, where the document names it.
    pub xid: Option<u64>,
    /// What the document is of it.
    pub part: Part,
}

/// What a document is of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// One change: others may stand at the same place, as those of one COPY do.
    Change,
    /// A message, which stands at a place of its own.
    Message,
}

/// Reads the commit of the document at the beginning of `text`, which is one of wal2json's; none when it does not say it.
/// Of a transaction in lines only the first is looked at.
pub fn commit(text: &str) -> Option<Commit> {
    let mut reader = Reader::new(text);
    reader.begin_object().ok()?;
    let (mut lsn, mut next, mut xid, mut action, mut is_v1) = (None, None, None, None, false);
    while let Some(name) = reader.next_member().ok()? {
        match &*name {
            "lsn" | "nextlsn" => {
                if let Json::Text(text) = reader.value(&Path::ROOT, &mut Judged).ok()? {
                    *(if name == "lsn" { &mut lsn } else { &mut next }) = Lsn::parse(&text);
                }
            }
            "xid" => {
                if let Json::Number(digits) = reader.value(&Path::ROOT, &mut Judged).ok()? {
                    xid = digits.parse().ok();
                }
            }
            "action" => action = reader.text().ok()?,
            _ => {
                is_v1 |= name == "change";
                // The plug-in writes them ahead of what can be long.
                let is_known = if is_v1 || action.as_deref() == Some("B") { next.is_some() } else { lsn.is_some() };
                if is_known && xid.is_some() {
                    break;
                }
                reader.skip(&Path::ROOT, &mut Judged).ok()?;
            }
        }
    }
    let (lsn, part) = match action.as_deref() {
        _ if is_v1 => (next, Part::Whole),
        Some("B") => (next.or(lsn), Part::Whole),
        Some("M") => (lsn, Part::Message),
        _ => (lsn, Part::Change),
    };
    Some(Commit { lsn: lsn?, xid, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_commit_where_the_options_say_so() {
        let whole = |lsn, xid| Some(Commit { lsn: Lsn(lsn), xid, part: Part::Whole });
        for (text, expected) in [
            (
                r#"{"xid":725,"nextlsn":"0/1528640","timestamp":"x","change":[{"kind":"insert"}]}"#,
                whole(0x152_8640, Some(725)),
            ),
            (r#"{"nextlsn":"16/B374D848","change":[]}"#, whole(0x16_b374_d848, None)),
            (r#"{"change":[{"xid":1}],"xid":7,"nextlsn":"0/1"}"#, whole(1, Some(7))),
            (r#"{"xid":725,"change":[]}"#, None),
            (r#"{"change":[]}"#, None),
            (r#"{"nextlsn":5,"change":[]}"#, None),
            (r#"{"nextlsn":"0/123456789","change":[]}"#, None),
            (r#"{"nextlsn":"+1/2","change":[]}"#, None),
            ("{\"action\":\"B\",\"xid\":7,\"lsn\":\"0/1\",\"nextlsn\":\"0/2\"}\n{\"action\":\"C\"}", whole(2, Some(7))),
            ("{\"action\":\"B\",\"lsn\":\"0/1\"}\n{\"action\":\"C\"}", whole(1, None)),
            ("{\"action\":\"B\"}\n{\"action\":\"I\",\"lsn\":\"0/3\"}", None),
            (
                r#"{"action":"I","xid":7,"lsn":"0/A","schema":"s","table":"t","columns":[]}"#,
                Some(Commit { lsn: Lsn(10), xid: Some(7), part: Part::Change }),
            ),
            (
                r#"{"action":"M","lsn":"0/A","content":""}"#,
                Some(Commit { lsn: Lsn(10), xid: None, part: Part::Message }),
            ),
            ("[]", None),
        ] {
            assert_eq!(commit(text), expected, "{text}");
        }
        assert_eq!(Lsn(0x16_b374_d848).to_string(), "16/B374D848");
    }
}
