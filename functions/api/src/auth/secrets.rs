//! The values derived from the root secret: the keys of tokens, and the sign-up token.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use echo_shared::aws::Failure;
use echo_shared::mac::hmac_sha256;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;

use crate::auth::reset::ResetKey;
use crate::auth::tokens::TokenKeys;
use crate::error::ApiError;

/// The root secret, read at its first use and then kept. Posting events never needs it.
#[derive(Debug)]
pub struct RootSecret {
    client: Client,
    arn: String,
    derived: OnceCell<Derived>,
}

#[derive(Debug)]
pub struct Derived {
    pub tokens: TokenKeys,
    pub signup_token: SignupToken,
    pub reset: ResetKey,
}

/// The token that a new customer must send where the policy is `token`.
pub struct SignupToken(String);

impl fmt::Debug for SignupToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignupToken(…)")
    }
}

impl SignupToken {
    /// Compares in the same time, wherever the texts differ.
    #[must_use]
    pub fn is(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl RootSecret {
    #[must_use]
    pub fn new(aws: &SdkConfig, arn: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(8))
            .build();
        let config = aws_sdk_secretsmanager::config::Builder::from(aws)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), arn, derived: OnceCell::new() }
    }

    /// # Errors
    /// When Secrets Manager did not answer. The next request asks again.
    pub async fn derived(&self) -> Result<&Derived, ApiError> {
        self.derived.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<Derived, ApiError> {
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let answer = answer.map_err(|error| ApiError::unavailable(Failure::of_call(error)))?;
        let root = answer.secret_string().filter(|root| !root.is_empty());
        root.map(derive).ok_or_else(|| ApiError::internal("the root secret is not a text"))
    }
}

fn derive(root: &str) -> Derived {
    Derived {
        tokens: TokenKeys::new(&derived(root, "echo-webhooks/jwt/v1")),
        signup_token: SignupToken(hex::encode(derived(root, "echo-webhooks/signup/v1"))),
        reset: ResetKey::new(root),
    }
}

fn derived(root: &str, purpose: &str) -> [u8; 32] {
    hmac_sha256(root.as_bytes(), &[purpose.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s 'echo-webhooks/signup/v1' | openssl dgst -sha256 -hmac root`
    const TOKEN_OF_ROOT: &str = "a8a5f141e510f2982157880ae1a460c43e8a3427ddebb92c46de9eb4f6375a4f";

    #[test]
    fn the_signup_token_is_what_openssl_prints() {
        let derived = derive("root");
        assert!(derived.signup_token.is(TOKEN_OF_ROOT));
        assert!(!derived.signup_token.is(""));
        assert!(!derived.signup_token.is(&TOKEN_OF_ROOT.to_uppercase()));
        assert!(!derive("other").signup_token.is(TOKEN_OF_ROOT));
        assert!(!format!("{derived:?}").contains(TOKEN_OF_ROOT));
    }
}
