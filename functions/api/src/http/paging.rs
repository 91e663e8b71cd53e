//! The query values that the pages of all lists share, and the size at which a page ends (contract §6).

use std::time::Duration;

use echo_shared::event_name::{EventName, EventNames};
use echo_shared::fields::Fields;
use echo_shared::store::{Found, StoreError};
use echo_shared::time::{self, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::http::request::QueryValues;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// A Lambda answer has at most 6 MB, and a body grows on its way: it is a JSON string inside JSON.
pub const MAX_BYTES: usize = 3 * 1024 * 1024;

/// After this time a search ends with the rows that it has found. The next page goes on from there.
pub const SEARCH_TIME: Duration = Duration::from_secs(5);

/// Kept below the function's own time, so that a slow store has an answer too.
const LONGEST_SEARCH: Duration = Duration::from_secs(10);

/// Room for a page's own brackets, names and cursor.
const FRAME_BYTES: usize = 128;

/// The bytes that a page has left.
#[derive(Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_BYTES - FRAME_BYTES)
    }
}

impl Budget {
    /// The row. `None` when it does not fit any more.
    pub fn take(&mut self, row: Box<RawValue>) -> Option<Box<RawValue>> {
        self.0 = self.0.checked_sub(row.get().len() + 1)?;
        Some(row)
    }
}

/// The fields that a list's rows are to have; all of them when the query does not say.
#[derive(Debug)]
pub struct Chosen(Option<Vec<String>>);

impl Chosen {
    /// # Errors
    /// When it names a field that the list's rows do not have.
    pub fn read(query: &QueryValues, known: &[&str]) -> Result<Self, ApiError> {
        let allowed = format!("one or more of these with commas between: {}", known.join(", "));
        let chosen = query.optional("fields", &allowed, |text| {
            let names: Vec<String> = text.split(',').map(str::to_owned).collect();
            names.iter().all(|name| known.contains(&name.as_str())).then_some(names)
        })?;
        Ok(Self(chosen))
    }

    /// Whether the rows are to have this field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|each| each == name))
    }

    /// The row with the chosen fields alone, in the row's order.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(&self, row: &impl Serialize) -> Result<Box<RawValue>, ApiError> {
        let row = to_raw_value(row).map_err(ApiError::internal)?;
        if self.0.is_none() {
            return Ok(row);
        }
        let fields: Fields<'_> = serde_json::from_str(row.get()).map_err(ApiError::internal)?;
        let chosen = fields.iter().filter(|(name, _)| self.has(name));
        let pairs: Vec<String> = chosen.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        RawValue::from_string(format!("{{{}}}", pairs.join(","))).map_err(ApiError::internal)
    }
}

/// What a search has found.
///
/// # Errors
/// When the store did not answer in time.
pub async fn searched<T>(
    search: impl Future<Output = Result<Found<T>, StoreError>>,
) -> Result<Found<T>, ApiError> {
    let too_long = |_| ApiError::unavailable("a search took too long");
    Ok(timeout(LONGEST_SEARCH, search).await.map_err(too_long)??)
}

/// # Errors
/// When it is not a number from 1 to 100.
pub fn limit(query: &QueryValues) -> Result<usize, ApiError> {
    let limit = query.optional("limit", "a whole number from 1 to 100", |text| {
        text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
    })?;
    Ok(limit.unwrap_or(DEFAULT_LIMIT))
}

/// # Errors
/// When it is not a known name.
pub fn event_name(query: &QueryValues, names: &EventNames) -> Result<Option<EventName>, ApiError> {
    query.optional("event_name", &format!("one of: {names}"), |name| names.find(name))
}

/// The time that `since` or `until` names.
///
/// # Errors
/// When it is not RFC 3339.
pub fn time(query: &QueryValues, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let mut has_space = false;
    let time = query.optional(name, time::ALLOWED, |text| {
        has_space = text.contains(' ');
        Timestamp::parse(text).ok()
    });
    match time {
        Err(_) if has_space => Err(query.invalid(format!(
            "{name} must be {}; the + of an offset is written %2B in a query, where a plain + is a space",
            time::ALLOWED
        ))),
        time => time,
    }
}

/// A time as part of a cursor's scope.
#[must_use]
pub fn scope_of(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |at| at.as_millis().to_string())
}
