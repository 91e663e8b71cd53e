//! The function's settings, parsed.

use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::budget::Limits;
use echo_shared::config::{
    ConfigError, address_rules, disable_rule, event_names, hourly_statistics, limits, number_within,
    operator_project, origin, parsed, required, retention, tables_prefix,
};
use echo_shared::endpoint_health::DisableRule;
use echo_shared::event_name::EventNames;
use echo_shared::id::ProjectId;
use echo_shared::origin::Origin;
use echo_shared::schedule::RetrySchedule;
use echo_shared::store::Tables;

#[derive(Debug)]
pub struct Config {
    pub tables: Tables,
    pub budgets_table: String,
    pub queue_urls: QueueUrls,
    /// The secret with the keys of endpoints' sealed values.
    pub sealing_keys_arn: String,
    /// The project whose endpoints get operational events, and the bus that gets them. Neither by default.
    pub operator_project_id: Option<ProjectId>,
    pub operational_bus: Option<String>,
    pub settings: Settings,
}

#[derive(Debug)]
pub struct QueueUrls {
    pub first_attempts: String,
    pub retries: String,
    pub slow_endpoints: String,
    pub dead_letters: String,
    pub parked: String,
    pub intake: String,
}

/// The operator's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub schedule: RetrySchedule,
    pub request_timeout: Duration,
    /// That of the api function: how long an acceptance can be at work.
    pub api_timeout: Duration,
    pub disable_rule: DisableRule,
    pub addresses: AddressRules,
    /// This deployment's host, and the mark that its attempts carry.
    pub origin: Origin,
    /// The names that an incoming event may have, and how long events are kept.
    pub event_names: EventNames,
    pub retention: Duration,
    pub hourly_statistics: bool,
    /// How many events a project may send in a minute, by HTTPS and through the intake together.
    pub limits: Limits,
    /// The dimension of the metrics.
    pub stack_name: String,
}

impl Config {
    /// Reads the settings through `lookup`, which is the environment or a test's closure.
    ///
    /// # Errors
    /// The first variable that is missing or not allowed.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let seconds = |name, default, min, max| {
            parsed(&lookup, name, default, number_within(min, max)).map(Duration::from_secs)
        };
        let origin = origin(&lookup)?;
        let prefix = tables_prefix(&lookup)?;
        Ok(Self {
            tables: Tables::of(&prefix),
            budgets_table: format!("{prefix}budgets"),
            queue_urls: QueueUrls {
                first_attempts: required(&lookup, "FIRST_ATTEMPTS_QUEUE_URL")?,
                retries: required(&lookup, "RETRIES_QUEUE_URL")?,
                slow_endpoints: required(&lookup, "SLOW_ENDPOINTS_QUEUE_URL")?,
                dead_letters: required(&lookup, "DEAD_LETTER_QUEUE_URL")?,
                parked: required(&lookup, "PARKED_QUEUE_URL")?,
                intake: required(&lookup, "INTAKE_QUEUE_URL")?,
            },
            sealing_keys_arn: required(&lookup, "SEALING_KEYS_ARN")?,
            operator_project_id: operator_project(&lookup)?,
            operational_bus: lookup("OPERATIONAL_EVENT_BUS_NAME").filter(|name| !name.is_empty()),
            settings: Settings {
                schedule: parsed(&lookup, "RETRY_DELAYS_SECONDS", "60,300,1800", RetrySchedule::parse)?,
                request_timeout: seconds("REQUEST_TIMEOUT_SECONDS", "15", 1, 20)?,
                api_timeout: seconds("API_TIMEOUT_SECONDS", "15", 1, 900)?,
                disable_rule: disable_rule(&lookup)?,
                addresses: address_rules(&lookup)?.own(origin.host().to_owned()),
                origin,
                event_names: event_names(&lookup)?,
                retention: retention(&lookup)?,
                hourly_statistics: hourly_statistics(&lookup)?,
                limits: limits(&lookup)?,
                stack_name: lookup("STACK_NAME").unwrap_or_else(|| "echo-webhooks".to_owned()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let named = || format!("the-{name}");
        match name {
            "API_ENDPOINT" => Some("https://a1b2c3.execute-api.eu-west-1.amazonaws.com".to_owned()),
            _ => (matches!(name, "TABLES_PREFIX" | "SEALING_KEYS_ARN") || name.ends_with("_QUEUE_URL"))
                .then(named),
        }
    }

    #[test]
    fn absent_settings_have_the_contracts_defaults() {
        let settings = Config::from_lookup(lookup).expect("tables and queues are set").settings;
        assert_eq!(settings.schedule, RetrySchedule::parse("60,300,1800").expect("delays"));
        assert_eq!(settings.request_timeout, Duration::from_secs(15));
        let day = Duration::from_secs(86_400);
        assert_eq!(settings.disable_rule, DisableRule { failures: 10, after: day });
        assert_eq!(settings.event_names.to_string(), "call.started, call.ended, call.summary");
        assert_eq!(settings.retention, Duration::from_secs(30 * 86_400));
    }

    #[test]
    fn errors_name_the_variable() {
        for (name, value) in [
            ("PARKED_QUEUE_URL", ""),
            ("INTAKE_QUEUE_URL", ""),
            ("SEALING_KEYS_ARN", ""),
            ("API_ENDPOINT", ""),
            ("API_ENDPOINT", "a1b2c3"),
            ("EVENT_NAMES", "call ended"),
            ("RETENTION_DAYS", "0"),
            ("HOURLY_STATISTICS", "no"),
            ("MAX_EVENTS_PER_MINUTE", "1.5"),
            ("RETRY_DELAYS_SECONDS", "60,soon"),
            ("REQUEST_TIMEOUT_SECONDS", "21"),
            ("API_TIMEOUT_SECONDS", "0"),
            ("DISABLE_AFTER_FAILURES", "-1"),
            ("EXEMPT_NETWORKS", "everything"),
            ("OPERATOR_PROJECT_ID", "mine"),
        ] {
            let one = |asked: &str| if asked == name { Some(value.to_owned()) } else { lookup(asked) };
            let error = Config::from_lookup(one).expect_err(name);
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
