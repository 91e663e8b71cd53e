//! Latency inside the functions with AWS 3 ms away: how many calls wait for one another, and how long that takes in
//! all.

use std::io;
use std::time::{Duration, Instant};

use echo_lanes::lane::FIRST_ATTEMPTS;
use echo_lanes::watch::Seen;
use serde::Serialize;

use crate::cost::AWS_DISTANCE;
use crate::progress::Progress;
use crate::stage::{Setup, Stage};

const RUNS: usize = 40;

/// Medians; times in milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Trips {
    pub(crate) distance_ms: f64,
    /// Consecutive calls from an event's invocation to its 202, once with a key used in the last seconds and once with
    /// a new key.
    pub(crate) accept_in_a_row: usize,
    pub(crate) accept_ms: f64,
    pub(crate) accept_new_key_in_a_row: usize,
    pub(crate) accept_new_key_ms: f64,
    pub(crate) accept_fanout_10_in_a_row: usize,
    pub(crate) accept_fanout_10_ms: f64,
    /// From a batch's invocation to the request's bytes at the receiver, and from the receiver's answer to the record.
    pub(crate) delivery_in_a_row: usize,
    pub(crate) to_request_ms: f64,
    pub(crate) to_record_ms: f64,
    pub(crate) after_answer_in_a_row: usize,
    /// From an event's 202 to the request's arrival at the receiver, with AWS and the receiver on this machine.
    pub(crate) arrival_p50_ms: f64,
    pub(crate) arrival_p99_ms: f64,
}

pub(crate) async fn measure(progress: &Progress) -> io::Result<Trips> {
    progress.part("Round trips in a row, AWS 3 ms away");
    let mut trips = Trips { distance_ms: AWS_DISTANCE.as_secs_f64() * 1e3, ..Trips::default() };
    let stage = Stage::set(Setup::with_endpoints(1)).await?;
    for n in 0..20 {
        stage.post(n).await?;
        stage.deliver(FIRST_ATTEMPTS, 1).await?;
    }
    stage.lane.aws.watch.set_distance(AWS_DISTANCE);
    (trips.accept_in_a_row, trips.accept_ms) = accept(&stage, false).await?;
    progress.step(1, 5);
    delivery(&stage, &mut trips).await?;
    progress.step(2, 5);
    (trips.accept_new_key_in_a_row, trips.accept_new_key_ms) = accept(&stage, true).await?;
    progress.step(3, 5);
    let stage = Stage::set(Setup::with_endpoints(10)).await?;
    stage.post(0).await?;
    stage.lane.aws.watch.set_distance(AWS_DISTANCE);
    (trips.accept_fanout_10_in_a_row, trips.accept_fanout_10_ms) = accept(&stage, false).await?;
    progress.step(4, 5);
    (trips.arrival_p50_ms, trips.arrival_p99_ms) = arrival().await?;
    progress.step(5, 5);
    Ok(trips)
}

/// The consecutive calls and the milliseconds that accepting an event needs.
async fn accept(stage: &Stage, forget_key: bool) -> io::Result<(usize, f64)> {
    let mut rows = Vec::new();
    let mut times = Vec::new();
    for n in 0..if forget_key { 4 } else { RUNS } {
        if forget_key {
            // The function remembers a key for a shorter time than this.
            tokio::time::sleep(Duration::from_millis(3_200)).await;
        }
        stage.lane.aws.watch.start();
        times.push(stage.post(500 + n).await?.as_secs_f64() * 1e3);
        rows.push(in_a_row(&stage.lane.aws.watch.stop()));
    }
    stage.clear(FIRST_ATTEMPTS);
    Ok((fewest(rows), median(times)))
}

async fn delivery(stage: &Stage, trips: &mut Trips) -> io::Result<()> {
    let (mut to_request, mut to_record) = (Vec::new(), Vec::new());
    let (mut rows_before, mut rows_after) = (Vec::new(), Vec::new());
    for n in 0..RUNS {
        stage.post(900 + n).await?;
        let hits = stage.lane.receiver.hits().len();
        stage.lane.aws.watch.start();
        let began = Instant::now();
        stage.deliver(FIRST_ATTEMPTS, 1).await?;
        let calls = stage.lane.aws.watch.stop();
        let hit = stage
            .lane
            .receiver
            .hits()
            .get(hits)
            .map(|hit| hit.at)
            .ok_or_else(|| io::Error::other("no request arrived"))?;
        let (before, after): (Vec<Seen>, Vec<Seen>) = calls.into_iter().partition(|call| call.started < hit);
        let recorded = after.iter().map(|call| call.ended).max().unwrap_or(hit);
        rows_before.push(in_a_row(&before));
        rows_after.push(in_a_row(&after));
        to_request.push((hit - began).as_secs_f64() * 1e3);
        // The receiver answers as soon as it has read the request.
        to_record.push((recorded - hit).as_secs_f64() * 1e3);
    }
    trips.delivery_in_a_row = fewest(rows_before);
    trips.after_answer_in_a_row = fewest(rows_after);
    trips.to_request_ms = median(to_request);
    trips.to_record_ms = median(to_record);
    Ok(())
}

/// The times from a 202 to the request's arrival: the median, and the longest but for one in a hundred.
async fn arrival() -> io::Result<(f64, f64)> {
    const WAIT: Duration = Duration::from_secs(10);
    let mut stage = Stage::set(Setup::with_endpoints(1)).await?;
    stage.lane.start_mappings();
    let mut times = Vec::new();
    for n in 0..500 {
        stage.post(n).await?;
        let accepted = Instant::now();
        let hit = loop {
            if let Some(hit) = stage.lane.receiver.hits().get(n) {
                break hit.at;
            }
            if accepted.elapsed() > WAIT {
                return Err(io::Error::other("an event did not arrive"));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        times.push(hit.saturating_duration_since(accepted).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// Calls that must wait for one another do so in every run. Others seem to wait only when the machine is slow.
fn fewest(rows: Vec<usize>) -> usize {
    rows.into_iter().min().unwrap_or(0)
}

/// The longest chain of calls in which each call began after the previous one had ended.
fn in_a_row(calls: &[Seen]) -> usize {
    let spans: Vec<(Instant, Instant)> = calls.iter().map(|call| (call.started, call.ended)).collect();
    longest_chain(spans)
}

fn longest_chain(mut spans: Vec<(Instant, Instant)>) -> usize {
    spans.sort_by_key(|(_, ended)| *ended);
    let mut last = None;
    let mut count = 0;
    for (started, ended) in spans {
        if last.is_none_or(|last| started >= last) {
            count += 1;
            last = Some(ended);
        }
    }
    count
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_side_by_side_count_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let span = |from, to| (at(from), at(to));
        assert_eq!(longest_chain(vec![]), 0);
        assert_eq!(longest_chain(vec![span(0, 3), span(1, 4), span(0, 5)]), 1);
        assert_eq!(longest_chain(vec![span(0, 3), span(4, 7), span(4, 8), span(9, 12)]), 3);
    }
}
