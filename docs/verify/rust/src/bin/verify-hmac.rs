//! A receiver that checks `x-echo-signature`: `SECRET=whsec_… PORT=8080 cargo run --bin verify-hmac`

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn is_genuine(secret: &str, headers: &HeaderMap, raw_body: &[u8]) -> bool {
    let sent = headers.get("x-echo-signature").and_then(|value| hex::decode(value.as_bytes()).ok());
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(raw_body).verify_slice(&sent.unwrap_or_default()).is_ok())
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "an example's two settings")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (secret, port) = (std::env::var("SECRET")?, std::env::var("PORT")?);
    let receive = async move |headers: HeaderMap, raw_body: Bytes| {
        if !is_genuine(&secret, &headers, &raw_body) {
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
