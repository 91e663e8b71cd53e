//! Seals the secrets in rows (`crate::sealed`) with AES-256-GCM, by aws-lc-rs, which TLS brings anyway.
//!
//! The keys are texts in one secret of Secrets Manager, `SealingKeys` in template.yaml: `{"current": "k1", "k1": "…"}`.
//! Each sealed value names its key, and `current` names the key that seals. [`Keyring`] reads the secret once for each
//! process. A process that meets the id of an unknown key reads it again, and so does one that is to seal with a copy
//! older than [`keyring::SEALS_FOR`]. So after that time and the longest call nothing is sealed under an earlier key,
//! and a sweep (`functions/delivery/src/reseal_step.rs`) finds all that was.
//!
//! Where the secret cannot be had, nothing is signed or sent without its headers: the delivery function keeps the
//! message, and the api answers 503. Accepting an event needs no key.
//!
//! Rejected:
//! - A data key for each endpoint or project, wrapped by KMS. It costs a call to KMS for each endpoint that a process
//!   meets, or a table of wrapped keys and a call for each of them, and $0.03 for 10,000 calls. One secret costs $0.40
//!   a month and one call for each process. `KmsKeyArn` encrypts it by a KMS key all the same.
//! - The AWS Encryption SDK and the AWS Database Encryption SDK for DynamoDB. Both make a data key for each message or
//!   row, so each attempt would call KMS or need a cache of materials, and both bring Dafny's runtime and several
//!   crates more than they replace: a dozen lines of AEAD.
//! - A key derived from the root secret. An operator who replaces the root secret after a leak would lose all endpoints'
//!   secrets.
//! - KMS's encryption of the tables alone. It does not tell a tenant's row from another's, and each reader
//!   of the table sees all of it.

mod endpoints;
mod keyring;

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};

use crate::aws::Failure;
use crate::ed25519::Ed25519Error;
use crate::mac::hmac_sha256;
use crate::sealed::{KeyId, Sealed, SealedField};

pub use self::endpoints::Resealed;
pub use self::keyring::{Keyring, SEALS_FOR};

/// The member of the secret that names the key that seals. No key has this id.
const CURRENT: &str = "current";

/// A shorter text is no key that a machine made.
const MIN_KEY_CHARS: usize = 32;

/// All keys, by id.
pub struct SealingKeys {
    current: KeyId,
    keys: BTreeMap<KeyId, RandomizedNonceKey>,
}

/// What is wrong with the secret. The text never repeats a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("the secret is not a JSON object of texts")]
    NotTexts,
    #[error("the secret's member `current` does not name one of its keys")]
    NoCurrent,
    #[error("the secret has a member that is no key's id: 1 to 32 letters, digits, dashes and underscores")]
    BadId,
    #[error("the secret has a key of less than 32 characters")]
    ShortKey,
}

/// Why a sealed value does not open. The text names places and ids, and no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The secret may have got the key since it was read.
    #[error("{place} is sealed under the key {key}, which the secret SealingKeys does not have")]
    UnknownKey { place: String, key: String },
    /// The bytes were sealed for another place, under another key of this id, or are damaged.
    #[error(
        "{place} does not open: it was not sealed for this project, endpoint and field under the key that it names"
    )]
    Damaged { place: String },
}

/// Why nothing could be sealed or opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SealingError {
    #[error("the sealing keys cannot be had: {0}")]
    Unavailable(#[source] Failure),
    #[error("the sealing keys cannot be used: {0}")]
    Bad(#[from] BadKeys),
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    #[error("a value could not be sealed")]
    NotSealed,
    #[error(transparent)]
    NoKeyPair(#[from] Ed25519Error),
}

impl SealingKeys {
    /// Reads the keys from the secret's text.
    ///
    /// # Errors
    /// When the text is not of the form above.
    pub fn parse(secret: &str) -> Result<Self, BadKeys> {
        let mut texts: BTreeMap<String, String> =
            serde_json::from_str(secret).map_err(|_| BadKeys::NotTexts)?;
        let current =
            texts.remove(CURRENT).and_then(|id| KeyId::parse(&id).ok()).ok_or(BadKeys::NoCurrent)?;
        let key = |(id, text): (String, String)| {
            let id = KeyId::parse(&id).map_err(|_| BadKeys::BadId)?;
            if text.len() < MIN_KEY_CHARS {
                return Err(BadKeys::ShortKey);
            }
            let key =
                RandomizedNonceKey::new(&AES_256_GCM, &derived(&text)).map_err(|_| BadKeys::ShortKey)?;
            Ok((id, key))
        };
        let keys: BTreeMap<KeyId, RandomizedNonceKey> =
            texts.into_iter().map(key).collect::<Result<_, _>>()?;
        if !keys.contains_key(&current) {
            return Err(BadKeys::NoCurrent);
        }
        Ok(Self { current, keys })
    }

    /// The key that seals.
    #[must_use]
    pub const fn current(&self) -> &KeyId {
        &self.current
    }

    /// # Errors
    /// When the library refuses, which it does not do for texts of these lengths.
    pub fn seal(&self, place: &SealedField<'_>, plain: &str) -> Result<Sealed, SealingError> {
        let key = self.keys.get(&self.current).ok_or(SealingError::NotSealed)?;
        let mut text = plain.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(place.to_string()), &mut text);
        let nonce = nonce.map_err(|_| SealingError::NotSealed)?;
        Ok(Sealed::new(&self.current, nonce.as_ref(), &text))
    }

    /// # Errors
    /// When the value is sealed under a key that is not among these, or was not sealed for this place.
    pub fn open(&self, place: &SealedField<'_>, sealed: &Sealed) -> Result<String, NotOpened> {
        let damaged = || NotOpened::Damaged { place: place.to_string() };
        let parts = sealed.parts().ok_or_else(damaged)?;
        let key = KeyId::parse(parts.key).ok().and_then(|id| self.keys.get(&id));
        let Some(key) = key else {
            return Err(NotOpened::UnknownKey { place: place.to_string(), key: parts.key.to_owned() });
        };
        let mut text = parts.text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*parts.nonce);
        let opened = key.open_in_place(nonce, Aad::from(place.to_string()), &mut text);
        let opened = opened.map_err(|_| damaged())?.len();
        text.truncate(opened);
        String::from_utf8(text).map_err(|_| damaged())
    }
}

/// The 32 bytes that AES-256 takes, from a text that has more than 256 random bits.
fn derived(text: &str) -> [u8; 32] {
    hmac_sha256(text.as_bytes(), &[b"echo-webhooks/seal/v1"])
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys(current {}, {} in all)", self.current, self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EndpointId, ProjectId};
    use crate::sealed::Field;
    use crate::time::Timestamp;

    const ONE: &str = r#"{"current": "k1", "k1": "0123456789abcdefghijklmnopqrstuvwxyzABCD"}"#;
    const TWO: &str = r#"{"current": "k2", "k1": "0123456789abcdefghijklmnopqrstuvwxyzABCD",
        "k2": "another-0123456789abcdefghijklmnopqrstuvwxyz"}"#;

    fn keys(secret: &str) -> SealingKeys {
        SealingKeys::parse(secret).expect("keys")
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let (project, endpoint) = (ProjectId::new(now), EndpointId::new(now));
        let (other_project, other_endpoint) = (ProjectId::new(now), EndpointId::new(now));
        let keys = keys(ONE);
        let place = |project_id, endpoint_id, field| SealedField { project_id, endpoint_id, field };
        let own = place(&project, &endpoint, Field::Header("x-a"));
        let sealed = keys.seal(&own, "Bearer abc").expect("sealed");
        assert_eq!(keys.open(&own, &sealed), Ok("Bearer abc".to_owned()));
        assert_ne!(keys.seal(&own, "Bearer abc").expect("sealed"), sealed, "each has a nonce of its own");
        for other in [
            place(&other_project, &endpoint, Field::Header("x-a")),
            place(&project, &other_endpoint, Field::Header("x-a")),
            place(&project, &endpoint, Field::Header("x-b")),
            place(&project, &endpoint, Field::SigningSecret),
            place(&project, &endpoint, Field::PreviousSecret),
        ] {
            let refused = keys.open(&other, &sealed).expect_err("another place");
            assert_eq!(refused, NotOpened::Damaged { place: other.to_string() });
            assert!(!refused.to_string().contains("Bearer"));
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let (project_id, endpoint_id) = (&ProjectId::new(now), &EndpointId::new(now));
        let place = SealedField { project_id, endpoint_id, field: Field::SigningSecret };
        let keys = keys(ONE);
        let item: aws_sdk_dynamodb::types::AttributeValue =
            serde_dynamo::to_attribute_value(keys.seal(&place, "whsec_1").expect("sealed")).expect("a value");
        let bytes = item.as_b().expect("bytes").as_ref().to_vec();
        assert_eq!(keys.open(&place, &bytes.clone().into()), Ok("whsec_1".to_owned()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(keys.open(&place, &changed.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_new_key_seals_and_the_earlier_one_still_opens() {
        let now = Timestamp::from_millis(1_776_009_119_499);
        let (project_id, endpoint_id) = (&ProjectId::new(now), &EndpointId::new(now));
        let place = SealedField { project_id, endpoint_id, field: Field::SigningSecret };
        let (one, two) = (keys(ONE), keys(TWO));
        let (by_one, by_two) =
            (one.seal(&place, "a").expect("sealed"), two.seal(&place, "a").expect("sealed"));
        assert_eq!(two.open(&place, &by_one), Ok("a".to_owned()));
        assert!(by_two.is_under(two.current()));
        let unknown = NotOpened::UnknownKey { place: place.to_string(), key: "k2".to_owned() };
        assert_eq!(one.open(&place, &by_two), Err(unknown));
        // Another key under the id that the value names.
        let replaced = keys(r#"{"current": "k1", "k1": "replaced-0123456789abcdefghijklmnopqrstuvwxyz"}"#);
        assert_eq!(replaced.open(&place, &by_one), Err(NotOpened::Damaged { place: place.to_string() }));
    }

    #[test]
    fn a_bad_secret_is_told_without_a_part_of_it() {
        for (secret, bad) in [
            ("hidden", BadKeys::NotTexts),
            (r#"{"current": "k1", "k1": 70000000000000000000000000000000000000}"#, BadKeys::NotTexts),
            (r#"{"k1": "hidden-hidden-hidden-hidden-hidden"}"#, BadKeys::NoCurrent),
            (r#"{"current": "k2", "k1": "hidden-hidden-hidden-hidden-hidden"}"#, BadKeys::NoCurrent),
            (r#"{"current": "k1", "k1": "hidden"}"#, BadKeys::ShortKey),
            (r#"{"current": "k 1", "k 1": "hidden-hidden-hidden-hidden-hidden"}"#, BadKeys::NoCurrent),
            (
                r#"{"current": "k1", "k1": "hidden-hidden-hidden-hidden-hidden", "k 2": "hidden-hidden-hidden-hidden-hidden"}"#,
                BadKeys::BadId,
            ),
        ] {
            assert_eq!(SealingKeys::parse(secret).err(), Some(bad), "{secret}");
            assert!(!bad.to_string().contains("hidden"));
        }
        assert_eq!(format!("{:?}", keys(TWO)), "SealingKeys(current k2, 2 in all)");
    }
}
