//! Three deliveries to an endpoint that takes one a second. The function sends the first at once, waits for the second's
//! time, and puts the third off.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::Path;
use crate::run::{Ending, Run};
use crate::world::ONE;

/// The three take two seconds, and less if slow calls make the first one late.
const LEAST: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Limited;

#[async_trait]
impl Path for Limited {
    fn name(&self) -> &'static str {
        "limited"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        let body = json!({ "rate_limit_per_second": 1 });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
        for n in 1..=3 {
            run.post_event(ONE, &json!({ "n": n }), Ending::Success).await;
        }
    }

    /// A delivery that was put off has no attempt for it, and keeps no slot.
    async fn check(&self, run: &Run<'_>) {
        for row in run.lane.aws.dynamo.rows("deliveries") {
            if row["attempt_count"] != 1 || !row["slot"].is_null() {
                run.violation(format!("one attempt and no slot should be left: {row}"));
            }
        }
        let hits = run.lane.receiver.hits();
        let times = || hits.iter().map(|hit| hit.at);
        let took = times().max().zip(times().min()).map(|(last, first)| last - first);
        if took.is_none_or(|took| took < LEAST) {
            run.violation(format!("the three came within {took:?}"));
        }
    }
}
