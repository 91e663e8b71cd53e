//! Two deliveries of a stream: each waits until the one before it has ended.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::json;

use super::Path;
use crate::receiver::{Behaviour, Hit};
use crate::run::{Ending, Run};
use crate::world::ONE;

const EVENTS: usize = 2;

/// The events are accepted while the walk watches.
#[derive(Debug)]
pub(super) struct Accepted;

#[async_trait]
impl Path for Accepted {
    fn name(&self) -> &'static str {
        "ordered-accept"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        in_order(run).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        post(run).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check(run);
    }
}

/// The jobs wait in their queue, and the walk watches them.
#[derive(Debug)]
pub(super) struct Delivered;

#[async_trait]
impl Path for Delivered {
    fn name(&self) -> &'static str {
        "ordered"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        in_order(run).await;
        run.lane.stop_mappings();
        post(run).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check(run);
    }
}

/// As [`Delivered`], and each first attempt fails.
#[derive(Debug)]
pub(super) struct Retried;

#[async_trait]
impl Path for Retried {
    fn name(&self) -> &'static str {
        "ordered-retried"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![500, 200])
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        in_order(run).await;
        run.lane.stop_mappings();
        post(run).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check(run);
    }
}

async fn in_order(run: &Run<'_>) {
    // A customer's stream is listed at its first block, which another one is not.
    let body = json!({ "ordered": "customer_id" });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
}

async fn post(run: &Run<'_>) {
    for n in 1..=EVENTS {
        run.post_event(ONE, &json!({ "n": n }), Ending::Success).await;
    }
}

/// The first request of each delivery came after the last answer to the one before it, and all of its requests carry
/// its number.
fn check(run: &Run<'_>) {
    let hits = run.lane.receiver.hits();
    let sent = run.notes().sent.clone();
    let ids: Vec<String> = sent.iter().flat_map(|sent| &sent.listed).map(|(id, _)| id.clone()).collect();
    let of = |id: &str| hits.iter().filter(|hit| hit.delivery_id == id).collect::<Vec<&Hit>>();
    for pair in ids.windows(2) {
        let first = of(&pair[1]).iter().map(|hit| hit.at).min();
        let last = of(&pair[0]).iter().map(|hit| hit.at).max();
        if first <= last {
            run.violation(format!("a later delivery overtook {}: {hits:?}", pair[0]));
        }
    }
    for (id, number) in ids.iter().zip(1..) {
        let numbers: HashSet<String> =
            of(id).iter().filter_map(|hit| hit.headers.get("x-echo-sequence").cloned()).collect();
        if numbers != HashSet::from([number.to_string()]) {
            run.violation(format!("{id} should have the number {number}: {numbers:?}"));
        }
    }
}
