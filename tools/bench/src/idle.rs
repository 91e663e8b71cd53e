//! The cost of a month without a single event, computed from the template and the prices, since nothing of it can be
//! run here.

use echo_template::Template;
use serde::Serialize;

use crate::prices::Prices;

const SECONDS_PER_MONTH: f64 = 30.0 * 86_400.0;

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Idle {
    pub(crate) polls: f64,
    pub(crate) polling: f64,
    pub(crate) alarms: f64,
    pub(crate) secrets: f64,
}

impl Idle {
    /// # Panics
    /// Never.
    #[must_use]
    pub(crate) fn of(prices: &Prices) -> Self {
        // The deployment with all settings at their defaults.
        let template = Template::load();
        let count = |kind| f64::from(u32::try_from(template.of_type(kind).count()).unwrap_or(0));
        let queues = count("AWS::Lambda::EventSourceMapping");
        let polls = queues * prices.pollers_per_queue * SECONDS_PER_MONTH / prices.long_poll_seconds;
        Self {
            polls,
            polling: polls * prices.sqs_request / 1e6,
            alarms: count("AWS::CloudWatch::Alarm") * prices.per_month.alarm,
            secrets: count("AWS::SecretsManager::Secret") * prices.per_month.secret,
        }
    }

    #[must_use]
    pub(crate) fn total(&self) -> f64 {
        self.polling + self.alarms + self.secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_what_there_is() {
        let idle = Idle::of(&Prices::read());
        assert!(idle.polls > 0.0 && idle.alarms > 0.0 && idle.secrets > 0.0, "{idle:?}");
    }
}
