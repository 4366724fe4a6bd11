//! The names met in one document, to find two that differ in ASCII letter case only: SQLite cannot hold both.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::change::TableName;

/// So many names are searched one by one; more are hashed, so that nobody can buy quadratic time with many names.
const FEW: usize = 32;

/// The tables met so far, each with its columns.
#[derive(Debug, Default)]
pub(super) struct SeenTables<'a> {
    tables: Vec<SeenTable<'a>>,
    by_name: HashMap<TableName<'a>, usize>,
    /// The names of the tables, folded, once there are many.
    spellings: HashMap<String, String>,
    /// The table that was met last: most documents go on with it.
    last: usize,
}

#[derive(Debug)]
struct SeenTable<'a> {
    name: TableName<'a>,
    columns: SeenNames<'a>,
}

impl<'a> SeenTables<'a> {
    /// Whether `table` was met before, exactly so. It is the last one from then on.
    pub(super) fn knows(&mut self, table: &TableName<'a>) -> bool {
        let is_it = |seen: &SeenTable<'_>| seen.name == *table;
        if self.tables.get(self.last).is_some_and(is_it) {
            return true;
        }
        let found = match self.tables.len() {
            0..=FEW => self.tables.iter().position(is_it),
            _ => self.by_name.get(table).copied(),
        };
        if let Some(index) = found {
            self.last = index;
        }
        found.is_some()
    }

    /// Remembers a table that was not met before. Gives the other spelling of its name, if there was one.
    pub(super) fn add(&mut self, table: &TableName<'a>) -> Option<String> {
        let other = match self.tables.len() {
            0..FEW => {
                self.tables.iter().map(|seen| &seen.name).find(|seen| is_other_spelling(seen, table)).map(spelling)
            }
            _ => {
                let fresh = self.by_name.len()..self.tables.len();
                for seen in self.tables[fresh.clone()].iter().map(|seen| spelling(&seen.name)) {
                    self.spellings.insert(seen.to_ascii_lowercase(), seen);
                }
                self.by_name.extend(fresh.map(|index| (self.tables[index].name.clone(), index)));
                self.by_name.insert(table.clone(), self.tables.len());
                let name = spelling(table);
                let known = self.spellings.entry(name.to_ascii_lowercase()).or_insert_with(|| name.clone());
                (*known != name).then(|| known.clone())
            }
        };
        self.last = self.tables.len();
        self.tables.push(SeenTable { name: table.clone(), columns: SeenNames::default() });
        other
    }

    /// Remembers a column of the last table. Gives the other spelling of its name, if there was one.
    pub(super) fn add_column(&mut self, column: Cow<'a, str>) -> Option<String> {
        self.tables.get_mut(self.last)?.columns.add(column)
    }
}

/// The name as a store without schemas has it.
fn spelling(table: &TableName<'_>) -> String {
    match table.schema.as_deref() {
        None | Some("public") => table.name.to_string(),
        Some(_) => table.to_string(),
    }
}

fn is_other_spelling(one: &TableName<'_>, other: &TableName<'_>) -> bool {
    let schema = |table: &TableName<'_>| table.schema.as_deref().unwrap_or("public").to_ascii_lowercase();
    one.name.eq_ignore_ascii_case(&other.name) && schema(one) == schema(other) && spelling(one) != spelling(other)
}

#[derive(Debug, Default)]
struct SeenNames<'a> {
    few: Vec<Cow<'a, str>>,
    /// By their folded spelling.
    many: HashMap<String, Cow<'a, str>>,
}

impl<'a> SeenNames<'a> {
    fn add(&mut self, name: Cow<'a, str>) -> Option<String> {
        if self.few.contains(&name) {
            return None;
        }
        if let Some(other) = self.few.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            return Some(other.to_string());
        }
        if self.few.len() < FEW {
            self.few.push(name);
            return None;
        }
        let known = self.many.entry(name.to_ascii_lowercase()).or_insert_with(|| name.clone());
        (*known != name).then(|| known.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_found_among_few_and_many() {
        let mut seen = SeenNames::default();
        for number in 0..100 {
            assert_eq!(seen.add(format!("column{number}").into()), None);
            assert_eq!(seen.add(format!("column{number}").into()), None);
        }
        for number in [0, 31, 32, 99] {
            assert_eq!(seen.add(format!("Column{number}").into()), Some(format!("column{number}")));
        }
    }

    #[test]
    fn tables_are_known_among_few_and_many() {
        let mut seen = SeenTables::default();
        let table = |number: usize| TableName { schema: None, name: format!("table{number}").into() };
        for number in 0..100 {
            assert!(!seen.knows(&table(number)));
            assert_eq!(seen.add(&table(number)), None);
            assert!(seen.knows(&table(number / 2)));
        }
    }
}
