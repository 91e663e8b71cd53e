//! What is secret about an endpoint, opened for one attempt.

use crate::custom_headers::CustomHeaders;
use crate::ed25519_keys::PrivateKey;
use crate::receiver_auth::ReceiverAuth;
use crate::signing_secret::SigningSecret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecrets {
    pub signing: SigningSecret,
    /// The secret before, while a rotation overlaps.
    pub previous: Option<SigningSecret>,
    /// Absent unless the endpoint asked for it.
    pub ed25519: Option<PrivateKey>,
    /// The private key before, while a rotation overlaps.
    pub previous_ed25519: Option<PrivateKey>,
    pub headers: CustomHeaders,
    pub auth: Option<ReceiverAuth>,
}

impl EndpointSecrets {
    /// The secrets that sign: the current one first.
    pub fn all(&self) -> impl Iterator<Item = &SigningSecret> {
        [Some(&self.signing), self.previous.as_ref()].into_iter().flatten()
    }

    /// The private keys that sign: the current one first.
    pub fn private_keys(&self) -> impl Iterator<Item = &PrivateKey> {
        [self.ed25519.as_ref(), self.previous_ed25519.as_ref()].into_iter().flatten()
    }
}
