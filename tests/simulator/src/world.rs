//! Endpoints, rows, three lanes of invocations, and a clock that jumps from one event to the next. The file has more
//! than 400 lines because all of it is one state.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::time::Duration;

use echo_shared::decision::{Lane, stand_back};
use echo_shared::delivery::{Delivery, DeliveryStatus};
use echo_shared::endpoint::Endpoint;
use echo_shared::event::{Event, EventContent};
use echo_shared::event_name::EventName;
use echo_shared::id::{EndpointId, EventId, ProjectId};
use echo_shared::job::DeliveryJob;
use echo_shared::rate_limit::RateLimit;
use echo_shared::route::Routes;
use echo_shared::schedule::RetrySchedule;
use echo_shared::shards::Shards;
use echo_shared::time::Timestamp;
use echo_template::{Template, number};

use crate::broken::{Broken, Service};
use crate::chaos::{Chaos, Design};
use crate::metrics::{Ages, LANES, Metrics};
use crate::pollers::{Pollers, Ramp};
use crate::queue::{Message, Queue};
use crate::random::Random;
pub use crate::row::Row;
use crate::sides::{SEND_AGAIN_MS, Sides};

/// The start of simulated time; decisions need a real date.
const EPOCH: i64 = 1_776_009_119_000;
/// An account's default concurrency (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html); a new account
/// may have less.
const ACCOUNT_CONCURRENCY: usize = 1_000;
/// The length of an invocation that makes no attempt: it reads rows and hides messages.
const SHORTEST_MS: i64 = 50;

/// How long after its jobs an event's rows can be written: the api function's timeout.
pub const LATEST_ROWS_MS: i64 = 15_000;

/// How an endpoint's receiver behaves.
#[derive(Debug, Clone, Copy)]
pub enum Receiver {
    /// Answers 200 after `ms`.
    Healthy { ms: i64 },
    /// Answers 500 after `ms`.
    Failing { ms: i64 },
    /// Never answers.
    Hanging,
    /// Answers 500 to one request in `once_in`, and 200 to the others.
    Flaky { once_in: u64, ms: i64 },
    /// Never answers one request in `once_in`, and answers 200 to the others.
    Lossy { once_in: u64, ms: i64 },
    /// Never answers before `at`, and answers 200 from then on.
    HangsUntil { at: i64, ms: i64 },
}

/// The deployment's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub schedule: RetrySchedule,
    pub request_timeout: Duration,
    pub api_timeout: Duration,
    pub visibility_ms: i64,
    /// The concurrency of first attempts, retries and slow endpoints.
    pub concurrency: [usize; LANES],
    pub ramp: Ramp,
    /// The concurrent invocations that the account allows to both functions together.
    pub account_concurrency: usize,
    /// The number of receives after which SQS moves a message to the dead letter queue.
    pub max_receives: u32,
    pub groups: Groups,
    pub chaos: Chaos,
    pub design: Design,
}

/// The groups of messages that SQS serves fairly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    Projects,
    Endpoints,
    /// One group for all messages: they come in order.
    None,
}

impl Settings {
    /// The template's defaults, without faults.
    ///
    /// # Panics
    /// When the template lacks one of these settings.
    #[must_use]
    pub fn template_defaults() -> Self {
        static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| Settings::of(&Template::load()));
        DEFAULTS.clone()
    }

    #[expect(clippy::expect_used, reason = "the functions refuse another schedule too")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers of a template"
    )]
    fn of(template: &Template) -> Self {
        let properties = |id: &str| &template.resource(id)["Properties"];
        let queue = properties("FirstAttemptsQueue");
        let concurrency =
            |mapping: &str| number(&properties(mapping)["ScalingConfig"]["MaximumConcurrency"]) as usize;
        let schedule = template.value("RetryDelaysSeconds").as_str().unwrap_or_default();
        Self {
            schedule: RetrySchedule::parse(schedule).expect("the default schedule"),
            request_timeout: Duration::from_secs_f64(number(template.value("RequestTimeoutSeconds"))),
            api_timeout: Duration::from_secs_f64(number(&properties("ApiFunction")["Timeout"])),
            visibility_ms: number(&queue["VisibilityTimeout"]) as i64 * 1_000,
            concurrency: ["FirstAttempts", "Retries", "SlowEndpoints"].map(concurrency),
            ramp: Ramp::Evenly,
            account_concurrency: ACCOUNT_CONCURRENCY,
            max_receives: number(&queue["RedrivePolicy"]["maxReceiveCount"]) as u32,
            groups: Groups::Projects,
            chaos: Chaos::default(),
            design: Design::AsBuilt,
        }
    }

    #[must_use]
    pub fn stand_back(&self) -> Duration {
        stand_back(self.request_timeout)
    }
}

/// One record of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) message: Message,
    pub(crate) lane: Lane,
    pub(crate) received_at: i64,
    pub(crate) invocation: u32,
    /// The row as the invocation read it.
    pub(crate) seen: Row,
    pub(crate) sent: bool,
    pub(crate) sent_at: i64,
    pub(crate) sent_while_slow: bool,
    /// The job sleeps through a short wait, or until its slot's time.
    pub(crate) asleep: bool,
    pub(crate) settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Arrival {
        endpoint: u16,
    },
    Poll,
    /// A message becomes visible; `hidden` says that it was in flight until then.
    Visible {
        lane: u8,
        slot: u32,
        hidden: bool,
    },
    StillNoAnswer {
        endpoint: u16,
    },
    /// A short invocation ends.
    Over {
        invocation: u32,
    },
    Answered {
        work: u32,
        ok: bool,
    },
    SlotComes {
        work: u32,
        number: u32,
    },
    /// A job has slept through a short wait.
    SleptThrough {
        work: u32,
    },
    /// An event is on the bus, or EventBridge tries again to pass it on.
    OnBus {
        endpoint: u16,
        tries: u32,
    },
    SidePoll,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Invocation {
    pub(crate) lane: Lane,
    pub(crate) began_at: i64,
    pub(crate) open: u32,
    pub(crate) skew_ms: i64,
    pub(crate) alive: bool,
}

#[derive(Debug)]
pub struct World {
    pub settings: Settings,
    pub(crate) random: Random,
    pub now: i64,
    happenings: BinaryHeap<Reverse<(i64, u64, Happening)>>,
    sequence: u64,
    pub(crate) queues: [Queue; LANES],
    pub(crate) busy: [usize; LANES],
    pub(crate) pollers: [Pollers; LANES],
    pub(crate) ages: [Ages; LANES],
    pub(crate) sides: Sides,
    pub broken: Broken,
    pub metrics: Metrics,
    pub(crate) invocations: Slab<Invocation>,
    pub(crate) work: Slab<Work>,
    pub(crate) waiting: Slab<Message>,
    pub rows: Vec<Row>,
    pub endpoints: Vec<Endpoint>,
    pub receivers: Vec<Receiver>,
    /// The times of all requests to endpoints with a rate limit.
    pub limited: Vec<i64>,
    arrivals: Vec<(i64, i64)>,
    /// Breaches of an invariant, in words.
    pub violations: Vec<String>,
    /// Requests that a second job of the same delivery made although no record was lost.
    pub doubled: u64,
    /// Deliveries that their dead letter finished.
    pub internal: u64,
    /// The most receives of any message of a lane.
    pub most_receives: u32,
    pub(crate) scratch: (Delivery, DeliveryJob),
}

/// Slots that are used again, so that an hour of a flood fits in memory.
#[derive(Debug)]
pub(crate) struct Slab<T>(Vec<T>, Vec<u32>);

impl<T: Copy> Slab<T> {
    fn new() -> Self {
        Self(Vec::new(), Vec::new())
    }
    pub(crate) fn put(&mut self, value: T) -> u32 {
        if let Some(slot) = self.1.pop() {
            self.0[slot as usize] = value;
            return slot;
        }
        self.0.push(value);
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }
    pub(crate) fn at(&mut self, slot: u32) -> &mut T {
        &mut self.0[slot as usize]
    }
    pub(crate) fn take(&mut self, slot: u32) -> T {
        self.1.push(slot);
        self.0[slot as usize]
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0_u32..).zip(&self.0)
    }
}

pub(crate) const fn index(lane: Lane) -> usize {
    match lane {
        Lane::FirstAttempts => 0,
        Lane::Retries => 1,
        Lane::Slow => 2,
    }
}

#[must_use]
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH + ms)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) const fn since_start(at: Timestamp) -> i64 {
    at.as_millis() - EPOCH
}

impl World {
    /// Makes a world of endpoints, each of a project of its own.
    #[must_use]
    pub fn new(seed: u64, settings: Settings, receivers: Vec<Receiver>) -> Self {
        Self::of_projects(seed, settings, (0_u16..).zip(receivers).collect())
    }

    /// Makes a world of endpoints, each with its project's number and its receiver.
    ///
    /// # Panics
    /// Never: its constants are valid.
    #[must_use]
    #[expect(clippy::expect_used, reason = "constants of this file")]
    pub fn of_projects(seed: u64, settings: Settings, endpoints: Vec<(u16, Receiver)>) -> Self {
        let (projects, receivers): (Vec<u16>, Vec<Receiver>) = endpoints.into_iter().unzip();
        let groups: Vec<u16> = match settings.groups {
            Groups::Projects => projects,
            Groups::Endpoints => (0_u16..).zip(&receivers).map(|(endpoint, _)| endpoint).collect(),
            Groups::None => receivers.iter().map(|_| 0).collect(),
        };
        let name = EventName::from_stored("call.ended");
        let project_id = ProjectId::new(timestamp(0));
        let new = || {
            Endpoint::new(
                project_id,
                EndpointId::new(timestamp(0)),
                Shards::ONE,
                "https://example.com".into(),
                vec![name.clone().into()],
                vec![1].into(),
                timestamp(0),
            )
        };
        let endpoints: Vec<Endpoint> = receivers.iter().map(|_| new()).collect();
        let content = EventContent {
            name: name.clone(),
            customer_id: None,
            notification_id: None,
            data: serde_json::from_str("{}").expect("JSON"),
        };
        let year = Duration::from_secs(365 * 86_400);
        let event_id = EventId::new(timestamp(0));
        let event =
            Event::accept(project_id, event_id, &content, &Routes::to(&endpoints[0]), timestamp(0), year);
        let listed = event.deliveries[0];
        let job = DeliveryJob {
            project_id,
            endpoint_id: listed.endpoint_id,
            delivery_id: listed.id,
            event_id,
            chain: None,
            manual_at: None,
            by_hand: false,
            waits_since: None,
            stream: None,
        };
        Self {
            random: Random::new(seed),
            now: 0,
            happenings: BinaryHeap::new(),
            sequence: 0,
            queues: [0; LANES].map(|_| Queue::new(groups.clone())),
            busy: [0; LANES],
            pollers: settings.concurrency.map(|ceiling| Pollers::new(ceiling, settings.ramp)),
            ages: [0; LANES].map(|_| Ages::default()),
            sides: Sides::default(),
            broken: Broken::default(),
            metrics: Metrics::default(),
            invocations: Slab::new(),
            work: Slab::new(),
            waiting: Slab::new(),
            rows: Vec::new(),
            arrivals: vec![(0, 0); receivers.len()],
            endpoints,
            receivers,
            limited: Vec::new(),
            settings,
            violations: Vec::new(),
            doubled: 0,
            internal: 0,
            most_receives: 0,
            scratch: (Delivery::pending(&event, &listed), job),
        }
    }

    /// Lets `count` events for an endpoint arrive, one every `every_ms`.
    pub fn produce(&mut self, endpoint: u16, every_ms: i64, count: i64) {
        self.arrivals[usize::from(endpoint)] = (every_ms, count);
        self.at(self.now, Happening::Arrival { endpoint });
    }

    /// Gives an endpoint a rate limit.
    pub fn limit(&mut self, endpoint: u16, per_second: u16) {
        let since = timestamp(self.now);
        self.endpoints[usize::from(endpoint)].state.rate_limit = Some(RateLimit { per_second, since });
    }

    /// The most requests to endpoints with a rate limit within any second.
    #[must_use]
    pub fn most_in_a_second(&self) -> usize {
        let within =
            |begin: &i64| self.limited.iter().filter(|at| (0..1_000).contains(&(*at - begin))).count();
        self.limited.iter().map(within).max().unwrap_or(0)
    }

    /// A lane's running invocations.
    #[must_use]
    pub const fn running(&self, lane: Lane) -> usize {
        self.busy[index(lane)]
    }

    /// A lane's messages that wait for an invocation, and those that are hidden or at work.
    #[must_use]
    pub const fn depth(&self, lane: Lane) -> (u64, u64) {
        let queue = &self.queues[index(lane)];
        (queue.visible(), queue.hidden())
    }

    /// Whether no job is left anywhere.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.happenings.is_empty() && self.queues.iter().all(Queue::is_empty) && self.sides.is_empty()
    }

    pub(crate) fn at(&mut self, when: i64, happening: Happening) {
        self.sequence += 1;
        self.happenings.push(Reverse((when, self.sequence, happening)));
    }

    /// Runs until nothing is left to happen, or until `until`.
    pub fn run(&mut self, until: i64) {
        // A test may have changed something since the last run, such as turned a mapping on. Pollers notice the change
        // at once.
        self.at(self.now, Happening::Poll);
        while let Some(Reverse((when, ..))) = self.happenings.peek()
            && *when <= until
            && let Some(Reverse((when, _, happening))) = self.happenings.pop()
        {
            self.sample_until(when);
            self.now = when;
            match happening {
                Happening::Arrival { endpoint } => self.arrival(endpoint),
                Happening::Poll => {}
                Happening::Visible { lane, slot, hidden } => {
                    let message = self.waiting.take(slot);
                    let queue = &mut self.queues[usize::from(lane)];
                    if hidden {
                        queue.release(message.endpoint);
                    }
                    queue.show(message);
                }
                Happening::StillNoAnswer { endpoint } => self.mark_slow(endpoint),
                Happening::Over { invocation } => self.free(invocation),
                Happening::Answered { work, ok } => self.answered(work, ok),
                Happening::SlotComes { work, number } => self.slot_comes(work, number),
                Happening::SleptThrough { work } => self.slept_through(work),
                Happening::OnBus { endpoint, tries } => self.on_bus(endpoint, tries),
                Happening::SidePoll => self.side_poll(),
            }
            for lane in Lane::ALL {
                self.receive(lane);
            }
        }
    }

    /// Runs until `until`, and lets CloudWatch sample the queues up to the last minute.
    pub fn run_out(&mut self, until: i64) {
        self.run(until);
        self.sample_until(until);
        self.now = until;
    }

    fn arrival(&mut self, endpoint: u16) {
        let (every, left) = self.arrivals[usize::from(endpoint)];
        if left == 0 {
            return;
        }
        if self.refuses_requests() {
            return self.at(self.now + SEND_AGAIN_MS, Happening::Arrival { endpoint });
        }
        self.arrivals[usize::from(endpoint)].1 -= 1;
        self.at(self.now + every, Happening::Arrival { endpoint });
        self.accept(endpoint);
    }

    pub(crate) fn accept(&mut self, endpoint: u16) {
        let written_at = self.rows_written_at();
        self.rows.push(Row {
            endpoint,
            accepted_at: self.now,
            written_at,
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_retry_at: None,
            chain: None,
            slot: None,
            updated_at: self.now,
            sends: 0,
            unrecorded: 0,
            first_sent_at: None,
            late_ms: 0,
        });
        let delivery = u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX);
        let message = Message { delivery, endpoint, chain: None, receives: 0, sent_at: self.now };
        let is_slow = self.endpoints[usize::from(endpoint)].is_slow(timestamp(self.now));
        let lane = if is_slow { Lane::Slow } else { Lane::FirstAttempts };
        // The API function sends the job. If the answer is lost, it sends a copy with a chain of its own, which stands
        // back.
        if !self.send(lane, message, 0) {
            let chain = Some(self.new_chain());
            let delay = millis(self.settings.stand_back());
            if !self.send(lane, Message { chain, ..message }, delay) {
                // The API function answers 503, and the producer posts the event again until it is accepted.
                loop {
                    let chain = Some(self.new_chain());
                    if self.send(lane, Message { chain, ..message }, delay) {
                        break;
                    }
                }
            }
        }
    }

    fn rows_written_at(&mut self) -> Option<i64> {
        if !self.random.once_in(self.settings.chaos.rows_late) {
            return Some(self.now);
        }
        let after = i64::try_from(self.random.below(LATEST_ROWS_MS.unsigned_abs())).unwrap_or(0);
        (!self.random.once_in(4)).then_some(self.now + after)
    }

    pub(crate) fn new_chain(&mut self) -> u32 {
        u32::try_from(self.random.next() >> 32).unwrap_or(1)
    }

    /// Sends a job. False means that the caller cannot be certain of it, whether or not the job is in the queue.
    pub(crate) fn send(&mut self, lane: Lane, message: Message, delay_ms: i64) -> bool {
        if self.refuses(Service::SqsSend) {
            return false;
        }
        let message = Message { receives: 0, sent_at: self.now, ..message };
        self.ages[index(lane)].sent(self.now);
        let delay = if delay_ms > 0 { delay_ms + self.wander() } else { 0 };
        self.later(lane, message, delay.clamp(0, 900_000), false);
        !self.random.once_in(self.settings.chaos.answer_lost)
    }

    /// Makes a message visible after `wait_ms`. If `hidden`, the message stays in flight until then.
    pub(crate) fn later(&mut self, lane: Lane, message: Message, wait_ms: i64, hidden: bool) {
        let slot = self.waiting.put(message);
        let lane = u8::try_from(index(lane)).unwrap_or(0);
        self.at(self.now + wait_ms.max(0), Happening::Visible { lane, slot, hidden });
    }

    pub(crate) fn wander(&mut self) -> i64 {
        let most = self.settings.chaos.wander_ms;
        if most == 0 {
            0
        } else {
            i64::try_from(self.random.below(2 * most.unsigned_abs())).unwrap_or(0) - most
        }
    }

    /// Ends one record of an invocation. The last record frees the invocation's place in the lane.
    pub(crate) fn close(&mut self, work: u32) {
        let Work { invocation, .. } = *self.work.at(work);
        self.work.at(work).settled = true;
        self.work.take(work);
        let state = self.invocations.at(invocation);
        state.open -= 1;
        if state.open == 0 {
            let over_at = state.began_at + SHORTEST_MS;
            if over_at > self.now {
                self.at(over_at, Happening::Over { invocation });
            } else {
                self.free(invocation);
            }
        }
    }

    fn free(&mut self, invocation: u32) {
        let lane = self.invocations.take(invocation).lane;
        self.busy[index(lane)] -= 1;
    }
}
