//! Errors of librdkafka as errors of a journal: what happened, and what mends it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::journal::JournalError;

/// What librdkafka told of its connections lately, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

/// An error of librdkafka, and what it told of its connections before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Troubled {
    pub(super) error: KafkaError,
    #[source]
    pub(super) trouble: Option<Trouble>,
}

/// What is wrong with a topic that is compacted, and what mends it.
pub(super) const COMPACTED: &str = "it is compacted, so it takes no document without a key, and keeps only the last one of each key; set its \
     cleanup.policy to delete (kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config \
     cleanup.policy=delete)";

/// What an error means, said of `what`, such as "the topic people".
pub(super) fn failed(what: &str, error: KafkaError) -> JournalError {
    troubled(what, error, None)
}

/// As [`failed`], with what was told before.
pub(super) fn troubled(what: &str, error: KafkaError, trouble: Option<Trouble>) -> JournalError {
    match error {
        // The value may be a password, and stands in the error: it is no cause.
        KafkaError::ClientConfig(_, _, name, _) => {
            JournalError::stop(format!("the journal's URL: librdkafka does not take the value of `{name}`"))
        }
        // The reason may name a file, such as one with certificates, and holds no secret.
        KafkaError::ClientCreation(reason) => JournalError::stop(format!("the journal's URL: {reason}")),
        _ => {
            let code = error.rdkafka_error_code();
            let means = code.map_or_else(|| JournalError::later(what.to_owned()), |code| meaning(what, code));
            means.because(Troubled { error, trouble })
        }
    }
}

/// The same, caused by what was told before, if anything was.
pub(super) fn caused(error: JournalError, trouble: Option<Trouble>) -> JournalError {
    match trouble {
        Some(trouble) => error.because(trouble),
        None => error,
    }
}

/// What an error code means, said of `what`.
pub(super) fn meaning(what: &str, code: Code) -> JournalError {
    let stop = |mend: &str| JournalError::stop(format!("{what}: {code}; {mend}"));
    match code {
        Code::TopicAuthorizationFailed => stop("grant this user Describe, Read and Write on it"),
        Code::GroupAuthorizationFailed => {
            stop("grant this user Read on the consumer groups that begin with `sluicegate.`")
        }
        Code::ClusterAuthorizationFailed => stop("grant this user IdempotentWrite, or Write on the topics"),
        Code::Authentication | Code::SaslAuthenticationFailed => stop("check user and password in the journal's URL"),
        Code::UnsupportedSASLMechanism => stop("set sasl.mechanism in the journal's URL to one that the broker has"),
        Code::SSL => stop("check security.protocol and the ssl properties in the journal's URL"),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            stop("there is no such topic: create it, or restart Sluicegate, which creates those that it writes itself")
        }
        Code::MessageSizeTooLarge => {
            stop("raise max.message.bytes of the topic, or lower document_bytes_max of the stream")
        }
        Code::InvalidRecord => stop(COMPACTED),
        Code::InvalidTimestamp => stop("the clocks of this machine and of the broker differ too much: set them"),
        Code::PolicyViolation | Code::InvalidTopic | Code::InvalidConfig => stop("create the topic by hand"),
        Code::InvalidReplicationFactor => stop("set replication in the journal's URL to at most the number of brokers"),
        Code::FencedInstanceId => stop(
            "another process uses the same data folder's id: give each process a data folder of its own, and copy none",
        ),
        Code::AutoOffsetReset | Code::OffsetOutOfRange => {
            stop("what was to be read next is gone: `sluicegate positions` shows where the journal begins")
        }
        Code::InconsistentGroupProtocol => stop("the consumer group is used by another program: let it leave"),
        Code::Fatal => stop("restart Sluicegate"),
        _ => JournalError::later(format!("{what}: {code}")),
    }
}

/// Whether a record that failed so is certainly not in the topic.
pub(super) fn is_certain(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::MessageSizeTooLarge
            | Code::InvalidTimestamp
            | Code::InvalidRecord
            | Code::InvalidTopic
            | Code::PolicyViolation
            | Code::QueueFull
            | Code::Fatal
            | Code::PurgeQueue
    )
}

/// Whether librdkafka goes on by itself, and a reader has nothing to do but wait.
pub(super) fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::NodeUpdate
            | Code::NetworkException
            | Code::RebalanceInProgress
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::PollExceeded
            | Code::PartitionEOF
    )
}
