//! What the conditions of a question cost besides their number.

use super::Unanswered;
use super::parameters::bad;
use crate::change::Value;
use crate::json;
use crate::store::rows::Operator;

/// What the patterns of one question may take, in bytes: a text is looked through once for each `%`.
const PATTERN_BYTES_MAX: usize = 1_000;

/// What the numbers of one question may unfold to, as for documents.
const DIGITS_UNFOLDED_MAX: usize = 10_000;

/// What the conditions of one question cost the database besides their number.
#[derive(Default)]
pub(super) struct Heavy {
    pattern_bytes: usize,
    digits: usize,
}

impl Heavy {
    /// Counts one more condition, of the parameter `name`; refuses it when it is too much.
    pub(super) fn add(&mut self, name: &str, operator: &Operator) -> Result<(), Unanswered> {
        let values: &[Value<'_>] = match operator {
            Operator::Like { pattern, .. } => {
                self.pattern_bytes += pattern.len();
                &[]
            }
            Operator::Compare(_, value) => std::slice::from_ref(value),
            Operator::In(values) => values,
            Operator::Is(_) => &[],
        };
        for value in values {
            let zeros = match value {
                Value::Decimal(digits) => json::zeros_added(digits),
                Value::Json(text) => json::zeros_in(text),
                _ => 0,
            };
            self.digits = self.digits.saturating_add(zeros);
        }
        if self.pattern_bytes > PATTERN_BYTES_MAX {
            return Err(bad(name, &format!("the patterns take more than {PATTERN_BYTES_MAX} bytes")));
        }
        if self.digits > DIGITS_UNFOLDED_MAX {
            let why = format!("written out, the exponents take more than {DIGITS_UNFOLDED_MAX} digits");
            return Err(bad(name, &why));
        }
        Ok(())
    }
}
