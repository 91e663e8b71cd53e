//! An envelope as filters read it: each object and array is parsed when a filter first looks into it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An event's envelope.
#[derive(Debug)]
pub struct Document<'a>(Node<'a>);

impl<'a> Document<'a> {
    /// Parses nothing yet.
    #[must_use]
    pub fn new(envelope: &'a [u8]) -> Self {
        // An envelope is UTF-8; anything else would be a value that no filter matches.
        Self(Node::new(std::str::from_utf8(envelope).unwrap_or_default()))
    }

    pub(super) const fn root(&self) -> &Node<'a> {
        &self.0
    }

    pub(super) const fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// One value as JSON text, which is parsed when a filter first asks for it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    json: &'a str,
    value: OnceCell<Value<'a>>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    /// In UTF-8, unless the string has half a surrogate pair, which only exact bytes equal.
    Text(Cow<'a, [u8]>),
    Array(Vec<Node<'a>>),
    /// Of a name that stands twice, the last value.
    Object(HashMap<Cow<'a, [u8]>, Node<'a>>),
    /// No JSON. It equals nothing.
    Unreadable,
}

impl<'a> Node<'a> {
    const fn new(json: &'a str) -> Self {
        Self { json, value: OnceCell::new() }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.json.len()
    }

    pub(super) fn value(&self) -> &Value<'a> {
        self.value.get_or_init(|| read(self.json))
    }
}

fn read(json: &str) -> Value<'_> {
    let parsed = match json.as_bytes().first() {
        Some(b'{') => serde_json::from_str(json).ok().map(|Object(fields)| Value::Object(fields)),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(json)
            .ok()
            .map(|items| Value::Array(items.into_iter().map(|item| Node::new(item.get())).collect())),
        Some(b'"') => serde_json::from_str(json).ok().map(|Text(text)| Value::Text(text)),
        Some(b't') => Some(Value::Bool(true)),
        Some(b'f') => Some(Value::Bool(false)),
        Some(b'n') => Some(Value::Null),
        _ => Number::parse(json).map(Value::Number),
    };
    parsed.unwrap_or(Value::Unreadable)
}

/// A number by its value: `300`, `300.0` and `3e2` are equal. Whole numbers of up to 38 digits are exact, others are doubles.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i128),
    Double(f64),
}

impl Number {
    pub(super) fn parse(json: &str) -> Option<Self> {
        json.parse().map(Self::Whole).or_else(|_| json.parse().map(Self::Double)).ok()
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is compared with a double")]
    pub(super) const fn as_double(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Double(double) => double,
        }
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            (one, other) => one.as_double().partial_cmp(&other.as_double()),
        }
    }
}

/// A string's bytes. Unlike serde's own strings it may have half a surrogate pair.
struct Text<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(bytes.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Object<'a>(HashMap<Cow<'a, [u8]>, Node<'a>>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = HashMap::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    fields.insert(name, Node::new(value.get()));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
