//! What every client does with events that an edge has not answered yet: one reference, written
//! down once more per SDK and held equal by the vectors in `spec/vectors/`.
//!
//! What always holds: money and stock are never dropped; an event leaves the outbox only by a
//! verdict about itself; one bad event never keeps the next one back.

use popwatch_core::code::Code;
use popwatch_core::event::Class;
use popwatch_core::limits::{
    OUTBOX_BYTES_MAX, OUTBOX_EVENTS_MAX, RETRY_MS_MAX, RETRY_MS_MIN, SEND_BYTES_MAX,
    SEND_EVENTS_MAX,
};

use crate::verdict::{Answer, Status};

/// Said when nothing can be stored where the client runs: what it holds ends with its process.
pub const VOLATILE: Code = Code::OutboxVolatile;

/// Crockford's base 32 in lower case: ids made later sort later, and no letter is taken for a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An event that waits, as far as the outbox looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How important it is.
    pub class: Class,
    /// Its JSON text, bytes.
    pub bytes: usize,
}

/// The name of an event: `pw_` and 26 characters of base 32, from 48 bits of wall-clock
/// milliseconds and 80 random bits, as a ULID writes them.
#[must_use]
pub fn event_id(wall_ms: u64, random: [u8; 10]) -> String {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&wall_ms.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    let bits = u128::from_be_bytes(bytes);
    let mut id = String::from("pw_");
    for place in (0..26).rev() {
        let letter = (bits >> (5 * place)).to_be_bytes()[15] & 31;
        id.push(char::from(ALPHABET[usize::from(letter)]));
    }
    id
}

/// How long to wait after `failures` failures in a row (1 or more): up to 0.5 s doubling to 30 s,
/// `ppm` millionths of it (full jitter), never less than the edge asked for.
#[must_use]
pub fn retry_ms(failures: u32, ppm: u32, asked_s: Option<u32>) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = (RETRY_MS_MIN << doublings).min(RETRY_MS_MAX);
    let drawn = ceiling * u64::from(ppm.min(1_000_000)) / 1_000_000;
    drawn.max(asked_s.map_or(0, |seconds| u64::from(seconds) * 1_000))
}

/// Which events go into the next request, in the order they go: the most important class first,
/// within it the oldest, so that chat that finds no room yet never stands before a sale or a count.
/// `held` is oldest first. One event larger than a request's bound goes alone.
#[must_use]
pub fn batch(held: &[Held], events_max: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..held.len()).collect();
    order.sort_by_key(|at| held[*at].class);
    let mut chosen = Vec::new();
    let mut bytes = 0;
    for at in order {
        bytes += held[at].bytes;
        let is_full = chosen.len() >= events_max.min(SEND_EVENTS_MAX) || bytes > SEND_BYTES_MAX;
        if is_full && !chosen.is_empty() {
            break;
        }
        chosen.push(at);
    }
    chosen
}

/// Which held events go so that one more finds room: the oldest ambient, then the oldest journey.
///
/// # Errors
/// PW0131 when only events are left that are never dropped, or more important ones than the newcomer.
pub fn make_room(held: &[Held], newcomer: Held) -> Result<Vec<usize>, Code> {
    let mut events = held.len() + 1;
    let mut bytes = held.iter().map(|event| event.bytes).sum::<usize>() + newcomer.bytes;
    let mut dropped = Vec::new();
    for class in [Class::Ambient, Class::Journey] {
        for (at, event) in held.iter().enumerate() {
            if events <= OUTBOX_EVENTS_MAX && bytes <= OUTBOX_BYTES_MAX {
                return Ok(dropped);
            }
            if event.class == class && class >= newcomer.class {
                dropped.push(at);
                events -= 1;
                bytes -= event.bytes;
            }
        }
    }
    if events <= OUTBOX_EVENTS_MAX && bytes <= OUTBOX_BYTES_MAX {
        Ok(dropped)
    } else {
        Err(Code::OutboxFull)
    }
}

/// What becomes of one event of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Safe on the till: it leaves the outbox.
    Kept,
    /// Refused for good: it goes to the dead list and `onRejected`.
    Dead,
    /// Sent again later.
    Later,
    /// Sent again in a smaller request: the edge refused the whole one.
    Halved,
}

/// Judges an answer: the fate of each of the `sent` events, in their order. `answer` is the body of
/// a 200 that could be read, `code` that of a problem document: a request is only refused for good by
/// an edge that says why, not by whatever else answers on a borrowed network.
#[must_use]
pub fn judge(status: u16, answer: Option<&Answer>, code: Option<&str>, sent: usize) -> Vec<Fate> {
    let is_ours = code.is_some_and(|code| code.starts_with("PW"));
    let all = |fate| vec![fate; sent];
    match (status, answer) {
        (200, Some(answer)) if answer.results.len() == sent => {
            let fates = answer.results.iter().map(|verdict| match verdict.status {
                Status::Accepted | Status::Duplicate => Fate::Kept,
                Status::Rejected => {
                    let code = verdict.error.as_ref().map(|error| error.code.as_str());
                    if code == Some(Code::ClassShed.to_string().as_str()) {
                        Fate::Later
                    } else {
                        Fate::Dead
                    }
                }
            });
            fates.collect()
        }
        (400 | 413 | 415, _) if is_ours && sent == 1 => all(Fate::Dead),
        (400 | 413 | 415, _) if is_ours => all(Fate::Halved),
        _ => all(Fate::Later),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn held(class: Class, bytes: usize) -> Held {
        Held { class, bytes }
    }

    #[test]
    fn an_id_holds_its_bits() {
        assert_eq!(event_id(0, [0; 10]), "pw_00000000000000000000000000");
        let ones = event_id((1 << 48) - 1, [255; 10]);
        assert_eq!(ones, "pw_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert!(event_id(1, [255; 10]) < event_id(2, [0; 10]));
    }

    #[test]
    fn waits_double_to_half_a_minute_and_heed_the_edge() {
        let full = |failures| retry_ms(failures, 1_000_000, None);
        assert_eq!(
            [1, 2, 3, 7, 99].map(full),
            [500, 1_000, 2_000, 30_000, 30_000]
        );
        assert_eq!(retry_ms(1, 0, Some(2)), 2_000);
    }

    #[test]
    fn what_matters_most_goes_first_and_a_giant_alone() {
        let (chat, paid) = (held(Class::Ambient, 10), held(Class::Money, 10));
        assert_eq!(batch(&[chat, paid, chat, paid], 100), [1, 3, 0, 2]);
        assert_eq!(
            batch(&[held(Class::Money, SEND_BYTES_MAX + 1), paid], 100),
            [0]
        );
        let seen = held(Class::Journey, 10);
        assert_eq!(batch(&[chat, seen, chat], 2), [1, 0]);
        assert_eq!(batch(&[chat; 300], usize::MAX).len(), SEND_EVENTS_MAX);
    }

    #[test]
    fn only_an_edge_that_says_why_refuses_for_good() {
        for status in [400, 413, 415] {
            assert_eq!(judge(status, None, None, 1), [Fate::Later]);
            assert_eq!(judge(status, None, Some("E1"), 1), [Fate::Later]);
            assert_eq!(judge(status, None, Some("PW0101"), 1), [Fate::Dead]);
            assert_eq!(judge(status, None, Some("PW0101"), 2), [Fate::Halved; 2]);
        }
    }

    #[test]
    fn chat_goes_for_a_sale_and_never_a_sale_for_anything() {
        let chat = held(Class::Ambient, 1);
        let paid = held(Class::Money, 1);
        let mut full = vec![paid; OUTBOX_EVENTS_MAX];
        assert_eq!(make_room(&full, paid), Err(Code::OutboxFull));
        full[7] = held(Class::Journey, 1);
        assert_eq!(make_room(&full, chat), Err(Code::OutboxFull));
        full[9] = chat;
        assert_eq!(make_room(&full, chat), Ok(vec![9]));
        assert_eq!(make_room(&full, paid), Ok(vec![9]));
        full[9] = paid;
        assert_eq!(make_room(&full, paid), Ok(vec![7]));
    }
}
