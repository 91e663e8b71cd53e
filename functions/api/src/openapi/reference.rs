use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::Resource;
use super::operation::get;

pub(super) fn resource() -> Resource {
    let content = |kind| ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).build();
    let document = get("/openapi.json", "getDescription", "This description")
        .open()
        .answers(200, "OpenAPI 3.1.", "application/json", content(Type::Object))
        .refuses(&[500]);
    let page = get("/docs", "getReference", "The reference page")
        .open()
        .answers(200, "This description, for people.", "text/html", content(Type::String))
        .refuses(&[500]);
    let console = get("/console", "getConsole", "The console")
        .about("Endpoints and their deliveries, for people. It calls this API with the credential of the person who signed in.")
        .open()
        .answers(200, "A page.", "text/html", content(Type::String))
        .refuses(&[500]);
    let portal = get("/portal", "getPortal", "The portal")
        .about(
            "A part of the console for a project's customer, who comes by a portal link. Loading it redeems nothing. The sites of the setting \
             `PortalFrameAncestors` may embed it.",
        )
        .open()
        .answers(200, "A page.", "text/html", content(Type::String))
        .refuses(&[500]);
    Resource {
        tag: "Pages",
        about: "The API, described by itself and seen by people.",
        routes: vec![document, page, console, portal],
    }
}
