//! The rules: values and pure functions, one noun a file. Nothing here sees AWS, tokio, the clock or the environment.
//!
//! In reading order: [`id`] and [`time`] name and date things. [`endpoint_url`], [`address`], [`amazon`] and [`origin`]
//! say where the service may send. [`account`], [`session`], [`project`], [`api_key`] with its [`scope`]s, [`portal_link`],
//! [`endpoint`] with its [`endpoint_health`] and its [`subscription`]s, [`event`], [`event_type`], [`delivery`] and [`attempt`]
//! are the things that the service keeps; [`shards`] and [`partition`] choose the place. [`fields`], [`event_input`] and
//! [`intake`] read the producers' input, [`filter`] judges it, and [`payload`] packs it. [`signing_secret`], [`ed25519_keys`],
//! [`signature`], [`custom_headers`] and the [`access_token`] of a [`receiver_auth`] go into a request, and
//! [`endpoint_secrets`] are those of one endpoint; [`mac`] makes signatures and derived secrets; [`sealed`] is their form in a
//! row, and [`masks`] stand in their place. [`job`] is a message in a queue. [`erasure`] is the way of a project's erasure.
//! [`schedule`], [`rate_limit`], [`slowness`], [`budget`] and [`decision`] choose the next step, and [`transition`] is the
//! change that a decision makes to a row. [`stream`] is the order of an ordered endpoint's deliveries. [`replay`] tries many
//! deliveries again, [`operational`] makes each [`notice`] to the operator and the project, [`audit`] lists changes with their
//! makers, [`stats`] count an endpoint's attempts and ends by the hour, [`bytes`] are read from rows, [`cursor`] marks a place
//! in a list, and [`merge`] makes one list of several.

pub mod access_token;
pub mod account;
pub mod address;
pub mod amazon;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod budget;
pub mod bytes;
pub mod cursor;
pub mod custom_headers;
pub mod decision;
pub mod delivery;
pub mod ed25519_keys;
pub mod endpoint;
pub mod endpoint_health;
pub mod endpoint_patch;
pub mod endpoint_secrets;
pub mod endpoint_url;
pub mod erasure;
pub mod event;
pub mod event_input;
pub mod event_name;
pub mod event_type;
pub mod fields;
pub mod filter;
pub mod id;
pub mod intake;
pub mod job;
pub mod mac;
pub mod masks;
pub mod merge;
pub mod notice;
pub mod operational;
pub mod origin;
pub mod partition;
pub mod payload;
pub mod portal_link;
pub mod project;
pub mod rate_limit;
pub mod receiver_auth;
pub mod replay;
pub mod route;
pub mod schedule;
pub mod scope;
pub mod sealed;
pub mod session;
pub mod shards;
pub mod signature;
pub mod signing_secret;
pub mod skipped;
pub mod slowness;
pub mod stats;
pub mod stream;
pub mod subscription;
pub mod time;
pub mod transition;
