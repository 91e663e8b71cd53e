//! What is secret about an endpoint, opened for one attempt.

use crate::custom_headers::CustomHeaders;
use crate::signing_secret::SigningSecret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecrets {
    pub signing: SigningSecret,
    /// The secret before, while a rotation overlaps.
    pub previous: Option<SigningSecret>,
    pub headers: CustomHeaders,
}

impl EndpointSecrets {
    /// The secrets that sign: the current one first.
    pub fn all(&self) -> impl Iterator<Item = &SigningSecret> {
        [Some(&self.signing), self.previous.as_ref()].into_iter().flatten()
    }
}
