//! Names of events, and the set of names that a deployment knows.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of an event, e.g. `call.ended`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventName(String);

impl EventName {
    /// A name in the form that names have, whether or not anyone knows it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.to_owned()))
    }

    /// A name from one of our own rows. It was checked before it was written.
    #[must_use]
    pub fn from_stored(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one of an endpoint's 256 partitions that holds this name's deliveries. Two names may share a partition, which
    /// costs only more reads.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        Sha256::digest(self.0.as_bytes())[0]
    }

    /// Stands for all names that an endpoint gets by a wildcard. Their deliveries share one bucket, so that a page asks no more
    /// partitions when names are added.
    #[must_use]
    pub fn of_wildcards() -> Self {
        Self("*".to_owned())
    }

    /// The buckets that can hold an endpoint's deliveries of this name.
    #[must_use]
    pub fn buckets(&self) -> [u8; 2] {
        [self.bucket(), Self::of_wildcards().bucket()]
    }

    /// Whether the service itself makes the events of this name (contract §7).
    #[must_use]
    pub fn is_operational(&self) -> bool {
        OPERATIONAL.contains(&self.as_str())
    }
}

/// The names of operational events.
pub const OPERATIONAL: [&str; 4] =
    ["endpoint.disabled", "endpoint.recovered", "delivery.failed", "endpoint.failing"];

/// The form of a name, for messages.
pub const NAME_FORM: &str = "1 to 64 letters, digits, dots, dashes and underscores";

/// Whether a text can be an event's name: 1 to 64 letters, digits, dots, dashes and underscores.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(is_legal)
}

/// As text, so that a set of names can be asked for one.
impl Borrow<str> for EventName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of an account's own event types.
pub type OwnNames = Arc<BTreeSet<EventName>>;

/// How many of an account's own names a message lists. There may be hundreds.
const LISTED_OWN: usize = 20;

/// The names that events may have: those of the deployment (`EventNames`) in the operator's order, and those of the
/// account's own event types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNames {
    configured: Arc<[EventName]>,
    own: OwnNames,
    is_every: bool,
}

impl EventNames {
    /// Reads a comma-separated list.
    ///
    /// # Errors
    /// When the list is empty, or a name is operational or not 1 to 64 letters, digits, dots, dashes and underscores.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut names: Vec<EventName> = Vec::new();
        for name in list.split(',').map(str::trim) {
            let name = EventName::parse(name).ok_or_else(|| format!("'{name}' is not {NAME_FORM}"))?;
            if name.is_operational() {
                return Err(format!("'{}' is a name of the service's own events", name.as_str()));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self::of(names))
    }

    fn of(configured: Vec<EventName>) -> Self {
        Self { configured: configured.into(), own: OwnNames::default(), is_every: false }
    }

    /// The deployment's names, and then the names of `others` that are not among them.
    #[must_use]
    pub fn and(&self, others: impl IntoIterator<Item = EventName>) -> Self {
        let mut names = self.configured.to_vec();
        for name in others {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self::of(names)
    }

    /// The deployment's names, and an account's own.
    #[must_use]
    pub fn with_own(&self, own: OwnNames) -> Self {
        Self { configured: Arc::clone(&self.configured), own, is_every: false }
    }

    /// The same, and every well-formed name counts as known. If even these refuse a call, its fault is not an unknown name.
    #[must_use]
    pub fn every(&self) -> Self {
        Self { is_every: true, ..self.clone() }
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<EventName> {
        let known = self.configured(name).or_else(|| self.own.get(name)).cloned();
        known.or_else(|| EventName::parse(name).filter(|_| self.is_every))
    }

    /// Whether the name is one of the deployment's.
    #[must_use]
    pub fn is_configured(&self, name: &EventName) -> bool {
        self.configured(name.as_str()).is_some()
    }

    fn configured(&self, name: &str) -> Option<&EventName> {
        self.configured.iter().find(|known| known.0 == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &EventName> {
        self.configured.iter().chain(self.only_own())
    }

    /// An account's event type may have a name of the deployment: then it describes that name.
    fn only_own(&self) -> impl Iterator<Item = &EventName> {
        self.own.iter().filter(|name| !self.is_configured(name))
    }
}

/// The names in error messages: `call.started, call.ended, call.summary`.
impl fmt::Display for EventNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = self.configured.iter().chain(self.only_own().take(LISTED_OWN));
        for (index, name) in listed.enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        match self.only_own().skip(LISTED_OWN).count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_checked() {
        let names = EventNames::parse("call.started, call.ended,call.started").expect("a legal list");
        assert_eq!(names.to_string(), "call.started, call.ended");
        assert!(names.find("call.ended").is_some());
        assert!(names.find("call.Ended").is_none());
        for bad in ["", "a,,b", "call ended", "call#ended", "call.ended,endpoint.disabled"] {
            assert!(EventNames::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_accounts_own_names_come_after_the_deployments() {
        let configured = EventNames::parse("call.started,call.ended").expect("names");
        let own = |names: &[&str]| -> OwnNames {
            Arc::new(names.iter().filter_map(|name| EventName::parse(name)).collect())
        };
        let names = configured.with_own(own(&["order.paid", "call.ended", "a"]));
        assert_eq!(names.to_string(), "call.started, call.ended, a, order.paid");
        assert_eq!(names.iter().count(), 4);
        let paid = names.find("order.paid").expect("an own name");
        assert!(!names.is_configured(&paid) && configured.find("order.paid").is_none());
        assert!(names.find("order.pai").is_none());
        assert_eq!(names.with_own(OwnNames::default()), configured);
        let many: Vec<String> = (0..500).map(|n| format!("n{n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shown = configured.with_own(own(&many)).to_string();
        assert!(shown.ends_with("n018, n019 and 480 more"), "{shown}");
    }
}
