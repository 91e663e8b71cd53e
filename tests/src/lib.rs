//! The harness of the tests in `it/`. The tests call the deployed service as a customer does and receive its
//! deliveries on real local servers. The harness shares no code with the product, so it does not repeat a mistake of
//! the product.
//!
//! Reading order: [`stack`] (the stack under test), [`api`] (one request), [`project`] and [`endpoint`] (the start of
//! most tests), [`receiver`] and [`hostile`] (the servers that get deliveries), [`signature`], [`shape`], [`pages`],
//! [`cap`], [`time`], [`wait`], [`aws`], [`reset`].

pub mod api;
pub mod aws;
pub mod cap;
pub mod endpoint;
pub mod hostile;
pub mod pages;
pub mod project;
pub mod receiver;
pub mod reset;
pub mod shape;
pub mod signature;
pub mod stack;
pub mod time;
pub mod wait;
