//! An endpoint's own headers, which each of its requests carries, such as a credential for its receiver.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub const MAX_HEADERS: usize = 10;
const MAX_NAME_CHARS: usize = 128;
const MAX_VALUE_CHARS: usize = 1_024;

/// The rule for headers, as the end of a message "must be …".
pub const ALLOWED: &str = "an object of at most 10 headers: authorization, or x-… but not x-echo-… (letters, digits, \
     dashes and underscores), each with a value of 1 to 1024 visible ASCII characters and single spaces inside";

/// Names in lower case, and their values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomHeaders(BTreeMap<String, String>);

impl CustomHeaders {
    /// `None` when a name or value is not allowed, a name comes twice, or there are too many headers.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            if !is_name(&name) || !is_value(&value) || headers.insert(name, value).is_some() {
                return None;
            }
        }
        (headers.len() <= MAX_HEADERS).then_some(Self(headers))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and values as requests carry them.
    #[must_use]
    pub const fn expose(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Custom headers may have only these names. The headers of HTTP itself and those that we send have other names.
fn is_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_own = name.starts_with("x-") && name.len() > 2 && !name.starts_with("x-echo-");
    (name == "authorization" || is_own) && name.len() <= MAX_NAME_CHARS && name.chars().all(is_legal)
}

fn is_value(value: &str) -> bool {
    let is_legal = value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    let is_trimmed = !value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  ");
    (1..=MAX_VALUE_CHARS).contains(&value.len()) && is_legal && is_trimmed
}

/// A value may be a credential, so `Debug` hides it.
impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomHeaders({} headers)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Option<CustomHeaders> {
        CustomHeaders::new([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn only_names_that_disturb_nothing_are_taken() {
        for good in ["authorization", "Authorization", "x-api-key", "X-Tenant_1"] {
            assert!(one(good, "v").is_some(), "{good}");
        }
        for bad in [
            "",
            "x-",
            "x-echo-signature",
            "X-Echo-Anything",
            crate::origin::ORIGIN_HEADER,
            "webhook-id",
            "content-type",
            "host",
            "connection",
            "transfer-encoding",
            "user-agent",
            "cookie",
            "x-a b",
            "x-a\r\nhost",
            "x-\u{e9}",
            &format!("x-{}", "a".repeat(127)),
        ] {
            assert!(one(bad, "v").is_none(), "{bad}");
        }
    }

    #[test]
    fn values_are_one_line_of_visible_ascii() {
        for good in ["v", "Bearer abc.def==", &"v".repeat(1_024)] {
            assert!(one("x-a", good).is_some(), "{good}");
        }
        for bad in
            ["", " v", "v ", "a  b", "a\tb", "a\r\nx-echo-event: b", "\u{e9}", "\u{7f}", &"v".repeat(1_025)]
        {
            assert!(one("x-a", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn there_are_at_most_ten_and_none_twice() {
        let many = |count: usize| CustomHeaders::new((0..count).map(|n| (format!("x-{n}"), "v".to_owned())));
        assert!(many(10).is_some() && many(11).is_none());
        let twice = [("x-a", "1"), ("X-A", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(CustomHeaders::new(twice).is_none());
    }

    #[test]
    fn values_are_not_shown() {
        let headers = one("authorization", "Bearer hidden").expect("allowed");
        assert!(!format!("{headers:?}").contains("hidden"));
    }
}
