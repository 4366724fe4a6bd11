//! The records of the stream that says `queries: true`, by a member of the document or by columns.
//!
//! Both are questions about rows as any other; this is only another way to write them.

use std::sync::Arc;

use super::parameters::bad;
use super::postgrest::{holds_nul, plan};
use super::quoting::in_quotes;
use super::tables::{Question, Rows};
use super::{Unanswered, store};
use crate::json::{Duplicates, Json, Path, Reader};
use crate::near;
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::rows::PAGE_ROWS_MAX;
use crate::stream::Target;

/// How records are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `{"key": "city", "value": "Oslo"}`: those whose document has this member with this value.
    Member,
    /// `{"name": "george", "age": 24}`: those whose columns have these values.
    Columns,
}

/// A question about records that was read.
pub struct Asked<'s> {
    table: &'s str,
    /// The same question about rows.
    parameters: Vec<(String, String)>,
}

/// The table and the document's column of the one stream that answers such questions.
pub fn answering(service: &Service) -> Result<(&str, &str), Unanswered> {
    let mut targets = service.streams.iter().map(|served| &served.stream.apply.target);
    match targets.find(|target| matches!(target, Target::Records { is_queried: true, .. })) {
        Some(Target::Records { table, document_column, .. }) => Ok((table, document_column)),
        _ => {
            let detail = "no stream answers this; one does that has a `table` and says `queries: true`";
            Err(Unanswered::new(ProblemType::NotFound, detail))
        }
    }
}

impl<'s> Asked<'s> {
    /// Reads the body of a question.
    pub fn read(service: &'s Service, by: By, body: &[u8]) -> Result<Self, Unanswered> {
        let (table, document_column) = answering(service)?;
        let text = std::str::from_utf8(body).map_err(|_| not_json("the body is not UTF-8"))?;
        let parameters = match by {
            By::Member => by_member(text, document_column)?,
            By::Columns => by_columns(text)?,
        };
        Ok(Asked { table, parameters })
    }

    /// The parameters that ask the same of the table's rows.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The records; that there are none is a problem.
    pub async fn question(&self, service: &Service) -> Result<Question, Unanswered> {
        let store = Arc::clone(store(service)?);
        // Before the first record there is no table, and nothing to find.
        let Some((listed, columns)) = store.rows().find(self.table).await? else { return Err(none()) };
        if !service.readable().shows(&listed) {
            let detail = format!("there is no table {:?}", self.table);
            return Err(Unanswered::new(ProblemType::UnknownTable, detail));
        }
        let mut query = plan(&listed.name, &columns, &self.parameters, false)?;
        query.limit = PAGE_ROWS_MAX;
        Ok(Question { store, query })
    }
}

/// The records that were found.
pub async fn found(question: Question) -> Result<Rows, Unanswered> {
    let rows = question.page().await?;
    if rows.rows.is_empty() { Err(none()) } else { Ok(rows) }
}

fn none() -> Unanswered {
    Unanswered::new(ProblemType::NotFound, "No records returned")
}

fn not_json(detail: impl Into<String>) -> Unanswered {
    Unanswered::new(ProblemType::NotJson, detail)
}

fn by_member(text: &str, document_column: &str) -> Result<Vec<(String, String)>, Unanswered> {
    let (mut key, mut value) = (None, None);
    for (name, found) in members(text)? {
        match (name.as_str(), found) {
            ("key", Found { is_text: true, plain, .. }) => key = Some(plain),
            ("key", found) => {
                return Err(bad("key", &format!("it must be the name of a member, as text; found {}", found.json)));
            }
            ("value", found) => value = Some(found.json),
            (other, _) => {
                let why = format!("there are key and value{}", near::hint(other, ["key", "value"].into_iter()));
                return Err(bad(other, &why));
            }
        }
    }
    let key = key.ok_or_else(|| bad("key", "it is missing; write {\"key\": \"city\", \"value\": \"Oslo\"}"))?;
    let value = value.ok_or_else(|| bad("value", "it is missing; write {\"key\": \"city\", \"value\": \"Oslo\"}"))?;
    Ok(vec![(format!("{}->{}", in_quotes(document_column), in_quotes(&key)), format!("eq.{value}"))])
}

fn by_columns(text: &str) -> Result<Vec<(String, String)>, Unanswered> {
    let parameters: Vec<_> = members(text)?
        .into_iter()
        .map(|(name, found)| match found.json.as_str() {
            "null" => (in_quotes(&name), "is.null".to_owned()),
            _ => (in_quotes(&name), format!("eq.{}", found.plain)),
        })
        .collect();
    match parameters.is_empty() {
        true => Err(bad("name", "no column is named; write {\"name\": \"george\", \"age\": 24}")),
        false => Ok(parameters),
    }
}

/// A member's value: as JSON, and as text without the quotes of a string.
struct Found {
    json: String,
    plain: String,
    is_text: bool,
}

/// The members of the one object that `text` must be.
fn members(text: &str) -> Result<Vec<(String, Found)>, Unanswered> {
    /// The first member that is named twice somewhere.
    #[derive(Default)]
    struct Twice(Option<String>);
    impl Duplicates for Twice {
        fn duplicate(&mut self, path: &Path<'_>) {
            self.0.get_or_insert_with(|| path.to_string());
        }
    }

    let fault = |fault: crate::json::Fault| not_json(fault.to_string());
    let mut twice = Twice::default();
    let mut reader = Reader::new(text);
    let whole = reader.value(&Path::ROOT, &mut twice).map_err(fault)?;
    reader.finish().map_err(fault)?;
    if let Some(path) = twice.0 {
        return Err(bad(&path, "it is named twice"));
    }
    let Json::Object(object) = whole else {
        return Err(not_json(format!("a JSON object is wanted, not {}", whole.kind())));
    };
    if holds_nul(object) {
        return Err(bad("the body", "it holds the character U+0000, which no database can hold"));
    }
    let found = |(name, value): (std::borrow::Cow<'_, str>, Json<'_>)| {
        let is_text = matches!(value, Json::Text(_));
        let json = match &value {
            Json::Null => "null".to_owned(),
            Json::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
            other => super::csv::cell(other.clone()).unwrap_or_default(),
        };
        (name.into_owned(), Found { json, plain: super::csv::cell(value).unwrap_or_default(), is_text })
    };
    Ok(crate::json::members(object).into_iter().map(found).collect())
}
