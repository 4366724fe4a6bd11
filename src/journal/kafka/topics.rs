//! Topics as an administrator sees them: created when missing, measured, and groups forgotten.
//!
//! Retention is the broker's business: nothing here removes a record. A client lives as long as one job.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::client::Told;
use super::error::{failed, meaning};
use super::lookup::{DEADLINE, Lookup};
use super::url::Settings;
use crate::document::TopicName;
use crate::journal::JournalError;

/// The largest batch that a topic of ours takes.
pub(super) const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// What a broker takes when nobody has said otherwise.
const MESSAGE_BYTES_USUAL: usize = 1_048_588;

/// How often a new topic is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn admin(settings: &Settings) -> Result<AdminClient<Told>, JournalError> {
    settings.client(&[], &[]).create_with_context(Told::default()).map_err(|error| failed("Kafka", error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(DEADLINE)).operation_timeout(Some(DEADLINE))
}

/// Ends a client on a thread of tokio's blocking pool: it waits for requests that are under way.
fn leave(admin: AdminClient<Told>) {
    // Nobody waits for it, and it takes at most a few requests' time.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
}

/// What a topic's settings mean for us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// The largest batch that it takes.
    pub(super) bytes_max: usize,
    /// Whether records with a later namesake are removed from it.
    pub(super) is_compacted: bool,
}

/// Makes sure that a topic is there, and gives its manners.
pub(super) async fn open(
    settings: &Settings,
    lookup: &Arc<Lookup>,
    topic: &TopicName,
) -> Result<Manners, JournalError> {
    let admin = admin(settings)?;
    let opened = async {
        let name = topic.clone();
        if lookup.ask(move |lookup| lookup.partitions(&name, DEADLINE)).await?.is_none() {
            create(settings, &admin, topic, settings.partitions, Kept::ForAWhile).await?;
        }
        wait_for_leaders(lookup, topic).await?;
        Ok(describe(&admin, topic).await)
    };
    let opened = opened.await;
    leave(admin);
    opened
}

/// Makes sure that a topic is there for what comes of the records of another, partition by partition.
pub(super) async fn open_output(
    settings: &Settings,
    lookup: &Arc<Lookup>,
    output: &TopicName,
    input: &TopicName,
) -> Result<(), JournalError> {
    let count = |topic: &TopicName| {
        let (lookup, topic) = (Arc::clone(lookup), topic.clone());
        async move {
            let found = lookup.ask(move |lookup| lookup.partitions(&topic, DEADLINE)).await?;
            Ok::<_, JournalError>(found.map(|found| i32::try_from(found.len()).unwrap_or(i32::MAX)))
        }
    };
    let wanted = count(input).await?.ok_or_else(|| JournalError::later(format!("there is no topic {input} yet")))?;
    if count(output).await?.is_none() {
        let admin = admin(settings)?;
        let created = create(settings, &admin, output, wanted, Kept::LastOfEachKey).await;
        leave(admin);
        created?;
    }
    wait_for_leaders(lookup, output).await?;
    match count(output).await? {
        Some(there) if there < wanted => Err(JournalError::stop(format!(
            "the topic {output} has {there} partitions and {input} has {wanted}: add some to it              (kafka-topics.sh --alter --topic {output} --partitions {wanted})"
        ))),
        _ => Ok(()),
    }
}

/// How long a topic that we create keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// As the broker does.
    ForAWhile,
    /// The last record of each key for ever.
    LastOfEachKey,
}

async fn create(
    settings: &Settings,
    admin: &AdminClient<Told>,
    topic: &TopicName,
    partitions: i32,
    kept: Kept,
) -> Result<(), JournalError> {
    let bytes_max = MESSAGE_BYTES_MAX.to_string();
    let replication = TopicReplication::Fixed(settings.replication);
    let mut new = NewTopic::new(topic.as_str(), partitions, replication).set("max.message.bytes", &bytes_max);
    if kept == Kept::LastOfEachKey {
        new = new.set("cleanup.policy", "compact");
    }
    let what = format!("the topic {topic} is missing and cannot be created");
    let results = admin.create_topics([&new], &options()).await.map_err(|error| failed(&what, error))?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(%topic, partitions, "Created a topic."),
            // Another process was faster.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                return Err(JournalError::stop(format!(
                    "{what}: this user may not; grant it Create, or create the topic by hand"
                )));
            }
            Err((_, code)) => return Err(meaning(&what, code)),
        }
    }
    Ok(())
}

/// A topic that was just created is not everywhere at once.
async fn wait_for_leaders(lookup: &Arc<Lookup>, topic: &TopicName) -> Result<(), JournalError> {
    let begun = Instant::now();
    loop {
        let name = topic.clone();
        let partitions = lookup.ask(move |lookup| lookup.partitions(&name, DEADLINE)).await?;
        if partitions.is_some_and(|found| !found.is_empty() && found.iter().all(|(_, has_leader)| *has_leader)) {
            return Ok(());
        }
        if begun.elapsed() > DEADLINE {
            let reason = format!("a partition of the topic {topic} has no leader: a broker is missing");
            return Err(JournalError::later(reason));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The manners of a topic that is there.
pub(super) async fn manners(settings: &Settings, topic: &TopicName) -> Result<Manners, JournalError> {
    let admin = admin(settings)?;
    let manners = describe(&admin, topic).await;
    leave(admin);
    Ok(manners)
}

/// What a topic's settings say; what is usual where they may not be asked for.
async fn describe(admin: &AdminClient<Told>, topic: &TopicName) -> Manners {
    let asked = [ResourceSpecifier::Topic(topic.as_str())];
    let found = admin.describe_configs(&asked, &options()).await.ok().and_then(|mut found| found.pop());
    let found = found.and_then(Result::ok);
    let value = |name| found.as_ref().and_then(|found| found.get(name)?.value.clone());
    Manners {
        bytes_max: value("max.message.bytes").and_then(|value| value.parse().ok()).unwrap_or(MESSAGE_BYTES_USUAL),
        is_compacted: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
    }
}

/// Removes what the cluster keeps for a group.
pub(super) async fn forget_group(settings: &Settings, group: &str) -> Result<(), JournalError> {
    let admin = admin(settings)?;
    let what = format!("the group {group}");
    let forgotten = admin.delete_groups(&[group], &options()).await;
    leave(admin);
    for result in forgotten.map_err(|error| failed(&what, error))? {
        match result {
            Ok(_) | Err((_, Code::GroupIdNotFound)) => {}
            Err((_, Code::NonEmptyGroup)) => {
                return Err(JournalError::later(format!("{what} still has members: end them first")));
            }
            Err((_, code)) => return Err(meaning(&what, code)),
        }
    }
    Ok(())
}
