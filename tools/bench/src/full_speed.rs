//! The functions on a stage that answers at once. `fast-stage` plays Lambda, AWS and the receivers from memory, in a
//! process of its own, so that the figures contain no wait and no slow stand-in.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::PoisonError;

use echo_lanes::dynamo::Dynamo;
use echo_lanes::function::Settings;
use echo_lanes::lane::FIRST_ATTEMPTS;
use echo_lanes::mapping;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::cost::Way;
use crate::stage::{self, Stage};

/// The parameters of a run: a function that gets invocations, and a delivery function that gets the jobs they queue.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) way: Way,
    /// The API function, or the delivery function if events come in through the queue.
    pub(crate) first: &'a Path,
    pub(crate) delivery: &'a Path,
    pub(crate) invocations: &'a [String],
    /// The number of invocations that only warm the function up.
    pub(crate) warm_up: usize,
    pub(crate) batch: usize,
}

/// The results of a run, without the warm-up.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Ran {
    pub(crate) deliveries: usize,
    pub(crate) received: usize,
    pub(crate) first: Used,
    pub(crate) delivery: Used,
}

/// The resources that a function used.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Used {
    /// CPU time of the invocations after the warm-up; without a warm-up, CPU time since exec.
    pub(crate) cpu_s: f64,
    /// Time since exec.
    pub(crate) wall_s: f64,
    pub(crate) peak_rss_mb: f64,
}

pub(crate) async fn run(stage: &Stage, run: &Run<'_>) -> io::Result<Ran> {
    let table = |name: &'static str| {
        let key: Vec<&str> = Dynamo::key(name).collect();
        (name, json!({ "key": key, "items": stage.lane.aws.dynamo.items(name) }))
    };
    let tables: HashMap<&str, Value> = Dynamo::tables().map(table).collect();
    let (api, delivery) = (&stage.lane.api.settings, &stage.lane.delivery.settings);
    let first = match run.way {
        Way::Https | Way::HttpsBatch => api,
        Way::Queue | Way::QueueWithoutIds => delivery,
    };
    let function = |binary: &Path, settings: &Settings| {
        let mut env = settings.env.clone();
        if *binary != settings.binary {
            env.extend(one_bundle());
        }
        json!({ "binary": binary, "env": env })
    };
    let script = json!({
        "first": function(run.first, first),
        "delivery": function(run.delivery, delivery),
        "tables": tables,
        "root_secret": stage.lane.aws.root_secret,
        "sealing_keys": *stage.lane.aws.sealing_keys.lock().unwrap_or_else(PoisonError::into_inner),
        "events": run.invocations,
        "warm_up": run.warm_up,
        "queue_arn": mapping::arn(FIRST_ATTEMPTS),
        "batch": run.batch,
    });
    // The endpoints' URLs must lead to the receiver that the stage plays.
    let script = script.to_string().replace(&stage.lane.receiver.address().to_string(), "{receiver}");
    let program = stage::binaries().join("fast-stage");
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{}: {}", program.display(), output.status)));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Lambda's image has one bundle of root certificates. Debian also has a folder of certificates, which a baseline would read
/// too; the functions read the bundle alone.
fn one_bundle() -> Option<(String, String)> {
    let bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
    let bundle = bundles.into_iter().find(|path| Path::new(path).is_file());
    bundle.map(|path| ("SSL_CERT_FILE".to_owned(), path.to_owned()))
}
