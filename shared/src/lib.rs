//! The domain both functions use, one noun a file, and the only three modules that know AWS.
//!
//! In reading order: [`id`] and [`time`] name and date things; [`endpoint_url`] and [`address`] say where we may
//! send; [`event`], [`endpoint`], [`delivery`] and [`attempt`] are what the service is about; [`fields`], [`event_input`] and
//! [`intake`] read what producers send; [`signature`] signs; [`schedule`], [`rate_limit`], [`budget`], [`slowness`] and [`decision`] say what happens next; [`replay`] tries
//! many again; [`operational`] is what the operator is told; [`job`] is the queue message; [`aws`] is what the clients share, [`store`] keeps rows in
//! DynamoDB and [`queue`] moves jobs through SQS; [`accept`] makes an event durable with these two.
//! [`config`] and [`logging`] are what both functions start with.

pub mod accept;
pub mod account;
pub mod address;
pub mod api_key;
pub mod attempt;
pub mod aws;
pub mod budget;
pub mod config;
pub mod cursor;
pub mod custom_headers;
pub mod decision;
pub mod delivery;
pub mod endpoint;
pub mod endpoint_url;
pub mod event;
pub mod event_input;
pub mod event_name;
pub mod fields;
pub mod id;
pub mod intake;
pub mod job;
pub mod logging;
pub mod operational;
pub mod origin;
pub mod payload;
pub mod project;
pub mod queue;
pub mod rate_limit;
pub mod replay;
pub mod schedule;
pub mod signature;
pub mod signing_secret;
pub mod slowness;
pub mod store;
pub mod time;
pub mod tls;
