//! Rollups: one summary per key over the fields of documents, as a fold whose parts can be put together in any order.
//!
//! A record becomes the state of a summary that has seen nothing else ([`Rollup::read`]); states of one key merge
//! ([`State::merge`]) to the same whatever their order and however they are grouped. So late, shuffled and split input
//! gives what a plain fold gives. Where records come from, and where summaries go and are kept, is not known here.

mod batch;
mod definition;
mod exact;
mod fields;
mod key;
mod reading;
mod scalar;
mod seen;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use self::batch::{Batch, Counts, LATE_MAX, Late};
pub use self::definition::{Chosen, Definition, Function, Named, Place, Publish, Summary};
pub use self::exact::Exact;
pub use self::key::{Key, WINDOW};
pub use self::reading::{One, Reading, Reason, Rollup, Skipped};
pub use self::scalar::Scalar;
pub use self::seen::Seen;
pub use self::state::{Broken, State};
pub use self::window::{Unit, Watermark, Window};

/// A number of more digits than this, written out, is not summed up: a summary is written again with every change, and
/// whoever can send `1e131071` must not make each of them 128 KiB.
pub const DIGITS_MAX: usize = 1_000;

/// A text, or another value that a summary holds, is at most this long, for the same reason.
pub const TEXT_BYTES_MAX: usize = 8 << 10;
