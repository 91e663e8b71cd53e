//! Outages: the parts of AWS and of our own that are broken at the moment. Tests change them between two spans of a life.

use crate::metrics::QUEUES;

/// How the API is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Api {
    #[default]
    Runs,
    /// The function refuses to start, or crashes.
    Crashes,
    /// API Gateway may not invoke it.
    Forbidden,
}

/// Whether EventBridge can send events to the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rule {
    #[default]
    Sends,
    /// The intake queue refuses it: not tried again.
    Forbidden,
    /// The intake queue does not answer: tried again for a day.
    Unanswered,
    /// Both queues refuse it.
    ForbiddenTwice,
}

/// The default is that everything works.
#[derive(Debug, Clone, Copy, Default)]
pub struct Broken {
    pub dynamodb: bool,
    /// SQS takes no messages; it still hands out those that it has.
    pub sends: bool,
    /// SQS does not answer at all.
    pub sqs: bool,
    /// EventBridge takes no operational events, which each failed delivery sends.
    pub bus: bool,
    /// Each invocation of the delivery function fails: it refuses to start, crashes or runs out of time.
    pub delivery: bool,
    pub api: Api,
    pub rule: Rule,
    /// Invocations that other functions of the account hold.
    pub taken_by_others: usize,
    /// Mappings that are off, by their queue.
    pub off: [bool; QUEUES.len()],
    /// Dead letters cannot be ended.
    pub burial: bool,
    /// A delivery whose task panics each time.
    pub panics: Option<u32>,
    /// A delivery that ends the whole function each time.
    pub kills: Option<u32>,
}

/// Which of AWS's services a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    /// Hiding a message.
    Sqs,
    /// Sending one.
    SqsSend,
}

impl Broken {
    pub(crate) const fn refuses(&self, service: Service) -> bool {
        match service {
            Service::DynamoDb => self.dynamodb,
            Service::Sqs => self.sqs,
            Service::SqsSend => self.sqs || self.sends,
        }
    }
}
