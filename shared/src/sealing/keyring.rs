//! The sealing keys as one process knows them: read from Secrets Manager, kept, and read again for a reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;

use super::{NotOpened, SealingError, SealingKeys};
use crate::aws::Failure;
use crate::time::Timestamp;

/// How old the copy may be by which a process seals. A copy of any age opens values.
pub const SEALS_FOR: Duration = Duration::from_secs(60);

/// The least time between two reads for the sake of an unknown key. A row that names no key of ours must not make each
/// attempt a call.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the process knows.
#[derive(Debug, Default)]
struct Known {
    keys: Option<Arc<SealingKeys>>,
    /// When the call for these keys began.
    as_of: Option<Timestamp>,
    /// When the latest call began, and why it failed, if it did.
    asked_at: Option<Timestamp>,
    failure: Option<SealingError>,
}

impl Known {
    /// The keys, if they are younger than `age`. A clock that was set back makes them old.
    fn within(&self, age: Duration) -> Option<Arc<SealingKeys>> {
        self.keys.clone().filter(|_| is_within(age, self.as_of))
    }
}

fn is_within(age: Duration, since: Option<Timestamp>) -> bool {
    let now = Timestamp::now();
    since.is_some_and(|since| since <= now && now.since(since) < age)
}

/// The sealing keys. Tasks that need them at once share one call.
#[derive(Debug)]
pub struct Keyring {
    client: Client,
    secret: String,
    known: Mutex<Known>,
    /// Held while the secret is read.
    reading: tokio::sync::Mutex<()>,
    calls: AtomicU64,
}

impl Keyring {
    /// `secret` is the secret's ARN.
    #[must_use]
    pub fn new(aws: &SdkConfig, secret: String) -> Self {
        // An attempt that had to wait for longer than two seconds is left for later (`SLOW_STORE` in the delivery function).
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(2))
            .operation_timeout(Duration::from_secs(5))
            .build();
        let config = aws_sdk_secretsmanager::config::Builder::from(aws)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        Self {
            client: Client::from_conf(config),
            secret,
            known: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            calls: AtomicU64::default(),
        }
    }

    /// Reads the keys, unless the process has them, while its caller waits for something else. A failure shows where
    /// the keys are needed.
    pub async fn read_ahead(&self) {
        let _ = self.within(Duration::MAX).await;
    }

    /// Opens something by the keys. When they lack one, the secret is read again, if that was not done in the last ten seconds.
    ///
    /// # Errors
    /// When the keys cannot be had, or the value does not open.
    pub async fn open<T>(
        &self,
        open: impl Fn(&SealingKeys) -> Result<T, NotOpened>,
    ) -> Result<T, SealingError> {
        let opened = open(&*self.within(Duration::MAX).await?);
        if matches!(opened, Err(NotOpened::UnknownKey { .. })) && !self.has_asked_lately() {
            return Ok(open(&*self.within(LOOK_EVERY).await?)?);
        }
        Ok(opened?)
    }

    /// The keys to seal by.
    ///
    /// # Errors
    /// When the copy is older than [`SEALS_FOR`] and the secret cannot be read.
    pub async fn to_seal(&self) -> Result<Arc<SealingKeys>, SealingError> {
        self.within(SEALS_FOR).await
    }

    /// Seals something by the keys, and opens values for that where they are kept: as in [`Self::open`], the secret is
    /// read again for the sake of a key that they lack.
    ///
    /// # Errors
    /// When the keys cannot be had, or a value that is kept does not open.
    pub async fn seal<T>(
        &self,
        seal: impl Fn(&SealingKeys) -> Result<T, SealingError>,
    ) -> Result<T, SealingError> {
        let sealed = seal(&*self.to_seal().await?);
        let lacks_a_key = matches!(sealed, Err(SealingError::NotOpened(NotOpened::UnknownKey { .. })));
        if lacks_a_key && !self.has_asked_lately() { seal(&*self.within(LOOK_EVERY).await?) } else { sealed }
    }

    /// The keys as the secret has them now.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub async fn read_again(&self) -> Result<Arc<SealingKeys>, SealingError> {
        self.within(Duration::ZERO).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_asked_lately(&self) -> bool {
        is_within(LOOK_EVERY, self.known().asked_at)
    }

    /// The keys, read anew unless they are younger than `age`.
    async fn within(&self, age: Duration) -> Result<Arc<SealingKeys>, SealingError> {
        if let Some(keys) = self.known().within(age) {
            return Ok(keys);
        }
        let calls = self.calls.load(Ordering::Acquire);
        let _reading = self.reading.lock().await;
        // Another task may have read it while this one waited.
        let known = self.known().within(age);
        if let Some(keys) = known {
            return Ok(keys);
        }
        if self.calls.load(Ordering::Acquire) > calls
            && let Some(failure) = self.known().failure.clone()
        {
            return Err(failure);
        }
        let asked_at = Timestamp::now();
        let read = self.read().await.map(Arc::new);
        self.calls.fetch_add(1, Ordering::AcqRel);
        let mut known = self.known();
        (known.asked_at, known.failure) = (Some(asked_at), read.as_ref().err().cloned());
        if let Ok(keys) = &read {
            (known.keys, known.as_of) = (Some(Arc::clone(keys)), Some(asked_at));
        }
        read
    }

    async fn read(&self) -> Result<SealingKeys, SealingError> {
        let answer = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let answer = answer.map_err(|error| SealingError::Unavailable(Failure::of_call(error)))?;
        Ok(SealingKeys::parse(answer.secret_string().unwrap_or_default())?)
    }
}
