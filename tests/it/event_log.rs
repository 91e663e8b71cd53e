//! Reading events: their payload, their deliveries and the endpoints that they skipped (contract §4), in pages (as
//! §6).

use std::collections::BTreeSet;

use echo_tests::aws::expire;
use echo_tests::pages;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, text};
use echo_tests::time::{now, rfc3339, timestamp};
use echo_tests::wait::{PATIENCE, bounded, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

#[track_caller]
fn check(event: &Value) {
    fields(
        event,
        &["event_id", "event_name", "project_id", "payload", "created_at", "deliveries", "skipped"],
    );
    let payload = &event["payload"];
    fields(payload, &["event_id", "event_name", "customer_id", "notification_id", "data"]);
    assert_eq!((&payload["event_id"], &payload["event_name"]), (&event["event_id"], &event["event_name"]));
    for delivery in event["deliveries"].as_array().expect("an array") {
        fields(
            delivery,
            &[
                "id",
                "webhook_endpoint_id",
                "status",
                "attempt_count",
                "next_retry_at",
                "created_at",
                "updated_at",
                "failure_reason",
                "last_attempt",
            ],
        );
        assert!(timestamp(&delivery["updated_at"]) >= timestamp(&delivery["created_at"]), "{delivery}");
    }
    for skipped in event["skipped"].as_array().expect("an array") {
        fields(skipped, &["webhook_endpoint_id", "reason"]);
    }
}

async fn show(project: &Project, id: &str) -> Value {
    let event = project.get(&format!("/events/{id}")).await.ok(200);
    check(&event);
    event
}

/// All rows that match the query, in pages of `limit`.
async fn walk(project: &Project, query: &str, limit: usize) -> Vec<Value> {
    let get = async |page: String| project.get(&format!("/events{page}{query}")).await;
    pages::walk(get, limit, "event_id", check).await
}

fn ids(rows: &[Value]) -> BTreeSet<String> {
    pages::ids(rows, "event_id")
}

/// A UUIDv7 with a time so many milliseconds ago, or ahead if the number is negative.
fn v7(ago_millis: i64) -> Uuid {
    let at = now() - ago_millis;
    let seconds = u64::try_from(at / 1_000).expect("after 1970");
    let nanos = u32::try_from(at % 1_000).expect("small") * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanos))
}

#[tokio::test]
async fn an_event_shows_its_payload_its_deliveries_and_who_was_skipped() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let wants = project.endpoint(&receiver.url()).await;
    let other = project.endpoint_for(&receiver.url(), &["call.started"]).await;
    let disabled = project.endpoint(&receiver.url()).await;
    disabled.set_status("disabled").await;
    let before = now();
    let accepted = project
        .post("/events", &json!({"event_name": "call.ended", "customer_id": "c", "data": {"n": 1}}))
        .await
        .ok(202);
    let id = text(&accepted, "event_id");
    let delivery = &delivery_ids(&accepted)[0];
    let ended = wants.ended(delivery, "success").await;
    let event = show(&project, id).await;
    assert_eq!(event["payload"]["data"], json!({"n": 1}));
    assert_eq!(event["payload"]["customer_id"], "c");
    assert_eq!(event["project_id"], project.id);
    assert!((before - 2_000..=now()).contains(&timestamp(&event["created_at"])), "{event}");
    let of_ours = json!([{
        "id": delivery,
        "webhook_endpoint_id": wants.id,
        "status": "success",
        "attempt_count": 1,
        "next_retry_at": null,
        "created_at": ended["created_at"],
        "updated_at": ended["updated_at"],
        "failure_reason": null,
        "last_attempt": ended["last_attempt"],
    }]);
    assert_eq!(event["deliveries"], of_ours);
    let skipped: BTreeSet<(&str, &str)> = event["skipped"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|each| (text(each, "webhook_endpoint_id"), text(each, "reason")))
        .collect();
    assert_eq!(
        skipped,
        BTreeSet::from([(other.id.as_str(), "not_subscribed"), (disabled.id.as_str(), "endpoint_disabled")])
    );
    let page = project.get("/events").await.ok(200);
    assert_eq!(page, json!({"data": [event], "next_cursor": null}), "the list shows it alike");
}

#[tokio::test]
async fn a_failing_delivery_shows_its_state_and_outlives_its_endpoint() {
    let (project, receiver) = (Project::new().await, Receiver::answering(500).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    let (event, delivery) = (text(&accepted, "event_id"), &delivery_ids(&accepted)[0]);
    endpoint.ended(delivery, "failed").await;
    endpoint.delete().await;
    let shown = show(&project, event).await;
    let listed = &shown["deliveries"][0];
    assert_eq!((&listed["id"], &listed["status"]), (&json!(delivery), &json!("failed")));
    assert_eq!(listed["failure_reason"], "exhausted");
    assert_eq!(listed["webhook_endpoint_id"], endpoint.id);
    assert_eq!(walk(&project, "", 10).await, [shown]);
}

#[tokio::test]
async fn a_test_event_is_listed_like_any_other() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    project.endpoint(&receiver.url()).await;
    let accepted = project.api.post_nothing(&endpoint.path("/test")).await.ok(202);
    receiver.first().await;
    let rows = walk(&project, "", 10).await;
    assert_eq!(ids(&rows), BTreeSet::from([text(&accepted, "event_id").to_owned()]));
    assert_eq!(rows[0]["deliveries"][0]["webhook_endpoint_id"], endpoint.id);
    assert_eq!(rows[0]["skipped"], json!([]), "the event lists no other endpoint");
}

/// One test checks all of this, because its events are expensive to make.
#[tokio::test]
async fn events_are_paged_newest_first_whatever_their_ids_are() {
    let project = Project::new().await;
    // An id by the service, and ids by the caller: with a recent time, a time long past, a time ahead, and without a
    // time.
    let kinds = |index: usize| match index % 5 {
        0 => None,
        1 => Some(v7(100_000)),
        2 => Some(v7(90 * 86_400_000)),
        3 => Some(v7(-86_400_000)),
        _ => Some(Uuid::new_v4()),
    };
    let post = |index: usize| {
        let name = if index.is_multiple_of(3) { "call.started" } else { "call.ended" };
        let mut event = json!({"event_name": name, "data": {"n": index}});
        if let Some(id) = kinds(index) {
            event["event_id"] = json!(id);
        }
        let project = &project;
        async move { (text(&project.post_event(&event).await, "event_id").to_owned(), name) }
    };
    let first = bounded(6, (0..60).map(post)).await;
    let between = now() + 1;
    eventually("a moment passes", PATIENCE, || async { (now() > between + 20).then_some(()) }).await;
    let second = bounded(6, (60..75).map(post)).await;
    let all: BTreeSet<String> = first.iter().chain(&second).map(|(id, _)| id.clone()).collect();
    assert_eq!(all.len(), 75);

    // The index of the ids without a time may lag behind.
    eventually("all are listed", PATIENCE, || async {
        (ids(&walk(&project, "", 100).await) == all).then_some(())
    })
    .await;
    for limit in [7, 25, 75] {
        assert_eq!(ids(&walk(&project, "", limit).await), all, "limit {limit}");
    }
    let default = project.get("/events").await.ok(200);
    assert_eq!(default["data"].as_array().map(Vec::len), Some(50), "the default limit");
    let started: BTreeSet<String> = first
        .iter()
        .chain(&second)
        .filter(|(_, name)| *name == "call.started")
        .map(|(id, _)| id.clone())
        .collect();
    assert_eq!(ids(&walk(&project, "&event_name=call.started", 9).await), started);
    assert!(walk(&project, "&event_name=call.summary", 9).await.is_empty());

    // The filters compare the times that the list shows. For an id with a recent time it shows the time in the id.
    let rows = walk(&project, "", 100).await;
    let since = |row: &Value| timestamp(&row["created_at"]) >= between;
    let newer: Vec<Value> = rows.iter().filter(|row| since(row)).cloned().collect();
    let older: Vec<Value> = rows.iter().filter(|row| !since(row)).cloned().collect();
    assert_eq!(
        (newer.len(), older.len()),
        (12, 63),
        "three of the last 15 events have an id with an earlier time"
    );
    assert_eq!(walk(&project, &format!("&since={}", rfc3339(between)), 5).await, newer);
    assert_eq!(walk(&project, &format!("&until={}", rfc3339(between)), 50).await, older);
    assert!(walk(&project, &format!("&until={}", rfc3339(1_000)), 5).await.is_empty());

    cursors_belong_to_their_list(&project, &rfc3339(between)).await;
}

async fn cursors_belong_to_their_list(project: &Project, between: &str) {
    let page = project.get("/events?limit=5").await.ok(200);
    let cursor = text(&page, "next_cursor");
    let _ = project.get(&format!("/events?limit=9&cursor={cursor}")).await.ok(200);
    for other in ["event_name=call.ended", &format!("since={between}"), &format!("until={between}")] {
        project.get(&format!("/events?cursor={cursor}&{other}")).await.refuses_field("cursor");
    }
    project.get(&format!("/events?cursor={}", &cursor[1..])).await.refuses_field("cursor");
    Project::new().await.get(&format!("/events?cursor={cursor}")).await.refuses_field("cursor");
    let endpoint = project.endpoint("https://example.com/").await;
    endpoint.deliveries(&format!("?cursor={cursor}")).await.refuses_field("cursor");
}

#[tokio::test]
async fn a_page_of_large_events_ends_early_only_before_3_mib() {
    let project = Project::new().await;
    let text_of_240_kib = "Grüß Gott ".repeat(20_480);
    let post = |index: usize| {
        let id = if index.is_multiple_of(2) { Uuid::new_v4() } else { v7(0) };
        let event = json!({"event_id": id, "event_name": "call.ended", "data": {"text": text_of_240_kib}});
        let project = &project;
        async move { text(&project.post_event(&event).await, "event_id").to_owned() }
    };
    let all: BTreeSet<String> = bounded(3, (0..16).map(post)).await.into_iter().collect();
    eventually("all are listed", PATIENCE, || async {
        let get = async |page: String| project.get(&format!("/events{page}")).await;
        let (seen, pages) = pages::walk_large(get, "event_id").await;
        (seen == all && pages == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_that_does_not_exist_or_has_expired_is_not_found() {
    let (project, other) = (Project::new().await, Project::new().await);
    let kept = text(&project.post_event(&json!({"event_name": "call.ended"})).await, "event_id").to_owned();
    let named = Uuid::new_v4().to_string();
    project.post_event(&json!({"event_name": "call.ended", "event_id": named})).await;
    let gone = text(&project.post_event(&json!({"event_name": "call.ended"})).await, "event_id").to_owned();
    for id in [&named, &gone] {
        expire("EventsTable", "event_id", id).await;
        project.get(&format!("/events/{id}")).await.refused(404);
    }
    eventually("the index knows", PATIENCE, || async {
        (ids(&walk(&project, "", 1).await) == BTreeSet::from([kept.clone()])).then_some(())
    })
    .await;
    project.get(&format!("/events/{}", Uuid::now_v7())).await.refused(404);
    project.get("/events/not-a-uuid").await.refused(400);
    other.get(&format!("/events/{kept}")).await.refused(404);
    other.api.get(&project.path(&format!("/events/{kept}"))).await.refused(403);
    other.api.get(&project.path("/events")).await.refused(403);
    assert_eq!(other.get("/events").await.ok(200), json!({"data": [], "next_cursor": null}));
    let put = |rest: &str| {
        let path = project.path(rest);
        let api = &project.api;
        async move { api.send(Method::PUT, &path, None).await }
    };
    put(&format!("/events/{kept}")).await.refused(405);
    put(&format!("/events/{}", Uuid::now_v7())).await.refused(404);
}

#[tokio::test]
async fn a_bad_query_value_is_named() {
    let project = Project::new().await;
    let wrong = [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "many"),
        ("event_name", "call.unknown"),
        ("since", "yesterday"),
        ("until", "2026-13-12T15:51:59.499Z"),
        ("cursor", "x"),
        ("cursor", "%00"),
    ];
    for (name, value) in wrong {
        project.get(&format!("/events?{name}={value}")).await.refuses_field(name);
    }
}
