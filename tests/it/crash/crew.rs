//! The processes of a test: killed, stopped and started one by one while clients go on sending.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::books::{Books, Standings};
use super::ledger::Ledger;
use crate::support::{Home, PATIENCE, Process, Target, eventually};

/// A gateway that listens.
pub(crate) const GATEWAY: &[&str] = &["up", "--listen", "127.0.0.1:0", "--role", "gateway"];

/// A process that applies.
pub(crate) const APPLIER: &[&str] = &["up", "--role", "apply"];

/// Processes, what they were sent, and where it goes. The first one is the gateway.
pub(crate) struct Crew {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) books: Books,
    /// The home of whoever looks after them.
    pub(crate) operator: Rc<Home>,
    members: Vec<(Rc<Home>, &'static [&'static str], Option<Process>)>,
}

impl Crew {
    /// Processes that share one home, as the embedded journal and store want it.
    pub(crate) fn of_one_home(commands: &[&'static [&'static str]]) -> Self {
        let home = Rc::new(Home::new());
        let books = Books::Sqlite(home.store());
        Self::start_all(commands.iter().map(|command| (Rc::clone(&home), *command)).collect(), home, books)
    }

    /// Processes that have a home each, as on machines of their own.
    pub(crate) fn of_many_homes(configs: &[(String, &'static [&'static str])], books: Books) -> Self {
        let members = configs.iter().map(|(config, command)| (Rc::new(Home::with(config)), *command)).collect();
        let operator = Rc::new(Home::with(&configs[0].0));
        Self::start_all(members, operator, books)
    }

    fn start_all(members: Vec<(Rc<Home>, &'static [&'static str])>, operator: Rc<Home>, books: Books) -> Self {
        let members = members.into_iter().map(|(home, command)| (home, command, None)).collect();
        let mut crew = Crew { ledger: Arc::default(), books, operator, members };
        for index in 0..crew.members.len() {
            crew.start(index);
        }
        crew
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Starts a process again that was killed.
    #[track_caller]
    pub(crate) fn start(&mut self, index: usize) {
        let (home, command, running) = &mut self.members[index];
        let process = home.start(command);
        let process = if index == 0 { process.listening() } else { process };
        if index == 0 {
            self.ledger.send_to(process.address());
        }
        *running = Some(process);
    }

    /// Adds one more.
    pub(crate) fn add(&mut self, config: &str, command: &'static [&'static str]) {
        self.members.push((Rc::new(Home::with(config)), command, None));
        self.start(self.members.len() - 1);
    }

    /// Ends a process as a crash does.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut process) = self.members[index].2.take() {
            process.kill();
        }
    }

    /// A running process.
    #[track_caller]
    pub(crate) fn process(&self, index: usize) -> &Process {
        self.members[index].2.as_ref().expect("it runs")
    }

    /// Waits until clients have had so many more answers, or for `at_most`: a crash without load is a crash too.
    pub(crate) fn load(&self, more: u64, at_most: Duration) {
        let target = self.ledger.acknowledged() + more;
        let begun = Instant::now();
        eventually(PATIENCE, "the round's load", || {
            (self.ledger.acknowledged() >= target || begun.elapsed() > at_most).then_some(())
        });
    }

    /// Waits until apply has begun in so many partitions.
    #[track_caller]
    pub(crate) fn flows_everywhere(&self, partitions: usize) {
        eventually(PATIENCE * 2, "every partition is applied", || {
            (self.books.standings()?.values().filter(|next| **next > 0).count() == partitions).then_some(())
        });
    }

    /// Waits until every partition of `before` has moved, and says how long that took.
    #[track_caller]
    pub(crate) fn flows(&self, what: &str, before: &Standings) -> Duration {
        let begun = Instant::now();
        let patience = PATIENCE * 2;
        loop {
            let now = self.books.standings();
            let still: Vec<_> = match &now {
                None => before.keys().collect(),
                Some(now) => before.iter().filter(|(at, next)| now.get(at) <= Some(next)).map(|(at, _)| at).collect(),
            };
            if still.is_empty() {
                return begun.elapsed();
            }
            if begun.elapsed() > patience {
                let positions = self.operator.run(&["positions", "--output", "json"]);
                panic!(
                    "{what}: partitions {still:?} stand still for {patience:?}\n{}{}",
                    positions.stdout, positions.stderr
                );
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits until everything is applied, and looks whether it is what was acknowledged.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.ledger.settle();
        let mut said = String::new();
        let until = Instant::now() + PATIENCE * 3;
        loop {
            let ran = self.operator.run(&["verify", "--output", "json"]).expect(0);
            if ran.json().as_array().unwrap().iter().all(|balance| balance["waiting"] == 0) {
                break;
            }
            assert!(Instant::now() < until, "not everything is applied: {said}");
            said = ran.stdout;
        }
        self.books.inspect(&self.ledger);
        self.operator.run(&["verify"]).expect(0);
    }
}
