//! From a change to a plan: the tables, columns and indexes it needs are made here.
//!
//! Whoever makes something holds an advisory lock until the end of the transaction and has read the catalogue again under
//! it, so that two partitions that first meet a table make it once. What is made goes with the document that is undone.

use std::sync::{Arc, OnceLock};

use super::catalogue::{Place, Table, ground, load, other_case};
use super::connection::Connection;
use super::ddl;
use super::plans::{Bulk, Plan, Plans, is_exact};
use super::rights;
use super::schema::{LOCK, lock_of};
use super::sql::{Shaped, cell, keeps_key};
use crate::change::{Action, Change, KeyColumns};
use crate::store::keyed::{self, Keyed};
use crate::store::needs::{self, Needed};
use crate::store::{ApplyRules, StoreError};
use crate::words::Operation;

/// Where plans are made, and by which rules.
pub(super) struct Planner<'p> {
    pub(super) connection: &'p Connection,
    pub(super) plans: &'p mut Plans,
    pub(super) rules: &'p ApplyRules,
    /// The schema of the books, and of tables that name none.
    pub(super) schema: &'p str,
    /// The SQL that ran, when somebody wants to see it.
    pub(super) statements: &'p mut Option<Vec<String>>,
}

impl Planner<'_> {
    /// `change` with its key, where it leaves that to the table.
    pub(super) async fn keyed<'c, 'a>(&mut self, change: &'c Change<'a>) -> Result<Keyed<'c, 'a>, StoreError> {
        if !change.is_by_tables_key() {
            return Ok(Keyed::AsItCame(change));
        }
        let place = Place::of(&change.table, self.schema);
        let is_remembered = self.plans.tables.contains_key(&place);
        let table = self.table(&place).await?;
        match keyed::told(change, self.rules, table.as_ref().map(|table| &*table.primary_key)) {
            Err(StoreError::Document(_)) if is_remembered => {
                self.plans.tables.remove(&place);
                let table = self.table(&place).await?;
                keyed::told(change, self.rules, table.as_ref().map(|table| &*table.primary_key))
            }
            other => other,
        }
    }

    /// The plan for `change`. A verdict on a document is never reached by what is only remembered of a table.
    pub(super) async fn plan(&mut self, change: &Change<'_>) -> Result<Arc<Plan>, StoreError> {
        let place = Place::of(&change.table, self.schema);
        let is_remembered = self.plans.tables.contains_key(&place);
        let plan = match self.make(change, &place).await {
            Err(StoreError::Document(_)) if is_remembered => {
                self.plans.tables.remove(&place);
                self.make(change, &place).await?
            }
            other => other?,
        };
        Ok(plan)
    }

    async fn make(&mut self, change: &Change<'_>, place: &Place) -> Result<Arc<Plan>, StoreError> {
        let mut table = self.table(place).await?;
        let mut needed = self.needed(table.as_deref(), change, place).await?;
        if !needed.is_empty() {
            // One lock for all tables: locks on several could be waited for in a circle.
            let lock = "SELECT pg_advisory_xact_lock($1, $2)";
            self.connection.execute(lock, &[&LOCK, &(lock_of(self.schema) ^ 1)]).await?;
            self.plans.tables.remove(place);
            table = self.table(place).await?;
            needed = self.needed(table.as_deref(), change, place).await?;
        }
        if !needed.is_empty() {
            self.plans.changes += 1;
            self.plans.made.note_statements(table.is_none(), change, needed.len(), self.rules)?;
            for sql in &needed {
                match sql.starts_with("CREATE INDEX") {
                    true => self.connection.run_long(sql).await?,
                    false => self.connection.run_for_document(sql).await?,
                }
                if let Some(statements) = self.statements {
                    statements.push(sql.clone());
                }
            }
            if table.is_none() {
                let sql = ddl::note(self.schema);
                let noted = self.connection.execute(&sql, &[&place.schema, &place.name]).await;
                noted.map_err(StoreError::of_the_books_after_documents)?;
            }
            self.plans.tables.remove(place);
            self.plans.forget_plans();
            table = self.table(place).await?;
        }
        let Some(table) = table else {
            return Err(StoreError::later(format!("table {} was removed while it was made", change.table)));
        };
        self.shape(table, change)
    }

    /// Looks a table up; in the database if it was not looked up before.
    async fn table(&mut self, place: &Place) -> Result<Option<Arc<Table>>, StoreError> {
        if let Some(known) = self.plans.tables.get(place) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(table) = load(self.connection, self.schema, place).await? else { return Ok(None) };
        let table = Arc::new(table);
        self.plans.tables.insert(place.clone(), Arc::clone(&table));
        Ok(Some(table))
    }

    /// The statements that make what the change needs.
    async fn needed(
        &self,
        table: Option<&Table>,
        change: &Change<'_>,
        place: &Place,
    ) -> Result<Vec<String>, StoreError> {
        if let Some(table) = table {
            rights::check(table, change)?;
            let mut needed = match needs::needed(Some(table), change, self.rules)? {
                Needed::Columns(missing) => missing.into_iter().map(|cell| ddl::add(table, cell)).collect(),
                Needed::Table { .. } => Vec::new(),
            };
            if !needed.is_empty() {
                rights::check_owner(table, "add columns to it")?;
            }
            // What only makes it faster or lets it be published is no reason to refuse a document.
            if table.rights.is_owner {
                if known_columns(table, change) {
                    needed.extend(ddl::missing_index(table, change));
                }
                needed.extend(ddl::missing_identity(table, change));
                needed.extend(ddl::json_index(Some(table), place, change, self.rules));
            }
            return Ok(needed);
        }
        needs::same_case(&place.name, other_case(self.connection, place).await?.as_deref())?;
        let Needed::Table { row, primary_key } = needs::needed(None::<&Table>, change, self.rules)? else {
            return Ok(Vec::new());
        };
        let ground = ground(self.connection, place).await?;
        if !ground.may_create {
            let (what, grant) = ground.grant(&place.schema);
            return Err(rights::forbidden(&what, &grant));
        }
        let mut needed = Vec::new();
        if !ground.has_schema {
            needed.push(ddl::create_schema(&place.schema));
        }
        needed.push(ddl::create(place, row, &primary_key));
        needed.extend(ddl::json_index(None, place, change, self.rules));
        Ok(needed)
    }

    fn shape(&mut self, table: Arc<Table>, change: &Change<'_>) -> Result<Arc<Plan>, StoreError> {
        let shaped = Shaped { change, keeps_key: keeps_key(change) };
        let set = shaped.set();
        let mut bound = set.clone();
        bound.extend(shaped.compared());
        let admits = needs::admits(&*table, change, |at| set.contains(&at))?.into_iter().enumerate();
        let admits = admits.filter(|(at, _)| bound.contains(at)).map(|(_, column_type)| column_type).collect();
        keyed::check_unique(change, &table.unique_keys)?;
        let single = shaped.single(&table);
        let bulk = bulk(&shaped, &table);
        let hashed = hashed(&shaped, &table);
        let statement = OnceLock::new();
        let make = |id, shape| Plan { id, shape, table, bound, admits, single, statement, bulk, hashed };
        Ok(self.plans.keep(change, make))
    }
}

fn known_columns(table: &Table, change: &Change<'_>) -> bool {
    change.cells().all(|cell| table.column(&cell.name).is_some())
}

fn bulk(shaped: &Shaped<'_, '_>, table: &Table) -> Bulk {
    let change = shaped.change;
    let is_comparable = || {
        let compared = shaped.compared();
        compared
            .iter()
            .filter_map(|at| cell(change, *at))
            .all(|cell| table.column(&cell.name).is_some_and(|column| column.has_equality))
            && !compared.is_empty()
    };
    match &change.action {
        Action::Insert { .. } if table.takes_copies => {
            Bulk::Copy { sql: shaped.copy(table), statement: OnceLock::new() }
        }
        // An update that moves its key changes what the next one finds, and one of a unique column could collide on
        // its way; see `hashed` for those that are left.
        Action::Update { key, .. }
            if table.takes_joins
                && !key.omits_nulls
                && is_comparable()
                && !shaped.is_one(table)
                && hashed(shaped, table).is_some()
                && !moves(shaped, table) =>
        {
            joined(shaped, table)
        }
        Action::Delete { key } if table.takes_joins && !key.omits_nulls && is_comparable() && !shaped.is_one(table) => {
            joined(shaped, table)
        }
        // One statement touches a row once.
        Action::Upsert { key: KeyColumns::Named(key), .. }
            if table.takes_joins
                && table.primary_key.len() == key.len()
                && table.primary_key.iter().all(|column| key.iter().any(|name| name == column))
                && hashed(shaped, table).is_some() =>
        {
            joined(shaped, table)
        }
        _ => Bulk::None,
    }
}

fn joined(shaped: &Shaped<'_, '_>, table: &Table) -> Bulk {
    shaped.join(table).map_or(Bulk::None, |(sql, types)| Bulk::Join { sql, types })
}

/// Whether an update sets a column that its key compares, or one that something unique is made of.
fn moves(shaped: &Shaped<'_, '_>, table: &Table) -> bool {
    let (_, _, key) = shaped.change.parts();
    shaped.set().iter().filter_map(|at| cell(shaped.change, *at)).any(|cell| {
        key.is_some_and(|key| key.cells.iter().any(|known| known.name == cell.name))
            || table.unique.contains(&*cell.name)
            || table.unique.contains("")
    })
}

/// The cells that tell rows apart: those of the primary key where that is all that must be unique, else those of the key.
fn hashed(shaped: &Shaped<'_, '_>, table: &Table) -> Option<Vec<usize>> {
    let change = shaped.change;
    let (operation, row, key) = change.parts();
    let exact = |at: &usize| {
        let cell = cell(change, *at)?;
        is_exact(table.column(&cell.name)?, &cell.column_type).then_some(*at)
    };
    if operation == Operation::Truncate || key.is_some_and(|key| key.omits_nulls) {
        return None;
    }
    if !table.has_one_key {
        // Only whether two updates meet the same row is asked then.
        let compared = shaped.compared();
        let is_whole = !compared.is_empty() && operation == Operation::Update;
        return is_whole.then(|| compared.iter().map(exact).collect::<Option<Vec<_>>>()).flatten();
    }
    let named = key.map_or(row, |key| &key.cells);
    let first = if key.is_some() { row.len() } else { 0 };
    if key.is_some() && named.len() != table.primary_key.len() || operation == Operation::Update && moves(shaped, table)
    {
        return None;
    }
    let place = |column: &String| named.iter().position(|cell| cell.name == *column).map(|at| first + at);
    table.primary_key.iter().map(|column| exact(&place(column)?)).collect()
}
