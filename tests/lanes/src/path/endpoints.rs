//! An endpoint is created, gets another secret, is disabled or deleted.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Path, small};
use crate::receiver::Behaviour;
use crate::run::{Ending, Run};
use crate::signed;
use crate::wait;
use crate::world::ONE;

#[derive(Debug)]
pub(super) struct Create;

#[async_trait]
impl Path for Create {
    fn name(&self) -> &'static str {
        "create-endpoint"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        let url = format!("http://{}/new", run.lane.receiver.address());
        let body = json!({ "url": url, "events": ["call.ended"] });
        let answers = run.insist("POST", &run.project("/webhooks"), &run.key(), Some(&body), &[201]).await;
        let id = answers.last().map(|answer| answer.json()["id"].clone()).unwrap_or_default();
        let listed = run.insist("GET", &run.project("/webhooks"), &run.key(), None, &[200]).await;
        let listed = listed.last().map(|answer| answer.json()).unwrap_or_default();
        let listed = listed.as_array().cloned().unwrap_or_default();
        if !listed.iter().any(|endpoint| endpoint["id"] == id)
            || listed.iter().any(|one| one["signing_secret"].is_null())
        {
            run.violation(format!("the new endpoint {id} is not listed whole"));
        }
    }
}

#[derive(Debug)]
pub(super) struct Rotate;

#[async_trait]
impl Path for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        let body = json!({ "ed25519": true });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let old = run.insist("GET", &run.endpoint(0, ""), &run.key(), None, &[200]).await;
        let old = old.last().map(|answer| answer.json()["signing_secret"].clone()).unwrap_or_default();
        let old = old.as_str().unwrap_or_default().to_owned();
        let answers = run.insist("POST", &run.endpoint(0, "/secret/rotate"), &run.key(), None, &[200]).await;
        let shown = answers.last().map(|answer| answer.json()).unwrap_or_default();
        let new = shown["signing_secret"].as_str().unwrap_or_default().to_owned();
        run.post_event(ONE, &small(), Ending::Success).await;
        run.lane.settle(Duration::from_secs(60)).await;
        for hit in run.lane.receiver.hits() {
            let header = |name: &str| hit.headers.get(name).cloned().unwrap_or_default();
            if header("x-echo-signature") != signed::echo(&new, &hit.body) {
                run.violation("an attempt was not signed with the secret that the rotation gave".to_owned());
            }
            let by_old =
                signed::standard(&old, &header("webhook-id"), &header("webhook-timestamp"), &hit.body);
            // After a single request there was a single rotation, so the secret before it still signs.
            if answers.len() == 1 && !header("webhook-signature").split(' ').any(|entry| entry == by_old) {
                run.violation("one rotation, and the secret before it no longer signs".to_owned());
            }
            let by_keys = header("webhook-signature").matches("v1a,").count();
            if by_keys != 2 {
                run.violation(format!("{by_keys} private keys sign after a rotation"));
            }
        }
    }
}

/// A change that writes one row, one that writes two, and one that writes the routing row too.
#[derive(Debug)]
pub(super) struct Change;

#[async_trait]
impl Path for Change {
    fn name(&self) -> &'static str {
        "change-endpoint"
    }

    async fn set_up(&self, _run: &mut Run<'_>) {}

    async fn walk(&self, run: &mut Run<'_>) {
        let url = format!("http://{}/changed", run.lane.receiver.address());
        for change in [
            json!({ "description": "changed", "headers": { "x-own": "changed" } }),
            json!({ "rate_limit_per_second": 900 }),
            json!({ "url": url, "events": ["call.ended"] }),
            json!({ "headers": { "x-own": "********", "x-more": "more" } }),
            json!({ "filter": { "data": { "n": [1] } } }),
            json!({ "filter": null, "status": "active" }),
            json!({ "ed25519": true }),
        ] {
            run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&change), &[200]).await;
            let shown = run.insist("GET", &run.endpoint(0, ""), &run.key(), None, &[200]).await;
            let shown = shown.last().map(|answer| answer.json()).unwrap_or_default();
            for (name, value) in change.as_object().into_iter().flatten() {
                let mut expected = value.clone();
                if name == "headers" {
                    // No value is shown.
                    expected
                        .as_object_mut()
                        .into_iter()
                        .flatten()
                        .for_each(|(_, value)| *value = json!("********"));
                }
                if shown[name] != expected {
                    run.violation(format!("the change is lost: {name} is {}", shown[name]));
                }
            }
        }
        let entries = run.lane.aws.dynamo.rows("audit");
        let told = entries.iter().filter(|entry| entry["action"] == "endpoint.changed").count();
        if told != 7 {
            run.violation(format!("{told} entries tell of seven changes: {entries:?}"));
        }
        run.post_event("call.ended", &small(), Ending::Success).await;
        run.lane.settle(Duration::from_secs(60)).await;
        for hit in run.lane.receiver.hits() {
            let header = |name: &str| hit.headers.get(name).map(String::as_str);
            if (header("x-own"), header("x-more")) != (Some("changed"), Some("more")) {
                run.violation(format!("an attempt lacks its headers: {:?}", hit.headers));
            }
        }
    }
}

/// An endpoint is disabled or deleted while a delivery waits for its retry.
#[derive(Debug)]
pub(super) enum Close {
    Disable,
    Delete,
}

#[async_trait]
impl Path for Close {
    fn name(&self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Delete => "delete",
        }
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        vec![("RETRY_DELAYS_SECONDS", "3,1,1".to_owned())]
    }

    fn answers(&self) -> Behaviour {
        Behaviour::Script(vec![500, 200])
    }

    /// The first attempt has failed, and its retry is due in three seconds.
    async fn set_up(&self, run: &mut Run<'_>) {
        run.post_event(ONE, &small(), Ending::Either).await;
        let has_failed = || !run.lane.receiver.hits().is_empty() && !run.lane.delivery.is_busy();
        if !wait::until(Duration::from_secs(30), has_failed).await {
            run.violation("the first attempt was not made".to_owned());
        }
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let endpoint = run.endpoint(0, "");
        match self {
            Self::Disable => {
                let body = json!({ "status": "disabled" });
                let done = run.insist("PATCH", &endpoint, &run.key(), Some(&body), &[200]).await;
                if done.last().is_none_or(|answer| answer.status != 200) {
                    return;
                }
            }
            Self::Delete => {
                let done = run.insist("DELETE", &endpoint, &run.key(), None, &[204, 404]).await;
                if done.len() == 1 && done[0].status == 404 {
                    run.violation("the endpoint was not there before it was deleted".to_owned());
                }
            }
        }
        run.close(0);
    }

    /// A delivery to a closed endpoint ends for that reason, unless its retry came before the answer to the call.
    async fn check(&self, run: &Run<'_>) {
        for row in run.lane.aws.dynamo.rows("deliveries") {
            let is_closed = row["failure_reason"].as_str().is_some_and(|why| why.starts_with("endpoint_"));
            if !is_closed && row["attempt_count"] == 1 {
                run.violation(format!("ended otherwise: {row}"));
            }
        }
    }
}
