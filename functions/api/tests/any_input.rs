//! Arbitrary bodies, tokens and invocations: nothing panics, and no wrong credential gives access.

use api::auth::tokens::{TokenKeys, TokenType};
use api::http::gateway::tidy;
use axum::http::{HeaderMap, Uri};
use echo_shared::address::AddressRules;
use echo_shared::endpoint_url::EndpointUrl;
use echo_shared::fields::{Fields, depth};
use echo_shared::time::Timestamp;
use lambda_http::lambda_runtime::{Context, LambdaInvocation};
use lambda_http::request::LambdaRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_776_009_119_499);

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The depth of a value's nesting, found by walking through it.
fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

fn invocation(body: Vec<u8>) -> LambdaInvocation {
    let context = Context::default();
    let mut parts = axum::http::Response::new(()).into_parts().0;
    parts.headers = HeaderMap::new();
    LambdaInvocation { parts, body: body.into(), context }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_body_is_an_object_or_an_error(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any_json().prop_map(|json| json.to_string().into_bytes()),
    ]) {
        let is_object = serde_json::from_slice::<Value>(&bytes).is_ok_and(|json| json.is_object());
        prop_assert_eq!(Fields::parse(&bytes).is_ok(), is_object);
    }

    /// The sender builds its request from the same kind of [`Uri`].
    #[test]
    fn a_url_that_is_taken_is_requested_as_it_is_written(rest in "[!-~]{0,20}") {
        let text = format!("https://example.com/{rest}");
        if let Ok(url) = EndpointUrl::parse(&text, &AddressRules::default()) && url.rewritten().is_none() {
            let requested: Uri = url.as_url().as_str().parse().expect("a URI");
            let requested = requested.path_and_query().expect("a path").as_str();
            prop_assert_eq!(requested, format!("/{rest}"));
        }
    }

    #[test]
    fn nesting_is_counted_as_a_parser_does(json in any_json()) {
        prop_assert_eq!(depth(&json.to_string()), nesting(&json));
    }

    #[test]
    fn no_made_up_token_opens_anything(
        text in ".{0,60}",
        header in any_json(),
        claims in any_json(),
        signature in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        use base64::Engine;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let keys = TokenKeys::new(b"0123456789abcdef0123456789abcdef");
        let unsigned = json!({ "alg": "none", "typ": "JWT" });
        let forged = [&header, &unsigned].map(|header| {
            let parts = [header.to_string(), claims.to_string()].map(|part| encode(part.as_bytes()));
            format!("{}.{}.{}", parts[0], parts[1], encode(&signature))
        });
        for token in forged.iter().chain([&text]) {
            for typ in [TokenType::Access, TokenType::Refresh] {
                prop_assert!(keys.verify(typ, token, NOW).is_none());
            }
        }
    }

    #[test]
    fn an_invocation_is_always_made_fit_for_a_request(
        path in prop_oneof!["/.{0,30}", ".{0,30}"],
        query in ".{0,30}",
        name in ".{0,10}",
        value in ".{0,20}",
    ) {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": { name: value, "host": "api.example" },
            "requestContext": { "http": { "method": "GET", "path": path } },
            "isBase64Encoded": false,
        });
        let tidied = tidy(invocation(event.to_string().into_bytes()));
        let request = serde_json::from_slice::<LambdaRequest>(&tidied.body).expect("an event");
        // Panics if the path, the query or a header cannot be in a request.
        let request = axum::http::Request::<lambda_http::Body>::from(request);
        prop_assert!(request.uri().path().starts_with('/') || request.uri().path().is_empty());
    }
}
