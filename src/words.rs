//! The words by which a configuration says what a stream does, and by which the parts that do it know what was said.
//!
//! Each stands once: there is no second enum that repeats them. Settings that only the configuration knows as words are in
//! `config/words.rs`. Nothing here reads a file.

mod choice;

pub(crate) use self::choice::{Choice, choice};

/// What a change does to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
pub enum Operation {
    /// Adds a row.
    #[serde(rename = "insert")]
    Insert,
    /// Adds a row, or changes the columns of the one that has its key.
    #[serde(skip)]
    Upsert,
    /// Changes the columns of rows.
    #[serde(rename = "update")]
    Update,
    /// Removes rows.
    #[serde(rename = "delete")]
    Delete,
    /// Removes all rows.
    #[serde(rename = "truncate")]
    Truncate,
}

impl Choice for Operation {
    /// Those that a document can ask for. No form can say an upsert yet.
    const ALL: &'static [(&'static str, Self)] = &[
        ("insert", Operation::Insert),
        ("update", Operation::Update),
        ("delete", Operation::Delete),
        ("truncate", Operation::Truncate),
    ];
}

impl Operation {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Upsert => "upsert",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Truncate => "truncate",
        }
    }
}
