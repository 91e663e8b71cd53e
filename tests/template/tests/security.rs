//! What the template encrypts, logs and denies (docs/security.md).

mod support;

use std::collections::BTreeSet;

use echo_template::{STACK, Template};
use serde_json::{Value, json};

use support::{arn, each};

/// Lambda manages a function's network interfaces with the function's role. AWS advises to deny these actions to the
/// function's code (docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html and permissions-source-function-arn.html).
#[test]
fn a_functions_code_has_none_of_the_rights_that_lambda_needs_for_its_network() {
    let template = Template::full();
    let statements = |effect: &str| -> BTreeSet<String> {
        let policies = each(&template.resource("DeliveryRole")["Properties"]["Policies"]);
        let all = policies.into_iter().flat_map(|policy| each(&policy["PolicyDocument"]["Statement"]));
        let of_effect = all.filter(|one| one["Effect"] == effect).inspect(|one| {
            let condition = &one["Condition"]["ArnLike"]["lambda:SourceFunctionArn"];
            assert_eq!(condition.is_string(), effect == "Deny", "{one}");
        });
        let actions = of_effect.flat_map(|one| each(&one["Action"])).filter_map(Value::as_str);
        actions.filter(|action| action.starts_with("ec2:")).map(str::to_owned).collect()
    };
    let allowed = statements("Allow");
    assert!(!allowed.is_empty() && allowed.is_subset(&statements("Deny")), "{allowed:?}");
}

/// What is kept at rest, and the property that names its key.
const KEPT: [(&str, &str); 4] = [
    ("AWS::DynamoDB::Table", "/SSESpecification/KMSMasterKeyId"),
    ("AWS::SQS::Queue", "/KmsMasterKeyId"),
    ("AWS::Logs::LogGroup", "/KmsKeyId"),
    ("AWS::SecretsManager::Secret", "/KmsKeyId"),
];

#[test]
fn the_operators_key_encrypts_tables_queues_logs_and_the_secret() {
    for (template, is_set) in [(Template::full(), true), (Template::load(), false)] {
        for (kind, property) in KEPT {
            let mut resources = template.of_type(kind).peekable();
            assert!(resources.peek().is_some(), "the template has no {kind}");
            for (id, resource) in resources {
                let key = resource["Properties"].pointer(property);
                assert_eq!(key, is_set.then_some(template.value("KmsKeyArn")), "{id}");
                if kind == "AWS::SQS::Queue" {
                    // SQS takes one of the two, and is never without encryption.
                    let by_sqs = resource["Properties"].get("SqsManagedSseEnabled");
                    assert_eq!(by_sqs, (!is_set).then_some(&json!(true)), "{id}");
                }
            }
        }
    }
    // The services through which a role may use the key are those that its function calls.
    let template = Template::full();
    for (role, services) in [
        ("ApiRole", &["dynamodb", "sqs", "secretsmanager"][..]),
        ("DeliveryRole", &["dynamodb", "sqs", "secretsmanager"]),
    ] {
        let policies = each(&template.resource(role)["Properties"]["Policies"]);
        let mut all = policies.into_iter().flat_map(|policy| each(&policy["PolicyDocument"]["Statement"]));
        let of_key =
            all.find(|one| one["Resource"] == *template.value("KmsKeyArn")).expect("a statement on the key");
        let through: Vec<String> =
            services.iter().map(|service| format!("{service}.us-east-1.amazonaws.com")).collect();
        assert_eq!(of_key["Condition"], json!({ "StringEquals": { "kms:ViaService": through } }), "{role}");
    }
}

/// A caller's text in the access log could forge the fields that the metric filter reads.
#[test]
fn the_stage_has_an_access_log_of_json_without_the_callers_own_text() {
    let template = Template::full();
    let stage = &template.resource("ApiStage")["Properties"]["AccessLogSettings"];
    let (group, properties) = arn(&template, "AWS::Logs::LogGroup", &stage["DestinationArn"]);
    assert_eq!(group, "AccessLogs");
    assert_eq!(properties["Properties"]["RetentionInDays"], *template.value("LogRetentionDays"));
    let line: Value = serde_json::from_str(stage["Format"].as_str().expect("text")).expect("JSON");
    let fields: BTreeSet<&str> =
        line.as_object().expect("an object").values().filter_map(Value::as_str).collect();
    let of_aws = [
        "$context.requestId",
        "$context.identity.sourceIp",
        "$context.httpMethod",
        "$context.routeKey",
        "$context.status",
        "$context.responseLength",
        "$context.responseLatency",
        STACK,
    ];
    assert_eq!(fields, of_aws.into());
    let filter = &template.resource("AuthRefusedMetric")["Properties"];
    assert_eq!(filter["LogGroupName"], group);
    let pattern = filter["FilterPattern"].as_str().expect("a pattern");
    for read in pattern.split("$.").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        assert!(line.get(read).is_some(), "the log has no {read}");
    }
    for route in
        template.of_type("AWS::ApiGatewayV2::Route").map(|(_, route)| &route["Properties"]["RouteKey"])
    {
        let route = route.as_str().expect("a key");
        assert_eq!(route.contains("/auth/"), route != "$default", "{route} and the pattern {pattern}");
    }
}
