//! What a document changes, once judged: the types that columns are declared with, and the values read by those types.
//!
//! Nothing here knows a format or a database; a backend learns from [`Scalar`] how to name and to bind what it gets.

pub mod array;
mod calendar;
mod change_set;
pub mod column_type;
mod cutter;
pub mod decimal;
pub mod instant;
pub mod interval;
mod misfit;
pub mod pattern;
pub mod moment;
mod reading;
pub mod reserved;
pub mod value;

pub(crate) use calendar::{civil, month_days, write_date, write_time};
pub use change_set::{Action, Cell, Change, ChangeSet, Key, KeyColumns, TableName};
pub use column_type::{ColumnType, Family, Scalar};
pub(crate) use misfit::shown;
pub use misfit::{Misfit, MisfitKind};
pub use value::Value;
