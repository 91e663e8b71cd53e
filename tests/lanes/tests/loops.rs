//! Loops that must end, and one that must go on. An endpoint that leads back to the API itself gets at most five
//! requests (contract §5). The delivery function's messages to itself may form a chain of invocations of any length.

use std::net::SocketAddr;
use std::time::Duration;

use echo_lanes::gateway::{HOST, Port};
use echo_lanes::lane::{Lane, LaneSettings};
use echo_lanes::receiver::Behaviour;
use echo_lanes::relay::Relay;
use echo_lanes::run::{Ending, Run};
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};

const REST: Duration = Duration::from_secs(60);

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

async fn run(world: &World) -> Run<'_> {
    Run::new(world.lane(LaneSettings::default().patient()).await.expect("a lane"), world)
}

async fn port(lane: &Lane) -> Port {
    Port::open(&lane.api).await.expect("a port")
}

/// Leads endpoint `n` to this path of the API at `address`. Its requests carry the project's key.
async fn turn_back(run: &Run<'_>, n: usize, address: SocketAddr, path: &str) {
    let body =
        json!({ "url": format!("http://{address}{path}"), "headers": { "x-api-key": run.world.api_key } });
    run.insist("PATCH", &run.endpoint(n, ""), &run.key(), Some(&body), &[200]).await;
}

fn rows(lane: &Lane, table: &str) -> Vec<Value> {
    lane.aws.dynamo.rows(table)
}

/// Checks that each delivery failed after its automatic attempts, and that each attempt was answered with this
/// status.
fn all_were_refused(lane: &Lane, status: u16) {
    for row in rows(lane, "deliveries") {
        assert_eq!(
            (&row["status"], &row["failure_reason"]),
            (&json!("failed"), &json!("exhausted")),
            "{row}"
        );
        let statuses: Vec<_> =
            row["attempts"].as_array().into_iter().flatten().map(|one| &one["http_status"]).collect();
        assert_eq!(statuses, [status; 4], "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_leads_to_its_own_test_is_called_four_times_and_no_more() {
    let world = world().await;
    let run = run(&world).await;
    let port = port(&run.lane).await;
    let test = run.endpoint(0, "/test");
    turn_back(&run, 0, port.address(), &test).await;
    run.insist("POST", &test, &run.key(), None, &[202]).await;
    assert!(run.lane.settle(REST).await, "the loop goes on: {:?}", port.statuses());
    assert_eq!(port.statuses(), [508; 4]);
    assert_eq!((rows(&run.lane, "events").len(), rows(&run.lane, "deliveries").len()), (1, 1));
    all_were_refused(&run.lane, 508);
    assert_eq!(run.notes().violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_keeps_headers_does_not_hide_a_loop() {
    let world = world().await;
    let run = run(&world).await;
    let port = port(&run.lane).await;
    let relay = Relay::KeepsHeaders.open(port.address()).await.expect("a port");
    // If each of ten endpoints started an event for all ten, there would be a thousand deliveries after three rounds.
    for n in 0..10 {
        let path = if n % 2 == 0 { run.project("/events") } else { run.endpoint(n, "/test") };
        turn_back(&run, n, relay.address, &path).await;
    }
    let body = json!({ "event_name": TEN });
    run.insist("POST", &run.project("/events"), &run.key(), Some(&body), &[202]).await;
    assert!(run.lane.settle(REST).await, "the loop goes on: {:?}", port.statuses());
    assert_eq!(port.statuses(), [508; 40]);
    assert_eq!((rows(&run.lane, "events").len(), rows(&run.lane, "deliveries").len()), (1, 10));
    all_were_refused(&run.lane, 508);
    assert_eq!(run.notes().violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_host_is_refused_at_registration_and_not_called_when_it_stands_in_a_row() {
    let world = world().await;
    let run = run(&world).await;
    let own = format!("https://{HOST}{}", run.endpoint(0, "/test"));
    for (method, target) in [("POST", run.project("/webhooks")), ("PATCH", run.endpoint(0, ""))] {
        let body = json!({ "url": own, "events": [TEN] });
        let answers = run.insist(method, &target, &run.key(), Some(&body), &[400]).await;
        let message = answers.last().map(|answer| answer.json()["message"].clone());
        assert_eq!(message, Some(json!("url must not lead back to this service")), "{method}");
    }
    // The row now looks as if the endpoint was registered before this API had this address.
    for mut item in run.lane.aws.dynamo.items("endpoints") {
        if item["id"]["S"] == world.endpoints[0].as_str() && item["part"]["S"] == "settings" {
            item["url"]["S"] = own.as_str().into();
            run.lane.aws.dynamo.put("endpoints", &item);
        }
    }
    let body = json!({ "event_name": TEN });
    run.insist("POST", &run.endpoint(0, "/test"), &run.key(), Some(&body), &[202]).await;
    assert!(run.lane.settle(REST).await);
    let [delivery] = &rows(&run.lane, "deliveries")[..] else { panic!("one delivery") };
    for attempt in delivery["attempts"].as_array().into_iter().flatten() {
        assert_eq!(attempt["error_message"], "the URL leads back to this service");
    }
    assert_eq!(delivery["failure_reason"], "exhausted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_that_a_caller_came_by_is_refused_too() {
    let world = world().await;
    let run = run(&world).await;
    let custom = "hooks.example.com";
    let register = |url: &str| {
        let body = json!({ "url": url, "events": [TEN] }).to_string();
        let headers = [("host", custom), ("x-api-key", &world.api_key), ("content-type", "application/json")];
        echo_lanes::gateway::HttpRequest {
            method: "POST".to_owned(),
            target: run.project("/webhooks"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: Some(body.into()),
            source_ip: None,
        }
    };
    let mut statuses = Vec::new();
    for host in [custom, "HOOKS.example.com.:443", HOST, "other.example.com"] {
        let answer = echo_lanes::gateway::call(&run.lane.api, register(&format!("https://{host}/x"))).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [400, 400, 400, 201]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_twenty_pages_is_a_chain_that_lambda_lets_be() {
    const PAGES: u32 = 20;
    const MATCHES: u64 = 100 * PAGES as u64;
    let world = world().await;
    let env = vec![("RETRY_DELAYS_SECONDS", "1".to_owned())];
    let lane = world.lane(LaneSettings { env, with_journal: false, ..LaneSettings::default() }).await;
    let run = Run::new(lane.expect("a lane"), &world);
    run.lane.receiver.set("/0", Behaviour::Answer(500));
    run.post_event(ONE, &json!({}), Ending::Failed("exhausted")).await;
    assert!(run.lane.settle(REST).await);
    run.lane.receiver.set("/0", Behaviour::Answer(200));
    run.lane.receiver.count_only();
    // The copies are further failed deliveries, each with an event that lists it. The last two bytes of an id name the
    // partition, and the digits before them make each id different.
    let dynamo = &run.lane.aws.dynamo;
    let row = dynamo.items("deliveries").remove(0);
    let mut event = dynamo.items("events").remove(0);
    let id = row["id"]["S"].as_str().expect("an id");
    let event_id = event["event_id"]["S"].as_str().expect("an id").to_owned();
    let ids = |n| {
        let copy = |id: &str| format!("{}{n:08x}{}", &id[..24], &id[32..]);
        (copy(id), copy(&event_id))
    };
    for n in 1..MATCHES {
        let (id, event_id) = ids(n);
        event["event_id"]["S"] = event_id.into();
        event["deliveries"]["L"][0]["M"]["id"]["S"] = id.into();
        let put = json!({ "TableName": "events", "Item": event });
        assert_eq!(dynamo.call("PutItem", &put.to_string()).status, 200);
    }
    let copies = (1..MATCHES).map(|n| {
        let (id, event_id) = ids(n);
        vec![("id", id), ("event_id", event_id)]
    });
    dynamo.copies("deliveries", &row, copies);

    let body = json!({ "since": "2020-01-01T00:00:00Z" });
    run.insist("POST", &run.endpoint(0, "/replay"), &run.key(), Some(&body), &[202]).await;
    assert!(run.lane.settle(Duration::from_secs(240)).await, "{:?}", rows(&run.lane, "replays"));
    // A further row names the latest replay.
    let replays: Vec<_> =
        rows(&run.lane, "replays").into_iter().filter(|row| row["id"] != "latest").collect();
    let [replay] = &replays[..] else { panic!("one replay") };
    assert_eq!(*run.lane.aws.ended_loops.lock().expect("a lock"), [""; 0]);
    assert_eq!(
        (&replay["status"], &replay["matched"], &replay["replayed"]),
        (&json!("finished"), &json!(MATCHES), &json!(MATCHES))
    );
    // With a short chain this test would show nothing.
    let longest = run.lane.delivery.longest_chain();
    assert!(
        longest >= PAGES,
        "the longest chain had {longest} invocations: the trace header is not passed on"
    );
}
