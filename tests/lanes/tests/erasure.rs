//! Rows that are written while their project is being erased.

use std::time::Duration;

use echo_lanes::fault::{CallKey, Fault, Injection, Span};
use echo_lanes::function::Kind;
use echo_lanes::lane::{Auth, LaneSettings};
use echo_lanes::path::erasure::{find_nothing_of, forget_events, ids_of_project};
use echo_lanes::run::Run;
use echo_lanes::world::{ONE, PASSWORD, World};
use serde_json::json;

/// An event is accepted while its project is erased: its rows are written seconds after the mark.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_under_way_leaves_nothing_behind() {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    let mut run = Run::new(world.lane(LaneSettings::default()).await.expect("a lane"), &world);
    let access = run.log_in(PASSWORD).await.access;
    // A process that has seen the key. The erasure is then the business of another.
    run.insist("GET", &run.project("/webhooks"), &run.key(), None, &[200]).await;
    let what = "BatchExecuteStatement events".to_owned();
    let late = Injection { fault: Fault::Late, span: Span::Once };
    run.lane.aws.faults.arm(Some((CallKey { kind: Kind::Api, what, nth: 1 }, late)));
    let (target, event) = (run.project("/events"), json!({ "event_name": ONE, "data": { "n": 1 } }));
    let key = run.key();
    let posted = run.lane.call("POST", &target, &key, Some(&event));
    let erased = async {
        let is_late = || run.lane.aws.faults.has_struck();
        assert!(echo_lanes::wait::until(Duration::from_secs(5), is_late).await, "no event was being written");
        let (body, bearer) = (json!({ "password": PASSWORD }), Auth::Bearer(&access));
        run.lane.call("DELETE", &run.project(""), &bearer, Some(&body)).await.status
    };
    let (posted, erased) = tokio::join!(posted, erased);
    assert_eq!(erased, 202);
    assert!(posted.status == 202 || posted.status >= 500, "{}", posted.status);
    let ids = ids_of_project(&run);
    assert!(!run.lane.aws.dynamo.rows("events").is_empty(), "the event came too soon or not at all");
    assert!(run.lane.settle(Duration::from_secs(120)).await, "it does not come to rest");
    forget_events(&run);
    find_nothing_of(&run, &ids);
    assert_eq!(run.notes().violations, [""; 0]);
    run.lane.stop_mappings();
}
