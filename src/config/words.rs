//! The settings of a stream that are one word out of a few.

use crate::words::choice;

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
    /// A form of change documents.
    pub enum Form {
        /// `{"activities": […]}`.
        Activities = "activities",
        /// PostgreSQL's wal2json, version 1 and 2.
        Wal2json = "wal2json",
    }
}

choice! {
    /// Where reading a topic of others begins.
    pub enum From {
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
    /// What becomes of a column type that nobody knows.
    pub enum UnknownTypes {
        /// Its values are kept as text.
        Text = "text",
        /// The document is refused.
        Reject = "reject",
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
