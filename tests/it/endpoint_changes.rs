//! A change holds for every event accepted after its answer, and for every attempt whose endpoint was read after it
//! (contract §3).

use std::time::Duration;

use echo_tests::project::Project;
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::signature;
use serde_json::json;

#[tokio::test]
async fn a_disabled_endpoint_gets_nothing_from_the_next_event_on() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    // Repeated, since a stale read would show only now and then.
    for round in 1..=8 {
        endpoint.set_status("disabled").await;
        assert_eq!(project.emit("call.ended").await.len(), 0);
        endpoint.set_status("active").await;
        assert_eq!(project.emit("call.ended").await.len(), 1);
        // The next disable would rightly end a delivery that is still under way, so the test waits for it here.
        receiver.received(round).await;
    }
    receiver.no_more_than(8, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn other_events_hold_from_the_next_event_on() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint_for(&receiver.url(), &["call.started"]).await;
    assert_eq!(project.emit("call.ended").await.len(), 0);
    endpoint.patch(&json!({"events": ["call.ended"]})).await;
    assert_eq!(project.emit("call.started").await.len(), 0);
    assert_eq!(project.emit("call.ended").await.len(), 1);
    assert_eq!(receiver.first().await.json()["event_name"], "call.ended");
}

#[tokio::test]
async fn a_new_url_holds_from_the_next_event_on() {
    let (project, old, new) = (Project::new().await, Receiver::start().await, Receiver::start().await);
    let endpoint = project.endpoint(&old.url()).await;
    endpoint.patch(&json!({"url": new.url()})).await;
    project.emit_one().await;
    new.first().await;
    old.no_more_than(0, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_from_the_next_event_on() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    endpoint.delete().await;
    assert_eq!(project.emit("call.ended").await.len(), 0);
    receiver.no_more_than(0, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_endpoint_gets_nothing_of_events_accepted_before_it_was_made() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    assert_eq!(project.emit("call.ended").await.len(), 0);
    let endpoint = project.endpoint(&receiver.url()).await;
    receiver.no_more_than(0, Duration::from_secs(2)).await;
    assert_eq!(endpoint.deliveries("").await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn a_retry_uses_the_url_and_the_secret_of_its_moment() {
    let later = Reply::status(503).header("retry-after", "8");
    let old = Receiver::scripted([500], later).await;
    let (project, new) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&old.url()).await;
    let delivery = project.emit_one().await;
    // The third attempt comes eight seconds after the second. The test changes the URL and the secret before it.
    old.received(2).await;
    endpoint.patch(&json!({"url": new.url_of("/moved")})).await;
    let secret = endpoint.rotate().await;

    let request = new.first().await;
    assert_eq!(request.uri, "/moved");
    assert_eq!(request.header("x-echo-attempt"), "3");
    assert_eq!(request.header("x-echo-signature"), signature::echo(&secret, &request.body));
    assert_eq!(request.body, old.requests()[0].body, "the bytes stay the same");
    let ended = endpoint.ended(&delivery, "success").await;
    assert_eq!(ended["attempt_count"], 3);
    assert_eq!(old.count(), 2);
}
