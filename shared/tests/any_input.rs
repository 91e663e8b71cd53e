//! Random input for the parsers of outside data: none panics, none accepts invalid input, and an accepted input keeps
//! its meaning. A failing input is shrunk and printed.

use std::net::IpAddr;

use echo_shared::address::{AddressRules, is_public};
use echo_shared::api_key::ApiKey;
use echo_shared::cursor;
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::event_name::EventNames;
use echo_shared::id::{EventId, ProjectId};
use echo_shared::intake;
use echo_shared::job::{AsMessage, Job};
use echo_shared::payload::Payload;
use echo_shared::schedule::RetrySchedule;
use echo_shared::time::Timestamp;
use proptest::prelude::*;
use rustls::pki_types::ServerName;
use serde_json::Value;
use url::{Position, Url};
use uuid::Uuid;

const JOB: &str = concat!(
    r#"{"v":1,"project_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e278","endpoint_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e279","#,
    r#""delivery_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e27a","event_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e27b","#,
    r#""chain":"00c0ffee","manual_at":1776009119499}"#
);

const STEP: &str = concat!(
    r#"{"v":2,"project_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e278","endpoint_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e279","#,
    r#""replay_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e27a","step":7}"#
);

const ERASURE: &str = concat!(
    r#"{"v":4,"project_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e278","asked_at":1776009119499,"#,
    r#""position":{"events":{"shard":7,"not_before":1776009239499}}}"#
);

const SENT: &str = concat!(
    r#"{"project_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e278","event_name":"call.ended","customer_id":"c","#,
    r#""event_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e279","data":{"b":1.10,"a":["x",null]}}"#
);

const PASSED_ON: &str = concat!(
    r#"{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"call.ended","source":"s","#,
    r#""detail":{"project_id":"01a20113-3a57-7c63-9fb6-0c94e1b2e278","notification_id":"n","data":{"b":1.10}}}"#
);

/// Text with one stretch replaced by something else: mostly right is where readers go wrong.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    (0..text.len(), 0..8_usize, ".{0,8}").prop_map(move |(from, length, instead)| {
        let to = (from + length).min(text.len());
        format!("{}{instead}{}", &text[..from], &text[to..])
    })
}

/// URLs of the kinds that have fooled parsers: odd hosts, odd numbers, users, ports and separators.
fn urls() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![4 => Just("https"), 1 => Just("http"), 1 => Just("HTTPS"), 1 => Just("")];
    let separator = prop_oneof![4 => Just("://"), 1 => Just(":/"), 1 => Just(":///"), 1 => Just(":\\\\")];
    let host = prop_oneof![
        "[a-z0-9.-]{0,20}",
        "(0x)?[0-9a-f]{1,8}(\\.(0x)?[0-9]{1,3}){0,3}",
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv4Addr>().prop_map(|ip| format!("[::ffff:{ip}]")),
        "(user(:pass)?@)?(localhost|example\\.com|１２７。０。０。１)\\.?",
        ".{0,12}",
    ];
    let rest = prop_oneof![Just(String::new()), "(:[0-9]{0,6})?[/?#\\\\]?.{0,12}"];
    (scheme, separator, host, rest)
        .prop_map(|(scheme, separator, host, rest)| format!("{scheme}{separator}{host}{rest}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_url_that_is_taken_is_https_and_public_to_another_reader_too(text in urls()) {
        if let Ok(taken) = EndpointUrl::parse(&text, &AddressRules::default()) {
            prop_assert_eq!(taken.as_str(), &text);
            let read = Url::parse(&text).expect("a URL");
            prop_assert_eq!(read.scheme(), "https");
            prop_assert_eq!((read.username(), read.password(), read.fragment()), ("", None, None));
            let host = read.host_str().expect("a host").trim_matches(['[', ']']);
            prop_assert!(host.parse::<IpAddr>().map_or(true, is_public), "{}", host);
            prop_assert!(!host.trim_end_matches('.').ends_with("localhost"));
            prop_assert!(ServerName::try_from(host).is_ok(), "TLS knows no such host: {}", host);
            // A missing slash is the only difference to a receiver.
            let requested = &read[Position::BeforePath..];
            let is_as_written = text.ends_with(requested) || text.ends_with(&requested[1..]);
            prop_assert_eq!(taken.rewritten().is_none() && !is_as_written, false);
        }
    }

    #[test]
    fn an_address_is_judged_the_same_however_it_is_wrapped(ip in any::<std::net::Ipv4Addr>()) {
        prop_assert_eq!(is_public(ip.into()), is_public(ip.to_ipv6_mapped().into()));
    }

    #[test]
    fn a_message_that_is_a_job_says_the_same_again(text in prop_oneof![".{0,200}", damaged(JOB), damaged(STEP), damaged(ERASURE)]) {
        if let Ok(job) = Job::decode(&text) {
            let again = match &job {
                Job::Delivery(job) => job.encode(),
                Job::Replay(step) => step.encode(),
                Job::Stream(look) => look.encode(),
                Job::Reseal(step) => step.encode(),
                Job::Erasure(step) => step.encode(),
            };
            prop_assert_eq!(Job::decode(&again), Ok(job));
        }
    }

    #[test]
    fn an_event_that_comes_in_says_what_was_sent(
        text in prop_oneof![".{0,200}", damaged(SENT), damaged(PASSED_ON)],
    ) {
        let names = EventNames::parse("call.started,call.ended").expect("names");
        match intake::read(&text, "5fea7756-0ea4-451a-a703-a558b933e274", &names) {
            Ok(incoming) => {
                let envelope = incoming.content.envelope(&incoming.event_id);
                let sent = serde_json::from_str::<Value>(&text);
                // Some numbers and halves of surrogates are kept that this other reader does not take.
                if let (Ok(sent), Ok(told)) = (sent, serde_json::from_slice::<Value>(&envelope)) {
                    let (fields, name) = match sent.get("detail-type") {
                        Some(name) => (&sent["detail"], name),
                        None => (&sent, &sent["event_name"]),
                    };
                    prop_assert_eq!(&told["event_name"], name);
                    prop_assert_eq!(&told["customer_id"], &fields["customer_id"]);
                    prop_assert_eq!(&told["notification_id"], &fields["notification_id"]);
                    let data = fields.get("data").cloned().unwrap_or_else(|| serde_json::json!({}));
                    prop_assert_eq!(&told["data"], &data);
                    let project_id = fields["project_id"].as_str().map(str::to_lowercase);
                    prop_assert_eq!(Some(incoming.project_id.to_string()), project_id);
                }
            }
            // It goes into an attribute of the parked message, which takes no empty text and not every character.
            Err(refused) => {
                let reason = refused.to_string();
                prop_assert!(!reason.is_empty() && reason.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        }
    }

    #[test]
    fn a_cursor_is_good_for_nothing_but_its_own_list(
        position in any::<u128>(),
        scope in "[a-z]{0,6}",
        other in "[a-z]{0,6}",
        at in any::<prop::sample::Index>(),
        instead in "[A-Za-z0-9_-]",
        text in ".{0,60}",
    ) {
        let position = Uuid::from_u128(position);
        let good = cursor::encode(position, &[&scope]);
        prop_assert_eq!(cursor::decode(&good, &[&scope]), Ok(position));
        prop_assert_eq!(cursor::decode(&good, &[&other]).is_ok(), scope == other);
        let at = at.index(good.len());
        let altered = format!("{}{instead}{}", &good[..at], &good[at + 1..]);
        prop_assert_eq!(cursor::decode(&altered, &[&scope]).is_ok(), altered == good);
        prop_assert!(cursor::decode(&text, &[&scope]).is_err());
    }

    #[test]
    fn a_key_is_of_exactly_one_shape(text in prop_oneof![".{0,80}", "(echo_)?[0-9a-fA-F]{63,65}\\s?", "echo_[0-9a-f]{64}"]) {
        let digits = text.strip_prefix("echo_").unwrap_or_default();
        let is_key = digits.len() == 64 && digits.bytes().all(|b| b"0123456789abcdef".contains(&b));
        prop_assert_eq!(ApiKey::parse(&text).is_ok(), is_key);
    }

    #[test]
    fn an_id_comes_back_in_lower_case(
        text in prop_oneof![".{0,40}", "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"],
    ) {
        if let Ok(id) = EventId::parse(&text) {
            prop_assert_eq!(id.to_string(), text.to_lowercase());
        }
        prop_assert_eq!(EventId::parse(&text).is_ok(), ProjectId::parse(&text).is_ok());
    }

    #[test]
    fn a_time_that_is_read_is_written_the_same(
        text in prop_oneof![".{0,40}", damaged("2026-04-12T15:51:59.499Z")],
    ) {
        if let Ok(at) = Timestamp::parse(&text) {
            let again = Timestamp::parse(&at.to_string()).map(Timestamp::as_millis).ok();
            prop_assert_eq!(again, Some(at.as_millis()));
        }
    }

    #[test]
    fn a_payload_survives_its_row(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(Payload::pack(&bytes).unpack().ok(), Some(bytes));
    }

    #[test]
    fn a_schedule_only_ever_waits_longer_than_asked(
        text in prop_oneof![".{0,20}", "[0-9]{1,5}(,[0-9]{1,5}){0,10}"],
        number in 1..12_usize,
        jitter in 0.0..1.0_f64,
    ) {
        if let Ok(schedule) = RetrySchedule::parse(&text) {
            let listed: Vec<f64> = text.split(',').map(|part| part.trim().parse().expect("seconds")).collect();
            let asked = listed.get(number - 1);
            let waits = schedule.delay_after(number as u32, jitter);
            prop_assert_eq!(waits.is_some(), asked.is_some());
            if let (Some(waits), Some(asked)) = (waits, asked) {
                prop_assert!((*asked..=asked * 1.1).contains(&waits.as_secs_f64()), "{:?}", waits);
            }
        }
    }
}
