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
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
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
