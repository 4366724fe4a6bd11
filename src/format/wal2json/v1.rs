//! wal2json v1: one transaction a document, `{"change":[{"kind","schema","table","columnnames",…,"oldkeys":{…}}]}`.

use std::borrow::Cow;

use crate::change::{Action, Change, ChangeSet, Key, TableName};
use crate::format::columns::{Columns, Members, enter, text};
use crate::json::{Duplicates, Fault, Json, Kind, Names, Path, Reader};
use crate::judgement::Judge;
use crate::words::Operation;

const ROW: Members =
    Members { names: "columnnames", types: "columntypes", values: "columnvalues", types_optional: true };
const KEY: Members = Members { names: "keynames", types: "keytypes", values: "keyvalues", types_optional: true };

pub(in crate::format) fn read<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>) -> Result<ChangeSet<'a>, Fault> {
    let mut changes = Vec::new();
    let mut names = Names::default();
    reader.begin_object()?;
    while let Some(name) = reader.next_member()? {
        let path = Path::ROOT.member(&name);
        if !names.is_new(&name) {
            judge.duplicate(&path);
        }
        if name != "change" {
            reader.skip(&path, judge)?;
        } else if enter(reader, judge, &path, Kind::Array)? {
            let mut index = 0;
            while reader.next_element()? {
                let place = path.element(index);
                index += 1;
                changes.extend(change(reader, judge, &place)?);
            }
        }
        names.keep(name);
    }
    Ok(ChangeSet { changes })
}

fn change<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
) -> Result<Option<Change<'a>>, Fault> {
    if !enter(reader, judge, path, Kind::Object)? {
        return Ok(None);
    }
    let before = judge.count();
    let (mut kind, mut schema, mut table) = (None, None, None);
    let mut row = Columns::new(ROW);
    let mut key = None;
    let mut primary_key = Vec::new();
    let mut seen = 0;
    let mut others = Names::default();
    while let Some(name) = reader.next_member()? {
        let place = path.member(&name);
        // A bit for each member that is known; the others are remembered by name.
        let bit = match &*name {
            "kind" => 1,
            "schema" => 2,
            "table" => 4,
            "oldkeys" => 8,
            "pk" => 16,
            _ => 0,
        };
        if seen & bit != 0 {
            judge.duplicate(&place);
        }
        seen |= bit;
        match &*name {
            "kind" => kind = text(reader, judge, &place, "a kind of change")?,
            "schema" => schema = text(reader, judge, &place, "a schema's name")?,
            "table" => table = text(reader, judge, &place, "a table's name")?,
            "oldkeys" => key = columns(reader, judge, &place)?,
            "pk" => primary_key = pk(reader, judge, &place)?,
            _ if row.take(&name, &place, reader, judge)? => {}
            _ => {
                if !others.is_new(&name) {
                    judge.duplicate(&place);
                }
                reader.skip(&place, judge)?;
                others.keep(name);
            }
        }
    }
    let operation = match kind.as_deref() {
        // A message of pg_logical_emit_message changes no table.
        Some("message") => return Ok(None),
        Some("insert") => Operation::Insert,
        Some("update") => Operation::Update,
        Some("delete") => Operation::Delete,
        Some("truncate") => Operation::Truncate,
        Some(other) => {
            judge.violation(&path.member("kind"), || {
                format!("{other:?} is not one of insert, update, delete, truncate, message")
            });
            return Ok(None);
        }
        None => {
            if judge.count() == before {
                judge.violation(path, || "`kind` is missing".into());
            }
            return Ok(None);
        }
    };
    let Some(table) = table else {
        judge.violation(path, || "`table` is missing".into());
        return Ok(None);
    };
    let table = TableName { schema, name: table };
    judge.table(&path.member("table"), &table, operation);
    let action = match operation {
        Operation::Truncate => Action::Truncate,
        // wal2json knows no upsert.
        Operation::Insert | Operation::Upsert => {
            Action::Insert { row: row.finish(path, Some(&table), judge), primary_key }
        }
        Operation::Update => {
            let row = row.finish(path, Some(&table), judge);
            let key = match (key, judge.key_in(&row)) {
                (None, Some(cells)) => Key { cells, is_tables: false, omits_nulls: false, is_one_row: true },
                (key, _) => old_key(key, judge, path, &table),
            };
            Action::Update { row, key }
        }
        Operation::Delete => Action::Delete { key: old_key(key, judge, path, &table) },
    };
    Ok((judge.count() == before).then_some(Change { table, action }))
}

/// Reads `oldkeys`.
fn columns<'a>(
    reader: &mut Reader<'a>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
) -> Result<Option<Columns<'a>>, Fault> {
    if !enter(reader, judge, path, Kind::Object)? {
        return Ok(None);
    }
    let mut columns = Columns::new(KEY);
    while let Some(name) = reader.next_member()? {
        let place = path.member(&name);
        if !columns.take(&name, &place, reader, judge)? {
            reader.skip(&place, judge)?;
        }
    }
    Ok(Some(columns))
}

fn old_key<'a>(
    columns: Option<Columns<'a>>,
    judge: &mut Judge<'a, '_>,
    path: &Path<'_>,
    table: &TableName<'a>,
) -> Key<'a> {
    let cells = match columns {
        Some(mut columns) => columns.finish(&path.member("oldkeys"), Some(table), judge),
        None => {
            judge.violation(path, || {
                "`oldkeys` is missing: give the source's table a primary key or a REPLICA IDENTITY".into()
            });
            Vec::new()
        }
    };
    Key { cells, is_tables: false, omits_nulls: true, is_one_row: true }
}

/// Reads the names in `pk`.
fn pk<'a>(reader: &mut Reader<'a>, judge: &mut Judge<'a, '_>, path: &Path<'_>) -> Result<Vec<Cow<'a, str>>, Fault> {
    let mut found = Vec::new();
    if !enter(reader, judge, path, Kind::Object)? {
        return Ok(found);
    }
    while let Some(name) = reader.next_member()? {
        let place = path.member(&name);
        if name == "pknames" && reader.peek()? == Kind::Array {
            reader.begin_array()?;
            while reader.next_element()? {
                match reader.value(&place.element(found.len()), judge)? {
                    Json::Text(text) => found.push(text),
                    other => judge.violation(&place, || format!("{} was found; a name is a string", other.kind())),
                }
            }
        } else {
            reader.skip(&place, judge)?;
        }
    }
    Ok(found)
}
