//! Small isolated worlds ("lanes") that run the real functions against stand-ins for AWS, and break them on purpose.
//!
//! The functions talk HTTP to AWS, so nothing in them is made for tests: a lane starts the built binaries as Lambda
//! would, hands them invocations, answers their AWS calls, and can fail call k of a path in each way AWS can.
//!
//! In reading order: [`dynamo`], [`sqs`] and [`sqs_api`] stand in for AWS; [`fault`] says which call fails and how;
//! [`sandbox`] is one function process with its runtime API and its AWS endpoint; [`function`] is a pool of them;
//! [`gateway`] and [`mapping`] invoke them as API Gateway and SQS do; [`receiver`] is the customer's server; [`lane`]
//! puts one world together and [`world`] what stands in it from the start; [`invariants`] judges what happened;
//! [`path`] lists what the crash-point suite walks through and [`suite`] walks.

pub mod aws;
pub mod clock;
pub mod dynamo;
pub mod fault;
pub mod function;
pub mod gateway;
pub mod hostile;
pub mod http;
pub mod invariants;
pub mod lane;
pub mod mapping;
pub mod memory;
pub mod path;
pub mod pressure;
pub mod receiver;
pub mod run;
pub mod sandbox;
pub mod siege;
pub mod signed;
pub mod sqs;
pub mod sqs_api;
pub mod suite;
pub mod traffic;
pub mod watch;
pub mod world;
