//! The harness of the tests in `it/`: they call the deployed service as a customer does and receive its deliveries on
//! real local servers. Nothing here shares code with the product, so a mistake there is not repeated here.
//!
//! Reading order: [`stack`] (what is under test), [`api`] (one request), [`project`] and [`endpoint`] (what most tests
//! start from), [`receiver`] and [`hostile`] (who is called), [`signature`], [`shape`], [`time`], [`wait`], [`aws`].

pub mod api;
pub mod aws;
pub mod endpoint;
pub mod hostile;
pub mod project;
pub mod receiver;
pub mod shape;
pub mod signature;
pub mod stack;
pub mod time;
pub mod wait;
