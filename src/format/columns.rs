//! Parallel arrays of names, types and values, as `activities` and wal2json v1 write rows and keys.

use std::borrow::Cow;

use crate::change::{Cell, ColumnType, TableName};
use crate::json::{Fault, Json, Kind, Path, Reader};
use crate::judgement::{Judge, Spare};

/// The names of the three members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members {
    pub(super) names: &'static str,
    pub(super) types: &'static str,
    pub(super) values: &'static str,
    /// Whether the types may be left out.
    pub(super) types_optional: bool,
}

/// The three arrays as they are met, in whichever order.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    members: Members,
    names: Option<Vec<Cow<'a, str>>>,
    types: Option<Vec<ColumnType>>,
    values: Option<Vec<Json<'a>>>,
    /// False once an array or one of its elements was of the wrong kind: then lengths prove nothing.
    sound: bool,
}

impl<'a> Columns<'a> {
    pub(super) fn new(members: Members) -> Self {
        Columns { members, names: None, types: None, values: None, sound: true }
    }

    /// Whether any of the three was met.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_none() && self.types.is_none() && self.values.is_none()
    }

    /// Takes the value of the member `name` at `path` if it is one of the three; else leaves it and says false.
    pub(super) fn take(
        &mut self,
        name: &str,
        path: &Path<'_>,
        reader: &mut Reader<'a>,
        judge: &mut Judge<'a, '_>,
    ) -> Result<bool, Fault> {
        let again = if name == self.members.names {
            let names = self.read_names(path, reader, judge)?;
            self.names.replace(names).is_some()
        } else if name == self.members.types {
            let mut types = std::mem::take(&mut judge.spare.types);
            if self.enter(path, reader, judge)? {
                while reader.next_element()? {
                    let place = path.element(types.len());
                    types.push(match text(reader, judge, &place, "a type's name")? {
                        Some(name) => judge.column_type(&place, name),
                        None => {
                            self.sound = false;
                            ColumnType::parse("")
                        }
                    });
                }
            }
            self.types.replace(types).is_some()
        } else if name == self.members.values {
            let mut values = std::mem::take(&mut judge.spare.values);
            if self.enter(path, reader, judge)? {
                while reader.next_element()? {
                    // Most values are strings, and a string needs no place.
                    values.push(match reader.text()? {
                        Some(text) => Json::Text(text),
                        None => reader.value(&path.element(values.len()), judge)?,
                    });
                }
            }
            self.values.replace(values).is_some()
        } else {
            return Ok(false);
        };
        if again {
            judge.violation(path, || "this member is named twice in its object".into());
        }
        Ok(true)
    }

    fn read_names(
        &mut self,
        path: &Path<'_>,
        reader: &mut Reader<'a>,
        judge: &mut Judge<'a, '_>,
    ) -> Result<Vec<Cow<'a, str>>, Fault> {
        let mut names = std::mem::take(&mut judge.spare.names);
        if self.enter(path, reader, judge)? {
            while reader.next_element()? {
                let place = path.element(names.len());
                names.push(match text(reader, judge, &place, "a column's name")? {
                    Some(name) => name,
                    None => {
                        self.sound = false;
                        // A name that no column has, so that the other checks go on with the right number of columns.
                        Cow::Owned(format!("({})", names.len()))
                    }
                });
            }
        }
        Ok(names)
    }

    /// Enters the array that should come next; a violation and false when something else does.
    fn enter(&mut self, path: &Path<'_>, reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>) -> Result<bool, Fault> {
        if reader.peek()? == Kind::Array {
            reader.begin_array()?;
            return Ok(true);
        }
        let found = reader.value(path, judge)?;
        judge.violation(path, || format!("{} was found; an array is needed", found.kind()));
        self.sound = false;
        Ok(false)
    }

    /// Puts the cells together, or says what is missing at `path`, the object that should hold the three.
    pub(super) fn finish(
        &mut self,
        path: &Path<'_>,
        table: Option<&TableName<'a>>,
        judge: &mut Judge<'a, '_>,
    ) -> Vec<Cell<'a>> {
        let Members { names: names_member, types: types_member, values: values_member, types_optional } = self.members;
        let missing = [
            (names_member, self.names.is_none()),
            (types_member, self.types.is_none() && !types_optional),
            (values_member, self.values.is_none()),
        ];
        for (member, is_missing) in missing {
            if is_missing {
                judge.violation(path, || format!("`{member}` is missing"));
            }
        }
        let Some(mut names) = self.names.take() else { return Vec::new() };
        judge.columns(&path.member(names_member), table, &names);
        if !self.sound {
            return Vec::new();
        }
        if names.is_empty() {
            judge.violation(&path.member(names_member), || "no column is named; at least one is needed".into());
        }
        let values = self.values.take();
        let types = match self.types.take() {
            Some(types) => Some(types),
            None if types_optional => Some(names.iter().map(|_| ColumnType::parse("")).collect()),
            None => None,
        };
        let mut matches = true;
        let mut compare = |member: &str, what: &str, length: Option<usize>, judge: &mut Judge<'a, '_>| {
            let Some(length) = length else { return };
            if length != names.len() {
                matches = false;
                let (columns, were) = (names.len(), if names.len() == 1 { "column is" } else { "columns are" });
                let are = if length == 1 { format!("{what} is") } else { format!("{what}s are") };
                judge.violation(&path.member(member), || format!("{columns} {were} named, {length} {are} given"));
            }
        };
        compare(types_member, "type", types.as_ref().map(Vec::len), judge);
        compare(values_member, "value", values.as_ref().map(Vec::len), judge);
        let (Some(mut types), Some(mut values), true) = (types, values, matches) else { return Vec::new() };
        let place = path.member(values_member);
        let mut cells = Vec::with_capacity(names.len());
        for (index, ((name, column_type), value)) in
            names.drain(..).zip(types.drain(..)).zip(values.drain(..)).enumerate()
        {
            cells.push(judge.cell(&place.element(index), name, column_type, value));
        }
        judge.spare = Spare { names, types, values };
        cells
    }
}

/// Takes the next value, which should be a string; else a violation.
pub(super) fn text<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
    what: &str,
) -> Result<Option<Cow<'a, str>>, Fault> {
    if let Some(text) = reader.text()? {
        return Ok(Some(text));
    }
    let other = reader.value(path, judge)?;
    judge.violation(path, || format!("{} was found; {what} is a string", other.kind()));
    Ok(None)
}

/// Enters the container of `kind` that should come next; else a violation and false.
pub(super) fn enter<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
    kind: Kind,
) -> Result<bool, Fault> {
    if reader.peek()? == kind {
        match kind {
            Kind::Array => reader.begin_array()?,
            _ => reader.begin_object()?,
        }
        return Ok(true);
    }
    let found = reader.value(path, judge)?;
    let needed = if kind == Kind::Array { "an array" } else { "an object" };
    judge.violation(path, || format!("{} was found; {needed} is needed", found.kind()));
    Ok(false)
}
