//! How often a document is tried that may have lost a race: so often that a race is over, so seldom that a document which
//! only looks like one does not hold up those behind it.

use std::time::{Duration, Instant};

use super::{ApplyRules, Part, Store, StoreError};
use crate::problem::{Problem, ProblemType};
use crate::reason::chain;

/// Whoever loses a race five times in a row, alone and after growing pauses, is not losing a race.
const TRIES_MAX: u32 = 5;

/// The pause after the first try; each is three times as long as the one before: 5, 15, 45 and 135 ms. Deadlocks and two
/// sessions that make one table are over in a few of them.
const PAUSE_FIRST: Duration = Duration::from_millis(5);

/// After so long there is no further try: what runs into the server's own time limits is slow every time.
const TRIES_TIME_MAX: Duration = Duration::from_secs(30);

/// The tries of one document by itself.
#[derive(Debug)]
pub struct Tries {
    begun: Instant,
    last: Instant,
    made: u32,
}

impl Tries {
    /// Before the first one.
    pub fn begin() -> Self {
        Tries { begun: Instant::now(), last: Instant::now(), made: 0 }
    }

    /// After a try that failed: true after a pause when another one is to be made; false when the failure is the
    /// document's, for which the store vouches.
    pub async fn again(&mut self, store: &dyn Store) -> Result<bool, StoreError> {
        self.made += 1;
        let took = self.last.elapsed();
        if self.made < TRIES_MAX && self.begun.elapsed() < TRIES_TIME_MAX {
            tokio::time::sleep(PAUSE_FIRST * 3u32.pow(self.made - 1)).await;
            self.last = Instant::now();
            return Ok(true);
        }
        store.vouch(took).await?;
        Ok(false)
    }
}

/// Applies one document in transactions that are thrown away, as often as it would be tried. Gives the SQL that ran, and why
/// it would become a dead letter, if it would.
pub async fn rehearse(
    store: &dyn Store,
    rules: &ApplyRules,
    document: &Part,
) -> Result<(Vec<String>, Option<Problem>), StoreError> {
    let mut tries = Tries::begin();
    loop {
        let mut transaction = store.begin(rules, None).await?;
        transaction.record_statements();
        let applied = transaction.apply(document).await;
        let statements = transaction.statements();
        let done = match applied {
            Ok(_) => transaction.look_ahead().await,
            Err(refusal) => Err(refusal.error),
        };
        drop(transaction);
        let problem = match done {
            Ok(()) => return Ok((statements, None)),
            Err(StoreError::Document(problem)) => return Ok((statements, Some(problem.about(document.tables())))),
            Err(StoreError::Contested(problem)) => *problem,
            Err(StoreError::Lost(reason)) => Problem::new(ProblemType::DatabaseRefused, chain(&reason)),
            Err(other) => return Err(other),
        };
        if !tries.again(store).await? {
            return Ok((statements, Some(problem.about(document.tables()))));
        }
    }
}
