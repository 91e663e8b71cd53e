//! Accepting an event (contract §4).

use std::collections::BTreeSet;

use echo_tests::project::{ALL_EVENTS, Project};
use echo_tests::receiver::Receiver;
use echo_tests::shape::{fields, own_id, text, uuid};
use echo_tests::stack::stack;
use echo_tests::wait::bounded;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn an_accepted_event_lists_its_deliveries() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event_id = Uuid::new_v4().to_string();
    let event = json!({
        "event_id": event_id,
        "event_name": "call.ended",
        "customer_id": "8cc6199f-9466-46f2-9db7-936f3c2c1c0b",
        "notification_id": "b612d95c-0941-4e4a-8a1e-b8da7baf82a1",
        "data": {"call_id": "c_1"},
    });
    let accepted = project.post_event(&event).await;
    fields(&accepted, &["event_id", "event_name", "duplicate", "deliveries"]);
    assert_eq!(accepted["event_id"], event_id);
    assert_eq!(accepted["event_name"], "call.ended");
    assert_eq!(accepted["duplicate"], false);
    let deliveries = accepted["deliveries"].as_array().expect("an array");
    assert_eq!(deliveries.len(), 1);
    fields(&deliveries[0], &["id", "webhook_endpoint_id"]);
    own_id(&deliveries[0]["id"]);
    assert_eq!(deliveries[0]["webhook_endpoint_id"], endpoint.id);
}

#[tokio::test]
async fn an_event_without_an_id_gets_one_of_ours() {
    let project = Project::new().await;
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    own_id(&accepted["event_id"]);
    let again = project.post_event(&json!({"event_name": "call.ended"})).await;
    assert_ne!(again["event_id"], accepted["event_id"]);
    assert_eq!(again["duplicate"], false);
}

#[tokio::test]
async fn null_is_the_same_as_absence() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let nulls = json!({
        "event_id": null, "event_name": "call.ended", "customer_id": null, "notification_id": null, "data": null,
    });
    let accepted = project.post_event(&nulls).await;
    own_id(&accepted["event_id"]);
    let envelope = receiver.first().await.json();
    assert_eq!(envelope["data"], json!({}));
    // The payload that the API shows for an event, and for its deliveries, can be posted again as it is.
    let shown = project.get(&format!("/events/{}", text(&accepted, "event_id"))).await.ok(200);
    assert_eq!(project.post_event(&shown["payload"]).await["duplicate"], true);
}

#[tokio::test]
async fn an_event_that_no_endpoint_wants_is_accepted_and_skipped() {
    let project = Project::new().await;
    assert_eq!(project.post_event(&json!({"event_name": "call.ended"})).await["deliveries"], json!([]));
    let receiver = Receiver::start().await;
    project.endpoint_for(&receiver.url(), &["call.started"]).await;
    let disabled = project.endpoint(&receiver.url()).await;
    disabled.set_status("disabled").await;
    assert_eq!(project.post_event(&json!({"event_name": "call.ended"})).await["deliveries"], json!([]));
}

#[tokio::test]
async fn each_active_subscribed_endpoint_gets_one_delivery() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let subscriptions: [&[&str]; 5] = [
        &ALL_EVENTS,
        &["call.ended"],
        &["call.started", "call.summary"],
        &["call.ended", "call.summary"],
        &["call.started"],
    ];
    let mut wanted = Vec::new();
    for (index, events) in subscriptions.iter().enumerate() {
        let endpoint = project.endpoint_for(&receiver.url_of(&format!("/{index}")), events).await;
        if events.contains(&"call.ended") {
            wanted.push((endpoint.id.clone(), format!("/{index}")));
        }
    }
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    let deliveries = accepted["deliveries"].as_array().expect("an array");
    let mut listed: Vec<&str> = deliveries.iter().map(|each| text(each, "webhook_endpoint_id")).collect();
    listed.sort_unstable();
    let mut ids: Vec<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(listed, ids);

    let mut paths: Vec<String> =
        receiver.received(3).await.iter().map(|request| request.uri.to_string()).collect();
    paths.sort_unstable();
    let wanted: Vec<String> = wanted.into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, wanted);
}

#[tokio::test]
async fn an_event_reaches_every_endpoint_a_project_can_have() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let count = usize::try_from(stack().max_endpoints()).expect("a small number");
    let urls: Vec<String> = (0..count).map(|index| receiver.url_of(&format!("/{index}"))).collect();
    let endpoints = bounded(4, urls.iter().map(|url| project.endpoint(url))).await;
    let listed = project.emit("call.ended").await;
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), count);
    let paths: BTreeSet<String> =
        receiver.received(count).await.iter().map(|each| each.uri.to_string()).collect();
    assert_eq!(paths, (0..count).map(|index| format!("/{index}")).collect());
    for endpoint in endpoints {
        let page = endpoint.deliveries("?limit=2").await.ok(200);
        let ids: Vec<&str> =
            page["data"].as_array().expect("an array").iter().map(|row| text(row, "id")).collect();
        assert!(ids.len() == 1 && listed.iter().any(|id| id == ids[0]), "{page}");
    }
    assert_eq!(receiver.count(), count);
}

async fn refuses(field: &str, event: Value) {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    project.post("/events", &event).await.refuses_field(field);
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_missing_event_name_is_named() {
    refuses("event_name", json!({"data": {}})).await;
}

#[tokio::test]
async fn an_unknown_event_name_is_refused_with_what_is_allowed() {
    let project = Project::new().await;
    for name in ["call.unknown", "", "CALL.ENDED", "call.ended "] {
        let refused = project.post("/events", &json!({"event_name": name})).await;
        refused.refuses_field("event_name");
        let message = refused.refused(400);
        assert!(ALL_EVENTS.iter().all(|known| message.contains(known)), "{message}");
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named() {
    let project = Project::new().await;
    let wrong = [
        ("event_name", json!(7)),
        ("event_name", json!(null)),
        ("event_name", json!(["call.ended"])),
        ("event_id", json!(7)),
        ("event_id", json!({})),
        ("customer_id", json!(7)),
        ("customer_id", json!(["x"])),
        ("notification_id", json!(true)),
        ("data", json!([])),
        ("data", json!("{}")),
        ("data", json!(7)),
        ("data", json!(true)),
    ];
    for (field, value) in wrong {
        let mut event = json!({"event_name": "call.ended"});
        event[field] = value;
        project.post("/events", &event).await.refuses_field(field);
    }
}

#[tokio::test]
async fn an_event_id_is_a_hyphenated_uuid() {
    let project = Project::new().await;
    let id = Uuid::new_v4();
    let wrong = [
        String::new(),
        "1".to_owned(),
        "not-a-uuid".to_owned(),
        id.simple().to_string(),
        id.urn().to_string(),
        id.braced().to_string(),
        format!("{id} "),
        id.to_string().replace('-', "_"),
    ];
    for event_id in wrong {
        let event = json!({"event_name": "call.ended", "event_id": event_id});
        project.post("/events", &event).await.refuses_field("event_id");
    }
}

#[tokio::test]
async fn an_event_id_in_capitals_is_the_same_id() {
    let project = Project::new().await;
    let id = Uuid::new_v4().to_string();
    let event = |id: &str| json!({"event_name": "call.ended", "event_id": id});
    let accepted = project.post_event(&event(&id.to_uppercase())).await;
    uuid(&accepted["event_id"]);
    assert_eq!(accepted["event_id"], id);
    assert_eq!(project.post_event(&event(&id)).await["duplicate"], true);
}

#[tokio::test]
async fn customer_and_notification_ids_have_1_to_128_characters() {
    let project = Project::new().await;
    for field in ["customer_id", "notification_id"] {
        for good in ["x".to_owned(), "é".repeat(128), "not a UUID, with \"quotes\" and \\".to_owned()] {
            let mut event = json!({"event_name": "call.ended"});
            event[field] = json!(good);
            project.post_event(&event).await;
        }
        for bad in [String::new(), "x".repeat(129)] {
            let mut event = json!({"event_name": "call.ended"});
            event[field] = json!(bad);
            project.post("/events", &event).await.refuses_field(field);
        }
    }
}

#[tokio::test]
async fn a_refused_event_leaves_its_id_free() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let event_id = Uuid::new_v4();
    let bad = json!({"event_name": "call.ended", "event_id": event_id, "data": []});
    project.post("/events", &bad).await.refused(400);
    let good = json!({"event_name": "call.ended", "event_id": event_id, "data": {}});
    let accepted = project.post_event(&good).await;
    assert_eq!(accepted["duplicate"], false);
    assert_eq!(receiver.first().await.header("webhook-id"), event_id.to_string());
}
