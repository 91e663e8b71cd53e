//! Signatures that anyone can verify who has an endpoint's public key: the `v1a` entries of `webhook-signature`, by the
//! Standard Webhooks specification
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! By aws-lc-rs, which TLS brings anyway. (Rejected: ed25519-dalek. It would be a second implementation of Ed25519 in the same
//! binary, and three more crates.)

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ed25519_keys::{KeyPair, PrivateKey};
use crate::id::EventId;
use crate::time::Timestamp;

/// The bytes of a seed and of a public key.
const KEY_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ed25519Error {
    #[error("no Ed25519 key pair could be made")]
    NotMade,
    #[error("a stored Ed25519 key is none")]
    NoKey,
}

/// Makes a key pair at random.
///
/// # Errors
/// When the library has no random bytes.
pub fn generate() -> Result<KeyPair, Ed25519Error> {
    let pair = Ed25519KeyPair::generate().map_err(|_| Ed25519Error::NotMade)?;
    let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| Ed25519Error::NotMade)?;
    let public_key = pair.public_key().as_ref();
    let both = [seed.as_ref(), public_key].concat();
    Ok(KeyPair {
        private_key: format!("{}{}", PrivateKey::PREFIX, STANDARD.encode(both)).into(),
        public_key: format!("whpk_{}", STANDARD.encode(public_key)),
    })
}

/// One `v1a,…` entry of `webhook-signature`, over the same bytes as a `v1` entry.
///
/// # Errors
/// When the text is no private key.
pub fn standard_signature(
    key: &PrivateKey,
    id: &EventId,
    at: Timestamp,
    body: &[u8],
) -> Result<String, Ed25519Error> {
    let message = [format!("{id}.{}.", at.as_seconds()).as_bytes(), body].concat();
    Ok(format!("v1a,{}", STANDARD.encode(signed(key, &message)?)))
}

fn signed(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, Ed25519Error> {
    let text = key.expose().strip_prefix(PrivateKey::PREFIX).ok_or(Ed25519Error::NoKey)?;
    let both = STANDARD.decode(text).map_err(|_| Ed25519Error::NoKey)?;
    let (seed, public_key) = both.split_at_checked(KEY_BYTES).ok_or(Ed25519Error::NoKey)?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public_key).map_err(|_| Ed25519Error::NoKey)?;
    Ok(pair.sign(message).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private_key(bytes: &[u8]) -> PrivateKey {
        format!("whsk_{}", STANDARD.encode(bytes)).into()
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_signature_matches_the_rfc() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let public_key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let key = private_key(&hex::decode(format!("{seed}{public_key}")).expect("hex"));
        let signature = hex::encode(signed(&key, &[0x72]).expect("a key"));
        assert_eq!(
            signature,
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }

    #[test]
    fn a_new_pair_has_the_forms_of_standard_webhooks_and_hides_its_private_half() {
        let pair = generate().expect("a pair");
        let bytes = |text: &str| STANDARD.decode(text).expect("base64");
        let public_key = bytes(pair.public_key.strip_prefix("whpk_").expect("the prefix"));
        let private_key = pair.private_key.expose().strip_prefix("whsk_").expect("the prefix");
        assert_eq!(bytes(private_key)[KEY_BYTES..], public_key);
        assert_eq!(public_key.len(), KEY_BYTES);
        assert!(!format!("{pair:?}").contains(private_key));
        assert_ne!(generate().expect("a pair"), pair);
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        let halves_that_differ = [[1; KEY_BYTES], [2; KEY_BYTES]].concat();
        for key in [private_key(&halves_that_differ), private_key(&[1; 8]), "whsk_!".to_owned().into()] {
            assert_eq!(signed(&key, b"{}"), Err(Ed25519Error::NoKey));
        }
    }
}
