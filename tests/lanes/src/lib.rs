//! Small isolated worlds ("lanes") that run the real functions against stand-ins for AWS, and break them on purpose.
//!
//! The functions talk HTTP to AWS, so nothing in them is made for tests: a lane starts the built binaries as Lambda
//! would, hands them invocations, answers their AWS calls, and can fail call k of a path in each way AWS can.
//!
//! In reading order: [`dynamo`] (with [`partiql`]), [`sqs`] and [`sqs_api`] stand in for AWS, [`aws`] puts them
//! together; [`iam`] checks each call against its function's role in the template, and [`partitions`] throttles the
//! calls that ask too much of one partition key; [`fault`] says which call fails and how; [`sandbox`] is one function
//! process with its runtime API and its AWS endpoint, on [`http`]; [`function`] is a pool of them; [`gateway`] and
//! [`mapping`] invoke them as API Gateway and SQS do, behind the [`throttle`]s of the stage and in chains that
//! [`lineage`] counts; [`receiver`] is the customer's server and [`relay`] a proxy of theirs; [`lane`] makes one world of
//! it all, and [`world`] holds the rows that are there from the start.
//!
//! The crash-point suite: [`path`] lists the walks, [`run`] is one walk, [`invariants`] judges it with the
//! [`activity`] lists, the signatures of [`signed`] and the keys of [`sealed`], [`suite`] walks side by side as far as
//! [`pressure`] lets it. [`tour`] makes the calls that no path makes. Beside it, [`siege`] sets [`hostile`] receivers
//! on a function, some with a certificate of an [`authority`], and looks at its [`memory`] and its [`processor`] time,
//! and [`traffic`] is a load. [`watch`] shows the bench each call, and [`wait`] waits with a deadline.

pub mod activity;
pub mod authority;
pub mod aws;
pub mod clock;
pub mod dynamo;
pub mod fault;
pub mod function;
pub mod gateway;
pub mod hostile;
pub mod http;
pub mod iam;
pub mod invariants;
pub mod lane;
pub mod lineage;
pub mod mapping;
pub mod memory;
pub mod partiql;
pub mod partitions;
pub mod path;
pub mod pressure;
pub mod processor;
pub mod receiver;
pub mod relay;
pub mod run;
pub mod sandbox;
pub mod sealed;
pub mod siege;
pub mod signed;
pub mod sqs;
pub mod sqs_api;
pub mod suite;
pub mod throttle;
pub mod tour;
pub mod traffic;
pub mod wait;
pub mod watch;
pub mod world;
