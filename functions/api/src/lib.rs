//! The HTTP API: routes are listed in [`router`] and answered in [`routes`]; every refusal is an [`error::ApiError`].
//!
//! An invocation is made fit for HTTP by [`gateway`]. A request passes [`observe`] (id, span, log line, panics) and [`loops`], then below `/v1` [`auth`], then its route's body limit
//! ([`body`]), and reaches a handler whose arguments say what it needs.

pub mod app;
pub mod auth;
pub mod body;
pub mod config;
pub mod endpoints_ahead;
pub mod error;
pub mod event_page;
pub mod gateway;
pub mod grants;
pub mod loops;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod paging;
pub mod passwords;
pub mod request;
pub mod router;
pub mod routes;
pub mod sample;
pub mod secrets;
pub mod tokens;
