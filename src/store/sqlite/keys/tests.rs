//! Keys beside a plain map: whatever is done to them, by two connections in turn, each is found as the map has it.

use std::collections::BTreeMap;

use super::row::LASTING;
use super::*;
use crate::document::TopicName;
use crate::store::Place;

/// Few enough that a test makes runs of several levels.
const RECENT_MAX: usize = 20;

struct Side {
    connection: Connection,
    keys: Keys,
}

/// Of a key: the number of its document, partition, offset and when it was noted; no time for one that lasts.
type Known = (u64, i32, i64, Option<i64>);

struct Model {
    sides: [Side; 2],
    /// By the number of the stream and the key.
    known: BTreeMap<(usize, String), Known>,
    random: u64,
    next_offset: i64,
    _folder: tempfile::TempDir,
}

fn stream(at: usize) -> StreamName {
    StreamName::parse(["one", "two"][at]).unwrap()
}

fn place(at: usize, partition: i32) -> Place {
    Place { stream: stream(at), topic: TopicName::parse("topic").unwrap(), partition }
}

impl Model {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let side = || {
            let connection = crate::sqlite::connect(&folder.path().join("keys.db"), 1 << 10).unwrap();
            connection.execute_batch(TABLES).unwrap();
            Side { connection, keys: Keys::new(RECENT_MAX) }
        };
        let sides = [side(), side()];
        Model { sides, known: BTreeMap::new(), random: seed, next_offset: 0, _folder: folder }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// A transaction that notes a few keys; some part of it, or all, is undone at times.
    fn note(&mut self) {
        let (side, how) = (self.random(4) / 3, self.random(8));
        let mut asked = Vec::new();
        for _ in 0..self.random(12) {
            let name = ["", "\u{1}file:"][self.random(2) as usize];
            asked.push((self.random(2) as usize, format!("{name}{}", self.random(4_000)), self.random(5) / 4));
        }
        let before = self.known.clone();
        let Side { connection, keys } = &mut self.sides[side as usize];
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut noted = Noted::default();
        let half = asked.len() / 2;
        for (at, (of, key, body)) in asked.iter().enumerate() {
            if at == half {
                connection.execute_batch("SAVEPOINT half").unwrap();
            }
            let (offset, partition) = (self.next_offset, (self.next_offset % 2) as i32);
            self.next_offset += 1;
            let position = Position { topic: TopicName::parse("topic").unwrap(), partition, offset };
            let digest = crate::digest(&body.to_be_bytes());
            let held = keys.note(connection, &mut noted, &stream(*of), (key, &digest), &position).unwrap();
            let held = held.map(|held| (held.is_same, held.position.partition, held.position.offset));
            let expected = self.known.get(&(*of, key.clone())).map(|known| (known.0 == *body, known.1, known.2));
            assert_eq!(held, expected, "{key:?} of stream {of}");
            if held.is_none() {
                let noted_ms = noted.rows.last().map(|row| row.noted_ms).filter(|noted_ms| *noted_ms != LASTING);
                self.known.insert((*of, key.clone()), (*body, partition, offset, noted_ms));
            }
            if at + 1 == half && how == 0 {
                break;
            }
        }
        match how {
            // The whole transaction goes, at times with its keys already written.
            1 | 2 => {
                if how == 2 {
                    keys.save(connection, &noted).unwrap();
                }
                connection.execute_batch("ROLLBACK").unwrap();
                self.known = before;
            }
            _ => {
                let saved = keys.save(connection, &noted).unwrap();
                connection.execute_batch("COMMIT").unwrap();
                keys.committed(saved);
            }
        }
    }

    /// A savepoint that is undone takes its keys with it.
    fn undo(&mut self) {
        let Side { connection, keys } = &mut self.sides[0];
        connection.execute_batch("BEGIN IMMEDIATE; SAVEPOINT some").unwrap();
        let mut noted = Noted::default();
        let position = Position { topic: TopicName::parse("topic").unwrap(), partition: 0, offset: -5 };
        for key in ["a", "b"] {
            let held = keys.note(connection, &mut noted, &stream(0), (key, &[0; 32]), &position).unwrap();
            assert!(held.is_none(), "{key}");
        }
        connection.execute_batch("ROLLBACK TO some").unwrap();
        noted.forget_since(0);
        let saved = keys.save(connection, &noted).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        keys.committed(saved);
    }

    /// What a person or the clock does.
    fn edit(&mut self, what: u64) {
        let (of, partition) = (self.random(2) as usize, self.random(2) as i32);
        let to = self.random(1 + self.next_offset as u64) as i64;
        let side = &mut self.sides[self.random as usize % 2];
        side.keys.suspect();
        let connection = side.connection.unchecked_transaction().unwrap();
        let (place, now_ms) = (place(of, partition), clock::now_ms());
        let is_there = |key: &(usize, String), known: &Known| key.0 == of && known.1 == partition;
        match what {
            0 => {
                // Whatever was noted before this millisecond.
                self.known.retain(|key, known| !is_there(key, known) || known.3.is_none_or(|noted| noted >= now_ms));
                prune(&connection, &place, now_ms).unwrap();
            }
            1 => {
                self.known.retain(|key, known| !is_there(key, known) || known.2 < to);
                forget_from(&connection, &place, to).unwrap();
            }
            _ => {
                for (key, known) in &mut self.known {
                    known.2 = if is_there(key, known) && known.2 >= to { -1 } else { known.2 };
                }
                disown_from(&connection, &place, to).unwrap();
            }
        }
        connection.commit().unwrap();
    }
}

#[test]
fn keys_are_found_as_a_map_has_them() {
    for seed in 0..6 {
        let mut model = Model::new(seed);
        let mut levels = 0;
        for _ in 0..700 {
            match model.random(60) {
                0 => model.edit(0),
                1 if seed % 2 == 0 => model.edit(1),
                2 => model.edit(2),
                3 => model.undo(),
                _ => model.note(),
            }
            levels = levels.max(model.sides[0].keys.runs.iter().map(|run| run.level + 1).max().unwrap_or(0));
        }
        assert!(levels >= 2, "no run was merged with seed {seed}");
        // Who opens the file then finds the same.
        let side = &mut model.sides[0];
        side.keys = Keys::new(RECENT_MAX);
        side.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let position = Position { topic: TopicName::parse("topic").unwrap(), partition: 7, offset: 7 };
        for ((of, key), known) in &model.known {
            let digest = crate::digest(&known.0.to_be_bytes());
            let noted = &mut Noted::default();
            let held = side.keys.note(&side.connection, noted, &stream(*of), (key, &digest), &position).unwrap();
            let held = held.map(|held| (held.is_same, held.position.partition, held.position.offset));
            assert_eq!(held, Some((true, known.1, known.2)), "{key:?} of stream {of}");
        }
    }
}

#[test]
fn filters_beyond_their_memory_are_done_without() {
    let mut model = Model::new(1);
    (0..300).for_each(|_| model.note());
    let side = &mut model.sides[0];
    side.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    side.keys.refresh(&side.connection).unwrap();
    assert!(side.keys.runs.len() > 1);
    for run in &mut side.keys.runs {
        assert!(Run::load(&side.connection, run.id, run.filter_bytes()).unwrap().filter.is_some());
        *run = Run::load(&side.connection, run.id, run.filter_bytes() - 1).unwrap();
        assert!(run.filter.is_none());
    }
    for ((of, key), known) in &model.known {
        let fingerprint = u128::from_be_bytes(keys::fingerprint(stream(*of).as_str(), key));
        let found = side.keys.find(&side.connection, fingerprint).unwrap().unwrap();
        assert_eq!((found.partition, found.offset), (known.1, known.2), "{key:?} of stream {of}");
    }
    let unknown = (0..1_000).filter(|n| side.keys.find(&side.connection, u128::MAX / 1_000 * n).unwrap().is_some());
    assert_eq!(unknown.count(), 0);
}

#[test]
fn a_run_goes_when_its_last_partition_has_forgotten_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let connection = crate::sqlite::connect(&folder.path().join("keys.db"), 1 << 10).unwrap();
    connection.execute_batch(TABLES).unwrap();
    let number = number_of(&connection, &stream(0)).unwrap();
    let row = |key, partition, noted_ms| Row { key, digest: 0, stream: number, partition, offset: 0, noted_ms };
    // The newest row of the run is one partition's, and the other's are older than what it has forgotten already.
    write_run(&connection, vec![row(1, 0, 150), row(2, 1, 50)]).unwrap();
    let mut gone = 0;
    for before_ms in [100, 200] {
        for partition in [0, 1] {
            gone += prune(&connection, &place(0, partition), before_ms).unwrap();
        }
    }
    let sql = r#"SELECT count(*) FROM "_sluicegate_key_pages""#;
    let pages: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!((gone, pages), (2, 0));
}
