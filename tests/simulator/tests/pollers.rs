//! The pollers of an event source mapping: they begin with few concurrent batches, and hold batches that Lambda does
//! not accept.

use echo_shared::decision::Lane;
use echo_shared::delivery::DeliveryStatus;
use echo_simulator::broken::Broken;
use echo_simulator::metrics::{Function, Metric};
use echo_simulator::pollers::Ramp;
use echo_simulator::world::{Receiver, Settings, World};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The slowest answer of an endpoint that does not count as slow.
const SLOW: Receiver = Receiver::Healthy { ms: 1_900 };

/// The concurrent invocations at these milliseconds after a burst, and again after a second burst, which comes when the
/// first is done.
fn bursts(ramp: Ramp, after: &[i64]) -> [Vec<usize>; 2] {
    let settings = Settings { ramp, ..Settings::template_defaults() };
    let mut world = World::new(1, settings, vec![SLOW]);
    let running = [0, HOUR_MS].map(|begin| {
        world.run_out(begin);
        assert!(world.is_quiet());
        world.produce(0, 0, 60_000);
        let running_after = |after: &i64| {
            world.run_out(begin + after);
            world.running(Lane::FirstAttempts)
        };
        after.iter().map(running_after).collect()
    });
    world.run(DAY_MS);
    assert!(world.is_quiet());
    assert!(world.rows.iter().all(|row| row.sends == 1 && row.status == DeliveryStatus::Success));
    running
}

#[test]
fn a_burst_meets_five_invocations_then_300_more_a_minute_up_to_the_most_and_later_five_again() {
    let ceiling = Settings::template_defaults().concurrency[0];
    let after = [50, 30_050, 63_050];
    for running in bursts(Ramp::AtTheMinutesEnd, &after) {
        assert_eq!(running, [5, 5, ceiling]);
    }
    for running in bursts(Ramp::Evenly, &after) {
        assert_eq!((running[0], running[2]), (5, ceiling));
        assert!((150..=155).contains(&running[1]), "{running:?}");
    }
}

fn sum(world: &World, metric: Metric) -> f64 {
    world.metrics.values(metric).into_iter().flatten().sum()
}

/// While there is no room for an invocation, a poller holds each batch for the queue's visibility timeout. The batch
/// then comes back with one more receive, and is handled once when there is room again.
#[test]
fn a_throttled_functions_messages_come_back_with_one_more_receive_each_time() {
    let settings = Settings::template_defaults();
    let (all, visibility_ms) = (settings.account_concurrency, settings.visibility_ms);
    let mut world = World::new(1, settings, vec![Receiver::Healthy { ms: 50 }]);
    world.produce(0, 100, 30);
    // The events are accepted while there is room, and their jobs are not received until there is none.
    world.broken.off[0] = true;
    world.run_out(10 * SECOND_MS);
    world.broken = Broken { taken_by_others: all, ..Broken::default() };
    let rounds = 4;
    world.run_out(10 * SECOND_MS + rounds * visibility_ms + 10 * SECOND_MS);
    assert_eq!(u32::try_from(rounds).map(|rounds| rounds + 1), Ok(world.most_receives));
    assert!(world.rows.iter().all(|row| row.sends == 0));
    assert!(sum(&world, Metric::Throttles(Function::Delivery)) > 0.0);
    world.broken = Broken::default();
    world.run(HOUR_MS);
    assert!(world.is_quiet());
    assert!(world.rows.iter().all(|row| row.sends == 1 && row.status == DeliveryStatus::Success));
}

/// Half a day of events to healthy, flaky and failing receivers, with a delivery function that cannot run.
fn half_a_day(broken: Broken) -> World {
    let receivers = vec![
        Receiver::Healthy { ms: 50 },
        Receiver::Flaky { once_in: 3, ms: 300 },
        Receiver::Failing { ms: 50 },
    ];
    let mut world = World::new(1, Settings::template_defaults(), receivers);
    for endpoint in 0..3 {
        world.produce(endpoint, 20_000, 13 * HOUR_MS / 20_000);
    }
    world.run_out(30 * MINUTE_MS);
    world.broken = broken;
    world.run_out(30 * MINUTE_MS + 12 * HOUR_MS);
    world.broken = Broken::default();
    world.run(3 * DAY_MS);
    world
}

#[test]
fn a_function_that_does_not_start_for_twelve_hours_costs_no_delivery() {
    let taken_by_others = Settings::template_defaults().account_concurrency;
    let causes = [
        Broken { delivery: true, ..Broken::default() },
        Broken { taken_by_others, ..Broken::default() },
        Broken { dynamodb: true, ..Broken::default() },
        Broken { sqs: true, ..Broken::default() },
    ];
    for broken in causes {
        let world = half_a_day(broken);
        assert!(world.is_quiet(), "{broken:?}");
        assert_eq!((world.internal, world.dead_letters()), (0, 0), "{broken:?}");
        for row in &world.rows {
            let attempts = if row.status == DeliveryStatus::Failed { 4 } else { row.attempts };
            assert!(row.status.is_final() && row.attempts == attempts, "{broken:?}: {row:?}");
            assert_eq!(row.sends, row.attempts + row.unrecorded, "{broken:?}: {row:?}");
        }
        assert!(world.rows.len() > 6_000, "events were accepted after the outage");
    }
}

/// The simulator can fail the test above: with fewer allowed receives, half a day ends deliveries whose receiver
/// works.
#[test]
fn too_few_receives_are_noticed() {
    let settings = Settings { max_receives: 100, ..Settings::template_defaults() };
    let mut world = World::new(1, settings, vec![Receiver::Healthy { ms: 50 }]);
    world.produce(0, 20_000, 10);
    world.broken.delivery = true;
    world.run_out(12 * HOUR_MS);
    world.broken = Broken::default();
    world.run(DAY_MS);
    assert!(world.is_quiet());
    assert_eq!(world.internal, 10);
    assert!(sum(&world, Metric::DeadLettered) > 0.0);
}

/// A dead letter ends its delivery only if the row names its job: the other jobs of the delivery go on.
#[test]
fn a_dead_letter_of_a_copy_leaves_its_delivery_to_the_job_that_the_row_names() {
    let mut world = World::new(1, Settings::template_defaults(), vec![Receiver::Failing { ms: 50 }]);
    world.produce(0, 1_000, 2);
    world.run_out(3 * MINUTE_MS);
    let named = [world.rows[0].chain, world.rows[1].chain];
    assert!(named.iter().all(Option::is_some), "both wait for a retry");
    world.bury(0, named[0]);
    world.bury(1, None);
    world.run(DAY_MS);
    assert!(world.is_quiet());
    assert_eq!((world.internal, world.dead_letters()), (1, 0));
    assert_eq!([world.rows[0].attempts, world.rows[1].attempts], [2, 4]);
    assert!(world.rows.iter().all(|row| row.status == DeliveryStatus::Failed));
}

/// A new account may have ten concurrent invocations in all. An endpoint that fails slowly takes them from the API
/// too. Still every delivery ends as its receiver's answers demand.
#[test]
fn both_functions_share_what_the_account_has() {
    let settings = Settings { account_concurrency: 10, ..Settings::template_defaults() };
    let mut world =
        World::new(1, settings, vec![Receiver::Healthy { ms: 50 }, Receiver::Failing { ms: 1_900 }]);
    world.produce(0, 1_000, 600);
    world.produce(1, 20, 30_000);
    world.run(DAY_MS);
    assert!(sum(&world, Metric::Throttles(Function::Api)) > 0.0);
    assert!(world.is_quiet());
    assert_eq!(world.internal, 0);
    for row in &world.rows {
        let wanted = if row.endpoint == 0 { DeliveryStatus::Success } else { DeliveryStatus::Failed };
        assert_eq!(row.status, wanted, "{row:?}");
    }
}
