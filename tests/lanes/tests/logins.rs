//! Failed logins from several addresses (contract §2): each caller has a budget of its own, and all callers share a
//! larger one.

use std::sync::Arc;

use echo_lanes::function::Function;
use echo_lanes::gateway::{self, HttpRequest};
use echo_lanes::lane::{Lane, LaneSettings};
use echo_lanes::world::{EMAIL, PASSWORD, World};
use serde_json::json;

const WRONG: &str = "not the password";
const OWNER: &str = "198.51.100.1";

async fn lane() -> Lane {
    let world = World::make().await.expect("the functions, built by `cargo build`");
    world.lane(LaneSettings::default()).await.expect("a lane")
}

/// Tries a password from an address, and returns the answer's status.
async fn log_in(lane: &Lane, from: &str, password: &str) -> u16 {
    log_in_at(&lane.api, from, password).await
}

async fn log_in_at(api: &Arc<Function>, from: &str, password: &str) -> u16 {
    let request = HttpRequest {
        method: "POST".to_owned(),
        target: "/auth/login".to_owned(),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: Some(json!({ "email": EMAIL, "password": password }).to_string().into()),
        source_ip: Some(from.to_owned()),
    };
    gateway::call(api, request).await.status
}

async fn fail(lane: &Lane, from: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(log_in(lane, from, WRONG).await);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_shuts_out_itself_and_not_the_owner() {
    let lane = lane().await;
    let stranger = "203.0.113.7";
    assert_eq!(fail(&lane, stranger, 10).await, [401; 10]);
    // The stranger's further tries cost nothing of the account's budget for all callers.
    assert_eq!(fail(&lane, stranger, 110).await, [429; 110]);
    assert_eq!(log_in(&lane, stranger, PASSWORD).await, 429);
    assert_eq!(fail(&lane, OWNER, 9).await, [401; 9]);
    assert_eq!(log_in(&lane, OWNER, PASSWORD).await, 200);
    // The right password cleared the owner's failures, but not the stranger's.
    assert_eq!(fail(&lane, OWNER, 9).await, [401; 9]);
    assert_eq!(log_in(&lane, stranger, PASSWORD).await, 429);
    // All IPv6 addresses of one /64 network are one caller.
    for n in 0..10 {
        assert_eq!(log_in(&lane, &format!("2001:db8:1:2::{n:x}"), WRONG).await, 401);
    }
    assert_eq!(log_in(&lane, "2001:db8:1:2:ffff::1", WRONG).await, 429);
    assert_eq!(log_in(&lane, "2001:db8:1:3::1", WRONG).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_failures_from_many_addresses_close_an_account_and_successes_do_not_count() {
    let lane = lane().await;
    for n in 0..10 {
        assert_eq!(fail(&lane, &format!("203.0.113.{n}"), 9).await, [401; 9]);
        // The owner's successful logins cost nothing.
        assert_eq!(log_in(&lane, OWNER, PASSWORD).await, 200);
    }
    assert_eq!(fail(&lane, "203.0.113.200", 9).await, [401; 9]);
    assert_eq!(log_in(&lane, OWNER, PASSWORD).await, 200);
    // The account has one failure left for all callers.
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..16 {
        let api = Arc::clone(&lane.api);
        tries.spawn(async move { log_in_at(&api, &format!("192.0.2.{n}"), WRONG).await });
    }
    let mut statuses = tries.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[401][..], &[429; 15]].concat());
    assert_eq!(log_in(&lane, OWNER, PASSWORD).await, 429);
}
