//! The database that documents change: rows, and the books about what became of each document, in one transaction.
//!
//! A backend is one module here and one line in the registry. It writes SQL, reads its catalogue and makes the calls; what is
//! decided by what it has read is decided here, once for all of them.

pub mod books;
mod claims;
pub mod documents;
mod failure;
mod keyed;
pub mod keys;
pub mod made;
pub mod moves;
mod needs;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod readable;
pub mod rows;
pub mod selecting;
mod shape;
pub mod sqlite;
mod tally;
pub mod tries;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use self::books::Books;
pub use self::documents::{Document, Documents, Idempotency, Part, Reads};
pub use self::failure::{Next, StoreError};
use self::rows::Rows;
pub use self::tally::Tally;
use crate::change::{Change, TableName};
use crate::document::{Position, StreamName, TopicName};
use crate::problem::Problem;
use crate::record::Record;

/// A database. None of its methods, nor of what it gives, blocks the thread that polls it.
#[async_trait]
pub trait Store: Send + Sync {
    /// Tells this store from any other.
    fn identity(&self) -> &str;

    /// What names it can hold, and how it is best worked with.
    fn limits(&self) -> Limits;

    /// Makes the caller the one owner of a partition. Every earlier claim on it is void from then on: its next
    /// [`Transaction::advance`] fails with [`StoreError::Fenced`].
    async fn claim(&self, claim: ClaimRequest<'_>) -> Result<Claim, StoreError>;

    /// Begins a transaction: of the owner of a partition, who names its claim, or, without one, of somebody who moves no
    /// position. Dropped without a commit it leaves nothing behind.
    async fn begin<'s>(
        &'s self,
        rules: &'s ApplyRules,
        claim: Option<&Claim>,
    ) -> Result<Box<dyn Transaction + 's>, StoreError>;

    /// Applies documents and moves the claimed partition behind them, to `end`, in one transaction, when nothing is wrong
    /// with any of them. `Ok` tells the fate of each; of the first ones only when it was time to let others have their turn,
    /// and the partition stands at the next one then. None: nothing was done; [`Store::begin`] goes step by step, and finds
    /// what is wrong. It is for stores whose transactions run on another thread: each step there costs two switches.
    async fn apply_at_once(
        &self,
        rules: &ApplyRules,
        claim: &Claim,
        part: &Part,
        end: i64,
    ) -> Result<Option<Vec<Fate>>, StoreError> {
        let _ = (rules, claim, part, end);
        Ok(None)
    }

    /// The books: positions, dead letters, duplicates.
    fn books(&self) -> &dyn Books;

    /// The rows, for reading.
    fn rows(&self) -> &dyn Rows;

    /// Fails when documents cannot be applied now.
    async fn check(&self) -> Result<(), StoreError>;

    /// Who holds a lock that a statement of ours waits for, as a sentence; none when nobody does, or that cannot be told.
    async fn held_up(&self) -> Option<String> {
        None
    }

    /// Vouches that what failed lies in the document: the store takes writes, and a connection is kept for as long as
    /// `held`. Gives the run of the server, which is another one after a restart.
    async fn vouch(&self, held: Duration) -> Result<String, StoreError> {
        let _ = held;
        self.check().await.map(|()| String::new())
    }
}

/// One transaction: what it did is there after [`Transaction::commit`], whole, or not at all.
#[async_trait]
pub trait Transaction: Send {
    /// Applies documents in order, all of them or, on failure, none. `Ok` tells the fate of each; of the first ones only
    /// (one at least) when it is time to commit, and let others have their turn.
    async fn apply(&mut self, part: &Part) -> Result<Vec<Fate>, Refusal>;

    /// Looks now at what would be looked at by [`Transaction::commit`] only, for whoever does not commit.
    async fn look_ahead(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Puts a document among the dead letters, under its idempotency key if it has one.
    async fn set_aside(&mut self, letter: &Letter) -> Result<(), StoreError>;

    /// Moves a claimed partition from where it stands to `next_offset`, and its counters with it. Fails with
    /// [`StoreError::Fenced`] when the claim is void.
    async fn advance(&mut self, claim: &Claim, next_offset: i64, tally: Tally) -> Result<(), StoreError>;

    /// Ends a dead letter, or notes that a retry failed. False when there is no such letter.
    async fn close_letter(&mut self, letter: &Position, how: Closing<'_>) -> Result<bool, StoreError>;

    /// The SQL that ran so far, for a dry run.
    fn statements(&self) -> Vec<String>;

    /// Records the SQL from now on, for [`Transaction::statements`].
    fn record_statements(&mut self);

    /// Makes it last. It can refuse for some document's sake, and may know which one: nothing is there then. After an
    /// error that is [`StoreError::Later`] or [`StoreError::Lost`], nobody knows whether it did: read the position.
    async fn commit(self: Box<Self>) -> Result<(), CommitRefusal>;
}

/// What names a store can hold, and how much it is best given at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest name of a table or column, in bytes.
    pub identifier_bytes_max: usize,
    /// The names that no column of a table can have, since the database keeps columns of its own under them.
    pub columns_reserved: &'static [&'static str],
    /// How many records one transaction takes: larger ones cost latency and memory and gain little.
    pub batch_records_max: usize,
    /// How many partitions of a stream are applied at the same time.
    pub writers_max: usize,
}

/// A stream's part of a topic: what a position in the store is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The stream.
    pub stream: StreamName,
    /// Its topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
}

/// Who claims what.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// What is claimed.
    pub place: &'a Place,
    /// The identity of the journal that the claimer reads.
    pub journal: &'a str,
    /// The first offset that the journal still holds: where a new stream begins.
    pub start: i64,
    /// The claimer, for people.
    pub owner: &'a str,
}

/// The right to move a partition's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What was claimed.
    pub place: Place,
    /// Distinguishes this claim from earlier and later ones.
    pub epoch: i64,
    /// The first offset that is not applied yet.
    pub next_offset: i64,
    /// The documents before this offset were applied once already: the position was set back.
    pub applied_before: i64,
}

/// How documents of one stream are applied.
#[derive(Debug, Clone)]
pub struct ApplyRules {
    /// Whether tables and columns may be created.
    pub create: bool,
    /// The primary keys of tables that are created, by table name as a document writes it.
    pub keys: HashMap<String, Vec<String>>,
    /// The columns of JSON that searches go through, by table name: where the database has an index for that, the column
    /// gets one, in a table that is there already too.
    pub json_indexes: HashMap<String, String>,
    /// How many tables one document may make.
    pub new_tables_max: usize,
    /// How many columns and indexes one document may make, those of new tables included.
    pub new_columns_max: usize,
}

impl Default for ApplyRules {
    fn default() -> Self {
        let (keys, json_indexes) = (HashMap::new(), HashMap::new());
        ApplyRules { create: false, keys, json_indexes, new_tables_max: 100, new_columns_max: 1_000 }
    }
}

impl ApplyRules {
    /// The key that the stream names for a table, as a document writes its name; by the name alone where it names a schema.
    pub fn key_of(&self, table: &TableName<'_>) -> Option<&[String]> {
        let named = match &table.schema {
            Some(_) => self.keys.get(&table.to_string()),
            None => None,
        };
        named.or_else(|| self.keys.get(&*table.name)).map(Vec::as_slice)
    }

    /// The primary key of a table that `change` is about to create: the stream's word before the document's, `named`.
    pub fn primary_key(&self, change: &Change<'_>, named: &[Cow<'_, str>]) -> Vec<String> {
        let columns = self
            .key_of(&change.table)
            .map(<[String]>::to_vec)
            .unwrap_or_else(|| named.iter().map(ToString::to_string).collect());
        let Some((row, _)) = change.action.creation() else { return Vec::new() };
        // A key that the row lacks cannot be one.
        let is_whole = columns.iter().all(|column| row.iter().any(|cell| cell.name == *column));
        if is_whole { columns } else { Vec::new() }
    }
}

/// What became of a document in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its changes were made.
    Applied,
    /// Its key was used by the document at this position, which is the same: nothing was done.
    Duplicate {
        /// The first one.
        of: Position,
    },
}

/// How a dead letter ends.
#[derive(Debug, Clone, Copy)]
pub enum Closing<'a> {
    /// It was applied after all.
    Applied,
    /// A person gave it up.
    Dropped,
    /// A retry failed for this reason; it stays.
    Failed(&'a Problem),
}

/// A dead letter: a document kept whole, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The stream it came by.
    pub stream: StreamName,
    /// Where the journal kept it; also its id and its receipt.
    pub position: Position,
    /// The document.
    pub record: Record,
    /// Why it could not be applied.
    pub problem: Problem,
    /// When it was set aside, in milliseconds since 1970.
    pub set_aside_ms: i64,
    /// How often it was tried.
    pub attempts: i64,
}

/// Why documents were not applied, and which one is at fault, if the store knows.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: StoreError,
    /// The index of the document at fault.
    pub at: Option<usize>,
    /// Whether the whole transaction is undone, and can do nothing more.
    pub is_void: bool,
}

impl Refusal {
    /// A refusal that names the document at `at`, if any; the transaction goes on.
    pub fn new(error: StoreError, at: Option<usize>) -> Self {
        Refusal { error, at, is_void: false }
    }
}

/// Why a transaction was not made last, and which document is at fault, if the store knows.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was refused at its end")]
pub struct CommitRefusal {
    /// Why.
    #[source]
    pub error: StoreError,
    /// Where the journal keeps the document at fault.
    pub document: Option<Position>,
}

impl From<StoreError> for CommitRefusal {
    /// A refusal that names no document.
    fn from(error: StoreError) -> Self {
        CommitRefusal { error, document: None }
    }
}

impl From<CommitRefusal> for StoreError {
    fn from(refusal: CommitRefusal) -> Self {
        refusal.error
    }
}
