//! A checked question as SQL, as far as all stores write it alike: conditions, order, and where a page begins.
//!
//! Names are quoted and values are bound, every one; no text of the question stands in the SQL. What a dialect writes in
//! its own way it says by [`Dialect`]. Running the statement and reading its rows is the store's matter.

use super::rows::{Being, Comparison, Field, Filter, Operator, RowQuery, Step};
use crate::change::{ColumnType, Value};

/// What the stores' dialects of SQL write differently.
pub trait Dialect {
    /// A value on its way to the database.
    type Bound: Clone;

    /// Quotes an identifier.
    fn quoted(&self, name: &str) -> String;

    /// The place of the value with this number, counted from 1.
    fn placeholder(&self, number: usize) -> String;

    /// A value of the question, as it is bound.
    fn bound(&self, value: &Value<'_>) -> Self::Bound;

    /// A placeholder, read as a value that compares with an operand of type `kind`.
    fn typed(&self, placeholder: String, kind: &ColumnType) -> String {
        let _ = kind;
        placeholder
    }

    /// What stands in a JSON column at a path. `bind` takes a value and gives its placeholder.
    fn at(&self, column: String, path: &[Step], as_text: bool, bind: &mut dyn FnMut(Self::Bound) -> String) -> String;

    /// An expression of type `kind`, so that it compares and orders by its type.
    fn operand(&self, expression: String, kind: &ColumnType) -> String;

    /// The condition that an operand is like a bound pattern.
    fn like(&self, operand: &str, placeholder: &str, in_any_case: bool) -> String;

    /// A condition that every row with `field = value` fulfils, and that an index may answer.
    fn hint(&self, field: &Field, value: &Value<'_>, bind: &mut dyn FnMut(Self::Bound) -> String) -> Option<String> {
        let _ = (field, value, bind);
        None
    }

    /// An operand of the order, as the place of a row is read from the answer.
    fn place(&self, operand: &str) -> String {
        operand.to_owned()
    }

    /// An expression of the row's place, behind which what is given of the row begins.
    fn begins(&self, expression: String) -> String {
        expression
    }

    /// An expression of type `kind`, as the answer gives it.
    fn given(&self, expression: String, kind: &ColumnType) -> String {
        let _ = kind;
        expression
    }
}

/// What tells rows apart that are equal in everything they are ordered by: a column of the primary key, or where the
/// store keeps the row. It is never NULL.
#[derive(Debug, Clone)]
pub struct Tie {
    /// The expression.
    pub expression: String,
    /// What a placeholder is followed by to compare with it, such as a cast.
    pub cast: String,
}

/// A statement and the values for its placeholders.
#[derive(Debug)]
pub struct Statement<B> {
    /// The SQL. The answer's first columns are the row's place, of [`places`] values; then come those of the question.
    pub sql: String,
    /// The values.
    pub values: Vec<B>,
}

/// How many values the place of a row has.
pub fn places(query: &RowQuery, ties: &[Tie]) -> usize {
    query.order.len() + ties.len()
}

/// The fields that a question gives, each once, and which of them each of the selected is: a field under many names is
/// read once.
pub fn fields(query: &RowQuery) -> (Vec<&Field>, Vec<usize>) {
    let mut fields: Vec<&Field> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let each = query.select.iter().map(|selected| {
        *known.entry(&selected.field).or_insert_with(|| {
            fields.push(&selected.field);
            fields.len() - 1
        })
    });
    let each = each.collect();
    (fields, each)
}

/// Writes the statement that gives the rows of `table` (as it stands in SQL) behind the place `after`, whose values are
/// [`places`] many, and none where the row had NULL. It asks for one row more than the limit, which tells whether there
/// is a next page.
pub fn statement<D: Dialect>(
    dialect: &D,
    query: &RowQuery,
    table: &str,
    ties: &[Tie],
    after: Option<Vec<Option<D::Bound>>>,
) -> Statement<D::Bound> {
    let mut writer = Writer { dialect, values: Vec::new() };
    let keys: Vec<_> = query.order.iter().map(|order| writer.key(order)).collect();
    let mut given: Vec<_> = keys.iter().map(|key| dialect.place(&key.operand)).collect();
    given.extend(ties.iter().map(|tie| dialect.place(&tie.expression)));
    if let Some(last) = given.pop() {
        given.push(dialect.begins(last));
    }
    for field in fields(query).0 {
        let expression = writer.expression(field);
        given.push(dialect.given(expression, &field.kind()));
    }
    let mut conditions: Vec<_> = query.filters.iter().map(|filter| writer.condition(filter)).collect();
    conditions.extend(after.map(|after| writer.behind(&keys, ties, after)));
    let mut order: Vec<_> = keys.iter().map(Key::order).collect();
    order.extend(ties.iter().map(|tie| tie.expression.clone()));
    let place = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!(
        "SELECT {} FROM {table}{place} ORDER BY {} LIMIT {}",
        given.join(", "),
        order.join(", "),
        query.limit.saturating_add(1).min(i64::MAX as usize)
    );
    Statement { sql, values: writer.values }
}

/// What rows are ordered by, written.
struct Key {
    operand: String,
    kind: ColumnType,
    is_descending: bool,
    nulls_first: bool,
}

impl Key {
    fn order(&self) -> String {
        let direction = if self.is_descending { "DESC" } else { "ASC" };
        let nulls = if self.nulls_first { "FIRST" } else { "LAST" };
        format!("{} {direction} NULLS {nulls}", self.operand)
    }

    /// The condition of rows that stand behind those with this value, given as its placeholder. None when there are none.
    fn behind(&self, value: Option<&str>) -> Option<String> {
        let operand = &self.operand;
        let sign = if self.is_descending { '<' } else { '>' };
        match (value, self.nulls_first) {
            (None, true) => Some(format!("{operand} IS NOT NULL")),
            (None, false) => None,
            (Some(value), true) => Some(format!("{operand} {sign} {value}")),
            (Some(value), false) => Some(format!("({operand} {sign} {value} OR {operand} IS NULL)")),
        }
    }
}

struct Writer<'d, D: Dialect> {
    dialect: &'d D,
    values: Vec<D::Bound>,
}

impl<D: Dialect> Writer<'_, D> {
    fn bind(&mut self, value: D::Bound) -> String {
        self.values.push(value);
        self.dialect.placeholder(self.values.len())
    }

    fn expression(&mut self, field: &Field) -> String {
        let column = self.dialect.quoted(&field.column);
        if field.path.is_empty() {
            return column;
        }
        self.dialect.at(column, &field.path, field.as_text, &mut |value| {
            self.values.push(value);
            self.dialect.placeholder(self.values.len())
        })
    }

    fn operand(&mut self, field: &Field) -> String {
        let expression = self.expression(field);
        self.dialect.operand(expression, &field.kind())
    }

    fn value(&mut self, value: &Value<'_>, kind: &ColumnType) -> String {
        let placeholder = self.bind(self.dialect.bound(value));
        self.dialect.typed(placeholder, kind)
    }

    fn key(&mut self, order: &super::rows::Order) -> Key {
        let operand = self.operand(&order.field);
        let (is_descending, nulls_first) = (order.is_descending, order.nulls_first);
        Key { operand, kind: order.field.kind(), is_descending, nulls_first }
    }

    fn condition(&mut self, filter: &Filter) -> String {
        let operand = self.operand(&filter.field);
        let kind = filter.field.kind();
        let condition = match &filter.operator {
            Operator::Compare(comparison, value) => {
                let placeholder = self.value(value, &kind);
                let compared = format!("{operand} {} {placeholder}", sign(*comparison));
                match self.hint(filter, *comparison, value) {
                    Some(hint) => format!("{hint} AND {compared}"),
                    None => compared,
                }
            }
            // Not every database knows an empty list.
            Operator::In(values) if values.is_empty() => "FALSE".to_owned(),
            Operator::In(values) => {
                let list: Vec<_> = values.iter().map(|value| self.value(value, &kind)).collect();
                format!("{operand} IN ({})", list.join(", "))
            }
            Operator::Like { pattern, in_any_case } => {
                let pattern = self.bind(self.dialect.bound(&Value::Text(pattern.as_str().into())));
                self.dialect.like(&operand, &pattern, *in_any_case)
            }
            Operator::Is(being) => format!("{operand} {}", words(*being)),
        };
        if filter.is_negated { format!("NOT ({condition})") } else { condition }
    }

    fn hint(&mut self, filter: &Filter, comparison: Comparison, value: &Value<'_>) -> Option<String> {
        if comparison != Comparison::Eq || filter.is_negated {
            return None;
        }
        self.dialect.hint(&filter.field, value, &mut |value| {
            self.values.push(value);
            self.dialect.placeholder(self.values.len())
        })
    }

    /// The condition of rows that stand behind the place: behind it by the first key, or equal by the first and behind it
    /// by the second, and so on; at last equal by all keys and behind it by the ties.
    fn behind(&mut self, keys: &[Key], ties: &[Tie], after: Vec<Option<D::Bound>>) -> String {
        let mut after = after.into_iter();
        let mut alternatives = Vec::new();
        let mut equal: Vec<String> = Vec::new();
        for (key, value) in keys.iter().zip(&mut after) {
            let value = value.map(|value| {
                let placeholder = self.bind(value);
                self.dialect.typed(placeholder, &key.kind)
            });
            if let Some(behind) = key.behind(value.as_deref()) {
                alternatives.push([equal.as_slice(), &[behind]].concat().join(" AND "));
            }
            equal.push(match value {
                Some(value) => format!("{} = {value}", key.operand),
                None => format!("{} IS NULL", key.operand),
            });
        }
        let names: Vec<_> = ties.iter().map(|tie| tie.expression.as_str()).collect();
        let values: Vec<_> = ties
            .iter()
            .zip(after)
            .map(|(tie, value)| value.map_or("NULL".into(), |value| self.bind(value) + &tie.cast))
            .collect();
        equal.push(match (&names[..], &values[..]) {
            ([name], [value]) => format!("{name} > {value}"),
            _ => format!("({}) > ({})", names.join(", "), values.join(", ")),
        });
        alternatives.push(equal.join(" AND "));
        match &alternatives[..] {
            [only] => only.clone(),
            several => format!("({})", several.join(" OR ")),
        }
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Neq => "<>",
        Comparison::Gt => ">",
        Comparison::Gte => ">=",
        Comparison::Lt => "<",
        Comparison::Lte => "<=",
    }
}

fn words(being: Being) -> &'static str {
    match being {
        Being::Null | Being::Unknown => "IS NULL",
        Being::NotNull => "IS NOT NULL",
        Being::True => "IS TRUE",
        Being::False => "IS FALSE",
    }
}
