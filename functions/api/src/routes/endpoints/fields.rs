//! An endpoint's fields as a caller sets them, each checked by itself (contract §3).

use echo_shared::address::AddressRules;
use echo_shared::custom_headers::{self, CustomHeaders};
use echo_shared::endpoint::EndpointStatus;
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::event_name::EventNames;
use echo_shared::fields::{Fields, Refused, shown, string};
use echo_shared::filter::FilterText;
use echo_shared::rate_limit::MAX_PER_SECOND;
use echo_shared::stream::Order;
use echo_shared::subscription::Subscription;
use serde_json::value::RawValue;

use crate::config::Settings;
use crate::http::loops::CalledHost;

const MAX_DESCRIPTION_CHARS: usize = 512;

/// The setting `EventNames` can have 225 names, and wildcards come beside them.
const MAX_EVENTS: usize = 250;

/// The most characters of an endpoint's events together. A hundred endpoints fit into the project's routing row, which
/// has at most 400 KB (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html) and is read for each
/// event.
const MAX_EVENTS_CHARS: usize = 2_048;

/// `null` takes it away.
pub(super) fn description(fields: &Fields<'_>) -> Result<Option<Option<String>>, Refused> {
    let allowed = format!("null or a string of at most {MAX_DESCRIPTION_CHARS} characters");
    fields.optional("description", allowed, |value| {
        let text: Option<String> = serde_json::from_str(value.get()).ok()?;
        let fits = text.as_ref().is_none_or(|text| text.chars().count() <= MAX_DESCRIPTION_CHARS);
        fits.then_some(text)
    })
}

/// `null` takes them away.
pub(super) fn headers(fields: &Fields<'_>) -> Result<Option<CustomHeaders>, Refused> {
    let mut refused = None;
    let headers = fields.optional("headers", format_args!("null or {}", custom_headers::ALLOWED), |value| {
        if value.get() == "null" {
            return Some(CustomHeaders::default());
        }
        let pairs = Fields::parse(value.get().as_bytes()).ok()?;
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name, string(value))).collect();
        refused = pairs
            .iter()
            .find(|(name, value)| !is_header(name, value.as_deref()))
            .map(|(name, _)| shown(name));
        CustomHeaders::new(pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))))
            .filter(|_| refused.is_none())
    });
    match refused {
        // The whole rule is long, and most of the headers may be right.
        Some(name) => Err(Refused::new(format!(
            "headers cannot have {name} as it was sent; they must be {}",
            custom_headers::ALLOWED
        ))),
        None => headers,
    }
}

fn is_header(name: &str, value: Option<&str>) -> bool {
    value.is_some_and(|value| CustomHeaders::new([(name.to_owned(), value.to_owned())]).is_some())
}

/// `null` takes it away.
pub(super) fn rate_limit_per_second(fields: &Fields<'_>) -> Result<Option<Option<u16>>, Refused> {
    let allowed = format!("null or a whole number from 1 to {MAX_PER_SECOND}");
    fields.optional("rate_limit_per_second", allowed, |value| {
        let limit: Option<u16> = serde_json::from_str(value.get()).ok()?;
        limit.is_none_or(|limit| (1..=MAX_PER_SECOND).contains(&limit)).then_some(limit)
    })
}

/// `null` switches it off.
pub(super) fn ordered(fields: &Fields<'_>) -> Result<Option<Option<Order>>, Refused> {
    fields.optional("ordered", "null, endpoint or customer_id", |value| match value.get() {
        "null" => Some(None),
        _ => Order::parse(&string(value)?).map(Some),
    })
}

/// The rules of this deployment. The host by which the caller reached the API is its own too.
pub(super) fn rules(settings: &Settings, CalledHost(host): CalledHost) -> AddressRules {
    host.into_iter().fold(settings.address_rules.clone(), AddressRules::own)
}

pub(super) fn url(fields: &Fields<'_>, rules: &AddressRules) -> Result<Option<String>, Refused> {
    let text = fields.optional("url", "a string", string)?;
    text.map(|text| checked_url("url", &text, rules)).transpose()
}

/// A URL to which the service may send, for the field `name`.
pub(super) fn checked_url(name: &str, text: &str, rules: &AddressRules) -> Result<String, Refused> {
    let url = EndpointUrl::parse(text, rules).map_err(|refused| Refused::new(format!("{name} {refused}")))?;
    if let Some(requested) = url.rewritten() {
        return Err(Refused::new(format!("{name} would be requested as {requested}; register that")));
    }
    Ok(url.as_str().to_owned())
}

/// `null` takes it away.
pub(super) fn filter(fields: &Fields<'_>) -> Result<Option<Option<FilterText>>, Refused> {
    let mut wrong = None;
    let filter = fields.optional("filter", "null or an event pattern", |value| match value.get() {
        "null" => Some(None),
        _ => FilterText::new(value).map_err(|why| wrong = Some(why)).ok().map(Some),
    });
    match wrong {
        Some(wrong) => Err(Refused::new(format!("filter {wrong}"))),
        None => filter,
    }
}

/// The allowed values of `events`, for a message.
pub(super) fn events_allowed(names: &EventNames) -> String {
    format!(
        "a non-empty array of at most {MAX_EVENTS}, with {MAX_EVENTS_CHARS} characters together, of: {names}; or {}",
        Subscription::WILDCARDS
    )
}

/// Duplicates collapse; the order is the caller's.
pub(super) fn events(fields: &Fields<'_>, names: &EventNames) -> Result<Option<Vec<Subscription>>, Refused> {
    fields.optional("events", events_allowed(names), |value| {
        let texts: Vec<String> = serde_json::from_str(value.get()).ok()?;
        let mut events: Vec<Subscription> = Vec::new();
        for text in texts {
            let subscription = Subscription::parse(&text, names)?;
            if !events.contains(&subscription) {
                events.push(subscription);
            }
        }
        let chars: usize = events.iter().map(|event| event.as_str().len()).sum();
        (1..=MAX_EVENTS).contains(&events.len()).then_some(events).filter(|_| chars <= MAX_EVENTS_CHARS)
    })
}

/// Whether the endpoint is to have a key pair of its own.
pub(super) fn ed25519(value: &RawValue) -> Option<bool> {
    serde_json::from_str(value.get()).ok()
}

pub(super) fn status(value: &RawValue) -> Option<EndpointStatus> {
    match string(value)?.as_str() {
        "active" => Some(EndpointStatus::Active),
        "disabled" => Some(EndpointStatus::Disabled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_header_is_named() {
        let refusal = |pairs: &str| {
            let body = format!(r#"{{"headers": {pairs}}}"#);
            headers(&Fields::parse(body.as_bytes()).expect("an object"))
                .err()
                .map(|refused| refused.to_string())
        };
        assert_eq!(refusal(r#"{"x-a": "1", "authorization": "Bearer a"}"#), None);
        for (pairs, name) in [
            (r#"{"x-a": "1", "X-Echo-Event": "1"}"#, "X-Echo-Event"),
            (r#"{"x-a": "1", "content-type": "1", "x-b": "2"}"#, "content-type"),
            (r#"{"x-a": "1", "x-b": 7}"#, "x-b"),
            (r#"{"x-a": "", "x-b": "7"}"#, "x-a"),
        ] {
            let message = refusal(pairs).expect("a refusal");
            assert!(
                message.starts_with(&format!("headers cannot have {name} as it was sent; ")),
                "{message}"
            );
            assert!(!message.contains('7'), "no value is repeated: {message}");
        }
        for whole in [r#"{"x-a": "1", "X-A": "2"}"#, "[]", "7"] {
            assert!(
                refusal(whole).is_some_and(|message| message.starts_with("headers must be null or ")),
                "{whole}"
            );
        }
    }

    fn named(body: &str) -> Option<Vec<String>> {
        let names = EventNames::parse("call.started,call.ended").expect("names");
        let fields = Fields::parse(body.as_bytes()).expect("an object");
        let events = events(&fields, &names).ok()?.unwrap_or_default();
        Some(events.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn events_are_known_and_collapse() {
        assert_eq!(
            named(r#"{"events": ["*", "call.*", "*"]}"#),
            Some(vec!["*".to_owned(), "call.*".to_owned()])
        );
        let many = |count: usize| {
            let prefixes: Vec<String> = (0..count).map(|n| format!("a{n}.*")).collect();
            serde_json::json!({ "events": prefixes }).to_string()
        };
        assert!(named(&many(250)).is_some() && named(&many(251)).is_none());
        let long = |count: usize| {
            let prefixes: Vec<String> = (0..count).map(|n| format!("{n:02}{}.*", "x".repeat(60))).collect();
            serde_json::json!({ "events": prefixes }).to_string()
        };
        assert!(named(&long(32)).is_some() && named(&long(33)).is_none(), "2,048 characters");
        let both = Some(vec!["call.ended".to_owned(), "call.started".to_owned()]);
        assert_eq!(named(r#"{"events": ["call.ended", "call.started", "call.ended"]}"#), both);
        assert_eq!(named("{}"), Some(Vec::new()));
        for bad in [
            r#"{"events": []}"#,
            r#"{"events": null}"#,
            r#"{"events": "call.ended"}"#,
            r#"{"events": ["call.ended", "call.summary"]}"#,
            r#"{"events": ["Call.ended"]}"#,
            r#"{"events": [1]}"#,
            r#"{"events": [["call.ended"]]}"#,
            r#"{"events": {"0": "call.ended"}}"#,
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
