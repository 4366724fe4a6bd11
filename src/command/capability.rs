//! What streams and commands need of a journal beyond appending, and what is said where it cannot do that.

use super::Failed;
use crate::stream::Stream;

/// Why a stream needs a journal that is a log; none when one that appends will do.
fn need_of_log(stream: &Stream, has_store: bool) -> Option<&'static str> {
    if stream.is_foreign {
        Some("it reads a topic that others write")
    } else if has_store && stream.is_applied() {
        Some("its documents are applied to a store")
    } else if !stream.intake.directories.is_empty() {
        Some("what its directories publish is looked up in the journal after a crash")
    } else {
        None
    }
}

/// What is wrong with a stream whose journal is no log; none when it needs none.
pub(super) fn lacks_log(stream: &Stream, has_store: bool) -> Option<String> {
    let why = need_of_log(stream, has_store)?;
    Some(format!(
        "stream {}: {why}, which needs a journal that keeps its records at offsets, and this one does not: use a journal \
         of another kind, as `sqlite://` and `kafka://` are",
        stream.name
    ))
}

/// What is said where a command needs a log, and the journal is none.
pub(super) fn no_log() -> Failed {
    Failed::Usage("this reads the journal by offsets, and this journal's records have none".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::streams::stream;
    use crate::config::{self, Config};

    #[test]
    fn a_stream_asks_for_a_log_where_it_needs_one_and_only_there() {
        let with = |change: fn(&mut config::Stream)| {
            let mut said = Config::default().stream("events").cloned().unwrap();
            change(&mut said);
            said
        };
        let as_it_is = with(|_| ());
        let kept = with(|said| said.table = None);
        let foreign = with(|said| said.source = Some("orders".into()));
        let watched = with(|said| {
            said.table = None;
            said.intake.directories = vec!["inbox".into()];
        });
        for (said, has_store, needed_for) in [
            (&as_it_is, true, Some("are applied to a store")),
            (&as_it_is, false, None),
            (&kept, true, None),
            (&foreign, true, Some("that others write")),
            (&foreign, false, Some("that others write")),
            (&watched, true, Some("what its directories publish")),
        ] {
            let words = lacks_log(&stream(said, &crate::config::Limits::default(), None).ok().unwrap(), has_store);
            match (&words, needed_for) {
                (None, None) => {}
                (Some(words), Some(why)) => {
                    for part in ["stream events", why, "at offsets", "`sqlite://`"] {
                        assert!(words.contains(part), "{words}");
                    }
                }
                _ => panic!("{said:?}, a store: {has_store}: {words:?}"),
            }
        }
    }
}
