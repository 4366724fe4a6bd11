//! What a key's documents come to so far: a state that merges with others of its key, and can be written down and read back.
//!
//! Three notations. The **value** is what everybody reads, `{"userId":"j1","firstSeen":1}`. It lacks what an average and a
//! first or last value rest on; that is the **rest**, which rides beside the value. The **text** is both in one, for files.

use std::cmp::Ordering;

use super::key::WINDOW;
use super::{Definition, Exact, Function, Key, Scalar};
use crate::gate::quoted;
use crate::json::{self, Json};

/// The state of one summary: a cell for each of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(Vec<Cell>);

/// The state of one member. None: no document had the field yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Min(Option<Scalar>),
    Max(Option<Scalar>),
    Count(u64),
    Sum(Option<Exact>),
    Average(Option<(Exact, u64)>),
    First(Option<Picked>),
    Last(Option<Picked>),
}

/// A value that was chosen for its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked {
    /// When.
    pub(super) by: Scalar,
    /// The partition and offset of its document, which settle ties.
    pub(super) position: (i32, i64),
    /// Its JSON text.
    pub(super) value: Box<str>,
}

/// A state that was written by another definition, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the summary does not hold what {member} needs")]
pub struct Broken {
    member: String,
}

impl Picked {
    fn order(&self, other: &Picked) -> Ordering {
        self.by.compare(&other.by).then(self.position.cmp(&other.position))
    }

    fn json(&self) -> String {
        format!("[{},{},{}]", self.by.json(), self.position.0, self.position.1)
    }
}

/// The better of two, where there are two.
fn either<T>(ours: &mut Option<T>, theirs: Option<T>, is_better: impl FnOnce(&T, &T) -> bool) {
    if let Some(theirs) = theirs {
        match ours {
            Some(known) if !is_better(&theirs, known) => {}
            _ => *ours = Some(theirs),
        }
    }
}

impl Cell {
    fn merge(&mut self, other: Cell) {
        match (self, other) {
            (Cell::Min(ours), Cell::Min(theirs)) => either(ours, theirs, |new, known| new < known),
            (Cell::Max(ours), Cell::Max(theirs)) => either(ours, theirs, |new, known| new > known),
            (Cell::Count(ours), Cell::Count(theirs)) => *ours = ours.saturating_add(theirs),
            (Cell::Sum(ours), Cell::Sum(theirs)) => {
                *ours = match (ours.take(), theirs) {
                    (Some(ours), Some(theirs)) => Some(ours.plus(&theirs)),
                    (ours, theirs) => ours.or(theirs),
                }
            }
            (Cell::Average(ours), Cell::Average(theirs)) => {
                *ours = match (ours.take(), theirs) {
                    (Some((sum, count)), Some((more, others))) => Some((sum.plus(&more), count.saturating_add(others))),
                    (ours, theirs) => ours.or(theirs),
                }
            }
            (Cell::First(ours), Cell::First(theirs)) => either(ours, theirs, |new, known| new.order(known).is_lt()),
            (Cell::Last(ours), Cell::Last(theirs)) => either(ours, theirs, |new, known| new.order(known).is_gt()),
            // States of one definition have the same cells.
            _ => {}
        }
    }

    /// What the summary shows.
    fn value(&self) -> String {
        let shown = match self {
            Cell::Min(found) | Cell::Max(found) => found.as_ref().map(Scalar::json),
            Cell::Count(count) => Some(count.to_string()),
            Cell::Sum(sum) => sum.as_ref().map(Exact::to_string),
            Cell::Average(found) => found.as_ref().map(|(sum, count)| sum.by(*count)),
            Cell::First(found) | Cell::Last(found) => found.as_ref().map(|picked| picked.value.to_string()),
        };
        shown.unwrap_or_else(|| "null".to_owned())
    }

    /// What the value lacks.
    fn rest(&self) -> Option<String> {
        match self {
            Cell::Average(found) => found.as_ref().map(|(sum, count)| format!("[{sum},{count}]")),
            Cell::First(found) | Cell::Last(found) => found.as_ref().map(Picked::json),
            Cell::Min(_) | Cell::Max(_) | Cell::Count(_) | Cell::Sum(_) => None,
        }
    }

    /// A cell from its value and the rest. None when they are not what this function writes.
    fn read(function: &Function, value: &Json<'_>, rest: &Json<'_>) -> Option<Cell> {
        let scalar = || match value {
            Json::Null => Some(None),
            value => Scalar::read(value).ok().map(Some),
        };
        Some(match function {
            Function::Min => Cell::Min(scalar()?),
            Function::Max => Cell::Max(scalar()?),
            Function::Count => Cell::Count(whole(value)?),
            Function::Sum => Cell::Sum(match value {
                Json::Null => None,
                value => Some(exact(value)?),
            }),
            Function::Average => Cell::Average(match rest {
                Json::Null => None,
                rest => match &parts(rest)?[..] {
                    [sum, count] => Some((exact(sum)?, whole(count)?)),
                    _ => return None,
                },
            }),
            Function::First(_) => Cell::First(picked(value, rest)?),
            Function::Last(_) => Cell::Last(picked(value, rest)?),
        })
    }
}

fn parts<'j>(array: &'j Json<'_>) -> Option<Vec<Json<'j>>> {
    match array {
        Json::Array(text) => Some(json::elements(text)),
        _ => None,
    }
}

fn whole<N: std::str::FromStr>(json: &Json<'_>) -> Option<N> {
    match json {
        Json::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn exact(json: &Json<'_>) -> Option<Exact> {
    match json {
        Json::Number(digits) => Exact::parse(digits),
        _ => None,
    }
}

#[allow(clippy::option_option)]
fn picked(value: &Json<'_>, rest: &Json<'_>) -> Option<Option<Picked>> {
    if *rest == Json::Null {
        return Some(None);
    }
    match &parts(rest)?[..] {
        [by, partition, offset] => Some(Some(Picked {
            by: Scalar::read(by).ok()?,
            position: (whole(partition)?, whole(offset)?),
            value: text(value).into(),
        })),
        _ => None,
    }
}

/// The JSON text of a value; a string is written in one way, whatever escapes it came with.
pub(super) fn text(json: &Json<'_>) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Boolean(value) => value.to_string(),
        Json::Number(text) | Json::Array(text) | Json::Object(text) => (*text).to_owned(),
        Json::Text(text) => quoted(text),
    }
}

impl State {
    pub(super) fn of(cells: Vec<Cell>) -> Self {
        State(cells)
    }

    /// Takes in another state of the same key and definition.
    pub fn merge(&mut self, other: State) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            ours.merge(theirs);
        }
    }

    /// The summary as everybody reads it, in the order of the definition.
    pub fn value(&self, definition: &Definition, key: &Key) -> String {
        let names = definition.key.iter().map(|part| part.name.as_str());
        let parts = key.parts();
        let keys = names.chain(definition.window.is_some().then_some(WINDOW)).zip(parts.iter().map(text));
        let summaries = definition.summaries.iter().map(|summary| summary.name.as_str());
        let members = keys.chain(summaries.zip(self.0.iter().map(Cell::value)));
        let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
        format!("{{{}}}", members.join(","))
    }

    /// What the value lacks, as JSON: what averages, firsts and lasts rest on. None where it lacks nothing.
    pub fn rest(&self) -> Option<String> {
        let rests: Vec<Option<String>> = self.0.iter().map(Cell::rest).collect();
        rests.iter().any(Option::is_some).then(|| {
            let rests: Vec<&str> = rests.iter().map(|rest| rest.as_deref().unwrap_or("null")).collect();
            format!("[{}]", rests.join(","))
        })
    }

    /// The state that a value and its rest were written from.
    pub fn from_value(definition: &Definition, value: &str, rest: Option<&str>) -> Result<Self, Broken> {
        let members = json::members(value);
        let rests = rest.map(json::elements).unwrap_or_default();
        let cells = definition.summaries.iter().enumerate().map(|(index, summary)| {
            let value = members.iter().find(|(name, _)| *name == summary.name).map(|(_, value)| value);
            Cell::read(&summary.function, value?, rests.get(index).unwrap_or(&Json::Null))
        });
        State::gathered(definition, cells)
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let scalar = |scalar: &Scalar| match scalar {
            Scalar::Whole(_) => 0,
            Scalar::Number(text) | Scalar::Text(text) => text.len(),
            // The text, and the time that it stands for.
            Scalar::Time(_) => 96,
        };
        let beside = |cell: &Cell| match cell {
            Cell::Min(Some(value)) | Cell::Max(Some(value)) => scalar(value),
            Cell::First(Some(picked)) | Cell::Last(Some(picked)) => scalar(&picked.by) + picked.value.len(),
            _ => 0,
        };
        self.0.iter().map(|cell| size_of::<Cell>() + beside(cell)).sum()
    }

    /// The whole state as compact JSON.
    pub fn text(&self) -> String {
        let values: Vec<String> = self.0.iter().map(Cell::value).collect();
        format!("[[{}],{}]", values.join(","), self.rest().as_deref().unwrap_or("[]"))
    }

    /// The state that a text was written from.
    pub fn from_text(definition: &Definition, text: &str) -> Result<Self, Broken> {
        let both = json::elements(text);
        let part = |index: usize| both.get(index).and_then(parts).unwrap_or_default();
        let (values, rests) = (part(0), part(1));
        let cells = definition.summaries.iter().enumerate().map(|(index, summary)| {
            Cell::read(&summary.function, values.get(index)?, rests.get(index).unwrap_or(&Json::Null))
        });
        State::gathered(definition, cells)
    }

    fn gathered(definition: &Definition, cells: impl Iterator<Item = Option<Cell>>) -> Result<Self, Broken> {
        let named = definition.summaries.iter().zip(cells);
        let cells = named.map(|(summary, cell)| cell.ok_or_else(|| Broken { member: summary.name.clone() }));
        cells.collect::<Result<_, _>>().map(State)
    }
}
