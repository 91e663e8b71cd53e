//! Event types: an account describes the names that its events may have, and adds names of its own to those of the deployment
//! (contract §2).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event_input;
use crate::event_name::{EventName, NAME_FORM, OPERATIONAL};
use crate::fields::{Fields, Refused, string};
use crate::id::AccountId;
use crate::time::Timestamp;

/// The most types of an account. Their names, of 64 characters each, are one row that takes eight read units.
pub const MAX_TYPES: u32 = 500;

pub const MAX_DESCRIPTION_CHARS: usize = 256;

/// The most bytes of an example. So the list of all types fits into one answer.
pub const MAX_EXAMPLE_BYTES: usize = 4 * 1024;

/// A name with the words and the example of an account. One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventType {
    pub account_id: AccountId,
    pub name: EventName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON text of an object, in its sender's own bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    #[serde(rename = "deprecated", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_deprecated: bool,
    pub updated_at: Timestamp,
}

impl EventType {
    /// Reads a type from the fields of a request. Null and an absent field are the same.
    ///
    /// # Errors
    /// When a field is not allowed.
    pub fn read(
        account_id: AccountId,
        name: EventName,
        fields: &Fields<'_>,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let words = format!("a string of 1 to {MAX_DESCRIPTION_CHARS} characters");
        let object =
            format!("an object, nested at most 128 deep and of at most {} KiB", MAX_EXAMPLE_BYTES / 1024);
        let yes_or_no = |value: &RawValue| serde_json::from_str(value.get()).ok();
        Ok(Self {
            account_id,
            name,
            description: fields.nullable("description", words, description)?,
            example: fields.nullable("example", object, example)?,
            is_deprecated: fields.nullable("deprecated", "true or false", yes_or_no)?.unwrap_or(false),
            updated_at: now,
        })
    }
}

/// The name of a type that an account may have.
///
/// # Errors
/// When no event can have the name, or only the service's own events have it.
pub fn name(text: &str) -> Result<EventName, Refused> {
    let name = EventName::parse(text);
    let name = name.ok_or_else(|| Refused::new(format!("name in the path must be {NAME_FORM}")))?;
    if name.is_operational() {
        let own = OPERATIONAL.join(", ");
        return Err(Refused::new(format!("name in the path must be none of the service's own: {own}")));
    }
    Ok(name)
}

fn description(value: &RawValue) -> Option<String> {
    string(value).filter(|text| (1..=MAX_DESCRIPTION_CHARS).contains(&text.chars().count()))
}

fn example(value: &RawValue) -> Option<String> {
    let data = event_input::data(value)?.get();
    (data.len() <= MAX_EXAMPLE_BYTES).then(|| data.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

    fn read(body: &str) -> Result<EventType, String> {
        let name = EventName::from_stored("order.paid");
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        EventType::read(AccountId::new(NOW), name, &fields, NOW).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_type_has_words_and_an_example_in_its_senders_bytes() {
        let bare = read("{}").expect("a type");
        assert_eq!((bare.description, bare.example, bare.is_deprecated), (None, None, false));
        let nulls = r#"{"description": null, "example": null, "deprecated": null}"#;
        assert!(read(nulls).is_ok_and(|read| read.description.is_none() && !read.is_deprecated));
        let body = r#"{"description": "An order is paid", "example": {"b": 1.10, "a": "\ud800"}, "deprecated": true}"#;
        let full = read(body).expect("a type");
        assert_eq!(full.description.as_deref(), Some("An order is paid"));
        assert_eq!(full.example.as_deref(), Some(r#"{"b": 1.10, "a": "\ud800"}"#));
        assert!(full.is_deprecated);
    }

    #[test]
    fn each_refusal_names_its_field() {
        let padded = |bytes: usize| format!(r#"{{"example": {{"a":"{}"}}}}"#, "x".repeat(bytes - 8));
        assert!(read(&padded(MAX_EXAMPLE_BYTES)).is_ok());
        assert!(read(&format!(r#"{{"description": "{}"}}"#, "é".repeat(256))).is_ok());
        let nested = format!(r#"{{"example": {}{}}}"#, r#"{"a":"#.repeat(128) + "1", "}".repeat(128));
        assert!(read(&nested).is_ok());
        for (body, field) in [
            (padded(MAX_EXAMPLE_BYTES + 1), "example"),
            (nested.replacen("1", "{}", 1), "example"),
            (r#"{"example": []}"#.to_owned(), "example"),
            (r#"{"example": "{}"}"#.to_owned(), "example"),
            (format!(r#"{{"description": "{}"}}"#, "é".repeat(257)), "description"),
            (r#"{"description": ""}"#.to_owned(), "description"),
            (r#"{"description": 7}"#.to_owned(), "description"),
            (r#"{"deprecated": "yes"}"#.to_owned(), "deprecated"),
        ] {
            let message = read(&body).expect_err(field);
            assert!(message.starts_with(&format!("{field} must be null or ")), "{message}");
        }
    }

    #[test]
    fn a_type_has_a_name_that_a_producers_event_can_have() {
        assert!(name("order.paid").is_ok());
        for bad in ["", "order paid", "order.*", "*", "é", &"x".repeat(65)] {
            assert!(name(bad).is_err_and(|refused| refused.to_string().contains("1 to 64")), "{bad}");
        }
        for own in OPERATIONAL {
            assert!(name(own).is_err_and(|refused| refused.to_string().contains("none of")), "{own}");
        }
    }
}
