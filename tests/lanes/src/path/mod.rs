//! The paths of the crash-point suite. Each is set up with nothing in its way; then calls are counted, one of them
//! fails, and the path is walked.

mod intake;
mod limited;
mod operational;
mod registry;
mod replay;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lane::{DEAD, FIRST_ATTEMPTS, LaneSettings, PARKED};
use crate::receiver::{Behaviour, HANGS};
use crate::run::{Ending, Run, Sent};
use crate::sqs::Outgoing;
use crate::world::{ONE, TEN};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    SignUp,
    CreateProject,
    CreateKey,
    RevokeKey,
    CreateEndpoint,
    AcceptOne,
    AcceptTen,
    AcceptSlow,
    AcceptAgain,
    AcceptLeased,
    FirstSucceeds,
    LargePayload,
    BeforeItsRow,
    FirstFails,
    FirstTimesOut,
    AllFail,
    TenFail,
    MovesToSlowLane,
    Probe,
    Limited,
    AutoDisable,
    Gone,
    ManualRetry,
    Replay,
    Rotate,
    Disable,
    Delete,
    DeadLetter,
    Parked,
    Intake,
    IntakeAgain,
    IntakeGivenUp,
    IntakeLeased,
    Operational,
    OperationalRecovery,
    OperationalInternal,
}

impl Path {
    pub const ALL: [Self; 36] = [
        Self::SignUp,
        Self::CreateProject,
        Self::CreateKey,
        Self::RevokeKey,
        Self::CreateEndpoint,
        Self::AcceptOne,
        Self::AcceptTen,
        Self::AcceptSlow,
        Self::AcceptAgain,
        Self::AcceptLeased,
        Self::FirstSucceeds,
        Self::LargePayload,
        Self::BeforeItsRow,
        Self::FirstFails,
        Self::FirstTimesOut,
        Self::AllFail,
        Self::TenFail,
        Self::MovesToSlowLane,
        Self::Probe,
        Self::Limited,
        Self::AutoDisable,
        Self::Gone,
        Self::ManualRetry,
        Self::Replay,
        Self::Rotate,
        Self::Disable,
        Self::Delete,
        Self::DeadLetter,
        Self::Parked,
        Self::Intake,
        Self::IntakeAgain,
        Self::IntakeGivenUp,
        Self::IntakeLeased,
        Self::Operational,
        Self::OperationalRecovery,
        Self::OperationalInternal,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::CreateProject => "create-project",
            Self::CreateKey => "create-key",
            Self::RevokeKey => "revoke-key",
            Self::CreateEndpoint => "create-endpoint",
            Self::AcceptOne => "accept-1",
            Self::AcceptTen => "accept-10",
            Self::AcceptSlow => "accept-slow",
            Self::AcceptAgain => "accept-again",
            Self::AcceptLeased => "accept-leased",
            Self::FirstSucceeds => "first-succeeds",
            Self::LargePayload => "large-payload",
            Self::BeforeItsRow => "job-before-row",
            Self::FirstFails => "first-fails",
            Self::FirstTimesOut => "first-times-out",
            Self::AllFail => "all-fail",
            Self::TenFail => "10-fail",
            Self::MovesToSlowLane => "to-slow-lane",
            Self::Probe => "probe",
            Self::Limited => "limited",
            Self::AutoDisable => "auto-disable",
            Self::Gone => "gone",
            Self::ManualRetry => "manual-retry",
            Self::Replay => "replay",
            Self::Rotate => "rotate",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::DeadLetter => "dead-letter",
            Self::Parked => "parked",
            Self::Operational => "operational",
            Self::OperationalRecovery => "operational-recovery",
            Self::OperationalInternal => "operational-internal",
            Self::Intake => "intake",
            Self::IntakeAgain => "intake-again",
            Self::IntakeGivenUp => "intake-given-up",
            Self::IntakeLeased => "intake-leased",
        }
    }

    /// Automatic attempts that a delivery on this path may have.
    #[must_use]
    pub const fn most_attempts(self) -> usize {
        match self {
            Self::AutoDisable | Self::ManualRetry | Self::Replay => 2,
            _ => 4,
        }
    }

    #[must_use]
    pub fn settings(self) -> LaneSettings {
        let mut env = Vec::new();
        match self {
            Self::AutoDisable => env.extend([
                ("DISABLE_AFTER_FAILURES", "1".to_owned()),
                ("DISABLE_AFTER_SECONDS", "0".to_owned()),
                ("RETRY_DELAYS_SECONDS", "1".to_owned()),
            ]),
            Self::ManualRetry | Self::Replay => env.push(("RETRY_DELAYS_SECONDS", "1".to_owned())),
            Self::Disable | Self::Delete => env.push(("RETRY_DELAYS_SECONDS", "3,1,1".to_owned())),
            // So small that none of it is given away without a lease.
            Self::AcceptLeased | Self::IntakeLeased => env.push(("MAX_EVENTS_PER_MINUTE", "90".to_owned())),
            Self::Operational | Self::OperationalRecovery | Self::OperationalInternal => env.extend([
                ("OPERATOR_PROJECT_ID", operational::PROJECT.to_owned()),
                ("OPERATIONAL_EVENT_BUS_NAME", operational::BUS.to_owned()),
            ]),
            _ => {}
        }
        LaneSettings { env, ..LaneSettings::default() }
    }

    /// What has to stand before the path is walked.
    pub async fn set_up(self, run: &mut Run<'_>) {
        let receiver = &run.lane.receiver;
        let (behaviour, ending) = match self {
            Self::FirstFails => (Behaviour::Script(vec![500, 200]), Ending::Success),
            Self::FirstTimesOut => (Behaviour::Script(vec![HANGS, 200]), Ending::Success),
            Self::AllFail => (Behaviour::Answer(500), Ending::Failed("exhausted")),
            Self::AutoDisable => (Behaviour::Answer(500), Ending::Failed("exhausted")),
            Self::TenFail => (Behaviour::Script(vec![500, 500, 200]), Ending::Success),
            Self::Gone | Self::Operational => (Behaviour::Answer(410), Ending::Failed("gone")),
            Self::ManualRetry => (Behaviour::Script(vec![500, 500, 200]), Ending::Either),
            Self::Replay => (Behaviour::Answer(500), Ending::Either),
            Self::Disable => (Behaviour::Script(vec![500, 200]), Ending::Either),
            Self::Delete => (Behaviour::Script(vec![500, 200]), Ending::Either),
            Self::DeadLetter | Self::OperationalInternal => {
                (Behaviour::Answer(200), Ending::Failed("internal"))
            }
            _ => (Behaviour::Answer(200), Ending::Success),
        };
        let endpoints = if self == Self::TenFail { 10 } else { 1 };
        (0..endpoints).for_each(|n| receiver.set(&format!("/{n}"), behaviour.clone()));
        match self {
            Self::SignUp | Self::CreateProject | Self::CreateKey | Self::RevokeKey | Self::CreateEndpoint => {
            }
            Self::AcceptOne | Self::AcceptTen | Self::AcceptSlow | Self::AcceptLeased | Self::Rotate => {}
            Self::Replay => replay::set_up(run).await,
            Self::Limited => limited::set_up(run).await,
            Self::ManualRetry | Self::AcceptAgain => {
                run.post_event(ONE, &json!({ "n": 1 }), ending).await;
                run.lane.settle(Duration::from_secs(20)).await;
            }
            Self::Disable | Self::Delete => {
                run.post_event(ONE, &json!({ "n": 1 }), ending).await;
                while run.lane.receiver.hits().is_empty() || run.lane.delivery.is_busy() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Self::Parked => run.lane.stop_mappings(),
            Self::Intake | Self::IntakeLeased => intake::set_up(run),
            Self::IntakeAgain => intake::set_up_again(run).await,
            Self::IntakeGivenUp => intake::set_up_given_up(run),
            _ => {
                run.lane.stop_mappings();
                let data = if self == Self::LargePayload { large() } else { json!({ "n": 1 }) };
                run.post_event(if self == Self::TenFail { TEN } else { ONE }, &data, ending).await;
            }
        }
        match self {
            Self::DeadLetter => _ = run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, DEAD),
            Self::Operational => operational::set_up(run),
            Self::OperationalRecovery => {
                operational::set_up(run);
                operational::set_down(run);
            }
            Self::OperationalInternal => {
                operational::set_up(run);
                run.lane.aws.sqs.move_all(FIRST_ATTEMPTS, DEAD);
            }
            Self::Parked => {
                let outgoing = Outgoing { body: NO_JOB.to_owned(), group: None, delay: Duration::ZERO };
                let sent = run.lane.aws.sqs.send(DEAD, outgoing);
                assert!(sent.is_ok(), "the dead-letter queue is there");
            }
            Self::BeforeItsRow => delete_delivery_rows(run),
            Self::MovesToSlowLane | Self::AcceptSlow => mark(run, "slow_until = :soon"),
            Self::Probe => mark(run, "hanging_since = :ago, hanging_tried_at = :ago"),
            _ => {}
        }
    }

    /// Walks the path.
    pub async fn walk(self, run: &mut Run<'_>) {
        match self {
            Self::SignUp => registry::sign_up(run).await,
            Self::CreateProject => registry::create_project(run).await,
            Self::CreateKey => registry::create_key(run).await,
            Self::RevokeKey => registry::revoke_key(run).await,
            Self::CreateEndpoint => registry::create_endpoint(run).await,
            Self::AcceptOne | Self::AcceptSlow | Self::AcceptLeased => {
                _ = run.post_event(ONE, &json!({ "n": 1 }), Ending::Success).await
            }
            Self::AcceptTen => _ = run.post_event(TEN, &json!({ "n": 10 }), Ending::Success).await,
            Self::AcceptAgain => {
                let sent = first(run);
                run.repeat_event(&sent, ONE, &json!({ "n": 1 })).await;
            }
            Self::ManualRetry => manual_retry(run).await,
            Self::Replay => replay::walk(run).await,
            Self::Rotate => rotate(run).await,
            Self::Disable => {
                let body = json!({ "status": "disabled" });
                let done = run.insist("PATCH", &run.endpoint(0, ""), &run.key(), Some(&body), &[200]).await;
                if done.last().is_some_and(|answer| answer.status == 200) {
                    run.close(0);
                }
            }
            Self::Delete => {
                let done = run.insist("DELETE", &run.endpoint(0, ""), &run.key(), None, &[204, 404]).await;
                if done.len() == 1 && done[0].status == 404 {
                    run.violation("the endpoint was not there before it was deleted".to_owned());
                }
                run.close(0);
            }
            _ => run.lane.start_mappings(),
        }
    }

    /// What must be so once everything has come to rest, beyond the invariants.
    pub async fn check(self, run: &Run<'_>) {
        match self {
            Self::Operational => operational::check(run, &["delivery.failed", "endpoint.disabled"]),
            Self::OperationalRecovery => operational::check(run, &["endpoint.recovered"]),
            Self::OperationalInternal => operational::check(run, &["delivery.failed"]),
            Self::AutoDisable | Self::Gone => {
                let shown = run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await.json();
                let failures = shown["consecutive_failures"].as_u64().unwrap_or(0);
                if shown["status"] != "disabled" || failures == 0 {
                    run.violation(format!("the endpoint should be disabled: {shown}"));
                }
            }
            Self::FirstSucceeds | Self::FirstFails => {
                let shown = run.lane.call("GET", &run.endpoint(0, ""), &run.key(), None).await.json();
                if shown["status"] != "active" || shown["consecutive_failures"] != 0 {
                    run.violation(format!("the endpoint should be in good health: {shown}"));
                }
            }
            Self::Disable | Self::Delete => {
                let deliveries = run.lane.aws.dynamo.rows("deliveries");
                for row in &deliveries {
                    let is_closed =
                        row["failure_reason"].as_str().is_some_and(|why| why.starts_with("endpoint_"));
                    // The retry may have been made before the call was answered.
                    if !is_closed && row["attempt_count"] == 1 {
                        run.violation(format!("ended otherwise: {row}"));
                    }
                }
            }
            Self::Replay => replay::check(run),
            Self::Intake | Self::IntakeLeased => intake::check(run),
            Self::IntakeAgain => intake::check_parked(run, &[]),
            Self::IntakeGivenUp => intake::check_given_up(run),
            Self::Limited => limited::check(run),
            Self::Parked => {
                let parked = run.lane.aws.sqs.bodies(PARKED);
                if parked.is_empty() || parked.iter().any(|body| body != NO_JOB) {
                    run.violation(format!("lost: parked are {parked:?}"));
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const NO_JOB: &str = "{\"hello\": \"no job\"}";

/// Too large to be kept on the delivery's own row, and it does not shrink.
fn large() -> Value {
    let noise: Vec<String> = (0..60).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    json!({ "noise": noise })
}

fn first(run: &Run<'_>) -> Sent {
    let first = run.notes().sent.first().cloned();
    first.unwrap_or(Sent { event_id: String::new(), listed: Vec::new(), ending: Ending::Either })
}

/// As if the job had overtaken the row's own write.
fn delete_delivery_rows(run: &Run<'_>) {
    for item in run.lane.aws.dynamo.items("deliveries") {
        let key = json!({ "partition": item["partition"], "id": item["id"] });
        let request = json!({ "TableName": "deliveries", "Key": key });
        run.lane.aws.dynamo.call("DeleteItem", &request.to_string());
    }
}

/// Sets what attempts before this one have shown of the first endpoint's speed.
fn mark(run: &Run<'_>, what: &str) {
    let key = json!({ "project_id": { "S": run.world.project_id }, "id": { "S": run.world.endpoints[0] } });
    let now = crate::clock::now_millis();
    let value = if what.contains(":soon") { (":soon", now + 120_000) } else { (":ago", now - 2_000) };
    let request = json!({ "TableName": "endpoints", "Key": key,
        "UpdateExpression": format!("SET {what}"),
        "ExpressionAttributeValues": { value.0: { "N": value.1.to_string() } } });
    run.lane.aws.dynamo.call("UpdateItem", &request.to_string());
}

async fn manual_retry(run: &Run<'_>) {
    let Some((delivery_id, _)) = first(run).listed.first().cloned() else { return };
    run.notes().retried.push(delivery_id.clone());
    let target = run.endpoint(0, &format!("/deliveries/{delivery_id}/retry"));
    run.insist("POST", &target, &run.key(), None, &[202, 409]).await;
    run.lane.settle(Duration::from_secs(100)).await;
    // Whatever became of the first call: in the end a manual attempt has been made, or can be. On a busy machine one may
    // time out.
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

async fn rotate(run: &Run<'_>) {
    let old = run.lane.aws.dynamo.rows("endpoints");
    let old = old.iter().find(|row| row["id"] == run.world.endpoints[0].as_str());
    let old = old.and_then(|row| row["signing_secret"].as_str()).unwrap_or_default().to_owned();
    let answers = run.insist("POST", &run.endpoint(0, "/secret/rotate"), &run.key(), None, &[200]).await;
    let shown = answers.last().map(|answer| answer.json()).unwrap_or_default();
    let new = shown["signing_secret"].as_str().unwrap_or_default().to_owned();
    run.post_event(ONE, &json!({ "n": 1 }), Ending::Success).await;
    run.lane.settle(Duration::from_secs(60)).await;
    for hit in run.lane.receiver.hits() {
        let header = |name: &str| hit.headers.get(name).cloned().unwrap_or_default();
        if header("x-echo-signature") != crate::signed::echo(&new, &hit.body) {
            run.violation("an attempt was not signed with the secret that the rotation gave".to_owned());
        }
        let by_old =
            crate::signed::standard(&old, &header("webhook-id"), &header("webhook-timestamp"), &hit.body);
        // Asked for once, rotated once: the secret before it still signs.
        if answers.len() == 1 && !header("webhook-signature").split(' ').any(|entry| entry == by_old) {
            run.violation("one rotation, and the secret before it no longer signs".to_owned());
        }
    }
}
