//! The stack under test. The file that `$ECHO_STACK` names describes it, and is written once the template is deployed.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Stack {
    /// The HTTP API's address, without a trailing slash.
    pub api_url: String,
    /// Every template parameter and its value in this deployment.
    pub parameters: BTreeMap<String, String>,
    pub aws: Aws,
}

/// The stack's AWS resources, for the few tests that must look behind the API.
#[derive(Debug, Deserialize)]
pub struct Aws {
    pub endpoint_url: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Logical id of each table -> its name.
    pub tables: BTreeMap<String, String>,
    /// Logical id of each queue -> its URL.
    pub queues: BTreeMap<String, String>,
    /// The name or ARN of the root secret.
    pub root_secret: String,
}

// A result instead of a panic, because Rust would show the panic's message to the first test only.
static STACK: LazyLock<Result<Stack, String>> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
    let file = std::env::var("ECHO_STACK")
        .map_err(|_| "these tests need a deployed stack: run `make test`, which brings one up".to_owned())?;
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("$ECHO_STACK ({file}): {error}; run `make test`"))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("$ECHO_STACK ({file}) is not as `make test` writes it: {error}"))
});

/// The stack under test.
///
/// # Panics
/// When the tests were not started by `make test`.
#[must_use]
pub fn stack() -> &'static Stack {
    STACK.as_ref().unwrap_or_else(|problem| panic!("{problem}"))
}

impl Stack {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_else(|| panic!("the stack has no parameter {name}"))
    }

    fn number(&self, name: &str) -> u64 {
        let value = self.parameter(name);
        value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    }

    /// The waits between automatic attempts.
    #[must_use]
    pub fn retry_delays(&self) -> Vec<Duration> {
        let seconds = self.parameter("RetryDelaysSeconds").split(',');
        seconds.map(|each| Duration::from_secs(each.trim().parse().expect("a number of seconds"))).collect()
    }

    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.number("RequestTimeoutSeconds"))
    }

    #[must_use]
    pub fn disable_after_failures(&self) -> u64 {
        self.number("DisableAfterFailures")
    }

    /// The id of the project that gets operational events.
    #[must_use]
    pub fn operator_project(&self) -> &str {
        self.parameter("OperatorProjectId")
    }

    #[must_use]
    pub fn max_endpoints(&self) -> u64 {
        self.number("MaxEndpointsPerProject")
    }

    #[must_use]
    pub fn max_projects(&self) -> u64 {
        self.number("MaxProjectsPerAccount")
    }
}
