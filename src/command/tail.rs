//! `sluicegate tail TOPIC`: a topic's records, as kcat prints them.
//!
//! It is a member of no group: nobody's reading is held up by it, and nothing is kept for it.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::output::Output;
use super::{Done, Failed, Global, capability, wiring};
use crate::config::Config;
use crate::document::TopicName;
use crate::journal::Extent;
use crate::near;
use crate::record::{Headers, Kept};
use crate::registry;
use crate::shutdown::Signals;
use crate::words::{Choice as _, Where};

/// How long a wait for records lasts before it is begun again.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// The topic
    topic: String,
    /// Where to begin
    #[arg(long, value_name = "beginning|end|OFFSET", default_value = "beginning", allow_hyphen_values = true)]
    from: Begin,
    /// Begin so many records before the end, in each partition
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "from")]
    last: Option<u32>,
    /// Leave at the topic's end, as it is at the start
    #[arg(long)]
    exit: bool,
    /// This partition only
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    At(Where),
    Offset(i64),
}

impl std::str::FromStr for Begin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (Where::parse(text), text.parse()) {
            (Some(place), _) => Ok(Begin::At(place)),
            (None, Ok(offset)) if offset >= 0 => Ok(Begin::Offset(offset)),
            _ => Err("write `beginning`, `end` or an offset, such as 42"),
        }
    }
}

impl Tail {
    pub(super) async fn run(self, global: &Global) -> Done {
        let config = global.load()?;
        let print = match global.output {
            None | Some(Output::Value) => value as Print,
            // Others were refused.
            Some(_) => message,
        };
        wiring::must_exist([Some(&config.journal)])?;
        let topic = TopicName::parse(&self.topic)?;
        let journal = registry::open_journal(&config.journal, &config.data).await?;
        let journal = journal.log().ok_or_else(capability::no_log)?;
        let mut extents = journal.extents(&topic).await?;
        if extents.is_empty() {
            return Err(Failed::Error(missing(&config, &topic).into()));
        }
        if let Some(partition) = self.partition {
            extents.retain(|extent| extent.partition == partition);
            if extents.is_empty() {
                return Err(Failed::Error(format!("topic {topic} has no partition {partition}").into()));
            }
        }
        let from = self.begin(&topic, &extents)?;
        // Of each partition that is not read to its end: the end.
        let mut left: Vec<(i32, i64)> = extents
            .iter()
            .zip(&from)
            .filter(|(extent, (_, at))| *at < extent.end)
            .map(|(extent, _)| (extent.partition, extent.end))
            .collect();
        let mut follower = journal.follow(&topic, &from).await?;
        let mut signals = Signals::listen()?;
        let mut out = BufWriter::new(io::stdout().lock());
        while !(self.exit && left.is_empty()) {
            let batch = tokio::select! {
                batch = follower.next(PATIENCE) => batch?,
                () = signals.next() => return Ok(()),
            };
            let Some(batch) = batch else { continue };
            let end = left.iter().find(|(partition, _)| *partition == batch.partition).map_or(0, |(_, end)| *end);
            let is_wanted = |kept: &&Kept| !self.exit || kept.position.offset < end;
            let printed = batch.records.iter().filter(is_wanted).try_for_each(|kept| print(&mut out, kept));
            match printed.and_then(|()| out.flush()) {
                // Whoever read has had enough, as `head` has.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed?,
            }
            left.retain(|(partition, end)| *partition != batch.partition || batch.next_offset < *end);
        }
        Ok(())
    }

    /// Where to begin in each partition.
    fn begin(&self, topic: &TopicName, extents: &[Extent]) -> Result<Vec<(i32, i64)>, Failed> {
        if matches!(self.from, Begin::Offset(_)) && extents.len() > 1 {
            let words = format!("topic {topic} has {} partitions; say which with --partition", extents.len());
            return Err(Failed::Usage(words));
        }
        let at = |extent: &Extent| match (self.from, self.last) {
            (_, Some(count)) => (extent.end - i64::from(count)).max(extent.start),
            (Begin::At(Where::Beginning), None) => extent.start,
            (Begin::At(Where::End), None) => extent.end,
            (Begin::Offset(offset), None) => offset,
        };
        Ok(extents.iter().map(|extent| (extent.partition, at(extent))).collect())
    }
}

/// Why there is no such topic.
fn missing(config: &Config, topic: &TopicName) -> String {
    match config.streams.iter().find(|stream| stream.topic == topic.as_str()) {
        Some(stream) if stream.source.is_some() => {
            format!("there is no topic {topic} yet, which the stream {} reads: whoever writes it makes it", stream.name)
        }
        Some(stream) => format!(
            "nothing was sent to the stream {} yet: its topic {topic} is made by `sluicegate up`, or by the first document \
             that is published",
            stream.name
        ),
        None => near::unknown("topic", topic.as_str(), config.streams.iter().map(|stream| stream.topic.as_str())),
    }
}

type Print = fn(&mut dyn Write, &Kept) -> io::Result<()>;

/// The value and the end of a line.
fn value(out: &mut dyn Write, kept: &Kept) -> io::Result<()> {
    out.write_all(&kept.record.value)?;
    out.write_all(b"\n")
}

/// A record as `kcat -J` names what it has.
#[derive(Debug, Serialize)]
struct Message<'k> {
    topic: &'k str,
    partition: i32,
    offset: i64,
    tstype: &'static str,
    ts: i64,
    broker: i32,
    /// Names and values in turn.
    headers: Vec<String>,
    key: Option<String>,
    payload: String,
}

/// One line of JSON, as `kcat -J` writes it. Which broker it came from is not known.
fn message(out: &mut dyn Write, kept: &Kept) -> io::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Headers { idempotency_key, .. } = &kept.record.headers;
    let attributes = kept.record.headers.attributes().filter(|(_, value)| !value.is_empty());
    let named = attributes.map(|(name, value)| match name {
        "datacontenttype" => ("content-type".to_owned(), value),
        _ => (format!("ce_{name}"), value),
    });
    let key = idempotency_key.as_deref().map(|key| ("idempotency-key".to_owned(), key));
    // Of a record that another program wrote without headers nothing is known.
    let headers = named.chain(key).filter(|_| !kept.record.headers.id.is_empty());
    let line = Message {
        topic: kept.position.topic.as_str(),
        partition: kept.position.partition,
        offset: kept.position.offset,
        tstype: "create",
        ts: kept.record.timestamp_ms,
        broker: -1,
        headers: headers.flat_map(|(name, value)| [name, value.to_owned()]).collect(),
        key: kept.record.key.as_deref().map(text),
        payload: text(&kept.record.value),
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}
