//! What the contract promises, tried from outside against the deployed template: one module per resource or theme.

mod api_keys;
mod auth;
mod deliveries;
mod delivery_pages;
mod endpoint_changes;
mod endpoint_urls;
mod endpoints;
mod errors;
mod event_bodies;
mod event_log;
mod events;
mod expiry;
mod health;
mod idempotency;
mod isolation;
mod logs;
mod manual_retry;
mod precedence;
mod projects;
mod queues;
mod receivers;
mod reference;
mod retries;
mod rotation;
mod signing;
mod test_events;
