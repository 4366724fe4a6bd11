//! The values at several places of a document, found in one walk over its text.

use super::Place;
use crate::json::{Fault, Json, Judged, Kind, Path, Reader, pointer};
use crate::record::Record;

/// The places that are looked at; each has a number, in the order in which they were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    root: Node,
    attributes: Vec<(usize, String)>,
    places: Vec<Place>,
}

/// A place on the way of pointers, and those below it.
#[derive(Debug, Clone, Default)]
struct Node {
    wanted: Option<usize>,
    below: Vec<(String, Node)>,
}

/// Why a record's value cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    NotJson(#[from] Fault),
    #[error("the record is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
}

impl Fields {
    /// The number of a place, which is looked at from now on.
    pub(super) fn add(&mut self, place: &Place) -> usize {
        if let Some(known) = self.places.iter().position(|known| known == place) {
            return known;
        }
        let number = self.places.len();
        self.places.push(place.clone());
        match place {
            Place::Attribute(name) => self.attributes.push((number, name.clone())),
            Place::Pointer(text) => {
                let mut node = &mut self.root;
                for step in pointer::steps(text) {
                    let known = node.below.iter().position(|(name, _)| *name == step);
                    let at = known.unwrap_or_else(|| {
                        node.below.push((step.into_owned(), Node::default()));
                        node.below.len() - 1
                    });
                    node = &mut node.below[at].1;
                }
                node.wanted = Some(number);
            }
        }
        number
    }

    /// The place of a number.
    pub(super) fn place(&self, number: usize) -> &Place {
        &self.places[number]
    }

    /// The values by their numbers; none where nothing stands.
    pub(super) fn read<'r>(&self, record: &'r Record) -> Result<Vec<Option<Json<'r>>>, Unreadable> {
        let mut found: Vec<Option<Json<'r>>> = vec![None; self.places.len()];
        for (number, name) in &self.attributes {
            found[*number] = record.headers.attribute(name).map(|value| Json::Text(value.into()));
        }
        let text = simdutf8::basic::from_utf8(&record.value)
            .or_else(|_| std::str::from_utf8(&record.value))
            .map_err(Unreadable::NotUtf8)?;
        if record.headers.is_text() {
            if let Some(number) = self.root.wanted {
                found[number] = Some(Json::Text(text.into()));
            }
            return Ok(found);
        }
        let mut reader = Reader::new(text);
        self.root.walk(&mut reader, &mut found)?;
        reader.finish()?;
        Ok(found)
    }
}

impl Node {
    /// Takes the next value, and what is wanted of it. Of members named twice the first counts.
    fn walk<'r>(&self, reader: &mut Reader<'r>, found: &mut [Option<Json<'r>>]) -> Result<(), Fault> {
        if let Some(number) = self.wanted {
            let value = reader.clone().value(&Path::ROOT, &mut Judged)?;
            found[number].get_or_insert(value);
        }
        match reader.peek()? {
            Kind::Object if !self.below.is_empty() => {
                reader.begin_object()?;
                while let Some(name) = reader.next_member()? {
                    match self.below.iter().find(|(step, _)| *step == name) {
                        Some((_, node)) => node.walk(reader, found)?,
                        None => reader.skip(&Path::ROOT, &mut Judged)?,
                    }
                }
                Ok(())
            }
            Kind::Array if !self.below.is_empty() => {
                reader.begin_array()?;
                let mut at = 0;
                while reader.next_element()? {
                    match self.below.iter().find(|(step, _)| pointer::index(step) == Some(at)) {
                        Some((_, node)) => node.walk(reader, found)?,
                        None => reader.skip(&Path::ROOT, &mut Judged)?,
                    }
                    at += 1;
                }
                Ok(())
            }
            _ => reader.skip(&Path::ROOT, &mut Judged),
        }
    }
}
