//! The settings of a stream that are one word out of a few, and mean nothing beyond the configuration: whoever builds the
//! stream turns each into what the gate works with. The others are in `src/words.rs`.

use crate::words::choice;

choice! {
    /// A form of change documents.
    pub enum Form {
        /// `{"activities": […]}`.
        Activities = "activities",
        /// PostgreSQL's wal2json, version 1 and 2.
        Wal2json = "wal2json",
    }
}

choice! {
    /// What `format` means in a schema.
    pub enum Formats {
        /// A remark, which refuses nothing.
        Annotate = "annotate",
        /// A rule: a string in another format is refused.
        Assert = "assert",
    }
}

choice! {
    /// What becomes of a document with a value that its column cannot hold.
    pub enum Misfit {
        /// The document is refused.
        Reject = "reject",
        /// The column is NULL in its row. Written in quotes: `"null"`.
        Null = "null",
    }
}

choice! {
    /// What happens at a document that cannot be summed up.
    pub enum OnSkip {
        /// It is passed over, and counted by the reason.
        Skip = "skip",
        /// The rollup waits there until a person acts.
        Stop = "stop",
    }
}
