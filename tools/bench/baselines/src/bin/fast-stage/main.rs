//! Plays Lambda, AWS and the receivers for one process of each function, and hands out invocations without pauses. So
//! the measured time is the functions' own.
//!
//! It reads a script from stdin and writes a line of figures to stdout. In reading order: [`stage`] is the script and
//! the state of a run, [`aws`] answers AWS calls from memory.

mod aws;
// The bench's own file. Included here, so that neither crate depends on the other.
#[path = "../../../../src/process.rs"]
mod process;
mod stage;

use std::error::Error;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::aws::Aws;
use crate::stage::{Function, Script, Stage};

const MOST: Duration = Duration::from_secs(120);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let aws = TcpListener::bind("127.0.0.1:0").await?;
    // The receiver has its own address, because the delivery function refuses to post to Lambda's.
    let receiver = TcpListener::bind("127.0.0.1:0").await?;
    let address = aws.local_addr()?.to_string();
    let script = std::io::read_to_string(std::io::stdin())?;
    let script = script.replace("{receiver}", &receiver.local_addr()?.to_string());
    let mut script: Script = serde_json::from_str(&script)?;
    let aws_side = Aws::new(script.tables, script.root_secret, script.sealing_keys);
    let stage = Arc::new(Stage::new(aws_side, script.queue_arn));
    tokio::spawn(serve(aws, stage.clone()));
    tokio::spawn(serve(receiver, stage.clone()));

    let events = script.events.len();
    let measured = script.events.split_off(script.warm_up);
    let first = run(&script.first, &address, &stage, [script.events, measured]).await?;

    let mut jobs = stage.aws.take_jobs();
    let rest = jobs.split_off(jobs.len() * script.warm_up / events);
    let batches = [stage.batches(&jobs, script.batch), stage.batches(&rest, script.batch)];
    let delivery = run(&script.delivery, &address, &stage, batches).await?;
    println!(
        "{}",
        json!({ "deliveries": rest.len(), "received": stage.received() - jobs.len(), "first": first, "delivery": delivery })
    );
    Ok(())
}

/// The resources that a function used.
#[derive(Debug, Serialize)]
struct Used {
    /// CPU time of the invocations after the warm-up; without a warm-up, CPU time since exec.
    cpu_s: f64,
    /// Time since exec.
    wall_s: f64,
    peak_rss_mb: f64,
}

/// Runs a function for two series of invocations. The first series warms the function up.
async fn run(
    function: &Function,
    address: &str,
    stage: &Stage,
    [warm_up, measured]: [Vec<String>; 2],
) -> Result<Used, Failure> {
    let began = Instant::now();
    let mut child = Command::new(&function.binary)
        .env_clear()
        .envs(&function.env)
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or("the function has ended at once")?;
    let measure = async {
        let mut before = Duration::ZERO;
        if !warm_up.is_empty() {
            stage.invoke(warm_up).await?;
            before = process::cpu(pid);
        }
        stage.invoke(measured).await?;
        let wall_s = began.elapsed().as_secs_f64();
        let cpu_s = process::cpu(pid).saturating_sub(before).as_secs_f64();
        Ok::<_, Failure>(Used { cpu_s, wall_s, peak_rss_mb: process::peak_rss_mb(pid) })
    };
    let used = tokio::select! {
        used = timeout(MOST, measure) => used??,
        ended = child.wait() => return Err(format!("{}: {}", function.binary.display(), ended?).into()),
    };
    child.kill().await?;
    Ok(used)
}

async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let stage = stage.clone();
        let service = service_fn(move |request| answer(stage.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(stage: Arc<Stage>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let runtime = head.uri.path().strip_prefix("/2018-06-01/runtime/invocation/");
    Ok(match (target, runtime) {
        (Some(target), _) => {
            let reply = stage.aws.call(target, &body)?;
            Response::builder()
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amzn-requestid", "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG")
                .body(Full::from(reply))?
        }
        (None, Some("next")) => {
            let (id, event) = stage.next().await;
            Response::builder()
                .header("content-type", "application/json")
                .header("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{id:012}"))
                .header("lambda-runtime-deadline-ms", stage::deadline_ms().to_string())
                .header(
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:123456789012:function:f",
                )
                .body(Full::from(event))?
        }
        (None, Some(_)) => {
            stage.answered(&body);
            Response::builder().status(202).body(Full::from("{}"))?
        }
        (None, None) => {
            stage.receive();
            Response::new(Full::from("ok"))
        }
    })
}
