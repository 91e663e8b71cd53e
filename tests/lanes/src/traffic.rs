//! A day's traffic in minutes: many projects, good and bad receivers, and functions that are killed again and again.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lane::{Auth, DEAD, FIRST_ATTEMPTS, Lane, LaneSettings, PARKED, RETRIES};
use crate::receiver::Behaviour;
use crate::world::{ONE, World};

/// The amount and the pace of the traffic.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub events: usize,
    /// The number of callers that post events in parallel.
    pub callers: usize,
    /// The concurrency of the api, and that of the delivery function for each queue.
    pub concurrency: usize,
    /// The time between two kills of a process of each function.
    pub kill_every: Duration,
}

/// The behaviour of a project's one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temper {
    Good,
    /// The receiver always answers 500.
    Fails,
    /// The receiver uses most of the time that it has for its answer.
    Slow,
    Hangs,
}

/// A caller repeats one event for this long at most.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The receivers: 20 of the hundred fail, 10 are slow and one hangs.
const RECEIVERS: usize = 100;

fn temper(n: usize) -> Temper {
    match n % RECEIVERS {
        0..20 => Temper::Fails,
        20..30 => Temper::Slow,
        30 => Temper::Hangs,
        _ => Temper::Good,
    }
}

#[derive(Debug)]
struct Project {
    id: String,
    key: String,
    temper: Temper,
}

/// The deliveries that an accepted event listed.
#[derive(Debug, Clone)]
struct Promise {
    delivery_id: String,
    temper: Temper,
}

/// The results of the traffic.
#[derive(Debug, Default)]
pub struct Tally {
    pub events: usize,
    pub refused_calls: u64,
    pub kills: u64,
    pub succeeded: usize,
    pub failed: usize,
    pub attempts: u64,
    pub requests: u64,
    pub lost: Vec<String>,
    pub extra_sends: u64,
    pub accepting: Duration,
    pub took: Duration,
}

/// The state that the callers, the task that kills processes and the progress line share.
#[derive(Debug, Default)]
struct Counters {
    next: AtomicUsize,
    accepted: AtomicUsize,
    refused: AtomicU64,
    kills: AtomicU64,
    is_over: AtomicUsize,
}

/// Runs the traffic and judges its results.
///
/// # Errors
/// When the lane cannot be started or set up.
pub async fn run(world: &World, traffic: &Traffic) -> io::Result<Tally> {
    let env = vec![("RETRY_DELAYS_SECONDS", "1,2,3".to_owned()), ("DISABLE_AFTER_FAILURES", "0".to_owned())];
    let settings = LaneSettings {
        name: "load".to_owned(),
        env,
        concurrency: traffic.concurrency,
        with_journal: false,
        logs: Some(crate::suite::logs()),
        ..LaneSettings::default()
    };
    let lane = Arc::new(world.lane(settings).await?);
    lane.receiver.count_only();
    let projects = Arc::new(projects(&lane, world).await?);
    let counters: Arc<Counters> = Arc::default();
    let began = Instant::now();
    let killer = tokio::spawn(kill(Arc::clone(&lane), Arc::clone(&counters), traffic.kill_every));
    let teller = tokio::spawn(tell(Arc::clone(&lane), Arc::clone(&counters), traffic.events));

    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..traffic.callers {
        callers.spawn(send(Arc::clone(&lane), Arc::clone(&projects), Arc::clone(&counters), traffic.events));
    }
    let promises: Vec<Promise> = callers.join_all().await.concat();
    let accepting = began.elapsed();
    println!(
        "all {} events accepted after {:.0} s; waiting for the last delivery to end",
        promises.len(),
        accepting.as_secs_f64()
    );
    let has_settled = lane.settle(Duration::from_secs(15 * 60)).await;
    counters.is_over.store(1, Ordering::Relaxed);
    killer.abort();
    teller.abort();

    let mut tally = Tally {
        events: promises.len(),
        refused_calls: counters.refused.load(Ordering::Relaxed),
        kills: counters.kills.load(Ordering::Relaxed),
        accepting,
        took: began.elapsed(),
        ..Tally::default()
    };
    if !has_settled {
        tally.lost.push("messages are left in the queues".to_owned());
    }
    judge(&lane, &promises, &mut tally);
    Ok(tally)
}

/// One project for each receiver, each with one endpoint.
async fn projects(lane: &Lane, world: &World) -> io::Result<Vec<Project>> {
    let mut projects = Vec::new();
    for n in 0..RECEIVERS {
        let bearer = Auth::Bearer(&world.access_token);
        let made =
            lane.call("POST", "/v1/projects", &bearer, Some(&json!({ "name": format!("load {n}") }))).await;
        let made = made.json();
        let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
        let project = Project { id: text("id"), key: text("api_key"), temper: temper(n) };
        let path = format!("/load/{n}");
        let url = format!("http://{}{path}", lane.receiver.address());
        let target = format!("/v1/projects/{}/webhooks", project.id);
        let body = json!({ "url": url, "events": [ONE] });
        let answer = lane.call("POST", &target, &Auth::Key(&project.key), Some(&body)).await;
        if answer.status != 201 {
            return Err(io::Error::other(format!("an endpoint: {}", String::from_utf8_lossy(&answer.body))));
        }
        let behaviour = match project.temper {
            Temper::Good => Behaviour::Answer(200),
            Temper::Fails => Behaviour::Answer(500),
            Temper::Slow => Behaviour::After(Duration::from_millis(600), 200),
            Temper::Hangs => Behaviour::Hang,
        };
        lane.receiver.set(&path, behaviour);
        projects.push(project);
    }
    Ok(projects)
}

/// One caller. It posts events, and repeats each event until the API accepts it.
async fn send(
    lane: Arc<Lane>,
    projects: Arc<Vec<Project>>,
    counters: Arc<Counters>,
    events: usize,
) -> Vec<Promise> {
    let mut promises = Vec::new();
    loop {
        let n = counters.next.fetch_add(1, Ordering::Relaxed);
        if n >= events {
            return promises;
        }
        let project = &projects[n % projects.len()];
        let target = format!("/v1/projects/{}/events", project.id);
        let body =
            json!({ "event_id": uuid::Uuid::new_v4().to_string(), "event_name": ONE, "data": { "n": n } });
        let first_try = Instant::now();
        loop {
            let answer = lane.call("POST", &target, &Auth::Key(&project.key), Some(&body)).await;
            if answer.status == 202 {
                let id = answer.json()["deliveries"][0]["id"].as_str().unwrap_or_default().to_owned();
                promises.push(Promise { delivery_id: id, temper: project.temper });
                counters.accepted.fetch_add(1, Ordering::Relaxed);
                break;
            }
            counters.refused.fetch_add(1, Ordering::Relaxed);
            assert!(first_try.elapsed() < PATIENCE, "an event was refused for too long: {}", answer.status);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Kills one process of each function again and again, if possible a busy one.
async fn kill(lane: Arc<Lane>, counters: Arc<Counters>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        for function in [&lane.api, &lane.delivery] {
            if let Some(sandbox) = function.sandboxes().last() {
                sandbox.kill().await;
                counters.kills.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn tell(lane: Arc<Lane>, counters: Arc<Counters>, events: usize) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let accepted = counters.accepted.load(Ordering::Relaxed);
        let depth = |queue| lane.aws.sqs.depth(queue).total();
        println!(
            "{accepted}/{events} accepted, {:.0} a second; queued: {} first, {} later, {} dead; {} kills, {} calls refused",
            accepted as f64 / began.elapsed().as_secs_f64(),
            depth(FIRST_ATTEMPTS),
            depth(RETRIES),
            depth(DEAD),
            counters.kills.load(Ordering::Relaxed),
            counters.refused.load(Ordering::Relaxed),
        );
    }
}

fn judge(lane: &Lane, promises: &[Promise], tally: &mut Tally) {
    let rows: HashMap<String, serde_json::Value> = lane
        .aws
        .dynamo
        .rows("deliveries")
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap_or_default().to_owned(), row))
        .collect();
    let requests = lane.receiver.counts();
    for promise in promises {
        let id = &promise.delivery_id;
        let Some(row) = rows.get(id) else {
            tally.lost.push(format!("{id} has no row"));
            continue;
        };
        let attempts = row["attempt_count"].as_u64().unwrap_or(0);
        let (came, taken) = requests.get(id).copied().unwrap_or_default();
        let status = row["status"].as_str().unwrap_or_default();
        let is_right = match (promise.temper, status) {
            (_, "success") => taken > 0,
            (Temper::Fails | Temper::Hangs, "failed") => {
                row["failure_reason"] == "exhausted" && attempts == 4
            }
            // On a busy machine a slow receiver can miss its time four times.
            (Temper::Slow | Temper::Good, "failed") => row["failure_reason"] == "exhausted" && attempts == 4,
            _ => false,
        };
        if !is_right {
            tally.lost.push(format!(
                "{id} ({:?}): {status} after {attempts} attempts, {came} requests",
                promise.temper
            ));
        }
        match status {
            "success" => tally.succeeded += 1,
            "failed" => tally.failed += 1,
            _ => {}
        }
        tally.attempts += attempts;
        tally.requests += u64::from(came);
        tally.extra_sends += u64::from(came).saturating_sub(attempts);
    }
    if rows.len() != promises.len() {
        tally.lost.push(format!("{} deliveries have rows, {} were promised", rows.len(), promises.len()));
    }
    let parked = lane.aws.sqs.depth(PARKED).total();
    if parked > 0 {
        tally.lost.push(format!("{parked} messages are parked"));
    }
}
