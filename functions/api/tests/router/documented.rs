//! The router has the routes that `openapi.json` describes, and no others.

use std::collections::{BTreeMap, BTreeSet};

use echo_shared::scope::{Scope, Scopes};

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
    // The description leaves out the files of the pages.
    let is_file = |text: &str| text.contains("/console/") || text.contains("/docs/");
    let described = quoted.filter(|text| text.starts_with('/') && !is_file(text));
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

/// The scope that the description says a key needs for a call; `None` for calls that any key may make.
fn scope_of(operation: &Value) -> Option<Option<Scope>> {
    let requirements = operation["security"].as_array().expect("every operation names its credentials");
    let of_key = requirements.iter().find_map(|requirement| requirement.get("apiKey"))?;
    let scopes = of_key.as_array().expect("scopes");
    assert!(scopes.len() < 2, "{operation}");
    Some(scopes.first().map(|scope| Scope::parse(scope.as_str().expect("text")).expect("a scope")))
}

/// A key without the scope of a call is refused before anything else, and one with that scope alone is not.
#[tokio::test]
async fn every_call_below_v1_needs_the_scope_that_is_documented() {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).expect("JSON");
    let with = |scopes: Scopes| Service::with_key("open", Reach { scopes, ends_at: None }, router);
    let only = |scope: Scope| with([scope].into_iter().collect());
    let all_but = |scope: Scope| with(Scope::ALL.into_iter().filter(|one| *one != scope).collect());
    let none = with([].into_iter().collect());
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        if !path.starts_with("/v1/") {
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            calls += 1;
            let method = method.to_uppercase();
            let call = async |service: &Service| {
                let own = path.replace("{projectId}", &service.project);
                let concrete: Vec<&str> = own
                    .split('/')
                    .map(|segment| if segment.starts_with('{') { "x" } else { segment })
                    .collect();
                service.call(&method, &concrete.join("/"), "not JSON").await
            };
            match scope_of(operation) {
                Some(Some(scope)) => {
                    let refused = call(&all_but(scope)).await;
                    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
                    assert_eq!(refused.message, format!("The API key lacks the scope {scope}"));
                    assert_ne!(call(&only(scope)).await.status, StatusCode::FORBIDDEN, "{method} {path}");
                }
                Some(None) => {
                    assert_ne!(call(&none).await.status, StatusCode::FORBIDDEN, "{method} {path}");
                }
                None => {
                    assert_eq!(call(&none).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                }
            }
        }
    }
    assert!(calls >= 20, "{calls} calls");
}
