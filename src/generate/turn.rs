//! Whose turn it is to get a document, and how users and numbers are written in one.

/// What a document is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// The digits of the user's name.
    pub(super) user: u64,
    /// How many of this user were made before.
    pub(super) message: u64,
    pub(super) now_ms: i64,
}

/// Appends `j` and the eight digits of a user.
pub(super) fn write_user(out: &mut Vec<u8>, user: u64) {
    out.push(b'j');
    write_digits(out, user, 8);
}

/// Appends the last `count` digits of a number.
pub(super) fn write_digits(out: &mut Vec<u8>, number: u64, count: usize) {
    let start = out.len();
    out.resize(start + count, b'0');
    let mut rest = number;
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Appends a whole number.
pub(super) fn write_whole(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let size = number.unsigned_abs();
    write_digits(out, size, size.checked_ilog10().map_or(1, |log| log as usize + 1));
}
