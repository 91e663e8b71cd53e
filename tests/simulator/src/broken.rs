//! Outages: the parts of AWS and of the service that are broken at the moment. Tests change them between two runs of a
//! world.

use crate::metrics::QUEUES;

/// The state of the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Api {
    #[default]
    Runs,
    /// The function refuses to start, or crashes.
    Crashes,
    /// API Gateway lacks the right to invoke the function.
    Forbidden,
}

/// Whether EventBridge can send events to the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rule {
    #[default]
    Sends,
    /// The intake queue refuses the event, and EventBridge does not try again.
    Forbidden,
    /// The intake queue does not answer, and EventBridge tries again for a day.
    Unanswered,
    /// The intake queue and the rule's dead letter queue both refuse the event.
    ForbiddenTwice,
}

/// The default is that everything works.
#[derive(Debug, Clone, Copy, Default)]
pub struct Broken {
    pub dynamodb: bool,
    /// SQS accepts no messages, but it still delivers those that it has.
    pub sends: bool,
    /// SQS does not answer at all.
    pub sqs: bool,
    /// Secrets Manager does not give the sealing keys, and no environment has them from before.
    pub sealing_keys: bool,
    /// EventBridge accepts no operational events. Each failed delivery sends one.
    pub bus: bool,
    /// Each invocation of the delivery function fails: the function does not start, crashes or runs out of time.
    pub delivery: bool,
    pub api: Api,
    pub rule: Rule,
    /// Concurrent invocations that other functions of the account use.
    pub taken_by_others: usize,
    /// Mappings that are turned off, by their queue.
    pub off: [bool; QUEUES.len()],
    /// The function cannot finish dead letters.
    pub burial: bool,
    /// A delivery whose task panics at each attempt to handle it.
    pub panics: Option<u32>,
    /// A delivery that crashes the whole function each time.
    pub kills: Option<u32>,
    /// Requests to `/auth` that are refused in a minute, besides one that is always there.
    pub refused_logins: u32,
}

/// The AWS service that a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    /// SQS, to hide a message.
    Sqs,
    /// SQS, to send a message.
    SqsSend,
    SecretsManager,
}

impl Broken {
    pub(crate) const fn refuses(&self, service: Service) -> bool {
        match service {
            Service::DynamoDb => self.dynamodb,
            Service::Sqs => self.sqs,
            Service::SqsSend => self.sqs || self.sends,
            Service::SecretsManager => self.sealing_keys,
        }
    }
}
