//! Whether a pattern matches. An array in an event matches when one of its values does, and an array of objects when one of
//! its objects does. Each look at a value takes a step.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::net::IpAddr;

use super::document::{Node, Number, Value};
use super::pattern::{Affix, Pattern, Test, Values, Wanted};
use super::steps::{Steps, TooLong};

impl Pattern {
    pub(super) fn matches(&self, node: Option<&Node<'_>>, steps: &Steps) -> Result<bool, TooLong> {
        steps.take(1)?;
        match node.map(Node::value) {
            Some(Value::Object(fields)) => self.all_match(|name| fields.get(name), steps),
            Some(Value::Array(items)) => {
                let found = self.any_matches(items, steps)?;
                found.map_or_else(|| self.all_match(|_| None, steps), Ok)
            }
            // There are no fields, so only `exists: false` can match.
            _ => self.all_match(|_| None, steps),
        }
    }

    /// `None` when the array has no object.
    fn any_matches(&self, items: &[Node<'_>], steps: &Steps) -> Result<Option<bool>, TooLong> {
        let mut found = None;
        for item in items {
            steps.take(1)?;
            let matches = match item.value() {
                Value::Object(_) => Some(self.matches(Some(item), steps)?),
                Value::Array(items) => {
                    steps.read(item.bytes())?;
                    self.any_matches(items, steps)?
                }
                _ => None,
            };
            match matches {
                Some(true) => return Ok(Some(true)),
                Some(false) => found = Some(false),
                None => {}
            }
        }
        Ok(found)
    }

    fn all_match<'n, 'a: 'n>(
        &self,
        field: impl Fn(&[u8]) -> Option<&'n Node<'a>> + Copy,
        steps: &Steps,
    ) -> Result<bool, TooLong> {
        for (name, wanted) in &self.fields {
            steps.read(name.len())?;
            let matches = match wanted {
                Wanted::Object(pattern) => pattern.matches(field(name), steps)?,
                Wanted::Value(values) => values.match_field(field(name), steps)?,
            };
            if !matches {
                return Ok(false);
            }
        }
        for pattern in &self.any_of {
            if pattern.all_match(field, steps)? {
                return Ok(true);
            }
        }
        Ok(self.any_of.is_empty())
    }
}

impl Values {
    /// A field that is an object, or an array without any value, counts as absent
    /// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html, "exists matching only works
    /// on leaf nodes").
    fn match_field(&self, node: Option<&Node<'_>>, steps: &Steps) -> Result<bool, TooLong> {
        let found = node.map_or(Ok(None), |node| self.match_node(node, steps))?;
        Ok(found.unwrap_or(self.absent))
    }

    /// `None` when the node holds no value.
    fn match_node(&self, node: &Node<'_>, steps: &Steps) -> Result<Option<bool>, TooLong> {
        steps.take(1)?;
        match node.value() {
            Value::Object(_) => Ok(None),
            Value::Array(items) => {
                let mut found = None;
                for item in items {
                    if matches!(item.value(), Value::Array(_)) {
                        steps.read(item.bytes())?;
                    }
                    match self.match_node(item, steps)? {
                        Some(true) => return Ok(Some(true)),
                        Some(false) => found = Some(false),
                        None => {}
                    }
                }
                Ok(found)
            }
            value => self.take(value, steps).map(Some),
        }
    }

    fn take(&self, value: &Value<'_>, steps: &Steps) -> Result<bool, TooLong> {
        let is_listed = match value {
            Value::Text(text) if !self.texts.is_empty() && text.len() <= self.longest_text => {
                steps.read(text.len())?;
                self.texts.contains(&**text)
            }
            Value::Number(number) => self.numbers.contain(*number),
            Value::Bool(bool) => self.bools[usize::from(*bool)],
            Value::Null => self.null,
            _ => false,
        };
        if self.present || is_listed || self.tests.is_empty() {
            return Ok(self.present || is_listed);
        }
        let tested = Tested::new(value, steps)?;
        for test in &self.tests {
            if test.takes(&tested, steps)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A value that several tests look at.
struct Tested<'v, 'a> {
    value: &'v Value<'a>,
    /// The value if that is a string in UTF-8.
    text: Option<&'v str>,
    /// The text in lower case.
    lower: OnceCell<String>,
}

impl<'v, 'a> Tested<'v, 'a> {
    fn new(value: &'v Value<'a>, steps: &Steps) -> Result<Self, TooLong> {
        let text = match value {
            Value::Text(text) => {
                steps.read(text.len())?;
                std::str::from_utf8(text).ok()
            }
            _ => None,
        };
        Ok(Self { value, text, lower: OnceCell::new() })
    }

    fn lower(&self, steps: &Steps) -> Result<Option<&str>, TooLong> {
        let Some(text) = self.text else { return Ok(None) };
        if self.lower.get().is_none() {
            steps.lower(text.len())?;
        }
        Ok(Some(self.lower.get_or_init(|| text.to_lowercase())))
    }
}

impl Test {
    fn takes(&self, tested: &Tested<'_, '_>, steps: &Steps) -> Result<bool, TooLong> {
        steps.take(1)?;
        let text = tested.text;
        Ok(match self {
            Self::ButTexts(excluded) => {
                steps.take(excluded.len())?;
                !matches!(tested.value, Value::Text(text) if excluded.iter().any(|one| one.as_bytes() == &**text))
            }
            Self::ButNumbers(excluded) => {
                steps.take(excluded.len())?;
                !matches!(tested.value, Value::Number(number) if excluded.iter().any(|one| are_equal(*one, *number)))
            }
            Self::But(tests) => {
                for test in tests {
                    if test.takes(tested, steps)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Numeric { above, below } => {
                let Value::Number(number) = tested.value else { return Ok(false) };
                let is_inside = |bound: Option<(Number, bool)>, side: Ordering| {
                    bound.is_none_or(|(bound, with_bound)| match number.compare(bound) {
                        Some(Ordering::Equal) => with_bound,
                        order => order == Some(side),
                    })
                };
                is_inside(*above, Ordering::Greater) && is_inside(*below, Ordering::Less)
            }
            Self::Prefix(Affix::Exact(prefix)) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(Affix::Exact(suffix)) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::Prefix(Affix::AnyCase(prefix)) => {
                tested.lower(steps)?.is_some_and(|lower| lower.starts_with(prefix))
            }
            Self::Suffix(Affix::AnyCase(suffix)) => {
                tested.lower(steps)?.is_some_and(|lower| lower.ends_with(suffix))
            }
            Self::EqualsIgnoreCase(text) => tested.lower(steps)?.is_some_and(|lower| lower == text),
            Self::Wildcard(parts) => {
                steps.read(text.map_or(0, str::len))?;
                text.is_some_and(|text| is_like(text, parts))
            }
            Self::Cidr(network) => {
                let address = text.and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| network.contains(&address))
            }
        })
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
