//! CloudEvents 1.0: the attributes of an event, and the document that is its data.
//!
//! Structured and batched events are JSON (the JSON Event Format); what a binary event says in headers is handed over as
//! names and bytes. What the data must look like is the gate's matter.

mod attributes;
mod text;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::attributes::Attributes;
use crate::excerpt::{self, VALUE_CHARS};
use crate::json::{Duplicates as _, Fault, Json, Judged, Kind, Names, Path, Reader};
use crate::judgement::{Judge, Rules};
use crate::media_type;
use crate::problem::{Problem, ProblemType};
use crate::record::Headers;

/// An event, taken apart.
#[derive(Debug)]
pub struct CloudEvent<'a> {
    /// Its attributes.
    pub headers: Headers,
    /// Its data, which is JSON. An event without data has `null`.
    pub data: Cow<'a, [u8]>,
    /// Where the data stands in the event, for pointers.
    pub within: &'static str,
}

/// What stands for the data that an event does not have.
pub const NO_DATA: &str = "null";

/// Reads the one structured event that `text` holds.
pub fn structured(text: &str) -> Result<CloudEvent<'_>, Problem> {
    let rules = Rules::default();
    let mut judge = Judge::new(&rules);
    match members(text, &mut judge) {
        Err(fault) => Err(Problem::new(ProblemType::NotJson, fault.to_string())),
        Ok(_) if judge.count() > 0 => Err(judge.into_problem()),
        Ok((headers, data, within)) => {
            is_json(headers.attribute("datacontenttype"))?;
            Ok(CloudEvent { headers, data: data.unwrap_or(Cow::Borrowed(NO_DATA.as_bytes())), within })
        }
    }
}

/// The attributes of a binary event: each header that begins with `ce-`, without that, and the value of `Content-Type`.
pub fn binary<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    content_type: Option<&str>,
) -> Result<Headers, Problem> {
    let rules = Rules::default();
    let mut judge = Judge::new(&rules);
    let mut attributes = Attributes::default();
    for (name, value) in headers {
        let path = Path::ROOT.member(name);
        if name == "datacontenttype" {
            judge.violation(&path, || "a binary event says it as Content-Type; remove ce-datacontenttype".into());
        } else if let Some(value) = text::header(value) {
            attributes.add(&path, name, Json::Text(Cow::Owned(value)), &mut judge);
        } else {
            judge.violation(&path, || format!("the header ce-{name} is not UTF-8 once it is decoded"));
        }
    }
    if let Some(content_type) = content_type {
        let text = Json::Text(Cow::Owned(content_type.to_owned()));
        attributes.add(&Path::ROOT.member("datacontenttype"), "datacontenttype", text, &mut judge);
    }
    let headers = attributes.finish(&mut judge);
    if judge.count() > 0 { Err(judge.into_problem()) } else { Ok(headers) }
}

/// The events of a batch, each as its text.
pub fn batch(text: &str) -> Result<Vec<&str>, Problem> {
    let not_json = |fault: Fault| Problem::new(ProblemType::NotJson, fault.to_string());
    let mut reader = Reader::new(text);
    if reader.peek().map_err(not_json)? != Kind::Array {
        return Err(Problem::new(ProblemType::InvalidDocument, "a batch of events is a JSON array"));
    }
    let mut events = Vec::new();
    reader.begin_array().map_err(not_json)?;
    while reader.next_element().map_err(not_json)? {
        reader.peek().map_err(not_json)?;
        let begin = reader.offset();
        reader.skip(&Path::ROOT, &mut Judged).map_err(not_json)?;
        events.push(&text[begin..reader.offset()]);
    }
    reader.finish().map_err(not_json)?;
    Ok(events)
}

/// Headers, data and the data's place.
type Members<'a> = (Headers, Option<Cow<'a, [u8]>>, &'static str);

fn members<'a>(text: &'a str, judge: &mut Judge<'a, '_>) -> Result<Members<'a>, Fault> {
    let mut reader = Reader::new(text);
    let mut attributes = Attributes::default();
    let (mut data, mut within) = (None, "");
    if reader.peek()? != Kind::Object {
        let value = reader.value(&Path::ROOT, judge)?;
        reader.finish()?;
        judge.violation(&Path::ROOT, || format!("{} was found; an event is an object", value.kind()));
        return Ok((Headers::default(), None, ""));
    }
    let mut names = Names::default();
    reader.begin_object()?;
    while let Some(name) = reader.next_member()? {
        let path = Path::ROOT.member(&name);
        if !names.is_new(&name) {
            judge.duplicate(&path);
        }
        match &*name {
            "data" | "data_base64" => {
                if data.is_some() {
                    judge.violation(&path, || "an event has `data` or `data_base64`, not both".into());
                }
                (data, within) = match &*name {
                    "data" => {
                        reader.peek()?;
                        let begin = reader.offset();
                        // The gate judges the data.
                        reader.skip(&path, &mut Judged)?;
                        (Some(Cow::Borrowed(&text.as_bytes()[begin..reader.offset()])), "/data")
                    }
                    _ => (base64_data(&mut reader, &path, judge)?, "/data_base64"),
                };
            }
            _ => {
                let value = reader.value(&path, judge)?;
                attributes.add(&path, &name, value, judge);
            }
        }
        names.keep(name);
    }
    reader.finish()?;
    Ok((attributes.finish(judge), data, within))
}

fn base64_data<'a>(
    reader: &mut Reader<'a>,
    path: &Path<'_>,
    judge: &mut Judge<'a, '_>,
) -> Result<Option<Cow<'a, [u8]>>, Fault> {
    let value = reader.value(path, judge)?;
    let bytes = match &value {
        Json::Null => return Ok(None),
        Json::Text(text) => STANDARD.decode(text.as_bytes()).ok(),
        _ => None,
    };
    if bytes.is_none() {
        judge.violation(path, || format!("{} was found; this is a string in Base64", value.kind()));
    }
    Ok(Some(Cow::Owned(bytes.unwrap_or_default())))
}

/// Whether a media type is one of JSON in UTF-8.
pub fn is_json_media(media: &str) -> bool {
    let said = media_type::read(media);
    said.is_json() && said.is_utf8
}

/// Fails when the data of an event is no JSON. Without a media type it is.
fn is_json(media: Option<&str>) -> Result<(), Problem> {
    match media {
        Some(media) if !is_json_media(media) => Err(Problem::new(
            ProblemType::UnsupportedMediaType,
            format!("the event's datacontenttype is {}; this stream takes JSON", excerpt::quoted(media, VALUE_CHARS)),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
