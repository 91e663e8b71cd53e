//! A failed delivery that its owner retries.

use std::time::Duration;

use async_trait::async_trait;

use super::{Path, first, small};
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};
use crate::world::ONE;

#[derive(Debug)]
pub(super) struct ManualRetry;

/// One retry: the delivery has soon failed.
pub(super) fn one_retry() -> Vec<(&'static str, String)> {
    vec![("RETRY_DELAYS_SECONDS", "1".to_owned())]
}

#[async_trait]
impl Path for ManualRetry {
    fn name(&self) -> &'static str {
        "manual-retry"
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        one_retry()
    }

    fn most_attempts(&self) -> usize {
        2
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![500, 500, 200])
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.post_event(ONE, &small(), Ending::Either).await;
        run.lane.settle(Duration::from_secs(20)).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let Some((delivery_id, _)) = first(run).listed.first().cloned() else { return };
        run.notes().retried.push(delivery_id.clone());
        let target = run.endpoint(0, &format!("/deliveries/{delivery_id}/retry"));
        run.insist("POST", &target, &run.key(), None, &[202, 409]).await;
        run.lane.settle(Duration::from_secs(100)).await;
        // Even if the first call failed, a manual attempt has been made in the end, or the caller can still have one.
        // There are several tries, because an attempt may time out on a busy machine.
        let shown = run.endpoint(0, &format!("/deliveries/{delivery_id}"));
        for _ in 0..5 {
            let row = run.insist("GET", &shown, &run.key(), None, &[200]).await;
            let row = row.last().map(|answer| answer.json()).unwrap_or_default();
            if row["status"] == "success" {
                return;
            }
            run.insist("POST", &target, &run.key(), None, &[202]).await;
            run.lane.settle(Duration::from_secs(100)).await;
        }
        run.violation(format!("{delivery_id} got no manual attempt"));
    }
}
