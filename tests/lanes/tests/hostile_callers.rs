//! Hostile callers send thousands of requests, put together from bad parts, to the real api function. No answer may
//! be a 5xx, have another form than the contract's, or show data of another project. `SEED=<n>` repeats one request.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use echo_lanes::gateway::{self, HttpAnswer, HttpRequest};
use echo_lanes::lane::{Auth, Lane, LaneSettings};
use echo_lanes::world::{World, signup};
use echo_simulator::random::Random;
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const REQUESTS: u64 = 3_000;

/// The parts of the requests: the caller's own ids and credentials, and those of a stranger.
struct Parts {
    own_project: String,
    own_webhook: String,
    own_delivery: String,
    own_key: String,
    access_token: String,
    refresh_token: String,
    foreign_project: String,
    foreign_webhook: String,
    foreign_secret: String,
    cursor: String,
}

impl Parts {
    async fn gather(lane: &Lane, world: &World) -> Self {
        let key = Auth::Key(&world.api_key);
        let project = format!("/v1/projects/{}", world.project_id);
        for _ in 0..3 {
            let event = json!({ "event_name": "call.started" });
            lane.call("POST", &format!("{project}/events"), &key, Some(&event)).await;
        }
        let webhook = world.endpoints[0].clone();
        let page =
            lane.call("GET", &format!("{project}/webhooks/{webhook}/deliveries?limit=1"), &key, None).await;
        let page = page.json();
        let stranger =
            lane.call("POST", "/auth/signup", &Auth::None, Some(&signup("stranger@example.com"))).await;
        let stranger = stranger.json();
        let foreign_project = text(&stranger["default_project"]["id"]);
        let foreign_key = text(&stranger["default_project"]["api_key"]);
        let endpoint = json!({ "url": "https://example.com/", "events": ["call.ended"] });
        let target = format!("/v1/projects/{foreign_project}/webhooks");
        let endpoint = lane.call("POST", &target, &Auth::Key(&foreign_key), Some(&endpoint)).await.json();
        Self {
            own_project: world.project_id.clone(),
            own_webhook: webhook,
            own_delivery: text(&page["data"][0]["id"]),
            own_key: world.api_key.clone(),
            access_token: world.access_token.clone(),
            refresh_token: world.refresh_token.clone(),
            foreign_project,
            foreign_webhook: text(&endpoint["id"]),
            foreign_secret: text(&endpoint["signing_secret"]),
            cursor: text(&page["next_cursor"]),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[usize::try_from(random.below(from.len() as u64)).expect("an index")]
}

/// Changes the bytes in up to four places: replaces one, inserts one, cuts the end off or repeats the start.
fn mutate(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let length = bytes.len() as u64;
        let at = usize::try_from(random.below(length.max(1))).expect("an index");
        match random.below(4) {
            0 if !bytes.is_empty() => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(..at),
            _ => bytes.insert(at.min(bytes.len()), u8::try_from(random.below(256)).expect("a byte")),
        }
    }
    bytes
}

fn id(random: &mut Random, own: &str, foreign: &str) -> String {
    match random.below(8) {
        0 => foreign.to_owned(),
        1 => own.to_uppercase(),
        2 => own.replace('-', ""),
        3 => String::from_utf8_lossy(&mutate(random, own.as_bytes())).replace(['?', '#', ' ', '/'], "x"),
        4 => pick(random, &["..", "%00", "null", "0", "%2e%2e", "{id}", "'", "\u{202e}"]).to_owned(),
        _ => own.to_owned(),
    }
}

fn target(random: &mut Random, parts: &Parts) -> String {
    let prefix = pick(random, &["", "/api", "", "/API", "//"]);
    let project = id(random, &parts.own_project, &parts.foreign_project);
    let webhook = id(random, &parts.own_webhook, &parts.foreign_webhook);
    let delivery = id(random, &parts.own_delivery, &parts.foreign_webhook);
    let path = match random.below(15) {
        0 => "/auth/signup".to_owned(),
        1 => "/auth/refresh".to_owned(),
        2 => "/v1/projects".to_owned(),
        3 => "/v1/api-keys".to_owned(),
        4 => format!("/v1/api-keys/{webhook}/revoke"),
        5 => format!("/v1/projects/{project}"),
        6 => format!("/v1/projects/{project}/webhooks"),
        7 => format!("/v1/projects/{project}/webhooks/{webhook}"),
        8 => format!("/v1/projects/{project}/webhooks/{webhook}/deliveries/{delivery}"),
        9 => format!("/v1/projects/{project}/webhooks/{webhook}/deliveries/{delivery}/retry"),
        10 => format!("/v1/projects/{project}/nothing/{delivery}"),
        11 => format!("/v1/projects/{project}/webhooks/{webhook}/deliveries"),
        12 => format!("/v1/projects/{project}/deliveries"),
        _ => format!("/v1/projects/{project}/events"),
    };
    format!("{prefix}{path}{}", query(random, parts))
}

fn query(random: &mut Random, parts: &Parts) -> String {
    if random.below(2) == 0 {
        return String::new();
    }
    let name =
        pick(random, &["limit", "cursor", "status", "event_name", "since", "until", "project_id", "x"]);
    let mutated = mutate(random, parts.cursor.as_bytes());
    let value = match random.below(4) {
        0 => parts.cursor.clone(),
        1 => String::from_utf8_lossy(&mutated).replace(['&', '#', '?'], "A"),
        2 => parts.foreign_project.clone(),
        _ => pick(
            random,
            &[
                "-1",
                "0",
                "101",
                "99999999999999999999",
                "1e3",
                "",
                "%",
                "%ff",
                "failed",
                "2026-01-01T00:00:00Z",
                "9999-12-31T23:59:60Z",
                "-262144-01-01T00:00:00Z",
                "call.ended",
                "+1",
            ],
        )
        .to_owned(),
    };
    format!("?{name}={value}")
}

fn token(random: &mut Random, parts: &Parts) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = parts.access_token.split('.').nth(1).unwrap_or_default().to_owned();
    match random.below(6) {
        // The algorithm is `none`, and the signature is empty.
        0 => format!("{}.{claims}.", encode(json!({ "alg": "none", "typ": "JWT" }))),
        // The token is signed with a key that anyone can guess.
        1 => {
            let signed = format!("{}.{claims}", encode(json!({ "alg": "HS256", "typ": "JWT" })));
            let mut mac = Hmac::<Sha256>::new_from_slice(b"echo-webhooks/jwt/v1").expect("any key");
            mac.update(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
        }
        // The algorithm is of another family, and the signature is wrong.
        2 => format!("{}.{claims}.AAAA", encode(json!({ "alg": "RS256", "typ": "JWT", "jwk": {} }))),
        3 => String::from_utf8_lossy(&mutate(random, parts.access_token.as_bytes())).into_owned(),
        4 => parts.refresh_token.clone(),
        _ => parts.access_token.clone(),
    }
}

fn headers(random: &mut Random, parts: &Parts) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    match random.below(8) {
        0 => {}
        1 => _ = headers.insert("authorization".to_owned(), format!("Bearer {}", token(random, parts))),
        2 => {
            let key = mutate(random, parts.own_key.as_bytes());
            headers.insert("x-api-key".to_owned(), String::from_utf8_lossy(&key).into_owned());
        }
        3 => _ = headers.insert("x-api-key".to_owned(), "k".repeat(9_000)),
        _ => _ = headers.insert("x-api-key".to_owned(), parts.own_key.clone()),
    }
    match random.below(8) {
        0 => _ = headers.insert("content-length".to_owned(), "99999999999".to_owned()),
        1 => _ = headers.insert("content-type".to_owned(), "text/xml; charset=utf-7".to_owned()),
        2 => _ = headers.insert("transfer-encoding".to_owned(), "chunked, gzip".to_owned()),
        3 => _ = headers.insert("x-request-id".to_owned(), "a\tb<script>".to_owned()),
        4 => {
            let coding = pick(random, &["gzip", "gzip", "x-gzip", "br", "gzip, gzip", "identity", "\u{e9}"]);
            headers.insert("content-encoding".to_owned(), coding.to_owned());
        }
        _ => {}
    }
    headers
}

fn body(random: &mut Random, parts: &Parts) -> Option<Bytes> {
    let event = json!({ "event_name": "call.ended", "event_id": parts.own_delivery, "data": { "n": 1.10 } });
    let endpoint = json!({ "url": "https://example.com/x", "events": ["call.ended"], "status": "active" });
    let valid = if random.below(2) == 0 { event } else { endpoint }.to_string();
    let deep = usize::try_from(random.below(60_000)).expect("a depth");
    let body = match random.below(10) {
        0 => return None,
        1 => mutate(random, valid.as_bytes()),
        2 => format!("{{\"event_name\":\"call.ended\",\"data\":{}", "{\"a\":".repeat(deep)).into_bytes(),
        3 => format!("{{\"event_name\":\"call.ended\",\"x\":{}{}}}", "[".repeat(deep), "]".repeat(deep))
            .into_bytes(),
        4 => br#"{"event_name":"call.ended","event_name":"call.started","data":{"a":1,"a":2}}"#.to_vec(),
        5 => format!("{{\"event_name\":\"call.ended\",\"data\":{{\"n\":1{}e999999}}}}", "0".repeat(deep))
            .into_bytes(),
        6 => b"{\"event_name\":\"call.ended\",\"data\":{\"\\ud800\":\"\xc3\x28\xff\"}}".to_vec(),
        7 => vec![b' '; usize::try_from(random.below(300_000)).expect("a length")],
        8 => br#"{"url":["https://example.com"],"events":{"0":"call.ended"},"status":null,"event_name":{}}"#
            .to_vec(),
        _ => valid.into_bytes(),
    };
    let body = match random.below(20) {
        0 => gzip(&body),
        1 => mutate(random, &gzip(&body)),
        _ => body,
    };
    Some(body.into())
}

fn good(parts: &Parts) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        target: format!("/v1/projects/{}/events", parts.own_project),
        headers: [("x-api-key".to_owned(), parts.own_key.clone())].into(),
        body: Some(json!({ "event_name": "call.ended" }).to_string().into_bytes().into()),
        source_ip: None,
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

/// The rule that an answer breaks; `None` for a good answer.
fn breach(request: &HttpRequest, answer: &HttpAnswer, parts: &Parts) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status >= 500 {
        return Some(format!("answered {}", answer.status));
    }
    if !answer.headers.contains_key("x-request-id") {
        return Some("no x-request-id".to_owned());
    }
    if body.contains(&parts.foreign_secret)
        || body.contains("AccessDenied")
        || body.contains("ValidationException")
    {
        return Some("shows data that is not the caller's".to_owned());
    }
    if answer.status >= 400 {
        let json = answer.json();
        let is_in_shape =
            json["statusCode"] == answer.status && json["message"].is_string() && json["error"].is_string();
        if !is_in_shape {
            return Some(format!("an error in another form than the contract's: {body}"));
        }
    }
    let is_foreign = request.target.split('?').next().is_some_and(|path| {
        path.trim_start_matches("/api").starts_with(&format!("/v1/projects/{}", parts.foreign_project))
    });
    if is_foreign && !matches!(answer.status, 401 | 403) {
        return Some(format!("a request for another's project is answered {}", answer.status));
    }
    None
}

fn pids(lane: &Lane) -> Vec<u32> {
    lane.api.sandboxes().iter().map(|process| process.pid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_breaks_the_api_or_sees_another_project() {
    let world = World::make().await.expect("a world");
    let lane = world
        .lane(LaneSettings { name: "callers".to_owned(), ..LaneSettings::default() })
        .await
        .expect("a lane");
    let parts = Parts::gather(&lane, &world).await;
    let pid = pids(&lane);
    #[expect(clippy::disallowed_methods, reason = "a developer's way to make one round again")]
    let only: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let mut seen: BTreeMap<u16, u32> = BTreeMap::new();
    for seed in only.map_or(0..REQUESTS, |seed| seed..seed + 1) {
        let mut random = Random::new(seed);
        let request = HttpRequest {
            method: pick(
                &mut random,
                &["GET", "POST", "PATCH", "DELETE", "PUT", "POST", "GET", "OPTIONS", "TRACE"],
            )
            .to_owned(),
            target: target(&mut random, &parts),
            headers: headers(&mut random, &parts),
            body: body(&mut random, &parts),
            source_ip: None,
        };
        // Some are good as they are, so that the others meet a caller with events.
        let request = if seed % 100 == 0 { good(&parts) } else { request };
        // DELETE requests are left out, so that later requests still find the caller's own endpoint.
        if request.method == "DELETE" {
            continue;
        }
        let answer = gateway::call(&lane.api, request.clone()).await;
        *seen.entry(answer.status).or_default() += 1;
        if let Some(breach) = breach(&request, &answer, &parts) {
            let headers: Vec<_> = request.headers.keys().collect();
            panic!(
                "seed {seed}: {} {} {headers:?}: {breach}: {:?}",
                request.method, request.target, answer.body
            );
        }
    }
    println!("answers by status: {seen:?}");
    assert_eq!(pids(&lane), pid, "a process of the function died");
    if only.is_none() {
        for status in [200, 202, 400, 401, 403, 404, 405, 413, 415] {
            assert!(seen.contains_key(&status), "no request was answered {status}: {seen:?}");
        }
    }
}
