//! Makes a chosen AWS call fail in a chosen way.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::function::Kind;

/// The fault of an AWS call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The connection breaks before AWS receives the call.
    Refused,
    /// AWS answers 500 and does not carry the call out.
    ServerError,
    /// AWS carries the call out, and the connection breaks before the answer.
    Lost,
    /// AWS throttles the call and does not carry it out.
    Throttled,
    /// AWS carries the call out and never answers.
    Slow,
    /// AWS carries the call out late, when the client no longer waits for the answer.
    Late,
    /// AWS leaves out one entry of a batch, and its answer calls the entry unprocessed or failed.
    Partial,
    /// A read without strong consistency finds nothing yet.
    Stale,
    /// The function is killed before AWS receives the call.
    KillBefore,
    /// AWS carries the call out, and the function is killed before it receives the answer.
    KillAfter,
    /// AWS answers that the call is done, but does not carry it out. The real AWS never does this: the fault shows
    /// that the suite notices a loss.
    Swallowed,
}

impl Fault {
    pub const ALL: [Self; 10] = [
        Self::Refused,
        Self::ServerError,
        Self::Lost,
        Self::Throttled,
        Self::Slow,
        Self::Late,
        Self::Partial,
        Self::Stale,
        Self::KillBefore,
        Self::KillAfter,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ServerError => "error",
            Self::Lost => "lost",
            Self::Throttled => "throttled",
            Self::Slow => "slow",
            Self::Late => "late",
            Self::Partial => "partial",
            Self::Stale => "stale",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::Swallowed => "swallowed",
        }
    }

    /// Whether this fault can happen to a call of this operation.
    #[must_use]
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Partial => {
                let of_rows = matches!(operation, "BatchGetItem" | "BatchExecuteStatement");
                of_rows || matches!(operation, "SendMessageBatch" | "ChangeMessageVisibilityBatch")
            }
            Self::Stale => operation == "BatchGetItem",
            _ => true,
        }
    }

    /// Whether the fault can also strike every further call of an invocation. A killed process makes no further call.
    #[must_use]
    pub const fn can_last(self) -> bool {
        !matches!(self, Self::KillBefore | Self::KillAfter | Self::Swallowed)
    }
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// The fault strikes one request. The client's own retry succeeds.
    Once,
    /// The fault strikes the call and every further call of the same invocation.
    Invocation,
}

/// A fault and its span. The table and the command line write it as `lost` or `lost-all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Injection {
    pub fault: Fault,
    pub span: Span,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.span == Span::Invocation { "-all" } else { "" };
        write!(f, "{}{all}", self.fault.name())
    }
}

impl FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, span) = match text.strip_suffix("-all") {
            Some(name) => (name, Span::Invocation),
            None => (text, Span::Once),
        };
        let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
        Ok(Self { fault: fault.ok_or_else(|| format!("'{text}' is no fault"))?, span })
    }
}

/// Names one call of a path: by its function, by its operation on a table or queue, and by its number among such
/// calls. A number among all calls would name another call in the next run, because calls of one invocation may run
/// in parallel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey {
    pub kind: Kind,
    /// The operation and its table or queue, such as `PutItem events`.
    pub what: String,
    pub nth: u32,
}

impl CallKey {
    #[must_use]
    pub fn operation(&self) -> &str {
        self.what.split(' ').next().unwrap_or_default()
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} #{}", self.kind, self.what, self.nth)
    }
}

/// One call as it happened.
#[derive(Debug, Clone)]
pub struct CallRecord {
    pub at: Instant,
    pub key: CallKey,
    /// The invocation that made the call.
    pub invocation: u64,
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct State {
    is_armed: bool,
    plan: Option<(CallKey, Injection)>,
    /// The invocation that a lasting fault has struck.
    struck: Option<u64>,
    has_struck: bool,
    outage: Option<(String, Fault)>,
    counts: HashMap<(Kind, String), u32>,
    calls: Vec<CallRecord>,
    totals: HashMap<(Kind, String), u64>,
    /// Invocations with a call that was throttled without an injected fault.
    disturbed: HashSet<u64>,
}

/// Sees every AWS call of a lane's functions and decides which calls fail.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all earlier calls, counts the calls from now on, and carries out `plan`.
    pub fn arm(&self, plan: Option<(CallKey, Injection)>) {
        let mut state = self.lock();
        *state = State { is_armed: true, plan, ..State::default() };
    }

    /// Makes every call fail whose name contains this text. `None` ends the outage.
    pub fn outage(&self, what: Option<(&str, Fault)>) {
        self.lock().outage = what.map(|(what, fault)| (what.to_owned(), fault));
    }

    /// Whether the planned fault has happened.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.lock().has_struck
    }

    /// The calls since [`Self::arm`], in order.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.lock().calls.clone()
    }

    /// Notes that a call of this invocation was throttled without an injected fault.
    pub fn disturbed(&self, invocation: u64) {
        self.lock().disturbed.insert(invocation);
    }

    /// The invocations with a call that failed by the plan or was throttled.
    #[must_use]
    pub fn disturbed_invocations(&self) -> HashSet<u64> {
        let state = self.lock();
        let faulty = state.calls.iter().filter(|call| call.fault.is_some()).map(|call| call.invocation);
        faulty.chain(state.disturbed.iter().copied()).collect()
    }

    /// How often each call was made, armed or not: by function, operation and table or queue.
    #[must_use]
    pub fn totals(&self) -> HashMap<(Kind, String), u64> {
        self.lock().totals.clone()
    }

    /// Notes a call and returns the fault that strikes it, if any.
    pub fn on_call(&self, kind: Kind, invocation: u64, what: &str) -> Option<Fault> {
        let mut state = self.lock();
        *state.totals.entry((kind, what.to_owned())).or_default() += 1;
        if let Some((part, fault)) = &state.outage
            && what.contains(part.as_str())
        {
            return Some(*fault);
        }
        if !state.is_armed {
            return None;
        }
        let nth = state.counts.entry((kind, what.to_owned())).or_default();
        *nth += 1;
        let key = CallKey { kind, what: what.to_owned(), nth: *nth };
        let fault = match &state.plan {
            Some((planned, injection)) if *planned == key && !state.has_struck => {
                let injection = *injection;
                state.has_struck = true;
                if injection.span == Span::Invocation {
                    state.struck = Some(invocation);
                }
                Some(injection.fault)
            }
            Some((_, injection)) if state.struck == Some(invocation) => Some(injection.fault),
            _ => None,
        };
        let fault = fault.filter(|fault| fault.applies_to(key.operation()));
        state.calls.push(CallRecord { at: Instant::now(), key, invocation, fault });
        fault
    }
}
