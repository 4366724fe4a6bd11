//! PostgreSQL's words for a question about rows. Every value travels as text, and the statement casts it.

use super::catalogue::quote;
use crate::change::{ColumnType, Family, Scalar, Value};
use crate::store::rows::{Field, Step};
use crate::store::selecting::Dialect;

/// PostgreSQL, with the table under the name `t`.
pub(super) struct Postgres;

impl Dialect for Postgres {
    type Bound = String;

    fn quoted(&self, name: &str) -> String {
        format!("t.{}", quote(name))
    }

    fn placeholder(&self, number: usize) -> String {
        format!("${number}::text")
    }

    fn bound(&self, value: &Value<'_>) -> String {
        // No condition has NULL for a value: whoever asks for it says `is.null`.
        value.text().into_owned()
    }

    fn typed(&self, placeholder: String, kind: &ColumnType) -> String {
        format!("{placeholder}::{}", cast(kind))
    }

    fn at(&self, column: String, path: &[Step], as_text: bool, bind: &mut dyn FnMut(String) -> String) -> String {
        let mut expression = column;
        for (index, step) in path.iter().enumerate() {
            let arrow = if as_text && index + 1 == path.len() { "->>" } else { "->" };
            let step = match step {
                Step::Member(name) => bind(name.clone()),
                Step::Element(index) => bind(index.to_string()) + "::integer",
            };
            expression = format!("({expression} {arrow} {step})");
        }
        expression
    }

    fn operand(&self, expression: String, kind: &ColumnType) -> String {
        match kind.family() {
            // An array compares with an array of its own type only, `json` with nothing, and what nobody knows as text.
            _ if kind.is_array() => format!("{expression}::{}", cast(kind)),
            Family::Json | Family::Unknown => format!("{expression}::{}", cast(kind)),
            _ => expression,
        }
    }

    fn like(&self, operand: &str, placeholder: &str, in_any_case: bool) -> String {
        format!("{operand} {} {placeholder}", if in_any_case { "ILIKE" } else { "LIKE" })
    }

    /// Containment, which a GIN index on the column answers: what is equal is contained.
    fn hint(&self, field: &Field, value: &Value<'_>, bind: &mut dyn FnMut(String) -> String) -> Option<String> {
        let is_way_of_members = field.path.iter().all(|step| matches!(step, Step::Member(_)));
        if field.column_type.scalar() != &Scalar::Jsonb || field.as_text || !is_way_of_members || field.path.is_empty()
        {
            return None;
        }
        let mut wanted = bind(self.bound(value)) + "::jsonb";
        for step in field.path.iter().rev() {
            if let Step::Member(name) = step {
                wanted = format!("jsonb_build_object({}, {wanted})", bind(name.clone()));
            }
        }
        Some(format!("{} @> {wanted}", self.quoted(&field.column)))
    }

    fn place(&self, operand: &str) -> String {
        format!("({operand})::text")
    }

    fn given(&self, expression: String, _: &ColumnType) -> String {
        format!("({expression})::text")
    }
}

/// The type by which a value compares with an operand of this type.
fn cast(kind: &ColumnType) -> String {
    let name = match kind.scalar() {
        Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => "bigint",
        Scalar::Numeric { .. } => "numeric",
        Scalar::Real => "real",
        Scalar::Double => "double precision",
        Scalar::Text | Scalar::Varchar(_) | Scalar::Unknown(_) => "text",
        Scalar::Char(_) => "bpchar",
        Scalar::Boolean => "boolean",
        Scalar::Date => "date",
        Scalar::Time { zone: false } => "time",
        Scalar::Time { zone: true } => "timetz",
        Scalar::Timestamp { zone: false } => "timestamp",
        Scalar::Timestamp { zone: true } => "timestamptz",
        Scalar::Interval => "interval",
        Scalar::Bytea => "bytea",
        Scalar::Json | Scalar::Jsonb => "jsonb",
        Scalar::Uuid => "uuid",
    };
    if kind.is_array() { format!("{name}[]") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::{Column, Comparison, Filter, Operator, Order, RowQuery};
    use crate::store::selecting::{Tie, statement};

    #[test]
    fn a_question_holds_placeholders_and_an_equality_that_an_index_answers() {
        let column =
            |name: &str, kind: &str| Column { name: name.into(), column_type: ColumnType::parse(kind), is_key: false };
        let columns = [column("a\"b", "integer"), column("document", "jsonb")];
        let city = Field { path: vec![Step::Member("x'y".into())], ..Field::column(&columns[1]) };
        let value = Value::Json("\"Oslo'; --\"".into());
        let operator = Operator::Compare(Comparison::Eq, value);
        let order = Order { field: Field::column(&columns[0]), is_descending: true, nulls_first: false };
        let mut query = RowQuery::of("t", &columns[..1]);
        query.filters = vec![Filter { field: city, is_negated: false, operator }];
        query.order = vec![order];
        let ties = [Tie { expression: "t.\"id\"".into(), cast: "::integer".into() }];
        let after = Some(vec![Some("5".to_owned()), Some("7".to_owned())]);
        let asked = statement(&Postgres, &query, "\"t\" AS t", &ties, after);
        let expected = "SELECT (t.\"a\"\"b\")::text, (t.\"id\")::text, (t.\"a\"\"b\")::text FROM \"t\" AS t \
             WHERE t.\"document\" @> jsonb_build_object($4::text, $3::text::jsonb) \
             AND (t.\"document\" -> $1::text)::jsonb = $2::text::jsonb \
             AND ((t.\"a\"\"b\" < $5::text::bigint OR t.\"a\"\"b\" IS NULL) \
             OR t.\"a\"\"b\" = $5::text::bigint AND t.\"id\" > $6::text::integer) \
             ORDER BY t.\"a\"\"b\" DESC NULLS LAST, t.\"id\" LIMIT 1001";
        assert_eq!(asked.sql, expected);
        assert_eq!(asked.values, ["x'y", "\"Oslo'; --\"", "\"Oslo'; --\"", "x'y", "5", "7"]);
    }
}
