//! An endpoint's own headers, which each of its requests carries, such as a credential for its receiver.

use std::collections::BTreeMap;
use std::fmt;

pub const MAX_HEADERS: usize = 20;
pub const MAX_NAME_CHARS: usize = 128;
pub const MAX_VALUE_CHARS: usize = 4_096;
/// Names and values together.
pub const MAX_TOTAL_CHARS: usize = 8 * 1_024;

/// Names that mean something to HTTP itself or say which request this is.
pub const RESERVED: [&str; 11] = [
    "host",
    "user-agent",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "accept-encoding",
    "forwarded",
];

/// Beginnings of such names, and of the names of our own headers.
pub const RESERVED_PREFIXES: [&str; 5] = ["content-", "webhook-", "x-echo-", "proxy-", "x-forwarded-"];

/// The rule for headers, as the end of a message "must be …".
pub const ALLOWED: &str = "an object of at most 20 headers with names and values of 8192 characters together: any name of at \
     most 128 characters except host, user-agent, content-…, webhook-…, x-echo-… and those of HTTP framing (connection, \
     keep-alive, te, trailer, transfer-encoding, upgrade, expect, proxy-…, accept-encoding, forwarded, x-forwarded-…), each \
     with a value of 1 to 4096 visible ASCII characters and single spaces inside";

/// Names in lower case, and their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CustomHeaders(BTreeMap<String, String>);

impl CustomHeaders {
    /// `None` when a name or value is not allowed, a name comes twice, or there are too many headers or characters.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            if !is_name(&name) || !is_value(&value) || headers.insert(name, value).is_some() {
                return None;
            }
        }
        let headers = Self(headers);
        (headers.0.len() <= MAX_HEADERS && headers.total() <= MAX_TOTAL_CHARS).then_some(headers)
    }

    /// Headers that were checked when they were stored.
    #[must_use]
    pub const fn from_stored(headers: BTreeMap<String, String>) -> Self {
        Self(headers)
    }

    /// The characters of all names and values.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
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

/// Whether a name in lower case is a token of RFC 9110 §5.6.2 that is not reserved.
fn is_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$%&'*+-.^_`|~".contains(c);
    let is_reserved =
        RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_legal) && !is_reserved
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
        for good in [
            "authorization",
            "Authorization",
            "x-api-key",
            "X-Tenant_1",
            "apikey",
            "CF-Access-Client-Id",
            "Ocp-Apim-Subscription-Key",
            "cookie",
            "accept",
            "host-of-mine",
            "x-",
            &"n".repeat(128),
        ] {
            assert!(one(good, "v").is_some(), "{good}");
        }
        for bad in [
            "",
            "x-echo-signature",
            "X-Echo-Anything",
            crate::origin::ORIGIN_HEADER,
            "webhook-id",
            "Webhook-Anything",
            "content-type",
            "Content-Length",
            "content-encoding",
            "Host",
            "connection",
            "keep-alive",
            "TE",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "expect",
            "proxy-authorization",
            "proxy-connection",
            "accept-encoding",
            "forwarded",
            "x-forwarded-for",
            "user-agent",
            "x-a b",
            "x-a:",
            "x-a\r\nhost",
            "x-\u{e9}",
            &"n".repeat(129),
        ] {
            assert!(one(bad, "v").is_none(), "{bad}");
        }
    }

    #[test]
    fn values_are_one_line_of_visible_ascii() {
        for good in ["v", "Bearer abc.def==", &"v".repeat(4_096)] {
            assert!(one("x-a", good).is_some(), "{good}");
        }
        for bad in
            ["", " v", "v ", "a  b", "a\tb", "a\r\nx-echo-event: b", "\u{e9}", "\u{7f}", &"v".repeat(4_097)]
        {
            assert!(one("x-a", bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn there_are_at_most_twenty_of_8_kib_together_and_none_twice() {
        let many = |count: usize| CustomHeaders::new((0..count).map(|n| (format!("x-{n}"), "v".to_owned())));
        assert!(many(20).is_some() && many(21).is_none());
        let large = |last: usize| {
            // Two names of three characters, and values that leave one of two for the rest.
            let values = [4_000, last].map(|length| "v".repeat(length));
            CustomHeaders::new(
                ["x-1", "x-2", "x-3"]
                    .map(str::to_owned)
                    .into_iter()
                    .zip(values.into_iter().chain(["v".repeat(8_192 - 9 - 4_000 - 4_000)])),
            )
        };
        assert!(large(4_000).is_some() && large(4_001).is_none());
        let twice = [("x-a", "1"), ("X-A", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(CustomHeaders::new(twice).is_none());
    }

    #[test]
    fn values_are_not_shown() {
        let headers = one("authorization", "Bearer hidden").expect("allowed");
        assert!(!format!("{headers:?}").contains("hidden"));
    }
}
