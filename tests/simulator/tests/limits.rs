//! Endpoints with a rate limit: no second has more requests than allowed, apart from late ones. No delivery is lost,
//! and none starves.

use echo_shared::delivery::DeliveryStatus;
use echo_simulator::chaos::{Chaos, Design};
use echo_simulator::world::{Groups, Receiver, Settings, World, timestamp};

const DAY_MS: i64 = 86_400_000;
const LIMIT: u16 = 5;
/// A mapping begins with five concurrent invocations and gets up to 300 more a minute, so a burst waits at first.
const BURST_MS: i64 = 60_000;
const BURST_WAIT_MS: i64 = 5_000;

/// Ten thousand events at once for an endpoint with a limit of ten a second, beside an endpoint without a limit.
#[test]
fn a_backlog_goes_out_at_the_limit_and_holds_nobody_up() {
    let settings = Settings { groups: Groups::None, ..Settings::template_defaults() };
    let receivers = vec![Receiver::Healthy { ms: 50 }, Receiver::Healthy { ms: 50 }];
    let mut world = World::new(1, settings, receivers);
    world.limit(1, 10);
    world.produce(0, 97, 20_000);
    world.produce(1, 1, 10_000);
    world.run(DAY_MS);
    let last = world.limited.iter().max().copied().unwrap_or(DAY_MS);
    println!("at most {} in a second, the last after {last} ms", world.most_in_a_second());
    // While more jobs wake than the mapping has invocations for, some miss their slots and use late slots.
    assert!(world.most_in_a_second() <= 2 * 10);
    assert!(last <= 1_002_000);
    assert!(world.rows.iter().all(|row| row.status == DeliveryStatus::Success && row.sends == 1));
    let waits = world.rows.iter().filter(|row| row.endpoint == 0).map(|row| row.first_sent_at);
    let undisturbed = |(row, sent): (&echo_simulator::world::Row, Option<i64>)| {
        let most = if row.accepted_at < BURST_MS { BURST_WAIT_MS } else { 200 };
        sent.is_some_and(|sent| sent - row.accepted_at <= most)
    };
    let healthy = world.rows.iter().filter(|row| row.endpoint == 0);
    assert!(healthy.zip(waits).all(undisturbed));
}

fn stormy(seed: u64, chaos: Chaos) -> World {
    let settings = Settings { chaos, ..Settings::template_defaults() };
    let receivers = vec![Receiver::Flaky { once_in: 4, ms: 300 }, Receiver::Hanging];
    let mut world = World::new(seed, settings, receivers);
    world.limit(0, LIMIT);
    world.produce(0, 10, 40);
    world.produce(1, 400, 3);
    world.run(7 * DAY_MS);
    world
}

#[test]
fn whatever_goes_wrong_the_limit_holds_and_every_delivery_ends() {
    // A second has its own slots and as many late slots. In a storm the clocks and the queues' times are wrong as
    // well.
    for (chaos, most) in [(Chaos::FAULTS, 2), (Chaos::STORM, 3)] {
        let mut seen = 0;
        for seed in 0..2_000 {
            let world = stormy(seed, chaos);
            assert_eq!(world.violations, Vec::<String>::new(), "seed {seed}");
            assert!(world.is_quiet(), "seed {seed}: jobs are left");
            for row in world.rows.iter().filter(|row| row.written_at.is_some()) {
                assert!(row.status.is_final() && row.attempts <= 4, "seed {seed}: {row:?}");
                assert_eq!(row.sends, row.attempts + row.unrecorded, "seed {seed}: {row:?}");
            }
            seen = seen.max(world.most_in_a_second());
            assert!(world.most_in_a_second() <= most * usize::from(LIMIT), "seed {seed}");
        }
        println!("at most {seen} in a second");
    }
}

/// The slow lane has one invocation, and a slow endpoint holds it for almost fifteen seconds at a time. So a job that
/// waits in this lane wakes late each time.
fn late(design: Design) -> World {
    let settings =
        Settings { concurrency: [250, 20, 1], groups: Groups::None, design, ..Settings::template_defaults() };
    let receivers = vec![Receiver::Healthy { ms: 50 }, Receiver::Healthy { ms: 14_900 }];
    let mut world = World::new(1, settings, receivers);
    world.limit(0, LIMIT);
    world.produce(0, 10, 500);
    world.produce(1, 16_000, 3_000);
    // All jobs have been put off to their slots by the time the endpoint is marked as slow.
    world.run(6_000);
    world.endpoints[0].state.slow_until = Some(timestamp(7 * DAY_MS));
    world.run(2 * DAY_MS);
    world
}

fn sent(world: &World) -> usize {
    world.rows.iter().filter(|row| row.endpoint == 0 && row.sends > 0).count()
}

#[test]
fn a_job_that_always_wakes_late_is_sent_too_and_never_in_a_heap() {
    let world = late(Design::AsBuilt);
    let last = world.limited.iter().max().copied().unwrap_or(0);
    println!(
        "{} sent, at most {} in a second, the last after {last} ms",
        sent(&world),
        world.most_in_a_second()
    );
    assert_eq!(sent(&world), 500);
    assert!(world.most_in_a_second() <= 2 * usize::from(LIMIT));
}

#[test]
fn slots_that_are_good_for_ever_are_noticed() {
    let world = late(Design::SlotsAreGoodForEver);
    println!("{} sent, at most {} in a second", sent(&world), world.most_in_a_second());
    assert!(world.most_in_a_second() > 2 * usize::from(LIMIT));
}

#[test]
fn a_single_line_for_who_is_late_is_noticed() {
    let (built, without) = (late(Design::AsBuilt), late(Design::NoLateSlots));
    let last = |world: &World| world.limited.iter().max().copied().unwrap_or(0);
    println!("{} sent by {} ms, as built by {} ms", sent(&without), last(&without), last(&built));
    assert!(sent(&without) < 500 || last(&without) > 2 * last(&built));
}
