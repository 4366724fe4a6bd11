//! What is kept from who may write and not read: with `read: {tables: […]}`, a database's own words about other tables, and
//! the statements of a dry run. They name columns, values and whether a table is there.
//!
//! That a document was refused, and by which type of problem, is its sender's to know. The log and the commands tell all.

use crate::problem::{Problem, ProblemType, TABLES_MAX};
use crate::store::readable::Readable;
use crate::store::rows::Listed;

/// What is kept back at this moment.
pub struct Veil<'s> {
    /// None: nothing is.
    readable: Option<&'s Readable>,
    /// The tables that there are; none when the store does not say.
    tables: Option<Vec<Listed>>,
}

impl<'s> Veil<'s> {
    /// What is kept back of what is said about these tables; none when the store does not say which there are.
    pub fn new(readable: &'s Readable, tables: Option<Vec<Listed>>) -> Self {
        Veil { readable: Some(readable).filter(|readable| !readable.tells_all()), tables }
    }

    /// Whether one of these tables is not shown. One that is not there is judged by its name, so that nothing tells it from
    /// one that is.
    pub fn hides(&self, tables: &[String]) -> bool {
        let Some(readable) = self.readable else { return false };
        tables.len() >= TABLES_MAX
            || tables.iter().any(|name| match self.listed(name) {
                Some(table) => !readable.shows(table),
                None => !readable.shows(&named(name)),
            })
    }

    /// The problem as its sender may know it.
    pub fn over(&self, mut problem: Problem) -> Problem {
        let tables = std::mem::take(&mut problem.tables);
        if !is_databases(problem.kind) || !(self.hides(&tables) || self.is_named_in(&problem.detail)) {
            return problem;
        }
        "what the database says is not told here, since the document names a table, or the database does, that is not \
         among those of `read`; the dead letter, as `sluicegate dead-letters show` prints it, says it"
            .clone_into(&mut problem.detail);
        problem.errors.clear();
        problem
    }

    /// Words of the database for who may read no more than what is shown.
    pub fn over_words(&self, words: String) -> String {
        match self.is_named_in(&words) {
            true => "what the database says names a table that is not among those of `read`; the log says it".into(),
            false => words,
        }
    }

    fn listed(&self, name: &str) -> Option<&Listed> {
        self.tables.as_ref()?.iter().find(|table| table.name == name || table.full_name == name)
    }

    /// Whether words name a table that is not shown, or something that is called after it, such as its primary key. The
    /// longest name counts: `item_secret` is no word about `item`.
    fn is_named_in(&self, words: &str) -> bool {
        let Some(readable) = self.readable else { return false };
        let Some(tables) = &self.tables else { return true };
        let mut names: Vec<_> = tables.iter().map(|table| (bare(table), readable.shows(table))).collect();
        names.sort_by_key(|(name, is_shown)| (std::cmp::Reverse(name.len()), *is_shown));
        let mut words = words.to_lowercase();
        for (name, is_shown) in names {
            let name = name.to_lowercase();
            if !is_shown && places(&words, &name).next().is_some() {
                return true;
            }
            let found: Vec<_> = places(&words, &name).collect();
            for at in found {
                words.replace_range(at..at + name.len(), &"\0".repeat(name.len()));
            }
        }
        false
    }
}

/// A table that is not there, by the name that it would have.
fn named(name: &str) -> Listed {
    let full_name = if name.contains('.') { name.to_owned() } else { format!("public.{name}") };
    let name = name.strip_prefix("public.").unwrap_or(name).to_owned();
    Listed { name, full_name, is_ours: false }
}

/// A table's name without its schema: a database's words often leave it out.
fn bare(table: &Listed) -> &str {
    let schema = table.full_name.strip_suffix(&table.name).filter(|schema| !schema.is_empty());
    match (schema, table.name.split_once('.')) {
        (None, Some((_, bare))) => bare,
        _ => &table.name,
    }
}

/// Where a name stands by itself, or with something behind or before it by `_`.
fn places<'w>(words: &'w str, name: &'w str) -> impl Iterator<Item = usize> + 'w {
    let is_end = |char: Option<char>| !char.is_some_and(char::is_alphanumeric);
    words
        .match_indices(name)
        .map(|(at, _)| at)
        .filter(move |at| is_end(words[..*at].chars().next_back()) && is_end(words[*at + name.len()..].chars().next()))
}

/// Whether a problem of this type says what a database thinks of a document.
fn is_databases(kind: ProblemType) -> bool {
    use ProblemType::{
        ConstraintViolated, DatabaseRefused, ForbiddenTable, InvalidValue, NameConflict, TooManyNames, TypeConflict,
        UnknownColumn, UnknownKey, UnknownTable, ValueOutOfRange,
    };
    matches!(
        kind,
        ConstraintViolated
            | DatabaseRefused
            | ForbiddenTable
            | InvalidValue
            | NameConflict
            | TooManyNames
            | TypeConflict
            | UnknownColumn
            | UnknownKey
            | UnknownTable
            | ValueOutOfRange
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, full_name: &str) -> Listed {
        Listed { name: name.into(), full_name: full_name.into(), is_ours: false }
    }

    #[test]
    fn words_that_name_a_table_that_is_not_shown_are_kept_back() {
        let readable = Readable::named(&["item".into(), "item_log".into(), "game.*".into()]);
        let tables = vec![
            listed("item", "public.item"),
            listed("item_log", "public.item_log"),
            listed("item_secret", "public.item_secret"),
            listed("Hidden", "public.Hidden"),
            listed("hr.pay", "hr.pay"),
            listed("game.swords", "game.swords"),
        ];
        let veil = Veil { readable: Some(&readable), tables: Some(tables) };
        for (words, is_kept_back) in [
            ("NOT NULL constraint failed: hidden.salary", true),
            ("NOT NULL constraint failed: item.salary", false),
            ("violates unique constraint \"item_pkey\"", false),
            ("violates unique constraint \"item_log_pkey\"", false),
            ("violates unique constraint \"item_secret_pkey\"", true),
            ("relation \"pay\" has no column \"id\"", true),
            ("relation \"game.swords\" has no column \"id\"", false),
            ("differs in case only from \"Hidden\"", true),
            ("nothing was hiddenly done", false),
        ] {
            assert_eq!(veil.is_named_in(words), is_kept_back, "{words}");
            let problem = Problem::new(ProblemType::ConstraintViolated, words);
            assert_eq!(veil.over(problem).detail != words, is_kept_back, "{words}");
            let problem = Problem::new(ProblemType::UnreadableRecord, words);
            assert_eq!(veil.over(problem).detail, words, "what the gate says is about the document alone");
        }
        for (table, is_hidden) in [
            ("item", false),
            ("public.item", false),
            ("hidden", true),
            ("Hidden", true),
            ("nowhere", true),
            ("hr.pay", true),
            ("game.new", false),
        ] {
            assert_eq!(veil.hides(&[table.to_owned()]), is_hidden, "{table}");
            let problem = Problem::new(ProblemType::DatabaseRefused, "no").about(vec![table.to_owned()]);
            assert_eq!(veil.over(problem).detail != "no", is_hidden, "{table}");
        }
    }

    #[test]
    fn nothing_is_kept_back_unless_a_person_said_so_and_everything_when_the_store_does_not_answer() {
        let problem =
            || Problem::new(ProblemType::ConstraintViolated, "failed: hidden.salary").about(vec!["hidden".into()]);
        let all = Veil { readable: None, tables: None };
        assert_eq!(all.over(problem()), Problem { tables: Vec::new(), ..problem() });
        let readable = Readable::named(&["item".into()]);
        let silent = Veil { readable: Some(&readable), tables: None };
        assert_ne!(silent.over(problem().about(Vec::new())).detail, problem().detail);
        assert!(!silent.hides(&["item".into()]) && silent.hides(&["hidden".into()]));
    }
}
