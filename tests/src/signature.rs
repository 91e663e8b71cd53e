//! Both signatures of a delivery, checked as a receiver checks them: with the headers, the raw body and the secret.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The value that `x-echo-signature` must have: the two lines of the Echo guide.
#[must_use]
pub fn echo(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac(secret.as_bytes(), body))
}

/// The value that an entry of `webhook-signature` must have, by the Standard Webhooks specification.
///
/// # Panics
/// When the secret is not `whsec_` and base64.
#[must_use]
pub fn standard(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let encoded = secret.strip_prefix("whsec_").expect("a secret starts with whsec_");
    let key = STANDARD.decode(encoded).expect("the rest of a secret is base64");
    let message = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(hmac(&key, &message)))
}

/// Whether a `v1a` entry of `webhook-signature` is a signature of this delivery by the private half of `public_key`.
///
/// # Panics
/// When the key is not `whpk_` and base64, or the entry is of another kind.
#[must_use]
pub fn is_by(public_key: &str, entry: &str, id: &str, timestamp: &str, body: &[u8]) -> bool {
    let key = public_key.strip_prefix("whpk_").expect("a public key starts with whpk_");
    let key = STANDARD.decode(key).expect("the rest of a key is base64");
    let signature = entry.strip_prefix("v1a,").expect("an entry by a key pair");
    let signature = STANDARD.decode(signature).expect("base64");
    let message = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok()
}

/// The entries of `webhook-signature`, in order.
#[must_use]
pub fn entries(headers: &HeaderMap) -> Vec<String> {
    header(headers, "webhook-signature").split(' ').map(str::to_owned).collect()
}

/// One header's value.
///
/// # Panics
/// When the header is absent, occurs twice, or is not text.
#[must_use]
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("there is no header {name}: {headers:?}"));
    assert!(values.next().is_none(), "header {name} is there twice: {headers:?}");
    value.to_str().unwrap_or_else(|_| panic!("header {name} is not text"))
}

/// Checks both signatures of a request that only `secret` signs.
///
/// # Panics
/// When a signature is missing or wrong.
pub fn check(secret: &str, headers: &HeaderMap, body: &[u8]) {
    assert_eq!(header(headers, "x-echo-signature"), echo(secret, body), "x-echo-signature");
    let (id, timestamp) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
    assert_eq!(entries(headers), [standard(secret, id, timestamp, body)], "webhook-signature");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_matches_the_rfc() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(echo("Jefe", b"what do ya want for nothing?"), expected);
    }

    /// The test vector of the Standard Webhooks reference libraries.
    #[test]
    fn a_standard_signature_matches_the_published_vector() {
        let signature = standard(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
