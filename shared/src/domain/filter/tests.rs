use serde_json::json;

use super::*;
use crate::event::EventContent;
use crate::event_name::EventName;
use crate::id::EventId;
use crate::time::Timestamp;

fn compile(pattern: &str) -> Result<Filter, Wrong> {
    let json: &RawValue = serde_json::from_str(pattern).expect("JSON");
    Filter::compile(&FilterText::new(json)?)
}

/// The envelope of an event with this data.
fn envelope(data: &str) -> Vec<u8> {
    let content = EventContent {
        name: EventName::from_stored("call.ended"),
        customer_id: Some("cust-7".to_owned()),
        notification_id: None,
        data: serde_json::from_str(data).expect("JSON"),
    };
    content.envelope(&EventId::new(Timestamp::from_millis(1_776_009_119_499)))
}

fn matches(pattern: &str, data: &str) -> bool {
    let filter = compile(pattern).unwrap_or_else(|wrong| panic!("{pattern} {wrong}"));
    filter.matches(&Document::new(&envelope(data)))
}

/// Checks a pattern over the data against data that it must match, and data that it must not match.
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    let pattern = format!(r#"{{"data": {pattern}}}"#);
    for data in matching {
        assert!(matches(&pattern, data), "{pattern} must match {data}");
    }
    for data in others {
        assert!(!matches(&pattern, data), "{pattern} must not match {data}");
    }
}

/// The event of Event Ruler's documentation, whose examples of patterns follow
/// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html, github.com/aws/event-ruler).
const EC2: &str = r#"{
    "time": "2017-10-02T16:24:49Z", "region": "us-east-1", "source": "aws.ec2",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
    "detail": {"c-count": 5, "d-count": 3, "x-limit": 301.8, "source-ip": "10.0.0.33", "state": "running"}
}"#;

#[test]
fn the_examples_of_aws_match_as_aws_says() {
    for pattern in [
        r#"{"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
            "detail": {"state": ["initializing", "running"]}}"#,
        r#"{"time": [{"prefix": "2017-10-02"}]}"#,
        r#"{"source": [{"suffix": "ec2"}]}"#,
        r#"{"source": [{"equals-ignore-case": "AWS.EC2"}]}"#,
        r#"{"detail": {"state": [{"anything-but": "initializing"}]}}"#,
        r#"{"detail": {"x-limit": [{"anything-but": 123}]}}"#,
        r#"{"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}"#,
        r#"{"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}"#,
        r#"{"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}"#,
        r#"{"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}],
            "x-limit": [{"numeric": ["=", 3.018e2]}]}}"#,
        r#"{"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}"#,
        r#"{"detail": {"c-count": [{"exists": true}]}}"#,
        r#"{"time": [{"prefix": "2017-10-02"}], "detail": {"state": [{"anything-but": "initializing"}],
            "c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}],
            "x-limit": [{"anything-but": [100, 200, 300]}], "source-ip": [{"cidr": "10.0.0.0/8"}]}}"#,
    ] {
        check(pattern, &[EC2], &["{}"]);
    }
    check(r#"{"detail": {"c-count": [{"exists": false}]}}"#, &["{}"], &[EC2]);
    let inner = r#"{"detail": {"state": ["initializing"], "c-count": {"c1": 100}}}"#;
    check(r#"{"detail": {"c-count": [{"exists": false}]}}"#, &[inner], &[]);
    check(r#"{"detail": {"c-count": [{"exists": true}]}}"#, &[], &[inner]);
}

#[test]
fn the_operators_on_text_are_those_of_aws() {
    check(
        r#"{"s": ["Alice"]}"#,
        &[r#"{"s": "Alice"}"#],
        &[r#"{"s": "alice"}"#, r#"{"s": null}"#, r#"{"s": ["Bob"]}"#],
    );
    check(r#"{"s": [""]}"#, &[r#"{"s": ""}"#], &[r#"{"s": " "}"#, "{}"]);
    check(r#"{"s": [null]}"#, &[r#"{"s": null}"#], &[r#"{"s": ""}"#, r#"{"s": "null"}"#, "{}"]);
    check(r#"{"s": [{"equals-ignore-case": "alice"}]}"#, &[r#"{"s": "ALICE"}"#], &[r#"{"s": "alic"}"#]);
    check(
        r#"{"s": [{"prefix": {"equals-ignore-case": "EventB"}}]}"#,
        &[r#"{"s": "eventbridge"}"#],
        &[r#"{"s": "vent"}"#],
    );
    check(
        r#"{"s": [{"suffix": ".png"}]}"#,
        &[r#"{"s": "a.png"}"#],
        &[r#"{"s": "a.PNG"}"#, r#"{"s": "png"}"#],
    );
    check(
        r#"{"s": [{"suffix": {"equals-ignore-case": "tbridge"}}]}"#,
        &[r#"{"s": "EVENTBRIDGE"}"#],
        &[r#"{"s": "x"}"#],
    );
    check(
        r#"{"s": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}"#,
        &[r#"{"s": "a.png"}"#, r#"{"s": 7}"#],
        &[r#"{"s": "a.rtf"}"#, r#"{"s": "a.txt"}"#, "{}"],
    );
    check(
        r#"{"s": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]}"#,
        &[r#"{"s": "running"}"#],
        &[r#"{"s": "STOPPED"}"#],
    );
    check(
        r#"{"s": [{"anything-but": {"wildcard": "*/lib/*"}}]}"#,
        &[r#"{"s": "/usr/bin/sh"}"#],
        &[r#"{"s": "/usr/lib/x"}"#],
    );
    check(
        r#"{"s": [{"anything-but": "a"}]}"#,
        &[r#"{"s": null}"#, r#"{"s": true}"#, r#"{"s": "b"}"#],
        &[r#"{"s": "a"}"#],
    );
    check(r#"{"s": ["é\""]}"#, &[r#"{"s": "\u00e9\""}"#], &[r#"{"s": "e\""}"#]);
}

#[test]
fn a_wildcard_stands_for_any_text() {
    for (pattern, matching, others) in [
        ("*", &["", "a"][..], &[][..]),
        ("a", &["a"], &["", "aa"]),
        ("Simple*Service", &["SimpleQueueService", "SimpleService"], &["SimpleServic", "aSimpleService"]),
        ("a*b*c", &["abc", "a-b-c", "abbbcc"], &["acb", "ab", "a-c"]),
        ("*ab", &["ab", "aab", "abab"], &["aba", "b"]),
        ("ab*ba", &["abba", "ab-ba"], &["aba"]),
        (r"a\\*", &["a*"], &["ab", "a\\\\"]),
        (r"a\\\\*", &["a\\\\b"], &["ab"]),
        ("*é*", &["caféé", "é"], &["e"]),
    ] {
        let pattern = format!(r#"{{"s": [{{"wildcard": "{pattern}"}}]}}"#);
        for text in matching {
            check(&pattern, &[&format!(r#"{{"s": "{text}"}}"#)], &[]);
        }
        for text in others {
            check(&pattern, &[], &[&format!(r#"{{"s": "{text}"}}"#)]);
        }
    }
}

#[test]
fn numbers_are_compared_by_value() {
    check(
        r#"{"n": [300]}"#,
        &[r#"{"n": 300}"#, r#"{"n": 300.0}"#, r#"{"n": 3e2}"#],
        &[r#"{"n": "300"}"#, r#"{"n": 301}"#],
    );
    let large = "123456789012345678901234567890";
    let (same, next) = (format!(r#"{{"n": {large}}}"#), format!(r#"{{"n": {}1}}"#, &large[..29]));
    check(&format!(r#"{{"n": [{large}]}}"#), &[&same], &[&next]);
    check(
        r#"{"n": [{"numeric": [">=", -1.5, "<", 2]}]}"#,
        &[r#"{"n": -1.5}"#, r#"{"n": 1.99}"#],
        &[r#"{"n": 2}"#, r#"{"n": -2}"#],
    );
    check(
        r#"{"n": [{"numeric": ["<", 0]}]}"#,
        &[r#"{"n": -0.1}"#],
        &[r#"{"n": 0}"#, r#"{"n": "-1"}"#, r#"{"n": null}"#, "{}"],
    );
    check(r#"{"n": [true]}"#, &[r#"{"n": true}"#], &[r#"{"n": false}"#, r#"{"n": "true"}"#, r#"{"n": 1}"#]);
    check(
        r#"{"ip": [{"cidr": "2001:db8::/32"}]}"#,
        &[r#"{"ip": "2001:db8::1"}"#],
        &[r#"{"ip": "2001:db9::1"}"#, r#"{"ip": "10.0.0.1"}"#, r#"{"ip": "x"}"#, r#"{"ip": 1}"#],
    );
}

#[test]
fn an_array_matches_when_one_of_its_values_or_objects_does() {
    check(
        r#"{"a": ["x"]}"#,
        &[r#"{"a": ["y", "x"]}"#, r#"{"a": [["x"]]}"#],
        &[r#"{"a": []}"#, r#"{"a": ["y"]}"#],
    );
    check(
        r#"{"a": [{"anything-but": "x"}]}"#,
        &[r#"{"a": ["x", "y"]}"#],
        &[r#"{"a": ["x"]}"#, r#"{"a": []}"#],
    );
    check(r#"{"a": [{"exists": false}]}"#, &[r#"{"a": []}"#, r#"{"a": [{}]}"#, "{}"], &[r#"{"a": [null]}"#]);
    let items = r#"{"items": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]}"#;
    check(r#"{"items": {"sku": ["a"], "count": [1]}}"#, &[items], &[]);
    check(
        r#"{"items": {"sku": ["a"], "count": [2]}}"#,
        &[],
        &[items, "{}", r#"{"items": []}"#, r#"{"items": 7}"#],
    );
    check(
        r#"{"items": {"price": [{"exists": false}]}}"#,
        &[items, r#"{"items": []}"#, "{}"],
        &[r#"{"items": {"price": 1}}"#],
    );
}

#[test]
fn or_needs_one_of_its_patterns_beside_all_other_fields() {
    let pattern = r#"{"source": ["aws.cloudwatch"], "$or": [
        {"metricName": ["CPUUtilization", "ReadLatency"]},
        {"metricType": ["MetricType"], "namespace": ["AWS/EC2"], "$or": [{"metricId": [1234]}, {"spaceId": [1000]}]},
        {"scope": ["Service"]}]}"#;
    check(
        pattern,
        &[
            r#"{"source": "aws.cloudwatch", "metricName": "ReadLatency"}"#,
            r#"{"source": "aws.cloudwatch", "metricType": "MetricType", "namespace": "AWS/EC2", "spaceId": 1000}"#,
        ],
        &[
            r#"{"source": "aws.cloudwatch"}"#,
            r#"{"metricName": "ReadLatency"}"#,
            r#"{"source": "aws.cloudwatch", "metricType": "MetricType", "namespace": "AWS/EC2", "spaceId": 1}"#,
        ],
    );
    assert!(matches(r#"{"$or": [{"customer_id": ["x"]}, {"data": {"a": [1]}}]}"#, r#"{"a": 1}"#));
    assert!(!matches(r#"{"$or": [{"customer_id": ["x"]}, {"data": {"a": [1]}}]}"#, r#"{"a": 2}"#));
}

#[test]
fn a_filter_sees_the_whole_envelope() {
    for (pattern, expected) in [
        (
            r#"{"event_name": ["call.ended"], "customer_id": [{"prefix": "cust-"}], "notification_id": [null]}"#,
            true,
        ),
        (r#"{"event_name": [{"anything-but": "call.ended"}]}"#, false),
        (r#"{"notification_id": [{"exists": true}]}"#, true),
        (r#"{"event_id": [{"prefix": "019d"}], "data": {"a": {"b": [{"numeric": [">", 60]}]}}}"#, true),
    ] {
        assert_eq!(matches(pattern, r#"{"a": {"b": 61}}"#), expected, "{pattern}");
    }
}

#[test]
fn data_that_json_allows_and_others_do_not_is_read_too() {
    let deep = format!(r#"{{"deep": {}1{}, "a": "x"}}"#, "[".repeat(127), "]".repeat(127));
    check(r#"{"a": ["x"]}"#, &[&deep], &[]);
    check(r#"{"deep": [1]}"#, &[&deep], &[]);
    check(r#"{"a": ["x"], "b": [{"exists": true}]}"#, &[r#"{"\ud800": 1, "a": "x", "b": "\udfff"}"#], &[]);
    check(r#"{"a": [2]}"#, &[r#"{"a": 1, "a": 2}"#], &[r#"{"a": 2, "a": 1}"#]);
    check(r#"{"a": [{"numeric": [">", 0]}]}"#, &[r#"{"a": 1e999}"#], &[r#"{"a": -1e999}"#]);
    assert!(!compile(r#"{"data": {"a": [1]}}"#).expect("a pattern").matches(&Document::new(b"\xff")));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (pattern, expected) in [
        ("[]", "is wrong at $: it must be an object"),
        ("{}", "is wrong at $: it must have at least one field"),
        (
            r#"{"detail": {"a": [1]}}"#,
            "is wrong at $.detail: an envelope has no such field; it has event_id, ",
        ),
        (r#"{"data": [1]}"#, "is wrong at $.data: it must be an object"),
        (r#"{"event_name": {"a": [1]}}"#, "is wrong at $.event_name: it must be an array of values, "),
        (r#"{"data": {}}"#, "is wrong at $.data: it must have at least one field"),
        (
            r#"{"data": {"a": "x"}}"#,
            "is wrong at $.data.a: it must be a non-empty array of values, or an object",
        ),
        (r#"{"data": {"a b": []}}"#, r#"is wrong at $.data["a b"]: it must be a non-empty array"#),
        (r#"{"data": {"a": [1], "a": [2]}}"#, "is wrong at $.data.a: it must be given only once"),
        (r#"{"data": {"a": [1, [2]]}}"#, "is wrong at $.data.a[1]: it must be a string, a number, "),
        (
            r#"{"data": {"a": [{"regexp": "x"}]}}"#,
            "is wrong at $.data.a[0].regexp: there is no such operator here; there are anything-but, ",
        ),
        (
            r#"{"data": {"a": [{"prefix": "x", "suffix": "y"}]}}"#,
            "is wrong at $.data.a[0]: it must have exactly one operator of ",
        ),
        (r#"{"data": {"a": [{}]}}"#, "is wrong at $.data.a[0]: it must have exactly one operator"),
        (r#"{"data": {"a": [{"prefix": 1}]}}"#, "is wrong at $.data.a[0].prefix: it must be a string, or "),
        (
            r#"{"data": {"a": [{"prefix": {"suffix": "x"}}]}}"#,
            "is wrong at $.data.a[0].prefix.suffix: there is no such operator",
        ),
        (r#"{"data": {"a": [{"exists": 1}]}}"#, "is wrong at $.data.a[0].exists: it must be true or false"),
        (
            r#"{"data": {"a": [{"numeric": [">"]}]}}"#,
            "is wrong at $.data.a[0].numeric: it must be an operator of ",
        ),
        (
            r#"{"data": {"a": [{"numeric": [">", "1"]}]}}"#,
            "is wrong at $.data.a[0].numeric[1]: it must be a number",
        ),
        (
            r#"{"data": {"a": [{"numeric": ["<", 1, ">", 0]}]}}"#,
            "is wrong at $.data.a[0].numeric: it must be an operator",
        ),
        (
            r#"{"data": {"a": [{"numeric": [">", 5, "<", 5]}]}}"#,
            "is wrong at $.data.a[0].numeric: the lower end ",
        ),
        (
            r#"{"data": {"a": [{"cidr": "10.0.0.1"}]}}"#,
            "is wrong at $.data.a[0].cidr: it must be a network such as ",
        ),
        (r#"{"data": {"a": [{"wildcard": "a**"}]}}"#, "is wrong at $.data.a[0].wildcard: two asterisks "),
        (r#"{"data": {"a": [{"wildcard": "a\\b"}]}}"#, "is wrong at $.data.a[0].wildcard: a backslash "),
        (
            r#"{"data": {"a": [{"anything-but": []}]}}"#,
            "is wrong at $.data.a[0].anything-but: it must be a non-empty array",
        ),
        (
            r#"{"data": {"a": [{"anything-but": ["a", 1]}]}}"#,
            "is wrong at $.data.a[0].anything-but[1]: it must be a string",
        ),
        (
            r#"{"data": {"a": [{"anything-but": [1, "a"]}]}}"#,
            "is wrong at $.data.a[0].anything-but[1]: it must be a number",
        ),
        (
            r#"{"data": {"a": [{"anything-but": null}]}}"#,
            "is wrong at $.data.a[0].anything-but: it must be a string, ",
        ),
        (
            r#"{"data": {"a": [{"anything-but": {"numeric": ["=", 1]}}]}}"#,
            "is wrong at $.data.a[0].anything-but.numeric: there is no such operator",
        ),
        (
            r#"{"$or": [{"data": {"a": [1]}}]}"#,
            "is wrong at $.$or: it must be an array of at least two objects",
        ),
        (
            r#"{"data": {"$or": [{"a": [1]}, {"b": 2}]}}"#,
            "is wrong at $.data.$or[1].b: it must be a non-empty array",
        ),
    ] {
        let wrong = compile(pattern).expect_err(pattern).to_string();
        assert!(wrong.starts_with(expected), "{pattern}: {wrong}");
    }
}

#[test]
fn a_filter_has_limits() {
    let deep = |depth: usize| format!(r#"{{"data": {}[1]{}}}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(compile(&deep(16)).is_ok());
    assert!(compile(&deep(17)).expect_err("too deep").to_string().contains("at most 16 deep"));
    let many = |count: usize| json!({"data": {"a": vec![json!({"prefix": "x"}); count]}}).to_string();
    assert!(compile(&many(64)).is_ok());
    assert!(compile(&many(65)).expect_err("too many").to_string().contains("at most 64 operators"));
    let excluded = json!({"data": {"a": [{"anything-but": vec!["x"; 65]}]}}).to_string();
    assert!(compile(&excluded).expect_err("too many").to_string().contains("at most 64 operators"));
    let long = |bytes: usize| {
        let frame = r#"{"data":{"a":[""]}}"#.len();
        format!(r#"{{"data":{{"a":["{}"]}}}}"#, "x".repeat(bytes - frame))
    };
    assert!(compile(&long(MAX_BYTES)).is_ok());
    assert!(compile(&long(MAX_BYTES + 1)).expect_err("too long").to_string().contains("at most 4096 bytes"));
    assert!(compile(&format!("{}{}", r#"{"$or":["#.repeat(200), "]}".repeat(200))).is_err());
}

#[test]
fn the_same_text_is_the_same_filter() {
    let text = |json: &str| FilterText::new(serde_json::from_str(json).expect("JSON")).expect("a pattern");
    let (one, same, other) =
        (text(r#"{"data":{"a":[1]}}"#), text(r#"{"data":{"a":[1]}}"#), text(r#"{"data":{"a":[2]}}"#));
    assert!(one.hash() == same.hash() && one.hash() != other.hash());
    let row =
        serde_dynamo::to_attribute_value::<_, serde_dynamo::AttributeValue>(one.hash()).expect("a value");
    assert!(matches!(&row, serde_dynamo::AttributeValue::B(bytes) if bytes.len() == 16));
    assert_eq!(serde_dynamo::from_attribute_value::<_, FilterHash>(row).expect("the same"), one.hash());
    assert!(!format!("{one:?}").contains("data"), "a filter can name a customer");
}
