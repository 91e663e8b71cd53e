//! A function: a process for each invocation at a time, started when it is needed.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::aws::Aws;
use crate::lineage::{MOST_INVOCATIONS, Trace};
use crate::sandbox::{Failed, Sandbox};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Api,
    Delivery,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Delivery => "delivery",
        })
    }
}

/// How a function runs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kind: Kind,
    pub binary: PathBuf,
    pub env: HashMap<String, String>,
    /// Lambda's timeout: the process is killed then.
    pub timeout: Duration,
    /// `RecursiveLoop: Allow`: Lambda does not end chains of invocations.
    pub may_recurse: bool,
    /// Processes at once.
    pub concurrency: usize,
    /// Where the processes' output goes.
    pub log: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Function {
    pub settings: Settings,
    aws: Arc<Aws>,
    idle: Mutex<Vec<Arc<Sandbox>>>,
    busy: Mutex<HashMap<u64, Arc<Sandbox>>>,
    longest: Mutex<Duration>,
    room: Semaphore,
    invocations: AtomicU64,
    longest_chain: AtomicU32,
}

impl Function {
    #[must_use]
    pub fn new(settings: Settings, aws: Arc<Aws>) -> Self {
        let room = Semaphore::new(settings.concurrency);
        // Ids of the two functions never meet, so one names an invocation in the whole lane.
        let first = if settings.kind == Kind::Api { 1 } else { 1_000_000_000 };
        Self {
            settings,
            aws,
            idle: Mutex::default(),
            busy: Mutex::default(),
            longest: Mutex::default(),
            room,
            invocations: AtomicU64::new(first),
            longest_chain: AtomicU32::new(0),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Arc<Sandbox>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<u64, Arc<Sandbox>>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one process ahead of its first invocation.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn warm_up(&self) -> io::Result<()> {
        let sandbox = self.start().await?;
        self.idle().push(sandbox);
        Ok(())
    }

    async fn start(&self) -> io::Result<Arc<Sandbox>> {
        let Settings { kind, binary, env, log, .. } = &self.settings;
        Ok(Arc::new(Sandbox::start(*kind, binary, env, log.as_deref(), Arc::clone(&self.aws)).await?))
    }

    /// The number that the next invocation will have.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.invocations.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether Lambda runs this function once more in a chain of requests.
    #[must_use]
    pub fn may_run_in(&self, chain: &Trace) -> bool {
        self.settings.may_recurse || chain.invocations(self.settings.kind) < MOST_INVOCATIONS
    }

    /// Runs one invocation of a chain of requests in an idle process, or in a new one.
    ///
    /// # Errors
    /// When it ended without an answer.
    pub async fn invoke(&self, id: u64, event: Bytes, chain: &Trace) -> Result<Bytes, Failed> {
        let _room = self.room.acquire().await.map_err(|_| Failed::Crashed)?;
        let idle = {
            let mut idle = self.idle();
            idle.retain(|sandbox| sandbox.is_alive());
            idle.pop()
        };
        let sandbox = match idle {
            Some(sandbox) => sandbox,
            None => self.start().await.map_err(|error| Failed::Reported(error.to_string()))?,
        };
        self.busy().insert(id, Arc::clone(&sandbox));
        let began = Instant::now();
        let trace = chain.invoking(self.settings.kind);
        self.longest_chain.fetch_max(trace.invocations(self.settings.kind), Ordering::Relaxed);
        let result = sandbox.invoke(id, event, trace.to_string(), self.settings.timeout).await;
        self.note(began.elapsed());
        self.busy().remove(&id);
        if sandbox.is_alive() {
            self.idle().push(sandbox);
        }
        result
    }

    /// The most invocations of this function that one chain of requests had.
    #[must_use]
    pub fn longest_chain(&self) -> u32 {
        self.longest_chain.load(Ordering::Relaxed)
    }

    fn note(&self, took: Duration) {
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = took.max(*longest);
    }

    /// The longest invocation since the last call of this method.
    pub fn take_longest(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.busy().is_empty()
    }

    /// Every process of this function.
    #[must_use]
    pub fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        let mut all: Vec<_> = self.idle().clone();
        all.extend(self.busy().values().cloned());
        all
    }

    /// Ends idle processes, so that the next invocation starts cold. A process that had no invocation yet is cold and stays.
    pub fn cool_down(&self) {
        self.idle().retain(|sandbox| !sandbox.has_worked());
    }

    #[must_use]
    pub fn is_warm(&self) -> bool {
        !self.idle().is_empty()
    }
}
