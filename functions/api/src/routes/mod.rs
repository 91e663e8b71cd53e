//! Handlers, one file or folder a resource. Each owns the bodies it takes and gives: a domain type never goes out as it is, so
//! a new field of one cannot leak.

pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod console;
pub mod deliveries;
pub mod endpoints;
mod envelope;
pub mod erasure;
pub mod event_types;
pub mod events;
mod files;
pub mod portal;
pub mod portal_links;
pub mod projects;
pub mod reference;
pub mod replays;
pub mod stats;
