//! The fields of a JSON object. They are read one by one, so that each refusal names the field and the allowed values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The most characters of a short text, such as a name.
pub const NAME_CHARS: usize = 256;

/// How much of a name is repeated to its sender.
const MAX_SHOWN_CHARS: usize = 64;

/// Why we refuse a request or a message. The text names the field and the allowed values, and repeats no value that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub Cow<'static, str>);

impl Refused {
    #[must_use]
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

/// The top level of an object. Each value is still JSON text, in the sender's own bytes. The parser passes over values without
/// recursion, so that no nesting can exhaust the stack.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    /// # Errors
    /// When the bytes are not a JSON object in UTF-8.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::new("The body must be UTF-8"))?;
        serde_json::from_str(text).map_err(|_| Refused::new("The body must be a JSON object"))
    }

    /// Every field, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// A field that may be absent. `read` takes or refuses its value, null included. `allowed` is the end of the message
    /// "must be …".
    ///
    /// # Errors
    /// When the object has the field twice, or `read` refuses its value.
    pub fn optional<T>(
        &self,
        name: &str,
        allowed: impl fmt::Display,
        read: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refused::new(format!("{name} must be given only once")));
        }
        let taken = read(value).ok_or_else(|| Refused::new(format!("{name} must be {allowed}")))?;
        Ok(Some(taken))
    }

    /// As [`Self::optional`], for a field whose null means the same as its absence.
    ///
    /// # Errors
    /// As [`Self::optional`].
    pub fn nullable<T>(
        &self,
        name: &str,
        allowed: impl fmt::Display,
        read: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let allowed = format_args!("null or {allowed}");
        let value = self.optional(name, allowed, |value| match value.get() {
            "null" => Some(None),
            _ => read(value).map(Some),
        })?;
        Ok(value.flatten())
    }

    /// For calls in which a field that is ignored would do harm.
    ///
    /// # Errors
    /// When there is a field of another name.
    pub fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let unknown = self.0.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name));
        unknown.map_or(Ok(()), |name| Err(Refused::new(not_known("field", name, known))))
    }

    /// A field that must not be absent. It is read as [`Self::optional`] reads a field.
    ///
    /// # Errors
    /// As [`Self::optional`], and when the field is absent.
    pub fn required<T>(
        &self,
        name: &str,
        allowed: impl fmt::Display,
        read: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Result<T, Refused> {
        self.optional(name, &allowed, read)?
            .ok_or_else(|| Refused::new(format!("{name} is required and must be {allowed}")))
    }

    /// A required text of 1 to `max` characters that are not all blank.
    ///
    /// # Errors
    /// When the field is absent or has any other value.
    pub fn text(&self, name: &str, max: usize) -> Result<String, Refused> {
        self.required(name, format_args!("a non-blank string of 1 to {max} characters"), |value| {
            string(value).filter(|text| !text.trim().is_empty() && text.chars().count() <= max)
        })
    }
}

/// A name that may be of any length, as it is repeated to its sender.
#[must_use]
pub fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN_CHARS).collect()
}

/// The message that a field or parameter is unknown, with the known one that was probably meant.
#[must_use]
pub fn not_known(kind: &str, name: &str, known: &[&str]) -> String {
    let name = shown(name);
    let list = known.join(", ");
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(&name, known), known));
    match distances.min() {
        None => format!("{name} is no {kind} of this call; it has none"),
        // At such a distance it is a name of its own rather than a misspelling.
        Some((distance, nearest)) if distance * 2 > nearest.len() => {
            format!("{name} is no {kind} of this call; it has: {list}")
        }
        Some((_, nearest)) => {
            format!("{name} is no {kind} of this call; did you mean {nearest}? It has: {list}")
        }
    }
}

/// The value, if it is a string.
#[must_use]
pub fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// How deep objects and arrays are nested in a JSON text; a bare object is 1.
#[must_use]
pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(refused: Refused) -> String {
        refused.to_string()
    }

    #[test]
    fn only_objects_are_bodies() {
        let not_objects: [&[u8]; 9] =
            [b"", b"null", b"[]", b"\"{}\"", b"{", b"{} {}", b"{\"a\":}", b"{'a':1}", b"{\"a\":01}"];
        for bytes in not_objects {
            let error = Fields::parse(bytes).expect_err("not an object");
            assert_eq!(message(error), "The body must be a JSON object");
        }
        assert_eq!(message(Fields::parse(b"{\"a\":\"\xff\"}").expect_err("bytes")), "The body must be UTF-8");
        assert!(Fields::parse(b" {\"a\": 1, \"a\": 2}\n").is_ok());
    }

    #[test]
    fn refusals_name_the_field_and_what_is_allowed() {
        let name = |body: &'static str| {
            Fields::parse(body.as_bytes()).and_then(|fields| fields.text("name", 5)).map_err(message)
        };
        let wrong = Err("name must be a non-blank string of 1 to 5 characters".to_owned());
        assert_eq!(name(r#"{"name": "h\u00e9llo", "other": {}}"#), Ok("héllo".to_owned()));
        for body in [
            r#"{"name": ""}"#,
            r#"{"name": "  "}"#,
            r#"{"name": "sixsix"}"#,
            r#"{"name": null}"#,
            r#"{"name": 7}"#,
            r#"{"name": ["a"]}"#,
            r#"{"name": "\ud800"}"#,
        ] {
            assert_eq!(name(body), wrong, "{body}");
        }
        let absent = "name is required and must be a non-blank string of 1 to 5 characters";
        assert_eq!(name("{}"), Err(absent.to_owned()));
        assert_eq!(name(r#"{"name":"a","name":"a"}"#), Err("name must be given only once".to_owned()));
    }

    #[test]
    fn null_is_the_same_as_absence_where_that_is_said() {
        let read = |body: &'static str| {
            let fields = Fields::parse(body.as_bytes()).expect("an object");
            fields.nullable("name", "a string", string).map_err(message)
        };
        assert_eq!(read("{}"), Ok(None));
        assert_eq!(read(r#"{"name": null}"#), Ok(None));
        assert_eq!(read(r#"{"name": "a"}"#), Ok(Some("a".to_owned())));
        assert_eq!(read(r#"{"name": 7}"#), Err("name must be null or a string".to_owned()));
        assert_eq!(read(r#"{"name":null,"name":"a"}"#), Err("name must be given only once".to_owned()));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let known = ["since", "until", "event_name"];
        let only =
            |body: &str| Fields::parse(body.as_bytes()).expect("an object").only(&known).map_err(message);
        assert_eq!(only("{}"), Ok(()));
        assert_eq!(only(r#"{"until": 1, "since": 2}"#), Ok(()));
        for (name, nearest) in
            [("untill", "until"), ("sicne", "since"), ("eventName", "event_name"), ("Until", "until")]
        {
            let told = format!(
                "{name} is no field of this call; did you mean {nearest}? It has: since, until, event_name"
            );
            assert_eq!(only(&format!(r#"{{"since": 1, "{name}": 2}}"#)), Err(told));
        }
        let other = Err("limit is no field of this call; it has: since, until, event_name".to_owned());
        assert_eq!(only(r#"{"limit": 1}"#), other);
        assert_eq!(not_known("parameter", "x", &[]), "x is no parameter of this call; it has none");
        assert!(not_known("parameter", &"x".repeat(10_000), &known).len() < 200);
    }

    #[test]
    fn values_keep_their_bytes() {
        let body = r#"{"data": {"b": 1.10, "a": 123456789012345678901234567890, "s": "\ud800"} }"#;
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        let data = fields.required("data", "anything", Some).expect("data").get();
        assert_eq!(data, r#"{"b": 1.10, "a": 123456789012345678901234567890, "s": "\ud800"}"#);
    }

    #[test]
    fn no_nesting_exhausts_the_stack() {
        for name in ["data", "unknown"] {
            let bomb = format!("{{\"{name}\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
            let fields = Fields::parse(bomb.as_bytes()).expect("an object");
            let deep = fields.optional(name, "", |value| Some(depth(value.get()))).expect("there once");
            assert_eq!(deep, Some(100_000));
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[{}],"b":{}}"#, 3),
            (r#"{"a":"[[[["}"#, 1),
            (r#"{"a":"\"[[","b":"\\"}"#, 1),
            (r#"{"a\\":["[\\\"["]}"#, 2),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
