//! One project beside others whose endpoints hang: the project's first attempts and retries stay on time.

use std::time::Duration;

use echo_shared::delivery::DeliveryStatus;
use echo_simulator::chaos::Design;
use echo_simulator::world::{Groups, Receiver, Row, Settings, World};

const HOUR_MS: i64 = 3_600_000;

/// The endpoints of the project that must not notice the others.
const FLAKY: u16 = 0;
const SLOW: u16 = 1;
const OTHERS_FROM: u16 = 2;

/// The hanging endpoints beside it.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Nothing,
    /// Fifty endpoints of one project, with an event a second each.
    OneProject,
    /// Fifty projects with one endpoint each, with an event a second each.
    FiftyProjects,
    /// One endpoint with a thousand events a second.
    AFlood,
}

fn an_hour(beside: Beside, settings: Settings) -> World {
    let (count, every_ms) = match beside {
        Beside::Nothing => (0, 1),
        Beside::OneProject | Beside::FiftyProjects => (50, 1_000),
        Beside::AFlood => (1, 1),
    };
    let project = |n: u16| if matches!(beside, Beside::FiftyProjects) { 1 + n } else { 1 };
    let own = [Receiver::Flaky { once_in: 10, ms: 50 }, Receiver::Healthy { ms: 3_000 }];
    let own = own.map(|receiver| (0, receiver));
    let others = (0..count).map(|n| (project(n), Receiver::Hanging));
    let mut world = World::of_projects(1, settings, own.into_iter().chain(others).collect());
    // Twenty minutes of a flood show the same as an hour.
    let lasts = if matches!(beside, Beside::AFlood) { HOUR_MS / 3 } else { HOUR_MS };
    world.produce(FLAKY, 397, lasts / 397);
    world.produce(SLOW, 5_003, lasts / 5_003);
    for endpoint in OTHERS_FROM..OTHERS_FROM + count {
        world.produce(endpoint, every_ms, lasts / every_ms);
    }
    world.run(lasts + 120_000);
    world
}

/// The median and the greatest of a number that each of an endpoint's deliveries has.
fn spread(world: &World, endpoint: u16, of: impl Fn(&Row) -> i64) -> (i64, i64) {
    let mut values: Vec<i64> = world.rows.iter().filter(|row| row.endpoint == endpoint).map(of).collect();
    values.sort_unstable();
    (values[values.len() / 2], values[values.len() - 1])
}

fn first_attempts(world: &World, endpoint: u16) -> (i64, i64) {
    spread(world, endpoint, |row| row.first_sent_at.map_or(HOUR_MS, |sent| sent - row.accepted_at))
}

/// The promise to the quiet projects of a shared service: half of all within two seconds, each within a minute.
fn is_on_time((median, longest): (i64, i64)) -> bool {
    median <= 2_000 && longest <= 60_000
}

#[test]
fn first_attempts_and_retries_are_on_time_beside_what_hangs() {
    for beside in [Beside::Nothing, Beside::OneProject, Beside::FiftyProjects, Beside::AFlood] {
        let world = an_hour(beside, Settings::template_defaults());
        let first = first_attempts(&world, FLAKY);
        let retries = spread(&world, FLAKY, |row| row.late_ms);
        let slow = first_attempts(&world, SLOW);
        println!("{beside:?}: first attempts {first:?}, retries {retries:?}, of a slow endpoint {slow:?} ms");
        assert!(is_on_time(first) && is_on_time(retries) && is_on_time(slow), "{beside:?}");
    }
}

#[test]
fn as_many_attempts_as_come_for_what_hangs_are_noticed() {
    let settings = Settings { design: Design::NoProbes, ..Settings::template_defaults() };
    let world = an_hour(Beside::FiftyProjects, settings);
    assert!(!is_on_time(first_attempts(&world, SLOW)));
}

#[test]
fn one_lane_for_slow_and_prompt_endpoints_is_noticed() {
    let settings = Settings { design: Design::OneLane, ..Settings::template_defaults() };
    let world = an_hour(Beside::FiftyProjects, settings);
    assert!(!is_on_time(spread(&world, FLAKY, |row| row.late_ms)));
}

/// Thirty endpoints of one project fail after 1.9 s each and take the whole lane of retries. Each endpoint alone has
/// too few messages to be noisy. Grouped by project they are noisy, and the other project's retries go first.
#[test]
fn a_project_is_one_group_however_many_endpoints_it_has() {
    let retries_late = |groups| {
        let settings = Settings { groups, ..Settings::template_defaults() };
        let others = (0..30).map(|_| (1, Receiver::Failing { ms: 1_900 }));
        let own = [(0, Receiver::Flaky { once_in: 10, ms: 50 })];
        let mut world = World::of_projects(1, settings, own.into_iter().chain(others).collect());
        world.produce(FLAKY, 397, HOUR_MS / 397);
        for endpoint in 1..=30 {
            world.produce(endpoint, 400, HOUR_MS / 400);
        }
        world.run(HOUR_MS);
        spread(&world, FLAKY, |row| row.late_ms)
    };
    let (by_project, by_endpoint) = (retries_late(Groups::Projects), retries_late(Groups::Endpoints));
    println!("retries late by project {by_project:?}, by endpoint {by_endpoint:?} ms");
    assert!(is_on_time(by_project));
    assert!(!is_on_time(by_endpoint));
}

/// An endpoint that never answers one request in a hundred does not count as hanging, so its other requests are not
/// held up.
#[test]
fn a_single_timeout_is_no_hang() {
    let waits = |design, seconds| {
        let request_timeout = Duration::from_secs(seconds);
        let settings = Settings { design, request_timeout, ..Settings::template_defaults() };
        let mut world = World::new(1, settings, vec![Receiver::Lossy { once_in: 100, ms: 50 }]);
        world.produce(0, 50, 20_000);
        world.run(HOUR_MS);
        first_attempts(&world, 0)
    };
    for seconds in [1, 3, 5, 15] {
        let (as_built, otherwise) =
            (waits(Design::AsBuilt, seconds), waits(Design::OneTimeoutIsAHang, seconds));
        println!("timeout {seconds} s: first attempts {as_built:?}, otherwise {otherwise:?} ms");
        assert!(as_built.1 <= 2_000, "{seconds}");
        assert!(otherwise.1 > 5_000, "{seconds}");
    }
}

/// Waits double while the endpoint hangs, so at its delivery an event is less than three times as old as it was at the
/// recovery.
#[test]
fn waiting_deliveries_are_made_soon_after_the_recovery() {
    for hung_for in [60_000, 20 * 60_000, 3 * HOUR_MS] {
        let receivers = vec![Receiver::HangsUntil { at: hung_for, ms: 50 }];
        let mut world = World::new(1, Settings::template_defaults(), receivers);
        world.produce(0, 1_000, hung_for / 1_000 + 60);
        world.run(24 * HOUR_MS);
        let succeeded = |row: &Row| row.sends - row.unrecorded < 4;
        let late = |row: &Row| if row.status == DeliveryStatus::Success { row.updated_at } else { i64::MAX };
        let last = world.rows.iter().filter(|row| succeeded(row)).map(late).max().unwrap_or(0);
        println!("hung for {hung_for} ms, all delivered {} ms after it", last - hung_for);
        // The probe comes at most five minutes after the recovery and the look at most fifteen after the probe; or a
        // retry comes at its time.
        assert!(last - hung_for <= hung_for.min(20 * 60_000) + 31 * 60_000, "{hung_for}");
    }
}

/// A job that waits for a hanging endpoint looks again and again, and each look is a receive. No queue gives the job
/// up for that, however long the endpoint hangs.
#[test]
fn a_delivery_that_waits_for_twelve_days_is_never_given_up() {
    let twelve_days_ms = 12 * 24 * HOUR_MS;
    let receivers = vec![Receiver::HangsUntil { at: twelve_days_ms, ms: 50 }];
    let mut world = World::new(1, Settings::template_defaults(), receivers);
    // More events than all probes and their retries can end in that time.
    world.produce(0, 10_000, 6_000);
    world.run(twelve_days_ms + 24 * HOUR_MS);
    assert_eq!((world.internal, world.dead_letters()), (0, 0));
    assert!(world.rows.iter().all(|row| row.status.is_final()));
}
