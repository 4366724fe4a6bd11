//! Polling in common: what many wait for and nobody tells can only be asked for, again and again. One of those who wait asks
//! for all of them, and when that one leaves, the next goes on.
//!
//! How whoever waits hears of an answer is the question's business.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A question that is asked by one at a time.
#[derive(Debug)]
pub struct Poll {
    /// How long after an answer it is asked again.
    pause: Duration,
    /// When it was asked last. Whoever holds it asks.
    asked: Mutex<Option<Instant>>,
}

impl Poll {
    /// A question that was never asked, with such a pause between an answer and the next time.
    pub fn every(pause: Duration) -> Self {
        Poll { pause, asked: Mutex::new(None) }
    }

    /// Waits until nobody else asks, and asks then, for as long as it is let or until the question fails.
    pub async fn ask<E, F>(&self, question: impl Fn() -> F) -> E
    where
        F: Future<Output = Result<(), E>>,
    {
        let mut asked = self.asked.lock().await;
        loop {
            if let Some(last) = *asked {
                sleep_until(last + self.pause).await;
            }
            // Noted before the answer, too: whoever asks may leave before it comes.
            *asked = Some(Instant::now());
            let answer = question().await;
            *asked = Some(Instant::now());
            if let Err(error) = answer {
                return error;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinHandle;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(5);

    #[derive(Default)]
    struct Asked {
        count: AtomicUsize,
        now: AtomicUsize,
        most: AtomicUsize,
    }

    /// Somebody who asks until a question fails, which the one of this number does.
    fn asks(poll: &Arc<Poll>, asked: &Arc<Asked>, fails_at: usize) -> JoinHandle<usize> {
        let (poll, asked) = (Arc::clone(poll), Arc::clone(asked));
        tokio::spawn(async move {
            let question = || async {
                let number = asked.count.fetch_add(1, Ordering::SeqCst) + 1;
                asked.most.fetch_max(asked.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                asked.now.fetch_sub(1, Ordering::SeqCst);
                if number == fails_at { Err(number) } else { Ok(()) }
            };
            poll.ask(question).await
        })
    }

    #[tokio::test]
    async fn however_many_wait_one_asks_and_pauses_and_the_next_goes_on() {
        let (poll, asked) = (Arc::new(Poll::every(PAUSE)), Arc::new(Asked::default()));
        let begun = Instant::now();
        let first = asks(&poll, &asked, 5);
        tokio::task::yield_now().await;
        let others: Vec<_> = (0..100).map(|_| asks(&poll, &asked, usize::MAX)).collect();
        assert_eq!(first.await.unwrap(), 5, "it is told why its question failed");
        while asked.count.load(Ordering::SeqCst) < 10 {
            tokio::task::yield_now().await;
        }
        assert!(begun.elapsed() >= PAUSE * 9, "there is a pause between all of them: {:?}", begun.elapsed());
        assert_eq!(asked.most.load(Ordering::SeqCst), 1, "and no two at once");
        assert!(!others.iter().any(JoinHandle::is_finished));
        others.iter().for_each(JoinHandle::abort);
    }
}
