//! Events that come in through the intake queue, sent by the producer itself or passed on by EventBridge (contract §4).

use crate::event::EventContent;
use crate::event_input::{self, MAX_BYTES};
use crate::event_name::EventNames;
use crate::fields::{Fields, Refused, string};
use crate::id::{EventId, ProjectId};

/// An event, and the project that its sender names.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub project_id: ProjectId,
    pub event_id: EventId,
    pub content: EventContent<'a>,
    /// The field that has the event's name.
    name_field: &'static str,
}

impl Incoming<'_> {
    /// # Errors
    /// When the event's name is not one of `names`.
    pub fn is_named_by(&self, names: &EventNames) -> Result<(), Refused> {
        let found = names.find(self.content.name.as_str());
        found.map(drop).ok_or_else(|| Refused::new(format!("{} must be one of: {names}", self.name_field)))
    }
}

/// Reads a message's body. A body with a `detail-type` comes from EventBridge. The event's name may be any: only the
/// project tells which names there are. `names` are those that a message lists when there is no name.
///
/// # Errors
/// When the body is too large, or a field is missing or not allowed.
pub fn read<'a>(body: &'a str, message_id: &str, names: &EventNames) -> Result<Incoming<'a>, Refused> {
    let (project_id, event_id, content, name_field) = match Fields::parse(body.as_bytes()) {
        Ok(fields) if fields.iter().any(|(name, _)| name == "detail-type") => passed_on(&fields, names)?,
        fields => {
            fits("The body", body)?;
            let fields = fields?;
            let project_id = project_id(&fields)?;
            let name_field = "event_name";
            let name = event_input::any_name(&fields, name_field, names)?;
            let (event_id, content) = event_input::read_rest(&fields, name)?;
            (project_id, event_id, content, name_field)
        }
    };
    let event_id = match event_id {
        Some(event_id) => event_id,
        None => EventId::parse(message_id)
            .map_err(|_| Refused::new("event_id is required: the message's own id is no hyphenated UUID"))?,
    };
    Ok(Incoming { project_id, event_id, content, name_field })
}

/// The project that a message's body names, even if the body is wrong in other ways.
#[must_use]
pub fn project_named(body: &str) -> Option<ProjectId> {
    let fields = Fields::parse(body.as_bytes()).ok()?;
    if !fields.iter().any(|(name, _)| name == "detail-type") {
        return project_id(&fields).ok();
    }
    let detail = fields.required("detail", "a JSON object", Some).ok()?;
    project_id(&Fields::parse(detail.get().as_bytes()).ok()?).ok()
}

/// EventBridge's own fields hold the event's name, and its id unless the producer gave one. The rest is inside `detail`.
fn passed_on<'a>(
    outer: &Fields<'a>,
    names: &EventNames,
) -> Result<(ProjectId, Option<EventId>, EventContent<'a>, &'static str), Refused> {
    let detail = outer.required("detail", "a JSON object", Some)?.get();
    fits("detail", detail)?;
    let detail =
        Fields::parse(detail.as_bytes()).map_err(|_| Refused::new("detail must be a JSON object"))?;
    let project_id = project_id(&detail)?;
    let name_field = "detail-type";
    let name = event_input::any_name(outer, name_field, names)?;
    let (event_id, content) = event_input::read_rest(&detail, name)?;
    let own_id = outer.optional("id", "a hyphenated UUID", |value| EventId::parse(&string(value)?).ok())?;
    Ok((project_id, event_id.or(own_id), content, name_field))
}

fn project_id(fields: &Fields<'_>) -> Result<ProjectId, Refused> {
    fields.required("project_id", "a hyphenated UUID", |value| ProjectId::parse(&string(value)?).ok())
}

fn fits(what: &str, text: &str) -> Result<(), Refused> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(Refused::new(format!("{what} must be at most {} KiB", MAX_BYTES / 1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "5fea7756-0ea4-451a-a703-a558b933e274";
    const PROJECT: &str = "019d8257-8a4b-7000-8000-000000000001";
    const EVENT: &str = "cc66d0a2-7cfd-481f-9826-596e2bb9d58f";
    const BUS: &str = "7bf73129-1428-4cd3-a780-95db273d1602";

    fn names() -> EventNames {
        EventNames::parse("call.started,call.ended").expect("names")
    }

    /// The project, and the envelope its receivers get.
    fn taken(body: &str) -> (String, String) {
        let incoming = read(body, MESSAGE, &names()).expect("an event");
        let envelope = incoming.content.envelope(&incoming.event_id);
        (incoming.project_id.to_string(), String::from_utf8(envelope).expect("UTF-8"))
    }

    fn refused(body: &str) -> String {
        let read = read(body, MESSAGE, &names()).and_then(|incoming| incoming.is_named_by(&names()));
        read.expect_err("no event").to_string()
    }

    fn from_bus(detail: &str) -> String {
        format!(
            r#"{{"version":"0","id":"{BUS}","detail-type":"call.ended","source":"calls","detail":{detail}}}"#
        )
    }

    fn envelope(id: &str, data: &str) -> (String, String) {
        let rest = format!(r#""customer_id":"c-1","notification_id":null,"data":{data}}}"#);
        (PROJECT.to_owned(), format!(r#"{{"event_id":"{id}","event_name":"call.ended",{rest}"#))
    }

    #[test]
    fn both_ways_make_the_same_event() {
        let data = r#"{"b": 1.10, "a":"\ud800"}"#;
        let rest = format!(r#""project_id":"{PROJECT}","customer_id":"c-1","data":{data}"#);
        let with_id = format!(r#"{rest},"event_id":"{EVENT}""#);
        assert_eq!(taken(&format!(r#"{{"event_name":"call.ended",{with_id}}}"#)), envelope(EVENT, data));
        assert_eq!(taken(&from_bus(&format!("{{{with_id}}}"))), envelope(EVENT, data));
        assert_eq!(taken(&format!(r#"{{"event_name":"call.ended",{rest}}}"#)), envelope(MESSAGE, data));
        assert_eq!(taken(&from_bus(&format!("{{{rest}}}"))), envelope(BUS, data));
    }

    #[test]
    fn refusals_name_the_field() {
        let project = format!(r#""project_id":"{PROJECT}""#);
        let name = r#""event_name":"call.ended""#;
        for (body, reason) in [
            ("hello".to_owned(), "The body must be a JSON object"),
            (format!("{{{name}}}"), "project_id is required and must be a hyphenated UUID"),
            (format!(r#"{{{name},"project_id":"mine"}}"#), "project_id must be a hyphenated UUID"),
            (format!("{{{project}}}"), "event_name is required and must be one of: call.started, call.ended"),
            (
                format!(r#"{{{project},"event_name":"call.x"}}"#),
                "event_name must be one of: call.started, call.ended",
            ),
            (
                format!(r#"{{{project},"event_name":"call x"}}"#),
                "event_name must be one of: call.started, call.ended",
            ),
            (format!(r#"{{{project},{name},"event_id":7}}"#), "event_id must be null or a hyphenated UUID"),
            (
                format!(r#"{{{project},{name},"data":[]}}"#),
                "data must be null or an object, nested at most 128 deep",
            ),
            (from_bus("7"), "detail must be a JSON object"),
            (from_bus("{}"), "project_id is required and must be a hyphenated UUID"),
            (r#"{"detail-type":"call.ended"}"#.to_owned(), "detail is required and must be a JSON object"),
            (
                from_bus(&format!("{{{project}}}")).replace("call.ended", "call.x"),
                "detail-type must be one of: call.started, call.ended",
            ),
            (from_bus(&format!("{{{project}}}")).replace(BUS, "1"), "id must be a hyphenated UUID"),
        ] {
            assert_eq!(refused(&body), reason, "{body}");
        }
        let body = format!("{{{project},{name}}}");
        let refused = read(&body, "1", &names()).expect_err("no id").to_string();
        assert_eq!(refused, "event_id is required: the message's own id is no hyphenated UUID");
    }

    #[test]
    fn a_project_is_named_by_events_that_are_refused_too() {
        let named = |body: &str| project_named(body).map(|id| id.to_string());
        let detail = format!(r#"{{"project_id":"{PROJECT}","data":7}}"#);
        let long = format!(r#"{{"project_id":"{PROJECT}","data":"{}"}}"#, "x".repeat(MAX_BYTES));
        for body in [&detail, &from_bus(&detail), &long] {
            refused(body);
            assert_eq!(named(body).as_deref(), Some(PROJECT), "{body}");
        }
        let twice = format!(r#"{{"project_id":"{PROJECT}","project_id":"{PROJECT}"}}"#);
        for body in ["hello", "{}", r#"{"project_id":"mine"}"#, &twice, &from_bus("7"), &from_bus("{}")] {
            assert_eq!(named(body), None, "{body}");
        }
    }

    #[test]
    fn the_limit_is_that_of_the_body_or_of_the_detail() {
        let padded = |bytes: usize| {
            let empty =
                format!(r#"{{"project_id":"{PROJECT}","event_name":"call.ended","data":{{"a":""}}}}"#);
            empty.replace(r#""a":"""#, &format!(r#""a":"{}""#, "x".repeat(bytes - empty.len())))
        };
        assert!(read(&padded(MAX_BYTES), MESSAGE, &names()).is_ok());
        assert_eq!(refused(&padded(MAX_BYTES + 1)), "The body must be at most 256 KiB");
        assert_eq!(refused(&"x".repeat(MAX_BYTES + 1)), "The body must be at most 256 KiB");
        assert!(read(&from_bus(&padded(MAX_BYTES)), MESSAGE, &names()).is_ok());
        assert_eq!(refused(&from_bus(&padded(MAX_BYTES + 1))), "detail must be at most 256 KiB");
    }
}
