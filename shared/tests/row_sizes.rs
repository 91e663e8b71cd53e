//! The sizes of rows by which docs/operations.md reckons how much a project can have.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use echo_shared::endpoint::{DisabledReason, Endpoint, EndpointState, EndpointStatus};
use echo_shared::event::{Event, EventContent};
use echo_shared::event_name::{EventName, EventNames};
use echo_shared::filter::FilterText;
use echo_shared::id::{AccountId, EndpointId, EventId, ProjectId};
use echo_shared::rate_limit::RateLimit;
use echo_shared::route::{Route, Routes};
use echo_shared::sealed::SealedHeaders;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;
use serde::Serialize;

/// As DynamoDB counts (docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html): a number
/// takes about a byte for two digits and one more, a list or map three and one for each of its elements.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(items) => 3 + items.iter().map(|item| 1 + size(item)).sum::<usize>(),
        AttributeValue::M(entries) => {
            3 + entries.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>()
        }
        _ => 1,
    }
}

fn row_size(row: &impl Serialize) -> usize {
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(row).expect("a row");
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

#[test]
fn rows_are_as_large_as_the_limits_suppose() {
    let names = EventNames::parse("call.started,call.ended").expect("names");
    let [started, ended] = ["call.started", "call.ended"].map(|name| names.find(name).expect("a name"));
    let now = Timestamp::from_millis(1_776_009_119_499);
    let (project, event_id) = (ProjectId::new(now), EventId::new(now));
    let url = "https://hooks.example.com/webhooks/echo".to_owned();
    let secret = || vec![1].into();
    let endpoint = |name: EventName| {
        let names = vec![name.into()];
        Endpoint::new(project, EndpointId::new(now), Shards::ONE, url.clone(), names, secret(), now)
    };
    let wanting = endpoint(ended.clone());
    let other = endpoint(started);
    let disabled = Endpoint { status: EndpointStatus::Disabled, ..wanting.clone() };
    let content = EventContent {
        name: ended,
        customer_id: None,
        notification_id: None,
        data: serde_json::from_str("{}").expect("JSON"),
    };
    let event = |endpoints: &[&Endpoint]| {
        let endpoints =
            endpoints.iter().map(|endpoint| (EndpointId::new(now), Route::to(endpoint))).collect();
        let routes = Routes { endpoints, ..Routes::none(Shards::ONE) };
        Event::accept(project, event_id, &content, &routes, now, Duration::from_secs(86_400))
    };
    let row = |endpoints: &[&Endpoint]| row_size(&event(endpoints));
    let alone = event(&[]);
    let AttributeValue::B(payload) = serde_dynamo::to_attribute_value(&alone.payload).expect("a value")
    else {
        panic!("a payload is bytes")
    };
    let fixed = row_size(&alone) - payload.as_ref().len();
    let delivery = row(&[&wanting, &wanting]) - row(&[&wanting]);
    let skipped = row(&[&other, &other]) - row(&[&other]);
    let closed = row(&[&disabled, &disabled]) - row(&[&disabled]);
    // Rounded, because the length of names varies.
    let fixed = fixed / 10 * 10;
    println!("fixed {fixed}, delivery {delivery}, skipped {skipped} or {closed}");
    says(&format!(
        "`write units = ⌈({fixed} + payload + {delivery} × deliveries + {closed} × skipped) / 1,024⌉`"
    ));
    assert_eq!(skipped, closed);
}

fn says(said: &str) {
    let page = include_str!("../../docs/operations.md");
    assert!(page.contains(said), "docs/operations.md should say: {said}");
}

/// The size of the routing row of a project with these endpoints.
fn routing_row(project: ProjectId, endpoints: &[Endpoint]) -> usize {
    let entry = |endpoint: &Endpoint| (endpoint.id, Route::to(endpoint));
    let account_id = Some(AccountId::parse("019d8257-8a4b-7000-8000-000000000001").expect("an id"));
    let endpoints = endpoints.iter().map(entry).collect();
    let routes = Routes { endpoints, account_id, ..Routes::none(Shards::ONE) };
    "copy".len() + format!("{project}#0").len() + row_size(&routes)
}

#[test]
fn fifty_endpoints_with_three_usual_names_are_one_read_unit() {
    let now = Timestamp::from_millis(1_776_009_119_499);
    let project = ProjectId::new(now);
    let usual = ["call.started", "call.ended", "call.summary"];
    let names: usize = usual.iter().map(|name| name.len()).sum();
    let usual = usual.map(|name| EventName::from_stored(name).into()).to_vec();
    let headers = SealedHeaders([("x-large".to_owned(), vec![1; 4_096].into())].into());
    let endpoint = || {
        let (id, url) = (EndpointId::new(now), "https://hooks.example.com/".to_owned());
        let plain = Endpoint::new(project, id, Shards::ONE, url, usual.clone(), vec![1].into(), now);
        Endpoint { headers: headers.clone(), ..plain }
    };
    let endpoints: Vec<Endpoint> = (0..50).map(|_| endpoint()).collect();
    let (none, whole) = (routing_row(project, &[]), routing_row(project, &endpoints));
    let each = (whole - none) / 50;
    println!("none {none}, each {each} with {names} of names, whole {whole}");
    assert!(whole <= 4_096, "{whole}");
    let (about, beside) = (none / 10 * 10, each - names);
    says(&format!("`read units = ⌈({about} + endpoints × ({beside} + names)) / 4,096⌉`"));
    says(&format!("three usual ones have {names} bytes"));
    let disabled = endpoint().disabled(DisabledReason::Manual, EventId::new(now), now);
    let slow = EndpointState { slow_until: Some(now), ..EndpointState::default() };
    let slow = Endpoint { state: slow, ..endpoint() };
    let more = |endpoint| routing_row(project, &[endpoint]) - none - each;
    let filter = serde_json::from_str(r#"{"data": {"n": [1]}}"#).expect("JSON");
    let filtered = Endpoint { filter: Some(FilterText::new(filter).expect("a filter")), ..endpoint() };
    says(&format!(
        "A disabled endpoint adds {} bytes, a slow one {}, and a filter {}.",
        more(disabled),
        more(slow),
        more(filtered)
    ));
}

/// A delivery's change of an endpoint costs one write unit, with any settings of its owner.
#[test]
fn a_state_is_one_write_unit() {
    let now = Timestamp::from_millis(1_776_009_119_499);
    let state = EndpointState {
        rate_limit: Some(RateLimit { per_second: 1_000, since: now }),
        slots_taken_until: Some(now.as_millis() * 1_000),
        late_slots_taken_until: Some(now.as_millis() * 1_000),
        consecutive_failures: u32::MAX,
        first_failure_at: Some(now),
        slow_until: Some(now),
        answered_at: Some(now),
        hanging_since: Some(now),
        hanging_tried_at: Some(now),
        disabling: Some(EventId::new(now)),
        recovery: Some(EventId::new(now)),
        failing: Some(EventId::new(now)),
        settled_to: Some(now),
        is_down: true,
    };
    // The key, `url_since` and `last_counted` are written beside it.
    let beside = 200;
    assert!(row_size(&state) + beside <= 1_024, "{}", row_size(&state));
}
