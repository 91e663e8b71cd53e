//! What an API key may do in its project (contract §2).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A permission of a key. Each route below `/v1` needs one scope, except the routes that show the key's own project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Posting events.
    EventsWrite,
    /// Seeing endpoints without their secrets, events, deliveries and replays.
    Read,
    /// Endpoints with their secrets; test events, retries and replays.
    EndpointsWrite,
    /// Keys.
    KeysWrite,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::EventsWrite, Self::Read, Self::EndpointsWrite, Self::KeysWrite];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::Read => "read",
            Self::EndpointsWrite => "endpoints:write",
            Self::KeysWrite => "keys:write",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::EventsWrite => 1,
            Self::Read => 2,
            Self::EndpointsWrite => 4,
            Self::KeysWrite => 8,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. Rows hold their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Scopes(u8);

impl Scopes {
    pub const ALL: Self = Self(15);

    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The first scope that is not among `others`.
    #[must_use]
    pub fn first_beyond(self, others: Self) -> Option<Scope> {
        self.iter().find(|scope| !others.contains(*scope))
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope")]
pub struct NotAScope;

impl TryFrom<Vec<String>> for Scopes {
    type Error = NotAScope;

    fn try_from(names: Vec<String>) -> Result<Self, NotAScope> {
        names.iter().map(|name| Scope::parse(name).ok_or(NotAScope)).collect()
    }
}

impl From<Scopes> for Vec<&'static str> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().map(Scope::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_by_its_names_and_read_back() {
        let some: Scopes = [Scope::KeysWrite, Scope::Read, Scope::Read].into_iter().collect();
        assert_eq!(serde_json::to_string(&some).expect("JSON"), r#"["read","keys:write"]"#);
        for scopes in [some, Scopes::ALL, [].into_iter().collect()] {
            let text = serde_json::to_string(&scopes).expect("JSON");
            assert_eq!(serde_json::from_str::<Scopes>(&text).expect("scopes"), scopes);
        }
        assert!(serde_json::from_str::<Scopes>(r#"["write"]"#).is_err());
        assert_eq!(Scope::ALL.into_iter().collect::<Scopes>(), Scopes::ALL);
    }

    #[test]
    fn what_a_set_has_beyond_another_is_named() {
        let post: Scopes = [Scope::EventsWrite].into_iter().collect();
        assert_eq!(post.first_beyond(Scopes::ALL), None);
        assert_eq!(Scopes::ALL.first_beyond(post), Some(Scope::Read));
        assert!(post.contains(Scope::EventsWrite) && !post.contains(Scope::Read));
    }
}
