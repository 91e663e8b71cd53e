//! A receiver that checks the Ed25519 signature: `PUBLIC_KEY=whpk_… PORT=8080 cargo run --bin verify-ed25519`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const TOLERANCE: Duration = Duration::from_secs(5 * 60);

fn is_genuine(public_key: &[u8], headers: &HeaderMap, raw_body: &[u8], now: SystemTime) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let sent_at =
        timestamp.parse().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let age = sent_at.map(|at| now.duration_since(at).unwrap_or_else(|ahead| ahead.duration()));
    if age.is_none_or(|age| age > TOLERANCE) {
        return false;
    }
    let public_key = UnparsedPublicKey::new(&ED25519, public_key);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), raw_body].concat();
    // There are entries of other kinds, and for a day after a rotation another one by the key before.
    let signatures = header("webhook-signature").split(' ').filter_map(|entry| entry.strip_prefix("v1a,"));
    signatures
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|signature| public_key.verify(&signed, &signature).is_ok())
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "an example's two settings, and its clock")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (key, port) = (std::env::var("PUBLIC_KEY")?, std::env::var("PORT")?);
    let key = STANDARD.decode(key.strip_prefix("whpk_").unwrap_or(&key))?;
    let receive = async move |headers: HeaderMap, raw_body: Bytes| {
        if !is_genuine(&key, &headers, &raw_body, SystemTime::now()) {
            return StatusCode::UNAUTHORIZED;
        }
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(&raw_body) else {
            return StatusCode::BAD_REQUEST;
        };
        println!("{} {:?}", event["event_name"], headers["webhook-id"]); // skip the event if you have processed this id before
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, Router::new().route("/", post(receive))).await?)
}
