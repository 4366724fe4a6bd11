//! Every rule over one table that no database holds.

use std::borrow::Cow;

use super::*;
use crate::change::{Action, Family, Key};

/// `t (id integer, "Name" text, made integer generated, blob bytea, note text)`, of which text is too long for an order.
struct Fixed {
    columns: Vec<(&'static str, ColumnType)>,
    leading: HashSet<String>,
    is_ours: bool,
}

impl Known for Fixed {
    const RESERVED: &'static [&'static str] = &["ctid"];
    const DATABASE: &'static str = "Fixed";

    fn name(&self) -> &str {
        "t"
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| *name)
    }

    fn column_type(&self, name: &str) -> Option<&ColumnType> {
        self.columns.iter().find(|(known, _)| *known == name).map(|(_, column_type)| column_type)
    }

    fn is_generated(&self, column: &str) -> bool {
        column == "made"
    }

    fn leading(&self) -> &HashSet<String> {
        &self.leading
    }

    fn index_of(&self, column: &str) -> Option<Indexing> {
        match self.column_type(column)?.family() {
            Family::Whole => Some(Indexing::Ordered),
            Family::Text => Some(Indexing::Hashed),
            _ => None,
        }
    }

    fn is_ours(&self) -> bool {
        self.is_ours
    }
}

fn fixed() -> Fixed {
    let columns = [("id", "integer"), ("Name", "text"), ("made", "integer"), ("blob", "bytea"), ("note", "text")];
    let columns = columns.into_iter().map(|(name, kind)| (name, ColumnType::parse(kind))).collect();
    Fixed { columns, leading: HashSet::new(), is_ours: true }
}

fn cells(named: &[(&'static str, &str)]) -> Vec<Cell<'static>> {
    let cell = |(name, kind): &(&'static str, &str)| Cell {
        name: (*name).into(),
        column_type: ColumnType::parse(kind),
        value: Value::Whole(1),
    };
    named.iter().map(cell).collect()
}

fn change(action: Action<'static>) -> Change<'static> {
    Change { table: TableName::parse("t".into()), action }
}

fn insert(named: &[(&'static str, &str)], key: &[&'static str]) -> Change<'static> {
    let primary_key = key.iter().map(|name| Cow::Borrowed(*name)).collect();
    change(Action::Insert { row: cells(named), primary_key })
}

fn delete(named: &[(&'static str, &str)]) -> Change<'static> {
    change(Action::Delete { key: Key { cells: cells(named), is_tables: false, omits_nulls: false, is_one_row: false } })
}

fn kind(error: StoreError) -> ProblemType {
    match error {
        StoreError::Document(problem) => problem.kind,
        other => panic!("{other:?} is no document's fault"),
    }
}

/// What is needed, as names; of a table with its primary key behind a bar.
fn named(table: Option<&Fixed>, change: &Change<'_>, create: bool) -> Result<Vec<String>, ProblemType> {
    let rules = ApplyRules { create, ..ApplyRules::default() };
    let names = |cell: &Cell<'_>| cell.name.to_string();
    match needed(table, change, &rules).map_err(kind)? {
        Needed::Table { row, primary_key } => {
            Ok(row.iter().map(names).chain(["|".to_owned()]).chain(primary_key).collect())
        }
        Needed::Columns(missing) => Ok(missing.into_iter().map(names).collect()),
    }
}

#[test]
fn a_change_gets_the_table_and_the_columns_that_it_may_have() {
    use ProblemType::{NameConflict, UnknownColumn, UnknownTable};
    let table = fixed();
    let int = "integer";
    let here = Some(&table);
    for (table, change, create, expected) in [
        // In the row's order, with the key that the document names where the row has it whole.
        (None, insert(&[("b", int), ("a", int)], &[]), true, Ok(vec!["b", "a", "|"])),
        (None, insert(&[("b", int), ("a", int)], &["a"]), true, Ok(vec!["b", "a", "|", "a"])),
        (None, insert(&[("b", int)], &["a"]), true, Ok(vec!["b", "|"])),
        (None, insert(&[("a", int)], &[]), false, Err(UnknownTable)),
        (None, delete(&[("a", int)]), true, Err(UnknownTable)),
        (None, change(Action::Truncate), true, Err(UnknownTable)),
        (None, insert(&[("ctid", int)], &[]), true, Err(NameConflict)),
        (here, insert(&[("id", int)], &[]), false, Ok(vec![])),
        (here, insert(&[("y", int), ("id", int), ("x", int)], &[]), true, Ok(vec!["y", "x"])),
        (here, insert(&[("x", int)], &[]), false, Err(UnknownColumn)),
        (here, insert(&[("name", int)], &[]), true, Err(NameConflict)),
        (here, insert(&[("ID", int)], &[]), false, Err(NameConflict)),
        (here, insert(&[("ctid", int)], &[]), true, Err(NameConflict)),
        // A column that is added would not bring a row with the key's value.
        (here, delete(&[("x", int)]), true, Err(UnknownColumn)),
        (here, delete(&[("NOTE", int)]), true, Err(NameConflict)),
        (here, change(Action::Truncate), true, Ok(vec![])),
    ] {
        let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(named(table, &change, create), expected, "{change:?}, create: {create}");
    }
}

#[test]
fn a_cell_is_admitted_by_its_columns_type_or_refused() {
    use ProblemType::{ConstraintViolated, NameConflict, TypeConflict, UnknownColumn};
    let table = fixed();
    for (column, declared, is_set, expected) in [
        ("id", "integer", true, Ok(false)),
        ("id", "bigint", true, Ok(true)),
        ("id", "boolean", true, Err(TypeConflict)),
        ("Name", "varchar(3)", true, Ok(true)),
        ("name", "text", true, Err(NameConflict)),
        ("x", "text", true, Err(UnknownColumn)),
        ("made", "integer", true, Err(ConstraintViolated)),
        ("made", "integer", false, Ok(false)),
        ("made", "boolean", true, Err(TypeConflict)),
    ] {
        let found = admits(&table, &insert(&[(column, declared)], &[]), |_| is_set);
        let found = found.map_err(kind).map(|admits| admits[0].is_some());
        assert_eq!(found, expected, "{column} {declared} {is_set}");
    }
}

#[test]
fn a_value_that_does_not_fit_the_column_is_the_documents_fault() {
    let name = TableName::parse("t".into());
    for (column, value, expected) in [
        ("smallint", Value::Whole(1), None),
        ("smallint", Value::Whole(70_000), Some(ProblemType::ValueOutOfRange)),
        ("boolean", Value::Whole(1), Some(ProblemType::InvalidValue)),
    ] {
        let cell = Cell { name: "c".into(), column_type: ColumnType::parse("bigint"), value };
        let found = admitted(&ColumnType::parse(column), &name, &cell).err().map(kind);
        assert_eq!(found, expected, "{column}");
    }
}

#[test]
fn a_key_gets_an_index_in_a_table_of_ours_where_none_leads_with_its_columns() {
    let (int, text) = ("integer", "text");
    let many: Vec<_> = (0..6).map(|_| ("id", int)).collect();
    for (key, leading, is_ours, expected) in [
        (&[("id", int)][..], None, true, Some((Indexing::Ordered, 1))),
        (&[("id", int)], Some("id"), true, None),
        (&[("id", int), ("made", int)], Some("made"), true, None),
        (&[("id", int)], Some("note"), true, Some((Indexing::Ordered, 1))),
        (&[("id", int)], None, false, None),
        (&[("note", text), ("id", int)], None, true, Some((Indexing::Ordered, 1))),
        (&[("note", text), ("Name", text)], None, true, Some((Indexing::Hashed, 1))),
        (&[("blob", "bytea")], None, true, None),
        (&[("x", int)], None, true, None),
        (&many, None, true, Some((Indexing::Ordered, INDEX_COLUMNS_MAX))),
    ] {
        let leading = leading.into_iter().map(str::to_owned).collect();
        let table = Fixed { leading, is_ours, ..fixed() };
        let change = delete(key);
        let found = missing_index(&table, &change).map(|(how, columns)| (how, columns.len()));
        assert_eq!(found, expected, "{key:?}");
    }
    let rows = insert(&[("id", int)], &[]);
    assert_eq!(missing_index(&fixed(), &rows), None, "an insert has no key");
}

#[test]
fn a_table_is_found_by_its_name_in_the_same_letter_case() {
    for (name, found, expected) in [
        ("t", None, None),
        ("t", Some("t"), None),
        ("t", Some("T"), Some(ProblemType::NameConflict)),
        ("Ab", Some("aB"), Some(ProblemType::NameConflict)),
    ] {
        assert_eq!(same_case(name, found).err().map(kind), expected, "{name} {found:?}");
    }
}
