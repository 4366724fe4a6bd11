//! HTTP to Kafka with one setting, beside the simplest handler that gives each body to librdkafka: with linger 0 at 16
//! connections, and with linger 2 ms at 256.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::net::TcpListener;

use super::{journal, journal_url, kafka, unique};
use crate::Fallible;
use crate::load::{self, PATH};
use crate::report::{Rounds, Target, head, line, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;

/// The hidden subcommand that serves the baseline: its arguments are where Kafka is, the topic, and the linger in ms.
pub(crate) const PLAIN: &str = "plain-kafka-server";

const ROUNDS: Scaled<usize> = Scaled(5, 1);
const SECONDS: Scaled<f64> = Scaled(3.0, 0.3);

pub(crate) fn measure() -> Fallible {
    head("documents/s");
    let mut mib = Rounds::default();
    for (connections, linger_ms) in [(16, "0"), (256, "2")] {
        let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS.now() {
            let topic = format!("plain-{}", unique());
            make(&topic)?;
            let server = Server::of_this(&[PLAIN, &kafka()?, &topic, linger_ms])?;
            theirs.push(loaded(&server, connections)?);
            drop(server);
            let scratch = Scratch::new()?;
            let config = format!("streams: {{activities: {{takes: changes, topic: http-{}}}}}\n", unique());
            std::fs::write(scratch.path().join("sluicegate.yaml"), config)?;
            let server = Server::up(scratch.path(), &["--role", "gateway", "--journal", &journal_url(1)?])?;
            ours.push(loaded(&server, connections)?);
            mib.push(server.peak_memory_mib()?);
        }
        let what = format!("{connections} connections, beside linger {linger_ms} ms");
        line(&what, &ours, &theirs, Target::AtLeast(0.8));
    }
    println!();
    value("resident memory of the gateway, worst round", mib.max(), "MiB", Target::AtMost(150.0));
    Ok(())
}

/// Makes a topic of one partition, as the gateway does.
fn make(topic: &str) -> Fallible {
    let scratch = Scratch::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let topic = sluicegate::document::TopicName::parse(topic)?;
        journal(&journal_url(1)?, scratch.path()).await?.open_topic(&topic, u64::MAX).await?;
        Ok(())
    })
}

fn loaded(server: &Server, connections: usize) -> Fallible<f64> {
    let load = load::run(&server.address, connections, SECONDS.now())?;
    if load.refused > 0 {
        return Err(format!("{} of {} requests were refused", load.refused, load.refused + load.accepted).into());
    }
    Ok(load.rate)
}

/// Serves the baseline until it is killed.
pub(crate) fn serve_plain(arguments: &[String]) -> Fallible {
    let [kafka, topic, linger_ms] = arguments else { return Err("plain-kafka-server: kafka, topic, linger".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", linger_ms)
            .create()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("listens on http://{}", listener.local_addr()?);
        let topic: &'static str = topic.clone().leak();
        let handler = move |State(producer): State<FutureProducer>, body: Bytes| async move {
            let record = FutureRecord::<(), _>::to(topic).payload(&body[..]);
            match producer.send(record, Duration::from_secs(10)).await {
                Ok(_) => StatusCode::OK,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        axum::serve(listener, Router::new().route(PATH, post(handler)).with_state(producer)).await?;
        Ok(())
    })
}
