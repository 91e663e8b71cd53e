//! One endpoint gets 1,000 events a second and fails all of them, beside an endpoint that works. The
//! queues deliver messages in order here, so the help that fair queues give quiet endpoints would come on top.

use echo_simulator::chaos::Design;
use echo_simulator::world::{Groups, Receiver, Row, Settings, World};

/// An hour shows the same as these twenty minutes, and takes three times as long.
const FLOOD_MS: i64 = 1_200_000;

/// A mapping begins with five concurrent invocations and gets up to 300 more a minute, so a burst waits at first.
const BURST_MS: i64 = 60_000;
const BURST_WAIT_MS: i64 = 5_000;

/// How long the healthy endpoint's events waited for their first attempt, shortest first. The list begins when the
/// mappings have as many invocations as they need.
fn healthy_waits(bad: Receiver, design: Design) -> Vec<i64> {
    let settings = Settings { design, groups: Groups::None, ..Settings::template_defaults() };
    let mut world = World::new(1, settings, vec![Receiver::Healthy { ms: 50 }, bad]);
    world.produce(0, 97, FLOOD_MS / 97);
    world.produce(1, 1, FLOOD_MS);
    world.run(FLOOD_MS + 60_000);
    let wait = |row: &Row| row.first_sent_at.map_or(FLOOD_MS, |sent| sent - row.accepted_at);
    let (burst, later): (Vec<&Row>, Vec<&Row>) =
        world.rows.iter().filter(|row| row.endpoint == 0).partition(|row| row.accepted_at < BURST_MS);
    let longest = burst.into_iter().map(wait).max().unwrap_or(FLOOD_MS);
    println!("{bad:?}, {design:?}: max {longest} ms at first");
    if design == Design::AsBuilt {
        assert!(longest <= BURST_WAIT_MS, "{longest}");
    }
    let mut waits: Vec<i64> = later.into_iter().map(wait).collect();
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 1_000];
    println!(
        "{bad:?}, {design:?}: p50 {} ms, p99 {} ms, p99.9 {} ms, max {} ms",
        at(500),
        at(990),
        at(999),
        at(1_000)
    );
    waits
}

/// A poll's interval plus a little: no delivery waits for another endpoint's.
const UNDISTURBED_MS: i64 = 200;

#[test]
fn a_hanging_endpoint_does_not_delay_another() {
    let waits = healthy_waits(Receiver::Hanging, Design::AsBuilt);
    assert!(waits.last().is_some_and(|max| *max <= UNDISTURBED_MS));
}

#[test]
fn a_failing_endpoint_does_not_delay_another() {
    let waits = healthy_waits(Receiver::Failing { ms: 50 }, Design::AsBuilt);
    assert!(waits.last().is_some_and(|max| *max <= UNDISTURBED_MS));
}

/// Retries share the slow lane with the flood, and only fair queues keep them on time there.
#[test]
fn retries_of_another_endpoint_stay_within_a_minute() {
    for bad in [Receiver::Hanging, Receiver::Failing { ms: 50 }] {
        let receivers = vec![Receiver::Flaky { once_in: 10, ms: 50 }, bad];
        let mut world = World::new(1, Settings::template_defaults(), receivers);
        world.produce(0, 97, FLOOD_MS / 97);
        world.produce(1, 1, FLOOD_MS);
        world.run(FLOOD_MS + 60_000);
        let flaky = world.rows.iter().filter(|row| row.endpoint == 0);
        let latest = flaky.map(|row| row.late_ms).max().unwrap_or(FLOOD_MS);
        println!("{bad:?}: a retry came {latest} ms late at most");
        assert!(latest <= 60_000);
    }
}

#[test]
fn one_lane_for_all_is_noticed() {
    let waits = healthy_waits(Receiver::Hanging, Design::OneLane);
    assert!(waits.last().is_some_and(|max| *max > UNDISTURBED_MS));
}

#[test]
fn retries_in_the_first_attempt_queue_are_noticed() {
    let waits = healthy_waits(Receiver::Failing { ms: 50 }, Design::RetriesShareTheFirstQueue);
    assert!(waits.last().is_some_and(|max| *max > UNDISTURBED_MS));
}
