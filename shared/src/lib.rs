//! All that both functions use.
//!
//! [`domain`] holds the rules and is pure. [`store`] keeps rows in DynamoDB, [`sealing`] seals the secrets in them, [`queue`]
//! moves jobs through SQS, [`ed25519`] signs with an endpoint's own keys, and [`accept`] makes an event durable with these two,
//! its [`sinks`], [`accept_many`] several, and [`line_up`] gives ordered deliveries their places; [`aws`] is the part that
//! their clients share. Each function starts with [`config`], [`logging`] and [`tls`], and reads [`clock`]. [`recent`]
//! remembers for some seconds.

pub mod accept;
pub mod accept_many;
pub mod aws;
pub mod clock;
pub mod config;
pub mod domain;
pub mod ed25519;
pub mod line_up;
pub mod logging;
pub mod queue;
pub mod recent;
pub mod sealing;
pub mod sinks;
pub mod store;
pub mod tls;

// A path names the noun, wherever its file is.
pub use domain::{
    access_token, account, address, amazon, api_key, attempt, audit, budget, bytes, cursor, custom_headers,
    decision, delivery, ed25519_keys, endpoint, endpoint_health, endpoint_patch, endpoint_secrets,
    endpoint_url, erasure, event, event_input, event_name, event_type, fields, filter, id, intake, job, mac,
    masks, merge, notice, operational, origin, partition, payload, portal_link, project, rate_limit,
    receiver_auth, replay, route, schedule, scope, sealed, session, shards, signature, signing_secret,
    skipped, slowness, stats, stream, subscription, time, transition,
};
