//! Reads settings. Each error names the variable, its value and the allowed values.
//!
//! # Errors
//! Each function returns `Missing` when a variable without a default is not set, and `NotAllowed` when a value is not an
//! allowed one. The functions below name only errors beyond these.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::address::AddressRules;
use crate::amazon::api_hosts;
use crate::budget::Limits;
use crate::endpoint_health::DisableRule;
use crate::event_name::EventNames;
use crate::id::ProjectId;
use crate::origin::Origin;

/// The longest retention: ten years.
const MAX_RETENTION_DAYS: u64 = 3_650;

/// A setting that is missing or not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not set")]
    Missing { name: &'static str },
    #[error("{name} is '{value}': {problem}")]
    NotAllowed { name: &'static str, value: String, problem: String },
}

/// Looks up a variable of the process's environment. Only entry points use this; tests pass a closure of their own.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn from_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that has no default and may not be empty.
pub fn required(lookup: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<String, ConfigError> {
    lookup(name).filter(|value| !value.is_empty()).ok_or(ConfigError::Missing { name })
}

/// The beginning of the tables' names. It may be empty: an AWS that holds one deployment alone needs none.
pub fn tables_prefix(lookup: &impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let name = "TABLES_PREFIX";
    lookup(name).ok_or(ConfigError::Missing { name })
}

/// Reads a variable with the parser of its type. An absent variable has the value `default`.
pub fn parsed<T>(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let value = lookup(name).unwrap_or_else(|| default.to_owned());
    parse(&value).map_err(|problem| ConfigError::NotAllowed { name, value, problem })
}

/// A parser for whole numbers from `min` to `max`, both included.
pub fn number_within(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> {
    move |text| match text.trim().parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {min} to {max}")),
    }
}

/// The event names that this deployment knows.
pub fn event_names(lookup: &impl Fn(&str) -> Option<String>) -> Result<EventNames, ConfigError> {
    parsed(lookup, "EVENT_NAMES", "call.started,call.ended,call.summary", EventNames::parse)
}

/// How long events and deliveries are kept.
pub fn retention(lookup: &impl Fn(&str) -> Option<String>) -> Result<Duration, ConfigError> {
    let days = parsed(lookup, "RETENTION_DAYS", "30", number_within(1, MAX_RETENTION_DAYS))?;
    Ok(Duration::from_secs(days * 24 * 60 * 60))
}

/// The numbers of events and test events that a project may post in a minute.
pub fn limits(lookup: &impl Fn(&str) -> Option<String>) -> Result<Limits, ConfigError> {
    let permits = |name, default| {
        let permits = parsed(lookup, name, default, number_within(0, u32::MAX.into()))?;
        Ok(u32::try_from(permits).unwrap_or(u32::MAX))
    };
    Ok(Limits {
        events_per_minute: permits("MAX_EVENTS_PER_MINUTE", "100000")?,
        test_events_per_minute: permits("MAX_TEST_EVENTS_PER_MINUTE", "60")?,
    })
}

/// Whether the hourly counts of endpoints are kept; by default they are.
pub fn hourly_statistics(lookup: &impl Fn(&str) -> Option<String>) -> Result<bool, ConfigError> {
    parsed(lookup, "HOURLY_STATISTICS", "on", |text| match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    })
}

/// When failures in a row disable an endpoint.
pub fn disable_rule(lookup: &impl Fn(&str) -> Option<String>) -> Result<DisableRule, ConfigError> {
    let within = |name, default| parsed(lookup, name, default, number_within(0, u32::MAX.into()));
    let failures = within("DISABLE_AFTER_FAILURES", "10")?;
    Ok(DisableRule {
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        after: Duration::from_secs(within("DISABLE_AFTER_SECONDS", "86400")?),
    })
}

/// The project whose endpoints get the operational events of all others; none by default.
pub fn operator_project(lookup: &impl Fn(&str) -> Option<String>) -> Result<Option<ProjectId>, ConfigError> {
    let id = |text: &str| ProjectId::parse(text).map(Some).map_err(|error| error.to_string());
    parsed(lookup, "OPERATOR_PROJECT_ID", "", |text| if text.is_empty() { Ok(None) } else { id(text) })
}

/// This deployment's origin, from the API's address that the template gives both functions.
pub fn origin(lookup: &impl Fn(&str) -> Option<String>) -> Result<Origin, ConfigError> {
    required(lookup, "API_ENDPOINT")?;
    parsed(lookup, "API_ENDPOINT", "", Origin::parse)
}

/// The addresses that deliveries may go to. `EXEMPT_NETWORKS` exempts networks, but never the Lambda runtime API or AWS's
/// APIs.
///
/// # Errors
/// When the list exempts this machine although AWS is not played by something on it, or when the addresses that stay barred on
/// real AWS cannot be looked up.
pub fn address_rules(lookup: &impl Fn(&str) -> Option<String>) -> Result<AddressRules, ConfigError> {
    rules_by(lookup, |host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// The same, with the look-up of a host's addresses as an argument.
fn rules_by(
    lookup: &impl Fn(&str) -> Option<String>,
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<AddressRules, ConfigError> {
    let name = "EXEMPT_NETWORKS";
    let rules = parsed(lookup, name, "", AddressRules::parse)?;
    if rules.exempts_local() && lookup("AWS_ENDPOINT_URL").is_none() {
        let problem = "networks of this machine and its link (127.0.0.0/8, 169.254.0.0/16, 0.0.0.0/8, ::1, ::, fe80::/10) can be \
                       exempt only when AWS_ENDPOINT_URL names a local stack";
        let value = lookup(name).unwrap_or_default();
        return Err(ConfigError::NotAllowed { name, value, problem: problem.to_owned() });
    }
    // A local stack may name hosts that are not there yet. On AWS an exemption would open the addresses that were not found.
    let must_be_found = rules.exempts_any() && lookup("AWS_ENDPOINT_URL").is_none();
    let mut addresses = Vec::new();
    for url in barred(&rules, lookup) {
        match resolved(&url, &resolve) {
            Ok(found) => addresses.extend(found),
            Err(_) if !must_be_found => {}
            Err(error) => {
                let problem =
                    format!("must stay closed to {url}, whose addresses cannot be looked up: {error}");
                let value = lookup(name).unwrap_or_default();
                return Err(ConfigError::NotAllowed { name, value, problem });
            }
        }
    }
    Ok(rules.never(addresses))
}

/// What no exemption opens, as URLs or as `host:port`. On AWS each function's environment has `AWS_LAMBDA_RUNTIME_API` and
/// `AWS_REGION` (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>). In a VPC the APIs may have private
/// addresses. Without an exemption these are no targets anyway, so a start without exemptions looks no name up.
fn barred(rules: &AddressRules, lookup: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let own = [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_EVENTBRIDGE",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    ];
    let own = own.into_iter().filter_map(lookup);
    let is_real_aws = lookup("AWS_ENDPOINT_URL").is_none();
    let region = lookup("AWS_REGION").filter(|_| is_real_aws && rules.exempts_any());
    let apis = region.iter().flat_map(|region| api_hosts(region));
    own.chain(apis.flat_map(|host| [format!("https://{host}"), format!("http://{host}")])).collect()
}

/// The addresses of a URL or of `host:port`.
fn resolved(
    url: &str,
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> io::Result<Vec<SocketAddr>> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let url = url::Url::parse(&url).map_err(io::Error::other)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(io::Error::other("there is no host and port"));
    };
    resolve(host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_addresses_are_never_targets() {
        let lookup = |name: &str| match name {
            "EXEMPT_NETWORKS" => Some("127.0.0.0/8,::1/128".to_owned()),
            "AWS_ENDPOINT_URL" => Some("http://localhost:4566".to_owned()),
            "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
            _ => None,
        };
        let rules = address_rules(&lookup).expect("an emulator is in use");
        let permits = |text: &str| rules.permits_literal(text.parse().expect("an address"));
        assert!(permits("127.0.0.1:8080"));
        for barred in ["127.0.0.1:4566", "[::1]:4566", "127.0.0.2:9001"] {
            assert!(!permits(barred), "{barred}");
        }
    }

    #[test]
    fn on_real_aws_the_regions_apis_are_barred_where_a_network_is_exempt() {
        let barred = |exempt: &'static str, local: bool| {
            let lookup = move |name: &str| match name {
                "AWS_REGION" => Some("eu-west-1".to_owned()),
                "AWS_LAMBDA_RUNTIME_API" => Some("169.254.100.1:9001".to_owned()),
                "AWS_ENDPOINT_URL" => local.then(|| "http://localhost:4566".to_owned()),
                _ => None,
            };
            barred(&AddressRules::parse(exempt).expect("networks"), &lookup)
        };
        let apis = barred("10.0.0.0/8", false);
        for url in [
            "169.254.100.1:9001",
            "https://sqs.eu-west-1.amazonaws.com",
            "http://dynamodb.eu-west-1.amazonaws.com",
        ] {
            assert!(apis.iter().any(|one| one == url), "{url} is not among {apis:?}");
        }
        assert_eq!(barred("", false), ["169.254.100.1:9001"]);
        assert_eq!(barred("10.0.0.0/8", true), ["169.254.100.1:9001", "http://localhost:4566"]);
    }

    #[test]
    fn with_an_exemption_real_aws_needs_the_addresses_of_its_apis() {
        let rules = |exempt: &'static str, local: bool, resolves: bool| {
            let lookup = move |name: &str| match name {
                "EXEMPT_NETWORKS" => Some(exempt.to_owned()),
                "AWS_REGION" => Some("eu-west-1".to_owned()),
                "AWS_ENDPOINT_URL" => local.then(|| "http://aws.internal:4566".to_owned()),
                _ => None,
            };
            rules_by(&lookup, |host, port| {
                let lacks = host.starts_with("secretsmanager.") || local;
                if lacks && !resolves {
                    return Err(io::Error::other("no such name"));
                }
                Ok(vec![SocketAddr::from(([10, 0, 0, 7], port))])
            })
        };
        let found = rules("10.0.0.0/8", false, true).expect("every name resolves");
        let permits = |text: &str| found.permits_literal(text.parse().expect("an address"));
        assert!(!permits("10.0.0.7:443") && permits("10.0.0.8:443"));
        let error = rules("10.0.0.0/8", false, false).expect_err("a name does not resolve").to_string();
        let told = "EXEMPT_NETWORKS is '10.0.0.0/8': must stay closed to https://secretsmanager.eu-west-1.amazonaws.com, \
                    whose addresses cannot be looked up: no such name";
        assert_eq!(error, told);
        assert!(rules("", false, false).is_ok(), "nothing private is open, so nothing is looked up");
        assert!(rules("10.0.0.0/8", true, false).is_ok(), "a local stack");
    }

    #[test]
    fn the_apis_address_is_required_and_has_a_host_name() {
        for (value, error) in [(None, "API_ENDPOINT is not set"), (Some(""), "API_ENDPOINT is not set")] {
            let lookup = |_: &str| value.map(str::to_owned);
            assert_eq!(origin(&lookup).map_err(|e| e.to_string()), Err(error.to_owned()));
        }
        let lookup = |_: &str| Some("a1b2c3".to_owned());
        let error = origin(&lookup).expect_err("no address");
        assert!(error.to_string().starts_with("API_ENDPOINT is 'a1b2c3'"), "{error}");
    }

    #[test]
    fn loopback_is_not_exempt_on_real_aws() {
        let lookup = |name: &str| (name == "EXEMPT_NETWORKS").then(|| "127.0.0.0/8".to_owned());
        let error = address_rules(&lookup).expect_err("no emulator");
        assert!(error.to_string().starts_with("EXEMPT_NETWORKS is '127.0.0.0/8'"), "{error}");
        for local in ["0.0.0.0/8", "0.0.0.0/32", "::/128", "169.254.0.0/16", "fe80::/10"] {
            assert!(
                address_rules(&|name: &str| (name == "EXEMPT_NETWORKS").then(|| local.to_owned())).is_err(),
                "{local}"
            );
        }
        let lookup = |name: &str| (name == "EXEMPT_NETWORKS").then(|| "10.0.0.0/8".to_owned());
        assert!(address_rules(&lookup).is_ok());
    }

    #[test]
    fn errors_name_the_variable_and_what_is_allowed() {
        let lookup = |name: &str| (name == "TIMEOUT").then(|| "99".to_owned());
        let error = parsed(&lookup, "TIMEOUT", "15", number_within(1, 20)).expect_err("out of range");
        assert_eq!(error.to_string(), "TIMEOUT is '99': must be a whole number from 1 to 20");
        assert_eq!(parsed(&lookup, "OTHER", "15", number_within(1, 20)), Ok(15));
        assert_eq!(required(&lookup, "TABLE").map_err(|e| e.to_string()), Err("TABLE is not set".to_owned()));
    }
}
