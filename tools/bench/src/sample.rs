//! The event that the bench posts: a phone call's summary of 600 bytes, with different words each time.

use serde_json::{Value, json};

pub(crate) const EVENT: &str = "call.summary";

const BYTES: usize = 600;

/// Words of a summary. Numbers choose them, so every run posts the same texts, and deflate saves no more than in
/// prose.
const WORDS: [&str; 64] = [
    "customer",
    "asked",
    "about",
    "the",
    "delayed",
    "order",
    "and",
    "was",
    "told",
    "that",
    "it",
    "ships",
    "on",
    "Tuesday",
    "agent",
    "offered",
    "a",
    "refund",
    "for",
    "shipping",
    "they",
    "agreed",
    "to",
    "call",
    "back",
    "tomorrow",
    "invoice",
    "number",
    "missing",
    "from",
    "email",
    "resend",
    "confirmed",
    "address",
    "changed",
    "new",
    "phone",
    "plan",
    "upgrade",
    "discount",
    "ten",
    "percent",
    "until",
    "March",
    "technician",
    "visit",
    "between",
    "nine",
    "noon",
    "line",
    "noisy",
    "escalated",
    "supervisor",
    "satisfied",
    "with",
    "answer",
    "follow",
    "up",
    "required",
    "please",
    "contract",
    "renewal",
    "signed",
    "today",
];

/// A small generator that gives the same numbers everywhere (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The body of the `n`th `POST …/events`.
#[must_use]
pub(crate) fn event(n: usize) -> Value {
    let mut numbers = Numbers(n as u64);
    let id = |numbers: &mut Numbers| uuid::Uuid::from_u64_pair(numbers.next(), numbers.next()).to_string();
    let phone = |numbers: &mut Numbers| format!("+1{:010}", numbers.next() % 10_000_000_000);
    let mut body = json!({
        "event_name": EVENT,
        "customer_id": format!("cus_{:08x}", numbers.next() % 0xffff_ffff),
        "notification_id": Value::Null,
        "data": {
            "call_id": id(&mut numbers),
            "from": phone(&mut numbers),
            "to": phone(&mut numbers),
            "direction": "inbound",
            "started_at": format!("2026-04-12T15:{:02}:{:02}.499Z", numbers.next() % 60, numbers.next() % 60),
            "duration_seconds": numbers.next() % 3_600,
            "cost": { "amount": numbers.next() % 1_000, "currency": "USD" },
            "summary": "",
        },
    });
    let room = BYTES - body.to_string().len();
    let mut summary = String::new();
    while summary.len() < room {
        summary.push_str(WORDS[usize::try_from(numbers.next() % 64).unwrap_or(0)]);
        summary.push(' ');
    }
    summary.truncate(room);
    body["data"]["summary"] = summary.into();
    body
}

/// The same event with a producer's id that contains a time, as the service's ids do.
pub(crate) fn named_event(n: usize) -> Value {
    let mut event = event(n);
    event["event_id"] = uuid::Uuid::now_v7().to_string().into();
    event
}

/// A filter of five fields. Events differ from it in the last field only, so that each of the five is looked at; with
/// `matches` every event matches.
#[must_use]
pub(crate) fn filter(n: usize, matches: bool) -> Value {
    json!({
        "data": {
            "direction": ["inbound", "outbound"],
            "from": [{ "prefix": "+1" }],
            "duration_seconds": [{ "numeric": [">=", 0, "<", 3_600] }],
            "cost": { "currency": [{ "anything-but": ["EUR", format!("X{n:02}")] }] },
            "started_at": [{ "suffix": if matches { "Z" } else { "+01:00" } }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_600_bytes_and_each_its_own() {
        for n in 0..50 {
            assert_eq!(event(n).to_string().len(), BYTES);
            assert_eq!(event(n), event(n));
            assert_ne!(event(n), event(n + 1));
        }
    }
}
