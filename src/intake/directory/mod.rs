//! Directories of files into a stream: new and changed files, each document once.
//!
//! A file is read when it rests, and again when it looks otherwise than it did. Which documents were published is told by
//! the memory and not by the files' names, so that a renamed, touched, copied or grown file publishes only what is new.
//! Folders within a folder are not looked into.

mod batch;
mod events;
mod folder;
pub mod health;
mod memory;
mod place;
mod problem_file;
mod waiting;

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::batch::{Batch, Halt, Sent};
use self::events::Events;
use self::folder::Folder;
use self::health::Folders;
use self::memory::{FileName, Look, Memory, Remembered};
use self::problem_file::Faults;
use self::waiting::Waiting;
use super::files::{CHUNK_BYTES, Document, Documents, Keys, Unfinished};
use crate::clock;
use crate::disk;
use crate::journal::Log;
use crate::reason::chain;
use crate::shutdown::Stop;
use crate::stream::Stream;

/// A file that has not changed for so long rests.
const REST: Duration = Duration::from_millis(200);

/// A file whose last document is not whole, or whose last line has no end, is left for so long: more may come.
const REST_UNFINISHED: Duration = Duration::from_secs(2);

/// A folder is looked at as a whole at least this often …
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// … but so many times longer than a look takes lies between two of them, up to a minute.
const LOOK_SHARE: u32 = 20;
const LOOK_AT_LEAST: Duration = Duration::from_secs(60);

/// How often files that are gone are looked for, and forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// So many remembered files are looked for at a time.
const SWEEP_STEP: i64 = 1_000;

/// After a failure of the memory, or of the journal's reading, everything is begun again after this.
const PAUSE: Duration = Duration::from_secs(2);

/// The documents of a file up to so many bytes go into the journal when the file was found unchanged after reading; those
/// of a larger one on the way.
const STAGED_BYTES_MAX: usize = 4 << 20;

/// Watches the directories of one stream.
#[derive(Clone)]
pub struct Watch {
    /// The stream.
    pub stream: Arc<Stream>,
    /// Where its documents go.
    pub journal: Arc<dyn Log>,
    /// The folder that keeps what it remembers.
    pub memory: PathBuf,
    /// Where others see how the folders are.
    pub folders: Arc<Folders>,
}

impl Watch {
    /// Watches until it is stopped. Of all processes that share the memory's folder, one does; the others stand by. Blocks
    /// its thread.
    pub async fn run(self, stop: Stop) {
        let stream = &self.stream.name;
        let Some(_lock) = self.lock(&stop).await else { return };
        while !stop.is_set() {
            match self.watch(&stop).await {
                Ok(()) | Err(Halt::Stopped) => return,
                Err(error) => {
                    tracing::error!(%stream, error = chain(&error), "The directories are not watched; they are tried again.");
                    self.trouble(&error.to_string());
                    stop.wait_for(PAUSE).await;
                }
            }
        }
    }

    /// No folder is watched. Each is well again once it was looked through.
    fn trouble(&self, why: &str) {
        for folder in &self.stream.intake.directories {
            self.folders.is_troubled(folder, &format!("it is not watched: {why}; it is tried again"));
        }
    }

    /// Takes the lock that says who watches; none when it is time to end.
    async fn lock(&self, stop: &Stop) -> Option<File> {
        let stream = &self.stream.name;
        let mut is_told = false;
        while !stop.is_set() {
            let path = self.memory.join(format!("{stream}.lock"));
            let locked = disk::private_folder(&self.memory).and_then(|()| File::create(&path)).map(|file| {
                let locked = file.try_lock();
                (file, locked)
            });
            let is_news = !std::mem::replace(&mut is_told, true);
            let error = match locked {
                Ok((file, Ok(()))) => return Some(file),
                Ok((_, Err(TryLockError::WouldBlock))) => {
                    if is_news {
                        tracing::info!(%stream, "Another process watches the directories; this one stands by.");
                    }
                    None
                }
                Ok((_, Err(TryLockError::Error(error)))) | Err(error) => Some(error),
            };
            if let Some(error) = error.filter(|_| is_news) {
                tracing::error!(%stream, lock = %path.display(), %error, "The directories are not watched; they are tried again.");
                self.trouble(&error.to_string());
            }
            stop.wait_for(PAUSE).await;
        }
        None
    }

    async fn watch(&self, stop: &Stop) -> Result<(), Halt> {
        let path = self.memory.join(format!("{}.db", self.stream.name));
        let memory = Memory::open(&path, self.journal.identity(), self.stream.topic.as_str())?;
        let mut batch = Batch::new(Arc::clone(&self.stream), Arc::clone(&self.journal), memory);
        batch.settle(stop).await?;
        let folders = self.stream.intake.directories.iter().map(|path| Folder::new(path, &self.folders)).collect();
        let mut watcher = Watcher {
            stream: &self.stream,
            record_bytes_max: self.journal.record_bytes_max(),
            stop,
            batch,
            folders,
            events: Events::new(),
            waiting: Waiting::default(),
            chunk: vec![0; CHUNK_BYTES],
        };
        watcher.run().await
    }
}

struct Watcher<'w> {
    stream: &'w Stream,
    record_bytes_max: usize,
    stop: &'w Stop,
    batch: Batch,
    folders: Vec<Folder>,
    events: Events,
    waiting: Waiting,
    chunk: Vec<u8>,
}

impl Watcher<'_> {
    async fn run(&mut self) -> Result<(), Halt> {
        let mut next_look = Instant::now();
        let mut next_glance = Instant::now();
        let mut next_sweep = Instant::now();
        loop {
            for path in self.events.take() {
                self.waiting.hint(path, REST);
            }
            // That a folder is gone is noticed soon, however long a look through it takes.
            if Instant::now() >= next_glance {
                for folder in &mut self.folders {
                    if folder.is_back(&mut self.events) {
                        next_look = Instant::now();
                    }
                }
                next_glance = Instant::now() + LOOK_EVERY;
            }
            if Instant::now() >= next_look || self.events.were_lost() || self.waiting.has_room_again() {
                let begun = Instant::now();
                for index in 0..self.folders.len() {
                    self.look_at(index).await?;
                }
                next_look = Instant::now() + (begun.elapsed() * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST);
            }
            for path in self.waiting.due() {
                if let Some(file) = self.file_name(&path) {
                    self.consider(&path, &file).await?;
                }
            }
            self.batch.flush(self.stop).await?;
            if Instant::now() >= next_sweep {
                self.sweep().await?;
                next_sweep = Instant::now() + SWEEP_EVERY;
            }
            let until = self.waiting.next_due().map_or(next_look, |due| due.min(next_look)).min(next_glance);
            tokio::select! {
                path = self.events.next() => self.waiting.hint(path, REST),
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.stop.wait() => return Err(Halt::Stopped),
            }
        }
    }

    /// The name under which the memory knows a file of a watched folder.
    fn file_name(&self, path: &Path) -> Option<FileName> {
        let folder = self.folders.iter().find(|folder| path.parent() == Some(&folder.path))?;
        Some(FileName { folder: Rc::clone(folder.name.as_ref()?), name: path.file_name()?.as_bytes().to_vec() })
    }

    /// Looks at every file of a folder. The listing is read as it goes, however many there are.
    async fn look_at(&mut self, index: usize) -> Result<(), Halt> {
        let folder = &mut self.folders[index];
        let listed = folder.find(&mut self.events).and_then(|()| fs::read_dir(&folder.path));
        let (listing, name) = match (listed, &folder.name) {
            (Ok(listing), Some(name)) => (listing, Rc::clone(name)),
            (Err(error), _) => {
                folder.complain(&error);
                return Ok(());
            }
            (Ok(_), None) => return Ok(()),
        };
        folder.is_well();
        for entry in listing {
            if self.stop.is_set() {
                return Err(Halt::Stopped);
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.folders[index].complain(&error);
                    return Ok(());
                }
            };
            let file = entry.file_name();
            if place::is_wanted(&file) {
                let file = FileName { folder: Rc::clone(&name), name: file.into_vec() };
                self.consider(&entry.path(), &file).await?;
            }
        }
        Ok(())
    }

    /// Reads a file if it is new or looks otherwise than before, and rests.
    async fn consider(&mut self, path: &Path, file: &FileName) -> Result<(), Halt> {
        let look = match path.symlink_metadata() {
            Ok(metadata) => place::look(&metadata),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.gone(path, file.clone())?;
                None
            }
            Err(_) => None,
        };
        let Some(look) = look else {
            self.waiting.forget(path);
            return Ok(());
        };
        if self.batch.memory().look(file)? == Some(look) {
            self.waiting.forget(path);
            return Ok(());
        }
        let rested = place::age(&look).max(self.waiting.rested(path, &look));
        if rested < REST {
            self.waiting.wait(path, &look, REST);
        } else if self.read(path, file, &look, rested >= REST_UNFINISHED).await? {
            self.waiting.forget(path);
        } else {
            self.waiting.wait(path, &look, REST_UNFINISHED);
        }
        if self.batch.is_full() {
            self.batch.flush(self.stop).await?;
        }
        Ok(())
    }

    fn gone(&mut self, path: &Path, file: FileName) -> Result<(), Halt> {
        if self.batch.memory().look(&file)?.is_some() {
            if let Err(error) = problem_file::clear(path) {
                tracing::warn!(file = %path.display(), %error, "What was wrong with a file that is gone cannot be removed.");
            }
            self.batch.add_gone(file);
        }
        Ok(())
    }

    /// Reads a file. False when it is to be read again later: it changed meanwhile, or, unless `is_final`, its end is not
    /// whole.
    async fn read(&mut self, path: &Path, file: &FileName, look: &Look, is_final: bool) -> Result<bool, Halt> {
        let mut source = match place::open(path, look) {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(false),
            Err(error) => return Ok(self.unreadable(path, file, look, &error)),
        };
        let mut documents = Documents::new(self.stream, self.record_bytes_max, path, Keys::OfFile);
        let mut staged: Vec<Sent> = Vec::new();
        let mut staged_bytes = 0;
        let mut faults = Faults::default();
        let mut is_all = false;
        loop {
            while let Some(found) = documents.next(is_all) {
                match found.judged {
                    Ok(Document { record, key: Some(key) }) => {
                        faults.accepted += 1;
                        let is_new = !self.batch.has(&key)?;
                        staged_bytes += if is_new { record.size() } else { 0 };
                        staged.push((key, is_new.then_some(record)));
                    }
                    // Every document of a watched file has a key.
                    Ok(Document { key: None, .. }) => {}
                    Err(refused) if refused.unfinished == Some(Unfinished::SentAgain) => {}
                    Err(refused) => faults.add(found.line, found.lines, &refused.problem),
                }
                if staged_bytes >= STAGED_BYTES_MAX || staged.len() >= SENT_MAX {
                    self.batch.add(file, std::mem::take(&mut staged), None);
                    self.batch.flush(self.stop).await?;
                    staged_bytes = 0;
                }
            }
            if is_all {
                break;
            }
            let length = match source.read(&mut self.chunk) {
                Ok(length) => length,
                Err(error) => return Ok(self.unreadable(path, file, look, &error)),
            };
            is_all = length == 0;
            if is_all && documents.is_unfinished() && !is_final {
                return Ok(false);
            }
            documents.push(&self.chunk[..length]);
        }
        if !source.metadata().is_ok_and(|metadata| place::look(&metadata).as_ref() == Some(look)) {
            return Ok(false);
        }
        tell(path, &faults);
        self.batch.add(file, staged, Some(*look));
        Ok(true)
    }

    /// A file that cannot be read is passed over until it looks otherwise, such as after its permissions were changed.
    fn unreadable(&mut self, path: &Path, file: &FileName, look: &Look, error: &std::io::Error) -> bool {
        tracing::warn!(file = %path.display(), %error, "A file cannot be read; it is tried again when it changes.");
        self.batch.add(file, Vec::new(), Some(*look));
        true
    }

    /// Looks for every file that is remembered, and forgets those that have been gone for as long as keys are kept.
    async fn sweep(&mut self) -> Result<(), Halt> {
        let mut after = 0;
        loop {
            let files = self.batch.memory().files(after, SWEEP_STEP)?;
            let Some(last) = files.last() else { break };
            after = last.id;
            for Remembered { folder, name, .. } in files {
                let path = Path::new(std::ffi::OsStr::from_bytes(&folder)).join(std::ffi::OsStr::from_bytes(&name));
                let is_gone = path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
                if is_gone {
                    self.gone(&path, FileName { folder: folder.into(), name })?;
                }
            }
            self.batch.flush(self.stop).await?;
            if self.stop.is_set() {
                return Err(Halt::Stopped);
            }
        }
        let kept_ms = i64::try_from(self.stream.apply.settings.duplicates_kept.as_millis()).unwrap_or(i64::MAX);
        self.batch.memory_mut().forget(clock::now_ms().saturating_sub(kept_ms))?;
        Ok(())
    }
}

/// So many documents of one file are held at once.
const SENT_MAX: usize = 10_000;

/// Writes beside a file what is wrong with it, or removes what was written.
fn tell(path: &Path, faults: &Faults) {
    let told = match faults.refused {
        0 => problem_file::clear(path),
        refused => {
            tracing::warn!(file = %path.display(), refused, "Documents of a file are refused; NAME.problem.json beside it says why.");
            faults.write(path)
        }
    };
    if let Err(error) = told {
        tracing::warn!(file = %path.display(), %error, "What is wrong with a file cannot be written beside it.");
    }
}
