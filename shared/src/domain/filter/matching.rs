//! Whether a pattern matches. An array in an event matches when one of its values does, and an array of objects when one of
//! its objects does.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::document::{Node, Number, Value};
use super::pattern::{Affix, Pattern, Test, Values, Wanted};

impl Pattern {
    pub(super) fn matches(&self, node: Option<&Node<'_>>) -> bool {
        match node.map(Node::value) {
            Some(Value::Object(fields)) => self.all_match(|name| fields.get(name)),
            Some(Value::Array(items)) => self.any_matches(items).unwrap_or_else(|| self.all_match(|_| None)),
            // There are no fields, so only `exists: false` can match.
            _ => self.all_match(|_| None),
        }
    }

    /// `None` when the array has no object.
    fn any_matches(&self, items: &[Node<'_>]) -> Option<bool> {
        let mut found = None;
        for item in items {
            let matches = match item.value() {
                Value::Object(_) => Some(self.matches(Some(item))),
                Value::Array(items) => self.any_matches(items),
                _ => None,
            };
            match matches {
                Some(true) => return Some(true),
                Some(false) => found = Some(false),
                None => {}
            }
        }
        found
    }

    fn all_match<'n, 'a: 'n>(&self, field: impl Fn(&[u8]) -> Option<&'n Node<'a>> + Copy) -> bool {
        self.fields.iter().all(|(name, wanted)| match wanted {
            Wanted::Object(pattern) => pattern.matches(field(name)),
            Wanted::Value(values) => values.match_field(field(name)),
        }) && (self.any_of.is_empty() || self.any_of.iter().any(|pattern| pattern.all_match(field)))
    }
}

impl Values {
    /// A field that is an object, or an array without any value, counts as absent
    /// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html, "exists matching only works
    /// on leaf nodes").
    fn match_field(&self, node: Option<&Node<'_>>) -> bool {
        node.and_then(|node| self.match_node(node)).unwrap_or(self.absent)
    }

    /// `None` when the node holds no value.
    fn match_node(&self, node: &Node<'_>) -> Option<bool> {
        match node.value() {
            Value::Object(_) => None,
            Value::Array(items) => {
                let mut found = None;
                for item in items {
                    match self.match_node(item) {
                        Some(true) => return Some(true),
                        Some(false) => found = Some(false),
                        None => {}
                    }
                }
                found
            }
            value => Some(self.take(value)),
        }
    }

    fn take(&self, value: &Value<'_>) -> bool {
        let is_listed = match value {
            Value::Text(text) => self.texts.contains(&**text),
            Value::Number(number) => self.numbers.iter().any(|wanted| are_equal(*wanted, *number)),
            Value::Bool(bool) => self.bools.contains(bool),
            Value::Null => self.null,
            _ => false,
        };
        if self.present || is_listed || self.tests.is_empty() {
            return self.present || is_listed;
        }
        // Text is checked once for all tests.
        let text = match value {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        };
        self.tests.iter().any(|test| test.takes(value, text))
    }
}

impl Test {
    /// `text` is the value if that is a string in UTF-8.
    fn takes(&self, value: &Value<'_>, text: Option<&str>) -> bool {
        match self {
            Self::ButTexts(excluded) => {
                !matches!(value, Value::Text(text) if excluded.iter().any(|one| one.as_bytes() == &**text))
            }
            Self::ButNumbers(excluded) => {
                !matches!(value, Value::Number(number) if excluded.iter().any(|one| are_equal(*one, *number)))
            }
            Self::But(tests) => !tests.iter().any(|test| test.takes(value, text)),
            Self::Numeric { above, below } => {
                let Value::Number(number) = value else { return false };
                let is_inside = |bound: Option<(Number, bool)>, side: Ordering| {
                    bound.is_none_or(|(bound, with_bound)| match number.compare(bound) {
                        Some(Ordering::Equal) => with_bound,
                        order => order == Some(side),
                    })
                };
                is_inside(*above, Ordering::Greater) && is_inside(*below, Ordering::Less)
            }
            Self::Prefix(_)
            | Self::Suffix(_)
            | Self::EqualsIgnoreCase(_)
            | Self::Wildcard(_)
            | Self::Cidr(_) => text.is_some_and(|text| self.takes_text(text)),
        }
    }

    fn takes_text(&self, text: &str) -> bool {
        match self {
            Self::Prefix(Affix::Exact(prefix)) => text.starts_with(prefix),
            Self::Prefix(Affix::AnyCase(prefix)) => text.to_lowercase().starts_with(prefix),
            Self::Suffix(Affix::Exact(suffix)) => text.ends_with(suffix),
            Self::Suffix(Affix::AnyCase(suffix)) => text.to_lowercase().ends_with(suffix),
            Self::EqualsIgnoreCase(lower) => text.to_lowercase() == *lower,
            Self::Wildcard(parts) => is_like(text, parts),
            Self::Cidr(network) => text.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
            _ => false,
        }
    }
}

fn are_equal(one: Number, other: Number) -> bool {
    one.compare(other) == Some(Ordering::Equal)
}

/// Whether the text is made of these parts with anything between them. The first place of each part is as good as a later
/// one, so nothing is tried twice.
fn is_like(text: &str, parts: &[String]) -> bool {
    let [first, rest @ ..] = parts else { return false };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = text.find(part.as_str()) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last.as_str())
}
