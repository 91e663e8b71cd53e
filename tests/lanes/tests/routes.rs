//! The routing row and the two rows of an endpoint: their cost, and that all copies of the routing row change
//! together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::gateway::HttpAnswer;
use echo_lanes::invariants::judge;
use echo_lanes::lane::{Auth, LaneSettings};
use echo_lanes::receiver::Behaviour;
use echo_lanes::run::{Ending, Run};
use echo_lanes::wait;
use echo_lanes::watch::Seen;
use echo_lanes::world::{ONE, TEN, World};
use serde_json::{Value, json};

const AUTOMATIC: usize = 4;
const REST: Duration = Duration::from_secs(60);
const COPIES: usize = 3;

async fn world() -> World {
    World::make().await.expect("the functions, built by `cargo build`")
}

async fn run<'a>(world: &'a World, env: &[(&'static str, &str)]) -> Run<'a> {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Run::new(world.lane(LaneSettings { env, ..LaneSettings::default() }).await.expect("a lane"), world)
}

/// Nearly the 8 KiB that an endpoint's headers may have.
fn headers() -> Value {
    json!({ "x-first": "a".repeat(4_050), "x-second": "b".repeat(4_050) })
}

/// The units of each kind of call, such as `GetItem routes`, each call by itself.
fn units(calls: Vec<Seen>) -> BTreeMap<String, Vec<f64>> {
    let mut units: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for call in calls.into_iter().filter(|call| !call.is_sqs && call.reply.status == 200) {
        let answer: Value = serde_json::from_str(&call.reply.body).unwrap_or_default();
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
        units.entry(call.what).or_default().push(consumed);
    }
    units
}

fn ok(answer: &HttpAnswer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_one_of_fifty_large_endpoints_costs_one_unit_to_read_and_three_to_write() {
    let world = world().await;
    let mut run = run(&world, &[]).await;
    run.lane.stop_mappings();
    let bearer = Auth::Bearer(&world.access_token);
    let created = run.lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "large" }))).await;
    let project = ok(&created, 201);
    let key = Auth::Key(project["api_key"].as_str().expect("a key"));
    let of_project = |rest: &str| format!("/v1/projects/{}{rest}", project["id"].as_str().expect("an id"));
    for n in 0..50 {
        let events = if n == 0 { json!(["call.started"]) } else { json!(["call.ended", "call.summary"]) };
        let body = json!({ "url": "https://example.com/", "events": events, "headers": headers() });
        ok(&run.lane.call("POST", &of_project("/webhooks"), &key, Some(&body)).await, 201);
    }
    let event = json!({ "event_name": "call.started", "data": { "call_id": "call_1" } });
    // The first event also reads the key and leases a budget.
    for _ in 0..2 {
        run.lane.aws.watch.start();
        let accepted = ok(&run.lane.call("POST", &of_project("/events"), &key, Some(&event)).await, 202);
        assert_eq!(accepted["deliveries"].as_array().map(Vec::len), Some(1));
    }
    let units = units(run.lane.aws.watch.stop());
    let of = |names: &[&str]| {
        let named = units.iter().filter(|(what, _)| names.iter().any(|name| what.starts_with(name)));
        named.flat_map(|(_, units)| units).sum::<f64>()
    };
    assert_eq!(units.get("GetItem routes"), Some(&vec![1.0]), "{units:?}");
    assert_eq!(of(&["GetItem", "BatchGetItem", "Query"]), 1.0, "{units:?}");
    assert_eq!(of(&["PutItem", "BatchExecuteStatement"]), 3.0, "{units:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_and_a_batch_of_slots_cost_one_unit_whatever_the_endpoint_has() {
    let world = world().await;
    let run = run(&world, &[("RETRY_DELAYS_SECONDS", "1")]).await;
    run.lane.receiver.set("/0", Behaviour::Answer(500));
    let body = json!({ "headers": headers(), "rate_limit_per_second": 100 });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    run.lane.aws.watch.start();
    run.post_event(ONE, &json!({}), Ending::Failed("exhausted")).await.expect("accepted");
    assert!(run.lane.settle(REST).await);
    let units = units(run.lane.aws.watch.stop());
    let updates = units.get("UpdateItem endpoints").cloned().unwrap_or_default();
    // A slot for each of two attempts, and the failure.
    assert!(updates.len() >= 3 && updates.iter().all(|units| *units == 1.0), "{units:?}");
    let shown = run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await;
    assert_eq!(ok(&shown, 200)["consecutive_failures"], 1);
    let verdict = judge(&run, true, AUTOMATIC).await;
    assert_eq!((verdict.losses, verdict.violations), (Vec::new(), Vec::new()));
}

/// The read units of a look at the first endpoint.
async fn units_of_a_look(run: &Run<'_>) -> f64 {
    run.lane.aws.watch.start();
    ok(&run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await, 200);
    units(run.lane.aws.watch.stop())["BatchGetItem endpoints"].iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_whose_names_change_again_and_again_costs_no_more_and_lists_deliveries_of_all_of_them() {
    let world = world().await;
    let names: Vec<String> = (0..512).map(|n| format!("{}.{n:03}", "n".repeat(60))).collect();
    let known = format!("{ONE},{}", names.join(","));
    let run = run(&world, &[("EVENT_NAMES", &known)]).await;
    let sent = run.post_event(ONE, &json!({}), Ending::Success).await.expect("accepted");
    assert!(run.lane.settle(REST).await);
    let before = units_of_a_look(&run).await;
    for names in names.chunks(32) {
        let body = json!({ "events": names });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    }
    let after = units_of_a_look(&run).await;
    assert!(after <= before, "{before} units before, {after} after");

    let delivery = sent.listed[0].0.as_str();
    for list in [run.endpoint(0, "/deliveries"), run.project("/deliveries")] {
        for target in [list.clone(), format!("{list}?event_name={ONE}")] {
            let page = ok(&run.lane.call("GET", &target, &run.key(), None).await, 200);
            assert_eq!(page["data"][0]["id"], delivery, "{target}: {page}");
        }
    }
    run.insist("DELETE", &run.endpoint(0, ""), &run.key(), None, &[204]).await;
    assert_eq!(run.notes().violations, [""; 0]);
}

/// Makes the project one that was created with [`COPIES`] shards.
fn spread(run: &Run<'_>) {
    let dynamo = &run.lane.aws.dynamo;
    let shards = json!({ "N": COPIES.to_string() });
    for table in ["projects", "api_keys", "api_key_hashes", "endpoints", "routes"] {
        for mut item in dynamo.items(table).into_iter().filter(|item| item["shards"].is_object()) {
            item["shards"] = shards.clone();
            dynamo.put(table, &item);
        }
    }
    for first in dynamo.items("routes") {
        for copy in 1..COPIES {
            let mut item = first.clone();
            item["copy"] = json!({ "S": format!("{}#{copy}", run.world.project_id) });
            dynamo.put("routes", &item);
        }
    }
}

/// What each copy says of an endpoint.
fn entries(run: &Run<'_>, id: &str) -> Vec<Value> {
    run.lane.aws.dynamo.rows("routes").iter().map(|row| row["endpoints"][id].clone()).collect()
}

async fn over(run: &Run<'_>, what: &str) {
    let verdict = judge(run, run.lane.settle(REST).await, AUTOMATIC).await;
    assert_eq!((verdict.losses, verdict.violations), (Vec::new(), Vec::new()), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_copies_change_with_the_endpoint() {
    let world = world().await;
    let run = run(&world, &[("RETRY_DELAYS_SECONDS", "1")]).await;
    spread(&run);
    over(&run, "spread").await;
    let body = json!({ "url": "https://example.com/", "events": [ONE] });
    let created = run.lane.call("POST", &run.project("/webhooks"), &run.key(), Some(&body)).await;
    let id = ok(&created, 201)["id"].as_str().expect("an id").to_owned();
    let wanted = |entry: Value| vec![entry; COPIES];
    assert_eq!(entries(&run, &id), wanted(json!({ "n": [ONE] })));
    over(&run, "created").await;

    let target = run.project(&format!("/webhooks/{id}"));
    let change = async |body: Value| {
        ok(&run.lane.call("PATCH", &target, &run.key(), Some(&body)).await, 200);
    };
    change(json!({ "events": ["call.summary"], "status": "disabled" })).await;
    assert_eq!(entries(&run, &id), wanted(json!({ "n": ["call.summary"], "off": true })));
    change(json!({ "status": "active", "description": "again" })).await;
    assert_eq!(entries(&run, &id), wanted(json!({ "n": ["call.summary"] })));
    let deleted = run.lane.call("DELETE", &target, &run.key(), None).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(entries(&run, &id), wanted(Value::Null));
    over(&run, "deleted").await;

    // An attempt that times out marks the endpoint as slow, and a 410 disables it.
    let own = &world.endpoints[0];
    run.lane.receiver.set("/0", Behaviour::Hang);
    run.post_event(ONE, &json!({}), Ending::Either).await.expect("accepted");
    let end = Instant::now() + REST;
    while !entries(&run, own).iter().all(|entry| entry["slow"].is_u64()) {
        assert!(Instant::now() < end, "{:?}", entries(&run, own));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run.lane.receiver.set("/0", Behaviour::Answer(410));
    while !entries(&run, own).iter().all(|entry| entry["off"] == true) {
        assert!(Instant::now() < end, "{:?}", entries(&run, own));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    over(&run, "disabled by us").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_read_all_copies_in_turn() {
    let world = world().await;
    let mut run = run(&world, &[]).await;
    run.lane.stop_mappings();
    spread(&run);
    // The first copy says that the project has no endpoint. So its readers make no delivery.
    let first = run.lane.aws.dynamo.items("routes").into_iter();
    let mut first = first.filter(|item| item["copy"]["S"].as_str().is_some_and(|copy| copy.ends_with("#0")));
    let mut first = first.next().expect("a copy");
    first["endpoints"] = json!({ "M": {} });
    run.lane.aws.dynamo.put("routes", &first);
    let mut seen = BTreeMap::from([(0, 0), (1, 0)]);
    let end = Instant::now() + REST;
    // The first event waits for its caller to be authenticated, and the others read ahead.
    while seen.values().any(|count| *count < 3) {
        assert!(Instant::now() < end, "{seen:?}");
        let event = json!({ "event_name": ONE });
        let accepted =
            ok(&run.lane.call("POST", &run.project("/events"), &run.key(), Some(&event)).await, 202);
        *seen.entry(accepted["deliveries"].as_array().map_or(0, Vec::len)).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_deleted_between_two_reads_is_left_out() {
    let world = world().await;
    let run = run(&world, &[]).await;
    // The routing row still lists both. One has lost a row, and the other both.
    for (id, parts) in [(&world.endpoints[1], &["state"][..]), (&world.endpoints[2], &["settings", "state"])]
    {
        for part in parts {
            let key = json!({ "id": { "S": id }, "part": { "S": part } });
            let request = json!({ "TableName": "endpoints", "Key": key });
            assert_eq!(run.lane.aws.dynamo.call("DeleteItem", &request.to_string()).status, 200);
        }
    }
    let listed = ok(&run.lane.call("GET", &run.project("/webhooks"), &run.key(), None).await, 200);
    let ids: Vec<&str> =
        listed.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    let left: Vec<&str> = [0].into_iter().chain(3..10).map(|n: usize| world.endpoints[n].as_str()).collect();
    assert_eq!(ids, left, "oldest first");
    for n in [1, 2] {
        assert_eq!(run.lane.call("GET", &run.endpoint(n, ""), &run.key(), None).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_filters_are_read_once_and_then_kept() {
    let world = world().await;
    let mut run = run(&world, &[]).await;
    run.lane.stop_mappings();
    let bearer = Auth::Bearer(&world.access_token);
    let created = run.lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": "filtered" }))).await;
    let project = ok(&created, 201);
    let key = Auth::Key(project["api_key"].as_str().expect("a key"));
    let of_project = |rest: &str| format!("/v1/projects/{}{rest}", project["id"].as_str().expect("an id"));
    for n in 0..50 {
        let filter = json!({ "data": { "n": [n], "long": [{ "anything-but": "x".repeat(3_900) }] } });
        let body = json!({ "url": "https://example.com/", "events": [ONE], "filter": filter });
        ok(&run.lane.call("POST", &of_project("/webhooks"), &key, Some(&body)).await, 201);
    }
    let mut reads = Vec::new();
    for n in 0..3 {
        let event = json!({ "event_name": ONE, "data": { "n": n, "long": "y" } });
        run.lane.aws.watch.start();
        let accepted = ok(&run.lane.call("POST", &of_project("/events"), &key, Some(&event)).await, 202);
        assert_eq!(accepted["deliveries"].as_array().map(Vec::len), Some(1));
        let units = units(run.lane.aws.watch.stop());
        let of_filters = units.iter().filter(|(what, _)| what.starts_with("BatchGetItem"));
        reads.push(of_filters.flat_map(|(_, units)| units).sum::<f64>());
        assert!(units["GetItem routes"].iter().sum::<f64>() <= 2.0, "{units:?}");
    }
    // Two units for each of the settings, which have more than 4 KB.
    assert_eq!(reads, [100.0, 0.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_until_routes_and_settings_name_the_same_filter() {
    let world = world().await;
    let mut run = run(&world, &[]).await;
    run.lane.stop_mappings();
    let filter = json!({ "filter": { "data": { "n": [1] } } });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&filter), &[200]).await;
    let event = json!({ "event_name": ONE, "data": { "n": 1 } });
    let dynamo = &run.lane.aws.dynamo;
    let right = dynamo.items("routes").remove(0);
    let mut wrong = right.clone();
    wrong["endpoints"]["M"][&world.endpoints[0]]["M"]["f"] = json!({ "B": "AAAAAAAAAAAAAAAAAAAAAA==" });
    assert_ne!(right, wrong);
    dynamo.put("routes", &wrong);
    // As between two reads of which a change is in the middle, but for longer than any change takes.
    let refused = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&event)).await;
    assert_eq!(refused.status, 503, "{}", refused.json());
    dynamo.put("routes", &right);
    let accepted = ok(&run.lane.call("POST", &run.project("/events"), &run.key(), Some(&event)).await, 202);
    assert_eq!(accepted["deliveries"].as_array().map(Vec::len), Some(1));
}

/// Changes the endpoint's events from one name to the other during the last attempt of its only delivery, which gets this
/// answer. Returns the endpoint after that.
async fn changed_during_an_attempt(run: &Run<'_>, last: usize, status: u16) -> Value {
    run.lane.receiver.set("/0", Behaviour::After(Duration::from_secs(2), status));
    run.post_event(ONE, &json!({}), Ending::Either).await.expect("accepted");
    assert!(wait::until(REST, || run.lane.receiver.hits().len() == last).await);
    let other = json!({ "events": [TEN] });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&other), &[200]).await;
    assert_eq!(run.lane.receiver.hits()[last - 1].status, None, "the attempt is still under way");
    assert!(run.lane.settle(REST).await);
    ok(&run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await, 200)
}

const PATIENT: (&str, &str) = ("REQUEST_TIMEOUT_SECONDS", "4");

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_disabled_with_the_change_that_its_owner_made_during_the_attempt() {
    let world = world().await;
    let rule = [("DISABLE_AFTER_FAILURES", "1"), ("DISABLE_AFTER_SECONDS", "0")];
    let run = run(&world, &[&rule[..], &[("RETRY_DELAYS_SECONDS", "1"), PATIENT]].concat()).await;
    let shown = changed_during_an_attempt(&run, 2, 500).await;
    assert_eq!((&shown["status"], &shown["events"]), (&json!("disabled"), &json!([TEN])));
    let event = json!({ "event_name": ONE });
    let accepted = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&event)).await;
    let id = ok(&accepted, 202)["event_id"].as_str().expect("an id").to_owned();
    let event =
        ok(&run.lane.call("GET", &run.project(&format!("/events/{id}")), &run.key(), None).await, 200);
    let skipped = event["skipped"].as_array().expect("a list");
    let of = skipped.iter().find(|skipped| skipped["webhook_endpoint_id"] == world.endpoints[0].as_str());
    assert_eq!(of.expect("it was skipped")["reason"], "not_subscribed", "the routes know of the change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_disables_no_endpoint_that_its_owner_changed_during_the_attempt() {
    let world = world().await;
    let run = run(&world, &[PATIENT]).await;
    let shown = changed_during_an_attempt(&run, 1, 410).await;
    assert_eq!((&shown["status"], &shown["events"]), (&json!("active"), &json!([TEN])));
}

/// Two callers read an endpoint without keys. One of them writes the keys that it made, and then the other one is too late.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_want_keys_at_once_get_one_pair() {
    let world = world().await;
    let run = run(&world, &[]).await;
    let (path, on) = (run.endpoint(0, ""), json!({ "ed25519": true }));
    let what = "TransactWriteItems endpoints".to_owned();
    let late = Injection { fault: Fault::Late, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Api, what, nth: 1 }, late)));
    let key = run.key();
    let first = run.lane.call("PATCH", &path, &key, Some(&on));
    let second = async {
        assert!(wait::until(REST, || run.lane.aws.faults.has_struck()).await, "no keys were being written");
        run.lane.call("PATCH", &path, &key, Some(&on)).await
    };
    let (first, second) = tokio::join!(first, second);
    let [first, second] = [first, second].map(|answer| ok(&answer, 200)["public_key"].clone());
    assert!(first.is_string() && first == second, "{first} {second}");
}
