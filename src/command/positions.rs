//! `sluicegate positions`: where each stream stands, and how a person moves it.

use std::io::{BufRead, Write};

use clap::{Args, Subcommand};

use super::output;
use super::watch::Watch;
use super::wiring::{self, Outside};
use super::{Done, Failed, Global};
use crate::apply::group_of;
use crate::journal::Extent;
use crate::query::positions;
use crate::store::Place;
use crate::store::books::Standing;
use crate::store::moves::{Move, Moved, Seen, Why};
use crate::stream::Stream;
use crate::words::{Choice as _, Where};

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
    outside.store()?;
    outside.log()?;
    output::list(global.output, COLUMNS, &positions::list(&outside.service()).await?)?;
    Ok(())
}

/// The partitions that are meant: the one that is named, or all.
async fn extents(outside: &Outside, stream: &Stream, partition: Option<i32>) -> Result<Vec<Extent>, Failed> {
    let mut extents = outside.log()?.extents(&stream.topic).await?;
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

/// Where a partition stands, and what the journal holds of it. The journal is asked last: of what it holds then, nothing
/// that is applied is missing, and where nothing is lost it does not look so.
async fn look(outside: &Outside, place: &Place) -> Result<(Option<Standing>, Extent), Failed> {
    let standing = standing(outside, place).await?;
    let extents = outside.log()?.extents(&place.topic).await?;
    let extent = extents.into_iter().find(|extent| extent.partition == place.partition);
    let gone = || Failed::Error(format!("topic {} has no partition {} any more", place.topic, place.partition).into());
    Ok((standing, extent.ok_or_else(gone)?))
}

/// A move, and what it does in words.
struct Proposal {
    how: Move,
    what: String,
}

/// So often a person is asked, or a move that needs no answer is tried: each time the partition was moved between the look
/// and the move.
const TRIES_MAX: usize = 100;

/// Proposes, asks and moves, until the partition stands still for as long as that takes. Without a proposal nothing is
/// done; gives whether there was one.
async fn move_it(
    outside: &Outside,
    place: &Place,
    yes: bool,
    propose: impl Fn(Option<&Standing>, Extent) -> Result<Option<Proposal>, Failed>,
) -> Result<bool, Failed> {
    for _ in 0..TRIES_MAX {
        let (standing, extent) = look(outside, place).await?;
        let Some(Proposal { how, what }) = propose(standing.as_ref(), extent)? else { return Ok(false) };
        ask(&what, yes)?;
        let from = how.seen.as_ref().map_or(how.start, |seen| seen.next_offset);
        let which = which(place);
        match outside.store()?.books().move_position(place, &how).await? {
            Moved::Stale if !yes => eprintln!("{which} has been moved meanwhile, and nothing was changed."),
            Moved::Stale => {}
            Moved::Done { to, lost } => {
                let is_same_journal = how.seen.is_some_and(|seen| seen.journal == how.journal);
                match lost {
                    _ if !is_same_journal => {}
                    0 if to > from => eprintln!("everything up to {to} was applied meanwhile; nothing is given up"),
                    lost if to - from > lost => eprintln!("{lost} documents are given up; the others were applied"),
                    _ => {}
                }
                eprintln!("{which} goes on at {to}");
                return Ok(true);
            }
        }
    }
    let which = which(place);
    Err(Failed::Error(format!("{which} is moved by others all the time; nothing was changed, try again").into()))
}

fn which(place: &Place) -> String {
    match place.partition {
        0 => place.stream.to_string(),
        partition => format!("{}, partition {partition}", place.stream),
    }
}

async fn set(outside: &Outside, stream: &str, to: &str, partition: Option<i32>, yes: bool) -> Done {
    let stream = outside.stream(stream)?;
    let extents = extents(outside, stream, partition).await?;
    if extents.len() > 1 && Where::parse(to).is_none() {
        let count = extents.len();
        return Err(Failed::Usage(format!("topic {} has {count} partitions: say --partition", stream.topic)));
    }
    for Extent { partition, .. } in extents {
        let place = Place { stream: stream.name.clone(), topic: stream.topic.clone(), partition };
        let journal = outside.journal.identity();
        move_it(outside, &place, yes, |standing, extent| propose_set(&place, journal, to, standing, extent)).await?;
    }
    Ok(())
}

fn propose_set(
    place: &Place,
    journal: &str,
    to: &str,
    standing: Option<&Standing>,
    extent: Extent,
) -> Result<Option<Proposal>, Failed> {
    let Extent { start, end, .. } = extent;
    let to = match Where::parse(to) {
        Some(Where::Beginning) => start,
        Some(Where::End) => end,
        None => to.parse().map_err(|_| Failed::Usage(format!("{to:?} is not beginning, end or an offset")))?,
    };
    if !(start..=end).contains(&to) {
        return Err(Failed::Usage(format!("the journal holds offsets {start} to {end}; {to} is not among them")));
    }
    let (which, before) = (which(place), standing.map_or(start, |standing| standing.next_offset));
    let what = match to - before {
        _ if standing.is_some_and(|standing| standing.journal != journal) => format!(
            "{which}: the books count in another journal, at {before}; what that journal held after it is given up, and \
             this journal is applied from {to}"
        ),
        0 => format!("{which} stays at {to}"),
        skipped @ 1.. => format!("{skipped} documents of {which} are given up and count as lost"),
        behind => format!(
            "{} documents of {which} are applied again, into the tables as they are; dead letters among them are \
             forgotten",
            -behind
        ),
    };
    Ok(Some(Proposal { how: a_move(standing, start, to, journal, Why::Set), what }))
}

fn a_move(standing: Option<&Standing>, start: i64, to: i64, journal: &str, why: Why) -> Move {
    let seen = standing.map(|standing| Seen { journal: standing.journal.clone(), next_offset: standing.next_offset });
    Move { seen, start, to, journal: journal.to_owned(), why }
}

async fn forget(outside: &Outside, stream: &str, yes: bool) -> Done {
    let stream = outside.stream(stream)?;
    let own = group_of(stream, &**outside.store()?);
    let mut others = outside.log()?.groups(&stream.topic).await?;
    others.retain(|group| *group != own);
    for group in &others {
        ask(&format!("{group} reads {}, and what it has not read may go then", stream.topic), yes)?;
        outside.log()?.forget_group(&stream.topic, group).await?;
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
    for Extent { partition, .. } in outside.log()?.extents(&stream.topic).await? {
        let place = Place { stream: stream.name.clone(), topic: stream.topic.clone(), partition };
        let journal = outside.journal.identity();
        is_any |= move_it(outside, &place, yes, |standing, extent| {
            Ok(standing.and_then(|standing| propose_loss(&place, journal, standing, extent)))
        })
        .await?;
    }
    if !is_any {
        eprintln!("nothing of {} is lost", stream.name);
    }
    Ok(())
}

/// None where nothing is lost.
fn propose_loss(place: &Place, journal: &str, standing: &Standing, extent: Extent) -> Option<Proposal> {
    let Extent { start, end, .. } = extent;
    let (which, next) = (which(place), standing.next_offset);
    let (to, what) = if standing.journal != journal {
        let what = format!(
            "{which}: the books count in another journal, at {next}; what that journal held after it is given up, and \
             this journal is applied from {start}"
        );
        (start, what)
    } else if next < start {
        (start, format!("{which}: offsets {next} to {start} are gone, and count as lost"))
    } else if next > end {
        (end, format!("{which}: the journal ends at {end}, before the position {next}; go on at {end}"))
    } else {
        return None;
    };
    Some(Proposal { how: a_move(Some(standing), start, to, journal, Why::AcceptLoss), what })
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
