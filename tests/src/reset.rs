//! The token with which an operator lets a person set a new password, made as docs/operations.md says.

use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::aws;
use crate::time::now;

/// A token for this account that ends in so many seconds.
///
/// # Panics
/// When there is no such account, or the root secret cannot be read.
pub async fn reset_token(email: &str, seconds: i64) -> String {
    let account = aws::account(email).await;
    let text = |name: &str| match &account[name] {
        AttributeValue::S(text) => text.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let until = now() / 1_000 + seconds;
    let signed = format!("echo-webhooks/reset/v1|{}|{}|{until}", text("id"), text("password_hash"));
    let mut mac = Hmac::<Sha256>::new_from_slice(aws::root_secret().await.as_bytes()).expect("any length");
    mac.update(signed.as_bytes());
    format!("{until}.{}.{email}", hex::encode(mac.finalize().into_bytes()))
}
