//! A receiver that checks with the crate of Standard Webhooks: `SECRET=whsec_… PORT=8080 cargo run --bin verify-standard`

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use standardwebhooks::Webhook;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "an example's two settings")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let webhook = Arc::new(Webhook::new(&std::env::var("SECRET")?)?);
    let receive = async move |headers: HeaderMap, raw_body: Bytes| {
        if webhook.verify(&raw_body, &headers).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        println!("{:?}", headers["webhook-id"]); // skip the event if you have processed this id before
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    Ok(axum::serve(listener, Router::new().route("/", post(receive))).await?)
}
