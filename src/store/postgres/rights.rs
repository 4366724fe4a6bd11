//! What the role may do to a table, asked before a document's statement runs: so a document that asks for more is refused
//! with the statement that would allow it, and one that does not is not held up by it.

use super::catalogue::{Table, quote};
use super::sql::{Shaped, keeps_key};
use crate::change::{Action, Change};
use crate::problem::ProblemType;
use crate::store::StoreError;

/// The rights of the role that are about a table as a whole.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// The role's name, quoted.
    pub(super) role: String,
    /// The owner's, quoted.
    pub(super) owner: String,
    /// Whether the role is the owner, or a member of it.
    pub(super) is_owner: bool,
    /// Whether it may use the schema.
    pub(super) may_use: bool,
    pub(super) may_select: bool,
    pub(super) may_delete: bool,
    pub(super) may_truncate: bool,
}

/// The rights of the role that are about a column; those of its table count for each.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ColumnRights {
    pub(super) may_select: bool,
    pub(super) may_insert: bool,
    pub(super) may_update: bool,
}

/// A refusal for want of a right; `grant` is the statement that gives it.
pub(super) fn forbidden(what: &str, grant: &str) -> StoreError {
    StoreError::document(ProblemType::ForbiddenTable, format!("{what}; `{grant}` would allow it"))
}

/// Fails when the role may not make `change`.
pub(super) fn check(table: &Table, change: &Change<'_>) -> Result<(), StoreError> {
    let Rights { role, may_use, may_select, may_delete, may_truncate, .. } = &table.rights;
    if !may_use {
        let schema = quote(&table.schema);
        return Err(forbidden(
            &format!("the role {role} may not use the schema {schema}"),
            &format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        ));
    }
    let (_, row, key) = change.parts();
    let lacking = |names: &mut dyn Iterator<Item = &str>, may: fn(&ColumnRights) -> bool| {
        let lacks = |name: &&str| table.column(name).is_some_and(|column| !may(&column.rights));
        names.filter(lacks).map(quote).collect::<Vec<_>>().join(", ")
    };
    let row = || row.iter().map(|cell| &*cell.name);
    let key = || key.into_iter().flat_map(|key| &key.cells).map(|cell| &*cell.name);
    let mut wanted = Vec::new();
    let mut want = |right: &str, columns: String| {
        if !columns.is_empty() {
            wanted.push(format!("{right} ({columns})"));
        }
    };
    // One of several rows is told by its place, which no grant of a column lets anybody see.
    let needs_place = Shaped { change, keeps_key: keeps_key(change) }.is_one(table);
    let unseen = |names: &mut dyn Iterator<Item = &str>| match needs_place {
        true => String::new(),
        false => lacking(names, |rights| rights.may_select),
    };
    match &change.action {
        Action::Insert { .. } => want("INSERT", lacking(&mut row(), |rights| rights.may_insert)),
        Action::Update { .. } => {
            want("SELECT", unseen(&mut key()));
            want("UPDATE", lacking(&mut row(), |rights| rights.may_update));
        }
        Action::Upsert { .. } => {
            want("INSERT", lacking(&mut row(), |rights| rights.may_insert));
            want("UPDATE", lacking(&mut row(), |rights| rights.may_update));
        }
        Action::Delete { .. } => want("SELECT", unseen(&mut key())),
        Action::Truncate => {}
    }
    match &change.action {
        Action::Truncate if table.takes_truncate && !may_truncate => wanted.push("TRUNCATE".into()),
        Action::Delete { .. } if !may_delete => wanted.push("DELETE".into()),
        Action::Truncate if !table.takes_truncate && !may_delete => wanted.push("DELETE".into()),
        _ => {}
    }
    if needs_place && !may_select {
        wanted.insert(0, "SELECT".into());
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let (wanted, table) = (wanted.join(", "), table.quoted());
    Err(forbidden(
        &format!("the role {role} lacks {wanted} on table {table}"),
        &format!("GRANT {wanted} ON {table} TO {role}"),
    ))
}

/// Fails when the role may not alter the table, as an owner may.
pub(super) fn check_owner(table: &Table, what: &str) -> Result<(), StoreError> {
    let Rights { role, owner, is_owner, .. } = &table.rights;
    if *is_owner {
        return Ok(());
    }
    let table = table.quoted();
    Err(forbidden(
        &format!("table {table} belongs to {owner}, and so the role {role} may not {what}"),
        &format!("GRANT {owner} TO {role}"),
    ))
}
