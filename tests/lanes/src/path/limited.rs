//! Three deliveries to an endpoint that takes one a second: one goes at once, one is slept for, one is put off.

use std::time::Duration;

use serde_json::json;

use crate::run::{Ending, Run};
use crate::world::ONE;

/// The three take two seconds; where calls are late, the first can be too.
const LEAST: Duration = Duration::from_millis(300);

pub(super) async fn set_up(run: &mut Run<'_>) {
    run.lane.stop_mappings();
    let body = json!({ "rate_limit_per_second": 1 });
    run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    for n in 1..=3 {
        run.post_event(ONE, &json!({ "n": n }), Ending::Success).await;
    }
}

/// Being put off is no attempt, and leaves nothing behind.
pub(super) fn check(run: &Run<'_>) {
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
