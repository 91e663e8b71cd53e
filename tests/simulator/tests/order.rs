//! An ordered endpoint under every fault: order, numbers and an end for each delivery. Without one of its parts the design fails.

use echo_simulator::streams::{Design, Fate, Faults, Outcome, run};

const STORM: Faults = Faults {
    crash: 40,
    refused: 25,
    answer_lost: 25,
    duplicate: 30,
    repeated: 10,
    skew_ms: 1_500,
    disabled: false,
};

const CALM: Faults =
    Faults { crash: 0, refused: 0, answer_lost: 0, duplicate: 0, repeated: 0, skew_ms: 0, disabled: false };

/// What is wrong with a world.
fn wrong(outcome: &Outcome) -> Option<String> {
    let Outcome { fates, places, .. } = outcome;
    for (n, fate) in fates {
        if fate.answered_at.is_none() {
            return Some(format!("{n} was never accepted: {fate:?}"));
        }
        if fate.ended_at.is_none() {
            return Some(format!("{n} never ended: {fate:?}"));
        }
        if fate.numbers_differ {
            return Some(format!("{n} was sent with two numbers: {fate:?}"));
        }
    }
    for place in places {
        let in_order: Vec<(u64, Fate)> = place.iter().map(|n| (*n, fates[n])).collect();
        for (earlier, later) in in_order.iter().zip(in_order.iter().skip(1)) {
            if earlier.1.answered_at.is_some_and(|at| at < later.1.posted_at) && earlier.0 > later.0 {
                return Some(format!("{earlier:?} was accepted before {later:?} was posted"));
            }
        }
        // Of any two, the one that was accepted before the other was posted has the earlier place.
        let mut latest_post = 0;
        for (n, fate) in &in_order {
            if fate.answered_at.is_some_and(|at| at < latest_post) {
                return Some(format!("{n} stands behind a later one: {fate:?}"));
            }
            latest_post = latest_post.max(fate.posted_at);
        }
        let (mut ended_at, mut number) = (0, 0);
        for (n, fate) in in_order {
            if let Some(sent_at) = fate.first_request_at {
                if sent_at < ended_at {
                    return Some(format!("{n} was sent before the one before it ended: {fate:?}"));
                }
                let given = fate.number.unwrap_or(0);
                if given <= number {
                    return Some(format!("{n} has number {given} after {number}"));
                }
                number = given;
            }
            ended_at = ended_at.max(fate.ended_at.unwrap_or(i64::MAX));
        }
    }
    None
}

/// Numbers are 1, 2, 3, … among the deliveries that were sent.
fn gap(outcome: &Outcome) -> Option<String> {
    outcome.places.iter().find_map(|place| {
        let sent = place.iter().filter_map(|n| outcome.fates[n].number);
        let numbers: Vec<u64> = sent.collect();
        let is_whole = numbers.iter().copied().eq(1..=numbers.len() as u64);
        (!is_whole).then(|| format!("{numbers:?}"))
    })
}

fn first_wrong(seeds: std::ops::Range<u64>, faults: Faults, design: Design) -> Option<String> {
    seeds.into_iter().find_map(|seed| {
        let outcome = run(seed, 1 + usize::try_from(seed % 3).unwrap_or(0), 120, faults, design);
        wrong(&outcome).map(|wrong| format!("seed {seed}: {wrong}"))
    })
}

#[test]
fn order_holds_in_a_storm() {
    assert_eq!(first_wrong(0..400, STORM, Design::AsBuilt), None);
}

#[test]
fn numbers_have_no_gap_where_every_delivery_is_attempted() {
    for seed in 0..200 {
        let outcome = run(seed, 2, 100, STORM, Design::AsBuilt);
        assert_eq!(gap(&outcome), None, "seed {seed}");
    }
}

#[test]
fn numbers_have_no_gap_where_some_end_without_an_attempt() {
    let mut ended_so = 0;
    for seed in 0..100 {
        let outcome = run(seed, 2, 150, Faults { disabled: true, ..CALM }, Design::AsBuilt);
        assert_eq!((wrong(&outcome), gap(&outcome)), (None, None), "seed {seed}");
        ended_so += outcome.fates.values().filter(|fate| fate.first_request_at.is_none()).count();
    }
    assert!(ended_so > 100, "{ended_so} ended without an attempt");
}

/// A number that never arrives is a delivery that failed, however many functions die meanwhile.
#[test]
fn order_holds_where_some_end_without_an_attempt() {
    assert_eq!(first_wrong(1_000..1_200, Faults { disabled: true, ..STORM }, Design::AsBuilt), None);
}

#[test]
fn a_streams_message_that_comes_twice_makes_no_second_request() {
    for seed in 0..100 {
        let faults = Faults { duplicate: 5, ..CALM };
        let outcome = run(seed, 2, 60, faults, Design::AsBuilt);
        assert_eq!(wrong(&outcome), None, "seed {seed}");
        // A retry has a job of its own, and SQS may hand that out twice at once.
        let again = outcome.fates.values().find(|fate| fate.attempts == 1 && fate.requests > 1);
        assert!(again.is_none(), "seed {seed}: {again:?}");
    }
}

/// An append and a block for each delivery at most, and in a backlog little more than the append.
#[test]
fn a_delivery_costs_two_writes_more_and_one_in_a_backlog() {
    let outcome = run(7, 1, 400, CALM, Design::AsBuilt);
    let most: u64 = outcome.fates.values().map(|fate| 2 + u64::from(fate.attempts > 1)).sum();
    assert!(outcome.stream_writes <= most, "{} writes for 400 deliveries", outcome.stream_writes);
}

#[test]
fn each_part_of_the_design_is_missed() {
    let designs = [
        Design::NoLastLook,
        Design::JobBeforePlace,
        Design::NoCondition,
        Design::NoReturn,
        Design::LastEndsAll,
        Design::NumberFromTheBlock,
        Design::RetriesWaitAside,
    ];
    for design in designs {
        assert!(first_wrong(0..400, STORM, design).is_some(), "{design:?} was not noticed");
    }
}

/// Two jobs at once would make requests twice, though their records keep the order.
#[test]
fn standing_back_is_missed() {
    let requests = |design| -> u64 {
        let fates = (0..60).flat_map(|seed| run(seed, 2, 60, Faults { duplicate: 3, ..CALM }, design).fates);
        fates.map(|(_, fate)| u64::from(fate.requests.saturating_sub(fate.attempts))).sum()
    };
    let (with, without) = (requests(Design::AsBuilt), requests(Design::NoStandingBack));
    assert!(without > with + 20, "{without} requests too many, and {with} as built");
}
