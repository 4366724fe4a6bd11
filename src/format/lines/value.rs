//! One value of a sequence: read, or passed over where it is broken.

use crate::format::recognise;
use crate::json::{Json, Judged, Path, Reader};

/// A fault of the value that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Whether it stands on the value's first line.
    pub(super) is_on_first: bool,
    /// So much of the value was searched for the next line.
    pub(super) searched: usize,
}

/// How much white space `bytes` begin with.
pub(super) fn space(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len())
}

/// What is wrong with a value.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) is_on_first: bool,
}

/// The one JSON value at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<&str, Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|error| Wrong {
        what: "there is a byte that is not UTF-8".to_owned(),
        is_on_first: !bytes[..error.valid_up_to()].contains(&b'\n'),
    })?;
    let mut reader = Reader::new(text);
    match reader.skip(&Path::ROOT, &mut Judged) {
        Ok(()) => Ok(&text[..reader.offset()]),
        Err(fault) => Err(Wrong { what: fault.what.clone(), is_on_first: fault.line == 1 }),
    }
}

/// Where to go on reading after a broken value at the beginning of `rest`: the next line that can begin one. None when it
/// is not there yet.
pub(super) fn resume(rest: &[u8], fault: &mut Fault, is_all: bool) -> Option<usize> {
    while let Some(end) = rest[fault.searched..].iter().position(|byte| *byte == b'\n') {
        let at = fault.searched + end + 1;
        // A fault on the first line leaves the second alone. One further down lies in a value over several lines, and
        // the rest of that value is indented, or closes a bracket.
        match rest.get(at) {
            _ if fault.is_on_first => return Some(at),
            Some(b'{' | b'[') => return Some(at),
            None if !is_all => {
                fault.searched = at - 1;
                return None;
            }
            _ => fault.searched = at,
        }
    }
    fault.searched = rest.len();
    is_all.then_some(rest.len())
}

/// The `action` of a wal2json v2 line.
pub(super) fn action(text: &str) -> Option<String> {
    if recognise(text).ok()??.name != "wal2json-v2" {
        return None;
    }
    let mut reader = Reader::new(text);
    reader.begin_object().ok()?;
    while let Some(name) = reader.next_member().ok()? {
        match reader.value(&Path::ROOT, &mut Judged).ok()? {
            Json::Text(text) if name == "action" => return Some(text.into_owned()),
            _ => {}
        }
    }
    None
}
