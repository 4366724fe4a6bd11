//! Which tables may be read back over HTTP: those that the configuration names, or else those that its streams write.
//!
//! It does not know where a table's name came from, and asks no database.

use super::rows::Listed;
use crate::change::pattern;

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    patterns: Vec<String>,
    names: Vec<String>,
    is_ours_shown: bool,
    /// Whether a person said which.
    is_named: bool,
}

impl Readable {
    /// What a person named.
    pub fn named(patterns: &[String]) -> Self {
        Readable { patterns: patterns.to_vec(), is_named: true, ..Readable::nothing() }
    }

    /// Nothing yet; see [`Readable::add_table`] and [`Readable::add_writable`].
    pub fn nothing() -> Self {
        Readable { patterns: Vec::new(), names: Vec::new(), is_ours_shown: false, is_named: false }
    }

    /// Everything there is.
    pub fn all() -> Self {
        Readable::named(&["*".to_owned()])
    }

    /// The table of a stream.
    pub fn add_table(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// The tables that a stream may write. Patterns that name nothing (`*`) stand for the tables that we made: what others
    /// made and a stream only could write to may hold anything.
    pub fn add_writable(&mut self, patterns: &[String]) {
        for pattern in patterns {
            match pattern.chars().all(|char| matches!(char, '*' | '.')) {
                true => self.is_ours_shown = true,
                false => self.patterns.push(pattern.clone()),
            }
        }
    }

    /// Whether nothing needs to be kept from who may write: a person named nothing, or everything.
    pub fn tells_all(&self) -> bool {
        !self.is_named || self.patterns.iter().any(|pattern| pattern == "*")
    }

    /// Whether a table is shown.
    pub fn shows(&self, table: &Listed) -> bool {
        let by = |matches: &dyn Fn(&str) -> bool| matches(&table.name) || matches(&table.full_name);
        self.is_ours_shown && table.is_ours
            || self.names.iter().any(|name| by(&|table| table == name))
            || self.patterns.iter().any(|pattern| by(&|table| pattern::matches(pattern, table)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_shown_when_it_is_named_or_written() {
        let named =
            |patterns: &[&str]| Readable::named(&patterns.iter().map(|text| (*text).into()).collect::<Vec<_>>());
        let mut streams = Readable::nothing();
        streams.add_table("people");
        streams.add_table("sales.orders");
        streams.add_writable(&["game.*".to_owned()]);
        let mut any = streams.clone();
        any.add_writable(&["*".to_owned()]);
        for (readable, name, full_name, is_ours, expected) in [
            (&named(&["people", "game.*"]), "people", "public.people", false, true),
            (&named(&["people", "game.*"]), "game.swords", "game.swords", false, true),
            (&named(&["people", "game.*"]), "salaries", "public.salaries", false, false),
            (&named(&["people", "game.*"]), "item", "public.item", true, false),
            (&named(&["public.*"]), "people", "public.people", false, true),
            (&named(&["public.*"]), "people", "app.people", false, false),
            (&named(&["public.*"]), "hr.people", "hr.people", false, false),
            (&named(&["*"]), "hr.salaries", "hr.salaries", false, true),
            (&named(&["People"]), "people", "public.people", true, false),
            (&streams, "people", "public.people", false, true),
            (&streams, "sales.orders", "sales.orders", true, true),
            (&streams, "game.swords", "game.swords", false, true),
            (&streams, "item", "public.item", true, false),
            (&any, "item", "public.item", true, true),
            (&any, "salaries", "public.salaries", false, false),
            (&Readable::nothing(), "item", "public.item", true, false),
            (&Readable::all(), "item", "public.item", false, true),
        ] {
            let listed = Listed { name: name.into(), full_name: full_name.into(), is_ours };
            assert_eq!(readable.shows(&listed), expected, "{readable:?} {listed:?}");
        }
        let mut wide = Readable::nothing();
        wide.add_writable(&["*.*".to_owned()]);
        assert!(!wide.shows(&Listed { name: "a.b".into(), full_name: "a.b".into(), is_ours: false }));
    }
}
