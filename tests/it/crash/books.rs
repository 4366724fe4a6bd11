//! Looks at a store from beside the program, and compares it with what the clients know.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ledger::{Kind, Ledger};
use crate::support::{PATIENCE, Sql};

/// Where the rows are.
#[derive(Debug)]
pub(crate) enum Books {
    /// The file of a SQLite store.
    Sqlite(PathBuf),
    /// The URL of a database of PostgreSQL.
    Postgres(String),
}

/// The first offset without an outcome, by partition.
pub(crate) type Standings = BTreeMap<i64, i64>;

impl Books {
    /// Rows of two numbers; none when the store is down, or a table is not there yet.
    fn pairs(&self, sql: &str) -> Option<Vec<(u64, u64)>> {
        match self {
            Books::Sqlite(file) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
                let file = rusqlite::Connection::open_with_flags(file, flags).ok()?;
                file.busy_timeout(PATIENCE).ok()?;
                let mut statement = file.prepare(sql).ok()?;
                let pair = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
                let pairs: Result<Vec<_>, _> = statement.query_map([], pair).ok()?.collect();
                Some(pairs.ok()?.into_iter().map(|(a, b)| (a.cast_unsigned(), b.cast_unsigned())).collect())
            }
            Books::Postgres(url) => {
                let rows = Sql::open(url)?.query(sql).ok()?;
                rows.iter().map(|row| Some((row.first()?.parse().ok()?, row.get(1)?.parse().ok()?))).collect()
            }
        }
    }

    /// How far apply is; none before it has begun.
    pub(crate) fn standings(&self) -> Option<Standings> {
        let sql = r#"SELECT "partition", next_offset FROM "_sluicegate_positions" WHERE stream = 'activities'"#;
        let pairs = self.pairs(sql)?;
        Some(pairs.into_iter().map(|(partition, next)| (partition.cast_signed(), next.cast_signed())).collect())
    }

    /// How many documents have their outcome.
    pub(crate) fn settled(&self) -> Option<u64> {
        Some(self.standings()?.values().map(|next| next.cast_unsigned()).sum())
    }

    /// The numbers of the documents among the dead letters, and how often each is there.
    fn letters(&self) -> BTreeMap<u64, u64> {
        let number = match self {
            Books::Sqlite(_) => "json_extract(CAST(value AS TEXT), '$.activities[0].col_values[0]')",
            Books::Postgres(_) => "convert_from(value, 'UTF8')::json #>> '{activities,0,col_values,0}'",
        };
        let sql = format!(r#"SELECT {number}, count(*) FROM "_sluicegate_dead_letters" GROUP BY 1"#);
        self.pairs(&sql).expect("there are books").into_iter().collect()
    }

    /// Compares the store with what the clients know: what was acknowledged is there, whole and once.
    #[track_caller]
    pub(crate) fn inspect(&self, ledger: &Ledger) {
        let mut rows: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let sql = r#"SELECT number, part FROM "left" UNION ALL SELECT number, part FROM "right" ORDER BY part"#;
        for (number, part) in self.pairs(sql).expect("there are tables") {
            rows.entry(number).or_default().push(part);
        }
        let letters = self.letters();
        let documents = ledger.documents();
        for (number, is_acknowledged) in documents.iter() {
            let rows = rows.remove(number).unwrap_or_default();
            let letters = letters.get(number).copied().unwrap_or(0);
            let is_whole = match Kind::of(*number) {
                Kind::Failing => rows.is_empty() && letters == 1,
                _ => rows == [1, 2, 3] && letters == 0,
            };
            let is_absent = rows.is_empty() && letters == 0;
            assert!(
                is_whole || is_absent && !is_acknowledged,
                "document {number} ({:?}, acknowledged: {is_acknowledged}) has the rows {rows:?} and {letters} letters",
                Kind::of(*number)
            );
        }
        assert!(rows.is_empty(), "nobody sent these: {rows:?}");
        let count = documents.values().filter(|is_acknowledged| **is_acknowledged).count();
        println!("{count} of {} documents were acknowledged", documents.len());
        assert!(count > 0);
    }
}
