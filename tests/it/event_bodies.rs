//! The producer's data on its way to the receiver (contract §4, §5).

use std::io::Write;

use echo_tests::project::Project;
use echo_tests::receiver::{Received, Receiver};
use echo_tests::signature;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::RngExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

const EVENT_LIMIT: usize = 256 * 1024;

/// Posts an event whose `data` has exactly this spelling, and gives the request that arrives.
async fn deliver(data: &str) -> Received {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let body = format!(r#"{{"event_name":"call.ended","data":{data}}}"#);
    let _ = project.api.post_raw(&project.path("/events"), body).await.ok(202);
    let request = receiver.first().await;
    signature::check(&endpoint.secret, &request.headers, &request.body);
    request
}

/// The spelling of `data` in an envelope. `data` is the envelope's last field.
fn data_of(request: &Received) -> String {
    let body = String::from_utf8(request.body.clone()).expect("UTF-8");
    let (_, data) = body.split_once(r#""data":"#).unwrap_or_else(|| panic!("no data in {body}"));
    data.strip_suffix('}').unwrap_or_else(|| panic!("no end in {body}")).to_owned()
}

async fn arrives_as_sent(data: &str) {
    assert_eq!(data_of(&deliver(data).await), data);
}

#[tokio::test]
async fn the_envelope_has_five_fields_in_order_and_nulls_for_what_is_absent() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let id = Uuid::new_v4();
    project.post_event(&json!({"event_name": "call.ended", "event_id": id})).await;
    let expected = format!(
        r#"{{"event_id":"{id}","event_name":"call.ended","customer_id":null,"notification_id":null,"data":{{}}}}"#
    );
    assert_eq!(String::from_utf8(receiver.first().await.body), Ok(expected));
}

#[tokio::test]
async fn the_envelope_carries_the_producers_ids() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let (customer, notification) =
        ("8cc6199f-9466-46f2-9db7-936f3c2c1c0b", "\"quoted\" \\ é\u{1f4de}\u{7f}\n");
    let event = json!({
        "event_id": Uuid::new_v4(),
        "event_name": "call.summary",
        "customer_id": customer,
        "notification_id": notification,
        "data": {"a": [1, {"b": null}]},
    });
    project.post_event(&event).await;
    assert_eq!(receiver.first().await.json(), event);
}

#[tokio::test]
async fn numbers_keep_their_spelling() {
    arrives_as_sent(
        r#"{"price":1.10,"big":123456789012345678901234567890,"small":-0.0,"exponent":1E+2,"tiny":1e-400,"huge":1e999,"pi":3.14159265358979323846264338327950288}"#,
    )
    .await;
}

#[tokio::test]
async fn keys_keep_their_order_and_repeated_keys_stay() {
    arrives_as_sent(r#"{"z":1,"a":2,"m":{"y":1,"b":2},"10":1,"9":2,"z":3,"":4}"#).await;
}

#[tokio::test]
async fn strings_and_white_space_arrive_byte_for_byte() {
    arrives_as_sent("{ \"escaped\" : \"\\u00e9\\u4f60\\ud83d\\udcde\\/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\",\r\n\t\"plain\":\"é你📞\u{7f}\u{2028}\" ,\"list\":[ 1 , 2,3 ] }")
        .await;
}

#[tokio::test]
async fn text_that_looks_like_an_envelope_or_markup_arrives_as_sent() {
    arrives_as_sent(r#"{"event_id":"x","data":{"data":{}},"html":"<script>&amp;'</script>","json":"{\"a\":1}","null":null}"#)
        .await;
}

/// A transcript and an analysis such as a phone call produces.
fn real_world(segments: usize) -> Value {
    let phrases = [
        "Hello, you've reached Analytical Engines.",
        "Grüß Gott, ich hätte da eine Frage…",
        "お電話ありがとうございます。",
        "Sí — ¿en qué puedo ayudarle? 😀",
    ];
    let segment = |index: usize| {
        let start = index as f64 * 1.37;
        let words: Vec<Value> = (0..6)
            .map(|word| json!({"w": format!("word{word}"), "s": start + f64::from(word) * 0.2, "confidence": 0.93}))
            .collect();
        json!({
            "speaker": if index.is_multiple_of(2) { "host" } else { "caller" },
            "start": start,
            "text": phrases[index % phrases.len()],
            "words": words,
            "sentiment": {"label": "neutral", "score": 0.5012},
        })
    };
    let transcript: Vec<Value> = (0..segments).map(segment).collect();
    json!({"call_id": "c_1", "from": "+14155550123", "recording_url": "https://example.com/r.mp3?sig=a%2Fb", "transcript": transcript})
}

#[tokio::test]
async fn a_large_real_world_event_arrives_whole() {
    let data = real_world(500).to_string();
    assert!((180_000..EVENT_LIMIT).contains(&data.len()), "{} bytes", data.len());
    arrives_as_sent(&data).await;
}

#[tokio::test]
async fn an_event_of_exactly_256_kib_is_delivered_and_one_byte_more_is_413() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let path = project.path("/events");
    // Random text, which compression cannot make much smaller in storage.
    let mut random = rand::rng();
    let noise: String =
        (0..EVENT_LIMIT).map(|_| char::from(random.sample(rand::distr::Alphanumeric))).collect();
    let event = |length: usize| {
        let (start, end) = (r#"{"event_name":"call.ended","data":{"noise":""#, r#""}}"#);
        format!("{start}{}{end}", &noise[..length - start.len() - end.len()])
    };
    project.api.post_raw(&path, event(EVENT_LIMIT + 1)).await.refused(413);
    assert_eq!(receiver.count(), 0);

    let accepted = project.api.post_raw(&path, event(EVENT_LIMIT)).await.ok(202);
    let request = receiver.first().await;
    signature::check(&endpoint.secret, &request.headers, &request.body);
    let sent: Value = serde_json::from_str(&event(EVENT_LIMIT)).expect("JSON");
    assert_eq!(request.json()["data"], sent["data"]);
    let id = &echo_tests::project::delivery_ids(&accepted)[0];
    assert_eq!(endpoint.ended(id, "success").await["payload"]["data"], sent["data"]);
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_gzip_body_arrives_inflated_and_other_codings_are_415() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    project.endpoint(&receiver.url()).await;
    let binary = project.api.with_header("content-type", "application/octet-stream");
    let (path, coded) = (project.path("/events"), binary.with_header("content-encoding", "gzip"));
    let data = real_world(500).to_string();
    let event = format!(r#"{{"event_name":"call.ended","data":{data}}}"#);
    let _ = coded.post_raw(&path, gzip(&event)).await.ok(202);
    assert_eq!(data_of(&receiver.first().await), data);
    let large = format!(r#"{{"event_name":"call.ended","data":{{"a":"{}"}}}}"#, "a".repeat(EVENT_LIMIT));
    coded.post_raw(&path, gzip(&large)).await.refused(413);
    coded.post_raw(&path, event.clone()).await.refused(400);
    let other = binary.with_header("content-encoding", "br");
    let answer = other.post_raw(&path, event).await;
    answer.refused(415);
    assert_eq!(answer.headers["accept-encoding"], "gzip, identity");
    receiver.no_more_than(1, std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn data_is_nested_at_most_128_deep() {
    let project = Project::new().await;
    let path = project.path("/events");
    let event = |data: String| format!(r#"{{"event_name":"call.ended","data":{data}}}"#);
    let objects = |depth: usize| format!("{}{{}}{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1));
    let arrays = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for nested in [objects, arrays] as [fn(usize) -> String; 2] {
        let _ = project.api.post_raw(&path, event(nested(128))).await.ok(202);
        project.api.post_raw(&path, event(nested(129))).await.refuses_field("data");
        project.api.post_raw(&path, event(nested(30_000))).await.refused(400);
    }
}

#[tokio::test]
async fn brackets_inside_strings_are_not_nesting() {
    arrives_as_sent(&format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500))).await;
}

#[tokio::test]
async fn deeply_nested_data_arrives_as_sent() {
    arrives_as_sent(&format!("{}{{}}{}", r#"{"a":"#.repeat(127), "}".repeat(127))).await;
}

#[tokio::test]
async fn a_delivery_shows_the_envelope_value_for_value() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url()).await;
    let data = r#"{"z":1.10,"a":123456789012345678901234567890,"e":1E+2}"#;
    let body = format!(r#"{{"event_name":"call.ended","data":{data}}}"#);
    let accepted = project.api.post_raw(&project.path("/events"), body).await.ok(202);
    let id = &echo_tests::project::delivery_ids(&accepted)[0];
    let envelope = String::from_utf8(receiver.first().await.body).expect("UTF-8");
    let shown = project.api.get(&endpoint.path(&format!("/deliveries/{id}"))).await.text();
    assert!(shown.contains(&envelope), "{envelope} is not in {shown}");
    let listed = endpoint.deliveries("").await.text();
    assert!(listed.contains(&envelope), "{envelope} is not in {listed}");
}
