//! Kafka and PostgreSQL, a gateway and two appliers: everything that can break does, and how soon rows flow again is
//! measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{APPLIER, Books, Crew, GATEWAY, rounds};
use crate::random::Random;
use crate::support::{PATIENCE, Proxy, Trap, eventually, services};

/// Between two documents of a client: four of them keep the program busy, and the test short.
const PAUSE: Duration = Duration::from_millis(4);

const PARTITIONS: usize = 4;

/// What breaks in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Gateway,
    Applier,
    GatewayAndApplier,
    /// An applier is killed and stays away.
    TakeOver,
    Kafka,
    /// Kafka is away, and an applier that was killed starts before it is back.
    KafkaAndApplier,
    Postgres,
    /// PostgreSQL is away, and an applier that was killed starts before it is back.
    PostgresAndApplier,
    Connections,
    Commit,
    ReplyToCommit,
}

const FAULTS: [Fault; 11] = [
    Fault::Gateway,
    Fault::Applier,
    Fault::GatewayAndApplier,
    Fault::TakeOver,
    Fault::Kafka,
    Fault::KafkaAndApplier,
    Fault::Postgres,
    Fault::PostgresAndApplier,
    Fault::Connections,
    Fault::Commit,
    Fault::ReplyToCommit,
];

/// Every fault once, in any order, and then again. `SLUICEGATE_CRASH_FAULT` names the only one that is wanted.
#[derive(Default)]
struct Deck(Vec<Fault>);

impl Deck {
    fn draw(&mut self, random: &mut Random) -> Fault {
        if self.0.is_empty() {
            let only = std::env::var("SLUICEGATE_CRASH_FAULT").ok();
            let is_wanted = |fault: &Fault| only.as_ref().is_none_or(|only| *only == format!("{fault:?}"));
            self.0.extend(FAULTS.into_iter().filter(is_wanted));
        }
        let index = random.below(self.0.len() as u64) as usize;
        self.0.swap_remove(index)
    }
}

/// How long it took until rows flowed again in every partition, by what had happened.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<&'static str, Vec<Duration>>);

impl Figures {
    pub(super) fn note(&mut self, what: &'static str, took: Duration) {
        self.0.entry(what).or_default().push(took);
    }

    /// Prints them. Among all other tests the machine has other things to do, and only what is never quick fails; with
    /// `SLUICEGATE_CRASH_ROUNDS` half of them must keep the promise, and none may take far longer.
    pub(super) fn check(mut self, promises: &[(&str, Duration)]) {
        for (what, took) in &mut self.0 {
            took.sort();
            let (half, most) = (took[(took.len() - 1) / 2], took[took.len() - 1]);
            println!("{what}: rows flow after {half:.2?} (median), {most:.2?} (longest of {})", took.len());
        }
        for (what, promise) in promises {
            let Some(took) = self.0.get(what) else { continue };
            assert!(took[0] <= *promise * 2, "{what}: {took:?}");
            if std::env::var_os("SLUICEGATE_CRASH_ROUNDS").is_none() {
                continue;
            }
            assert!(took[(took.len() - 1) / 2] <= *promise, "{what}: {took:?}");
            assert!(took[took.len() - 1] <= *promise * 3, "{what}: {took:?}");
        }
    }
}

#[test]
fn kafka_and_postgresql_with_all_that_can_break() {
    let Some(services) = services::Private::up(&["kafka", "postgres"]) else { return };
    let (rounds, mut random) = rounds(20);
    let store = format!("{}?sslmode=disable", services.postgres());
    let proxies = [Proxy::before(&store), Proxy::before(&store)];
    let config = |store: &str| {
        format!(
            "journal: kafka://{}?partitions={PARTITIONS}&append_timeout=5s\nstore: {store}\n\
             streams:\n  activities: {{takes: changes, key: /activities/0/col_values/0}}\n",
            services.kafka()
        )
    };
    let [first, second] = [&proxies[0], &proxies[1]].map(|proxy| config(&proxy.url(&store)));
    let members = [(config(&store), GATEWAY), (first, APPLIER), (second, APPLIER)];
    let mut crew = Crew::of_many_homes(&members, Books::Postgres(store.clone()));
    let (mut deck, mut figures) = (Deck::default(), Figures::default());
    let (ledger, begun) = (Arc::clone(&crew.ledger), Instant::now());
    ledger.while_sending(PAUSE, || {
        crew.flows_everywhere(PARTITIONS);
        for round in 0..rounds {
            crew.load(random.below(100), Duration::from_millis(300));
            let fault = deck.draw(&mut random);
            println!("round {round}: {fault:?} after {:.1?}", begun.elapsed());
            break_and_mend(fault, &mut crew, &services, &proxies, &mut random, &mut figures);
        }
    });
    crew.settle();
    figures.check(&[
        (RESTARTED, Duration::from_secs(2)),
        (TAKEN_OVER, Duration::from_secs(10)),
        (KAFKA_BACK, Duration::from_secs(3)),
        (POSTGRES_BACK, Duration::from_secs(3)),
    ]);
}

const RESTARTED: &str = "applier killed and started again";
const TAKEN_OVER: &str = "applier killed, another one takes over";
const KAFKA_BACK: &str = "Kafka is back";
const POSTGRES_BACK: &str = "PostgreSQL is back";

fn break_and_mend(
    fault: Fault,
    crew: &mut Crew,
    services: &services::Private,
    proxies: &[Proxy; 2],
    random: &mut Random,
    figures: &mut Figures,
) {
    let chosen = random.below(2) as usize;
    let applier = chosen + 1;
    let standings = |crew: &Crew| eventually(PATIENCE, "PostgreSQL answers", || crew.books.standings());
    match fault {
        Fault::Gateway => {
            crew.kill(0);
            crew.start(0);
        }
        Fault::Applier | Fault::GatewayAndApplier => {
            if fault == Fault::GatewayAndApplier {
                crew.kill(0);
            }
            crew.kill(applier);
            let before = standings(crew);
            if fault == Fault::GatewayAndApplier {
                crew.start(0);
            }
            crew.start(applier);
            figures.note(RESTARTED, crew.flows(RESTARTED, &before));
        }
        Fault::TakeOver => {
            crew.kill(applier);
            let before = standings(crew);
            figures.note(TAKEN_OVER, crew.flows(TAKEN_OVER, &before));
            crew.start(applier);
        }
        Fault::Kafka | Fault::KafkaAndApplier => {
            services.stop(&["kafka", "--immediate"]);
            if fault == Fault::KafkaAndApplier {
                crew.kill(applier);
                crew.start(applier);
            }
            services.start(&["kafka"]);
            let before = standings(crew);
            figures.note(KAFKA_BACK, crew.flows(KAFKA_BACK, &before));
        }
        Fault::Postgres | Fault::PostgresAndApplier => {
            services.stop(&["postgres", "--immediate"]);
            let kept = crew.ledger.acknowledged();
            if fault == Fault::PostgresAndApplier {
                crew.kill(applier);
                crew.start(applier);
            }
            eventually(PATIENCE, "the gateway goes on without PostgreSQL", || {
                (crew.ledger.acknowledged() > kept + 10).then_some(())
            });
            services.start(&["postgres"]);
            let before = standings(crew);
            figures.note(POSTGRES_BACK, crew.flows(POSTGRES_BACK, &before));
        }
        Fault::Connections => {
            let before = standings(crew);
            proxies[chosen].cut();
            figures.note("connections to PostgreSQL cut", crew.flows("cut", &before));
        }
        Fault::Commit | Fault::ReplyToCommit => {
            let trap = if fault == Fault::Commit { Trap::LoseCommit } else { Trap::LoseReply };
            proxies[chosen].set(trap);
            proxies[chosen].wait_until_sprung(PATIENCE);
            let before = standings(crew);
            figures.note("a COMMIT or its reply lost", crew.flows("lost", &before));
        }
    }
}
