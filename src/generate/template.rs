//! Templates of documents: JSON whose strings have places for made-up values.
//!
//! Values are put in as JSON strings, or as numbers where a number is all that a string is made of; nothing is read as JSON
//! after they are in.

use super::random::Random;
use super::turn::{Turn, write_user, write_whole};
use crate::action::brackets::{self, Part};
use crate::clock;
use crate::gate::quoted;
use crate::json::{Fault, Json, Judged, Kind, Path, Reader};

const KNOWN: &str = "there are {uuid}, {int 1 100}, {pick a b c}, {now}, {now seconds}, {now milliseconds} and {user}, and \
    `{{` for the bracket itself";

/// A template, cut into what stays and what is made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// JSON text, or a part of a string, escaped.
    Fixed(String),
    Made(Made),
}

/// What is made up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    Uuid,
    Int(i64, i64),
    /// Words, escaped.
    Pick(Vec<String>),
    Now,
    Seconds,
    Milliseconds,
    User,
}

/// Why a text is no template.
#[derive(Debug, thiserror::Error)]
pub enum BadTemplate {
    /// It is no JSON.
    #[error("the template is not JSON: {0}")]
    NotJson(#[from] Fault),
    /// What stands between brackets is nothing that can be made up.
    #[error("the template's text {text:?}: {what}")]
    Unknown {
        /// The string.
        text: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Made {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match &words[..] {
            ["uuid"] => Ok(Made::Uuid),
            ["user"] => Ok(Made::User),
            ["now"] => Ok(Made::Now),
            ["now", "seconds"] => Ok(Made::Seconds),
            ["now", "milliseconds"] => Ok(Made::Milliseconds),
            ["int", low, high] => match (low.parse::<i64>(), high.parse::<i64>()) {
                (Ok(low), Ok(high)) if low <= high => Ok(Made::Int(low, high)),
                _ => Err(format!("`{{{text}}}` takes two whole numbers of 64 bits, the smaller one first")),
            },
            ["int", ..] => Err(format!("`{{{text}}}` takes two numbers, as {{int 1 100}}")),
            ["pick"] => Err(format!("`{{{text}}}` has nothing to pick from; write {{pick a b c}}")),
            ["pick", words @ ..] => Ok(Made::Pick(words.iter().map(|word| escaped(word)).collect())),
            _ => Err(format!("`{{{text}}}` is nothing that is made up; {KNOWN}")),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Made::Int(..) | Made::Seconds | Made::Milliseconds)
    }

    fn write(&self, out: &mut Vec<u8>, turn: Turn, random: &mut Random) {
        match self {
            Made::Uuid => random.write_uuid(out),
            Made::Int(low, high) => write_whole(out, random.between(*low, *high)),
            Made::Pick(words) => {
                let at = random.below(words.len() as u64) as usize;
                out.extend_from_slice(words[at].as_bytes());
            }
            Made::Now => out.extend_from_slice(clock::rfc3339(turn.now_ms).as_bytes()),
            Made::Seconds => write_whole(out, turn.now_ms.div_euclid(1000)),
            Made::Milliseconds => write_whole(out, turn.now_ms),
            Made::User => write_user(out, turn.user),
        }
    }
}

/// A text as it stands within a JSON string.
fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}

impl Template {
    /// The largest file of a template: documents are read whole, and so is what they are made of.
    pub const BYTES_MAX: u64 = 1 << 20;

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let mut reader = Reader::new(text);
        let mut template = Template(Vec::new());
        template.read(&mut reader)?;
        reader.finish()?;
        Ok(template)
    }

    fn fixed(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Fixed(fixed)) => fixed.push_str(text),
            _ => self.0.push(Piece::Fixed(text.to_owned())),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), BadTemplate> {
        match reader.peek()? {
            Kind::Object => {
                reader.begin_object()?;
                self.fixed("{");
                let mut comma = "";
                while let Some(name) = reader.next_member()? {
                    self.fixed(&format!("{comma}{}:", quoted(&name)));
                    comma = ",";
                    self.read(reader)?;
                }
                self.fixed("}");
            }
            Kind::Array => {
                reader.begin_array()?;
                self.fixed("[");
                let mut comma = "";
                while reader.next_element()? {
                    self.fixed(comma);
                    comma = ",";
                    self.read(reader)?;
                }
                self.fixed("]");
            }
            _ => match reader.value(&Path::ROOT, &mut Judged)? {
                Json::Text(text) => self.text(&text)?,
                Json::Number(digits) => self.fixed(digits),
                Json::Boolean(value) => self.fixed(&value.to_string()),
                _ => self.fixed("null"),
            },
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BadTemplate> {
        let unknown = |what| BadTemplate::Unknown { text: text.to_owned(), what };
        let parts = brackets::parts(text, Made::parse).map_err(unknown)?;
        let is_number = matches!(&parts[..], [Part::Value(made)] if made.is_number());
        let quote = if is_number { "" } else { "\"" };
        self.fixed(quote);
        for part in parts {
            match part {
                Part::Fixed(text) => self.fixed(&escaped(&text)),
                Part::Value(made) => self.0.push(Piece::Made(made)),
            }
        }
        self.fixed(quote);
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, turn: Turn, random: &mut Random) {
        for piece in &self.0 {
            match piece {
                Piece::Fixed(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Made(made) => made.write(out, turn, random),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let mut out = Vec::new();
        let turn = Turn { user: 42, message: 0, now_ms: 1_534_382_478_123 };
        Template::parse(text).unwrap().write(&mut out, turn, &mut Random::new(1));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_put_in_as_json() {
        for (template, wanted) in [
            (" { \"a\" : [ 1.50, true, null, {} ] } ", r#"{"a":[1.50,true,null,{}]}"#),
            (r#""{user}""#, r#""j00000042""#),
            (r#""{now}""#, r#""2018-08-16T01:21:18.123Z""#),
            (r#"["{now seconds}","{now milliseconds}"]"#, "[1534382478,1534382478123]"),
            (r#""{int 7 7}""#, "7"),
            (r#""{int -9223372036854775808 -9223372036854775808}""#, "-9223372036854775808"),
            (r#""n{int 0 0}""#, r#""n0""#),
            (r#""{pick \"}""#, r#""\"""#),
            (r#""{pick \\\"\u0001}""#, r#""\\\"\u0001""#),
            (r#""\" {{{user}}} \n""#, r#""\" {j00000042} \n""#),
            (r#"{"{user}":1}"#, r#"{"{user}":1}"#),
            ("\"\"", "\"\""),
        ] {
            assert_eq!(filled(template), wanted, "{template}");
            crate::json::check(&filled(template)).unwrap();
        }
        let made = filled(r#"["{uuid}","{int 1 100}","{pick a b c}"]"#);
        let [Json::Text(id), Json::Number(number), Json::Text(word)] = &crate::json::elements(&made)[..] else {
            panic!("{made}");
        };
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
        assert!((1..=100).contains(&number.parse::<i64>().unwrap()) && ["a", "b", "c"].contains(&&**word), "{made}");
    }

    #[test]
    fn what_is_no_template_says_why() {
        for (template, wanted) in [
            ("", "not JSON"),
            ("{} {}", "not JSON"),
            (r#""{usr}""#, "{user}"),
            (r#""{query.a}""#, "{uuid}"),
            (r#""{int 5 1}""#, "smaller one first"),
            (r#""{int 1}""#, "{int 1 100}"),
            (r#""{int 1 x}""#, "whole numbers"),
            (r#""{int 1 9223372036854775808}""#, "64 bits"),
            (r#""{pick}""#, "{pick a b c}"),
            (r#""{""#, "`{{`"),
            (r#""}""#, "`}}`"),
            (r#""{}""#, "{uuid}"),
        ] {
            let error = Template::parse(template).unwrap_err().to_string();
            assert!(error.contains(wanted), "{template}: {error}");
        }
    }
}
