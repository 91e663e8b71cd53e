//! IAM: each call that a function makes to AWS is checked against the function's role in the template. [`Iam`] keeps
//! the refused uses, so that the lane's test fails. It also keeps the allowed uses, so that a test finds grants that
//! nothing uses. (Rejected: iam-rs, because it brings chrono.)

mod needs;
pub mod policy;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use echo_template::{ACCOUNT, REGION, Template};
use serde_json::json;

use crate::aws::Call;
use crate::function::Kind;
use crate::http::Reply;
use needs::{On, needs};
use policy::{Roles, Use};

/// The permissions of a lane's functions, and the uses that the functions made of them.
#[derive(Debug)]
pub struct Iam {
    roles: Arc<Roles>,
    /// ARNs by the names that the lane's functions use: tables' names, queues' URLs and the secret's ARN.
    arns: HashMap<String, String>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    used: BTreeSet<Use>,
    refused: BTreeSet<Use>,
}

/// The roles and resources of the template that a lane runs with.
#[derive(Debug, Clone)]
pub struct Granted {
    roles: Arc<Roles>,
    /// For each environment variable that names a resource: the resource's ARN.
    variables: Arc<BTreeMap<String, String>>,
    /// For each table, by its name without the beginning that all names share: its ARN.
    tables: Arc<BTreeMap<String, String>>,
}

impl Granted {
    #[must_use]
    pub fn by(template: &Template) -> Self {
        let resources = template.resources().keys();
        let arn_of: HashMap<String, String> =
            resources.filter_map(|id| Some((template.reference(id), template.arn(id)?))).collect();
        let functions = template.of_type("AWS::Serverless::Function");
        let written: BTreeMap<String, String> = functions
            .flat_map(|(_, function)| function["Properties"]["Environment"]["Variables"].as_object())
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let prefix = &written["TABLES_PREFIX"];
        let tables = template.of_type("AWS::DynamoDB::Table").filter_map(|(id, _)| {
            Some((template.reference(id).strip_prefix(prefix)?.to_owned(), template.arn(id)?))
        });
        let tables = tables.collect();
        let variables = written
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), arn_of.get(value)?.clone())))
            .collect();
        Self {
            roles: Arc::new(Roles::of(template)),
            variables: Arc::new(variables),
            tables: Arc::new(tables),
        }
    }

    /// The project's template, with this bus for operational events. The template is read once for each bus.
    #[must_use]
    pub fn with_bus(bus: &str) -> Self {
        static KNOWN: Mutex<BTreeMap<String, Granted>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Self::by(&Template::with(&[("OperationalEventBusName", bus)]));
        known.entry(bus.to_owned()).or_insert_with(read).clone()
    }
}

impl Iam {
    /// The permissions of functions that have this environment.
    #[must_use]
    pub fn new(granted: &Granted, env: &HashMap<String, String>) -> Self {
        let named = |(name, arn): (&String, &String)| Some((env.get(name)?.clone(), arn.clone()));
        let prefix = env.get("TABLES_PREFIX").map_or("", String::as_str);
        let tables = granted.tables.iter().map(|(name, arn)| (format!("{prefix}{name}"), arn.clone()));
        Self {
            roles: Arc::clone(&granted.roles),
            arns: granted.variables.iter().filter_map(named).chain(tables).collect(),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// AWS's answer to a call that the function's role does not allow; `None` for an allowed call.
    #[must_use]
    pub fn refusal(&self, kind: Kind, call: &Call<'_>) -> Option<Reply> {
        let wanted = needs(call).into_iter().map(|need| Use {
            kind,
            action: need.action,
            resource: self.arn(&need.on),
        });
        let (allowed, refused): (Vec<_>, Vec<_>) =
            wanted.partition(|wanted| self.roles.allow(wanted, &BTreeMap::new()));
        let reply = refused.first().map(denied);
        let mut seen = self.seen();
        seen.used.extend(allowed);
        seen.refused.extend(refused);
        reply
    }

    /// Returns the refused uses and forgets them. Each one is a fault of the template.
    pub fn take_refused(&self) -> Vec<Use> {
        std::mem::take(&mut self.seen().refused).into_iter().collect()
    }

    /// The uses that the roles allowed.
    #[must_use]
    pub fn used(&self) -> BTreeSet<Use> {
        self.seen().used.clone()
    }

    fn arn(&self, on: &On) -> String {
        let known = |name: &str| self.arns.get(name).cloned().unwrap_or_else(|| format!("unknown:{name}"));
        match on {
            On::Table(name) | On::Queue(name) | On::Secret(name) => known(name),
            On::Index(table, index) => format!("{}/index/{index}", known(table)),
            On::Bus(name) if name.starts_with("arn:") => name.clone(),
            On::Bus(name) => format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"),
            On::Unknown => "*".to_owned(),
        }
    }
}

/// A refusal in the form of docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
fn denied(refused: &Use) -> Reply {
    let Use { kind, action, resource } = refused;
    let message = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/{kind} is not authorized to perform: {action} on resource: \
         {resource} because no identity-based policy allows the {action} action"
    );
    let body = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message });
    Reply { status: 400, body: body.to_string() }
}

/// The grants that no call used, except those that AWS uses with the function's role or on its behalf.
#[must_use]
pub fn unused(template: &Template, used: &BTreeSet<Use>) -> Vec<Use> {
    let roles = Roles::of(template);
    let is_used = |grant: &Use| used.iter().any(|taken| grant.covers(taken));
    roles.grants().filter(|grant| !is_used(grant) && !is_aws_own(template, grant)).collect()
}

/// Actions that AWS itself takes with a function's role or on the function's behalf: the start of an action, and a
/// part of its resource. No call of the function shows these actions.
const AWS_OWN: [(&str, &str); 4] = [
    // The function's log: docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    ("logs:", "log-group"),
    // Network interfaces: docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    ("ec2:", "*"),
    // Traces: docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    ("xray:", "*"),
    // DynamoDB, SQS and Secrets Manager use a key with their caller's permission:
    // docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html,
    // docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html and
    // docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    ("kms:", ":kms:"),
];

/// The actions that a queue's event source mapping takes with the function's role:
/// docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
pub const OF_MAPPINGS: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

fn is_aws_own(template: &Template, grant: &Use) -> bool {
    let is_listed = |(service, resource): &(&str, &str)| {
        grant.action.starts_with(service) && grant.resource.contains(resource)
    };
    let is_of_mapping = OF_MAPPINGS.contains(&grant.action.as_str())
        && grant.kind == Kind::Delivery
        && mapped_queues(template).contains(&grant.resource);
    AWS_OWN.iter().any(is_listed) || is_of_mapping
}

/// ARNs of the queues whose messages the delivery function receives.
#[must_use]
pub fn mapped_queues(template: &Template) -> Vec<String> {
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping");
    mappings.filter_map(|(_, one)| one["Properties"]["EventSourceArn"].as_str().map(str::to_owned)).collect()
}

/// The uses that the mappings need and that the delivery function's role does not allow. Lambda refuses to create a
/// mapping without them.
#[must_use]
pub fn missing_for_mappings(template: &Template) -> Vec<Use> {
    let roles = Roles::of(template);
    let queues = mapped_queues(template);
    let needed = queues.iter().flat_map(|queue| {
        OF_MAPPINGS.map(|action| Use {
            kind: Kind::Delivery,
            action: action.to_owned(),
            resource: queue.clone(),
        })
    });
    needed.filter(|wanted| !roles.allow(wanted, &BTreeMap::new())).collect()
}
