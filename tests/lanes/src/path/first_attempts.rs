//! The first attempt of a delivery whose job waits in its queue, and the retries after it.

use async_trait::async_trait;
use serde_json::json;

use super::{Path, hold_back, shown_endpoint, small};
use crate::receiver::{Behaviour, HANGS};
use crate::run::{Ending, Run};
use crate::world::{ONE, TEN};

async fn check_health(run: &Run<'_>) {
    let shown = shown_endpoint(run).await;
    if shown["status"] != "active" || shown["consecutive_failures"] != 0 {
        run.violation(format!("the endpoint should be in good health: {shown}"));
    }
}

#[derive(Debug)]
pub(super) struct Succeeds;

#[async_trait]
impl Path for Succeeds {
    fn name(&self) -> &'static str {
        "first-succeeds"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check_health(run).await;
    }
}

/// The payload is too large for the delivery's own row, and compression makes it no smaller.
#[derive(Debug)]
pub(super) struct LargePayload;

#[async_trait]
impl Path for LargePayload {
    fn name(&self) -> &'static str {
        "large-payload"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        let noise: Vec<String> = (0..60).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        run.post_event(ONE, &json!({ "noise": noise }), Ending::Success).await;
    }
}

/// The job comes before the write of its delivery's row.
#[derive(Debug)]
pub(super) struct BeforeItsRow;

#[async_trait]
impl Path for BeforeItsRow {
    fn name(&self) -> &'static str {
        "job-before-row"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
        for item in run.lane.aws.dynamo.items("deliveries") {
            let key = json!({ "partition": item["partition"], "id": item["id"] });
            let request = json!({ "TableName": "deliveries", "Key": key });
            run.lane.aws.dynamo.call("DeleteItem", &request.to_string());
        }
    }
}

#[derive(Debug)]
pub(super) struct Fails;

#[async_trait]
impl Path for Fails {
    fn name(&self) -> &'static str {
        "first-fails"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![500, 200])
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
    }

    async fn check(&self, run: &Run<'_>) {
        check_health(run).await;
    }
}

#[derive(Debug)]
pub(super) struct TimesOut;

#[async_trait]
impl Path for TimesOut {
    fn name(&self) -> &'static str {
        "first-times-out"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![HANGS, 200])
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Success).await;
    }
}

/// Every attempt of the delivery fails.
#[derive(Debug)]
pub(super) struct AllFail;

#[async_trait]
impl Path for AllFail {
    fn name(&self) -> &'static str {
        "all-fail"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Answer(500)
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        hold_back(run, Ending::Failed("exhausted")).await;
    }
}

/// Ten deliveries of one event fail twice each.
#[derive(Debug)]
pub(super) struct TenFail;

#[async_trait]
impl Path for TenFail {
    fn name(&self) -> &'static str {
        "10-fail"
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![500, 500, 200])
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.lane.stop_mappings();
        run.post_event(TEN, &small(), Ending::Success).await;
    }
}
