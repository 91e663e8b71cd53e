//! A receiver that checks `x-echo-signature`: `SECRET=whsec_… PORT=8080 cargo run --bin verify-hmac`

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn is_genuine(secret: &str, headers: &HeaderMap, raw_body: &[u8]) -> bool {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    let mac = mac.chain_update(raw_body);
    // For a day after a rotation, the second header is signed with the secret before.
    ["x-echo-signature", "x-echo-signature-previous"].into_iter().any(|name| {
        let sent = headers.get(name).and_then(|value| hex::decode(value.as_bytes()).ok());
        sent.is_some_and(|sent| mac.clone().verify_slice(&sent).is_ok())
    })
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
