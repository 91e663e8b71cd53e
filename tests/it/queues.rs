//! Messages that the service did not send, and messages that SQS gave up.

use std::time::Duration;

use echo_tests::aws::{Queue, logged};
use echo_tests::endpoint::Endpoint;
use echo_tests::project::{Project, unique};
use echo_tests::receiver::{Receiver, Reply};
use echo_tests::stack::stack;
use echo_tests::wait::{PATIENCE, eventually, throughout};
use serde_json::{Value, json};
use uuid::Uuid;

/// Texts that no other test sends.
fn garbage() -> Vec<String> {
    let mark = unique();
    vec![
        mark.clone(),
        format!("{{\"v\":1,\"mark\":\"{mark}\"}}"),
        format!("[\"{mark}\"]"),
        format!("{{\"v\":\"one\",\"mark\":\"{mark}\"}}"),
        format!("{{\"v\":1,\"project_id\":\"{mark}\",\"endpoint_id\":7}}"),
        format!("\u{1f4de} {mark} \u{fffd}"),
    ]
}

async fn delivers(project: &Project, endpoint: &Endpoint) {
    let id = project.emit_one().await;
    let delivery = endpoint.ended(&id, "success").await;
    assert_eq!(delivery["attempt_count"], 1, "{delivery}");
}

#[tokio::test]
async fn garbage_in_a_queue_disturbs_no_delivery() {
    let (project, receiver) = (Project::new().await, Receiver::scripted([200, 200, 200, 500], 200).await);
    let endpoint = project.endpoint(&receiver.url()).await;
    for queue in ["FirstAttemptsQueue", "RetriesQueue"] {
        let queue = Queue::named(queue).await;
        for body in garbage() {
            queue.send(&body).await;
        }
    }
    for _ in 0..3 {
        delivers(&project, &endpoint).await;
    }
    let retried = project.emit_one().await;
    assert_eq!(endpoint.ended(&retried, "success").await["attempt_count"], 2);
    receiver.no_more_than(5, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_job_of_an_unknown_version_stays_queued() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let queue = Queue::named("RetriesQueue").await;
    let ids = json!({
        "project_id": project.id,
        "endpoint_id": endpoint.id,
        "delivery_id": Uuid::now_v7(),
        "event_id": Uuid::now_v7(),
    });
    let mut job: Value = ids;
    job["v"] = json!(999);
    let message_id = queue.send(&job.to_string()).await;
    delivers(&project, &endpoint).await;
    // The function receives the job, hides it and receives it again: only a job that stayed in its queue is logged
    // twice.
    eventually("the job comes up a second time", PATIENCE, || async {
        (logged("Delivery", &message_id).await.len() >= 2).then_some(())
    })
    .await;
}

/// A delivery's job as the service queues it: version 1, and the ids that find the delivery.
fn job(project: &Project, endpoint: &Endpoint, delivery: &Value) -> String {
    json!({
        "v": 1,
        "project_id": project.id,
        "endpoint_id": endpoint.id,
        "delivery_id": delivery["id"],
        "event_id": delivery["event_id"],
    })
    .to_string()
}

#[tokio::test]
async fn a_delivery_given_up_by_the_queue_ends_internal_and_can_be_retried() {
    // If the first attempt ends before its job is given up, the job is a copy, and the delivery goes on. The test then
    // tries again.
    for _ in 0..5 {
        let receiver = Receiver::answering(Reply::status(200).after(stack().request_timeout() * 2)).await;
        let project = Project::new().await;
        let endpoint = project.endpoint(&receiver.url()).await;
        let id = project.emit_one().await;
        // The delivery's first attempt is under way, so the row still means the job that came with its acceptance.
        receiver.first().await;
        let waiting = endpoint.delivery(&id).await;
        Queue::named("DeadLetterQueue").await.send(&job(&project, &endpoint, &waiting)).await;
        let over = |delivery: &Value| delivery["status"] == "failed" || delivery["attempt_count"] != 0;
        let failed = endpoint.delivery_when(&id, "it is given up, or attempted", over).await;
        if failed["failure_reason"] == "internal" {
            assert_eq!(waiting["status"], "pending");
            assert_eq!(failed["attempt_count"], 0, "the attempt under way is not recorded any more");
            can_be_retried(&receiver, &endpoint, &id).await;
            return;
        }
    }
    panic!("no delivery was given up by the queue");
}

/// Retries a delivery that the queue gave up during its first attempt.
async fn can_be_retried(receiver: &Receiver, endpoint: &Endpoint, id: &str) {
    assert_eq!(endpoint.show().await["consecutive_failures"], 0);
    // The first attempt ends while the manual one is under way, or soon after it.
    receiver.set(Reply::status(200).after(stack().request_timeout() / 2));
    assert_eq!(endpoint.retry(id).await.status, 202);
    let ended = endpoint.ended(id, "success").await;
    assert_eq!(ended["attempt_count"], 1);
    receiver.no_more_than(2, stack().request_timeout()).await;
    assert_eq!((endpoint.delivery(id).await, receiver.count()), (ended, 2));
}

/// The delivery's row names another job than the one that the queue gave up, so that other job makes the next attempt.
#[tokio::test]
async fn a_copy_given_up_by_the_queue_ends_no_delivery() {
    let project = Project::new().await;
    let receiver = Receiver::answering(Reply::status(503).header("retry-after", "600")).await;
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let waiting = endpoint.attempted(&id, 1).await;
    assert_eq!(waiting["status"], "retrying");
    Queue::named("DeadLetterQueue").await.send(&job(&project, &endpoint, &waiting)).await;
    throughout(Duration::from_secs(4), || async {
        let now = endpoint.delivery(&id).await;
        if now == waiting { Ok(()) } else { Err(format!("it became {now}")) }
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_has_ended_is_not_changed_by_its_dead_letter() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let ended = endpoint.ended(&id, "success").await;
    Queue::named("DeadLetterQueue").await.send(&job(&project, &endpoint, &ended)).await;
    throughout(Duration::from_secs(4), || async {
        let now = endpoint.delivery(&id).await;
        if now == ended { Ok(()) } else { Err(format!("it became {now}")) }
    })
    .await;
}

#[tokio::test]
async fn an_unreadable_message_is_parked_as_it_is() {
    let (dead, parked) = (Queue::named("DeadLetterQueue").await, Queue::named("ParkedQueue").await);
    let bodies = garbage();
    for body in &bodies {
        dead.send(body).await;
    }
    for body in &bodies {
        let why = parked.take(body).await;
        assert_eq!(why["source"], "jobs");
        assert!(!why["reason"].is_empty() && !why["message_id"].is_empty(), "{why:?}");
    }
}

#[tokio::test]
async fn a_second_copy_of_a_job_makes_no_second_request() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let id = project.emit_one().await;
    let ended = endpoint.ended(&id, "success").await;
    for queue in ["FirstAttemptsQueue", "RetriesQueue"] {
        Queue::named(queue).await.send(&job(&project, &endpoint, &ended)).await;
    }
    receiver.no_more_than(1, stack().request_timeout() + Duration::from_secs(4)).await;
    assert_eq!(endpoint.delivery(&id).await, ended);
}
