//! Any number of rows in one answer, as CSV or one JSON object a line.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::pages::Pages;
use super::tables::Question;
use super::{Unanswered, csv};
use crate::problem::ProblemType;

/// So many exports run at once. Each holds two pages in memory.
const EXPORTS_MAX: usize = 8;

static EXPORTS: Semaphore = Semaphore::const_new(EXPORTS_MAX);

/// How the rows of an export are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values, with a line of names.
    Csv,
    /// One JSON object a line.
    Lines,
}

/// An answer of any number of rows, which is given piece by piece.
pub struct Export {
    pages: Pages,
    form: Form,
    /// The page that was read and not given yet.
    ready: Option<Vec<String>>,
    _place: SemaphorePermit<'static>,
}

impl Form {
    /// What stands before the rows.
    pub fn begin<'n>(self, names: impl Iterator<Item = &'n str>, to: &mut String) {
        match self {
            Form::Csv => csv::header(names, to),
            Form::Lines => {}
        }
    }

    /// Writes a row.
    pub fn row(self, row: &str, to: &mut String) {
        match self {
            Form::Csv => csv::row(row, to),
            Form::Lines => to.extend([row, "\n"]),
        }
    }
}

impl Export {
    /// Begins an answer. The first page is read, so that what cannot be asked is told before anything was answered.
    pub async fn begin(question: Question, form: Form) -> Result<Self, Unanswered> {
        let Ok(place) = EXPORTS.try_acquire() else {
            let detail = format!("{EXPORTS_MAX} exports are running");
            return Err(Unanswered::new(ProblemType::StoreUnavailable, detail).retry_after(5));
        };
        let mut pages = Pages::of(question);
        let ready = pages.next().await?;
        Ok(Export { pages, form, ready, _place: place })
    }

    /// Whether there is another page to be read.
    pub fn has_more(&self) -> bool {
        self.pages.has_more()
    }

    /// The next piece of the answer, which is one page's; none behind the last.
    pub async fn next(&mut self) -> Result<Option<String>, Unanswered> {
        let mut text = String::new();
        let rows = match self.ready.take() {
            Some(rows) => {
                self.form.begin(self.pages.names(), &mut text);
                Some(rows)
            }
            None => self.pages.next().await?,
        };
        let Some(rows) = rows else { return Ok(None) };
        rows.iter().for_each(|row| self.form.row(row, &mut text));
        Ok(Some(text))
    }
}
