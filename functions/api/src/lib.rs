//! The HTTP API: [`router`] lists the routes, [`routes`] answers them, and every refusal is an [`error::ApiError`].
//!
//! [`http::gateway`] makes an invocation fit for HTTP. A request passes [`http::observe`] (id, span, log line, panics) and
//! [`http::loops`]; below `/v1` it also passes [`auth`]. Then [`http::body`] reads its body up to the route's limit, and a
//! handler takes the arguments that it needs.

pub mod app;
pub mod auth;
pub mod config;
pub mod error;
pub mod event_names;
pub mod http;
pub mod openapi;
pub mod portal_look;
pub mod router;
pub mod routes;
