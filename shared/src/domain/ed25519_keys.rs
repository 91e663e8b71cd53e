//! The Ed25519 key pair of an endpoint that asked for one (contract §3). The public key verifies a delivery, and
//! cannot sign one. `crate::ed25519` makes the keys and signs with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sealed::Sealed;

/// `whsk_` and base64 of the seed and the public key, 32 bytes each, as Standard Webhooks writes it. Rows hold it
/// sealed, and no call shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(String);

impl PrivateKey {
    pub const PREFIX: &str = "whsk_";

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for PrivateKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// A new key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub private_key: PrivateKey,
    /// `whpk_` and base64 of 32 bytes.
    pub public_key: String,
}

/// A key pair as its row holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKeyPair {
    pub private_key: Sealed,
    pub public_key: String,
}

/// The new key pair of a rotation, and the key that still signs for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedKeys {
    pub present: SealedKeyPair,
    pub previous: Sealed,
}
