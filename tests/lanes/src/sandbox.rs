//! One process of a function. One port serves both the runtime API that the process polls and the AWS endpoint that
//! it calls.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request};
use tokio::process::Command;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::aws::{Aws, Call};
use crate::clock::now_millis;
use crate::fault::Fault;
use crate::function::Kind;
use crate::http::{self, Answer, Broken, Server};
use crate::partitions;
use crate::watch::Seen;

/// The reason why an invocation ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The process died.
    Crashed,
    /// The lane killed the process at the invocation's deadline, as Lambda does.
    TimedOut,
    /// The function reported an error, or its answer was too large.
    Reported(String),
}

/// Lambda accepts no larger answer (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const MOST_ANSWER: usize = 6 * 1024 * 1024;

type Reply = oneshot::Sender<Result<Bytes, Failed>>;

struct Work {
    id: u64,
    event: Bytes,
    trace: String,
    deadline: u64,
    reply: Reply,
}

struct Inner {
    kind: Kind,
    aws: Arc<Aws>,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Work>>,
    current: Mutex<Option<(u64, Reply)>>,
    kill: Notify,
    exited: watch::Receiver<bool>,
    has_worked: AtomicBool,
}

/// A running function process.
pub struct Sandbox {
    pub pid: u32,
    inner: Arc<Inner>,
    outbox: mpsc::Sender<Work>,
    monitor: JoinHandle<()>,
    _server: Server,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sandbox({} {})", self.inner.kind, self.pid)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The monitor owns the child process. When the monitor ends, the child is killed.
        self.monitor.abort();
    }
}

impl Sandbox {
    /// Starts `binary` as Lambda would.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub async fn start(
        kind: Kind,
        binary: &Path,
        env: &HashMap<String, String>,
        log: Option<&Path>,
        aws: Arc<Aws>,
    ) -> io::Result<Self> {
        let (outbox, inbox) = mpsc::channel(1);
        let (exit, exited) = watch::channel(false);
        let inner = Arc::new(Inner {
            kind,
            aws,
            inbox: tokio::sync::Mutex::new(inbox),
            current: Mutex::default(),
            kill: Notify::new(),
            exited,
            has_worked: AtomicBool::new(false),
        });
        let handler = Arc::clone(&inner);
        let server = http::serve(move |request| {
            let inner = Arc::clone(&handler);
            async move { inner.handle(request).await }
        })
        .await?;
        let output = || match log {
            Some(path) => std::fs::OpenOptions::new().create(true).append(true).open(path).map(Stdio::from),
            None => Ok(Stdio::null()),
        };
        let address = server.address.to_string();
        let mut child = Command::new(binary)
            .env_clear()
            .envs(env)
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_ENDPOINT_URL", format!("http://{address}"))
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", binary.display())))?;
        let pid = child.id().unwrap_or(0);
        let watched = Arc::clone(&inner);
        let monitor = tokio::spawn(async move {
            tokio::select! {
                _ = child.wait() => {}
                () = watched.kill.notified() => {
                    let _ = child.start_kill();
                    let _ = child.wait().await;
                }
            }
            let _ = exit.send(true);
            watched.finish(None, Err(Failed::Crashed));
        });
        Ok(Self { pid, inner, outbox, monitor, _server: server })
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        !*self.inner.exited.borrow()
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) {
        self.inner.kill().await;
    }

    /// Whether the process has received an invocation.
    #[must_use]
    pub fn has_worked(&self) -> bool {
        self.inner.has_worked.load(Ordering::Relaxed)
    }

    /// Hands the process one invocation and waits for its answer.
    ///
    /// # Errors
    /// When the process gives no answer. The process is then dead, unless the failure is [`Failed::Reported`].
    pub async fn invoke(
        &self,
        id: u64,
        event: Bytes,
        trace: String,
        timeout: Duration,
    ) -> Result<Bytes, Failed> {
        let (reply, answer) = oneshot::channel();
        let deadline = now_millis() + u64::try_from(timeout.as_millis()).unwrap_or(0);
        let work = Work { id, event, trace, deadline, reply };
        if self.outbox.send(work).await.is_err() || !self.is_alive() {
            return Err(Failed::Crashed);
        }
        tokio::select! {
            answer = answer => answer.unwrap_or(Err(Failed::Crashed)),
            () = self.inner.exited() => Err(Failed::Crashed),
            () = tokio::time::sleep(timeout) => {
                self.kill().await;
                Err(Failed::TimedOut)
            }
        }
    }
}

impl Inner {
    async fn kill(&self) {
        self.kill.notify_one();
        self.exited().await;
    }

    async fn exited(&self) {
        let mut exited = self.exited.clone();
        drop(exited.wait_for(|exited| *exited).await);
    }

    fn finish(&self, id: Option<u64>, result: Result<Bytes, Failed>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((running, _)) = current.as_ref()
            && id.is_none_or(|id| id == *running)
            && let Some((_, reply)) = current.take()
        {
            let _ = reply.send(result);
        }
    }

    fn invocation(&self) -> u64 {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(0, |(id, _)| *id)
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Broken> {
        let path = request.uri().path().to_owned();
        let Some(runtime) = path.strip_prefix("/2018-06-01/runtime/") else {
            // The port may have been a receiver's, and another lane may still deliver to that one. Each call to AWS is signed.
            let signature = request.headers().get("authorization").map(hyper::header::HeaderValue::as_bytes);
            if signature.is_some_and(|signature| signature.starts_with(b"AWS4-HMAC-SHA256 ")) {
                return self.aws_call(request).await;
            }
            return Ok(http::answer(404, "text/plain", "not a call to AWS"));
        };
        if request.method() == Method::GET && runtime == "invocation/next" {
            return self.next().await;
        }
        let body = http::body(request).await?;
        let mut parts = runtime.split('/').skip(1);
        let id = parts.next().and_then(|id| id.rsplit('-').next()).and_then(|id| id.parse().ok());
        match parts.next() {
            Some("response") if body.len() > MOST_ANSWER => {
                self.finish(id, Err(Failed::Reported("Function.ResponseSizeTooLarge".to_owned())));
                return Ok(http::answer(413, "application/json", "{}"));
            }
            Some("response") => self.finish(id, Ok(body)),
            Some("error") => {
                let text = String::from_utf8_lossy(&body).into_owned();
                self.finish(id, Err(Failed::Reported(text)));
            }
            _ => eprintln!("{}: could not start: {}", self.kind, String::from_utf8_lossy(&body)),
        }
        Ok(http::answer(202, "application/json", "{}"))
    }

    async fn next(&self) -> Result<Answer, Broken> {
        let work = self.inbox.lock().await.recv().await.ok_or(Broken)?;
        let Work { id, event, trace, deadline, reply } = work;
        self.has_worked.store(true, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, reply));
        let mut answer = http::answer(200, "application/json", event);
        let headers = answer.headers_mut();
        let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:{}", self.kind);
        for (name, value) in [
            ("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{id:012}")),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", arn),
            ("lambda-runtime-trace-id", trace),
        ] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        Ok(answer)
    }

    async fn aws_call(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Broken> {
        let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let (target, trace) = (header("x-amz-target").unwrap_or_default(), header("x-amzn-trace-id"));
        let body = http::body(request).await?;
        let started = Instant::now();
        let is_dynamodb = target.starts_with("DynamoDB");
        let body = self.aws.watch.metered(is_dynamodb, String::from_utf8_lossy(&body).into_owned());
        let call = Call::new(&target, &body, trace.as_deref());
        let fault = self.aws.faults.on_call(self.kind, self.invocation(), &call.what());
        let reply = match fault {
            _ if let Some(refusal) = self.aws.iam.refusal(self.kind, &call) => refusal,
            None | Some(Fault::Partial | Fault::Stale) => self.aws.perform(&call, fault),
            Some(Fault::Refused) => return Err(Broken),
            Some(Fault::ServerError) => http::Reply::error(500, "InternalServerError", "failed on purpose"),
            Some(Fault::Throttled) => call.throttled(),
            Some(Fault::Swallowed) => call.pretended(),
            Some(Fault::Lost) => {
                self.aws.perform(&call, fault);
                return Err(Broken);
            }
            Some(Fault::Slow) => {
                self.aws.perform(&call, fault);
                std::future::pending().await
            }
            Some(Fault::Late) => {
                let aws = Arc::clone(&self.aws);
                let (target, body, trace, late) = (target.clone(), body.clone(), trace.clone(), call.late());
                // A task of its own carries the call out even after the client has given up.
                let held = tokio::spawn(async move {
                    tokio::time::sleep(late).await;
                    aws.perform(&Call::new(&target, &body, trace.as_deref()), fault)
                });
                held.await.map_err(|_| Broken)?
            }
            Some(Fault::KillBefore) => {
                self.kill().await;
                return Err(Broken);
            }
            Some(Fault::KillAfter) => {
                self.aws.perform(&call, fault);
                self.kill().await;
                return Err(Broken);
            }
        };
        if partitions::is_throttling(&reply) {
            self.aws.faults.disturbed(self.invocation());
        }
        self.aws.watch.travel(started).await;
        self.aws.watch.note(|| Seen {
            kind: self.kind,
            invocation: self.invocation(),
            is_sqs: call.is_sqs(),
            operation: call.operation.to_owned(),
            what: call.what(),
            request_bytes: body.len(),
            reply: reply.clone(),
            started,
            ended: Instant::now(),
        });
        let version = if call.service == "secretsmanager" { "1.1" } else { "1.0" };
        Ok(http::answer(reply.status, &format!("application/x-amz-json-{version}"), reply.body))
    }
}
