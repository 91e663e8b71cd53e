//! The two signatures of every attempt: Echo's own, and that of Standard Webhooks (contract §5).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::id::EventId;
use crate::mac::hmac_sha256;
use crate::signing_secret::SigningSecret;
use crate::time::Timestamp;

/// The 64 hex digits of a secret are base64 of 48 bytes. A secret from elsewhere may lack its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `x-echo-signature`: lower-case hex HMAC-SHA256 of the raw body, keyed by the whole `whsec_…` string.
#[must_use]
pub fn echo_signature(secret: &SigningSecret, body: &[u8]) -> String {
    hex::encode(hmac_sha256(secret.expose().as_bytes(), &[body]))
}

/// One `v1,…` entry of `webhook-signature`, by the Standard Webhooks specification.
#[must_use]
pub fn standard_signature(secret: &SigningSecret, id: &EventId, at: Timestamp, body: &[u8]) -> String {
    let key = LENIENT.decode(secret.encoded_part()).unwrap_or_default();
    let signed = format!("{id}.{}.", at.as_seconds());
    format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &[signed.as_bytes(), body])))
}

/// The whole `webhook-signature` value: the current secret's entry, then the previous one's while it overlaps.
#[must_use]
pub fn standard_signatures<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &EventId,
    at: Timestamp,
    body: &[u8],
) -> String {
    let entries: Vec<String> =
        secrets.into_iter().map(|secret| standard_signature(secret, id, at, body)).collect();
    entries.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the Standard Webhooks reference libraries publish in their own tests.
    #[test]
    fn standard_signature_matches_the_published_vector() {
        let secret = SigningSecret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let key = LENIENT.decode(secret.encoded_part()).expect("base64");
        let mac =
            hmac_sha256(&key, &[b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.", br#"{"test": 2432232314}"#]);
        assert_eq!(STANDARD.encode(mac), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_of_ours_decodes_to_48_bytes() {
        let secret = SigningSecret::generate();
        assert_eq!(LENIENT.decode(secret.encoded_part()).map(|key| key.len()), Ok(48));
    }

    #[test]
    fn during_a_rotation_both_secrets_sign() {
        let (new, old) = (SigningSecret::generate(), SigningSecret::generate());
        let at = Timestamp::from_millis(1_700_000_000_999);
        let id = EventId::new(at);
        let both = standard_signatures([&new, &old], &id, at, b"{}");
        let entries: Vec<&str> = both.split(' ').collect();
        let expected = [standard_signature(&new, &id, at, b"{}"), standard_signature(&old, &id, at, b"{}")];
        assert_eq!(entries, expected);
    }
}
