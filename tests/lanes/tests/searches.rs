//! A search of a delivery log that is too long to be searched in the function's time.

use std::time::Duration;

use echo_lanes::lane::{Auth, LaneSettings};
use echo_lanes::world::{ONE, World};
use serde_json::json;

/// More rows than a search reads in its ten seconds when each of its steps takes one second.
const STORED: usize = 80_000;

#[tokio::test]
async fn a_search_that_takes_too_long_says_how_to_narrow_it() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    // The timeout is that of template.yaml.
    let settings = LaneSettings { api_timeout: Duration::from_secs(15), ..LaneSettings::default() };
    let lane = world.lane(settings).await.expect("a lane");
    let key = Auth::Key(&world.api_key);
    let project = format!("/v1/projects/{}", world.project_id);
    let event = json!({ "event_name": ONE });
    assert_eq!(lane.call("POST", &format!("{project}/events"), &key, Some(&event)).await.status, 202);
    let row = lane.aws.dynamo.items("deliveries").remove(0);
    let id = row["id"]["S"].as_str().expect("an id");
    let rows =
        (0..STORED).map(|n| vec![("id", format!("00{n:06x}{}", &id[8..])), ("status", "success".to_owned())]);
    lane.aws.dynamo.copies("deliveries", &row, rows);

    lane.aws.watch.set_distance(Duration::from_secs(1));
    let log = format!("{project}/webhooks/{}/deliveries?status=pending", world.endpoints[0]);
    let answer = lane.call("GET", &log, &key, None).await;
    assert_eq!(answer.status, 400, "{}", answer.json());
    assert!(answer.json()["message"].as_str().is_some_and(|text| text.starts_with("since or until")));

    lane.aws.watch.set_distance(Duration::ZERO);
    let recent = format!("{log}&since=2026-01-01T00:00:00.000Z");
    assert_eq!(lane.call("GET", &recent, &key, None).await.status, 200);
}
