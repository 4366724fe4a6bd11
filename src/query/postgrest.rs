//! Questions about rows as PostgREST writes them: `age=gte.20`, `document->>city=eq.Oslo`, `select=`, `order=`.
//!
//! Here text becomes a question that is checked and typed against the table's columns, the same for every store. What
//! cannot be asked is told by the parameter's name, with the near name where a name is wrong.

use std::borrow::Cow;

use super::Unanswered;
use super::heavy::Heavy;
use super::parameters::{self, bad};
use super::quoting::{items, quoted, shown, step_of, unquoted};
use crate::change::{ColumnType, Family, Scalar};
use crate::json::{self, Json};
use crate::near;
use crate::store::rows::{
    Being, Column, Comparison, Field, Filter, Operator, Order, PAGE_ROWS_MAX, RowQuery, Selected, Step,
};

/// How many rows a page holds when nothing is said.
pub const PAGE_ROWS: usize = 100;

/// The conditions of one question. SQL bounds how deep they may stand in each other.
const FILTERS_MAX: usize = 100;

/// The fields that one question orders by.
const ORDERS_MAX: usize = 16;

/// The values of one `in`.
const IN_VALUES_MAX: usize = 1_000;

/// The things that one `select` names.
const SELECTED_MAX: usize = 2_000;

/// The words of the operators, as they stand before the first dot of a condition.
const OPERATORS: &str = "eq, neq, gt, gte, lt, lte, like, ilike, in, is, and not before any of them";

/// Turns parameters into a question about a table that has these columns.
///
/// When `is_whole`, all rows are asked for unless `limit` says otherwise; else a page of them.
pub fn plan(
    table: &str,
    columns: &[Column],
    parameters: &parameters::Parameters,
    is_whole: bool,
) -> Result<RowQuery, Unanswered> {
    let asked = Asked { table, columns };
    let limit = if is_whole { usize::MAX } else { PAGE_ROWS };
    let mut query = RowQuery { limit, ..RowQuery::of(table, columns) };
    let mut said: Vec<&str> = Vec::new();
    let mut heavy = Heavy::default();
    for (name, value) in parameters {
        // A column may bear the name of a parameter; its condition then shows what is meant.
        let is_column = || asked.column(name).is_some() && is_condition(value);
        let is_ours = matches!(name.as_str(), "select" | "order" | "limit" | "after" | "offset") && !is_column();
        if !is_ours {
            let filter = asked.filter(name, value)?;
            heavy.add(name, &filter.operator)?;
            query.filters.push(filter);
            if query.filters.len() > FILTERS_MAX {
                return Err(bad(name, &format!("there are more than {FILTERS_MAX} conditions")));
            }
            continue;
        }
        if said.contains(&name.as_str()) {
            return Err(bad(name, "it is said twice"));
        }
        said.push(name);
        match name.as_str() {
            "select" => query.select = asked.select(value)?,
            "order" => query.order = asked.order(value)?,
            "limit" => query.limit = parameters::limit(name, value, if is_whole { usize::MAX } else { PAGE_ROWS_MAX })?,
            "after" => query.after = Some(value.clone()),
            _ => {
                let why = "it would skip or repeat rows while others are added; follow `next` from page to page";
                return Err(bad(name, why));
            }
        }
    }
    Ok(query)
}

/// The type by which a value is read to compare with a column: without the limits that only what is stored must keep.
pub fn comparable(kind: &ColumnType) -> ColumnType {
    match kind.scalar() {
        _ if kind.is_array() => kind.clone(),
        Scalar::SmallInt | Scalar::Integer => Scalar::BigInt.into(),
        Scalar::Numeric { .. } => Scalar::Numeric { precision: None, scale: 0 }.into(),
        Scalar::Varchar(_) | Scalar::Char(_) => Scalar::Text.into(),
        other => other.clone().into(),
    }
}

struct Asked<'a> {
    table: &'a str,
    columns: &'a [Column],
}

impl Asked<'_> {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Reads `name`, `"name"`, `name->member->0->>member`.
    fn field(&self, text: &str) -> Result<Field, Unanswered> {
        if let Some(column) = self.column(text) {
            return Ok(Field::column(column));
        }
        let (name, mut rest) = match text.starts_with('"') {
            true => quoted(text)?,
            false => {
                // The name of a column may hold an arrow itself.
                let arrows = || text.match_indices("->").map(|(at, _)| at);
                let known = arrows().find(|at| self.column(&text[..*at]).is_some());
                let end = known.or_else(|| arrows().next()).unwrap_or(text.len());
                (text[..end].to_owned(), &text[end..])
            }
        };
        let Some(column) = self.column(&name) else {
            let near = near::hint(&name, self.columns.iter().map(|column| &*column.name));
            return Err(bad(&name, &format!("table {:?} has no such column{near}", self.table)));
        };
        let mut field = Field::column(column);
        while !rest.is_empty() {
            let Some(behind) = rest.strip_prefix("->") else {
                return Err(bad(text, "an arrow (-> or ->>) should follow a name in quotes"));
            };
            if field.as_text {
                return Err(bad(text, "behind ->> stands text, in which there is nothing more; write -> before it"));
            }
            let behind = behind.strip_prefix('>').inspect(|_| field.as_text = true).unwrap_or(behind);
            let step;
            (step, rest) = step_of(text, behind)?;
            field.path.push(step);
        }
        if !field.path.is_empty() && (column.column_type.family() != Family::Json || column.column_type.is_array()) {
            return Err(bad(text, &format!("{name:?} is no JSON column but {}", column.column_type)));
        }
        if field.path.len() > json::DEPTH_MAX {
            return Err(bad(text, &format!("no document is more than {} deep", json::DEPTH_MAX)));
        }
        Ok(field)
    }

    fn select(&self, list: &str) -> Result<Vec<Selected>, Unanswered> {
        let mut select: Vec<Selected> = Vec::new();
        for item in items("select", list)? {
            if item == "*" {
                select.extend(self.columns.iter().map(Selected::column));
            } else {
                select.push(self.selected(item)?);
            }
            if select.len() > SELECTED_MAX {
                return Err(bad("select", &format!("it names more than {SELECTED_MAX} things")));
            }
        }
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = (0..select.len()).find(|at| !names.insert(&*select[*at].name)) {
            let why = format!("{:?} is named twice; another name is given by NAME:COLUMN", select[twice].name);
            return Err(bad("select", &why));
        }
        Ok(select)
    }

    fn selected(&self, item: &str) -> Result<Selected, Unanswered> {
        let colon = unquoted(item, ':').unwrap_or_default().first().copied();
        // Before the arrow, a colon divides; behind it, it belongs to a member's name.
        let alias = colon.filter(|at| self.column(item).is_none() && !item[..*at].contains("->"));
        let (alias, text) = match alias {
            Some(at) => (Some(&item[..at]), &item[at + 1..]),
            None => (None, item),
        };
        let field = self.field(text)?;
        let name = match alias {
            Some("") => return Err(bad("select", &format!("a name should stand before the colon of {item:?}"))),
            Some(quotes) if quotes.starts_with('"') => quoted(quotes)?.0,
            Some(alias) => alias.to_owned(),
            None => last_name(&field).to_owned(),
        };
        Ok(Selected { name, field })
    }

    fn order(&self, list: &str) -> Result<Vec<Order>, Unanswered> {
        let orders: Vec<_> =
            items("order", list)?.into_iter().map(|item| self.order_item(item)).collect::<Result<_, _>>()?;
        if orders.len() > ORDERS_MAX {
            return Err(bad("order", &format!("it names more than {ORDERS_MAX} fields")));
        }
        Ok(orders)
    }

    fn order_item(&self, item: &str) -> Result<Order, Unanswered> {
        let (mut text, mut nulls_first, mut is_descending) = (item, None, false);
        // A column whose name ends like a direction is that column.
        let is_column = |text: &str| self.column(text).is_some();
        for (word, is_first) in [(".nullsfirst", true), (".nullslast", false)] {
            if let Some(rest) = text.strip_suffix(word).filter(|_| !is_column(text)) {
                (text, nulls_first) = (rest, Some(is_first));
                break;
            }
        }
        for (word, is_down) in [(".desc", true), (".asc", false)] {
            if let Some(rest) = text.strip_suffix(word).filter(|_| !is_column(text)) {
                (text, is_descending) = (rest, is_down);
                break;
            }
        }
        let field = self.field(text)?;
        if field.kind().is_array() {
            return Err(bad("order", &format!("{text:?} is an array, and those have no order here")));
        }
        // As PostgreSQL does it: NULL is greater than all.
        Ok(Order { field, is_descending, nulls_first: nulls_first.unwrap_or(is_descending) })
    }

    fn filter(&self, name: &str, condition: &str) -> Result<Filter, Unanswered> {
        let field = self.field(name)?;
        let (is_negated, said) = match condition.strip_prefix("not.") {
            Some(rest) => (true, rest),
            None => (false, condition),
        };
        let unknown = || {
            let what = format!("{} is no condition; write eq.VALUE, or another of {OPERATORS}", shown(condition));
            bad(name, &what)
        };
        let (word, value) = said.split_once('.').ok_or_else(unknown)?;
        let operator = match word {
            "in" => Operator::In(values(name, &field, value)?),
            "is" => Operator::Is(being(name, &field, value)?),
            "like" | "ilike" => {
                let kind = field.kind();
                if kind.is_array() || !matches!(kind.family(), Family::Text | Family::Unknown) {
                    return Err(bad(name, &format!("{word} compares text, and this is {kind}")));
                }
                Operator::Like { pattern: pattern(name, value)?, in_any_case: word == "ilike" }
            }
            _ => {
                let comparison = comparison(word).ok_or_else(unknown)?;
                if field.kind().is_array() && !matches!(comparison, Comparison::Eq | Comparison::Neq) {
                    return Err(bad(name, "it is an array, and those have no order here; there are eq, neq and in"));
                }
                Operator::Compare(comparison, read(name, &field, value)?)
            }
        };
        Ok(Filter { field, is_negated, operator })
    }
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "eq" => Comparison::Eq,
        "neq" => Comparison::Neq,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Lte,
        _ => return None,
    })
}

fn is_condition(value: &str) -> bool {
    let word = value.strip_prefix("not.").unwrap_or(value).split_once('.').map_or("", |(word, _)| word);
    comparison(word).is_some() || matches!(word, "in" | "is" | "like" | "ilike")
}

/// The name under which a field is given: that of the last member on its path, or of the column.
fn last_name(field: &Field) -> &str {
    let last = field.path.iter().rev().find_map(|step| match step {
        Step::Member(name) => Some(name.as_str()),
        Step::Element(_) => None,
    });
    last.unwrap_or(&field.column)
}

fn being(name: &str, field: &Field, value: &str) -> Result<Being, Unanswered> {
    let being = match value {
        "null" => return Ok(Being::Null),
        "not_null" => return Ok(Being::NotNull),
        "true" => Being::True,
        "false" => Being::False,
        "unknown" => Being::Unknown,
        _ => {
            return Err(bad(
                name,
                &format!("is.{} is none of is.null, is.not_null, is.true, is.false, is.unknown", shown(value)),
            ));
        }
    };
    match field.kind() {
        kind if kind.family() == Family::Boolean && !kind.is_array() => Ok(being),
        kind => Err(bad(name, &format!("is.{value} is for booleans, and this is {kind}"))),
    }
}

/// Reads the list of an `in`: `(1,2,"a,b")`.
fn values(name: &str, field: &Field, list: &str) -> Result<Vec<crate::change::Value<'static>>, Unanswered> {
    let Some(inner) = list.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return Err(bad(name, "the values of in stand in parentheses: in.(1,2)"));
    };
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let items = items(name, inner)?;
    if items.len() > IN_VALUES_MAX {
        return Err(bad(name, &format!("in has more than {IN_VALUES_MAX} values")));
    }
    let plain = |item: &str| match item.starts_with('"') {
        true => match quoted(item)? {
            (text, "") => Ok(text),
            _ => Err(bad(name, &format!("something follows the quotes of {}", shown(item)))),
        },
        false => Ok(item.to_owned()),
    };
    items.into_iter().map(|item| read(name, field, &plain(item)?)).collect()
}

/// Reads a value by the field's type.
fn read(name: &str, field: &Field, text: &str) -> Result<crate::change::Value<'static>, Unanswered> {
    let kind = field.kind();
    if kind.family() == Family::Json && !kind.is_array() {
        return match json::check(text) {
            Ok(()) if holds_nul(text) => {
                Err(bad(name, "the value holds the character U+0000, which no database can hold"))
            }
            Ok(()) => Ok(crate::change::Value::Json(Cow::Owned(text.to_owned()))),
            Err(fault) => {
                let why = format!(
                    "{} is not JSON ({fault}); text stands in double quotes, and ->> compares as text",
                    shown(text)
                );
                Err(bad(name, &why))
            }
        };
    }
    let text = match kind.scalar() {
        // The spaces at the end of such text do not count.
        Scalar::Char(_) if !kind.is_array() => text.trim_end_matches(' '),
        _ => text,
    };
    let read = comparable(&kind).read(Json::Text(Cow::Borrowed(text)));
    read.map(crate::change::Value::into_owned).map_err(|misfit| bad(name, &misfit.to_string()))
}

/// Whether JSON that was checked holds U+0000 somewhere: escaped, since otherwise it would be no JSON.
pub fn holds_nul(text: &str) -> bool {
    text.contains("\\u0000") && json::at(text, "").is_some_and(nul_within)
}

fn nul_within(json: Json<'_>) -> bool {
    match json {
        Json::Text(text) => text.contains('\0'),
        Json::Array(text) => json::elements(text).into_iter().any(nul_within),
        Json::Object(text) => {
            json::members(text).into_iter().any(|(name, value)| name.contains('\0') || nul_within(value))
        }
        _ => false,
    }
}

/// A pattern of SQL: `*` may stand for `%`, which would have to be encoded in an address.
fn pattern(name: &str, text: &str) -> Result<String, Unanswered> {
    let mut pattern = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => pattern.push('%'),
            '\\' => match characters.next() {
                Some(escaped) => pattern.extend(['\\', escaped]),
                None => {
                    return Err(bad(
                        name,
                        "the pattern ends with a backslash, which should take the next character by its word",
                    ));
                }
            },
            other => pattern.push(other),
        }
    }
    Ok(pattern)
}
