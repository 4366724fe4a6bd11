//! Documents made up: sightings of users, or what a template says. The same seed and time give the same bytes.
//!
//! Nothing is remembered of a user or a document, so there may be as many as anybody likes. Where the documents go, and how
//! fast, is not known here.

mod random;
mod sighting;
mod template;
mod turn;

use self::random::Random;
pub use self::template::Template;
use self::turn::Turn;

/// A user's name has this many numbers.
pub const USERS_MAX: u64 = 100_000_000;

/// Coprime to [`USERS_MAX`] and near its golden section: multiples of it come around to every number once, and neighbours
/// are far apart.
const STRIDE: u64 = 61_803_399;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// How many users, from 1 to [`USERS_MAX`].
    pub users: u64,
    /// How many documents of each; without end, where nothing is said.
    pub messages: Option<u64>,
    /// What the random numbers come from.
    pub seed: u64,
    /// The time that the documents take as now, in milliseconds since 1970; none: that of the clock, when each is made.
    pub at_ms: Option<i64>,
    /// When it begins, in milliseconds since 1970.
    pub begin_ms: i64,
    /// What they look like; sightings, where nothing is said.
    pub template: Option<Template>,
}

/// Makes one document after the other, the users taking turns.
#[derive(Debug, Clone)]
pub struct Generator {
    order: Order,
    random: Random,
    made: u64,
    /// The user of number 0.
    first_user: u64,
}

impl Generator {
    /// Begins with the first document.
    pub fn new(order: Order) -> Self {
        let mut random = Random::new(order.seed);
        let first_user = random.below(USERS_MAX);
        Generator { order, random, made: 0, first_user }
    }

    /// How many documents it makes; none: without end.
    pub fn total(&self) -> Option<u64> {
        self.order.messages.map(|messages| messages.saturating_mul(self.order.users))
    }

    /// How many it has made.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Appends the next document and a line's end. False when all are made.
    pub fn write(&mut self, out: &mut Vec<u8>) -> bool {
        if self.total().is_some_and(|total| self.made >= total) {
            return false;
        }
        let (user, message) = (self.made % self.order.users, self.made / self.order.users);
        let user = (self.first_user + user * STRIDE) % USERS_MAX;
        match &self.order.template {
            None => {
                let now_ms = self.order.at_ms.unwrap_or(self.order.begin_ms);
                sighting::write(out, Turn { user, message, now_ms }, &mut self.random);
            }
            Some(template) => {
                let now_ms = self.order.at_ms.unwrap_or_else(crate::clock::now_ms);
                template.write(out, Turn { user, message, now_ms }, &mut self.random);
            }
        }
        out.push(b'\n');
        self.made += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::json::{self, Json};

    fn made(order: Order) -> Vec<String> {
        let (mut generator, mut out) = (Generator::new(order), Vec::new());
        while generator.write(&mut out) {}
        String::from_utf8(out).unwrap().lines().map(String::from).collect()
    }

    fn order(users: u64, messages: u64) -> Order {
        Order { users, messages: Some(messages), seed: 7, at_ms: Some(1_534_382_478_123), begin_ms: 0, template: None }
    }

    fn text(document: &str, pointer: &str) -> String {
        match json::at(document, pointer) {
            Some(Json::Text(text)) => text.into_owned(),
            Some(Json::Number(digits)) => digits.to_owned(),
            other => panic!("{pointer}: {other:?} in {document}"),
        }
    }

    #[test]
    fn sightings_look_as_they_should() {
        let documents = made(order(3, 3));
        assert_eq!(documents.len(), 9);
        let digits = |text: &str, prefix: &str, count: usize| {
            let rest = text.strip_prefix(prefix).unwrap_or_else(|| panic!("{text} begins with {prefix}"));
            assert!(rest.len() == count && rest.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        };
        for document in &documents {
            json::check(document).unwrap();
            for (pointer, prefix, count) in [
                ("/userId", "j", 8),
                ("/visitorId", "jas8v", 5),
                ("/metadata/apiKey", "apiKey", 1),
                ("/metadata/spaceId", "space", 1),
                ("/metadata/version", "v", 1),
            ] {
                digits(&text(document, pointer), prefix, count);
            }
            for (pointer, wanted) in [("/type", "Event"), ("/event", "Played Movie"), ("/metadata/receivedAt", "0")] {
                assert_eq!(text(document, pointer), wanted);
            }
            let time: i64 = text(document, "/metadata/timestamp").parse().unwrap();
            assert!((0..10_000).contains(&(time - 1_534_382_478)), "{document}");
            assert_eq!(text(document, "/metadata/sentAt"), time.to_string());
            let id = text(document, "/metadata/messageId");
            assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4, "{id}");
            let movie = text(document, "/eventData/MovieID");
            assert!(movie.len() == 8 && movie.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{movie}");
        }
    }

    #[test]
    fn users_are_as_many_as_asked_for_and_each_has_its_messages_at_different_times() {
        for (users, messages) in [(1, 1), (3, 3), (1_000, 2), (2, 25_000)] {
            let mut times: HashMap<String, HashSet<String>> = HashMap::new();
            for document in made(order(users, messages)) {
                let user = times.entry(text(&document, "/userId")).or_default();
                assert!(user.insert(text(&document, "/metadata/timestamp")), "a time comes again: {document}");
            }
            assert_eq!(times.len() as u64, users);
            assert!(times.values().all(|times| times.len() as u64 == messages), "{users} users of {messages}");
        }
    }

    #[test]
    fn a_seed_and_a_time_give_the_same_bytes() {
        let template = |text| Some(Template::parse(text).unwrap());
        let text = r#"{"id":"{uuid}","n":"{int -5 5}","kind":"{pick a b}","by":"{user}","at":"{now}"}"#;
        for template in [None, template(text)] {
            let order = Order { template, ..order(5, 5) };
            assert_eq!(made(order.clone()), made(order.clone()));
            assert_ne!(made(order.clone()), made(Order { seed: 8, ..order }));
        }
    }
}
