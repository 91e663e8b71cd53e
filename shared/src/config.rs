//! Reading settings: each error names the variable, its value and what is allowed.

/// A setting that is missing or not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not set")]
    Missing { name: &'static str },
    #[error("{name} is '{value}': {problem}")]
    NotAllowed { name: &'static str, value: String, problem: String },
}

/// The process's environment, for the entry points; tests pass a closure of their own.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn from_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// # Errors
/// When the variable is absent or empty.
pub fn required(lookup: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<String, ConfigError> {
    lookup(name).filter(|value| !value.is_empty()).ok_or(ConfigError::Missing { name })
}

/// Reads a variable with the parser of its type, from `default` when it is absent.
///
/// # Errors
/// When the parser refuses the value.
pub fn parsed<T>(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let value = lookup(name).unwrap_or_else(|| default.to_owned());
    parse(&value).map_err(|problem| ConfigError::NotAllowed { name, value, problem })
}

/// A parser for whole numbers of a range, ends included.
pub fn number_within(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> {
    move |text| match text.trim().parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {min} to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_variable_and_what_is_allowed() {
        let lookup = |name: &str| (name == "TIMEOUT").then(|| "99".to_owned());
        let error = parsed(&lookup, "TIMEOUT", "15", number_within(1, 20)).expect_err("out of range");
        assert_eq!(error.to_string(), "TIMEOUT is '99': must be a whole number from 1 to 20");
        assert_eq!(parsed(&lookup, "OTHER", "15", number_within(1, 20)), Ok(15));
        assert_eq!(required(&lookup, "TABLE").map_err(|e| e.to_string()), Err("TABLE is not set".to_owned()));
    }
}
