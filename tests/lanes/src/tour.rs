//! A tour of the API's reading calls, and of the calls that no path of the crash-point suite makes.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lane::{Auth, INTAKE, LaneSettings};
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};
use crate::sqs::Outgoing;
use crate::wait;
use crate::world::{EMAIL, ONE, PASSWORD, World};

const UNKNOWN_PROJECT: &str = "01a20259-3a57-7c63-9fb6-0c94e1b2e2ff";

/// Makes the tour in a lane of its own, and returns the lane in its run. Each wrong answer is a violation of the run.
///
/// # Errors
/// When the lane cannot be started.
pub async fn make(world: &World, settings: LaneSettings) -> io::Result<Run<'_>> {
    let run = Run::new(world.lane(settings).await?, world);
    run.lane.receiver.set("/0", Behaviour::Script(vec![500, 200]));
    // One event has an id of its producer's, so the log finds it by an index. The other has an id of ours.
    run.post_event(ONE, &json!({}), Ending::Success).await;
    let body = json!({ "event_name": ONE });
    run.insist("POST", &run.project("/events"), &run.key(), Some(&body), &[202]).await;
    // The first delivery fails before any has succeeded, so it stands in the index of deliveries.
    if !wait::until(Duration::from_secs(30), || !run.lane.receiver.hits().is_empty()).await {
        run.violation("the first attempt was not made".to_owned());
    }
    // An event for a project that does not exist is parked.
    let body = json!({ "project_id": UNKNOWN_PROJECT, "event_name": ONE }).to_string();
    let sent = run.lane.aws.sqs.send(INTAKE, Outgoing { body, group: None, delay: Duration::ZERO });
    assert!(sent.is_ok(), "the intake queue is there");
    run.lane.settle(Duration::from_secs(30)).await;
    accounts(&run).await;
    shown(&run).await;
    changed(&run).await;
    run.lane.settle(Duration::from_secs(30)).await;
    Ok(run)
}

async fn accounts(run: &Run<'_>) {
    let login = |password: &str| json!({ "email": EMAIL, "password": password });
    run.insist("POST", "/auth/login", &Auth::None, Some(&login("not the password")), &[401]).await;
    let session = run.log_in(PASSWORD).await;
    run.insist("POST", "/auth/refresh", &Auth::Bearer(&session.refresh), None, &[201]).await;
    let bearer = Auth::Bearer(&session.access);
    run.insist("GET", "/v1/projects", &bearer, None, &[200]).await;
    run.insist("GET", &run.project(""), &run.key(), None, &[200]).await;
    run.insist("GET", "/v1/api-keys", &run.key(), None, &[200]).await;
}

async fn shown(run: &Run<'_>) {
    let get = async |target: String| -> Value {
        let answers = run.insist("GET", &target, &run.key(), None, &[200]).await;
        answers.last().map(|answer| answer.json()).unwrap_or_default()
    };
    get(run.project("/webhooks")).await;
    get(run.endpoint(0, "")).await;
    get(run.project("/events")).await;
    get(run.project(&format!("/events?event_name={ONE}"))).await;
    get(run.endpoint(0, "/deliveries")).await;
    get(run.project("/deliveries")).await;
    get(run.endpoint(0, "/stats")).await;
    get(run.project("/stats")).await;
    get(run.project("/audit")).await;
    for status in ["pending", "retrying", "success", "failed"] {
        get(run.endpoint(0, &format!("/deliveries?status={status}"))).await;
        get(run.project(&format!("/deliveries?status={status}"))).await;
    }
    let sent = run.notes().sent.clone();
    for sent in sent {
        get(run.project(&format!("/events/{}", sent.event_id))).await;
        for (delivery, _) in sent.listed {
            get(run.endpoint(0, &format!("/deliveries/{delivery}"))).await;
        }
    }
}

async fn changed(run: &Run<'_>) {
    let body = json!({ "description": "toured" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    run.insist("POST", &run.endpoint(0, "/test"), &run.key(), Some(&json!({})), &[202]).await;
    let rows = run.lane.aws.dynamo.rows("deliveries");
    let ids = rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned));
    run.notes().retried.extend(ids);
    for status in ["success", "failed"] {
        let body = json!({ "since": "2026-01-01T00:00:00.000Z", "status": status });
        let answers = run.insist("POST", &run.endpoint(0, "/replay"), &run.key(), Some(&body), &[202]).await;
        let replay = answers.last().map(|answer| answer.json()["id"].clone()).unwrap_or_default();
        let replay = replay.as_str().unwrap_or_default().to_owned();
        // An endpoint has one running replay at a time.
        let shown = run.endpoint(0, &format!("/replays/{replay}"));
        for _ in 0..200 {
            let answers = run.insist("GET", &shown, &run.key(), None, &[200]).await;
            if answers.last().is_none_or(|answer| answer.json()["status"] != "running") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    run.insist("GET", &run.endpoint(0, "/replays"), &run.key(), None, &[200]).await;
    run.insist("DELETE", &run.endpoint(1, ""), &run.key(), None, &[204]).await;
}
