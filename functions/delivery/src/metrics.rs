//! An invocation's counts, as one log line in CloudWatch's embedded metric format: metrics that need no call.
//!
//! The stack is the only dimension, because AWS charges for each value of a dimension as for a metric. The line has the
//! invocation's id, by which the lines that it counts are found.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_shared::stats::HourlyCounts;
use echo_shared::time::Timestamp;
use serde_json::{Map, Value, json};

/// The most values of one metric that the format takes in a line. No batch makes more attempts.
const MOST_VALUES: usize = 100;

/// The counts of a batch. Each message's task adds to them.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// New events that came through the intake, and events that it refused.
    pub(crate) accepted: u64,
    pub(crate) intake_refused: u64,
    /// How often an event in the intake had to wait for its project's budget.
    pub(crate) over_budget: u64,
    /// Deliveries that ended in success, and in failure.
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    /// Failed attempts after which another attempt is due.
    pub(crate) retried: u64,
    /// Attempts whose request went out twice, because a connection that was used again ended without an answer.
    pub(crate) sent_again: u64,
    /// Messages of the dead-letter queue that were finished.
    pub(crate) dead_lettered: u64,
    /// Messages that stay in their queue because of an internal fault.
    pub(crate) held_back: u64,
    /// Rows of hourly counts that were perhaps not written.
    pub(crate) stats_lost: u64,
    /// From an event's acceptance to the start of a delivery's first attempt.
    pub(crate) first_attempt_latency: Vec<Duration>,
    pub(crate) attempt_duration: Vec<Duration>,
    /// The same by endpoint and hour; no part of the line.
    pub(crate) by_endpoint: HourlyCounts,
}

impl Tally {
    pub(crate) fn add(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes the counts of endpoints out.
    pub(crate) fn take_by_endpoint(&self) -> HourlyCounts {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut counts.by_endpoint)
    }

    /// Writes the line, if there is anything to count.
    pub(crate) fn report(&self, stack_name: &str, request_id: &str) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(line) = line(&counts, stack_name, request_id, Timestamp::now()) {
            println!("{line}");
        }
    }
}

/// The line, without the counts that are zero; none if all are.
fn line(counts: &Counts, stack_name: &str, request_id: &str, now: Timestamp) -> Option<Value> {
    let sums = [
        ("Accepted", counts.accepted),
        ("IntakeRefused", counts.intake_refused),
        ("OverBudget", counts.over_budget),
        ("Delivered", counts.delivered),
        ("Failed", counts.failed),
        ("Retried", counts.retried),
        ("SentAgain", counts.sent_again),
        ("DeadLettered", counts.dead_lettered),
        ("HeldBack", counts.held_back),
        ("StatsLost", counts.stats_lost),
    ];
    let times = [
        ("FirstAttemptLatency", &counts.first_attempt_latency),
        ("AttemptDuration", &counts.attempt_duration),
    ];
    let mut values = Map::new();
    let mut definitions = Vec::new();
    for (name, sum) in sums.into_iter().filter(|(_, sum)| *sum > 0) {
        definitions.push(json!({ "Name": name, "Unit": "Count" }));
        values.insert(name.to_owned(), sum.into());
    }
    for (name, times) in times.into_iter().filter(|(_, times)| !times.is_empty()) {
        definitions.push(json!({ "Name": name, "Unit": "Milliseconds" }));
        let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        values.insert(name.to_owned(), times.iter().take(MOST_VALUES).map(millis).collect());
    }
    if definitions.is_empty() {
        return None;
    }
    let directive = json!({ "Namespace": "EchoWebhooks", "Dimensions": [["Stack"]], "Metrics": definitions });
    values.insert("Stack".to_owned(), stack_name.into());
    values.insert("request_id".to_owned(), request_id.into());
    values
        .insert("_aws".to_owned(), json!({ "Timestamp": now.as_millis(), "CloudWatchMetrics": [directive] }));
    Some(values.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_776_009_119_499;

    fn shown(counts: &Counts) -> Option<Value> {
        line(counts, "my-stack", "r1", Timestamp::from_millis(NOW))
    }

    #[test]
    fn nothing_is_written_when_nothing_happened() {
        assert_eq!(shown(&Counts::default()), None);
    }

    #[test]
    fn the_line_is_in_cloudwatchs_embedded_format() {
        let counts = Counts {
            delivered: 2,
            first_attempt_latency: vec![Duration::from_millis(41)],
            attempt_duration: vec![Duration::from_millis(120), Duration::from_micros(7_900)],
            ..Counts::default()
        };
        let expected = json!({
            "_aws": {
                "Timestamp": NOW,
                "CloudWatchMetrics": [{
                    "Namespace": "EchoWebhooks",
                    "Dimensions": [["Stack"]],
                    "Metrics": [
                        { "Name": "Delivered", "Unit": "Count" },
                        { "Name": "FirstAttemptLatency", "Unit": "Milliseconds" },
                        { "Name": "AttemptDuration", "Unit": "Milliseconds" },
                    ],
                }],
            },
            "Stack": "my-stack",
            "request_id": "r1",
            "Delivered": 2,
            "FirstAttemptLatency": [41],
            "AttemptDuration": [120, 7],
        });
        assert_eq!(shown(&counts), Some(expected));
    }

    /// Checks CloudWatch's rules for a line ("Specification: Embedded metric format" in its user guide).
    fn check(line: &Value) {
        assert!(line["_aws"]["Timestamp"].is_i64());
        let [directive] = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives").as_slice() else {
            panic!("one directive")
        };
        assert!(directive["Namespace"].as_str().is_some_and(|name| (1..=1_024).contains(&name.len())));
        let mut targets = vec!["_aws", "request_id"];
        for dimension in directive["Dimensions"][0].as_array().expect("a set of dimensions") {
            let name = dimension.as_str().expect("a name");
            assert!(line[name].as_str().is_some_and(|value| (1..=1_024).contains(&value.len())), "{name}");
            targets.push(name);
        }
        let definitions = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&definitions.len()));
        for definition in definitions {
            let name = definition["Name"].as_str().expect("a name");
            assert!(["Count", "Milliseconds"].contains(&definition["Unit"].as_str().expect("a unit")));
            match &line[name] {
                Value::Array(values) => {
                    assert!((1..=100).contains(&values.len()) && values.iter().all(Value::is_number));
                }
                value => assert!(value.is_number(), "{name}: {value}"),
            }
            targets.push(name);
        }
        // Nothing else is in it but the invocation's id, so nothing that is secret.
        let members: Vec<_> = line.as_object().expect("an object").keys().collect();
        assert!(members.iter().all(|name| targets.contains(&name.as_str())), "{members:?}");
        assert_eq!(members.len(), targets.len());
    }

    #[test]
    fn whatever_happened_the_line_is_to_the_specification() {
        for n in [1, 10, 100, 1_000] {
            let times = vec![Duration::MAX; n];
            let counts = Counts {
                accepted: 1,
                intake_refused: 1,
                over_budget: 1,
                delivered: n as u64,
                failed: u64::MAX,
                retried: 1,
                sent_again: 1,
                dead_lettered: 1,
                held_back: 1,
                stats_lost: 1,
                first_attempt_latency: times.clone(),
                attempt_duration: times,
                ..Counts::default()
            };
            let line = shown(&counts).expect("a line");
            check(&line);
            assert_eq!(line["AttemptDuration"].as_array().map(Vec::len), Some(n.min(100)));
        }
        check(&shown(&Counts { dead_lettered: 3, ..Counts::default() }).expect("a line"));
    }

    #[test]
    fn a_line_tells_once_what_was_added() {
        let tally = Tally::default();
        tally.add(|counts| counts.retried += 1);
        tally.add(|counts| counts.retried += 1);
        tally.report("my-stack", "r1");
        tally.add(|counts| assert_eq!(counts.retried, 0));
    }
}
