//! What one record adds to a rollup: the state of a summary that has seen nothing else, or why it adds nothing.

use super::fields::Fields;
use super::scalar::{Flaw, Scalar};
use super::state::{Cell, Picked, text};
use super::{Chosen, Definition, Exact, Function, Key, Place, State, TEXT_BYTES_MAX};
use crate::change::decimal;
use crate::json::{self, Json};
use crate::record::Kept;

/// A rollup, ready to read records.
#[derive(Debug, Clone)]
pub struct Rollup {
    definition: Definition,
    fields: Fields,
    key: Vec<usize>,
    /// The number of each summary's field, and of the time that `first` and `last` go by.
    summaries: Vec<(usize, Option<usize>)>,
    chosen: Option<usize>,
    window: Option<usize>,
}

/// What a record comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It adds this.
    One(One),
    /// It is none of those that count.
    NotChosen,
    /// It cannot be summed up.
    Skipped(Skipped),
}

/// What one record adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct One {
    /// To which summary.
    pub key: Key,
    /// The begin of its window, and its time, in milliseconds since 1970.
    pub window: Option<(i64, i64)>,
    /// What it adds.
    pub state: State,
}

/// Why a record is not summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The reason, by which it is counted.
    pub reason: Reason,
    /// The place, and what is wrong there.
    pub detail: String,
}

/// Reasons for not summing up a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is not JSON.
    UnreadableRecord,
    /// It lacks a part of the key.
    MissingKey,
    /// It does not say its time.
    MissingTime,
    /// A value is of a kind that cannot be summed up so.
    WrongKind,
    /// A value is larger than a summary holds.
    ValueOutOfRange,
}

impl Reason {
    /// How counters and answers write it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::UnreadableRecord => "unreadable-record",
            Reason::MissingKey => "missing-key",
            Reason::MissingTime => "missing-time",
            Reason::WrongKind => "wrong-kind",
            Reason::ValueOutOfRange => "value-out-of-range",
        }
    }
}

impl Skipped {
    fn new(reason: Reason, place: &Place, what: &str) -> Self {
        Skipped { reason, detail: format!("{}: {what}", place.words()) }
    }

    fn missing(reason: Reason, place: &Place) -> Self {
        Skipped::new(reason, place, "nothing stands there")
    }

    fn of(flaw: Flaw, place: &Place, json: &Json<'_>, wanted: &str) -> Self {
        match flaw {
            Flaw::WrongKind => {
                Skipped::new(Reason::WrongKind, place, &format!("{wanted} is wanted, and {} stands there", json.kind()))
            }
            Flaw::TooLarge => Skipped::new(Reason::ValueOutOfRange, place, "the value is longer than a summary holds"),
        }
    }
}

/// What stands at a place: null counts as nothing.
fn present<'f, 'r>(found: &'f [Option<Json<'r>>], number: usize) -> Option<&'f Json<'r>> {
    found[number].as_ref().filter(|json| **json != Json::Null)
}

impl Rollup {
    /// Makes ready what the definition says.
    pub fn new(definition: Definition) -> Self {
        let mut fields = Fields::default();
        let key = definition.key.iter().map(|part| fields.add(&part.at)).collect();
        let summaries = definition.summaries.iter().map(|summary| {
            let by = match &summary.function {
                Function::First(by) | Function::Last(by) => Some(fields.add(by)),
                _ => None,
            };
            (fields.add(&summary.of), by)
        });
        let summaries = summaries.collect();
        let chosen = definition.chosen.as_ref().map(|chosen| fields.add(&chosen.at));
        let window = definition.window.as_ref().map(|window| fields.add(&window.at));
        Rollup { definition, fields, key, summaries, chosen, window }
    }

    /// What it was made from.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// What a record adds.
    pub fn read(&self, kept: &Kept) -> Reading {
        let found = match self.fields.read(&kept.record) {
            Ok(found) => found,
            Err(error) => {
                return Reading::Skipped(Skipped { reason: Reason::UnreadableRecord, detail: error.to_string() });
            }
        };
        if let (Some(number), Some(chosen)) = (self.chosen, &self.definition.chosen)
            && !is_chosen(chosen, found[number].as_ref())
        {
            return Reading::NotChosen;
        }
        self.sum_up(&found, (kept.position.partition, kept.position.offset)).map_or_else(Reading::Skipped, Reading::One)
    }

    fn sum_up(&self, found: &[Option<Json<'_>>], position: (i32, i64)) -> Result<One, Skipped> {
        let parts = self.key.iter().map(|number| self.key_part(found, *number)).collect::<Result<Vec<_>, _>>()?;
        let window = self.window_of(found)?;
        let cells = self.definition.summaries.iter().zip(&self.summaries);
        let cells = cells.map(|(summary, (of, by))| self.cell(&summary.function, found, *of, *by, position));
        let state = State::of(cells.collect::<Result<_, _>>()?);
        Ok(One { key: Key::of(&parts, window.map(|(begin, _)| begin)), window, state })
    }

    fn key_part(&self, found: &[Option<Json<'_>>], number: usize) -> Result<String, Skipped> {
        let place = self.fields.place(number);
        let json = present(found, number).ok_or_else(|| Skipped::missing(Reason::MissingKey, place))?;
        match json {
            Json::Boolean(value) => Ok(value.to_string()),
            Json::Number(digits) => one_notation(digits).ok_or_else(|| Skipped::of(Flaw::TooLarge, place, json, "")),
            Json::Text(text) if text.len() > TEXT_BYTES_MAX => Err(Skipped::of(Flaw::TooLarge, place, json, "")),
            Json::Text(_) => Ok(text(json)),
            _ => Err(Skipped::of(Flaw::WrongKind, place, json, "a text, a number or a boolean")),
        }
    }

    fn window_of(&self, found: &[Option<Json<'_>>]) -> Result<Option<(i64, i64)>, Skipped> {
        let (Some(number), Some(window)) = (self.window, &self.definition.window) else { return Ok(None) };
        let json = present(found, number).ok_or_else(|| Skipped::missing(Reason::MissingTime, &window.at))?;
        let wanted = "a time, or a number since 1970,";
        let scalar = Scalar::read(json).map_err(|flaw| Skipped::of(flaw, &window.at, json, wanted))?;
        if let Scalar::Text(_) = scalar {
            return Err(Skipped::of(Flaw::WrongKind, &window.at, json, wanted));
        }
        let at = scalar.ms(window.unit);
        let begin = at.and_then(|at| window.begin(at)).zip(at);
        let outside =
            || Skipped::new(Reason::ValueOutOfRange, &window.at, "the time is outside of the years 1 to 9999");
        begin.map(Some).ok_or_else(outside)
    }

    fn cell(
        &self,
        function: &Function,
        found: &[Option<Json<'_>>],
        of: usize,
        by: Option<usize>,
        position: (i32, i64),
    ) -> Result<Cell, Skipped> {
        let (json, place) = (present(found, of), self.fields.place(of));
        let scalar = |json: &Json<'_>, place| {
            Scalar::read(json).map_err(|flaw| Skipped::of(flaw, place, json, "a number, a time or a text"))
        };
        let number = |json: &Json<'_>| match json {
            Json::Number(digits) => Exact::parse(digits).ok_or_else(|| Skipped::of(Flaw::TooLarge, place, json, "")),
            _ => Err(Skipped::of(Flaw::WrongKind, place, json, "a number")),
        };
        let picked = || {
            let Some((json, by)) = json.zip(by) else { return Ok(None) };
            let at = self.fields.place(by);
            let time = present(found, by).ok_or_else(|| Skipped::missing(Reason::MissingTime, at))?;
            let value = text(json);
            if value.len() > TEXT_BYTES_MAX {
                return Err(Skipped::of(Flaw::TooLarge, place, json, ""));
            }
            Ok(Some(Picked { by: scalar(time, at)?, position, value: value.into() }))
        };
        Ok(match function {
            Function::Min => Cell::Min(json.map(|json| scalar(json, place)).transpose()?),
            Function::Max => Cell::Max(json.map(|json| scalar(json, place)).transpose()?),
            Function::Count => Cell::Count(u64::from(json.is_some())),
            Function::Sum => Cell::Sum(json.map(number).transpose()?),
            Function::Average => Cell::Average(json.map(number).transpose()?.map(|number| (number, 1))),
            Function::First(_) => Cell::First(picked()?),
            Function::Last(_) => Cell::Last(picked()?),
        })
    }
}

/// A number as every equal one is written, so that they are one key: plainly, without zeros at the end of a fraction.
fn one_notation(digits: &str) -> Option<String> {
    let text = Exact::parse(digits)?.to_string();
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    Some(if text == "-0" { "0".to_owned() } else { text.to_owned() })
}

fn is_chosen(chosen: &Chosen, found: Option<&Json<'_>>) -> bool {
    let Some(found) = found else { return false };
    chosen.values.iter().any(|value| match (json::at(value, ""), found) {
        (Some(Json::Number(wanted)), Json::Number(digits)) => decimal::compare(wanted, digits).is_eq(),
        (Some(wanted), found) => wanted == *found,
        (None, _) => false,
    })
}
