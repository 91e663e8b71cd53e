//! A sweep after a new sealing key: all values get under it, although functions crash, and attempts are signed as before.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Path, shown_endpoint, small};
use crate::lane::RETRIES;
use crate::run::{Ending, Run};
use crate::sealed;
use crate::signed;
use crate::sqs::Outgoing;
use crate::world::ONE;

#[derive(Debug)]
pub(super) struct Sweep;

#[async_trait]
impl Path for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }

    /// The first endpoint has a header, and a secret and a private key before its present ones; the second has an
    /// `auth`, and the third a header. Then another key seals.
    async fn set_up(&self, run: &mut Run<'_>) {
        let options = json!({ "headers": { "x-own": "value" }, "ed25519": true });
        run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&options), &[200]).await;
        run.insist("POST", &run.endpoint(0, "/secret/rotate"), &run.key(), None, &[200]).await;
        let auth = json!({ "auth": {
            "type": "oauth2", "token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b",
        } });
        run.insist("PATCH", &run.endpoint(1, ""), &run.key(), Some(&auth), &[200]).await;
        let header = json!({ "headers": { "x-own": "value" } });
        run.insist("PATCH", &run.endpoint(2, ""), &run.key(), Some(&header), &[200]).await;
        run.lane.aws.put_sealing_keys(&["k1", "k2"]);
    }

    async fn walk(&self, run: &mut Run<'_>) {
        // The header is sealed anew, and its owner has changed nothing.
        let same = json!({ "headers": { "x-own": "********" } });
        run.insist("PATCH", &run.endpoint(2, ""), &run.key(), Some(&same), &[200]).await;
        let body = json!({ "v": 5, "key": "k2", "is_settled": true }).to_string();
        let sent = run.lane.aws.sqs.send(RETRIES, Outgoing { body, group: None, delay: Duration::ZERO });
        assert!(sent.is_ok(), "the queue is there");
        run.lane.settle(Duration::from_secs(60)).await;
        // The earlier key retires.
        run.lane.aws.put_sealing_keys(&["k2"]);
        if run.lane.restart_functions().await.is_err() {
            run.violation("the functions did not start again".to_owned());
        }
        run.post_event(ONE, &small(), Ending::Success).await;
    }

    async fn check(&self, run: &Run<'_>) {
        let items = run.lane.aws.dynamo.items("endpoints");
        for item in items.iter().filter(|item| item["part"]["S"] == "settings") {
            let keys = sealed::keys_of(item);
            let is = |n: usize| item["id"]["S"] == run.world.endpoints[n].as_str();
            let count = if is(0) {
                5
            } else if is(1) || is(2) {
                2
            } else {
                1
            };
            if keys != vec!["k2"; count] {
                run.violation(format!("the sweep left values under {keys:?}"));
            }
        }
        let entries = run.lane.aws.dynamo.rows("audit");
        let is_change = |entry: &&Value| {
            entry["resource_id"] == run.world.endpoints[2].as_str() && entry["action"] == "endpoint.changed"
        };
        let changes = entries.iter().filter(is_change).count();
        if changes != 1 {
            run.violation(format!("{changes} entries tell of one change: {entries:?}"));
        }
        let shown = shown_endpoint(run).await;
        let secret = shown["signing_secret"].as_str().unwrap_or_default();
        for hit in run.lane.receiver.hits() {
            let header = |name: &str| hit.headers.get(name).cloned().unwrap_or_default();
            let is_signed = header("x-echo-signature") == signed::echo(secret, &hit.body);
            let signatures = header("webhook-signature").split(' ').count();
            if !is_signed || header("x-own") != "value" || signatures != 4 {
                run.violation(format!("not as before the sweep: {:?}", hit.headers));
            }
        }
    }
}
