//! The router has the routes that `openapi.json` describes, and no others.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Each documented path and its methods.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let methods =
        |item: &Value| item.as_object().expect("an item").keys().map(|m| m.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The paths of the route table, with the document's names for variable parts: `{project_id}` becomes `{projectId}`.
fn routed(router: &Router) -> BTreeSet<String> {
    // A router shows its paths in its `Debug` output only.
    let shown = format!("{router:?}");
    let (routes, _fallbacks) = shown.split_once("fallback_router").expect("routes, then fallbacks");
    let quoted = routes.split('"').skip(1).step_by(2);
    // The description leaves out the files of the console's page.
    let described = quoted.filter(|text| text.starts_with('/') && !text.contains("/console/"));
    let paths = described.map(|path| {
        let mut words = path.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |path, word| path + &word[..1].to_uppercase() + &word[1..])
    });
    paths.collect()
}

#[test]
fn every_route_is_documented_and_the_reverse() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    let routed = routed(&Service::of("open", at_plain_paths).router);
    let undocumented: Vec<_> = routed.difference(&documented).collect();
    assert!(undocumented.is_empty(), "describe these in src/openapi: {undocumented:?}");
    let unrouted: Vec<_> = documented.difference(&routed).collect();
    assert!(unrouted.is_empty(), "openapi.json describes these, which are not routed: {unrouted:?}");
}

#[tokio::test]
async fn every_method_is_documented_and_the_reverse() {
    let service = Service::new("open");
    let prefixed = |(path, methods): (String, BTreeSet<String>)| {
        [(format!("/api{path}"), methods.clone()), (path, methods)]
    };
    for (path, methods) in documented().into_iter().flat_map(prefixed) {
        let own = path.replace("{projectId}", &service.project);
        let concrete: Vec<&str> =
            own.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment }).collect();
        let answer = service.call("OPTIONS", &concrete.join("/"), "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.headers[header::ALLOW].to_str().expect("text").split(',');
        let allowed: BTreeSet<String> =
            allowed.filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}");
    }
}
