//! A project of 16 shards answers as a project of one does (contract §2, §4, §6).

use std::collections::{BTreeMap, BTreeSet};

use echo_tests::endpoint::Endpoint;
use echo_tests::project::{ALL_EVENTS, Project, delivery_ids};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::shape::text;
use echo_tests::time::timestamp;
use echo_tests::wait::{PATIENCE, bounded, eventually};
use serde_json::{Value, json};

/// All rows of a list, newest first, read in pages.
async fn walk(project: &Project, list: &str, query: &str, limit: usize) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = project.api.get(&format!("{list}?limit={limit}{query}{cursor}")).await.ok(200);
        let data = page["data"].as_array().expect("rows");
        rows.extend(data.iter().cloned());
        if page["next_cursor"].is_null() {
            break;
        }
        assert_eq!(data.len(), limit, "only the last page may be short");
        cursor = format!("&cursor={}", text(&page, "next_cursor"));
    }
    let times: Vec<i64> = rows.iter().map(|row| timestamp(&row["created_at"])).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "not newest first: {times:?}");
    rows
}

fn ids<'a>(rows: &'a [Value], name: &str) -> BTreeSet<&'a str> {
    let found: BTreeSet<&str> = rows.iter().map(|row| text(row, name)).collect();
    assert_eq!(found.len(), rows.len(), "a row came twice");
    found
}

async fn deliveries(project: &Project, endpoint: &Endpoint, query: &str, limit: usize) -> Vec<Value> {
    walk(project, &endpoint.path("/deliveries"), query, limit).await
}

#[tokio::test]
async fn the_lists_of_a_project_with_shards_are_whole_and_in_order() {
    let project = Project::with_shards(16).await;
    let receiver = Receiver::choosing(|request| {
        Reply::status(if request.header("x-echo-event") == "call.summary" { 500 } else { 200 })
    })
    .await;
    let endpoint = project.endpoint_for(&receiver.url(), &ALL_EVENTS[..2]).await;
    let failing = project.endpoint_for(&receiver.url(), &ALL_EVENTS[2..]).await;
    // Every second event has an id that tells no time. Those that fail come last and together, before their endpoint is
    // disabled.
    let event = |n: usize| {
        let mut event = json!({"event_name": ALL_EVENTS[n / 30]});
        if n.is_multiple_of(2) {
            event["event_id"] = json!(uuid::Uuid::new_v4().to_string());
        }
        event
    };
    let posts = (0..60).map(event).map(|event| {
        let project = &project;
        async move { project.post_event(&event).await }
    });
    let mut accepted = bounded(4, posts).await;
    accepted.extend(project.post_together(&(60..90).map(event).collect::<Vec<_>>()).await);

    let events = walk(&project, &project.path("/events"), "", 13).await;
    assert_eq!(ids(&events, "event_id"), ids(&accepted, "event_id"));
    let named = walk(&project, &project.path("/events"), "&event_name=call.ended", 7).await;
    assert_eq!((named.len(), ids(&named, "event_id").len()), (30, 30));

    let made: BTreeSet<String> = accepted.iter().flat_map(delivery_ids).collect();
    assert_eq!(made.len(), 90, "each event has one delivery");
    eventually("60 deliveries succeed", PATIENCE * 3, || async {
        (deliveries(&project, &endpoint, "&status=success", 100).await.len() == 60).then_some(())
    })
    .await;
    for limit in [100, 11] {
        let rows = deliveries(&project, &endpoint, "", limit).await;
        assert!(rows.len() == 60 && ids(&rows, "id").iter().all(|id| made.contains(*id)));
    }
    let ended = deliveries(&project, &endpoint, "&event_name=call.ended", 9).await;
    assert!(ended.len() == 30 && ended.iter().all(|row| row["event_name"] == "call.ended"));
    eventually("30 deliveries fail", PATIENCE * 3, || async {
        (deliveries(&project, &failing, "&status=failed", 8).await.len() == 30).then_some(())
    })
    .await;
    let failed = deliveries(&project, &failing, "&status=failed&event_name=call.summary", 7).await;
    assert_eq!(ids(&failed, "id").len(), 30);
    assert!(deliveries(&project, &endpoint, "&status=failed", 10).await.is_empty());
}

#[tokio::test]
async fn a_replay_finds_the_deliveries_of_all_shards_once() {
    let project = Project::with_shards(16).await;
    let receiver = Receiver::answering(500).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let events: Vec<Value> = (0..24).map(|n| json!({"event_name": ALL_EVENTS[n % 3]})).collect();
    let ids: BTreeSet<String> = project.post_together(&events).await.iter().flat_map(delivery_ids).collect();
    assert_eq!(ids.len(), 24);
    // The failures disable the endpoint, and then the others fail with fewer attempts.
    let mut attempts = BTreeMap::new();
    for id in &ids {
        let failed = endpoint.ended(id, "failed").await;
        attempts.insert(id, failed["attempt_count"].as_u64().expect("a number"));
    }
    receiver.set(200);
    endpoint.set_status("active").await;
    for body in [
        json!({"since": "2020-01-01T00:00:00Z"}),
        json!({"since": "2020-01-01T00:00:00Z", "status": "success"}),
    ] {
        let replay = project.api.post(&endpoint.path("/replay"), &body).await.ok(202);
        let path = endpoint.path(&format!("/replays/{}", text(&replay, "id")));
        let over = eventually("the replay ends", PATIENCE * 4, || async {
            let replay = project.api.get(&path).await.ok(200);
            (replay["status"] != "running").then_some(replay)
        })
        .await;
        assert_eq!(over["status"], "finished");
        assert_eq!((over["matched"].as_u64(), over["replayed"].as_u64()), (Some(24), Some(24)));
        for (id, attempts) in &mut attempts {
            *attempts += 1;
            endpoint.attempted(id, *attempts).await;
            let ended = endpoint.ended(id, "success").await;
            assert_eq!(ended["attempt_count"].as_u64(), Some(*attempts), "{ended}");
        }
    }
}

#[tokio::test]
async fn an_event_id_is_taken_once_in_all_shards() {
    let project = Project::with_shards(16).await;
    let receiver = Receiver::start().await;
    let endpoint = project.endpoint(&receiver.url()).await;
    for _ in 0..8 {
        let id = uuid::Uuid::new_v4().to_string();
        let event = json!({"event_id": id, "event_name": "call.ended"});
        let first = project.post_event(&event).await;
        let again = project.post_event(&event).await;
        assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
        assert_eq!(first["deliveries"], again["deliveries"]);
        let other = json!({"event_id": id, "event_name": "call.started"});
        project.post("/events", &other).await.refused(409);
        assert_eq!(project.get(&format!("/events/{id}")).await.ok(200)["event_name"], "call.ended");
        endpoint.ended(&delivery_ids(&first)[0], "success").await;
    }
    assert_eq!(receiver.count(), 8);
}
