//! The limits of one partition key: 1,000 write units and 3,000 read units a second, of tables and of indexes
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html). A call passes while each
//! of its partitions has used less than that within the last second. Otherwise the call is throttled with DynamoDB's
//! answers. This model is stricter than AWS in one point: it never splits a partition that stays busy.

mod reads;
mod writes;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dynamo::Dynamo;
use crate::http::Reply;

const SECOND: Duration = Duration::from_secs(1);

/// Above this number of windows the empty ones are dropped.
const MOST_WINDOWS: usize = 10_000;

/// The message of a throttling answer. The lanes recognise the answer by it.
const MESSAGE: &str = "Throughput exceeds the current capacity of your table or index.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Read,
    Write,
}

impl Direction {
    const fn most(self) -> f64 {
        match self {
            Self::Read => 3_000.0,
            Self::Write => 1_000.0,
        }
    }
}

/// One partition key of a table or an index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    table: String,
    index: Option<String>,
    key: String,
    direction: Direction,
}

impl fmt::Display for Place {
    /// Writes a throttle's reason (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.index.is_some() { "Index" } else { "Table" };
        write!(f, "{of}{:?}KeyRangeThroughputExceeded", self.direction)
    }
}

/// The units that one partition key has used.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    pub table: String,
    pub units: f64,
    /// The units that it accepts a second.
    pub most_per_s: f64,
}

/// The units that each partition key had used at some moment.
#[derive(Debug, Clone, Default)]
pub struct Totals(HashMap<Place, f64>);

/// The units of the last second.
#[derive(Debug, Default)]
struct Window {
    taken: VecDeque<(Instant, f64)>,
    sum: f64,
}

impl Window {
    fn forget(&mut self, now: Instant) {
        while let Some((at, units)) = self.taken.front() {
            if now.duration_since(*at) < SECOND {
                return;
            }
            self.sum -= units;
            self.taken.pop_front();
        }
        self.sum = 0.0;
    }
}

#[derive(Debug)]
struct State {
    /// The time of the present call.
    now: Instant,
    windows: HashMap<Place, Window>,
    /// All units since the start.
    totals: HashMap<Place, f64>,
    /// The number of throttles, by table or index and reason.
    throttled: BTreeMap<String, u64>,
}

impl State {
    /// Whether a partition has used up its units of the last second.
    fn is_full(&mut self, place: &Place) -> bool {
        let Some(window) = self.windows.get_mut(place) else { return false };
        window.forget(self.now);
        window.sum >= place.direction.most()
    }

    /// The partition keys of an index that accept no further write now.
    fn full_keys(&mut self, table: &str, index: &str) -> Vec<Place> {
        let is_of = |place: &&Place| {
            place.direction == Direction::Write
                && place.table == table
                && place.index.as_deref() == Some(index)
        };
        let places: Vec<Place> = self.windows.keys().filter(is_of).cloned().collect();
        places.into_iter().filter(|place| self.is_full(place)).collect()
    }

    fn charge(&mut self, place: Place, units: f64) {
        if units <= 0.0 {
            return;
        }
        let now = self.now;
        *self.totals.entry(place.clone()).or_default() += units;
        if self.windows.len() > MOST_WINDOWS {
            self.windows.values_mut().for_each(|window| window.forget(now));
            self.windows.retain(|_, window| !window.taken.is_empty());
        }
        let window = self.windows.entry(place).or_default();
        window.forget(now);
        window.taken.push_back((now, units));
        window.sum += units;
    }

    /// Notes that a partition throttled a call or a part of a call.
    fn refuse(&mut self, place: &Place) {
        let index = place.index.as_ref().map(|index| format!("/{index}")).unwrap_or_default();
        *self.throttled.entry(format!("{}{index} {place}", place.table)).or_default() += 1;
    }
}

/// The partitions of all tables.
#[derive(Debug)]
pub struct Partitions {
    state: Mutex<State>,
}

impl Default for Partitions {
    fn default() -> Self {
        let state = State {
            now: Instant::now(),
            windows: HashMap::new(),
            totals: HashMap::new(),
            throttled: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }
}

impl Partitions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a function's call, or the part of it that the partitions allow.
    pub fn call(&self, dynamo: &Dynamo, operation: &str, body: &str) -> Reply {
        self.call_at(Instant::now(), dynamo, operation, body)
    }

    /// Carries out a call that came at `now`. No earlier call may have a later time.
    pub fn call_at(&self, now: Instant, dynamo: &Dynamo, operation: &str, body: &str) -> Reply {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        // Only one call runs at a time, as in the database, so that each call sees the units of all earlier calls.
        let mut state = self.lock();
        state.now = now.max(state.now);
        match operation {
            "GetItem" | "Query" => reads::one(&mut state, dynamo, operation, &request),
            "BatchGetItem" => reads::batch(&mut state, dynamo, request),
            "BatchExecuteStatement" => writes::statements(&mut state, dynamo, request),
            "TransactWriteItems" => writes::transaction(&mut state, dynamo, &request),
            "PutItem" | "UpdateItem" | "DeleteItem" => writes::one(&mut state, dynamo, operation, &request),
            _ => dynamo.call(operation, body),
        }
    }

    /// Charges one partition of a table as if other writers wrote to it now.
    pub fn written_by_others(&self, table: &str, key: &str, units: f64) {
        let place =
            Place { table: table.to_owned(), index: None, key: key.to_owned(), direction: Direction::Write };
        let mut state = self.lock();
        state.now = Instant::now().max(state.now);
        state.charge(place, units);
    }

    /// The units that each partition key has used so far.
    #[must_use]
    pub fn used(&self) -> Totals {
        Totals(self.lock().totals.clone())
    }

    /// The units that each partition key has used since then.
    #[must_use]
    pub fn used_since(&self, then: &Totals) -> Vec<Used> {
        let used = |(place, now): (&Place, &f64)| Used {
            table: place.table.clone(),
            units: now - then.0.get(place).copied().unwrap_or(0.0),
            most_per_s: place.direction.most(),
        };
        self.lock().totals.iter().map(used).filter(|used| used.units > 0.0).collect()
    }

    /// The number of throttled calls and parts of calls, by table or index and reason.
    /// For example `events TableWriteKeyRangeThroughputExceeded`.
    #[must_use]
    pub fn throttled(&self) -> BTreeMap<String, u64> {
        self.lock().throttled.clone()
    }
}

/// Whether an answer throttles the whole call, or one of its statements or writes.
#[must_use]
pub fn is_throttling(reply: &Reply) -> bool {
    reply.body.contains(MESSAGE)
}

/// DynamoDB's answer when this partition throttles a whole call. Tables that are billed by request answer
/// `ThrottlingException`.
fn throttled(place: &Place) -> Reply {
    let index = place.index.as_ref().map(|index| format!("/index/{index}")).unwrap_or_default();
    let resource = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}{index}", place.table);
    let body = json!({ "__type": "com.amazon.coral.availability#ThrottlingException", "message": MESSAGE,
        "throttlingReasons": [{ "reason": place.to_string(), "resource": resource }] });
    Reply { status: 400, body: body.to_string() }
}

/// The partition key's value in an item or a key that DynamoDB wrote.
fn partition_of(table: &str, item: &Value) -> String {
    let attribute = Dynamo::key(table).next().unwrap_or_default();
    item[attribute]["S"].as_str().unwrap_or_default().to_owned()
}
