//! A world's metrics in CloudWatch, for each simulated minute: SQS's own metrics as its documentation defines them
//! (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html), those
//! of Lambda, API Gateway and EventBridge, and those of the service's own log lines.

use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;

/// The lanes' queues in the order of their indexes, then the other queues.
pub const QUEUES: [&str; LANES + 3] = [
    "FirstAttemptsQueue",
    "RetriesQueue",
    "SlowEndpointsQueue",
    "IntakeQueue",
    "DeadLetterQueue",
    "ParkedQueue",
];
pub const LANES: usize = 3;
pub const INTAKE: usize = LANES;
pub const DEAD: usize = LANES + 1;
pub const PARKED: usize = LANES + 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Api,
    Delivery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The age of a queue's oldest message, by the queue's index in [`QUEUES`]. The next two have the same index.
    Age(usize),
    Visible(usize),
    NotVisible(usize),
    Errors(Function),
    Throttles(Function),
    HeldBack,
    DeadLettered,
    /// Always empty, since no event of a world exceeds a budget.
    OverBudget,
    /// Requests to `/auth` that are answered 401 or 429.
    AuthRefused,
    /// The API's 5xx answers.
    Faults,
    /// EventBridge's repeated sends to the intake queue. `Lost` are events that it could send to no queue.
    Repeats,
    Lost,
}

const COUNTERS: [Metric; 11] = [
    Metric::Errors(Function::Api),
    Metric::Errors(Function::Delivery),
    Metric::Throttles(Function::Api),
    Metric::Throttles(Function::Delivery),
    Metric::HeldBack,
    Metric::DeadLettered,
    Metric::OverBudget,
    Metric::AuthRefused,
    Metric::Faults,
    Metric::Repeats,
    Metric::Lost,
];
const ALL: usize = 3 * QUEUES.len() + COUNTERS.len();

impl Metric {
    fn index(self) -> usize {
        match self {
            Self::Age(queue) => 3 * queue,
            Self::Visible(queue) => 3 * queue + 1,
            Self::NotVisible(queue) => 3 * queue + 2,
            counter => {
                let place = COUNTERS.iter().position(|other| *other == counter).unwrap_or_default();
                3 * QUEUES.len() + place
            }
        }
    }

    /// The metric that an alarm watches: its namespace, its name and its dimensions, each as `Name=Value`.
    #[must_use]
    pub fn named(namespace: &str, name: &str, dimensions: &[String]) -> Option<Self> {
        let one = |key: &str| match dimensions {
            [one] => one.strip_prefix(key)?.strip_prefix('='),
            _ => None,
        };
        let queue = || QUEUES.iter().position(|queue| Some(*queue) == one("QueueName"));
        let function = || match one("FunctionName")? {
            "ApiFunction" => Some(Function::Api),
            "DeliveryFunction" => Some(Function::Delivery),
            _ => None,
        };
        let rule = |metric| (one("RuleName") == Some("EventsRule")).then_some(metric);
        let ours = |metric| (one("Stack") == Some(echo_template::STACK)).then_some(metric);
        match (namespace, name) {
            ("AWS/SQS", "ApproximateAgeOfOldestMessage") => queue().map(Self::Age),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible") => queue().map(Self::Visible),
            ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible") => queue().map(Self::NotVisible),
            ("AWS/Lambda", "Errors") => function().map(Self::Errors),
            ("AWS/Lambda", "Throttles") => function().map(Self::Throttles),
            ("AWS/ApiGateway", "5xx") => (one("ApiId") == Some("Api")).then_some(Self::Faults),
            ("AWS/Events", "RetryInvocationAttempts") => rule(Self::Repeats),
            ("AWS/Events", "InvocationsFailedToBeSentToDlq") => rule(Self::Lost),
            ("EchoWebhooks", "HeldBack") => ours(Self::HeldBack),
            ("EchoWebhooks", "OverBudget") => ours(Self::OverBudget),
            ("EchoWebhooks", "AuthRefused") => ours(Self::AuthRefused),
            ("EchoWebhooks", "DeadLettered") => ours(Self::DeadLettered),
            _ => None,
        }
    }
}

/// One number for each minute: a sample of a queue, or the minute's sum. A metric without data has no numbers.
#[derive(Debug, Default)]
pub struct Metrics {
    minutes: Vec<[f32; ALL]>,
    /// The next minute at which to sample the queues.
    pub(crate) next_sample: i64,
}

/// A queue's state at the moment of a sample.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) oldest_sent_at: Option<i64>,
    pub(crate) visible: u64,
    pub(crate) not_visible: u64,
}

impl Metrics {
    fn minute(&mut self, at: i64) -> &mut [f32; ALL] {
        let minute = usize::try_from(at / MINUTE_MS).unwrap_or_default();
        if self.minutes.len() <= minute {
            self.minutes.resize(minute + 1, [f32::NAN; ALL]);
        }
        &mut self.minutes[minute]
    }

    pub(crate) fn count(&mut self, now: i64, metric: Metric) {
        let value = &mut self.minute(now)[metric.index()];
        *value = if value.is_nan() { 1.0 } else { *value + 1.0 };
    }

    #[expect(clippy::cast_precision_loss, reason = "as approximate as SQS's own")]
    pub(crate) fn sample(&mut self, now: i64, queue: usize, sample: Sample) {
        let age = sample.oldest_sent_at.map_or(0, |sent_at| (now - sent_at) / 1_000);
        let minute = self.minute(now);
        minute[Metric::Age(queue).index()] = age as f32;
        minute[Metric::Visible(queue).index()] = sample.visible as f32;
        minute[Metric::NotVisible(queue).index()] = sample.not_visible as f32;
    }

    /// A metric's numbers by minute; `None` for a minute without one.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Vec<Option<f64>> {
        let value = |minute: &[f32; ALL]| {
            let value = f64::from(minute[metric.index()]);
            (!value.is_nan()).then_some(value)
        };
        self.minutes.iter().map(value).collect()
    }
}

/// The times at which the messages were sent that count for a queue's age: 'After a message is received three times
/// (or more) and not processed, [..] the metric points at the second-oldest message that hasn't been received more
/// than three times.'
#[derive(Debug, Default)]
pub(crate) struct Ages(BTreeMap<i64, u32>);

/// A message with this many receives no longer counts.
const TOO_OFTEN: u32 = 3;
/// Messages that were sent within the same step count as one.
const STEP_MS: i64 = 1_000;

impl Ages {
    pub(crate) fn sent(&mut self, sent_at: i64) {
        *self.0.entry(sent_at / STEP_MS).or_default() += 1;
    }

    pub(crate) fn received(&mut self, sent_at: i64, receives: u32) {
        if receives == TOO_OFTEN {
            self.forget(sent_at);
        }
    }

    pub(crate) fn deleted(&mut self, sent_at: i64, receives: u32) {
        if receives < TOO_OFTEN {
            self.forget(sent_at);
        }
    }

    fn forget(&mut self, sent_at: i64) {
        if let Some(count) = self.0.get_mut(&(sent_at / STEP_MS)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&(sent_at / STEP_MS));
            }
        }
    }

    pub(crate) fn oldest(&self) -> Option<i64> {
        self.0.first_key_value().map(|(step, _)| step * STEP_MS)
    }
}
