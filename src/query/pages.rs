//! Any number of rows, page by page.
//!
//! Each page is a statement of its own that begins behind the key of the last row: memory stays flat, no snapshot is held
//! while a slow reader reads, and rows that are added meanwhile neither move nor repeat others.

use std::sync::Arc;

use super::Unanswered;
use super::tables::{Question, ask};

/// How many rows are asked for at once: in the order of the key they are found where the last ones ended …
const PAGE_ROWS: usize = 1_000;

/// … and in another order the table may have to be sorted anew for each page.
const SORTED_PAGE_ROWS: usize = 10_000;

/// … of at most so many bytes, unless one row is larger: an export holds three of them while a slow client reads.
const PAGE_BYTES: usize = 1 << 20;

/// The pages of a question that were not read yet.
pub struct Pages {
    question: Question,
    left: usize,
    is_begun: bool,
}

impl Pages {
    /// All pages of a question, up to its limit.
    pub fn of(question: Question) -> Self {
        let left = question.query.limit;
        Pages { question, left, is_begun: false }
    }

    /// The names under which a row's members are given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.question.names()
    }

    /// Whether there is another page to be read.
    pub fn has_more(&self) -> bool {
        self.left > 0 && (!self.is_begun || self.question.query.after.is_some())
    }

    /// Whether the limit ended it, and not the table.
    pub fn is_cut(&self) -> bool {
        self.is_begun && self.question.query.after.is_some()
    }

    /// The rows of the next page, each the text of a JSON object; none behind the last.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, Unanswered> {
        if !self.has_more() {
            return Ok(None);
        }
        let query = &mut self.question.query;
        let page_rows = if query.order.is_empty() { PAGE_ROWS } else { SORTED_PAGE_ROWS };
        query.limit = self.left.min(page_rows);
        query.bytes_max = PAGE_BYTES;
        let page = ask(Arc::clone(&self.question.store), query.clone()).await?;
        self.is_begun = true;
        self.left -= page.rows.len();
        query.after = page.next;
        Ok(Some(page.rows))
    }
}
