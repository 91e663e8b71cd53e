//! The secret that signs one endpoint's deliveries. The API shows it, and nothing else does. Rows hold it sealed.

use std::fmt;

const PREFIX: &str = "whsec_";

/// `whsec_` and 64 lower-case hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    #[must_use]
    pub fn generate() -> Self {
        let mut random = [0_u8; 32];
        rand::fill(&mut random);
        Self(format!("{PREFIX}{}", hex::encode(random)))
    }

    /// The whole string, `whsec_` included: the key of `x-echo-signature`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part after `whsec_`: Standard Webhooks libraries decode it as base64 and use the result as key.
    #[must_use]
    pub fn encoded_part(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or(&self.0)
    }
}

impl From<String> for SigningSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_contracts_shape_and_hides_itself() {
        let secret = SigningSecret::generate();
        let digits = secret.expose().strip_prefix("whsec_").expect("the prefix");
        assert_eq!(digits.len(), 64);
        assert!(digits.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)));
        assert_ne!(secret, SigningSecret::generate());
        assert!(!format!("{secret:?}").contains(digits));
    }
}
