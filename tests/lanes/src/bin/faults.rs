//! Walks the crash-point suite, shows its progress, prints one table and writes `target/faults.json`.
//!
//! - `faults` walks every case.
//! - `faults --bounded` walks fewer cases: four faults, and only the first and the last of equal calls.
//! - `faults --only PATH[:K[:FAULT]]` walks the cases of this path, of its call K, or of this fault of call K.
//! - `faults --hostile` runs only the sieges by hostile receivers.
//! - `--lanes N` walks N cases in parallel. `--minutes M` begins no case after M minutes.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use echo_lanes::path::{self, Path};
use echo_lanes::siege;
use echo_lanes::suite::{self, Case, Extent, Walked};
use echo_lanes::world::World;
use serde_json::json;

struct Options {
    extent: Extent,
    only: Option<String>,
    is_hostile_only: bool,
    lanes: usize,
    minutes: Option<u64>,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { extent: Extent::Whole, only: None, is_hostile_only: false, lanes: 32, minutes: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bounded" => options.extent = Extent::Bounded,
            "--hostile" => options.is_hostile_only = true,
            "--only" => options.only = Some(value()?),
            "--lanes" => options.lanes = value()?.parse().map_err(|_| "--lanes takes a number")?,
            "--minutes" => options.minutes = Some(value()?.parse().map_err(|_| "--minutes takes a number")?),
            other => return Err(format!("{other} is not known; see the head of this file")),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> std::io::Result<bool> {
    let began = Instant::now();
    std::fs::create_dir_all(suite::logs())?;
    let world = Arc::new(World::make().await?);
    if options.is_hostile_only {
        return Ok(siege::table(&siege::lay_all(&world, 4).await));
    }
    let only = options.only.clone().unwrap_or_default();
    let wanted_path = only.split(':').next().unwrap_or_default().to_owned();
    let is_wanted = |path: &&dyn Path| only.is_empty() || path.name() == wanted_path;
    let paths: Vec<&'static dyn Path> = path::ALL.into_iter().filter(is_wanted).collect();

    println!("walking {} paths without faults", paths.len());
    // Only a few lanes run at once, and a whole walk repeats each path three times and keeps the run with the fewest
    // calls. On a busy machine a request can time out, and the calls of its retry are no part of the path.
    let times = if options.extent == Extent::Whole { 3 } else { 1 };
    let plain = paths.iter().flat_map(|path| std::iter::repeat_n(*path, times));
    let plain = plain.map(|path| Case { path, k: 0, plan: None }).collect();
    let mut plain = suite::walk_all(Arc::clone(&world), plain, options.lanes.min(6), None, |_| {}).await;
    let place = |name: &str| path::ALL.iter().position(|path| path.name() == name);
    plain.sort_by_key(|walked| (place(walked.case.path.name()), walked.calls.len()));
    plain.dedup_by_key(|walked| walked.case.path.name());
    let plain = again_alone(&world, plain).await;
    if failed(&plain) {
        return Ok(false);
    }

    if !only.is_empty() {
        for (index, key) in plain.iter().flat_map(|walked| walked.calls.iter().enumerate()) {
            println!("{:>4}  {key}", index + 1);
        }
    }
    let mut cases: Vec<Case> = plain
        .iter()
        .flat_map(|walked| suite::cases(walked.case.path, &walked.calls, options.extent))
        .collect();
    if only.contains(':') {
        let whole = format!("{only}:");
        cases.retain(|case| case.name() == only || case.name().starts_with(&whole));
    }
    let total = cases.len();
    println!("{total} combinations of call and fault, {} lanes in parallel", options.lanes);
    // Neighbouring cases take equally long. This order mixes them, so that every kind of case is among the first.
    let stride = 97 % total.max(1);
    let mut dealt: Vec<(usize, Case)> =
        cases.into_iter().enumerate().map(|(n, case)| (n * stride.max(1) % total.max(1), case)).collect();
    dealt.sort_by_key(|(place, _)| *place);
    let dealt = dealt.into_iter().map(|(_, case)| case).collect();

    let is_holding = !only.is_empty() || siege::table(&siege::lay_all(&world, 4).await);
    let end = options.minutes.map(|minutes| began + Duration::from_secs(minutes * 60));
    let progress = Progress::new(total);
    let walked =
        suite::walk_all(Arc::clone(&world), dealt, options.lanes, end, move |walked| progress.note(walked))
            .await;
    let walked = again_alone(&world, walked).await;
    let is_clean = table(&plain, &walked)?;
    if walked.len() < total {
        println!("{} of {total} cases were not walked, for lack of time", total - walked.len());
    }
    println!("took {} s", began.elapsed().as_secs());
    Ok(is_clean && is_holding && !failed(&walked))
}

/// Walks each case that failed on a starved machine again, alone, up to three times. On such a machine a request can
/// miss its second. The attempt then fails rightly, and such failures are no concern of this suite. A case that fails
/// again alone has failed.
async fn again_alone(world: &World, walked: Vec<Walked>) -> Vec<Walked> {
    const STARVED: f64 = 0.8;
    let mut kept = Vec::new();
    let mut held = Vec::new();
    for one in walked {
        if one.is_clean() || one.starved < STARVED {
            kept.push(one);
            continue;
        }
        let mut worst = None;
        for _ in 0..3 {
            match suite::walk(world, &one.case).await {
                Ok(again) if again.is_clean() => worst = worst.or(Some(again)),
                Ok(again) => {
                    worst = Some(again);
                    break;
                }
                Err(error) => eprintln!("{}: {error}", one.case.name()),
            }
        }
        if worst.as_ref().is_some_and(Walked::is_clean) {
            held.push(one.case.name());
        }
        kept.push(worst.unwrap_or(one));
    }
    if !held.is_empty() {
        println!(
            "these cases failed on a starved machine, and passed when walked alone three times: {}",
            held.join(" ")
        );
    }
    kept
}

/// Prints each problem and the option that walks its case again. Returns whether there was a problem.
fn failed(walked: &[Walked]) -> bool {
    let mut any = false;
    for one in walked {
        for problem in one.verdict.losses.iter().chain(&one.verdict.violations) {
            any = true;
            println!("{}: {problem}", one.case.name());
        }
        if let Some((key, _)) = &one.case.plan
            && !one.is_clean()
        {
            println!("  the planned call was {key}; walk the case again with --only {}", one.case.name());
        }
    }
    any
}

/// Prints a line of progress every few seconds.
struct Progress {
    total: usize,
    began: Instant,
    done: AtomicUsize,
    bad: AtomicUsize,
    extra: AtomicU64,
    shown: Mutex<Instant>,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self {
            total,
            began: Instant::now(),
            done: AtomicUsize::new(0),
            bad: AtomicUsize::new(0),
            extra: AtomicU64::new(0),
            shown: Mutex::new(Instant::now()),
        }
    }

    fn note(&self, walked: &Walked) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = &walked.verdict;
        self.extra.fetch_add(verdict.extra_sends, Ordering::Relaxed);
        if !walked.is_clean() {
            self.bad.fetch_add(1, Ordering::Relaxed);
            failed(std::slice::from_ref(walked));
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() > Duration::from_secs(5) || done == self.total {
            *shown = Instant::now();
            let rate = done as f64 / self.began.elapsed().as_secs_f64();
            let left = (self.total - done) as f64 / rate / 60.0;
            println!(
                "{done}/{} walked, {rate:.1} a second, {} failing, {} extra sends, about {left:.1} min left",
                self.total,
                self.bad.load(Ordering::Relaxed),
                self.extra.load(Ordering::Relaxed),
            );
        }
    }
}

fn table(plain: &[Walked], walked: &[Walked]) -> std::io::Result<bool> {
    println!(
        "\n{:<16} {:>6} {:>7} {:>6} {:>7} {:>11} {:>12}",
        "path", "calls", "faults", "runs", "losses", "violations", "extra sends"
    );
    let mut rows = Vec::new();
    let (mut runs, mut losses, mut violations, mut extra_sends) = (0, 0, 0, 0);
    let mut missed = Vec::new();
    for undisturbed in plain {
        let path = undisturbed.case.path;
        let of_path: Vec<&Walked> = walked.iter().filter(|one| one.case.path.name() == path.name()).collect();
        let faults: BTreeSet<String> = of_path
            .iter()
            .filter_map(|one| one.case.plan.as_ref().map(|(_, injection)| injection.to_string()))
            .collect();
        let sum = |count: fn(&Walked) -> u64| of_path.iter().map(|one| count(one)).sum::<u64>();
        let lost = sum(|one| one.verdict.losses.len() as u64);
        let violated = sum(|one| one.verdict.violations.len() as u64);
        let extra = sum(|one| one.verdict.extra_sends);
        let count = of_path.len() as u64 + 1;
        for one in of_path.iter().filter(|one| !one.has_struck) {
            missed.push(one.case.name());
        }
        println!(
            "{:<16} {:>6} {:>7} {count:>6} {lost:>7} {violated:>11} {extra:>12}",
            path.name(),
            undisturbed.calls.len(),
            faults.len()
        );
        rows.push(json!({ "path": path.name(), "calls": undisturbed.calls.len(), "faults": faults.len(),
            "runs": count, "losses": lost, "extra_sends": extra }));
        runs += count;
        losses += lost;
        violations += violated;
        extra_sends += extra;
    }
    println!("{:<16} {:>6} {:>7} {runs:>6} {losses:>7} {violations:>11} {extra_sends:>12}", "all", "", "");
    if !missed.is_empty() {
        println!("{} planned calls did not happen in two walks each: {}", missed.len(), missed.join(" "));
    }
    let report = json!({ "runs": runs, "losses": losses, "extra_sends": extra_sends, "violations": violations,
        "paths": rows });
    let file = suite::target().join("faults.json");
    std::fs::write(file, format!("{report:#}\n"))?;
    Ok(losses == 0 && violations == 0)
}
