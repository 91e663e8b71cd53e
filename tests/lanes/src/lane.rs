//! One isolated copy of the service: both functions, a stand-in for AWS, a gateway, five mappings and a receiver.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use echo_template::Template;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::aws::{Aws, ROOT_SECRET, SEALING_KEYS};
use crate::clock;
use crate::dynamo::Dynamo;
use crate::fault::Faults;
use crate::function::{self, Function, Kind};
use crate::gateway::{Gateway, HttpAnswer, HttpRequest};
use crate::iam::policy::Use;
use crate::iam::{Granted, Iam};
use crate::mapping::{Batches, Mapping};
use crate::partitions::Partitions;
use crate::receiver::Receiver;
use crate::sealed;
use crate::sqs::{QueueSettings, Sqs};
use crate::sqs_api::queue_url;
use crate::throttle::Throttles;
use crate::wait;
use crate::watch::Watch;

pub const FIRST_ATTEMPTS: &str = "first-attempts";
pub const RETRIES: &str = "retries";
pub const SLOW_ENDPOINTS: &str = "slow-endpoints";
pub const INTAKE: &str = "intake";
pub const DEAD: &str = "dead-letters";
pub const PARKED: &str = "parked";

/// The queues whose messages the delivery function receives.
pub const CONSUMED: [&str; 5] = [FIRST_ATTEMPTS, RETRIES, SLOW_ENDPOINTS, INTAKE, DEAD];

/// The settings in which a lane may differ from the template.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    pub name: String,
    /// The folder of the built `api` and `delivery`.
    pub binaries: PathBuf,
    /// Environment variables of both functions. They replace the lane's defaults.
    pub env: Vec<(&'static str, String)>,
    pub queue_visibility: Duration,
    pub api_timeout: Duration,
    pub delivery_timeout: Duration,
    pub max_receives: u32,
    pub in_flight_ceiling: usize,
    /// The concurrency of the api, and that of the delivery function for each queue.
    pub concurrency: usize,
    /// Whether the lane keeps every version of every delivery's row and every batch, for the invariants.
    pub with_journal: bool,
    /// The functions' roles; if absent, those of the project's template.
    pub granted: Option<Granted>,
    /// The folder for the functions' output; if absent, the output is thrown away.
    pub logs: Option<PathBuf>,
}

impl LaneSettings {
    /// For a test that counts attempts: a receiver gets so much time that a busy machine fails none of them.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.env.push(("REQUEST_TIMEOUT_SECONDS", "5".to_owned()));
        self.delivery_timeout = Duration::from_secs(30);
        self.queue_visibility = Duration::from_secs(60);
        self
    }
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            name: "lane".to_owned(),
            binaries: binaries(),
            env: Vec::new(),
            queue_visibility: Duration::from_secs(8),
            // The template's: the api of a debug build on a busy machine needs it for a large batch.
            api_timeout: Duration::from_secs(15),
            delivery_timeout: Duration::from_secs(8),
            max_receives: 960,
            in_flight_ceiling: 120_000,
            concurrency: 4,
            with_journal: true,
            granted: None,
            logs: None,
        }
    }
}

/// The folder of the built functions: `LANES_BINARIES`, or the folder in which this program was built.
#[must_use]
pub fn binaries() -> PathBuf {
    clock::setting("LANES_BINARIES").map_or_else(profile_folder, PathBuf::from)
}

/// For example `target/debug`. Test programs run from a folder below it.
#[must_use]
pub fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new(".")).to_owned();
    if folder.ends_with("deps") { folder.parent().map_or(folder.clone(), Path::to_owned) } else { folder }
}

#[derive(Debug)]
pub struct Lane {
    pub aws: Arc<Aws>,
    pub api: Arc<Function>,
    /// The gateway in front of the api.
    pub gateway: Gateway,
    pub delivery: Arc<Function>,
    pub receiver: Receiver,
    pub batches: Arc<Batches>,
    pub settings: LaneSettings,
    mappings: Vec<JoinHandle<()>>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop_mappings();
        // Refused calls that no judge has reported fail the lane's test here.
        let refused = self.aws.iam.take_refused();
        assert!(refused.is_empty() || std::thread::panicking(), "a role lacks {}", told(&refused));
    }
}

/// One line for each use.
#[must_use]
pub fn told(uses: &[Use]) -> String {
    uses.iter().map(Use::to_string).collect::<Vec<_>>().join("\n")
}

impl Lane {
    /// A lane with one warm process of each function.
    ///
    /// # Errors
    /// When no port is free or a process cannot be started.
    pub async fn start(settings: LaneSettings) -> io::Result<Self> {
        let sqs = Sqs::default();
        let plain = QueueSettings {
            visibility: settings.queue_visibility,
            ceiling: settings.in_flight_ceiling,
            ..QueueSettings::default()
        };
        let redriven =
            QueueSettings { redrive: Some((DEAD.to_owned(), settings.max_receives)), ..plain.clone() };
        for queue in [FIRST_ATTEMPTS, RETRIES, SLOW_ENDPOINTS, INTAKE] {
            sqs.create(queue, redriven.clone());
        }
        for queue in [DEAD, PARKED] {
            sqs.create(queue, plain.clone());
        }
        let known = environment(Kind::Delivery, &settings.env);
        let bus = known.get("OPERATIONAL_EVENT_BUS_NAME").map_or("", String::as_str);
        let granted = settings.granted.clone().unwrap_or_else(|| Granted::with_bus(bus));
        let aws = Arc::new(Aws {
            dynamo: Dynamo::new(settings.with_journal),
            partitions: Partitions::default(),
            sqs,
            faults: Faults::default(),
            iam: Iam::new(&granted, &known),
            watch: Watch::default(),
            sealing_keys: std::sync::Mutex::new(sealed::keys(&["k1"])),
            root_secret: "lane-root-secret-lane-root-secret-lane-root-secret-lane-root-sec".to_owned(),
            buses: std::sync::Mutex::default(),
            ended_loops: std::sync::Mutex::default(),
        });
        let function = |kind, timeout, concurrency| {
            let settings = function::Settings {
                kind,
                binary: settings.binaries.join(kind.to_string()),
                env: environment(kind, &settings.env),
                may_recurse: may_recurse(kind),
                timeout,
                concurrency,
                log: settings
                    .logs
                    .as_ref()
                    .map(|folder| folder.join(format!("{}-{kind}.log", settings.name))),
            };
            Arc::new(Function::new(settings, Arc::clone(&aws)))
        };
        let each = settings.concurrency;
        let api = function(Kind::Api, settings.api_timeout, each);
        // Each mapping has its own share of the processes, so that no queue waits for another queue's processes.
        let delivery = function(Kind::Delivery, settings.delivery_timeout, CONSUMED.len() * each);
        let (receiver, first, second) = tokio::join!(Receiver::start(), api.warm_up(), delivery.warm_up());
        first?;
        second?;
        let mut lane = Self {
            aws,
            gateway: Gateway::new(Arc::clone(&api), Throttles::of(&TEMPLATE)),
            api,
            delivery,
            receiver: receiver?,
            batches: Arc::default(),
            settings,
            mappings: Vec::new(),
        };
        lane.start_mappings();
        Ok(lane)
    }

    pub fn start_mappings(&mut self) {
        for queue in CONSUMED {
            let mapping = Mapping {
                queue: queue.to_owned(),
                concurrency: self.settings.concurrency,
                function: Arc::clone(&self.delivery),
                aws: Arc::clone(&self.aws),
                batches: self.settings.with_journal.then(|| Arc::clone(&self.batches)),
            };
            self.mappings.push(mapping.start());
        }
    }

    /// Stops all mappings. Batches under way are dropped, as if their invocations' answers were lost.
    pub fn stop_mappings(&mut self) {
        for mapping in self.mappings.drain(..) {
            mapping.abort();
        }
    }

    /// Calls the API.
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        auth: &Auth<'_>,
        body: Option<&Value>,
    ) -> HttpAnswer {
        let mut headers = BTreeMap::new();
        match auth {
            Auth::None => {}
            Auth::Key(key) => _ = headers.insert("x-api-key".to_owned(), (*key).to_owned()),
            Auth::Bearer(token) => _ = headers.insert("authorization".to_owned(), format!("Bearer {token}")),
        }
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".to_owned());
        }
        let request = HttpRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: body.map(|body| body.to_string().into()),
            source_ip: None,
        };
        self.gateway.call(request).await
    }

    /// Whether the queues of the delivery function are empty and no invocation of it runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // The queues are read one after another, and meanwhile a job may move on to a queue that is read already.
        self.looks_idle() && self.looks_idle()
    }

    fn looks_idle(&self) -> bool {
        let left: usize = CONSUMED.iter().map(|queue| self.aws.sqs.depth(queue).total()).sum();
        left == 0 && !self.delivery.is_busy()
    }

    /// Waits until the lane is idle. Returns false when that takes longer than `most`.
    pub async fn settle(&self, most: Duration) -> bool {
        wait::until(most, || self.is_idle()).await
    }

    /// Gives both functions fresh processes, which have nothing of earlier invocations in memory.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn restart_functions(&self) -> io::Result<()> {
        for function in [&self.api, &self.delivery] {
            function.cool_down();
            if !function.is_warm() {
                function.warm_up().await?;
            }
        }
        Ok(())
    }
}

static TEMPLATE: LazyLock<Template> = LazyLock::new(Template::load);

/// Whether `template.yaml` lets a function be part of a recursive loop. By default Lambda ends such a loop.
fn may_recurse(kind: Kind) -> bool {
    let function = match kind {
        Kind::Api => "ApiFunction",
        Kind::Delivery => "DeliveryFunction",
    };
    TEMPLATE.resource(function)["Properties"]["RecursiveLoop"] == "Allow"
}

/// A caller's credential.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    None,
    Key(&'a str),
    Bearer(&'a str),
}

/// The environment that the template gives a function, with times so short that a test can wait for them.
fn environment(kind: Kind, overrides: &[(&'static str, String)]) -> HashMap<String, String> {
    let memory = "256";
    let name = kind.to_string();
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", name.as_str()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "lane"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "lane"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIALANE"),
        ("AWS_SECRET_ACCESS_KEY", "lane"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("RUST_LOG", "info"),
        ("RUST_BACKTRACE", "1"),
        ("TABLES_PREFIX", ""),
        ("API_ENDPOINT", "https://lane.execute-api.us-east-1.amazonaws.com"),
        ("ROOT_SECRET_ARN", ROOT_SECRET),
        ("SEALING_KEYS_ARN", SEALING_KEYS),
        ("EVENT_NAMES", "call.started,call.ended,call.summary"),
        ("MAX_ENDPOINTS_PER_PROJECT", "50"),
        ("MAX_PROJECTS_PER_ACCOUNT", "100"),
        ("SIGNUP_POLICY", "open"),
        ("EXEMPT_NETWORKS", "127.0.0.0/8,::1/128"),
        ("RETENTION_DAYS", "30"),
        ("REQUEST_TIMEOUT_SECONDS", "1"),
        ("API_TIMEOUT_SECONDS", "2"),
        ("RETRY_DELAYS_SECONDS", "1,1,1"),
        ("DISABLE_AFTER_FAILURES", "10"),
        ("DISABLE_AFTER_SECONDS", "86400"),
    ];
    let mut env: HashMap<String, String> =
        fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, queue) in [
        ("FIRST_ATTEMPTS_QUEUE_URL", FIRST_ATTEMPTS),
        ("RETRIES_QUEUE_URL", RETRIES),
        ("SLOW_ENDPOINTS_QUEUE_URL", SLOW_ENDPOINTS),
        ("INTAKE_QUEUE_URL", INTAKE),
        ("DEAD_LETTER_QUEUE_URL", DEAD),
        ("PARKED_QUEUE_URL", PARKED),
    ] {
        env.insert(name.to_owned(), queue_url(queue));
    }
    env.extend(overrides.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env
}
