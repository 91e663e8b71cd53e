//! A siege: a batch with nine good receivers and a hostile one. The siege measures the hostile receiver's cost for
//! the function and for the other deliveries.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::hostile::{Expected, HostileReceiver, Hostility};
use crate::invariants::judge;
use crate::lane::{Auth, LaneSettings};
use crate::memory;
use crate::pressure;
use crate::processor;
use crate::run::{Ending, Run};
use crate::world::{TEN, World};

/// The time that the lanes give a receiver to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The delay is long enough to measure the function between its first attempt and its second.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// Time after an attempt's deadline in which the function records its result.
const WRITTEN_DOWN: Duration = Duration::from_millis(250);

/// The limits for the figures.
pub const MOST_MEMORY_KIB: u64 = 4 * 1_024;
pub const MOST_TIME: Duration = Duration::from_secs(2);
/// An attempt's connection is closed within a second of the attempt's deadline.
pub const MOST_CONNECTED: Duration = TIMEOUT.saturating_add(Duration::from_secs(1));
/// The most processor time in the second after the first attempt: five ticks of the kernel.
pub const MOST_AFTERWARDS: Duration = Duration::from_millis(50);

/// The figures of one siege.
#[derive(Debug, Clone)]
pub struct Figures {
    pub name: &'static str,
    pub attempts: usize,
    pub connections: usize,
    /// The highest rise of the function's memory above its value before the siege.
    pub memory_kib: u64,
    /// The longest invocation.
    pub longest: Duration,
    /// The time from the start of the batch to the last request at one of the nine good receivers.
    pub others: Duration,
    /// The longest connection to the hostile receiver, as the receiver saw it.
    pub connected: Duration,
    /// Processor time of the function in a second that begins just after the first attempt's deadline.
    pub afterwards: Duration,
    pub outcome: String,
    pub problems: Vec<String>,
    /// The share of the siege in which some process waited for a processor, 0 to 1.
    pub starved: f64,
}

/// Runs a siege in a lane of its own. Without a hostility all ten receivers are good, for comparison.
///
/// # Errors
/// When the lane cannot be started.
pub async fn lay(world: &World, hostility: Option<Hostility>) -> io::Result<Figures> {
    let name = hostility.map_or("(a good receiver)", Hostility::name);
    let file_name = format!("siege-{}", name.replace([' ', ','], "-"));
    let authority = Authority::new().map_err(io::Error::other)?;
    let trusted = crate::suite::logs().join(format!("{file_name}.pem"));
    std::fs::write(&trusted, authority.pem())?;
    let env = vec![
        ("RETRY_DELAYS_SECONDS", RETRY_DELAY.as_secs().to_string()),
        ("SSL_CERT_FILE", trusted.to_string_lossy().into_owned()),
    ];
    let settings = LaneSettings {
        name: file_name,
        env,
        concurrency: 1,
        logs: Some(crate::suite::logs()),
        ..LaneSettings::default()
    };
    let mut run = Run::new(world.lane(settings).await?, world);
    // The function fills its pools and buffers and reads its root certificates before the measurement.
    for _ in 0..3 {
        run.post_event(TEN, &json!({}), Ending::Success).await;
        run.lane.settle(Duration::from_secs(20)).await;
    }
    let hostile = match hostility {
        Some(hostility) => {
            let hostile = HostileReceiver::start(hostility, &authority)?;
            set_url(&run, &format!("{}://{}/", hostility.scheme(), hostile.address));
            Some(hostile)
        }
        None => None,
    };
    run.lane.stop_mappings();
    let hits_before = run.lane.receiver.hits().len();
    let ending = match hostility.map(Hostility::expected) {
        None | Some(Expected::Answered(200)) => Ending::Success,
        Some(_) => Ending::Either,
    };
    let sent = run.post_event(TEN, &json!({}), ending).await;
    let pid = run.lane.delivery.sandboxes().first().map_or(0, |sandbox| sandbox.pid);
    memory::forget_peak(pid)?;
    let before = memory::of(pid)?;
    run.lane.delivery.take_longest();
    let pressure = pressure::Span::begin();
    let began = Instant::now();
    run.lane.aws.faults.arm(None);
    run.lane.start_mappings();
    let (has_settled, afterwards) =
        tokio::join!(run.lane.settle(Duration::from_secs(30)), afterwards(pid, hostile.as_ref()));
    let mut problems = Vec::new();
    let afterwards = afterwards.unwrap_or_else(|error| {
        problems.push(format!("processor time: {error}"));
        Duration::ZERO
    });
    let connected = hostile.as_ref().map_or(Duration::ZERO, HostileReceiver::longest_connection);
    let after = memory::of(pid).unwrap_or_else(|_| {
        problems.push("the function's process ended during the siege".to_owned());
        before
    });
    let verdict = judge(&run, has_settled, 2).await;
    // The lane's own receiver does not see the hostile receiver's requests. The judge's reports that these requests
    // are missing do not count.
    let is_known = |one: &String| hostility.is_some() && one.contains("no one ");
    problems.extend(verdict.losses.into_iter().chain(verdict.violations).filter(|one| !is_known(one)));
    let hits = run.lane.receiver.hits().split_off(hits_before);
    let others = hits.iter().map(|hit| hit.at - began).max().unwrap_or_default();
    let longest = run.lane.delivery.take_longest();
    let (attempts, outcome) =
        match sent.as_ref().and_then(|sent| sent.listed.iter().find(|one| one.1 == world.endpoints[0])) {
            Some((delivery, _)) => attempts(&run, delivery, hostility, &mut problems).await,
            None => (0, "not accepted".to_owned()),
        };
    let figures = Figures {
        name,
        attempts,
        connections: hostile.as_ref().map_or(0, HostileReceiver::connections),
        memory_kib: after.peak.saturating_sub(before.now),
        longest,
        others,
        connected,
        afterwards,
        outcome,
        problems,
        starved: pressure.share(),
    };
    Ok(figures.held_against(hostility.is_some()))
}

impl Figures {
    fn is_slow(&self) -> bool {
        self.longest.max(self.others) > MOST_TIME || self.connected > MOST_CONNECTED
    }

    fn held_against(mut self, is_hostile: bool) -> Self {
        if self.memory_kib >= MOST_MEMORY_KIB {
            self.problems.push(format!("memory up by {} KiB", self.memory_kib));
        }
        // Where nothing ends the work on a hostile receiver, it lasts until the function's own deadline.
        let most_time = if self.starved > STARVED { MOST_TIME * 2 } else { MOST_TIME };
        if self.longest > most_time {
            self.problems.push(format!("the batch took {:?}, with {TIMEOUT:?} for an answer", self.longest));
        }
        if self.others > most_time {
            self.problems.push(format!("the last of the nine other requests came after {:?}", self.others));
        }
        if self.connected > MOST_CONNECTED {
            self.problems.push(format!("a connection was open for {:?}", self.connected));
        }
        if self.afterwards > MOST_AFTERWARDS {
            self.problems.push(format!("{:?} of processor time after an attempt", self.afterwards));
        }
        if is_hostile && self.connections != self.attempts {
            self.problems.push(format!("{} connections for {} attempts", self.connections, self.attempts));
        }
        self
    }
}

/// The processor time of the function's process in the second after the first attempt's deadline.
async fn afterwards(pid: u32, hostile: Option<&HostileReceiver>) -> io::Result<Duration> {
    let Some(hostile) = hostile else { return Ok(Duration::ZERO) };
    let first = tokio::time::timeout(Duration::from_secs(20), hostile.first_connection()).await?;
    tokio::time::sleep_until((first + TIMEOUT + WRITTEN_DOWN).into()).await;
    let before = processor::spent(pid)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(processor::spent(pid)? - before)
}

/// Writes another URL into endpoint 0's row, because the API might refuse such a URL.
fn set_url(run: &Run<'_>, url: &str) {
    let request = json!({ "TableName": "endpoints",
        "Key": { "id": { "S": run.world.endpoints[0] }, "part": { "S": "settings" } },
        "UpdateExpression": "SET #url = :url", "ExpressionAttributeNames": { "#url": "url" },
        "ExpressionAttributeValues": { ":url": { "S": url } } });
    run.lane.aws.dynamo.call("UpdateItem", &request.to_string());
}

/// The number of attempts that the API shows, and the outcome of the last one.
async fn attempts(
    run: &Run<'_>,
    delivery: &str,
    hostility: Option<Hostility>,
    problems: &mut Vec<String>,
) -> (usize, String) {
    let target = run.endpoint(0, &format!("/deliveries/{delivery}"));
    let shown = run.lane.call("GET", &target, &Auth::Key(&run.world.api_key), None).await;
    if shown.status != 200 {
        problems.push(format!("the API answers {} to a request for the delivery", shown.status));
    }
    let shown = shown.json();
    let attempts = shown["attempts"].as_array().cloned().unwrap_or_default();
    for attempt in &attempts {
        let took = Duration::from_millis(attempt["duration_ms"].as_u64().unwrap_or(u64::MAX));
        if took > MOST_TIME {
            problems.push(format!("an attempt took {took:?}"));
        }
        let (status, error) = (&attempt["http_status"], &attempt["error_message"]);
        let is_expected = match hostility.map(Hostility::expected) {
            None => *status == 200,
            Some(Expected::Answered(expected)) => {
                *status == expected && attempt["success"] == (200..300).contains(&expected)
            }
            Some(Expected::Failed(why)) => error.as_str().is_some_and(|error| error.contains(why)),
        };
        if !is_expected {
            problems.push(format!("an unexpected outcome: status {status}, {error}"));
        }
    }
    let last = attempts.last().cloned().unwrap_or(Value::Null);
    let ended = shown["status"].as_str().unwrap_or_default();
    let outcome = match (&last["http_status"], &last["error_message"]) {
        (Value::Null, error) => error.as_str().unwrap_or_default().to_owned(),
        (status, Value::String(note)) => format!("{status}, {ended}: {note}"),
        (status, _) => format!("{status}, {ended}"),
    };
    (attempts.len(), outcome)
}

/// Above this share of starved time, a siege has twice the time, and runs again if it has problems.
pub const STARVED: f64 = 0.4;

/// Runs the siege up to three times, until it has no problem. The last run counts.
async fn again(world: &World, kind: Option<Hostility>) -> Option<Figures> {
    let mut last = None;
    for _ in 0..3 {
        last = lay(world, kind).await.ok();
        if last.as_ref().is_some_and(|figures| figures.problems.is_empty()) {
            break;
        }
    }
    last
}

/// Runs one siege without a hostility and one for each hostility, `side_by_side` of them in parallel.
pub async fn lay_all(world: &std::sync::Arc<World>, side_by_side: usize) -> Vec<Figures> {
    let mut kinds: Vec<Option<Hostility>> = vec![None];
    kinds.extend(Hostility::ALL.map(Some));
    let mut all = Vec::new();
    for kinds in kinds.chunks(side_by_side) {
        let mut running = tokio::task::JoinSet::new();
        for (place, kind) in kinds.iter().copied().enumerate() {
            let world = std::sync::Arc::clone(world);
            running.spawn(async move { (place, kind, lay(&world, kind).await) });
        }
        let mut done = running.join_all().await;
        done.sort_by_key(|(place, ..)| *place);
        for (_, kind, result) in done {
            match result {
                // A slow siege, or one with problems on a starved machine, runs again alone.
                Ok(figures)
                    if figures.is_slow() || (!figures.problems.is_empty() && figures.starved > STARVED) =>
                {
                    all.push(again(world, kind).await.unwrap_or(figures));
                }
                Ok(figures) => all.push(figures),
                Err(error) => eprintln!("{}: {error}", kind.map_or("(a good receiver)", Hostility::name)),
            }
        }
    }
    all
}

/// Prints the figures. Returns false when a siege has a problem.
pub fn table(all: &[Figures]) -> bool {
    println!(
        "\n{:<40} {:>8} {:>11} {:>11} {:>9} {:>9} {:>12} {:>14}  outcome",
        "hostile receiver",
        "attempts",
        "connections",
        "memory KiB",
        "batch ms",
        "others ms",
        "connected ms",
        "afterwards ms"
    );
    for one in all {
        println!(
            "{:<40} {:>8} {:>11} {:>11} {:>9} {:>9} {:>12} {:>14}  {}",
            one.name,
            one.attempts,
            one.connections,
            one.memory_kib,
            one.longest.as_millis(),
            one.others.as_millis(),
            one.connected.as_millis(),
            one.afterwards.as_millis(),
            one.outcome
        );
    }
    for one in all {
        for problem in &one.problems {
            println!("{}: {problem}", one.name);
        }
    }
    println!(
        "limits: {MOST_MEMORY_KIB} KiB, {} ms for the batch and the others, {} ms connected, {} ms of processor time \
         in the second afterwards",
        MOST_TIME.as_millis(),
        MOST_CONNECTED.as_millis(),
        MOST_AFTERWARDS.as_millis()
    );
    all.iter().all(|one| one.problems.is_empty())
}
