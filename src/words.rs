//! The words by which a configuration says what a stream does, and by which the parts that do it know what was said.
//!
//! Each stands once: there is no second enum that repeats them. Settings that only the configuration knows as words are in
//! `config/words.rs`. Nothing here reads a file.

mod choice;

pub(crate) use self::choice::{Choice, choice};

choice! {
    /// What the documents of a stream are.
    pub enum Takes {
        /// Change documents: inserts, updates and deletes of tables.
        Changes = "changes",
        /// Any JSON; each document becomes one record, and a row when `table` is said.
        Events = "events",
    }
}

choice! {
    /// Where reading begins.
    pub enum Where {
        /// At the first record that is there.
        Beginning = "beginning",
        /// Behind the last one: what comes from now on.
        End = "end",
    }
}

choice! {
    /// How a post to a stream's own routes is answered.
    pub enum Reply {
        /// 202 with the receipt.
        Receipt = "receipt",
        /// 200 or 400 with `status`, `message`, `error` and the document as `payload`.
        Echo = "echo",
        /// 201 with the text `OK`.
        Created = "created",
    }
}

choice! {
    /// What happens when an accepted document cannot be applied.
    pub enum OnFailure {
        /// It goes to the dead letters, and the documents after it are applied.
        SetAside = "set-aside",
        /// The stream waits there until a person acts.
        Stop = "stop",
    }
}

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
