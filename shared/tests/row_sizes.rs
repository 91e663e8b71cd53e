//! The sizes of rows by which docs/operations.md reckons how much a project can have.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use echo_shared::endpoint::{Endpoint, EndpointStatus};
use echo_shared::event::{Event, EventContent};
use echo_shared::event_name::EventNames;
use echo_shared::id::{EndpointId, EventId, ProjectId};
use echo_shared::route::{Route, Routes};
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
    let endpoint = |name| Endpoint::new(project, Shards::ONE, url.clone(), vec![name], now);
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
        let endpoints = endpoints.iter().map(|endpoint| (EndpointId::new(now), Route::to(endpoint))).collect();
        let routes = Routes { shards: Shards::ONE, endpoints };
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
    // About so many: what varies are names.
    let (fixed, small) = (fixed / 10 * 10, row_size(&wanting) / 10 * 10);
    println!("fixed {fixed}, delivery {delivery}, skipped {skipped} or {closed}, endpoint {small}");
    let page = include_str!("../../docs/operations.md");
    for said in [
        format!(
            "`write units = ⌈({fixed} + payload + {delivery} × deliveries + {closed} × skipped) / 1,024⌉`"
        ),
        format!("An endpoint's row has {small} bytes or more"),
    ] {
        assert!(page.contains(&said), "docs/operations.md should say: {said}");
    }
    assert!(skipped <= closed);
}
