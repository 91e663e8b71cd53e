//! The suite notices losses: the judge reports a loss when AWS itself swallows a call.

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::path;
use echo_lanes::suite::{Case, walk};
use echo_lanes::world::World;

/// Walks a path on which AWS swallows a call, and returns the losses that the judge reports.
async fn losses(path: &str, kind: Kind, what: &str) -> Vec<String> {
    std::fs::create_dir_all(echo_lanes::suite::logs()).expect("a folder for logs");
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let key = CallKey { kind, what: what.to_owned(), nth: 1 };
    let injection = Injection { fault: Fault::Swallowed, span: Span::Once };
    let walked = walk(&world, &Case { path: path::named(path), k: 1, plan: Some((key, injection)) })
        .await
        .expect("a lane");
    assert!(walked.has_struck, "{what} was not called");
    walked.verdict.losses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_vanishes_is_a_loss() {
    let losses = losses("accept-1", Kind::Api, "SendMessageBatch first-attempts").await;
    assert!(losses.iter().any(|loss| loss.contains("has not ended")), "{losses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_vanishes_is_a_loss() {
    let losses = losses("first-fails", Kind::Delivery, "SendMessage retries").await;
    assert!(losses.iter().any(|loss| loss.contains("has not ended")), "{losses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_vanishes_is_a_loss() {
    let losses = losses("first-succeeds", Kind::Delivery, "UpdateItem deliveries").await;
    assert!(losses.iter().any(|loss| loss.contains("has not ended")), "{losses:?}");
}
