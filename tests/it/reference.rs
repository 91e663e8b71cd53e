//! `/openapi.json` and `/docs` describe the real answers. `tools/local/conformance.py` checks every route and answer
//! against the description.

use std::collections::BTreeSet;

use echo_tests::api::Api;
use echo_tests::project::Project;
use echo_tests::receiver::Receiver;
use echo_tests::stack::stack;
use serde_json::{Value, json};

async fn description() -> Value {
    Api::anonymous().get("/openapi.json").await.ok(200)
}

/// The names of a schema's fields, including those behind references and `allOf`.
fn described(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return described(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")));
    }
    let own = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned());
    let parts = schema["allOf"].as_array().into_iter().flatten();
    own.chain(parts.flat_map(|part| described(document, part))).collect()
}

fn component(document: &Value, name: &str) -> BTreeSet<String> {
    described(document, &json!({"$ref": format!("#/components/schemas/{name}")}))
}

fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().cloned().collect()
}

#[tokio::test]
async fn the_description_is_there_for_anyone_at_both_paths() {
    let document = description().await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(Api::anonymous().under_api().get("/openapi.json").await.ok(200), document);
    let names: Vec<&str> = stack().parameters["EventNames"].split(',').collect();
    let known = |schema: &str| &document["components"]["schemas"][schema]["x-extensible-enum"];
    assert_eq!(*known("KnownEventName"), json!(names));
    // Contract §7: the names of operational events.
    let operational = ["endpoint.disabled", "endpoint.recovered", "delivery.failed", "endpoint.failing"];
    assert_eq!(*known("Subscription"), json!([&names[..], &operational].concat()));
    Api::anonymous().post("/openapi.json", &json!({})).await.refused(405);
}

#[tokio::test]
async fn answers_have_the_fields_that_are_described() {
    let document = description().await;
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let accepted = project.post_event(&json!({"event_name": "call.ended"})).await;
    receiver.first().await;
    let delivery = accepted["deliveries"][0]["id"].as_str().expect("a delivery");
    let delivery = project.get(&format!("/webhooks/{}/deliveries/{delivery}", endpoint.id)).await.ok(200);
    let page = project.get(&format!("/webhooks/{}/deliveries", endpoint.id)).await.ok(200);
    let of_project = project.get("/deliveries").await.ok(200);
    let shown = project.get(&format!("/webhooks/{}", endpoint.id)).await.ok(200);
    let tried = json!({"filter": null, "event": {"event_name": "call.ended"}});
    let verdict = project.post(&format!("/webhooks/{}/filter/test", endpoint.id), &tried).await.ok(200);
    let events = project.get("/events").await.ok(200);
    let both = json!({"events": [{"event_name": "call.ended"}, {}]});
    let both = project.post("/events/batch", &both).await.ok(200);
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    let replay = project.post(&format!("/webhooks/{}/replay", endpoint.id), &since).await.ok(202);
    for (name, answer) in [
        ("WebhookEndpoint", &shown),
        ("AcceptedEvent", &accepted),
        ("AcceptedDelivery", &accepted["deliveries"][0]),
        ("EventBatchResults", &both),
        ("AcceptedResult", &both["results"][0]),
        ("RefusedResult", &both["results"][1]),
        ("DeliveryWithAttempts", &delivery),
        ("Delivery", &page["data"][0]),
        ("DeliveryPage", &page),
        ("DeliveryPage", &of_project),
        ("FilterVerdict", &verdict),
        ("EventPage", &events),
        ("Event", &events["data"][0]),
        ("EventDelivery", &events["data"][0]["deliveries"][0]),
        ("Replay", &replay),
        ("ReplayFilter", &replay["filter"]),
        ("Envelope", &delivery["payload"]),
        ("Error", &project.get("/nothing").await.json()),
    ] {
        assert_eq!(fields(answer), component(&document, name), "{name}");
    }
}

#[tokio::test]
async fn receivers_get_the_headers_and_fields_that_are_described() {
    let document = description().await;
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    // After a rotation a request of an ordered endpoint has every header.
    endpoint.patch(&json!({"ordered": "endpoint"})).await;
    endpoint.rotate().await;
    project.emit_one().await;
    let request = receiver.first().await;
    let webhook = &document["webhooks"]["event"]["post"];
    let parameters = webhook["parameters"].as_array().expect("headers");
    let named: BTreeSet<&str> =
        parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    // Every HTTP request has these headers, so the description leaves them out.
    let usual = ["host", "accept", "content-type", "content-length"];
    let sent: BTreeSet<&str> =
        request.headers.keys().map(|name| name.as_str()).filter(|name| !usual.contains(name)).collect();
    assert_eq!(sent, named);
    let schema = &webhook["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(fields(&request.json()), described(&document, schema));
}

#[tokio::test]
async fn the_reference_page_needs_nothing_from_elsewhere() {
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    for prefix in ["", "/api"] {
        let answer = http.get(format!("{}{prefix}/docs", stack().api_url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert!(!header("x-request-id").is_empty());
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.expect("text");
        let named = |attribute: &str| -> Vec<String> {
            let texts = page.split(attribute).skip(1);
            texts.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
        };
        let scripts = named("src=\"");
        assert!(!scripts.is_empty());
        for address in scripts.iter().chain(&named("href=\"")) {
            let is_own = ["docs/", "#", "data:,", "openapi.json"].iter().any(|own| address.starts_with(own));
            assert!(is_own, "something is fetched from elsewhere: {address}");
        }
    }
}
