//! The envelope of an event, as answers show it.

use serde_json::value::RawValue;

use crate::error::ApiError;

/// A stored envelope for an answer.
///
/// # Errors
/// When it is not JSON.
pub(super) fn shown_as_it_is(envelope: Vec<u8>) -> Result<Box<RawValue>, ApiError> {
    let text = String::from_utf8(envelope).map_err(ApiError::internal)?;
    RawValue::from_string(text).map_err(ApiError::internal)
}
