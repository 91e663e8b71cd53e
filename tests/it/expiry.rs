//! After its retention time a row is never shown and its `event_id` is free (contract §6), whether or not DynamoDB has
//! deleted the row yet. The tests move a row's expiry into the past, which no caller can do.

use echo_tests::aws::expire;
use echo_tests::project::{Project, delivery_ids};
use echo_tests::receiver::Receiver;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn an_expired_delivery_is_not_shown_listed_or_retried() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let (old, young) = (project.emit_one().await, project.emit_one().await);
    endpoint.ended(&old, "success").await;
    endpoint.ended(&young, "success").await;
    expire("DeliveriesTable", "id", &old).await;

    project.api.get(&endpoint.path(&format!("/deliveries/{old}"))).await.refused(404);
    endpoint.retry(&old).await.refused(404);
    for filter in ["", "?status=success", "?event_name=call.ended", "?limit=1"] {
        let page = endpoint.deliveries(filter).await.ok(200);
        let ids: Vec<&str> =
            page["data"].as_array().expect("an array").iter().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(ids, [&young], "{filter}");
    }
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn an_expired_failed_delivery_is_not_listed_by_its_status() {
    let (project, receiver) = (Project::new().await, Receiver::answering(410).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    endpoint.ended(&id, "failed").await;
    expire("DeliveriesTable", "id", &id).await;
    assert_eq!(endpoint.deliveries("?status=failed").await.ok(200), json!({"data": [], "next_cursor": null}));
}

#[tokio::test]
async fn an_expired_events_id_is_free() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let event_id = Uuid::new_v4().to_string();
    let event =
        |number: u8| json!({"event_id": event_id, "event_name": "call.ended", "data": {"number": number}});
    let first = project.post_event(&event(1)).await;
    endpoint.ended(&delivery_ids(&first)[0], "success").await;
    project.post("/events", &event(2)).await.refused(409);
    expire("EventsTable", "event_id", &event_id).await;

    let second = project.post_event(&event(2)).await;
    assert_eq!(second["duplicate"], false);
    assert_ne!(second["deliveries"], first["deliveries"]);
    endpoint.ended(&delivery_ids(&second)[0], "success").await;
    let received: Vec<_> =
        receiver.requests().iter().map(|request| request.json()["data"]["number"].clone()).collect();
    assert_eq!(received, [1, 2]);
}
