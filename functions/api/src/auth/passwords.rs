//! Passwords as argon2id hashes, computed off the runtime's thread.

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use echo_shared::account::PasswordHash;

use crate::error::ApiError;

/// The parameters that OWASP recommends for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

fn argon2id() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &str) -> Result<PasswordHash, ApiError> {
    let hash: phc::PasswordHash = argon2id()
        .map_err(ApiError::internal)?
        .hash_password(password.as_bytes())
        .map_err(ApiError::internal)?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify_now(password: &str, stored: &PasswordHash) -> Result<bool, ApiError> {
    let stored = phc::PasswordHash::new(&stored.0).map_err(ApiError::internal)?;
    let argon2id = argon2id().map_err(ApiError::internal)?;
    Ok(argon2id.verify_password(password.as_bytes(), &stored).is_ok())
}

/// # Errors
/// When there is no memory for it.
pub async fn hash(password: String) -> Result<PasswordHash, ApiError> {
    tokio::task::spawn_blocking(move || hash_now(&password)).await.map_err(ApiError::internal)?
}

/// Whether the password belongs to the account with this hash. Without an account the answer is no, after the same
/// work.
///
/// # Errors
/// When there is no memory for it, or the stored hash cannot be read.
pub async fn verify(password: String, stored: Option<PasswordHash>) -> Result<bool, ApiError> {
    let work = move || match stored {
        Some(stored) => verify_now(&password, &stored),
        None => hash_now(&password).map(|_| false),
    };
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_salted_and_accepts_its_password_only() {
        let hash = hash_now("correct horse battery").expect("a hash");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(verify_now("correct horse battery", &hash).expect("readable"));
        assert!(!verify_now("correct horse batter", &hash).expect("readable"));
        assert_ne!(hash, hash_now("correct horse battery").expect("a hash"));
    }
}
