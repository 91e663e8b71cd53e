//! A replay of two failed deliveries and a skipped event.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Path, manual_retry};
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};
use crate::world::ONE;

const SETTLES: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Replay;

#[async_trait]
impl Path for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        manual_retry::one_retry()
    }

    fn most_attempts(&self) -> usize {
        2
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(500)
    }

    /// Two deliveries fail, and an event comes while the endpoint is disabled.
    async fn set_up(&self, run: &mut Run<'_>) {
        for n in 1..=2 {
            if let Some(sent) = run.post_event(ONE, &json!({ "n": n }), Ending::Either).await {
                run.notes().retried.extend(sent.listed.into_iter().map(|(id, _)| id));
            }
            run.lane.settle(SETTLES).await;
        }
        run.lane.receiver.set("/0", Behaviour::Answer(200));
        for status in ["disabled", "active"] {
            let body = json!({ "status": status });
            run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
            if status == "disabled" {
                run.post_event(ONE, &json!({ "n": 3 }), Ending::Success).await;
            }
        }
    }

    async fn walk(&self, run: &mut Run<'_>) {
        begin(run, &json!({ "since": "2020-01-01T00:00:00Z", "include_skipped": true })).await;
        run.lane.settle(Duration::from_secs(100)).await;
        // The first replay, however it went, does not block a second one. The second finds the deliveries that are left.
        begin(run, &json!({ "since": "2020-01-01T00:00:00Z" })).await;
    }

    /// Every replay has ended. Each replay tried the failed deliveries again at most once, and the skipped event has one
    /// delivery. A caller without an answer asks again and begins another replay if the first has ended by then. Two
    /// replays never run at once.
    async fn check(&self, run: &Run<'_>) {
        let rows = run.lane.aws.dynamo.rows("replays");
        // One row names the latest.
        let mut replays: Vec<Value> = rows.into_iter().filter(|row| row["id"] != "latest").collect();
        replays.sort_by_key(begun_at);
        let (first, later): (Vec<&Value>, Vec<&Value>) =
            replays.iter().partition(|row| row["filter"]["include_skipped"] == true);
        if first.is_empty() || later.is_empty() {
            run.violation(format!("not begun: {replays:?}"));
        }
        if let Some(pair) =
            replays.windows(2).find(|pair| begun_at(&pair[1]) < pair[0]["updated_at"].as_u64())
        {
            run.violation(format!("side by side: {pair:?}"));
        }
        let count = |field: &str| first.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
        if replays.is_empty() || replays.iter().any(|row| row["status"] != "finished") {
            run.violation(format!("not every replay is finished: {replays:?}"));
        }
        let is_right = (count("matched"), count("replayed")) == (3, 3);
        if !is_right {
            run.violation(format!("miscounted: {replays:?}"));
        }
        let retried = run.notes().retried.clone();
        for row in run.lane.aws.dynamo.rows("deliveries") {
            let is_manual = |attempt: &&Value| attempt["triggered_by"] == "manual";
            let manual = row["attempts"].as_array().into_iter().flatten().filter(is_manual).count();
            let is_retried = retried.iter().any(|id| row["id"] == id.as_str());
            if is_retried && (manual == 0 || manual > replays.len()) || !is_retried && manual > 0 {
                run.violation(format!("{manual} manual attempts: {row}"));
            }
        }
        list_unskipped(run);
    }
}

/// Begins a replay while none runs. A second request, after a 5xx, may meet the replay that the first one began.
async fn begin(run: &Run<'_>, body: &Value) {
    let answers = run.insist("POST", &run.endpoint(0, "/replay"), &run.key(), Some(body), &[202, 409]).await;
    if answers.len() == 1 && answers[0].status == 409 {
        run.violation(format!("another replay stands in the way of {body}"));
    }
}

/// The time in a replay's id, a UUIDv7, in milliseconds.
fn begun_at(row: &Value) -> Option<u64> {
    let id = row["id"].as_str()?.replace('-', "");
    u64::from_str_radix(id.get(..12)?, 16).ok()
}

/// Makes the run answer for the delivery that the replay added to the skipped event.
fn list_unskipped(run: &Run<'_>) {
    let events = run.lane.aws.dynamo.rows("events");
    let mut listed = Vec::new();
    for (place, sent) in run.notes().sent.iter().enumerate().filter(|(_, sent)| sent.listed.is_empty()) {
        let row = events.iter().find(|row| row["event_id"] == sent.event_id.as_str());
        let deliveries = row.and_then(|row| row["deliveries"].as_array()).cloned().unwrap_or_default();
        listed.push((place, deliveries));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (place, deliveries) in listed {
        if deliveries.len() != 1 {
            run.violation(format!("a skipped event has {} deliveries", deliveries.len()));
        }
        run.notes().sent[place].listed =
            deliveries.iter().map(|one| (text(&one["id"]), text(&one["endpoint_id"]))).collect();
    }
}
