//! Searches of lists that cannot be searched in one request's time.

use std::collections::BTreeSet;
use std::time::Duration;

use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::world::{ONE, World};
use serde_json::json;

/// More rows than a search reads in its five seconds when each of its steps takes one second.
const STORED: usize = 40_000;

/// The only ones of them that the search finds.
const FOUND: [usize; 2] = [3, 39_990];

#[tokio::test]
async fn a_long_search_of_deliveries_goes_on_from_page_to_page() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    let key = Auth::Key(&world.api_key);
    let project = format!("/v1/projects/{}", world.project_id);
    let event = json!({ "event_name": ONE });
    assert_eq!(lane.call("POST", &format!("{project}/events"), &key, Some(&event)).await.status, 202);
    let row = lane.aws.dynamo.items("deliveries").remove(0);
    let id = row["id"]["S"].as_str().expect("an id");
    let ids: Vec<String> = (0..STORED).map(|n| format!("00{n:06x}{}", &id[8..])).collect();
    let status = |n| if FOUND.contains(&n) { "pending" } else { "success" };
    let rows = (0..STORED).map(|n| vec![("id", ids[n].clone()), ("status", status(n).to_owned())]);
    lane.aws.dynamo.copies("deliveries", &row, rows);

    let log = format!(
        "{project}/webhooks/{}/deliveries?status=pending&until=2026-01-01T00:00:00Z",
        world.endpoints[0]
    );
    assert_eq!(walk(&lane, &key, &log, "id").await, FOUND.map(|n| ids[n].clone()).into());
}

#[tokio::test]
async fn a_long_search_of_events_goes_on_from_page_to_page() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let lane = world.lane(LaneSettings::default()).await.expect("a lane");
    let key = Auth::Key(&world.api_key);
    let project = format!("/v1/projects/{}", world.project_id);
    let event = json!({ "event_name": ONE });
    assert_eq!(lane.call("POST", &format!("{project}/events"), &key, Some(&event)).await.status, 202);
    let row = lane.aws.dynamo.items("events").remove(0);
    let id = row["event_id"]["S"].as_str().expect("an id");
    // Of the year 2024, because older ids than ten years are in no page.
    let ids: Vec<String> = (0..STORED).map(|n| format!("{:08x}{}", 0x0190_0000 + n, &id[8..])).collect();
    let name = |n| if FOUND.contains(&n) { "call.ended" } else { ONE };
    let rows = (0..STORED).map(|n| vec![("event_id", ids[n].clone()), ("event_name", name(n).to_owned())]);
    lane.aws.dynamo.copies("events", &row, rows);

    let log = format!("{project}/events?event_name=call.ended&fields=event_id");
    assert_eq!(walk(&lane, &key, &log, "event_id").await, FOUND.map(|n| ids[n].clone()).into());
}

/// The ids in all pages of a list, of which the first comes while each step takes a second.
async fn walk(lane: &Lane, key: &Auth<'_>, list: &str, id: &str) -> BTreeSet<String> {
    lane.aws.watch.set_distance(Duration::from_secs(1));
    let (mut found, mut cursor, mut pages) = (BTreeSet::new(), String::new(), 0);
    let mut late = 0;
    loop {
        let answer = lane.call("GET", &format!("{list}{cursor}"), key, None).await;
        // On a busy machine the last step may not come in time.
        if answer.status == 503 && late < 3 {
            late += 1;
            continue;
        }
        assert_eq!(answer.status, 200, "{}", answer.json());
        pages += 1;
        let page = answer.json();
        let ids = page["data"].as_array().into_iter().flatten().filter_map(|row| row[id].as_str());
        found.extend(ids.map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        // One page without haste is enough to see that a search ends.
        lane.aws.watch.set_distance(Duration::ZERO);
    }
    assert!(pages > 1);
    found
}
