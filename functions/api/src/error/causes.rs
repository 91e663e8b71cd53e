//! The answer to each error of the shared code.

use echo_shared::accept::AcceptError;
use echo_shared::fields::Refused;
use echo_shared::queue::QueueError;
use echo_shared::sealing::{NotOpened, SealingError};
use echo_shared::store::StoreError;

use super::ApiError;

impl From<Refused> for ApiError {
    fn from(Refused(reason): Refused) -> Self {
        Self::invalid(reason)
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Conflict { .. } | AcceptError::Erased => Self::conflict(error.to_string()),
            AcceptError::Store(error) => error.into(),
            AcceptError::InDoubt(_) | AcceptError::TooLate => Self::unavailable(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Broken(_) => Self::internal(error),
        }
    }
}

/// A key that is unknown may come, or come back: nothing is wrong with the row.
impl From<SealingError> for ApiError {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::Unavailable(_)
            | SealingError::Bad(_)
            | SealingError::NotOpened(NotOpened::UnknownKey { .. }) => Self::unavailable(error),
            SealingError::NotOpened(NotOpened::Damaged { .. })
            | SealingError::NotSealed
            | SealingError::NoKeyPair(_) => Self::internal(error),
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::unavailable(error)
    }
}
