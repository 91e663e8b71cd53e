//! Values that have a form of their own, each described once.

use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ArrayBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use echo_shared::account::EMAIL_CHARS;
use echo_shared::audit::Action;
use echo_shared::custom_headers::{
    MAX_HEADERS, MAX_NAME_CHARS, MAX_VALUE_CHARS, RESERVED, RESERVED_PREFIXES,
};
use echo_shared::event_name::OPERATIONAL;
use echo_shared::scope::Scope;

const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

/// A type for a string of a certain form.
macro_rules! strings {
    ($($name:ident: $about:literal, $form:expr;)+) => {$(
        #[doc = $about]
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let form: fn(ObjectBuilder) -> ObjectBuilder = $form;
                form(ObjectBuilder::new().schema_type(Type::String)).description(Some($about)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

strings! {
    Id: "A hyphenated UUID in lower case. Those that the service makes are UUIDv7.", |form| {
        form.format(format("uuid"))
            .pattern(Some("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))
            .examples([json!("0197c2a4-5e3d-7e1d-a448-42ce35fb64f3")])
    };
    GivenId: "A hyphenated UUID, in either case.", |form| {
        form.format(format("uuid")).pattern(Some(UUID))
            .examples([json!("0197c2a4-5e3d-7e1d-a448-42ce35fb64f3")])
    };
    Time: "A moment in UTC: RFC 3339 with three decimals and `Z`.", |form| {
        form.format(format("date-time"))
            .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"))
            .examples([json!("2026-04-12T15:51:59.499Z")])
    };
    GivenTime: "A moment: RFC 3339 with seconds and any offset. In a query, the `+` of an offset is written `%2B`.", |form| {
        form.format(format("date-time")).examples([json!("2026-04-12T15:51:59.499Z")])
    };
    GivenName: "A name that an event type may have: not one of the service's own, `endpoint.failing`, `endpoint.disabled`, `endpoint.recovered` and \
        `delivery.failed`.", |form| {
        let own = OPERATIONAL.map(|name| name.replace('.', r"\.")).join("|");
        form.pattern(Some(format!("^(?!({own})$)[A-Za-z0-9._-]{{1,64}}$"))).examples([json!("order.paid")])
    };
    EventName: "An event name: one that is known, now or when the thing was stored.", |form| {
        form.pattern(Some("^[A-Za-z0-9._-]{1,64}$")).examples([json!("call.ended")])
    };
    KnownEventName: "One of the event names of this deployment (its setting `EventNames`), or of the account's own event types, which \
        `/v1/event-types` lists. Filters of lists, replays and test events also take the names of the service's own events, such as \
        `endpoint.failing`.", |form| {
        form.pattern(Some("^[A-Za-z0-9._-]{1,64}$")).examples([json!("call.ended")]).extensions(known_names(&[]))
    };
    Subscription: "An event name, or a wildcard: `*` for every event, or a prefix such as `call.*` for every event whose name begins with `call.`. \
        An endpoint may also be subscribed to `endpoint.failing`, `endpoint.disabled`, `endpoint.recovered` and `delivery.failed`, which the service \
        itself sends about the project's other endpoints. A wildcard covers names that come later, and never these four.", |form| {
        form.pattern(Some(r"^(\*|[A-Za-z0-9._-]{1,64}|[A-Za-z0-9._-]{1,63}\.\*)$")).examples([json!("call.ended")])
            .extensions(known_names(&OPERATIONAL))
    };
    EndpointUrl: "Where deliveries go: an absolute `https` URL without user info or fragment, with a host name that DNS can have. \
        A literal address must be public, unless the deployment exempts its network. Path and query are requested exactly as they are shown: \
        a URL that URL parsers would change, such as `/a/../b`, is refused, and `message` shows the changed URL. A host name is requested \
        in lower case, and in its ASCII form if it has other letters; a port that the scheme has anyway is left out.", |form| {
        // No pattern can tell which addresses are public.
        form.format(format("iri"))
            .max_length(Some(echo_shared::endpoint_url::MAX_URL_CHARS))
            .pattern(Some(r"^[hH][tT][tT][pP][sS]?://[^/\s\\#@][^\s\\#]*$"))
            .examples([json!("https://your-server.com/webhooks/echo")])
    };
    SigningSecret: "The secret that an endpoint's deliveries are signed with. The whole string is the key of `x-echo-signature`; \
        Standard Webhooks libraries take it as it is.", |form| {
        form.pattern(Some("^whsec_[0-9a-f]{64}$"))
            .examples([json!("whsec_83ef33172e507644331b2915aede54ca4f0d895b61ff17a8412e8674160a277e")])
    };
    Mask: "`********`, which stands in place of a secret.", |form| {
        // A pattern and no enumeration: the only name that generated code could give the one value is a row of `STAR`.
        form.pattern(Some(r"^\*{8}$"))
    };
    PublicKey: "The public half of an endpoint's Ed25519 key, as Standard Webhooks writes it: `whpk_` and base64 of its 32 bytes.", |form| {
        form.pattern(Some("^whpk_[A-Za-z0-9+/]{43}=$")).examples([json!("whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=")])
    };
    ApiKey: "A project's API key, for the header `x-api-key`. Shown this once.", |form| {
        form.pattern(Some("^echo_[0-9a-f]{64}$"))
            .examples([json!("echo_6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f")])
    };
    KeyPrefix: "The first 16 characters of a key, to tell keys apart.", |form| {
        form.pattern(Some("^echo_[0-9a-f]{11}$")).examples([json!("echo_6f437a610fb")])
    };
    ScopeName: "A kind of calls: `events:write` posts events. `read` sees endpoints without their secrets, events, deliveries, replays and statistics. \
        `endpoints:write` changes endpoints and sees their secrets, sends test events, retries and replays, and erases payloads. `keys:write` sees, makes and \
        revokes keys, sees, makes and ends portal links, and sees the activity list.", |form| {
        form.enum_values(Some(Scope::ALL.map(Scope::as_str)))
    };
    Maker: "The maker of a key or a portal link: the id of a key, or `account`.", |form| {
        form.pattern(Some("^(account|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"))
            .examples([json!("account")])
    };
    AuditAction: "What was done. The word before the dot names the kind of thing that `resource_id` is.", |form| {
        form.enum_values(Some(Action::ALL.iter().map(|action| action.as_str())))
    };
    CallerAddress: "The address of the connection by which the caller came.", |form| {
        form.examples([json!("203.0.113.9")])
    };
    PortalUrl: "The address of the portal, with the code that opens it.", |form| {
        form.format(format("uri")).pattern(Some("^https?://[^#]+/portal#[0-9a-f]{128}$"))
            .examples([json!("https://a1b2c3.execute-api.eu-west-1.amazonaws.com/portal#0197c2a41c11790fb01a1a8a16a36aad0197c2a41c117d349a6b64f1d0c7f2aa83ef33172e507644331b2915aede54ca4f0d895b61ff17a8412e8674160a277e")])
    };
    PortalToken: "The token of a portal session, for `authorization: Bearer …`.", |form| {
        form.pattern(Some("^portal_[0-9a-f]{128}$"))
            .examples([json!("portal_0197c2a41c11790fb01a1a8a16a36aad0197c2a41c117d349a6b64f1d0c7f2aa158776dee6992351d7768428b6a67291cd7b531367ee7a1f017fb10a6388b551")])
    };
    Nonce: "64 lower-case hex digits, made up at random for one code.", |form| {
        form.pattern(Some("^[0-9a-f]{64}$"))
            .examples([json!("6f437a610fb0e3c1d1a94f7bb2f5d04a8e0c4a4b7f2d3c8f9d1e6a5b0c7d8e9f")])
    };
    ResetToken: "The token with which the operator lets a person set a new password.", |form| {
        form.min_length(Some(1)).examples([json!("1776012719.158776dee6992351d7768428b6a67291cd7b531367ee7a1f017fb10a6388b551.ada@example.com")])
    };
    Token: "A JSON Web Token, for `authorization: Bearer …`.", |form| {
        form.pattern(Some(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"))
            .examples([json!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTk3In0.c2lnbmF0dXJl")])
    };
    Email: "An e-mail address, compared without regard to case.", |form| {
        form.format(format("idn-email")).max_length(Some(EMAIL_CHARS)).examples([json!("ada@example.com")])
    };
}

/// The data of an event.
#[derive(Debug)]
pub struct EventData;

impl PartialSchema for EventData {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).description(Some("The producer's own object.")).into()
    }
}

impl ToSchema for EventData {}

/// The data that an event might have.
#[derive(Debug)]
pub struct ExampleData;

impl PartialSchema for ExampleData {
    fn schema() -> RefOr<Schema> {
        let about =
            "The `data` of an event, as an example: an object, nested at most 128 deep and of at most 4 KiB.";
        let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(about));
        object.examples([json!({ "order_id": "o-7", "total": 12.5 })]).into()
    }
}

impl ToSchema for ExampleData {}

/// The events an endpoint wants.
#[derive(Debug)]
pub struct WantedEvents;

impl PartialSchema for WantedEvents {
    fn schema() -> RefOr<Schema> {
        let about = "The events that are delivered: names and wildcards, at most 250 and with 2,048 characters together. Duplicates collapse.";
        let one = Ref::from_schema_name("Subscription");
        let example = json!(["call.ended", "call.*"]);
        ArrayBuilder::new().items(one).min_items(Some(1)).description(Some(about)).examples([example]).into()
    }
}

impl ToSchema for WantedEvents {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Subscription::name().into(), Subscription::schema()));
    }
}

/// Headers of an endpoint's own, by name.
#[derive(Debug)]
pub struct OwnHeaders;

impl PartialSchema for OwnHeaders {
    fn schema() -> RefOr<Schema> {
        let about = "At most 20 headers, of at most 8,192 characters with their names: any name except `host`, `user-agent`, \
                     `content-…`, `webhook-…`, `x-echo-…` and those of HTTP framing (`connection`, `keep-alive`, `te`, \
                     `trailer`, `transfer-encoding`, `upgrade`, `expect`, `proxy-…`, `accept-encoding`, `forwarded`, \
                     `x-forwarded-…`). Names are kept in lower case. A value may be a credential, so no \
                     answer shows it.";
        let value = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(MAX_VALUE_CHARS))
            .pattern(Some("^[!-~]+( [!-~]+)*$"));
        let reserved: Vec<String> = RESERVED.map(|name| format!("{}$", in_either_case(name))).into();
        let begun: Vec<String> = RESERVED_PREFIXES.map(in_either_case).into();
        let pattern = format!("^(?!{}|{})[!#$%&'*+.^_`|~0-9A-Za-z-]+$", reserved.join("|"), begun.join("|"));
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(MAX_NAME_CHARS))
            .pattern(Some(pattern));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(Schema::from(name)))
            .additional_properties(Some(Schema::from(value)))
            .max_properties(Some(MAX_HEADERS))
            .description(Some(about))
            .into()
    }
}

/// A pattern for a name in upper, lower or mixed case: JSON Schema has no option for that.
fn in_either_case(name: &str) -> String {
    let either = |c: char| match c {
        'a'..='z' => format!("[{}{c}]", c.to_ascii_uppercase()),
        c => c.to_string(),
    };
    name.chars().map(either).collect()
}

impl ToSchema for OwnHeaders {}

/// The same as an answer shows them.
#[derive(Debug)]
pub struct MaskedHeaders;

impl PartialSchema for MaskedHeaders {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(Ref::from_schema_name(Mask::name())))
            .max_properties(Some(MAX_HEADERS))
            .description(Some("Each header's name, and a mask in place of its value."))
            .into()
    }
}

impl ToSchema for MaskedHeaders {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Mask::name().into(), Mask::schema()));
    }
}

/// A filter of an endpoint.
#[derive(Debug)]
pub struct EventFilter;

impl PartialSchema for EventFilter {
    fn schema() -> RefOr<Schema> {
        let about = "An EventBridge event pattern over the envelope, of at most 4,096 bytes: its fields are those of the envelope. A field's \
                     value is an array, of which one entry must match, or, inside `data`, an object. Entries are values, and objects with one \
                     operator of `anything-but`, `cidr`, `equals-ignore-case`, `exists`, `numeric`, `prefix`, `suffix` and `wildcard`. `$or` \
                     holds patterns of which one must match. A refusal names the place that is wrong.";
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .min_properties(Some(1))
            .description(Some(about))
            .examples([json!({ "data": { "duration_seconds": [{ "numeric": [">", 60] }] } })])
            .into()
    }
}

impl ToSchema for EventFilter {}

/// How many things a page may hold.
#[derive(Debug)]
pub struct PageLimit;

impl PartialSchema for PageLimit {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(100));
        number.default(Some(json!(50))).into()
    }
}

impl ToSchema for PageLimit {}

/// A position in a list.
#[derive(Debug)]
pub struct PageCursor;

impl PartialSchema for PageCursor {
    fn schema() -> RefOr<Schema> {
        let about = "Opaque. It belongs to its list and filters.";
        let text = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        text.pattern(Some("^[A-Za-z0-9_-]{34}$")).into()
    }
}

impl ToSchema for PageCursor {}

/// The names that are known, and `more`. They are no enumeration, because accounts add names. The served document has the
/// deployment's own names in place of these three.
fn known_names(more: &[&str]) -> Option<Extensions> {
    let names = [&["call.started", "call.ended", "call.summary"], more].concat();
    Some(Extensions::from_iter([("x-extensible-enum", json!(names))]))
}

fn format(name: &str) -> Option<SchemaFormat> {
    Some(SchemaFormat::Custom(name.to_owned()))
}
