//! One question that many ask: it is put once at a time, and its answer goes to all.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A question that has no answer by then has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// An answer is as good as new for so long.
const FRESH: Duration = Duration::from_millis(200);

/// A question and its last answer.
pub(super) struct Asked<T> {
    state: watch::Sender<State<T>>,
}

struct State<T> {
    answer: Option<(Instant, T)>,
    /// Since when somebody has been waiting for the next answer.
    pending: Option<Instant>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Asked { state: watch::channel(State { answer: None, pending: None }).0 }
    }
}

impl<T: Clone + Send + Sync + 'static> Asked<T> {
    /// The answer, new or not older than [`FRESH`]; or that there is none within [`CHECK_TIMEOUT`] of the question. One
    /// that is not answered is not put again: whatever blocks it would block the next one, too.
    pub(super) async fn ask<F>(&self, question: impl FnOnce() -> F) -> Result<T, String>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut answers = self.state.subscribe();
        let mut is_mine = false;
        self.state.send_if_modified(|state| {
            is_mine = state.pending.is_none() && state.fresh().is_none();
            if is_mine {
                state.pending = Some(Instant::now());
            }
            false
        });
        if is_mine {
            self.put(question());
        }
        loop {
            let pending = {
                let state = answers.borrow_and_update();
                match (state.pending, &state.answer) {
                    (None, Some((_, answer))) => return Ok(answer.clone()),
                    (None, None) => return Err("it could not be asked, by a fault of Sluicegate".into()),
                    (Some(since), _) => since,
                }
            };
            let left = CHECK_TIMEOUT.saturating_sub(pending.elapsed());
            if left.is_zero() {
                return Err(format!("no answer for {} s", pending.elapsed().as_secs()));
            }
            // Whether something has changed or the time is over is seen above.
            let _ = tokio::time::timeout(left, answers.changed()).await;
        }
    }

    fn put<F: Future<Output = T> + Send + 'static>(&self, question: F) {
        let state = self.state.clone();
        tokio::spawn(async move {
            // On a task of its own, so that a panic is seen here.
            let answer = tokio::spawn(question).await;
            state.send_modify(|state| {
                state.pending = None;
                state.answer = answer.ok().map(|answer| (Instant::now(), answer));
            });
        });
    }
}

impl<T> State<T> {
    fn fresh(&self) -> Option<&T> {
        self.answer.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn however_many_ask_the_question_is_put_once_and_never_beside_itself() {
        let (asked, put, gate) =
            (Arc::new(Asked::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (asked, put, gate) = (Arc::clone(&asked), Arc::clone(&put), Arc::clone(&gate));
            askers.spawn(async move {
                asked
                    .ask(|| async move {
                        put.fetch_add(1, Ordering::SeqCst);
                        // It is answered once it may be.
                        gate.acquire().await.map(drop).is_ok()
                    })
                    .await
            });
        }
        tokio::task::yield_now().await;
        gate.add_permits(1);
        while let Some(answer) = askers.join_next().await {
            assert_eq!(answer.unwrap(), Ok(true));
        }
        assert_eq!(put.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_question_that_fails_by_itself_is_put_again() {
        let asked = Asked::default();
        let failed: Result<u32, _> = asked.ask(|| async { panic!("it fails") }).await;
        assert!(failed.unwrap_err().contains("a fault of Sluicegate"));
        assert_eq!(asked.ask(|| async { 5 }).await, Ok(5));
    }
}
