//! Rows that are written while their project is being erased.

use std::collections::BTreeMap;
use std::time::Duration;

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::gateway::HttpRequest;
use echo_lanes::lane::{Auth, DEAD, FIRST_ATTEMPTS, INTAKE, LaneSettings, PARKED};
use echo_lanes::path::erasure::{find_nothing_of, forget_events, ids_of_project};
use echo_lanes::run::Run;
use echo_lanes::sqs::Outgoing;
use echo_lanes::world::{EMAIL, ONE, PASSWORD, World};
use serde_json::json;

/// An event is accepted while its project is erased: its rows are written seconds after the mark.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_under_way_leaves_nothing_behind() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    // A process that has seen the key. The erasure is then the business of another.
    run.insist("GET", &run.project("/webhooks"), &run.key(), None, &[200]).await;
    let what = "BatchExecuteStatement events".to_owned();
    let late = Injection { fault: Fault::Late, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Api, what, nth: 1 }, late)));
    let (target, event) = (run.project("/events"), json!({ "event_name": ONE, "data": { "n": 1 } }));
    let key = run.key();
    let posted = run.lane.call("POST", &target, &key, Some(&event));
    let erased = async {
        let is_late = || run.lane.aws.faults.has_struck();
        assert!(echo_lanes::wait::until(Duration::from_secs(5), is_late).await, "no event was being written");
        let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
        run.lane.call("DELETE", &run.project(""), &bearer, Some(&body)).await.status
    };
    let (posted, erased) = tokio::join!(posted, erased);
    assert_eq!(erased, 202);
    assert!(posted.status == 202 || posted.status >= 500, "{}", posted.status);
    let ids = ids_of_project(&run);
    assert!(!run.lane.aws.dynamo.rows("events").is_empty(), "the event came too soon or not at all");
    assert!(run.lane.settle(Duration::from_secs(120)).await, "it does not come to rest");
    forget_events(&run);
    find_nothing_of(&run, &ids);
    assert_eq!(run.notes().violations, [""; 0]);
    run.lane.stop_mappings();
}

/// A customer tries a link while its project is erased: the try is counted after the erasure has looked for tries.
#[tokio::test(flavor = "multi_thread")]
async fn a_try_of_a_portal_link_under_way_leaves_nothing_behind() {
    const CUSTOMER: &str = "203.0.113.78";
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    let links = run.project("/portal-links");
    let made = run.insist("POST", &links, &run.key(), Some(&json!({})), &[201]).await[0].json();
    let [id, url] = ["id", "url"].map(|name| made[name].as_str().expect("a text").to_owned());
    let (_, code) = url.split_once('#').expect("a code");
    let request = HttpRequest {
        method: "POST".to_owned(),
        target: "/auth/portal".to_owned(),
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: Some(json!({ "code": code, "nonce": "a1".repeat(32) }).to_string().into()),
        source_ip: Some(CUSTOMER.to_owned()),
    };
    let what = "UpdateItem login_failures".to_owned();
    let late = Injection { fault: Fault::Late, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Api, what, nth: 1 }, late)));
    let tried = run.lane.gateway.call(request);
    let erased = async {
        let is_late = || run.lane.aws.faults.has_struck();
        assert!(echo_lanes::wait::until(Duration::from_secs(5), is_late).await, "no try was being counted");
        let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
        run.lane.call("DELETE", &run.project(""), &bearer, Some(&body)).await.status
    };
    let (tried, erased) = tokio::join!(tried, erased);
    assert_eq!((tried.status, erased), (401, 202));
    assert!(run.lane.settle(Duration::from_secs(120)).await, "it does not come to rest");
    find_nothing_of(&run, &[ids_of_project(&run), vec![id, CUSTOMER.to_owned()]].concat());
    assert_eq!(run.notes().violations, [""; 0]);
    run.lane.stop_mappings();
}

/// A process that has seen a project's key knows it for some seconds after another process has erased the project.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_still_known_opens_no_erased_project() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    run.insist("GET", &run.project(""), &run.key(), None, &[200]).await;
    for row in run.lane.aws.dynamo.items("projects") {
        run.lane.aws.dynamo.delete("projects", &row);
    }
    assert_eq!(run.lane.call("GET", &run.project(""), &run.key(), None).await.status, 403);
}

/// A runner has read a chunk of a stream just before the erasure deletes it: the chunk is there, its head and its
/// project are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_wakes_in_an_erased_stream_writes_no_head() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let logs = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&logs).expect("a folder");
    let name = "erased-stream".to_owned();
    let settings = LaneSettings { name, logs: Some(logs.clone()), ..LaneSettings::default() };
    let mut run = Run::new(world.lane(settings).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    let ordered = json!({ "ordered": "customer_id" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&ordered), &[200]).await;
    run.lane.stop_mappings();
    let event = json!({ "event_name": ONE, "customer_id": "customer-7", "data": { "n": 1 } });
    run.insist("POST", &run.project("/events"), &run.key(), Some(&event), &[202]).await;
    let jobs = run.lane.aws.sqs.bodies(FIRST_ATTEMPTS);
    let [job] = jobs.as_slice() else { panic!("one job of the stream: {jobs:?}") };
    let chunks = run.lane.aws.dynamo.items("streams");
    let [chunk] = chunks.as_slice() else { panic!("one chunk: {chunks:?}") };
    run.lane.start_mappings();
    assert!(run.lane.settle(Duration::from_secs(60)).await, "the event is not delivered");

    let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
    run.insist("DELETE", &run.project(""), &bearer, Some(&body), &[202, 403]).await;
    assert!(run.lane.settle(Duration::from_secs(120)).await, "it does not come to rest");
    assert_eq!(
        run.lane.aws.dynamo.rows("streams"),
        [json!(null); 0],
        "the erasure left a part of the stream"
    );

    run.lane.aws.dynamo.put("streams", chunk);
    let wake = Outgoing { body: job.clone(), group: None, delay: Duration::ZERO };
    assert!(run.lane.aws.sqs.send(FIRST_ATTEMPTS, wake).is_ok(), "the queue is there");
    assert!(run.lane.settle(Duration::from_secs(60)).await, "the stream does not come to rest");
    assert_eq!(run.lane.aws.dynamo.items("streams"), std::slice::from_ref(chunk), "more than was put there");
    run.lane.stop_mappings();

    // The stream's name is a hash of the customer's id.
    let key = chunk["stream"]["S"].as_str().and_then(|key| key.split_once("#c"));
    let (_, hash) = key.expect("a customer's stream");
    assert_eq!(hash.len(), 24);
    let log = std::fs::read_to_string(logs.join("erased-stream-delivery.log")).expect("a log");
    assert!(!log.is_empty() && !log.contains(hash), "{log}");
    std::fs::remove_dir_all(&logs).expect("the folder");
}

/// The events of two streams have expired, and DynamoDB has deleted them with their deliveries. The streams' own rows live on.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_finds_the_streams_whose_events_have_expired() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    let ordered = json!({ "ordered": "customer_id" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&ordered), &[200]).await;
    for event in [json!({ "event_name": ONE, "customer_id": "customer-7" }), json!({ "event_name": ONE })] {
        run.insist("POST", &run.project("/events"), &run.key(), Some(&event), &[202]).await;
    }
    assert!(run.lane.settle(Duration::from_secs(60)).await, "the events are not delivered");
    let dynamo = &run.lane.aws.dynamo;
    assert_eq!(dynamo.items("streams").len(), 4, "a head and a chunk for each stream");
    for table in ["deliveries", "events"] {
        for row in dynamo.items(table) {
            dynamo.delete(table, &row);
        }
    }
    let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
    run.insist("DELETE", &run.project(""), &bearer, Some(&body), &[202]).await;
    assert!(run.lane.settle(Duration::from_secs(120)).await, "it does not come to rest");
    for table in ["streams", "replays"] {
        assert_eq!(run.lane.aws.dynamo.rows(table), [json!(null); 0], "{table}");
    }
    assert_eq!(run.notes().violations, [""; 0]);
    run.lane.stop_mappings();
}

/// The endpoint had events of many names in many shards, and DynamoDB is slow: a step has time for a part of the partitions.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_of_many_empty_partitions_ends() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let types: Vec<String> = (0..24).map(|n| format!("own.type-{n}")).collect();
    let names = types.iter().map(String::as_str).chain([ONE]).collect::<Vec<_>>().join(",");
    let settings = LaneSettings {
        env: vec![("EVENT_NAMES", names)],
        delivery_timeout: Duration::from_secs(30),
        queue_visibility: Duration::from_secs(40),
        ..LaneSettings::default()
    };
    let run = Run::new(world.lane(settings).await.expect("a lane"), &world);
    let bearer = Auth::Bearer(&world.access_token);
    let project = json!({ "name": "large", "shards": 16 });
    let made = run.insist("POST", "/v1/projects", &bearer, Some(&project), &[201]).await;
    let (id, key) = (made[0].json()["id"].clone(), made[0].json()["api_key"].clone());
    let (id, key) = (id.as_str().expect("an id"), key.as_str().expect("a key"));
    let target = format!("/v1/projects/{id}");
    let url = format!("http://{}/0", run.lane.receiver.address());
    let endpoint = json!({ "url": url, "events": types });
    run.insist("POST", &format!("{target}/webhooks"), &Auth::Key(key), Some(&endpoint), &[201]).await;
    let password = json!({ "password": PASSWORD });
    run.insist("DELETE", &target, &bearer, Some(&password), &[202]).await;
    run.lane.aws.watch.set_distance(Duration::from_millis(300));
    assert!(run.lane.settle(Duration::from_secs(150)).await, "the erasure does not end");
    let of_project = |row: &serde_json::Value| row.to_string().contains(id);
    for table in ["routes", "replays", "endpoints"] {
        assert!(!run.lane.aws.dynamo.rows(table).iter().any(of_project), "{table}");
    }
}

/// An event waited for two days until its queue gave it up. Meanwhile its project was erased, or it names none that is there.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_given_up_after_its_projects_erasure_is_not_kept() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    run.lane.stop_mappings();
    let nowhere = uuid::Uuid::new_v4().to_string();
    for project in [&world.project_id, &nowhere] {
        let event = json!({ "project_id": project, "event_name": ONE, "data": { "said": "too late" } });
        let outgoing = Outgoing { body: event.to_string(), group: None, delay: Duration::ZERO };
        assert!(run.lane.aws.sqs.send(INTAKE, outgoing).is_ok(), "the queue is there");
    }
    run.lane.aws.sqs.move_all(INTAKE, DEAD);
    let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
    run.insist("DELETE", &run.project(""), &bearer, Some(&body), &[202]).await;
    run.lane.start_mappings();
    let is_empty = || run.lane.aws.sqs.depth(DEAD).total() == 0;
    assert!(echo_lanes::wait::until(Duration::from_secs(30), is_empty).await, "the events stay");
    assert_eq!(run.lane.aws.sqs.bodies(PARKED), [json!({ "project_id": nowhere }).to_string()]);
    assert_eq!(run.notes().violations, [""; 0]);
    run.lane.stop_mappings();
}

/// A type that is removed while its account is erased would leave a row with the account's id.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_about_to_be_erased_changes_no_event_type() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    let bearer = Auth::Bearer(&access);
    let own = "/v1/event-types/order.paid";
    run.insist("PUT", own, &bearer, Some(&json!({})), &[200]).await;
    let before = run.lane.aws.dynamo.items("event_types");
    let accounts = run.lane.aws.dynamo.items("accounts");
    let mut account = accounts.into_iter().find(|row| row["email_key"]["S"] == EMAIL).expect("the account");
    account["closing_until"] = json!({ "N": "99999999999999" });
    run.lane.aws.dynamo.put("accounts", &account);
    run.insist("PUT", "/v1/event-types/order.sent", &bearer, Some(&json!({})), &[401]).await;
    run.insist("DELETE", own, &bearer, None, &[401]).await;
    assert_eq!(run.lane.aws.dynamo.items("event_types"), before);
    assert_eq!(run.notes().violations, [""; 0]);
}
