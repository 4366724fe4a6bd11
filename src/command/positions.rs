//! `sluicegate positions`: where each stream stands, and how a person moves it.

use std::io::{BufRead, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use super::watch::Watch;
use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::apply::group_of;
use crate::journal::Extent;
use crate::store::Place;
use crate::store::books::{Move, Standing};
use crate::stream::Stream;

const COLUMNS: &[&str] = &["stream", "partition", "position", "end", "lag", "owner", "state"];

#[derive(Debug, Args)]
pub(super) struct Positions {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    watch: Watch,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Go back and apply again, or forward and give up what is skipped
    Set {
        /// The stream
        stream: String,
        /// `beginning`, `end` or an offset
        #[arg(long, value_name = "PLACE")]
        to: String,
        /// The partition; for an offset, where there are several [default: all]
        #[arg(long)]
        partition: Option<i32>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Keep nothing in the journal any more for stores that are gone; this store stays
    Forget {
        /// The stream
        stream: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Give up what the journal no longer holds, and go on with what it has
    AcceptLoss {
        /// The stream
        stream: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Positions {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let outside = wiring::open_existing(&config).await?;
        match self.action {
            None => self.watch.run(async || list(&outside, global).await).await,
            Some(Action::Set { stream, to, partition, yes }) => set(&outside, &stream, &to, partition, yes).await,
            Some(Action::Forget { stream, yes }) => forget(&outside, &stream, yes).await,
            Some(Action::AcceptLoss { stream, yes }) => accept_loss(&outside, &stream, yes).await,
        }
    }
}

async fn list(outside: &Outside, global: &Global) -> Done {
    let standings = outside.store()?.books().positions(None).await?;
    let mut items = Vec::new();
    for stream in outside.streams.iter().filter(|stream| stream.is_applied()) {
        let own = group_of(stream, &**outside.store()?);
        let readers = outside.journal.groups(&stream.topic).await?;
        for extent in outside.journal.extents(&stream.topic).await? {
            let standing = standings
                .iter()
                .find(|standing| standing.place.stream == stream.name && standing.place.partition == extent.partition);
            let position = standing.map_or(extent.start, |standing| standing.next_offset);
            let state = match standing {
                None => "not begun".into(),
                Some(standing) if standing.journal != outside.journal.identity() => "another journal".into(),
                Some(Standing { halted: Some(reason), .. }) => format!("stands still: {reason}"),
                Some(_) if position < extent.start => {
                    format!("the journal begins at {}: {} are gone", extent.start, extent.start - position)
                }
                Some(_) if position > extent.end => "the journal ends before".into(),
                Some(_) if position == extent.end => "has everything".into(),
                Some(_) => "behind".into(),
            };
            items.push(json!({
                "stream": stream.name.as_str(),
                "topic": stream.topic.as_str(),
                "partition": extent.partition,
                "position": position,
                "begin": extent.start,
                "end": extent.end,
                "lag": (extent.end - position).max(0),
                "other_readers": readers.iter().filter(|group| **group != own).count(),
                "owner": standing.map_or("", |standing| &standing.owner),
                "state": state,
            }));
        }
    }
    output::list(global.output, COLUMNS, &items)?;
    Ok(())
}

/// The partitions that are meant: the one that is named, or all.
async fn extents(outside: &Outside, stream: &Stream, partition: Option<i32>) -> Result<Vec<Extent>, Failed> {
    let mut extents = outside.journal.extents(&stream.topic).await?;
    extents.retain(|extent| partition.is_none_or(|partition| partition == extent.partition));
    if extents.is_empty() {
        let which = partition.map_or_else(String::new, |partition| format!(" {partition}"));
        return Err(Failed::Error(format!("topic {} has no partition{which}", stream.topic).into()));
    }
    Ok(extents)
}

async fn standing(outside: &Outside, place: &Place) -> Result<Option<Standing>, Failed> {
    let standings = outside.store()?.books().positions(Some(&place.stream)).await?;
    Ok(standings.into_iter().find(|standing| standing.place == *place))
}

async fn set(outside: &Outside, stream: &str, to: &str, partition: Option<i32>, yes: bool) -> Done {
    let stream = outside.stream(stream)?;
    let extents = extents(outside, stream, partition).await?;
    if extents.len() > 1 && !matches!(to, "beginning" | "end") {
        let count = extents.len();
        return Err(Failed::Usage(format!("topic {} has {count} partitions: say --partition", stream.topic)));
    }
    for extent in extents {
        set_one(outside, stream, to, extent, yes).await?;
    }
    Ok(())
}

async fn set_one(outside: &Outside, stream: &Stream, to: &str, extent: Extent, yes: bool) -> Done {
    let Extent { partition, start, end } = extent;
    let to = match to {
        "beginning" => start,
        "end" => end,
        offset => {
            offset.parse().map_err(|_| Failed::Usage(format!("{offset:?} is not beginning, end or an offset")))?
        }
    };
    if !(start..=end).contains(&to) {
        return Err(Failed::Usage(format!("the journal holds offsets {start} to {end}; {to} is not among them")));
    }
    let place = Place { stream: stream.name.clone(), topic: stream.topic.clone(), partition };
    let before = standing(outside, &place).await?.map_or(start, |standing| standing.next_offset);
    let which = match partition {
        0 => stream.name.to_string(),
        _ => format!("{}, partition {partition}", stream.name),
    };
    let what = match to - before {
        0 => format!("{which} stays at {to}"),
        skipped @ 1.. => format!("{skipped} documents of {which} are given up and count as lost"),
        behind => format!(
            "{} documents of {which} are applied again, into the tables as they are; dead letters among them are \
             forgotten",
            -behind
        ),
    };
    ask(&what, yes)?;
    let journal = outside.journal.identity().to_owned();
    outside.store()?.books().move_position(&place, &Move::Set { to, journal }).await?;
    eprintln!("{which} goes on at {to}");
    Ok(())
}

async fn forget(outside: &Outside, stream: &str, yes: bool) -> Done {
    let stream = outside.stream(stream)?;
    let own = group_of(stream, &**outside.store()?);
    let mut others = outside.journal.groups(&stream.topic).await?;
    others.retain(|group| *group != own);
    for group in &others {
        ask(&format!("{group} reads {}, and what it has not read may go then", stream.topic), yes)?;
        outside.journal.forget_group(&stream.topic, group).await?;
        eprintln!("{group}: forgotten");
    }
    if others.is_empty() {
        eprintln!("no other store reads {}", stream.topic);
    }
    Ok(())
}

async fn accept_loss(outside: &Outside, stream: &str, yes: bool) -> Done {
    let stream = outside.stream(stream)?;
    let mut is_any = false;
    for extent in outside.journal.extents(&stream.topic).await? {
        let place = Place { stream: stream.name.clone(), topic: stream.topic.clone(), partition: extent.partition };
        let Some(standing) = standing(outside, &place).await? else { continue };
        let is_other = standing.journal != outside.journal.identity();
        let next = standing.next_offset;
        let to = if is_other || next < extent.start { extent.start } else { extent.end };
        let what = match (is_other, next) {
            (true, _) => format!(
                "{}: the books count in another journal, at {next}; what that journal held after it is given up, and \
                 this journal is applied from {to}",
                stream.name
            ),
            (false, next) if next < extent.start => {
                format!("{}: offsets {next} to {} are gone, and count as lost", stream.name, extent.start)
            }
            (false, next) if next > extent.end => {
                format!(
                    "{}: the journal ends at {}, before the position {next}; go on at {to}",
                    stream.name, extent.end
                )
            }
            _ => continue,
        };
        is_any = true;
        ask(&what, yes)?;
        let journal = outside.journal.identity().to_owned();
        outside.store()?.books().move_position(&place, &Move::AcceptLoss { to, journal }).await?;
        eprintln!("{} goes on at {to}", stream.name);
    }
    if !is_any {
        eprintln!("nothing of {} is lost", stream.name);
    }
    Ok(())
}

fn ask(what: &str, yes: bool) -> Done {
    if yes {
        return Ok(());
    }
    eprint!("{what}. Go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") || answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Failed::Error("nothing was changed (`--yes` does not ask)".into()))
}
