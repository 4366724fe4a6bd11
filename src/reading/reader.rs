//! One member of a group: takes what the journal delivers, and begins anew after the journal failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::Pool;
use super::progress::Progress;
use super::worker::{PAUSE_FIRST, PAUSE_MAX};
use super::{Handling, Title};
use crate::document::TopicName;
use crate::journal::{Consumer, JournalError, Log};
use crate::reason::chain;
use crate::shutdown::Stop;

/// How long a wait for records lasts at most: bounds how late a stop is seen.
const PATIENCE: Duration = Duration::from_millis(200);

/// Reads a topic for somebody.
pub struct Reader<H> {
    /// How it is called in the log.
    pub title: Title,
    /// Where the records are.
    pub log: Arc<dyn Log>,
    /// Which they are.
    pub topic: TopicName,
    /// As whose member they are read.
    pub group: String,
    /// How many records a batch has at most.
    pub records_max: usize,
    /// How many partitions are handled at the same time.
    pub workers: usize,
    /// Where others see how far it is.
    pub progress: Arc<Progress>,
    /// What they are read for.
    pub handling: Arc<H>,
}

impl<H: Handling> Reader<H> {
    /// Runs until it is stopped.
    pub async fn run(self, stop: Stop) {
        let mut pause = PAUSE_FIRST;
        while !stop.is_set() {
            let begun = Instant::now();
            match self.read(&stop).await {
                Ok(()) => break,
                Err(error) => self.say_unreadable(&error),
            }
            if begun.elapsed() > PAUSE_MAX {
                // It went well for a while.
                pause = PAUSE_FIRST;
            }
            stop.wait_for(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn read(&self, stop: &Stop) -> Result<(), JournalError> {
        self.handling.begin().await?;
        let consumer = self.log.subscribe(&self.topic, &self.group, self.records_max).await?;
        self.consume(consumer, stop).await
    }

    fn say_unreadable(&self, error: &JournalError) {
        if self.progress.cut_off(error.to_string()) {
            let Title { what, stream } = &self.title;
            tracing::error!(
                stream,
                error = chain(error),
                "The topic cannot be read: {what} stands still, and tries again."
            );
        }
    }

    /// Reads as a member of the group until it is stopped or the journal fails.
    async fn consume(&self, mut consumer: Box<dyn Consumer>, stop: &Stop) -> Result<(), JournalError> {
        let (mut pool, mut reports) = Pool::start(&self.title, &self.handling, self.workers, &self.progress, stop);
        let mut read = Ok(());
        while !stop.is_set() && read.is_ok() {
            tokio::select! {
                biased;
                Some(report) = reports.recv() => pool.answer(report, &mut *consumer).await,
                Some(ended) = pool.ended() => read = ended,
                delivery = consumer.next(PATIENCE) => match delivery {
                    Ok(delivery) => {
                        self.progress.readable();
                        read = pool.dispatch(delivery, &mut *consumer);
                    }
                    Err(error) => read = Err(error),
                },
            }
        }
        let finished = pool.finish(&mut reports, &mut *consumer).await;
        consumer.leave().await;
        self.progress.stand_by_all();
        read.and(finished)
    }
}
