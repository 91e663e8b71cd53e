//! Both functions need nothing beyond the grants of their roles, and use every grant.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use echo_lanes::fault::{Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::iam::policy::Use;
use echo_lanes::iam::{Granted, missing_for_mappings, unused};
use echo_lanes::invariants::judge;
use echo_lanes::lane::{LaneSettings, told};
use echo_lanes::path;
use echo_lanes::run::{Ending, Run};
use echo_lanes::suite::{self, Case};
use echo_lanes::tour;
use echo_lanes::world::{TEN, World};
use echo_template::Template;
use serde_json::json;

const AUTOMATIC: usize = 4;
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// Parameters that switch every optional part on, so that the test covers every grant.
const EVERYTHING: [(&str, &str); 7] = [
    ("EventBusName", "default"),
    // The bus on which the paths report to the operator.
    ("OperationalEventBusName", "default"),
    ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
    ("Tracing", "Active"),
    ("VpcSubnetIds", "subnet-1"),
    ("VpcSecurityGroupIds", "sg-1"),
    ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/1"),
];

fn everything(text: &str) -> Template {
    Template::parse(text, &EVERYTHING).expect("the template")
}

fn changed(what: &str, to: &str) -> String {
    let text = echo_template::text();
    assert!(text.contains(what), "the template has no {what}");
    text.replace(what, to)
}

async fn world() -> World {
    std::fs::create_dir_all(suite::logs()).expect("a folder for logs");
    World::make().await.expect("the functions, built by `cargo build`")
}

/// The uses of both functions on every path, on a tour of the rest of the API, and on three paths without answers
/// from DynamoDB.
async fn used() -> BTreeSet<Use> {
    let world = Arc::new(world().await);
    let run = tour::make(&world, LaneSettings::default()).await.expect("a lane");
    let verdict = judge(&run, run.lane.settle(SETTLES_WITHIN).await, AUTOMATIC).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!(verdict.losses, [""; 0]);
    let mut used = run.lane.aws.iam.used();
    drop(run);
    let cases: Vec<Case> = path::ALL.into_iter().map(|path| Case { path, k: 0, plan: None }).collect();
    let mut walked = suite::walk_all(Arc::clone(&world), cases, 6, None, |_| {}).await;
    assert_eq!(walked.len(), path::ALL.len(), "every path was walked");
    // A message backs off in its own queue when DynamoDB does not answer.
    let unanswered = ["first-succeeds", "intake", "dead-letter"].map(path::named).map(|path| {
        let plain = walked.iter().find(|one| one.case.path.name() == path.name());
        let first = plain.and_then(|one| one.calls.iter().find(|call| call.kind == Kind::Delivery));
        let injection = Injection { fault: Fault::Refused, span: Span::Invocation };
        Case { path, k: 1, plan: first.map(|first| (first.clone(), injection)) }
    });
    walked.extend(suite::walk_all(world, unanswered.into(), 3, None, |_| {}).await);
    for one in walked {
        let refused: Vec<_> = one.verdict.violations.iter().filter(|one| one.contains("allow")).collect();
        assert!(refused.is_empty(), "{}: {refused:?}", one.case.name());
        used.extend(one.used);
    }
    used
}

#[tokio::test(flavor = "multi_thread")]
async fn every_grant_is_used_and_another_is_told() {
    let used = used().await;
    let left = unused(&everything(&echo_template::text()), &used);
    assert!(left.is_empty(), "granted and never used:\n{}", told(&left));

    let more = changed("dynamodb:PartiQLInsert,", "dynamodb:PartiQLInsert, dynamodb:PartiQLDelete,");
    let left = unused(&everything(&more), &used);
    assert!(!left.is_empty() && left.iter().all(|one| one.action == "dynamodb:PartiQLDelete"), "{left:?}");
    let more = changed("events:PutEvents", "events:Put*");
    assert_eq!(unused(&everything(&more), &used), [], "the pattern covers a use");
}

/// Posts an event for ten endpoints in a lane whose roles come from another template.
async fn posted<'a>(world: &'a World, text: &str) -> Run<'a> {
    let granted = Some(Granted::by(&Template::parse(text, &[]).expect("the template")));
    let lane = world.lane(LaneSettings { granted, ..LaneSettings::default() }).await.expect("a lane");
    let run = Run::new(lane, world);
    run.post_event(TEN, &json!({ "n": 1 }), Ending::Success).await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_taken_away_fails_the_walk() {
    let world = world().await;
    let run = posted(&world, &changed("dynamodb:PartiQLInsert, ", "")).await;
    let has_settled = run.lane.settle(Duration::from_secs(2)).await;
    let verdict = judge(&run, has_settled, AUTOMATIC).await;
    let wanted = "api: dynamodb:PartiQLInsert on arn:aws:dynamodb:us-east-1:123456789012:table/echo-webhooks-00000000-deliveries";
    assert!(verdict.violations.iter().any(|one| one.contains(wanted)), "{:?}", verdict.violations);

    let run = posted(&world, &changed("sqs:SendMessage", "sqs:SendNothing")).await;
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(run)));
    assert!(dropped.is_err(), "a lane with unreported refusals fails its test");
}

#[test]
fn lambda_may_do_for_each_mapping_what_it_needs() {
    let missing = missing_for_mappings(&Template::load());
    assert!(missing.is_empty(), "the mappings need, and the role does not allow:\n{}", told(&missing));
    let less = changed("sqs:DeleteMessage, ", "");
    let missing = missing_for_mappings(&Template::parse(&less, &[]).expect("the template"));
    assert!(missing.iter().all(|one| one.action == "sqs:DeleteMessage") && missing.len() >= 4, "{missing:?}");
}
