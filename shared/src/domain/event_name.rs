//! Names of events, and the set of names that a deployment knows.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One of the configured event names, e.g. `call.ended`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventName(String);

impl EventName {
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

/// Whether a text can be an event's name: 1 to 64 letters, digits, dots, dashes and underscores.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(is_legal)
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

/// The names this deployment knows (`EventNames`), in the operator's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNames(Vec<EventName>);

impl EventNames {
    /// Reads a comma-separated list.
    ///
    /// # Errors
    /// When the list is empty, or a name is not 1 to 64 letters, digits, dots, dashes and underscores.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut names: Vec<EventName> = Vec::new();
        for name in list.split(',').map(str::trim) {
            if !is_name(name) {
                return Err(format!("'{name}' is not 1 to 64 letters, digits, dots, dashes and underscores"));
            }
            let name = EventName(name.to_owned());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self(names))
    }

    /// These names, and then the names of `others` that are not among them.
    #[must_use]
    pub fn and(&self, others: impl IntoIterator<Item = EventName>) -> Self {
        let mut names = self.0.clone();
        for name in others {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self(names)
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<EventName> {
        self.0.iter().find(|known| known.0 == name).cloned()
    }

    pub fn iter(&self) -> impl Iterator<Item = &EventName> {
        self.0.iter()
    }
}

/// The names in error messages: `call.started, call.ended, call.summary`.
impl fmt::Display for EventNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
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
        for bad in ["", "a,,b", "call ended", "call#ended"] {
            assert!(EventNames::parse(bad).is_err(), "{bad}");
        }
    }
}
