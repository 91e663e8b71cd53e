//! Reads the content of an event from the fields of a producer's JSON object (contract §4).

use serde_json::value::RawValue;

use crate::event::EventContent;
use crate::event_name::{EventName, EventNames};
use crate::fields::{Fields, Refused, depth, string};
use crate::id::EventId;

/// The most bytes of an event, as the producer sends it.
pub const MAX_BYTES: usize = 256 * 1024;

const MAX_DEPTH: usize = 128;
const MAX_ID_CHARS: usize = 128;

/// Reads an event whose name is among its fields.
///
/// # Errors
/// When a field is missing or not allowed.
pub fn read<'a>(
    fields: &Fields<'a>,
    names: &EventNames,
) -> Result<(Option<EventId>, EventContent<'a>), Refused> {
    read_rest(fields, name(fields, "event_name", names)?)
}

/// The event's name, from the field that has it.
///
/// # Errors
/// When the name is missing or not one of `names`.
pub fn name(fields: &Fields<'_>, field: &str, names: &EventNames) -> Result<EventName, Refused> {
    fields.required(field, format_args!("one of: {names}"), |value| names.find(&string(value)?))
}

/// A name in the form that names have. `names` are those that a message lists.
///
/// # Errors
/// When the name is missing or no event could have it.
pub fn any_name(fields: &Fields<'_>, field: &str, names: &EventNames) -> Result<EventName, Refused> {
    fields.required(field, format_args!("one of: {names}"), |value| EventName::parse(&string(value)?))
}

/// Reads an event whose name has been read.
///
/// # Errors
/// When a field is not allowed.
pub fn read_rest<'a>(
    fields: &Fields<'a>,
    name: EventName,
) -> Result<(Option<EventId>, EventContent<'a>), Refused> {
    let event_id =
        fields.nullable("event_id", "a hyphenated UUID", |value| EventId::parse(&string(value)?).ok())?;
    let id_text = |field| fields.nullable(field, "a string of 1 to 128 characters", own_id);
    let content = EventContent {
        name,
        customer_id: id_text("customer_id")?,
        notification_id: id_text("notification_id")?,
        data: fields.nullable("data", "an object, nested at most 128 deep", data)?.unwrap_or(empty_object()),
    };
    Ok((event_id, content))
}

fn own_id(value: &RawValue) -> Option<String> {
    string(value).filter(|text| (1..=MAX_ID_CHARS).contains(&text.chars().count()))
}

/// The producer's own bytes. Only their syntax and their depth are checked.
pub(crate) fn data(value: &RawValue) -> Option<&RawValue> {
    let is_object = value.get().starts_with('{');
    (is_object && depth(value.get()) <= MAX_DEPTH).then_some(value)
}

fn empty_object() -> &'static RawValue {
    #[expect(clippy::expect_used, reason = "a constant that is JSON")]
    serde_json::from_str("{}").expect("an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "CC66D0A2-7cfd-481f-9826-596e2bb9d58f";

    fn envelope(body: &str) -> Option<String> {
        let names = EventNames::parse("call.started,call.ended").expect("names");
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        let (id, content) = read(&fields, &names).ok()?;
        let id = id.unwrap_or_else(|| EventId::parse(ID).expect("an id"));
        Some(String::from_utf8(content.envelope(&id)).expect("UTF-8"))
    }

    #[test]
    fn the_envelope_carries_what_was_posted() {
        let lower = ID.to_lowercase();
        let expected = format!(
            r#"{{"event_id":"{lower}","event_name":"call.ended","customer_id":"c \"1\"","notification_id":null,"data":{{"b": 1.10, "a":"\ud800"}}}}"#
        );
        let body = format!(
            r#"{{"data": {{"b": 1.10, "a":"\ud800"}}, "event_name":"call.ended", "event_id":"{ID}", "customer_id":"c \"1\"", "more": 1}}"#
        );
        assert_eq!(envelope(&body), Some(expected));
        let bare = format!(
            r#"{{"event_id":"{lower}","event_name":"call.ended","customer_id":null,"notification_id":null,"data":{{}}}}"#
        );
        assert_eq!(envelope(r#"{"event_name":"call.ended"}"#), Some(bare.clone()));
        let nulls = r#""event_id":null,"customer_id":null,"notification_id":null,"data":null"#;
        assert_eq!(envelope(&format!(r#"{{"event_name":"call.ended",{nulls}}}"#)), Some(bare));
    }

    #[test]
    fn a_value_out_of_range_is_refused() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let with = |field: &str| envelope(&format!(r#"{{"event_name":"call.ended",{field}}}"#));
        assert!(with(&format!(r#""data":{}"#, nested(128))).is_some());
        assert!(with(&format!(r#""customer_id":"{}""#, "é".repeat(128))).is_some());
        for bad in [
            format!(r#""data":{}"#, nested(129)),
            r#""data":[]"#.to_owned(),
            r#""data":"{}""#.to_owned(),
            r#""customer_id":"""#.to_owned(),
            r#""customer_id":7"#.to_owned(),
            format!(r#""notification_id":"{}""#, "é".repeat(129)),
            r#""event_id":7"#.to_owned(),
            r#""event_id":"cc66d0a27cfd481f9826596e2bb9d58f""#.to_owned(),
            r#""event_name":"call.ended""#.to_owned(),
        ] {
            assert_eq!(with(&bad), None, "{bad}");
        }
        for bad in [r#"{}"#, r#"{"event_name":null}"#, r#"{"event_name":"call.other"}"#] {
            assert_eq!(envelope(bad), None, "{bad}");
        }
    }
}
