//! Both functions start with every setting that CloudFormation admits, and all settings fit into a function's
//! environment.

use std::collections::{BTreeMap, BTreeSet};

use delivery::Config as DeliveryConfig;
use echo_shared::address::AddressRules;
use echo_template::{Template, number};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Value, json};

const FUNCTIONS: [&str; 2] = ["ApiFunction", "DeliveryFunction"];

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One of the template's patterns, without the anchors at its ends: CloudFormation matches the whole value anyway.
fn pattern(parameter: &Value) -> Option<&str> {
    parameter["AllowedPattern"].as_str().map(|pattern| pattern.trim_start_matches('^').trim_end_matches('$'))
}

fn allowed_values(parameter: &Value) -> Option<Vec<String>> {
    parameter["AllowedValues"].as_array().map(|values| values.iter().map(text).collect())
}

/// Whether CloudFormation admits the value
/// (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html).
fn admits(parameter: &Value, value: &str) -> bool {
    let matches = |pattern: &str| {
        regex_lite::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern").is_match(value)
    };
    let is_number =
        parameter["Type"] != "Number" || value.parse::<f64>().is_ok_and(|value| within(parameter, value));
    allowed_values(parameter).is_none_or(|values| values.contains(&value.to_owned()))
        && pattern(parameter).is_none_or(matches)
        && parameter["MaxLength"].as_u64().is_none_or(|most| value.len() as u64 <= most)
        && is_number
}

fn within(parameter: &Value, value: f64) -> bool {
    let bound = |name: &str| Some(&parameter[name]).filter(|bound| !bound.is_null()).map(number);
    bound("MinValue").is_none_or(|least| least <= value) && bound("MaxValue").is_none_or(|most| value <= most)
}

/// Any value that CloudFormation admits.
fn any_value(name: &str, parameter: &Value) -> BoxedStrategy<String> {
    let parameter = parameter.clone();
    let any = match (allowed_values(&parameter), pattern(&parameter)) {
        (Some(values), _) => select(values).boxed(),
        (None, Some(pattern)) => {
            string_regex(pattern).unwrap_or_else(|error| panic!("{name}: {error}")).boxed()
        }
        (None, None) => {
            assert_eq!(parameter["Type"], "Number", "{name}: text of any kind is admitted");
            let (least, most) = (number(&parameter["MinValue"]), number(&parameter["MaxValue"]));
            // CloudFormation admits 1.5 as a Number too.
            prop_oneof![
                (least..=most).prop_map(|value| value.round().to_string()),
                (least..=most).prop_map(|value| value.to_string())
            ]
            .boxed()
        }
    };
    let is_exempt_networks = name == "ExemptNetworks";
    // No rule can recognize a local network, and no pattern may exclude it: developers set one to test against an
    // emulator.
    let is_local = |value: &str| AddressRules::parse(value).is_ok_and(|rules| rules.exempts_local());
    any.prop_filter("too long, or local", move |value| {
        admits(&parameter, value) && !(is_exempt_networks && is_local(value))
    })
    .boxed()
}

/// Any set of settings of which CloudFormation admits each one.
fn any_settings() -> impl Strategy<Value = Vec<(String, String)>> {
    let template = Template::load();
    let each = template.parameters().iter();
    each.map(|(name, parameter)| (Just(name.clone()), any_value(name, parameter))).collect::<Vec<_>>()
}

fn environment(template: &Template, function: &str) -> BTreeMap<String, String> {
    let variables = &template.resource(function)["Properties"]["Environment"]["Variables"];
    let variables = variables.as_object().unwrap_or_else(|| panic!("{function} has no environment"));
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The reason why one of the functions would not start with these settings.
fn refusal(settings: &[(&str, &str)]) -> Option<String> {
    let template = Template::with(settings);
    let [api, delivery] = FUNCTIONS.map(|function| environment(&template, function));
    let api = api::config::Config::from_lookup(|name| api.get(name).cloned());
    let delivery = DeliveryConfig::from_lookup(|name| delivery.get(name).cloned());
    let problems = [api.err().map(|error| error.to_string()), delivery.err().map(|error| error.to_string())];
    problems.into_iter().flatten().next()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_functions_start_with_any_settings_that_cloudformation_admits(settings in any_settings()) {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(refusal(&settings), None);
    }
}

/// For each setting the least and the greatest allowed values, and the next values beyond them.
const EXTREMES: [(&str, &[&str], &[&str]); 21] = [
    (
        "RetryDelaysSeconds",
        &["1", "39600", "39600,39599,29999,9999,1,1,1,1,1,1"],
        &["", "0", "39601", "40000", "100000", "1.5", "60,", ",60", "60, 300", "-1", "1,1,1,1,1,1,1,1,1,1,1"],
    ),
    ("RequestTimeoutSeconds", &["1", "20"], &["", "0", "21", "1.5", "-1"]),
    ("DisableAfterFailures", &["0", "999999999"], &["", "-1", "0.5", "1000000000", "01"]),
    ("DisableAfterSeconds", &["0", "999999999"], &["", "-1", "0.5", "1000000000"]),
    ("RetentionDays", &["1", "999", "2999", "3599", "3649", "3650"], &["", "0", "3651", "10000", "1.5"]),
    ("MaxEndpointsPerProject", &["1", "99", "100"], &["", "0", "101", "1.5"]),
    ("MaxProjectsPerAccount", &["1", "1000"], &["", "0", "1001", "1.5"]),
    ("MaxEventsPerMinute", &["0", "999999999"], &["", "-1", "1.5", "1000000000"]),
    ("MaxTestEventsPerMinute", &["0", "999999999"], &["", "-1", "1.5", "1000000000"]),
    ("EventNames", &["a", "A-z_0.9,a"], &["", "a,,b", "a,", "call ended", "call#ended"]),
    (
        "ExemptNetworks",
        &["", "10.0.0.0/8", "10.255.1.9/32,fd00::/8", "1:2:3:4:5:6:7:8/128", "2001:db8:1:2:3:4::/64"],
        &[
            "10.0.0.0",
            "10.0.0.0/33",
            "256.0.0.0/8",
            "10.0.0/8",
            "01.0.0.0/8",
            "fd00::/129",
            "fd00/8",
            ":/8",
            "a:b/1",
        ],
    ),
    (
        "PortalName",
        &["A", "Müller & <Söhne>"],
        &["", "a name of more than forty characters, which no header holds", "\u{7}"],
    ),
    ("PortalAccentColor", &["#000000", "#Ff9900"], &["", "red", "#fff", "#12345g", "#1234567"]),
    (
        "PortalFrameAncestors",
        &["", "https://app.example.com", "https://*.example.com:8443,http://localhost:3000,http://127.0.0.1"],
        &[
            "*",
            "https://*",
            "http://example.com",
            "https://example.com/",
            "https://example.com;script-src *",
            "https://example.com https://example.org",
            "https://a.*.com",
            "https://example..com",
            "https://example.com:",
            "'self'",
        ],
    ),
    (
        "OperatorProjectId",
        &["", "01a20259-3A57-7c63-9fb6-0c94e1b2e278"],
        &["mine", "01a202593a577c639fb60c94e1b2e278"],
    ),
    ("EventBusName", &["", "default", "a.b-c_1"], &["a b", "aws.partner/x.example/1"]),
    ("EventSources", &["", "calls.example,a/b_c-1"], &["a b", "a,", ",a", "a,,b"]),
    ("OperationalEventBusName", &["", "default", "aws.partner/x.example/1"], &["a b", "arn:aws:events"]),
    (
        "OperatorEmail",
        &["", "ops+echo@mail.example.com"],
        &["ops", "ops@example", "a@b.com,c@d.com", "a b@c.com"],
    ),
    (
        "VpcSubnetIds",
        &["", "subnet-0123abcd,subnet-0123456789abcdef0"],
        &["0123abcd", "subnet-1", "sg-0123abcd"],
    ),
    ("VpcSecurityGroupIds", &["", "sg-0123abcd"], &["subnet-0123abcd", "sg-0123abcd,"]),
];

#[test]
fn each_setting_is_admitted_up_to_its_extremes_and_not_beyond() {
    let template = Template::load();
    for (name, good, bad) in EXTREMES {
        let parameter = &template.parameters()[name];
        for value in good {
            assert!(admits(parameter, value), "{name}={value}");
            assert_eq!(refusal(&[(name, value)]), None, "{name}={value}");
        }
        for value in bad {
            assert!(!admits(parameter, value), "{name}={value}");
        }
    }
    for (name, parameter) in template.parameters() {
        assert!(admits(parameter, &text(template.value(name))), "the default of {name}");
    }
}

#[test]
fn a_vpc_needs_subnets_and_security_groups() {
    let (subnets, groups) = (("VpcSubnetIds", "subnet-0123abcd"), ("VpcSecurityGroupIds", "sg-0123abcd"));
    for (settings, is_refused) in
        [(&[][..], false), (&[subnets], true), (&[groups], true), (&[subnets, groups], false)]
    {
        let template = Template::with(settings);
        assert_eq!(
            !template.broken_rules().is_empty(),
            is_refused,
            "{settings:?}: {:?}",
            template.broken_rules()
        );
    }
}

/// The greatest number of bytes that a value of this parameter can have.
fn longest(name: &str, parameter: &Value) -> usize {
    if let Some(values) = allowed_values(parameter) {
        return values.iter().map(String::len).max().unwrap_or(0);
    }
    let by_pattern = pattern(parameter).and_then(|pattern| {
        let hir = regex_syntax::Parser::new().parse(pattern).expect("a pattern");
        hir.properties().maximum_len()
    });
    let by_length = parameter["MaxLength"].as_u64().and_then(|most| usize::try_from(most).ok());
    let lengths = [by_pattern, by_length].into_iter().flatten();
    lengths.min().unwrap_or_else(|| panic!("{name} has no longest value"))
}

/// The greatest length of a stack's name. `RANDOM` is the twelve characters that CloudFormation adds to the names that
/// it makes up (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html), and one to
/// be safe.
const STACK_NAME: usize = 128;
const RANDOM: usize = 13;
/// docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
const QUEUE_NAME: usize = 80;
const REGION: usize = "ap-southeast-1".len();

/// The first of the five parts of the UUID in a stack's id
/// (docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/pseudo-parameter-reference.html).
const FIRST_OF_STACK_ID: usize = 8;

fn first_of_stack_id() -> Value {
    let uuid = json!({ "Fn::Select": [2, { "Fn::Split": ["/", { "Ref": "AWS::StackId" }] }] });
    json!({ "Fn::Select": [0, { "Fn::Split": ["-", uuid] }] })
}

/// The greatest number of bytes that this variable can have.
fn longest_value(template: &Template, written: &Value) -> usize {
    if let Some(plain) = written.as_str() {
        return plain.len();
    }
    if let Some([_, yes, no]) = written["Fn::If"].as_array().map(Vec::as_slice) {
        return longest_value(template, yes).max(longest_value(template, no));
    }
    if let Some(parts) = written["Fn::Join"][1].as_array() {
        let between = written["Fn::Join"][0].as_str().expect("a separator").len() * (parts.len() - 1);
        return between + parts.iter().map(|part| longest_value(template, part)).sum::<usize>();
    }
    if *written == first_of_stack_id() {
        return FIRST_OF_STACK_ID;
    }
    let id = written["Ref"].as_str().or(written["Fn::GetAtt"][0].as_str());
    let id = id.unwrap_or_else(|| panic!("a variable that is not understood here: {written}"));
    if let Some(parameter) = template.parameters().get(id) {
        return longest(id, parameter);
    }
    let name = STACK_NAME + 1 + id.len() + 1 + RANDOM;
    let kind = template.resources().get(id).and_then(|resource| resource["Type"].as_str());
    match kind.unwrap_or(id) {
        "AWS::StackName" => STACK_NAME,
        "AWS::SQS::Queue" => "https://sqs..amazonaws.com.cn/123456789012/".len() + REGION + QUEUE_NAME,
        "AWS::SecretsManager::Secret" => {
            "arn:aws-us-gov:secretsmanager::123456789012:secret:-123456".len() + REGION + name
        }
        // The API's address: an id of ten characters and the region.
        "AWS::ApiGatewayV2::Api" => "https://abcdefghij.execute-api..amazonaws.com.cn".len() + REGION,
        other => panic!("a variable that names a {other}"),
    }
}

/// The functions get the beginning of the tables' names and add the rest themselves.
#[test]
fn the_tables_have_the_names_that_the_functions_use() {
    use echo_shared::store::{RegistryTables, Tables};
    let template = Template::load();
    let prefix = &environment(&template, "ApiFunction")["TABLES_PREFIX"];
    assert_eq!(*prefix, environment(&template, "DeliveryFunction")["TABLES_PREFIX"]);
    let Tables { event_types, routes, endpoints, events, deliveries, replays, streams, stats, audit } =
        Tables::of(prefix);
    let RegistryTables { accounts, login_failures, sessions, projects, api_keys, api_key_hashes, .. } =
        RegistryTables::of(prefix);
    let used = BTreeSet::from([
        (event_types, "EventTypesTable"),
        (routes, "RoutesTable"),
        (endpoints, "EndpointsTable"),
        (events, "EventsTable"),
        (deliveries, "DeliveriesTable"),
        (replays, "ReplaysTable"),
        (streams, "StreamsTable"),
        (stats, "StatsTable"),
        (audit, "AuditTable"),
        (accounts, "AccountsTable"),
        (login_failures, "LoginFailuresTable"),
        (sessions, "SessionsTable"),
        (projects, "ProjectsTable"),
        (api_keys, "ApiKeysTable"),
        (api_key_hashes, "ApiKeyHashesTable"),
        (format!("{prefix}budgets"), "BudgetsTable"),
    ]);
    let tables = template.of_type("AWS::DynamoDB::Table");
    let named: BTreeSet<_> = tables.map(|(id, _)| (template.reference(id), id)).collect();
    assert_eq!(named, used);
}

/// Lambda refuses an environment of more than 4 KB in all
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). The text of its refusal shows that it measures
/// the variables as a JSON object.
#[test]
fn no_environment_passes_4_kb_with_every_setting_at_its_longest() {
    let template = Template::load();
    for function in FUNCTIONS {
        let written = &template.written()["Resources"][function]["Properties"]["Environment"]["Variables"];
        let written = written.as_object().expect("variables");
        let entry = |(name, value): (&String, &Value)| {
            r#""":"","#.len() + name.len() + longest_value(&template, value)
        };
        let bytes = "{}".len() + written.iter().map(entry).sum::<usize>();
        println!("{function}: {bytes} bytes at most");
        assert!(bytes <= 4_096, "{function} can have {bytes} bytes of environment");
    }
}

/// EventBridge accepts a pattern of up to 2,048 characters
/// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html). The shortest source, one letter, needs four of
/// them: `"a",`.
#[test]
fn the_events_rule_takes_as_many_sources_as_the_setting() {
    let longest = longest("EventSources", &Template::load().parameters()["EventSources"]);
    let sources = vec!["a"; longest.div_ceil(2)].join(",");
    let template = Template::with(&[("EventBusName", "default"), ("EventSources", &sources)]);
    let pattern = template.resource("EventsRule")["Properties"]["EventPattern"].to_string();
    assert!(pattern.len() <= 2_048, "{} characters", pattern.len());
}

/// Every name passes: the account's event types decide, and the rule cannot know them.
#[test]
fn the_events_rule_takes_the_listed_sources_or_all_but_its_own() {
    let pattern = |listed: &str| {
        let template = Template::with(&[("EventBusName", "default"), ("EventSources", listed)]);
        template.resource("EventsRule")["Properties"]["EventPattern"].clone()
    };
    assert_eq!(pattern("calls.example,shop"), json!({ "source": ["calls.example", "shop"] }));
    let own = json!([{ "anything-but": ["echo-webhooks"] }]);
    assert_eq!(pattern(""), json!({ "source": own, "detail": { "project_id": [{ "exists": true }] } }));
}
