//! What an endpoint is subscribed to: one event name, or a wildcard for many (contract §3).

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_name::{EventName, EventNames, is_name};

/// An event name, `*` for every name, or `call.*` for every name that begins with `call.`. A wildcard also covers names that
/// come later. No wildcard covers the operational names, so that an endpoint asks for these one by one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subscription(String);

impl Subscription {
    /// The patterns that an endpoint may name beside the known names; the end of a message.
    pub const WILDCARDS: &str = "* for all of them, or a prefix such as call.*";

    /// A known name, or a wildcard. A prefix need not cover any name yet.
    #[must_use]
    pub fn parse(text: &str, names: &EventNames) -> Option<Self> {
        let is_wildcard =
            text == "*" || text.strip_suffix(".*").is_some_and(|_| is_name(&text[..text.len() - 1]));
        (is_wildcard || names.find(text).is_some()).then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, unless it is a wildcard.
    #[must_use]
    pub fn name(&self) -> Option<EventName> {
        self.prefix().is_none().then(|| EventName::from_stored(&*self.0))
    }

    /// The bucket of its deliveries: that of its name, or the one for all wildcards.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        self.name().unwrap_or_else(EventName::of_wildcards).bucket()
    }

    #[must_use]
    pub fn covers(&self, name: &EventName) -> bool {
        match self.prefix() {
            Some(prefix) => name.as_str().starts_with(prefix) && !name.is_operational(),
            None => self.0 == name.as_str(),
        }
    }

    /// What the names have before a wildcard's asterisk.
    fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }
}

impl From<EventName> for Subscription {
    fn from(name: EventName) -> Self {
        Self(name.as_str().to_owned())
    }
}

/// As text, so that a set of them can be asked for a name.
impl Borrow<str> for Subscription {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Subscription> {
        Subscription::parse(text, &EventNames::parse("call.started,call.ended").expect("names"))
    }

    #[test]
    fn known_names_and_wildcards_are_subscriptions() {
        for text in ["call.ended", "*", "call.*", "order.paid.*", "a.*"] {
            assert_eq!(parse(text).expect(text).as_str(), text);
        }
        for text in [
            "",
            "call.summary",
            "call*",
            "call.",
            ".*.*",
            "call.*.ended",
            "**",
            "*.ended",
            "ca ll.*",
            "Call.ended",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let long = format!("{}.*", "x".repeat(63));
        assert!(parse(&long).is_some() && parse(&format!("x{long}")).is_none());
    }

    #[test]
    fn a_wildcard_covers_every_name_with_its_prefix_but_the_operational_ones() {
        for (text, name, expected) in [
            ("call.ended", "call.ended", true),
            ("call.ended", "call.ended.late", false),
            ("*", "order.paid", true),
            ("call.*", "call.ended", true),
            ("call.*", "call.leg.ended", true),
            ("call.*", "call", false),
            ("call.*", "caller.ended", false),
            ("*", "delivery.failed", false),
            ("delivery.*", "delivery.failed", false),
        ] {
            let subscription = Subscription(text.to_owned());
            assert_eq!(subscription.covers(&EventName::from_stored(name)), expected, "{text} {name}");
        }
    }
}
