//! The description of the API, from which `openapi.json` is written.
//!
//! Nothing here runs in the function: `tests/openapi.rs` writes the document, which [`crate::routes::reference`]
//! serves, and compares it with the route table. Each resource's file describes its routes. The bodies of answers are
//! described where they are defined, in [`crate::routes`]; the bodies of requests are defined beside their route's
//! description.
//!
//! (Rejected: utoipa's macros above the handlers. They are several times as long as the handlers.)

pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod deliveries;
pub mod endpoints;
pub mod event_types;
pub mod events;
pub mod lists;
mod operation;
pub mod portal_links;
pub mod projects;
pub mod received;
pub mod receiver_auth;
mod reference;
mod refusals;
pub mod replays;
mod schemas;
pub mod stats;
pub mod values;

use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server, ServerBuilder,
};

use operation::Described;

const ABOUT: &str = "\
Post an event, and every webhook endpoint of the project that wants it gets it: signed, retried on a schedule, with every \
attempt on record.

**Paths** are served as written and under `/api`. Requests and answers are JSON in UTF-8, and times are in UTC with three \
decimals. An unknown parameter of a query is refused. Unknown fields of a request are ignored, except in a replay, a \
batch of events and a new portal link, which refuse them. \
Null in an optional field is the same as no field, except in a change of an endpoint, where it takes the value away. Later releases may \
add fields to answers.

**Bodies** may be sent with `content-encoding: gzip`. Send these with `content-type: application/octet-stream`, so that their bytes \
arrive unchanged.

**Browsers** on other origins cannot call the API, because it sends no CORS headers: a key belongs on a server.

**Refusals** have one form for every status: `statusCode`, `message`, `error`. Where several apply, the first of 401, 403, \
404, 405, 413, 415, 400, 409 is given. A path with a method that it does not have answers 405 with an `allow` header. Every answer \
carries `x-request-id`.

**Clients** with types, in TypeScript, Python and Rust: `make clients` in the repository of this service makes them from this description.

**Sending again** is safe: after a 503, or no answer, send the same request again. An event with an `event_id` of your own is \
never taken twice.";

/// A resource: its tag, a description, and its routes.
struct Resource {
    tag: &'static str,
    about: &'static str,
    routes: Vec<Described>,
}

/// The whole document.
#[must_use]
pub fn document() -> OpenApi {
    let resources = [
        auth::resource(),
        projects::resource(),
        api_keys::resource(),
        event_types::resource(),
        portal_links::resource(),
        audit::resource(),
        endpoints::resource(),
        events::resource(),
        deliveries::resource(),
        replays::resource(),
        stats::resource(),
        reference::resource(),
    ];
    let (webhooks, received) = received::webhooks();
    let mut paths = PathsBuilder::new();
    let mut components = refusals::add_to(securities(ComponentsBuilder::new())).schemas_from_iter(received);
    let mut tags = Vec::new();
    for Resource { tag, about, routes } in resources {
        tags.push(TagBuilder::new().name(tag).description(Some(about)).build());
        for mut route in routes {
            components = components.schemas_from_iter(std::mem::take(&mut route.schemas));
            let (path, method) = (route.path, route.method.clone());
            paths = paths.path(path, PathItem::new(method, route.into_operation(tag)));
        }
    }
    tags.push(TagBuilder::new().name(received::TAG).description(Some(received::ABOUT)).build());
    let info = InfoBuilder::new()
        .title("Echo Webhooks")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server("/", "As written."), server("/api", "The same under `/api`.")]))
        .paths(paths)
        .webhooks(Some(webhooks))
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

fn server(url: &str, about: &str) -> Server {
    ServerBuilder::new().url(url).description(Some(about)).build()
}

fn securities(components: ComponentsBuilder) -> ComponentsBuilder {
    let header = |name: &str, about: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)))
    };
    let bearer = |about: &str| -> Http {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        scheme.description(Some(about)).build()
    };
    let portal_bearer = |about: &str| -> Http {
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build()
    };
    let access = "An access token, which signing up, logging in or refreshing gives; it lasts 15 minutes and opens all \
                  projects of its account.";
    let refresh = "A refresh token, which comes with each access token and lasts 30 days. It gives new tokens once; sent again, it gives \
                   the same refresh token until that one is used, and then ends the session.";
    let session =
        "An access token or a refresh token. Either names its session. Or the token of a portal session.";
    let portal = "The token of a portal session, which redeeming a portal link gives. It opens a part of one project: the scopes `read` and, \
                  unless the link is read-only, `endpoints:write`.";
    components
        .security_scheme(
            "apiKey",
            header("x-api-key", "A project's API key; it opens that project, as far as its scopes allow."),
        )
        .security_scheme("accessToken", SecurityScheme::Http(bearer(access)))
        .security_scheme("refreshToken", SecurityScheme::Http(bearer(refresh)))
        .security_scheme("portalToken", SecurityScheme::Http(portal_bearer(portal)))
        .security_scheme("sessionToken", SecurityScheme::Http(bearer(session)))
        .security_scheme(
            "signupToken",
            header(
                "x-signup-token",
                "The operator gives it to people who may sign up, where `SignupPolicy` is `token`.",
            ),
        )
}
