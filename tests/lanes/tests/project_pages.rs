//! What a page of a project's failures costs, over one endpoint and over fifty.

use echo_lanes::gateway::HttpAnswer;
use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::world::{ONE, World};
use serde_json::{Value, json};

const FAILURES: usize = 120;

fn body_of(answer: &HttpAnswer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.json());
    answer.json()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The read units of a page of 50 failures, in a project of so many endpoints that all have some.
async fn units(lane: &Lane, world: &World, endpoints: usize) -> f64 {
    let bearer = Auth::Bearer(&world.access_token);
    let made = lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "failing" }))).await;
    let project = body_of(&made, 201);
    let path = format!("/v1/projects/{}", text(&project["id"]));
    let key = Auth::Key(project["api_key"].as_str().expect("a key"));
    for n in 0..endpoints {
        let url = format!("http://{}/{n}", lane.receiver.address());
        let webhook = json!({ "url": url, "events": [ONE] });
        body_of(&lane.call("POST", &format!("{path}/webhooks"), &key, Some(&webhook)).await, 201);
    }
    let event = json!({ "event_name": ONE });
    let accepted = lane.call("POST", &format!("{path}/events"), &key, Some(&event)).await;
    assert_eq!(body_of(&accepted, 202)["deliveries"].as_array().map(Vec::len), Some(endpoints));
    let rows = lane.aws.dynamo.items("deliveries").into_iter();
    let rows: Vec<Value> = rows.filter(|row| row["project_id"]["S"] == project["id"]).collect();
    for n in 0..FAILURES {
        let mut row = rows[n % rows.len()].clone();
        let id = text(&row["id"]["S"]);
        // The first digits are the time, and an earlier one than that of the row itself.
        row["id"] = json!({ "S": format!("01{:06x}-{}", n, &id[9..]) });
        row["status"] = json!({ "S": "failed" });
        row["attention"] = json!({ "S": format!("{}#0#failed", text(&row["endpoint_id"]["S"])) });
        lane.aws.dynamo.put("deliveries", &row);
    }
    lane.aws.watch.start();
    let target = format!("{path}/deliveries?status=failed&limit=50");
    let page = body_of(&lane.call("GET", &target, &key, None).await, 200);
    let seen = lane.aws.watch.stop();
    let shown: Vec<String> =
        page["data"].as_array().expect("rows").iter().map(|row| text(&row["id"])).collect();
    assert_eq!(shown.len(), 50);
    assert!(shown.is_sorted_by(|newer, older| newer > older), "{shown:?}");
    assert!(shown[0].starts_with(&format!("01{:06x}-", FAILURES - 1)), "{shown:?}");
    let read = seen.iter().filter(|call| !call.is_sqs).map(|call| {
        let answer: Value = serde_json::from_str(&call.reply.body).unwrap_or_default();
        match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
        }
    });
    read.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_failures_over_fifty_endpoints_costs_half_as_much_again_as_over_one() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut lane = world.lane(LaneSettings::default()).await.expect("a lane");
    lane.stop_mappings();
    let (one, fifty) = (units(&lane, &world, 1).await, units(&lane, &world, 50).await);
    println!("one endpoint: {one} units, fifty: {fifty}");
    // Each row costs a unit, and each endpoint's part of the index half a unit.
    assert!(one <= 56.0, "{one}");
    assert!(fifty <= 84.0, "{fifty}");
}
