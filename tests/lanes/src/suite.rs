//! The crash-point suite: every path, every call on it, every fault, side by side in lanes of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{CallKey, Fault, Injection, Span};
use crate::iam::policy::Use;
use crate::invariants::{Verdict, judge};
use crate::path::{self, Path};
use crate::pressure;
use crate::run::Run;
use crate::world::World;

/// The longest time in which a run may come to rest. A manual retry's job waits a minute for a row that never changes,
/// and on a busy machine back-offs add up.
const SETTLES_WITHIN: Duration = Duration::from_secs(240);

/// One walk: a path, and which of its calls fails how.
#[derive(Debug, Clone)]
pub struct Case {
    pub path: &'static dyn Path,
    /// The call's number in its path, from 1, or 0 for a walk without a fault.
    pub k: usize,
    pub plan: Option<(CallKey, Injection)>,
}

impl Case {
    /// The argument of `--only` that walks this case again.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.plan {
            Some((_, injection)) => format!("{}:{}:{injection}", self.path.name(), self.k),
            None => format!("{}:0:none", self.path.name()),
        }
    }
}

/// How a walk went.
#[derive(Debug, Clone)]
pub struct Walked {
    pub case: Case,
    pub verdict: Verdict,
    /// Whether the planned call came at all.
    pub has_struck: bool,
    /// The calls of the path, in the order in which they first came.
    pub calls: Vec<CallKey>,
    /// The grants of their roles that the functions used.
    pub used: BTreeSet<Use>,
    pub took: Duration,
    /// The share of that time, 0 to 1, in which the machine was short of processor time.
    pub starved: f64,
}

impl Walked {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict.losses.is_empty() && self.verdict.violations.is_empty()
    }
}

/// The `target` folder.
#[must_use]
pub fn target() -> PathBuf {
    let profile = crate::lane::profile_folder();
    profile.parent().map_or(profile.clone(), std::path::Path::to_owned)
}

/// Where a failing walk's logs are kept.
#[must_use]
pub fn logs() -> PathBuf {
    target().join("lanes")
}

/// Walks one case.
///
/// # Errors
/// When the lane cannot be started.
pub async fn walk(world: &World, case: &Case) -> io::Result<Walked> {
    let began = Instant::now();
    let pressure = pressure::Span::begin();
    let mut settings = path::settings(case.path);
    settings.name = case.name().replace(':', "-");
    settings.logs = Some(logs());
    let lane = world.lane(settings).await?;
    let log_files = [&lane.api, &lane.delivery].map(|function| function.settings.log.clone());
    for log in log_files.iter().flatten() {
        let _ = std::fs::write(log, "");
    }
    let mut run = Run::new(lane, world);
    for n in 0..world.endpoints.len() {
        run.lane.receiver.set(&format!("/{n}"), case.path.answers());
    }
    case.path.set_up(&mut run).await;
    run.lane.restart_functions().await?;
    run.lane.aws.faults.arm(case.plan.clone());
    case.path.walk(&mut run).await;
    let has_settled = run.lane.settle(SETTLES_WITHIN).await;
    let has_struck = run.lane.aws.faults.has_struck();
    let calls: Vec<CallKey> = run.lane.aws.faults.calls().into_iter().map(|call| call.key).collect();
    case.path.check(&run).await;
    let verdict = judge(&run, has_settled, case.path.most_attempts()).await;
    let used = run.lane.aws.iam.used();
    drop(run);
    if verdict.losses.is_empty() && verdict.violations.is_empty() {
        for log in log_files.iter().flatten() {
            let _ = std::fs::remove_file(log);
        }
    }
    Ok(Walked {
        case: case.clone(),
        verdict,
        has_struck,
        calls,
        used,
        took: began.elapsed(),
        starved: pressure.share(),
    })
}

/// The faults that are walked for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Four faults that stand for the others. Of equal calls, only the first and the last fail.
    Bounded,
    Whole,
}

fn injections(key: &CallKey, extent: Extent) -> Vec<Injection> {
    let bounded = [
        Injection { fault: Fault::Lost, span: Span::Once },
        Injection { fault: Fault::Refused, span: Span::Invocation },
        Injection { fault: Fault::KillBefore, span: Span::Once },
        Injection { fault: Fault::KillAfter, span: Span::Once },
    ];
    let all = Fault::ALL.into_iter().flat_map(|fault| {
        let lasting = fault.can_last().then_some(Span::Invocation);
        [Some(Span::Once), lasting].into_iter().flatten().map(move |span| Injection { fault, span })
    });
    let fits = |injection: &Injection| injection.fault.applies_to(key.operation());
    match extent {
        Extent::Bounded => bounded.into_iter().filter(fits).collect(),
        Extent::Whole => all.filter(fits).collect(),
    }
}

/// The cases of a path whose undisturbed walk made `calls`.
#[must_use]
pub fn cases(path: &'static dyn Path, calls: &[CallKey], extent: Extent) -> Vec<Case> {
    let mut most: BTreeMap<&str, u32> = BTreeMap::new();
    for key in calls {
        let most = most.entry(&key.what).or_default();
        *most = key.nth.max(*most);
    }
    let mut cases = Vec::new();
    for (index, key) in calls.iter().enumerate() {
        let is_in_the_middle = key.nth > 1 && key.nth < most[key.what.as_str()];
        if extent == Extent::Bounded && is_in_the_middle {
            continue;
        }
        for injection in injections(key, extent) {
            cases.push(Case { path, k: index + 1, plan: Some((key.clone(), injection)) });
        }
    }
    cases
}

/// Lanes that run on the busiest machine, and the load, in percent of the time, above which no further lane begins.
const ALWAYS: usize = 8;
const CROWDED: f64 = 85.0;

/// Walks many cases, `side_by_side` at a time, and calls `report` after each. No case begins after `end`.
pub async fn walk_all(
    world: Arc<World>,
    cases: Vec<Case>,
    side_by_side: usize,
    end: Option<Instant>,
    report: impl Fn(&Walked) + Send + Sync + 'static,
) -> Vec<Walked> {
    let cases = Arc::new(cases);
    let next = Arc::new(AtomicUsize::new(0));
    let walked: Arc<Mutex<Vec<Walked>>> = Arc::default();
    let report = Arc::new(report);
    let mut walkers = tokio::task::JoinSet::new();
    for place in 0..side_by_side {
        let (world, cases, next) = (Arc::clone(&world), Arc::clone(&cases), Arc::clone(&next));
        let (walked, report) = (Arc::clone(&walked), Arc::clone(&report));
        walkers.spawn(async move {
            // A start needs the processor, and the rest of a walk mostly waits. So the lanes start one after another.
            tokio::time::sleep(Duration::from_millis(100) * u32::try_from(place).unwrap_or(0)).await;
            let is_over = || end.is_some_and(|end| Instant::now() > end);
            loop {
                // On a busy machine, further lanes only delay each other.
                while place >= ALWAYS && pressure::lately().is_some_and(|share| share > CROWDED) {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if is_over() || next.load(Ordering::Relaxed) >= cases.len() {
                        return;
                    }
                }
                let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                if is_over() {
                    return;
                }
                let result = match walk(&world, case).await {
                    // Timing may keep the planned call from coming, so the walk is repeated once.
                    Ok(missed) if case.plan.is_some() && !missed.has_struck => walk(&world, case).await,
                    result => result,
                };
                match result {
                    Ok(result) => {
                        report(&result);
                        walked.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                    }
                    Err(error) => eprintln!("{}: {error}", case.name()),
                }
            }
        });
    }
    while walkers.join_next().await.is_some() {}
    std::mem::take(&mut *walked.lock().unwrap_or_else(PoisonError::into_inner))
}
