//! Rows in DynamoDB, with a file or folder for each entity. An absent row is `None`. A condition that does not hold is a
//! value of a type of its own, such as [`Advanced`]. Every read and write of a tenant's data takes its project.
//!
//! | table | key | row |
//! |---|---|---|
//! | accounts | e-mail in lower case | the person who signed up |
//! | login failures | caller and e-mail; e-mail alone for all callers | tries that are left in this window; expires |
//! | sessions | account, id | one login: the generation of its refresh token; expires |
//! | | `portal#<project>`, id | a link to the portal and the session that it opened; expires |
//! | projects | account, id | name, shards, number of active keys |
//! | event types | account, name | description, example. In a partition `names|<account>`: the names of all of them |
//! | API keys | project, id | the key as it is listed |
//! | API key hashes | hash | the project that the key opens, its shards and scopes |
//! | routes | project and copy | all endpoints of a project, as far as accepting an event needs them |
//! | endpoints | id, part | part `settings`: URL, sealed secrets and headers, status. Part `state`: failures, speed, slots |
//! | events | project and shard, event id | envelope, content hash, deliveries, skipped endpoints; expires |
//! | deliveries | endpoint, bucket and shard; id | status and attempts; expires |
//! | budgets | project, kind and minute | permits that are leased; expires after an hour |
//! | replays | endpoint, id | filter, position, the page to start next; or a deleted endpoint; expires |
//! | streams | stream, part | the head: how far the stream has come. A chunk: deliveries in their order; expires |
//! | stats | project, endpoint and shard; hour | counts of one hour; expires |
//! | audit | project, id | one change: its maker, the thing, and the names of the changed fields; expires |
//!
//! # Errors
//! Each function that returns a [`StoreError`] returns `Unavailable` when DynamoDB did not answer or did not carry the
//! request out, and `Broken` when it refused the request or a row cannot be read. After `Unavailable` a write may be
//! done or not. The functions below name only errors beyond these.

mod accounts;
mod api_keys;
mod audit;
mod batch_reads;
mod budgets;
mod conflicts;
mod deletions;
mod deliveries;
mod endpoints;
mod erasure;
mod event_types;
mod events;
mod filters;
mod inserts;
mod portal_links;
mod projects;
mod ranges;
mod replays;
mod routes;
mod sessions;
mod statements;
mod stats;
mod streams;
mod transactions;
mod update;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::Failure;

pub use self::accounts::{Guessed, LoginBudget, SignedUp};
pub use self::audit::AuditFilter;
pub use self::budgets::{Budgets, Spent};
pub use self::deliveries::{Advanced, DeliveryFilter, Loaded, Owners};
pub use self::endpoints::{Patched, Rotated, Rotation, Scanned, Taken};
pub use self::erasure::Ended;
pub use self::event_types::TypeRemoved;
pub use self::events::{Accepted, EventFilter, EventsWanted, ReadEvent};
pub use self::portal_links::Redeemed;
pub use self::ranges::Found;
pub use self::sessions::Refreshed;
pub use self::statements::MAX_STATEMENTS;
pub use self::stats::{Hours, StatsWriter};
pub use self::transactions::Created;

type Item = std::collections::HashMap<String, AttributeValue>;

/// A DynamoDB client whose retries fit a function's time.
#[must_use]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(8))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(1));
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(retries)
        .retry_classifier(conflicts::Conflicts)
        .timeout_config(timeouts)
        .build();
    Client::from_conf(config)
}

/// The tables that both functions use: event types, routes, endpoints, events, deliveries, replays, streams, stats and audit.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Tables,
    filters: filters::KeptFilters,
    names: event_types::KeptNames,
}

/// The tables of [`Store`], by name.
#[derive(Debug, Clone)]
pub struct Tables {
    pub event_types: String,
    pub routes: String,
    pub endpoints: String,
    pub events: String,
    pub deliveries: String,
    pub replays: String,
    pub streams: String,
    pub stats: String,
    pub audit: String,
}

impl Tables {
    /// The tables whose names begin with `prefix`, as in template.yaml.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        let named = |name: &str| format!("{prefix}{name}");
        Self {
            event_types: named("event_types"),
            routes: named("routes"),
            endpoints: named("endpoints"),
            events: named("events"),
            deliveries: named("deliveries"),
            replays: named("replays"),
            streams: named("streams"),
            stats: named("stats"),
            audit: named("audit"),
        }
    }
}

impl Store {
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        let (filters, names) = (filters::KeptFilters::default(), event_types::KeptNames::default());
        Self { client, tables, filters, names }
    }
}

/// The tables that only the api function may write: accounts, projects, event types and keys, and routes and endpoints
/// when they come and go.
#[derive(Debug, Clone)]
pub struct Registry {
    client: Client,
    tables: RegistryTables,
}

/// The tables of [`Registry`], by name.
#[derive(Debug, Clone)]
pub struct RegistryTables {
    pub accounts: String,
    pub login_failures: String,
    pub sessions: String,
    pub projects: String,
    pub event_types: String,
    pub api_keys: String,
    pub api_key_hashes: String,
    pub routes: String,
    pub endpoints: String,
    pub replays: String,
    pub audit: String,
}

impl RegistryTables {
    /// The tables whose names begin with `prefix`, as in template.yaml.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        let named = |name: &str| format!("{prefix}{name}");
        Self {
            accounts: named("accounts"),
            login_failures: named("login_failures"),
            sessions: named("sessions"),
            projects: named("projects"),
            event_types: named("event_types"),
            api_keys: named("api_keys"),
            api_key_hashes: named("api_key_hashes"),
            routes: named("routes"),
            endpoints: named("endpoints"),
            replays: named("replays"),
            audit: named("audit"),
        }
    }
}

impl Registry {
    #[must_use]
    pub const fn new(client: Client, tables: RegistryTables) -> Self {
        Self { client, tables }
    }
}

/// Why the store did not do its part. Its text is for our own log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not answer, throttled us or had a fault: the same call may work later.
    #[error("DynamoDB is unavailable: {0}")]
    Unavailable(#[source] Failure),
    /// DynamoDB refused a request, or nobody can read a row: the mistake is ours.
    #[error("the store is broken: {0}")]
    Broken(#[source] Failure),
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        // With these codes AWS refuses the request itself. Every other failure passes with time.
        let refused = [
            "ValidationException",
            "AccessDeniedException",
            "ResourceNotFoundException",
            "ItemCollectionSizeLimitExceededException",
            "ConditionalCheckFailedException",
        ];
        let is_refused = error.code().is_some_and(|code| refused.contains(&code));
        let failure = Failure::of_call(error);
        if is_refused { Self::Broken(failure) } else { Self::Unavailable(failure) }
    }
}

impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Broken(Failure::of(error))
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Broken(Failure::of(error))
    }
}

impl From<crate::payload::DamagedPayload> for StoreError {
    fn from(error: crate::payload::DamagedPayload) -> Self {
        Self::Broken(Failure::of(error))
    }
}

fn to_item(row: &impl Serialize) -> Result<Item, StoreError> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::to_item(row)?)
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?)
}

/// One row by its key, read strongly consistently.
async fn row<T: DeserializeOwned>(client: &Client, table: &str, key: Item) -> Result<Option<T>, StoreError> {
    let answer = client.get_item().table_name(table).set_key(Some(key)).consistent_read(true).send().await?;
    answer.item.map(from_item).transpose()
}

/// All rows of one partition in the order of their sort key, read strongly consistently.
async fn rows<T: DeserializeOwned>(
    client: &Client,
    table: &str,
    key: &str,
    of: impl fmt::Display,
) -> Result<Vec<T>, StoreError> {
    let query = client
        .query()
        .table_name(table)
        .key_condition_expression("#key = :key")
        .expression_attribute_names("#key", key)
        .expression_attribute_values(":key", text(of))
        .consistent_read(true);
    ranges::all_pages(query, None).await?.into_iter().map(from_item).collect()
}

/// Whether a write was refused only because its condition does not hold.
fn condition_failed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}

/// The answer to a conditional write; `None` when its condition does not hold.
fn if_condition_held<T, E>(written: Result<T, SdkError<E>>) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match written {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if condition_failed(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The row that a write's condition does not hold for; `None` when there is no row. The write must have asked for the row
/// (`ReturnValuesOnConditionCheckFailure`).
fn row_in_the_way<T: DeserializeOwned, E: RowInTheWay>(error: SdkError<E>) -> Result<Option<T>, StoreError> {
    let row = match error.as_service_error().and_then(RowInTheWay::failed_condition) {
        Some(failed) => failed.item().cloned().filter(|row| !row.is_empty()),
        None => return Err(error.into()),
    };
    row.map(from_item).transpose()
}

/// The errors of the calls that take a condition.
trait RowInTheWay: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException>;
}

impl RowInTheWay for UpdateItemError {
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

impl RowInTheWay for PutItemError {
    fn failed_condition(&self) -> Option<&ConditionalCheckFailedException> {
        if let Self::ConditionalCheckFailedException(failed) = self { Some(failed) } else { None }
    }
}

/// A row's key, of one attribute or two.
fn key<const N: usize>(parts: [(&str, AttributeValue); N]) -> Item {
    parts.map(|(name, value)| (name.to_owned(), value)).into()
}

fn value(of: &impl Serialize) -> Result<AttributeValue, StoreError> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(of)?)
}

fn text(of: impl fmt::Display) -> AttributeValue {
    AttributeValue::S(of.to_string())
}

fn number(of: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

/// A set, which must not be empty.
fn numbers(of: &BTreeSet<u8>) -> AttributeValue {
    AttributeValue::Ns(of.iter().map(ToString::to_string).collect())
}
