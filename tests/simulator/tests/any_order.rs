//! Any order, any number of times: many short runs full of faults. A failing test prints its seed, and `SEED=<n>`
//! repeats that run exactly.

use echo_shared::delivery::DeliveryStatus;
use echo_simulator::chaos::{Chaos, Design};
use echo_simulator::world::{Receiver, Settings, World};

const SEEDS: u64 = 20_000;
const WEEK_MS: i64 = 7 * 86_400_000;

fn life(seed: u64, chaos: Chaos, design: Design) -> World {
    let settings = Settings { chaos, design, ..Settings::template_defaults() };
    let receivers = vec![
        Receiver::Healthy { ms: 50 },
        Receiver::Flaky { once_in: 2, ms: 700 },
        Receiver::Failing { ms: 300 },
        Receiver::Hanging,
    ];
    let mut world = World::new(seed, settings, receivers);
    for endpoint in 0..4 {
        world.produce(endpoint, 400, 2);
    }
    world.run(WEEK_MS);
    world
}

/// Breaches of the rules that must hold in every run, with any faults.
fn breaches(world: &World) -> Vec<String> {
    let mut breaches = world.violations.clone();
    if !world.is_quiet() {
        breaches.push("jobs are left after a week".to_owned());
    }
    for (index, row) in world.rows.iter().enumerate() {
        if row.written_at.is_none() {
            if row.sends > 0 {
                breaches.push(format!("delivery {index} was sent, and its event was never accepted"));
            }
            continue;
        }
        if !row.status.is_final() {
            breaches.push(format!("delivery {index} never ended: {row:?}"));
        }
        if row.attempts > 4 {
            breaches.push(format!("delivery {index} had {} automatic attempts", row.attempts));
        }
        if row.status == DeliveryStatus::Failed && row.attempts != 4 {
            breaches.push(format!("delivery {index} gave up after {} attempts", row.attempts));
        }
        if row.sends != row.attempts + row.unrecorded {
            breaches.push(format!("delivery {index}: {} requests, {} recorded", row.sends, row.attempts));
        }
    }
    breaches
}

fn seeds() -> std::ops::Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "a developer's way to live one seed again")]
    let one: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    one.map_or(0..SEEDS, |seed| seed..seed + 1)
}

#[test]
fn every_delivery_ends_whatever_goes_wrong() {
    let (mut requests, mut unrecorded, mut doubled) = (0_u64, 0_u64, 0_u64);
    for seed in seeds() {
        let world = life(seed, Chaos::STORM, Design::AsBuilt);
        let breaches = breaches(&world);
        assert!(breaches.is_empty(), "seed {seed}:\n{}", breaches.join("\n"));
        requests += world.rows.iter().map(|row| u64::from(row.sends)).sum::<u64>();
        unrecorded += world.rows.iter().map(|row| u64::from(row.unrecorded)).sum::<u64>();
        doubled += world.doubled;
    }
    println!("{requests} requests, {unrecorded} without a record, {doubled} of them by a second job");
}

#[test]
fn without_duplicates_by_sqs_only_a_lost_record_repeats_a_request() {
    let (mut requests, mut doubled) = (0_u64, 0_u64);
    for seed in seeds() {
        let world = life(seed, Chaos::FAULTS, Design::AsBuilt);
        let breaches = breaches(&world);
        assert!(breaches.is_empty(), "seed {seed}:\n{}", breaches.join("\n"));
        requests += world.rows.iter().map(|row| u64::from(row.sends)).sum::<u64>();
        if world.doubled > 0 && std::env::var_os("SHOW").is_some() {
            println!("seed {seed} doubled");
        }
        doubled += world.doubled;
    }
    println!("{requests} requests, {doubled} by a second job");
    assert_eq!(doubled, 0);
}

#[test]
fn a_quiet_life_makes_exactly_the_requests_it_needs() {
    for seed in 0..100 {
        let world = life(seed, Chaos::default(), Design::AsBuilt);
        assert_eq!(breaches(&world), Vec::<String>::new(), "seed {seed}");
        assert!(world.rows.iter().all(|row| row.unrecorded == 0), "seed {seed}");
    }
}

#[test]
fn a_seed_lives_the_same_life_again() {
    let (one, other) = (life(7, Chaos::STORM, Design::AsBuilt), life(7, Chaos::STORM, Design::AsBuilt));
    assert_eq!(format!("{:?}", one.rows), format!("{:?}", other.rows));
}

/// How many of the first few hundred seeds notice a design that was broken on purpose.
fn noticed(design: Design) -> usize {
    (0..300).filter(|seed| !breaches(&life(*seed, Chaos::STORM, design)).is_empty()).count()
}

#[test]
fn attempt_numbers_from_the_receive_count_are_noticed() {
    assert!(noticed(Design::NumberFromReceiveCount) > 0);
}

#[test]
fn deleting_a_job_that_comes_before_its_rows_is_noticed() {
    assert!(noticed(Design::NoLookAgain) > 0);
}

#[test]
fn acting_before_the_due_time_is_noticed() {
    assert!(noticed(Design::NoDueCheck) > 0);
}
