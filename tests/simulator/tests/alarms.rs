//! The outages of docs/runbook.md raise the alarms that the runbook names, and quiet days raise none.

use echo_simulator::alarms::{Alarm, Look, Missing, is_alarm};
use echo_simulator::broken::{Api, Broken, Rule};
use echo_simulator::metrics::{DEAD, INTAKE};
use echo_simulator::world::{Receiver, Settings, World};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The minute in which an outage begins. No period of five minutes begins with it.
const BEGINS: i64 = 62;
/// The runbook promises an alarm within this many minutes.
const WITHIN: i64 = 15;

const FIRST_ATTEMPTS: usize = 0;
const RETRIES: usize = 1;
const SLOW: usize = 2;

/// The rows of the runbook's table: an outage, and the alarms that report it.
fn promised() -> Vec<(String, Vec<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook.md");
    let text = std::fs::read_to_string(path).expect("the runbook");
    let (_, section) = text.split_once("## Which alarm tells of which outage\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows =
        section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let row = |(outage, alarms): (&str, &str)| {
        (outage.to_owned(), alarms.split(", ").map(str::to_owned).collect::<Vec<_>>())
    };
    rows.filter(|(outage, _)| *outage != "outage").map(row).collect()
}

/// The broken parts of an outage, by its name in the runbook; `None` for an outage that the simulator does not know.
fn broken(outage: &str, world: &World) -> Option<Broken> {
    let works = Broken::default();
    let off = |queue: usize| {
        let mut off = works.off;
        off[queue] = true;
        Broken { off, ..works }
    };
    let next_delivery = u32::try_from(world.rows.len()).ok();
    Some(match outage {
        "DynamoDB refuses everything" => Broken { dynamodb: true, ..works },
        "SQS takes no messages" => Broken { sends: true, ..works },
        "SQS does not answer at all" => Broken { sqs: true, ..works },
        "Secrets Manager gives no sealing keys" => Broken { sealing_keys: true, ..works },
        "EventBridge does not take operational events" => Broken { bus: true, ..works },
        "The delivery function refuses to start" | "The delivery function crashes or runs out of time" => {
            Broken { delivery: true, ..works }
        }
        "Other functions use up the account's concurrency" => {
            Broken { taken_by_others: world.settings.account_concurrency, ..works }
        }
        "The mapping FirstAttempts is off" => off(FIRST_ATTEMPTS),
        "The mapping Retries is off" => off(RETRIES),
        "The mapping SlowEndpoints is off" => off(SLOW),
        "The mapping Intake is off" => off(INTAKE),
        "The mapping DeadLetters is off" => off(DEAD),
        "Dead letters cannot be ended" => Broken { burial: true, ..works },
        "One delivery breaks its own task each time" => Broken { panics: next_delivery, ..works },
        "One delivery ends the whole function each time" => Broken { kills: next_delivery, ..works },
        "EventBridge may not send to the intake queue" => Broken { rule: Rule::Forbidden, ..works },
        "EventBridge does not reach the intake queue" => Broken { rule: Rule::Unanswered, ..works },
        "EventBridge may send to neither queue" => Broken { rule: Rule::ForbiddenTwice, ..works },
        "The api function refuses to start or crashes" => Broken { api: Api::Crashes, ..works },
        "API Gateway may not invoke the api function" => Broken { api: Api::Forbidden, ..works },
        "Somebody guesses passwords or tokens" => Broken { refused_logins: 60, ..works },
        _ => return None,
    })
}

/// A small deployment. One endpoint is healthy, one fails now and then, one always fails and one hangs. Each gets an
/// event every few minutes, and some events come over the bus.
fn ordinary(seed: u64) -> World {
    let receivers = vec![
        Receiver::Healthy { ms: 50 },
        Receiver::Flaky { once_in: 5, ms: 700 },
        Receiver::Failing { ms: 300 },
        Receiver::Hanging,
    ];
    let mut world = World::new(seed, Settings::template_defaults(), receivers);
    world.produce(0, 60_000, i64::MAX);
    world.produce(1, 97_000, i64::MAX);
    world.produce(2, 151_000, i64::MAX);
    world.produce(3, 241_000, i64::MAX);
    world.put_events(0, 120_000, 2 * 24 * 30);
    world
}

fn minute(ms: i64) -> usize {
    usize::try_from(ms / MINUTE_MS).expect("a minute")
}

/// The alarms that are on at any time between two minutes.
fn on(world: &World, from: i64, to: i64, look: Look) -> Vec<String> {
    let (from, to) = (minute(from * MINUTE_MS), minute(to * MINUTE_MS));
    let all = Alarm::all().into_iter();
    all.filter(|alarm| alarm.first_on(&world.metrics, from, to, look).is_some()).map(|a| a.name).collect()
}

/// Runs for an hour, and then runs the outage for the time within which the alarms must report it.
fn suffer(outage: &str) -> World {
    let mut world = ordinary(1);
    world.run_out(BEGINS * MINUTE_MS);
    world.broken = broken(outage, &world)
        .unwrap_or_else(|| panic!("the simulator does not know the runbook's outage '{outage}'"));
    for delivery in 0..3 {
        if outage.contains("ead letters") || outage.contains("DeadLetters") {
            let chain = world.rows[delivery as usize].chain;
            world.bury(delivery, chain);
        }
    }
    world.run_out((BEGINS + WITHIN + 3) * MINUTE_MS);
    world
}

#[test]
fn each_outage_of_the_runbook_raises_the_alarms_that_it_names() {
    let promised = promised();
    assert!(promised.len() > 10, "{promised:?}");
    for (outage, alarms) in promised {
        let world = suffer(&outage);
        assert_eq!(on(&world, 0, BEGINS, Look::Most), [""; 0], "before '{outage}'");
        // The first message that meets the outage comes within two minutes.
        let raised = on(&world, BEGINS, BEGINS + 2 + WITHIN, Look::Least);
        println!("{outage}: {}", raised.join(", "));
        let silent: Vec<_> = alarms.iter().filter(|alarm| !raised.contains(alarm)).collect();
        assert!(silent.is_empty(), "'{outage}' does not raise {silent:?}");
    }
}

/// A single delivery that meets the outage leaves fewer signs of it.
#[test]
fn an_outage_that_holds_a_single_delivery_is_told_too() {
    for outage in ["DynamoDB refuses everything", "One delivery breaks its own task each time"] {
        let receivers = vec![Receiver::Healthy { ms: 50 }];
        let mut world = World::new(1, Settings::template_defaults(), receivers);
        // The event is accepted before the outage begins, and its job is received only during the outage.
        world.broken.off[FIRST_ATTEMPTS] = true;
        world.produce(0, 1, 1);
        world.run_out(500);
        world.broken = broken(outage, &world).expect("known");
        world.broken.panics = world.broken.panics.map(|_| 0);
        world.run_out(WITHIN * MINUTE_MS);
        assert_eq!(on(&world, 0, WITHIN, Look::Least), ["HeldBackAlarm"], "{outage}");
    }
}

#[test]
fn a_hiccup_of_a_minute_raises_nothing() {
    for broken in [Broken { dynamodb: true, ..Broken::default() }, Broken { sqs: true, ..Broken::default() }]
    {
        let mut world = ordinary(1);
        world.run_out(BEGINS * MINUTE_MS + 30_000);
        world.broken = broken;
        world.run_out((BEGINS + 1) * MINUTE_MS + 30_000);
        world.broken = Broken::default();
        world.run_out(3 * HOUR_MS);
        assert_eq!(on(&world, 0, 180, Look::Most), [""; 0], "{broken:?}");
    }
}

#[test]
fn two_quiet_days_raise_nothing() {
    for seed in 0..3 {
        let mut world = ordinary(seed);
        world.run_out(2 * 24 * HOUR_MS);
        assert!(world.rows.iter().any(|row| row.attempts == 4), "some deliveries fail");
        assert_eq!(on(&world, 0, 2 * 24 * 60, Look::Most), [""; 0], "seed {seed}");
    }
}

/// The tables of 'How alarm state is evaluated when data is missing', in which CloudWatch looks at five data points: 0
/// is not breaching, X is breaching, - is missing.
#[test]
fn missing_data_is_treated_as_cloudwatch_documents_it() {
    for (points, n, m, if_breaching, if_not_breaching) in [
        ("0 - X - X", 3, 3, false, false),
        ("0 - - - -", 3, 3, false, false),
        ("- - - - -", 3, 3, true, false),
        ("0 X X - X", 3, 3, true, true),
        ("- - - - X", 3, 3, true, false),
        ("0 - X - X", 3, 2, true, true),
        ("0 0 X 0 X", 3, 2, true, true),
        ("0 - X - -", 3, 2, true, false),
        ("- - - - 0", 3, 2, true, false),
        ("- - - - X", 3, 2, true, false),
    ] {
        let spelled = |point: &str| match point {
            "X" => Some(true),
            "0" => Some(false),
            _ => None,
        };
        let read: Vec<Option<bool>> = points.split(' ').map(spelled).collect();
        assert_eq!(is_alarm(&read, n, m, Missing::Breaching), if_breaching, "{points}, {m} of {n}");
        assert_eq!(is_alarm(&read, n, m, Missing::NotBreaching), if_not_breaching, "{points}, {m} of {n}");
    }
}
