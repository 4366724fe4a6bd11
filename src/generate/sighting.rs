//! A sighting: a user did something, at a time.

use super::random::Random;
use super::turn::{Turn, write_digits, write_user, write_whole};

/// A sighting's time is ahead of now by a number of up to four digits.
const AHEAD: u64 = 10_000;

/// Coprime to [`AHEAD`]: the times of a user come around to each number once. The next round is that much later.
const STEP: u64 = 7_919;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) fn write(out: &mut Vec<u8>, turn: Turn, random: &mut Random) {
    let begin = (turn.user.wrapping_mul(STEP)) % AHEAD;
    let ahead = (begin + (turn.message % AHEAD) * STEP) % AHEAD + turn.message / AHEAD * AHEAD;
    let time = turn.now_ms.div_euclid(1000).saturating_add_unsigned(ahead);
    out.extend_from_slice(b"{\"userId\":\"");
    write_user(out, turn.user);
    out.extend_from_slice(b"\",\"visitorId\":\"jas8v");
    write_digits(out, random.below(100_000), 5);
    out.extend_from_slice(b"\",\"type\":\"Event\",\"metadata\":{\"messageId\":\"");
    random.write_uuid(out);
    out.extend_from_slice(b"\",\"sentAt\":");
    write_whole(out, time);
    out.extend_from_slice(b",\"timestamp\":");
    write_whole(out, time);
    let digits = random.below(1000);
    out.extend_from_slice(b",\"receivedAt\":0,\"apiKey\":\"apiKey");
    write_digits(out, digits, 1);
    out.extend_from_slice(b"\",\"spaceId\":\"space");
    write_digits(out, digits / 10, 1);
    out.extend_from_slice(b"\",\"version\":\"v");
    write_digits(out, digits / 100, 1);
    out.extend_from_slice(b"\"},\"event\":\"Played Movie\",\"eventData\":{\"MovieID\":\"");
    let mut letters = random.bits();
    for _ in 0..8 {
        out.push(LETTERS[(letters % 62) as usize]);
        letters /= 62;
    }
    out.extend_from_slice(b"\"}}");
}
