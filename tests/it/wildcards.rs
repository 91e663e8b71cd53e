//! Endpoints that are subscribed by a wildcard: `*`, or a prefix such as `call.*` (contract §3).

use std::collections::BTreeSet;

use echo_tests::pages;
use echo_tests::project::{ALL_EVENTS, Project, delivery_ids};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::{self, text};
use echo_tests::time::{now, rfc3339};
use echo_tests::wait::{PATIENCE, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn a_wildcard_gets_every_name_that_it_covers_once() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let all = project.endpoint_for(&receiver.url_of("/all"), &["*", "call.ended", "*"]).await;
    assert_eq!(all.created["events"], json!(["*", "call.ended"]));
    let calls = project.endpoint_for(&receiver.url_of("/calls"), &["call.*"]).await;
    let others = project.endpoint_for(&receiver.url_of("/others"), &["order.*"]).await;
    for name in ALL_EVENTS {
        let accepted = project.post_event(&json!({"event_name": name})).await;
        let to = |delivery: &Value| text(delivery, "webhook_endpoint_id").to_owned();
        let deliveries = accepted["deliveries"].as_array().expect("deliveries");
        let endpoints: BTreeSet<String> = deliveries.iter().map(to).collect();
        assert_eq!((deliveries.len(), endpoints), (2, BTreeSet::from([all.id.clone(), calls.id.clone()])));
        let event = project.get(&format!("/events/{}", text(&accepted, "event_id"))).await.ok(200);
        assert_eq!(event["skipped"], json!([{"webhook_endpoint_id": others.id, "reason": "not_subscribed"}]));
    }
    assert_eq!(receiver.received(6).await.len(), 6);
    let changed = calls.patch(&json!({"events": ["call.started"]})).await;
    assert_eq!(changed["events"], json!(["call.started"]));
    assert_eq!(project.emit("call.ended").await.len(), 1, "the prefix no longer counts");
}

#[tokio::test]
async fn lists_and_replays_find_the_deliveries_of_a_wildcard_by_name() {
    let project = Project::with_shards(2).await;
    let receiver = Receiver::choosing(|request| {
        Reply::status(if request.header("x-echo-event") == "call.summary" { 410 } else { 200 })
    })
    .await;
    let endpoint = project.endpoint_for(&receiver.url(), &["call.ended", "call.*"]).await;
    let mut of_name = std::collections::BTreeMap::new();
    for name in ["call.ended", "call.started", "call.started", "call.ended", "call.started"] {
        let ids = project.emit(name).await;
        endpoint.ended(&ids[0], "success").await;
        of_name.entry(name).or_insert_with(BTreeSet::new).extend(ids);
    }
    let failed = project.emit("call.summary").await;
    endpoint.ended(&failed[0], "failed").await;
    let walk = async |list: String, query: &str| {
        let get = async |page: String| project.api.get(&format!("{list}{page}{query}")).await;
        pages::ids(&pages::walk(get, 2, "id", shape::delivery).await, "id")
    };
    for list in [endpoint.path("/deliveries"), project.path("/deliveries")] {
        for (name, ids) in &of_name {
            assert_eq!(walk(list.clone(), &format!("&event_name={name}")).await, *ids, "{name}");
        }
        assert_eq!(
            walk(list.clone(), "&event_name=call.summary&status=failed").await,
            failed.iter().cloned().collect()
        );
        assert!(walk(list.clone(), "&event_name=call.started&status=failed").await.is_empty());
        assert_eq!(walk(list, "").await.len(), 6);
    }
    endpoint.set_status("active").await;
    let filter =
        json!({"since": rfc3339(now() - 3_600_000), "status": "success", "event_name": "call.started"});
    let replay = project.api.post(&endpoint.path("/replay"), &filter).await.ok(202);
    let path = endpoint.path(&format!("/replays/{}", text(&replay, "id")));
    let over = eventually("the replay ends", PATIENCE * 2, || async {
        let replay = project.api.get(&path).await.ok(200);
        (replay["status"] != "running").then_some(replay)
    })
    .await;
    assert_eq!((&over["matched"], &over["replayed"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn a_test_of_a_wildcard_takes_the_first_name_that_it_covers() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url(), &["call.*"]).await;
    let test = project.api.post_nothing(&endpoint.path("/test")).await.ok(202);
    assert_eq!(test["event_name"], ALL_EVENTS[0]);
    let named =
        project.api.post(&endpoint.path("/test"), &json!({"event_name": "call.summary"})).await.ok(202);
    assert_eq!(named["event_name"], "call.summary");
    let id = &delivery_ids(&named)[0];
    endpoint.ended(id, "success").await;
    let listed = endpoint.deliveries("?event_name=call.summary").await.ok(200);
    assert_eq!(listed["data"][0]["id"], *id);
    let none = project.endpoint_for(&receiver.url(), &["order.*"]).await;
    project.api.post_nothing(&none.path("/test")).await.refuses_field("event_name");
    receiver.received(2).await;
}

#[tokio::test]
async fn what_is_no_wildcard_is_refused() {
    let project = Project::new().await;
    for event in ["call*", "*.ended", "call.*.ended", "**", "", "call.", "call.unknown", "ca ll.*"] {
        let body = json!({"url": "https://example.com/", "events": [event]});
        project.post("/webhooks", &body).await.refuses_field("events");
        project.post("/events", &json!({"event_name": "call.*"})).await.refuses_field("event_name");
    }
}
