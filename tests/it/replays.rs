//! Replaying an endpoint's deliveries of a span of time (contract §6).

use std::collections::BTreeSet;
use std::time::Duration;

use echo_tests::endpoint::Endpoint;
use echo_tests::project::Project;
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, made, text, uuid};
use echo_tests::time::{now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, at_once, bounded, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[track_caller]
fn check(replay: &Value) {
    fields(
        replay,
        &[
            "id",
            "status",
            "matched",
            "replayed",
            "webhook_endpoint_id",
            "project_id",
            "filter",
            "stop_reason",
            "created_at",
            "updated_at",
        ],
    );
    made(replay);
    uuid(&replay["webhook_endpoint_id"]);
    fields(&replay["filter"], &["since", "until", "status", "event_name", "include_skipped"]);
    assert!(replay["matched"].as_u64() >= replay["replayed"].as_u64(), "{replay}");
    assert!(timestamp(&replay["updated_at"]) >= timestamp(&replay["created_at"]), "{replay}");
    assert_eq!(replay["stop_reason"].is_null(), replay["status"] != "stopped", "{replay}");
}

/// Starts a replay and gives its id.
async fn start(project: &Project, endpoint: &Endpoint, filter: &Value) -> String {
    let replay = project.api.post(&endpoint.path("/replay"), filter).await.ok(202);
    check(&replay);
    assert_eq!(replay["status"], "running");
    assert_eq!(replay["webhook_endpoint_id"], endpoint.id);
    text(&replay, "id").to_owned()
}

/// Waits until the replay is over, and gives it.
async fn over(project: &Project, endpoint: &Endpoint, id: &str) -> Value {
    eventually(format!("replay {id} ends"), PATIENCE * 4, || async {
        let replay = project.api.get(&endpoint.path(&format!("/replays/{id}"))).await.ok(200);
        check(&replay);
        (replay["status"] != "running").then_some(replay)
    })
    .await
}

#[track_caller]
fn counts(replay: &Value, status: &str, matched: u64, replayed: u64) {
    let seen = (text(replay, "status"), replay["matched"].as_u64(), replay["replayed"].as_u64());
    assert_eq!(seen, (status, Some(matched), Some(replayed)), "{replay}");
}

/// Posts an event of each of these names and waits until the deliveries have ended.
async fn ended(project: &Project, endpoint: &Endpoint, names: &[&str], status: &str) -> Vec<String> {
    let ids: Vec<String> =
        bounded(6, names.iter().map(|name| project.emit(name))).await.into_iter().flatten().collect();
    for id in &ids {
        endpoint.ended(id, status).await;
    }
    ids
}

fn hour_ago() -> String {
    rfc3339(now() - 3_600_000)
}

#[tokio::test]
async fn each_failed_delivery_gets_one_manual_attempt() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let mut failed = Vec::new();
    for name in ["call.started", "call.ended", "call.summary"] {
        failed.extend(ended(&project, &endpoint, &[name], "failed").await);
        endpoint.when("it is disabled", |shown| shown["status"] == "disabled").await;
        endpoint.set_status("active").await;
    }
    receiver.set(200);
    let good = ended(&project, &endpoint, &["call.ended"], "success").await;

    let id = start(&project, &endpoint, &json!({"since": hour_ago()})).await;
    let replay = over(&project, &endpoint, &id).await;
    counts(&replay, "finished", 3, 3);
    for id in &failed {
        let delivery = endpoint.ended(id, "success").await;
        assert_eq!(delivery["attempt_count"], 2, "{delivery}");
        assert_eq!(delivery["attempts"][1]["triggered_by"], "manual");
    }
    assert_eq!(endpoint.delivery(&good[0]).await["attempt_count"], 1, "a success is left alone");
    receiver.no_more_than(7, Duration::from_secs(3)).await;

    // The deliveries have succeeded, so a second replay finds nothing.
    let again = start(&project, &endpoint, &json!({"since": hour_ago()})).await;
    counts(&over(&project, &endpoint, &again).await, "finished", 0, 0);

    let listed = project.api.get(&endpoint.path("/replays")).await.ok(200);
    let ids: Vec<&str> = listed.as_array().expect("an array").iter().map(|each| text(each, "id")).collect();
    assert_eq!(ids, [again.as_str(), id.as_str()], "newest first");
    assert_eq!(listed[1], replay);
    project.api.get(&endpoint.path("/replays?limit=1")).await.refused(400);
}

#[tokio::test]
async fn more_than_a_page_is_replayed_and_each_once() {
    const COUNT: usize = 230;
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let emits = (0..COUNT).map(|n| project.emit(["call.started", "call.ended"][n % 2]));
    let ids: BTreeSet<String> = bounded(6, emits).await.into_iter().flatten().collect();
    eventually("all have arrived", PATIENCE * 3, || async { (receiver.count() >= COUNT).then_some(()) })
        .await;
    eventually("all have succeeded", PATIENCE, || async {
        let pending = endpoint.deliveries("?status=pending").await.ok(200);
        (pending["data"] == json!([])).then_some(())
    })
    .await;
    let id = start(&project, &endpoint, &json!({"since": hour_ago(), "status": "success"})).await;
    let replay = over(&project, &endpoint, &id).await;
    counts(&replay, "finished", COUNT as u64, COUNT as u64);
    eventually("all have arrived again", PATIENCE * 3, || async {
        (receiver.count() >= COUNT * 2).then_some(())
    })
    .await;
    receiver.no_more_than(COUNT * 2, Duration::from_secs(5)).await;
    let second: BTreeSet<String> = receiver.requests()[COUNT..]
        .iter()
        .inspect(|request| assert_eq!(request.header("x-echo-attempt"), "2"))
        .map(|request| request.header("x-echo-delivery").to_owned())
        .collect();
    assert_eq!(second, ids);
}

#[tokio::test]
async fn a_replay_takes_only_what_its_filter_names() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let old = ended(&project, &endpoint, &["call.started", "call.ended"], "success").await;
    let until = now();
    eventually("a moment passes", PATIENCE, || async { (now() > until + 20).then_some(()) }).await;
    let young = ended(&project, &endpoint, &["call.started", "call.ended"], "success").await;

    let run = |filter: Value| {
        let (project, endpoint) = (&project, &endpoint);
        async move {
            let id = start(project, endpoint, &filter).await;
            over(project, endpoint, &id).await
        }
    };
    let successes = |more: Value| {
        let mut filter = json!({"since": hour_ago(), "status": "success"});
        filter.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        filter
    };
    counts(&run(json!({"since": hour_ago()})).await, "finished", 0, 0);
    counts(&run(successes(json!({"until": hour_ago()}))).await, "finished", 0, 0);
    counts(&run(successes(json!({"event_name": "call.summary"}))).await, "finished", 0, 0);
    let named = successes(json!({"until": rfc3339(until), "event_name": "call.ended"}));
    let replay = run(named).await;
    counts(&replay, "finished", 1, 1);
    assert_eq!(replay["filter"]["event_name"], "call.ended");
    assert_eq!(replay["filter"]["until"], rfc3339(until));
    for id in &old {
        let attempts = if endpoint.delivery(id).await["event_name"] == "call.ended" { 2 } else { 1 };
        endpoint.attempted(id, attempts).await;
    }
    counts(&run(successes(json!({"since": rfc3339(until)}))).await, "finished", 2, 2);
    for id in &young {
        endpoint.attempted(id, 2).await;
    }
    receiver.no_more_than(7, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn events_that_skipped_the_endpoint_are_delivered_when_asked_for() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url(), &["call.ended"]).await;
    let other = project.endpoint_for(&receiver.url_of("/other"), &["call.summary"]).await;
    endpoint.set_status("disabled").await;
    let post = |name: &'static str, id: Uuid| {
        let project = &project;
        async move {
            let accepted = project.post_event(&json!({"event_name": name, "event_id": id})).await;
            assert_eq!(accepted["deliveries"], json!([]));
            id.to_string()
        }
    };
    // The events skip the endpoint for two different reasons. One id contains a time, the other does not.
    let disabled = post("call.ended", Uuid::now_v7()).await;
    let unsubscribed = post("call.started", Uuid::new_v4()).await;
    endpoint.set_status("active").await;
    eventually("both are listed", PATIENCE, || async {
        (project.get("/events").await.ok(200)["data"].as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;

    let plain = start(&project, &endpoint, &json!({"since": hour_ago()})).await;
    counts(&over(&project, &endpoint, &plain).await, "finished", 0, 0);
    let all = json!({"since": hour_ago(), "include_skipped": true});
    let id = start(&project, &endpoint, &all).await;
    counts(&over(&project, &endpoint, &id).await, "finished", 2, 2);
    let received: BTreeSet<String> =
        receiver.received(2).await.iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!(received, BTreeSet::from([disabled.clone(), unsubscribed.clone()]));
    for event in [&disabled, &unsubscribed] {
        let shown = project.get(&format!("/events/{event}")).await.ok(200);
        let [delivery] = shown["deliveries"].as_array().expect("an array").as_slice() else {
            panic!("one delivery was expected: {shown}")
        };
        assert_eq!(delivery["webhook_endpoint_id"], endpoint.id);
        let skipped: Vec<&Value> = shown["skipped"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|each| &each["webhook_endpoint_id"])
            .collect();
        assert_eq!(skipped, [&json!(other.id)], "the other one is still skipped");
        let delivery = endpoint.ended(text(delivery, "id"), "success").await;
        assert_eq!(delivery["attempts"][0]["triggered_by"], "auto");
    }
    let listed = endpoint.deliveries("").await.ok(200);
    assert_eq!(
        listed["data"].as_array().map(Vec::len),
        Some(2),
        "deliveries are listed by event name even without a subscription"
    );

    let again = start(&project, &endpoint, &all).await;
    counts(&over(&project, &endpoint, &again).await, "finished", 0, 0);
    receiver.no_more_than(2, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn of_replays_begun_at_once_one_runs() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let failed = ended(&project, &endpoint, &["call.ended"], "failed").await;
    endpoint.when("it is disabled", |shown| shown["status"] == "disabled").await;
    endpoint.set_status("active").await;
    receiver.set(200);
    let (path, filter) = (endpoint.path("/replay"), json!({"since": hour_ago()}));
    let answers = at_once(16, |_| project.api.post(&path, &filter)).await;
    let (begun, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    for answer in refused {
        let message = answer.refused(409);
        assert!(message.contains("replay"), "{message}");
    }
    // A replay that begins late, when another one is over, finds nothing. Beside that one it would have found the delivery too.
    let mut sums = (0, 0);
    for begun in begun {
        let replay = over(&project, &endpoint, text(&begun.ok(202), "id")).await;
        assert_eq!(replay["status"], "finished", "{replay}");
        let sum = |so_far: u64, name: &str| so_far + replay[name].as_u64().expect("a number");
        sums = (sum(sums.0, "matched"), sum(sums.1, "replayed"));
    }
    assert_eq!(sums, (1, 1), "matched and replayed by all of them");
    endpoint.ended(&failed[0], "success").await;
    receiver.no_more_than(2, Duration::from_secs(4)).await;
    let again = start(&project, &endpoint, &filter).await;
    counts(&over(&project, &endpoint, &again).await, "finished", 0, 0);
}

#[tokio::test]
async fn a_delivery_that_has_had_50_attempts_or_still_runs_is_left_alone() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    // The service retries this delivery for some seconds, and a retrying delivery has not failed.
    receiver.set(500);
    let running = project.emit_one().await;
    endpoint.attempted(&running, 1).await;
    let id =
        start(&project, &endpoint, &json!({"since": hour_ago(), "until": rfc3339(now() + 60_000)})).await;
    let replay = over(&project, &endpoint, &id).await;
    assert_eq!(replay["status"], "finished");
    let delivery = endpoint.ended(&running, "failed").await;
    let automatic = delivery["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .filter(|each| each["triggered_by"] == "auto");
    assert_eq!(automatic.count(), echo_tests::stack::stack().retry_delays().len() + 1);
}

/// A project with an endpoint that has got one delivery, and a replay of it that has begun. Its first step comes after a
/// second, and it takes up the delivery a second later.
async fn begun(receiver: &Receiver) -> (Project, Endpoint, String) {
    let project = Project::new().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    ended(&project, &endpoint, &["call.ended"], "success").await;
    let id = start(&project, &endpoint, &json!({"since": hour_ago(), "status": "success"})).await;
    (project, endpoint, id)
}

#[tokio::test]
async fn a_replay_of_a_disabled_endpoint_is_refused_or_stops() {
    // If the endpoint is disabled too late, the replay goes through. The test then tries again.
    for _ in 0..8 {
        let receiver = Receiver::start().await;
        let (project, endpoint, id) = begun(&receiver).await;
        endpoint.set_status("disabled").await;
        let replay = over(&project, &endpoint, &id).await;
        if replay["status"] == "finished" {
            continue;
        }
        assert_eq!(replay["stop_reason"], "endpoint_disabled");
        project.api.post(&endpoint.path("/replay"), &json!({"since": hour_ago()})).await.refused(409);
        project.api.post(&endpoint.path("/replay"), &json!({})).await.refuses_field("since");
        receiver.no_more_than(1, Duration::from_secs(4)).await;
        return;
    }
    panic!("no replay was stopped");
}

#[tokio::test]
async fn a_replay_of_a_deleted_endpoint_is_gone_and_delivers_nothing() {
    // If the endpoint is deleted too late, the replay goes through. The test then tries again.
    for _ in 0..8 {
        let receiver = Receiver::start().await;
        let (project, endpoint, id) = begun(&receiver).await;
        endpoint.delete().await;
        project.api.get(&endpoint.path(&format!("/replays/{id}"))).await.refused(404);
        receiver.no_more_than(2, Duration::from_secs(6)).await;
        if receiver.count() == 1 {
            return;
        }
    }
    panic!("each replay went on after its endpoint was deleted");
}

#[tokio::test]
async fn the_filter_of_a_replay_can_be_sent_back() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let begun = project.api.post(&endpoint.path("/replay"), &json!({"since": hour_ago()})).await.ok(202);
    over(&project, &endpoint, text(&begun, "id")).await;
    assert_eq!(begun["filter"]["event_name"], json!(null));
    let again = project.api.post(&endpoint.path("/replay"), &begun["filter"]).await.ok(202);
    assert_eq!(again["filter"], begun["filter"]);
}

#[tokio::test]
async fn a_bad_replay_request_is_refused() {
    let (project, other) = (Project::new().await, Project::new().await);
    let endpoint = project.endpoint("https://example.com/").await;
    let since = hour_ago();
    for (field, body) in [
        ("since", json!({})),
        ("since", json!({"since": "yesterday"})),
        ("until", json!({"since": since, "until": 7})),
        ("status", json!({"since": since, "status": "pending"})),
        ("event_name", json!({"since": since, "event_name": "call.unknown"})),
        ("include_skipped", json!({"since": since, "include_skipped": 1})),
        ("did you mean until?", json!({"since": since, "untill": since})),
        ("limit is no field", json!({"since": since, "limit": 5})),
    ] {
        project.api.post(&endpoint.path("/replay"), &body).await.refuses_field(field);
    }
    let id = start(&project, &endpoint, &json!({"since": since})).await;
    let path = endpoint.path(&format!("/replays/{id}"));
    let second = project.endpoint("https://example.com/").await;
    project.api.get(&second.path(&format!("/replays/{id}"))).await.refused(404);
    project.api.get(&endpoint.path(&format!("/replays/{}", Uuid::now_v7()))).await.refused(404);
    project.api.get(&endpoint.path("/replays/not-a-uuid")).await.refused(400);
    project.api.send(Method::DELETE, &path, None).await.refused(405);
    project.api.send(Method::GET, &endpoint.path("/replay"), None).await.refused(405);
    other.api.get(&path).await.refused(403);
    other.get(&format!("/webhooks/{}/replays/{id}", endpoint.id)).await.refused(404);
    let unknown = project.path(&format!("/webhooks/{}/replay", Uuid::now_v7()));
    project.api.post(&unknown, &json!({})).await.refused(404);
}
