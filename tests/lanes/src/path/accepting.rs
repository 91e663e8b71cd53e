//! Events posted by HTTPS, up to the end of their deliveries.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Path, first, health, small};
use crate::run::{Ending, Run};
use crate::world::{ONE, TEN};

#[derive(Debug)]
pub(super) struct One;

#[async_trait]
impl Path for One {
    fn name(&self) -> &'static str {
        "accept-1"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        run.post_event(ONE, &small(), Ending::Success).await;
    }
}

/// One event to ten endpoints.
#[derive(Debug)]
pub(super) struct Ten;

#[async_trait]
impl Path for Ten {
    fn name(&self) -> &'static str {
        "accept-10"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        run.post_event(TEN, &json!({ "n": 10 }), Ending::Success).await;
    }
}

/// One event whose id the service makes.
#[derive(Debug)]
pub(super) struct NewOne;

#[async_trait]
impl Path for NewOne {
    fn name(&self) -> &'static str {
        "accept-new-1"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        run.post_new_event(ONE, &small(), Ending::Success).await;
    }
}

/// One event whose id the service makes, to ten endpoints.
#[derive(Debug)]
pub(super) struct NewTen;

#[async_trait]
impl Path for NewTen {
    fn name(&self) -> &'static str {
        "accept-new-10"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        run.post_new_event(TEN, &json!({ "n": 10 }), Ending::Success).await;
    }
}

/// To an endpoint that is marked as slow.
#[derive(Debug)]
pub(super) struct Slow;

#[async_trait]
impl Path for Slow {
    fn name(&self) -> &'static str {
        "accept-slow"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        health::mark_slow(run);
    }

    async fn walk(&self, run: &mut Run<'_>) {
        One.walk(run).await;
    }
}

/// The same event twice.
#[derive(Debug)]
pub(super) struct Again;

#[async_trait]
impl Path for Again {
    fn name(&self) -> &'static str {
        "accept-again"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        One.walk(run).await;
        run.lane.settle(Duration::from_secs(20)).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let sent = first(run);
        run.repeat_event(&sent, ONE, &small()).await;
    }
}

/// To an endpoint with a filter that matches. The function meets the filter for the first time.
#[derive(Debug)]
pub(super) struct Filtered;

#[async_trait]
impl Path for Filtered {
    fn name(&self) -> &'static str {
        "accept-filtered"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        let change = json!({ "filter": { "data": { "n": [1] } } });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&change), &[200]).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        One.walk(run).await;
        let skipping = json!({ "event_name": ONE, "data": { "n": 2 } });
        let answers = run.insist("POST", &run.project("/events"), &run.key(), Some(&skipping), &[202]).await;
        if answers.iter().any(|answer| answer.json()["deliveries"] != json!([])) {
            run.violation("an event passed a filter that does not match it".to_owned());
        }
    }
}

/// With a budget so small that the function gives no part of it away without a lease.
#[derive(Debug)]
pub(super) struct Leased;

pub(super) fn small_budget() -> Vec<(&'static str, String)> {
    vec![("MAX_EVENTS_PER_MINUTE", "90".to_owned())]
}

#[async_trait]
impl Path for Leased {
    fn name(&self) -> &'static str {
        "accept-leased"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        small_budget()
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        One.walk(run).await;
    }
}

/// A batch of events with ids and without, of an event that is there already, one that comes twice, and one that is refused.
/// Then its events with ids come once more.
#[derive(Debug)]
pub(super) struct Batch;

const THERE: &str = "00000000-0000-4000-8000-0000000000b1";
const TWICE: &str = "00000000-0000-4000-8000-0000000000b2";
const ONCE: &str = "00000000-0000-4000-8000-0000000000b3";

fn of_batch(event_id: Option<&str>, n: u64) -> (Value, u16) {
    (json!({ "event_id": event_id, "event_name": ONE, "data": { "n": n } }), 202)
}

#[async_trait]
impl Path for Batch {
    fn name(&self) -> &'static str {
        "accept-batch"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.post_batch(&[of_batch(Some(THERE), 1)], Ending::Success).await;
        run.lane.settle(Duration::from_secs(20)).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let refused = (json!({ "event_name": "call.x" }), 400);
        let conflict = (of_batch(Some(THERE), 2).0, 409);
        let with_ids =
            [of_batch(Some(THERE), 1), of_batch(Some(TWICE), 3), conflict, of_batch(Some(ONCE), 4)];
        let mut events = with_ids.to_vec();
        events.insert(2, of_batch(None, 5));
        events.insert(3, refused);
        events.push(of_batch(Some(TWICE), 3));
        run.post_batch(&events, Ending::Success).await;
        run.post_batch(&with_ids, Ending::Success).await;
    }
}
