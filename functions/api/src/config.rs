//! The function's settings, parsed.

use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::budget::Limits;
use echo_shared::config::{
    ConfigError, address_rules, disable_rule, event_names, hourly_statistics, limits, number_within, origin,
    parsed, required, retention, tables_prefix,
};
use echo_shared::endpoint_health::DisableRule;
use echo_shared::event_name::EventNames;
use echo_shared::operational::with_operational;
use echo_shared::origin::Origin;
use echo_shared::store::{RegistryTables, Tables};

use crate::portal_look::PortalLook;

#[derive(Debug, Clone)]
pub struct Config {
    pub tables: Tables,
    pub registry_tables: RegistryTables,
    pub budgets_table: String,
    pub first_attempts_queue_url: String,
    pub retries_queue_url: String,
    pub slow_endpoints_queue_url: String,
    pub root_secret_arn: String,
    /// The secret with the keys of endpoints' sealed values.
    pub sealing_keys_arn: String,
    pub settings: Settings,
}

/// The operator's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The names that producers of every account may post.
    pub event_names: EventNames,
    /// These and the operational ones: endpoints may subscribe to them.
    pub delivered_names: EventNames,
    pub disable_rule: DisableRule,
    pub max_endpoints_per_project: u32,
    pub max_projects_per_account: u32,
    pub limits: Limits,
    pub signup_policy: SignupPolicy,
    pub address_rules: AddressRules,
    /// This deployment's host, and the mark that its deliveries carry.
    pub origin: Origin,
    /// The address that API Gateway gave the API.
    pub api_endpoint: String,
    pub portal: PortalLook,
    pub retention: Duration,
    pub hourly_statistics: bool,
    /// The delivery function's timeout for one request. A repeated job stands back for longer.
    pub request_timeout: Duration,
    /// The dimension of the metrics.
    pub stack_name: String,
}

/// The callers that may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupPolicy {
    /// Callers with the sign-up token.
    Token,
    Open,
    Closed,
}

impl SignupPolicy {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "token" => Ok(Self::Token),
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            _ => Err("must be token, open or closed".to_owned()),
        }
    }
}

impl Config {
    /// Reads the environment through `lookup`.
    ///
    /// # Errors
    /// When a variable is missing or its value is not allowed. The error names the variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let lookup = &lookup;
        let prefix = tables_prefix(lookup)?;
        Ok(Self {
            tables: Tables::of(&prefix),
            registry_tables: RegistryTables::of(&prefix),
            budgets_table: format!("{prefix}budgets"),
            first_attempts_queue_url: required(lookup, "FIRST_ATTEMPTS_QUEUE_URL")?,
            retries_queue_url: required(lookup, "RETRIES_QUEUE_URL")?,
            slow_endpoints_queue_url: required(lookup, "SLOW_ENDPOINTS_QUEUE_URL")?,
            root_secret_arn: required(lookup, "ROOT_SECRET_ARN")?,
            sealing_keys_arn: required(lookup, "SEALING_KEYS_ARN")?,
            settings: Settings::from_lookup(lookup)?,
        })
    }
}

impl Settings {
    fn from_lookup(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        // The largest possible list of endpoints has to fit into the 6 MB of a Lambda answer
        // (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). The answer is JSON in a JSON string, so an
        // endpoint takes at most 42 KB of it: 8 KiB of quotes in headers at four bytes each, 512 control characters of a
        // description at seven, a URL of 2 KiB, and events, whose 2,048 characters become 3.3 KB as 250 names.
        let endpoints = parsed(lookup, "MAX_ENDPOINTS_PER_PROJECT", "50", number_within(1, 100))?;
        let projects = parsed(lookup, "MAX_PROJECTS_PER_ACCOUNT", "100", number_within(1, 1_000))?;
        let timeout = parsed(lookup, "REQUEST_TIMEOUT_SECONDS", "15", number_within(1, 20))?;
        let event_names = event_names(lookup)?;
        let origin = origin(lookup)?;
        Ok(Self {
            delivered_names: with_operational(&event_names),
            disable_rule: disable_rule(lookup)?,
            event_names,
            max_endpoints_per_project: u32::try_from(endpoints).unwrap_or(u32::MAX),
            max_projects_per_account: u32::try_from(projects).unwrap_or(u32::MAX),
            limits: limits(lookup)?,
            signup_policy: parsed(lookup, "SIGNUP_POLICY", "token", SignupPolicy::parse)?,
            address_rules: address_rules(lookup)?.own(origin.host().to_owned()),
            origin,
            api_endpoint: required(lookup, "API_ENDPOINT")?,
            portal: PortalLook::from_lookup(lookup)?,
            retention: retention(lookup)?,
            hourly_statistics: hourly_statistics(lookup)?,
            request_timeout: Duration::from_secs(timeout),
            stack_name: lookup("STACK_NAME").unwrap_or_else(|| "echo-webhooks".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::event_name::OPERATIONAL;

    use super::*;

    fn with(changes: &'static [(&'static str, &'static str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(move |name| {
            let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
            let named = name == "TABLES_PREFIX" || name.ends_with("_URL") && name.contains("QUEUE");
            let default = match name {
                "API_ENDPOINT" => Some("https://a1b2c3.execute-api.eu-west-1.amazonaws.com"),
                _ => (named || name.ends_with("_ARN")).then_some("something"),
            };
            changed.or(default).map(str::to_owned)
        })
    }

    #[test]
    fn defaults_are_the_contracts() {
        let settings = with(&[]).expect("tables and queues are enough").settings;
        assert_eq!(settings.event_names.to_string(), "call.started, call.ended, call.summary");
        assert_eq!(settings.max_endpoints_per_project, 50);
        assert_eq!(settings.max_projects_per_account, 100);
        let limits = Limits { events_per_minute: 100_000, test_events_per_minute: 60 };
        assert_eq!(settings.limits, limits);
        assert_eq!(settings.signup_policy, SignupPolicy::Token);
        assert_eq!(settings.retention, Duration::from_secs(30 * 86_400));
        assert_eq!(settings.request_timeout, Duration::from_secs(15));
    }

    #[test]
    fn errors_name_the_variable() {
        for (name, value) in [
            ("API_ENDPOINT", "a1b2c3"),
            ("SIGNUP_POLICY", "anyone"),
            ("PORTAL_FRAME_ANCESTORS", "*"),
            ("PORTAL_NAME", ""),
            ("PORTAL_ACCENT_COLOR", "red"),
            ("RETENTION_DAYS", "0"),
            ("HOURLY_STATISTICS", "no"),
            ("MAX_ENDPOINTS_PER_PROJECT", "many"),
            ("MAX_ENDPOINTS_PER_PROJECT", "101"),
            ("MAX_PROJECTS_PER_ACCOUNT", "0"),
            ("MAX_EVENTS_PER_MINUTE", "many"),
            ("MAX_TEST_EVENTS_PER_MINUTE", "-1"),
            ("REQUEST_TIMEOUT_SECONDS", "21"),
            ("EVENT_NAMES", ""),
            ("EXEMPT_NETWORKS", "127.0.0.0/8"),
        ] {
            let changes: &'static [_] = Box::leak(Box::new([(name, value)]));
            let error = with(changes).expect_err(name).to_string();
            assert!(error.starts_with(name), "{error}");
        }
        let error = with(&[("RETRIES_QUEUE_URL", "")]).expect_err("empty");
        assert_eq!(error.to_string(), "RETRIES_QUEUE_URL is not set");
    }

    #[test]
    fn endpoints_may_also_subscribe_to_the_operational_names() {
        let settings = with(&[]).expect("settings").settings;
        let all = format!("{}, {}", settings.event_names, OPERATIONAL.join(", "));
        assert_eq!(settings.delivered_names.to_string(), all);
    }
}
