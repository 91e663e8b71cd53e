//! Event types of an account.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Path;
use crate::lane::Auth;
use crate::run::Run;
use crate::world::PASSWORD;

/// A change of the types holds everywhere by then (contract §2).
const SPREAD: Duration = Duration::from_secs(10);

/// One type is made and stays, and one is made and removed.
#[derive(Debug)]
pub(super) struct Types;

#[async_trait]
impl Path for Types {
    fn name(&self) -> &'static str {
        "event-types"
    }

    async fn set_up(&self, run: &mut Run<'_>) {
        run.log_in(PASSWORD).await;
    }

    async fn walk(&self, run: &mut Run<'_>) {
        let access = run.session(0).access;
        let bearer = Auth::Bearer(&access);
        let words = json!({ "description": "some", "example": { "n": 1 } });
        for name in ["order.paid", "order.sent"] {
            run.insist("PUT", &target(name), &bearer, Some(&words), &[200]).await;
        }
        settled(run, "order.sent", 202).await;
        run.insist("DELETE", &target("order.sent"), &bearer, None, &[204, 404]).await;
        settled(run, "order.sent", 400).await;
        settled(run, "order.paid", 202).await;
    }

    /// The row of the names agrees with the rows of the types.
    async fn check(&self, run: &Run<'_>) {
        let rows = run.lane.aws.dynamo.rows("event_types");
        let (names, types): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["name"] == "*");
        let listed: BTreeSet<&str> = names
            .iter()
            .flat_map(|row| row["names"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let made: BTreeSet<&str> = types.iter().filter_map(|row| row["name"].as_str()).collect();
        if listed != made || made != BTreeSet::from(["order.paid"]) {
            run.violation(format!("the names are {listed:?}, and the types are {made:?}"));
        }
    }
}

fn target(name: &str) -> String {
    format!("/v1/event-types/{name}")
}

/// Posts events of a name until they are answered with this status.
async fn settled(run: &Run<'_>, name: &str, status: u16) {
    let started = Instant::now();
    let event = json!({ "event_name": name });
    loop {
        let asked_after = started.elapsed();
        let answer = run.lane.call("POST", &run.project("/events"), &run.key(), Some(&event)).await;
        match answer.status {
            answered if answered == status => return,
            200..500 if asked_after > SPREAD => {
                return run.violation(format!("{name} is still answered with {}", answer.status));
            }
            _ if asked_after > SPREAD * 3 => {
                return run.violation(format!("{name} is never answered with {status}"));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
