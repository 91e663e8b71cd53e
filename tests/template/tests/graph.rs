//! The template as a graph: AWS's requirements on resources that work together, which no emulator and no linter
//! checks.

mod support;

use std::collections::BTreeSet;

use echo_template::{STACK, Template, number};
use serde_json::{Value, json};

use support::{arn, each};

fn whole(value: &Value) -> u64 {
    format!("{}", number(value)).parse().unwrap_or_else(|_| panic!("{value} is no whole number"))
}

/// SQS refuses a statement that names another queue than the policy's own, or several, or more than seven actions
/// (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html).
#[test]
fn a_queue_policy_is_for_one_queue_and_a_statement_for_one_resource() {
    let template = Template::full();
    let mut queues_with_policy = BTreeSet::new();
    for (id, policy) in template.of_type("AWS::SQS::QueuePolicy") {
        let properties = &policy["Properties"];
        let [url] = each(&properties["Queues"])[..] else { panic!("{id} is for several queues") };
        let (queue, _) = arn(&template, "AWS::SQS::Queue", url);
        assert!(
            queues_with_policy.insert(queue),
            "{queue} has two policies, of which the later one replaces the other"
        );
        for statement in each(&properties["PolicyDocument"]["Statement"]) {
            let [resource] = each(&statement["Resource"])[..] else { panic!("{id}: several resources") };
            assert_eq!(arn(&template, "AWS::SQS::Queue", resource).0, queue, "{id}");
            assert!(each(&statement["Action"]).len() <= 7, "{id}");
        }
    }
    // docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html
    let plain = Template::load();
    let all: BTreeSet<&str> = plain.of_type("AWS::SQS::Queue").map(|(id, _)| id).collect();
    let mut closed = BTreeSet::new();
    for (_, policy) in plain.of_type("AWS::SQS::QueuePolicy") {
        for statement in each(&policy["Properties"]["PolicyDocument"]["Statement"]) {
            if statement["Condition"] == json!({ "Bool": { "aws:SecureTransport": false } }) {
                let (effect, to) = (&statement["Effect"], &statement["Principal"]);
                assert_eq!(
                    (effect, to, &statement["Action"]),
                    (&json!("Deny"), &json!("*"), &json!("sqs:*"))
                );
                closed.insert(arn(&plain, "AWS::SQS::Queue", &statement["Resource"]).0);
            }
        }
    }
    assert_eq!(closed, all, "queues that refuse requests without TLS");
    // EventBridge may send to every queue that it targets.
    for (id, rule) in template.of_type("AWS::Events::Rule") {
        for target in each(&rule["Properties"]["Targets"]) {
            // The topic of OperatorEmail has a policy of its own, and a lost e-mail no second way.
            let queues = [&target["Arn"], &target["DeadLetterConfig"]["Arn"]];
            for queue in queues.into_iter().filter(|_| id != "OperatorEmailRule") {
                let (queue, _) = arn(&template, "AWS::SQS::Queue", queue);
                assert!(queues_with_policy.contains(queue), "{id} must not send to {queue}");
            }
        }
    }
}

/// Lambda checks a function's role when it creates the function. CloudFormation first creates everything that a
/// function refers to. So the policies inside the function's role exist by then, and separate policy resources may
/// not.
#[test]
fn a_functions_role_has_all_its_policies_inside() {
    let template = Template::full();
    for (id, function) in template.of_type("AWS::Serverless::Function") {
        let (role_id, role) = arn(&template, "AWS::IAM::Role", &function["Properties"]["Role"]);
        assert!(!each(&role["Properties"]["Policies"]).is_empty(), "{role_id} of {id}");
        for kind in ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"] {
            for (policy, beside) in template.of_type(kind) {
                let properties = &beside["Properties"];
                let roles = [each(&properties["Roles"]), each(&properties["RoleName"])].concat();
                assert!(!roles.iter().any(|role| *role == role_id), "{policy} is beside {role_id}");
            }
        }
        let actions: Vec<&str> = (each(&role["Properties"]["Policies"]).into_iter())
            .flat_map(|policy| each(&policy["PolicyDocument"]["Statement"]))
            .flat_map(|statement| each(&statement["Action"]))
            .filter_map(Value::as_str)
            .collect();
        let is_in_vpc = !function["Properties"]["VpcConfig"].is_null();
        assert_eq!(actions.contains(&"ec2:CreateNetworkInterface"), is_in_vpc, "{id}");
        assert!(actions.contains(&"xray:PutTraceSegments"), "{id}");
        assert!(actions.contains(&"kms:Decrypt"), "{id}");
    }
}

/// Without the optional settings, a role has no rights for them.
#[test]
fn a_role_has_nothing_of_settings_that_are_not_set() {
    let template = Template::load();
    for (id, role) in template.of_type("AWS::IAM::Role") {
        let policies = role["Properties"]["Policies"].to_string();
        for prefix in ["ec2:", "kms:", "xray:", "events:"] {
            assert!(!policies.contains(prefix), "{id} may do {prefix}");
        }
    }
}

/// The number of receives, and the time that a received message stays hidden, for each queue that the function
/// receives from.
#[test]
fn a_batch_waits_six_function_timeouts_and_an_outage_of_two_days_gives_nothing_up() {
    let template = Template::load();
    let mut consumed = BTreeSet::new();
    for (id, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
        let (queue_id, queue) = arn(&template, "AWS::SQS::Queue", &mapping["Properties"]["EventSourceArn"]);
        let function = &mapping["Properties"]["FunctionName"];
        let function = template.resource(function.as_str().unwrap_or_else(|| panic!("{id} has no function")));
        let timeout = whole(&function["Properties"]["Timeout"]);
        let visibility = whole(&queue["Properties"]["VisibilityTimeout"]);
        // docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        assert!(visibility >= 6 * timeout, "{queue_id}: {visibility} s for a function of {timeout} s");
        consumed.insert(queue_id);
        let redrive = &queue["Properties"]["RedrivePolicy"];
        if redrive.is_null() {
            continue;
        }
        let receives = whole(&redrive["maxReceiveCount"]);
        assert!(receives <= 1_000, "SQS accepts at most 1,000");
        assert!(receives * visibility >= 48 * 3_600, "{queue_id}: {receives} receives every {visibility} s");
        // A message keeps its age when SQS moves it to the dead letter queue.
        let (_, dead_letters) = arn(&template, "AWS::SQS::Queue", &redrive["deadLetterTargetArn"]);
        let retention = |queue: &Value| whole(&queue["Properties"]["MessageRetentionPeriod"]);
        assert!(retention(dead_letters) >= retention(queue), "{queue_id}");
        // Every message that the queue accepts must fit into the dead letter queue too.
        let most = |queue: &Value| {
            let most = &queue["Properties"]["MaximumMessageSize"];
            if most.is_null() { 1_048_576 } else { whole(most) }
        };
        assert!(most(dead_letters) >= most(queue), "{queue_id}");
        assert_eq!(most(template.resource("ParkedQueue")), most(queue), "{queue_id}");
    }
    let all: BTreeSet<&str> = template.of_type("AWS::SQS::Queue").map(|(id, _)| id).collect();
    assert_eq!(
        all.difference(&consumed).collect::<Vec<_>>(),
        [&"ParkedQueue"],
        "only ParkedQueue has no consumer"
    );
}

/// `functions/delivery/src` keeps 7 s to read rows (turn/rows.rs) and 3 s to record an attempt (turn/mod.rs).
#[test]
fn the_delivery_functions_timeout_is_as_long_as_the_longest_request_needs() {
    let template = Template::with(&[("RequestTimeoutSeconds", "20")]);
    let function = &template.resource("DeliveryFunction")["Properties"];
    let request = whole(&function["Environment"]["Variables"]["REQUEST_TIMEOUT_SECONDS"]);
    assert_eq!(whole(&function["Timeout"]), 7 + request + 3);
    let supposed =
        format!("const USUAL_TIME: Duration = Duration::from_secs({});", whole(&function["Timeout"]));
    assert!(include_str!("../../../functions/delivery/src/lib.rs").contains(&supposed), "{supposed}");
}

/// A job waits for its event's row as long as the api can be writing it.
#[test]
fn the_delivery_function_knows_the_api_functions_timeout() {
    let template = Template::load();
    let told = &template.resource("DeliveryFunction")["Properties"]["Environment"]["Variables"];
    let timeout = &template.resource("ApiFunction")["Properties"]["Timeout"];
    assert_eq!(whole(&told["API_TIMEOUT_SECONDS"]), whole(timeout));
}

/// Lambda stops a chain of a function's messages to itself after about 16 invocations unless the function allows
/// recursion (docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).
#[test]
fn only_the_function_that_sends_itself_messages_may_loop() {
    let template = Template::load();
    let loops = |id: &str| template.resource(id)["Properties"]["RecursiveLoop"].clone();
    assert_eq!(loops("DeliveryFunction"), "Allow");
    assert_eq!(loops("ApiFunction"), Value::Null);
}

#[test]
fn a_table_outlives_its_stack_unless_its_first_deployment_fails() {
    let template = Template::load();
    for (id, table) in template.of_type("AWS::DynamoDB::Table") {
        assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
        assert_eq!(table["UpdateReplacePolicy"], "Retain", "{id}");
    }
}

/// docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
/// (those of standard queues)
const SQS_METRICS: [&str; 9] = [
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible",
    "NumberOfEmptyReceives",
    "NumberOfMessagesDeleted",
    "NumberOfMessagesReceived",
    "NumberOfMessagesSent",
    "SentMessageSize",
];

/// docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
const LAMBDA_METRICS: [&str; 7] = [
    "ConcurrentExecutions",
    "Duration",
    "Errors",
    "Invocations",
    "PostRuntimeExtensionsDuration",
    "RecursiveInvocationsDropped",
    "Throttles",
];

/// docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
const HTTP_API_METRICS: [&str; 6] = ["4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"];

/// docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html (those of a rule)
const RULE_METRICS: [&str; 9] = [
    "DeadLetterInvocations",
    "FailedInvocations",
    "InvocationAttempts",
    "Invocations",
    "InvocationsFailedToBeSentToDlq",
    "InvocationsSentToDlq",
    "RetryInvocationAttempts",
    "SuccessfulInvocationAttempts",
    "ThrottledRules",
];

/// The service's own metrics: those of the delivery function's log line, and those that metric filters make from logs.
fn own_metrics(template: &Template) -> BTreeSet<String> {
    let source = include_str!("../../../functions/delivery/src/metrics.rs");
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let named = |line: &str| {
        let name = line.trim().strip_prefix("(\"")?.split('"').next()?;
        name.starts_with(|first: char| first.is_ascii_uppercase()).then(|| name.to_owned())
    };
    let mut metrics: BTreeSet<String> = code.lines().filter_map(named).collect();
    assert!(metrics.len() >= 8, "this test can no longer read metrics.rs: {metrics:?}");
    for (id, filter) in template.of_type("AWS::Logs::MetricFilter") {
        for made in each(&filter["Properties"]["MetricTransformations"]) {
            assert_eq!(made["MetricNamespace"], "EchoWebhooks", "{id}");
            assert_eq!(made["Dimensions"][0]["Key"], "Stack", "{id}");
            metrics.insert(made["MetricName"].as_str().unwrap_or_default().to_owned());
        }
    }
    metrics
}

/// Panics when the metric does not exist, or the template has no such resource to measure.
fn check_metric(template: &Template, at: &str, namespace: &str, metric: &str, dimension: (&str, &str)) {
    let is_a = |kind: &str| template.of_type(kind).any(|(id, _)| id == dimension.1);
    let exists = match (namespace, dimension.0) {
        ("AWS/SQS", "QueueName") => SQS_METRICS.contains(&metric) && is_a("AWS::SQS::Queue"),
        ("AWS/Lambda", "FunctionName") => {
            LAMBDA_METRICS.contains(&metric) && is_a("AWS::Serverless::Function")
        }
        ("AWS/ApiGateway", "ApiId") => HTTP_API_METRICS.contains(&metric) && is_a("AWS::ApiGatewayV2::Api"),
        ("AWS/Events", "RuleName") => RULE_METRICS.contains(&metric) && is_a("AWS::Events::Rule"),
        ("EchoWebhooks", "Stack") => own_metrics(template).contains(metric) && dimension.1 == STACK,
        _ => false,
    };
    assert!(exists, "{at}: there is no {namespace} {metric} of {dimension:?}");
}

#[test]
fn every_alarm_stands_on_a_metric_that_exists() {
    let template = Template::full();
    let mut alarms = 0;
    for (id, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
        let properties = &alarm["Properties"];
        let combined = properties["Metrics"].as_array();
        let stats = combined.map(|metrics| metrics.iter().map(|one| &one["MetricStat"]["Metric"]).collect());
        // An alarm that computes its value from other metrics names no metric itself.
        let metrics: Vec<&Value> = stats.unwrap_or_else(|| vec![properties]);
        let metrics: Vec<&Value> = metrics.into_iter().filter(|metric| !metric.is_null()).collect();
        assert!(!metrics.is_empty(), "{id} watches no metric");
        for metric in metrics {
            let part = |name: &str| metric[name].as_str().unwrap_or_else(|| panic!("{id}: no {name}"));
            let [dimension] = each(&metric["Dimensions"])[..] else { panic!("{id}: one dimension") };
            let dimension = ["Name", "Value"].map(|part| dimension[part].as_str().unwrap_or_default());
            check_metric(&template, id, part("Namespace"), part("MetricName"), (dimension[0], dimension[1]));
        }
        alarms += 1;
    }
    assert!(alarms >= 10, "{alarms} alarms");
}

/// `OperatorEmail` hears of every alarm and of endpoints, by the bus that the delivery function may put events on.
#[test]
fn the_operators_address_hears_of_alarms_and_endpoints() {
    let address = ("OperatorEmail", "ops@example.com");
    for (settings, bus) in
        [(vec![address], "default"), (vec![address, ("OperationalEventBusName", "ops")], "ops")]
    {
        let template = Template::with(&settings);
        let topic = &template.resource("OperatorTopicPolicy")["Properties"]["Topics"][0];
        arn(&template, "AWS::SNS::Topic", topic);
        for (id, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
            assert_eq!(alarm["Properties"]["AlarmActions"], json!([topic]), "{id}");
        }
        let rule = &template.resource("OperatorEmailRule")["Properties"];
        assert_eq!((&rule["EventBusName"], &rule["Targets"][0]["Arn"]), (&json!(bus), topic));
        assert_eq!(rule["EventPattern"]["detail"]["stack"], json!([STACK]));
        let function = &template.resource("DeliveryFunction")["Properties"]["Environment"]["Variables"];
        assert_eq!(function["OPERATIONAL_EVENT_BUS_NAME"], bus);
        let may_put = template.resource("DeliveryRole")["Properties"]["Policies"].to_string();
        assert!(may_put.contains(&format!(":event-bus/{bus}\"")), "{may_put}");
        let policy =
            each(&template.resource("OperatorTopicPolicy")["Properties"]["PolicyDocument"]["Statement"]);
        let publishers: Vec<_> = policy.iter().map(|one| &one["Principal"]["Service"]).collect();
        assert_eq!(publishers, ["cloudwatch.amazonaws.com", "events.amazonaws.com"]);
    }
    // Both a topic of the operator's own and the address, or neither.
    let both = Template::full();
    let none = Template::load();
    for (id, alarm) in both.of_type("AWS::CloudWatch::Alarm") {
        assert_eq!(each(&alarm["Properties"]["AlarmActions"]).len(), 2, "{id}");
    }
    for (id, alarm) in none.of_type("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["Properties"]["AlarmActions"], json!([]), "{id}");
    }
}

/// 'Metrics that specify only the RuleName dimension refer to the default event bus. Metrics that specify both the
/// EventBusName and RuleName dimensions refer to a custom event bus.'
/// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html)
#[test]
fn alarms_on_a_rule_name_its_bus_unless_it_is_the_default_one() {
    for (bus, named) in [
        ("default", [("RuleName", "EventsRule")].as_slice()),
        ("orders", &[("EventBusName", "orders"), ("RuleName", "EventsRule")]),
    ] {
        let template = Template::with(&[("EventBusName", bus)]);
        let alarms: Vec<_> = template
            .of_type("AWS::CloudWatch::Alarm")
            .filter(|(_, alarm)| alarm["Properties"]["Namespace"] == "AWS/Events")
            .collect();
        assert_eq!(alarms.len(), 2);
        for (id, alarm) in alarms {
            let dimensions = each(&alarm["Properties"]["Dimensions"]);
            let dimensions: Vec<_> = dimensions
                .iter()
                .map(|one| ["Name", "Value"].map(|part| one[part].as_str().unwrap_or_default()).into())
                .collect::<Vec<(&str, &str)>>();
            assert_eq!(dimensions, named, "{id} on {bus}");
        }
    }
}

#[test]
fn every_line_of_the_dashboard_is_a_metric_that_exists() {
    let template = Template::full();
    let body = &template.resource("ServiceDashboard")["Properties"]["DashboardBody"];
    let body: Value = serde_json::from_str(body.as_str().expect("text")).expect("JSON");
    for widget in each(&body["widgets"]) {
        let title = widget["properties"]["title"].as_str().unwrap_or_default();
        for line in each(&widget["properties"]["metrics"]) {
            let part = |index: usize| line[index].as_str().unwrap_or_else(|| panic!("{title}: {line}"));
            check_metric(&template, title, part(0), part(1), (part(2), part(3)));
        }
    }
}
