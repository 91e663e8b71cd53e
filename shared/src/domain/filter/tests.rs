use serde_json::json;

use super::document::Number;
use super::numbers::Numbers;
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

/// The steps that the filter takes on the data, and whether it comes to its end and matches.
fn steps(pattern: &str, data: &str) -> (usize, bool) {
    let filter = compile(pattern).unwrap_or_else(|wrong| panic!("{pattern} {wrong}"));
    let envelope = envelope(data);
    let document = Document::new(&envelope);
    let steps = Steps::on(document.bytes());
    let all = steps.left();
    let matches = filter.pattern.matches(Some(document.root()), &steps).unwrap_or(false);
    assert_eq!(filter.matches(&document), matches);
    (all - steps.left(), matches)
}

/// Data of nearly 256 KiB: `each`, as often as it fits, and then `last`.
fn largest(each: &str, last: &str) -> String {
    format!(r#"{{"a": [{}{last}]}}"#, format!("{each},").repeat(261_000 / (each.len() + 1)))
}

/// A filter of nearly 4 KiB: `each`, as often as it fits or `most` times, and then `last`.
fn largest_filter(start: &str, each: &str, most: usize, last: &str, end: &str) -> String {
    let count = most.min((4_000 - start.len() - last.len() - end.len()) / (each.len() + 1));
    format!("{start}{}{last}{end}", format!("{each},").repeat(count))
}

#[test]
fn exact_values_are_looked_up_in_the_largest_array() {
    let numbers = largest_filter(r#"{"data":{"a":["#, "1", 3_000, "7", "]}}");
    let different: Vec<usize> = (1_000..1_800).collect();
    let different = json!({"data": {"a": different}}).to_string();
    let bools = largest_filter(r#"{"data":{"a":["#, "true", 3_000, "7", "]}}");
    for (pattern, each, last) in [
        (&numbers, "0", "7"),
        (&different, "0", "1799"),
        (&different, "0.5", "1.799e3"),
        (&bools, "false", "true"),
        (&json!({"data": {"a": ["x", "y"]}}).to_string(), r#""z""#, r#""x""#),
    ] {
        let (taken, matches) = steps(pattern, &largest(each, last));
        assert!(matches && taken < 140_000, "{each}: {taken} {matches}");
    }
}

#[test]
fn a_filter_of_one_look_at_each_value_comes_to_its_end() {
    let text = format!(r#"{{"a": "{}b"}}"#, "a".repeat(250_000));
    for (pattern, data) in [
        (r#"{"data": {"a": {"x": [7]}}}"#, largest(r#"{"x":1}"#, r#"{"x":7}"#)),
        (r#"{"data": {"a": {"x": [7], "y": [7]}}}"#, largest(r#"{"x":7,"y":1}"#, r#"{"x":7,"y":7}"#)),
        (r#"{"data": {"a": [{"numeric": [">", 5]}]}}"#, largest("1", "7")),
        (r#"{"data": {"a": [{"prefix": "b"}]}}"#, largest(r#""a""#, r#""b""#)),
        (r#"{"data": {"a": [{"wildcard": "a*b"}]}}"#, text.clone()),
        (r#"{"data": {"a": [{"suffix": {"equals-ignore-case": "B"}}]}}"#, text),
    ] {
        let (taken, matches) = steps(pattern, &data);
        assert!(matches, "{pattern}: {taken}");
    }
}

/// Each of these would match in the end, after millions of looks.
#[test]
fn a_filter_that_takes_too_many_steps_matches_nothing() {
    let operators = |each: &str, last: &str| largest_filter(r#"{"data":{"a":["#, each, 63, last, "]}}");
    let absent: String = (0..130).map(|n| format!(r#""b{n}":[{{"exists":false}}],"#)).collect();
    let absent = format!(r#"{{"data":{{"a":{{{absent}"x":[7]}}}}}}"#);
    let alternatives =
        largest_filter(r#"{"data":{"a":{"$or":["#, r#"{"x":[2]}"#, 3_000, r#"{"x":[7]}"#, "]}}}");
    let nested = largest("0", "7").replace('[', &"[".repeat(120)).replace(']', &"]".repeat(120));
    let texts = largest(r#""a""#, r#""b""#);
    let long = format!(r#"{{"a": "{}b"}}"#, "a".repeat(250_000));
    let numbers = largest("1", "7");
    let objects = largest(r#"{"x":1}"#, r#"{"x":7}"#);
    let ones = format!(r#"{{"data":{{"a":[{{"anything-but":[{}1]}}]}}}}"#, "2,".repeat(63));
    for (pattern, small, large) in [
        (operators(r#"{"numeric":["=",3]}"#, r#"{"numeric":["=",7]}"#), r#"{"a": [7]}"#, &numbers),
        (ones, r#"{"a": [7]}"#, &numbers),
        (absent, r#"{"a": [{"x": 7}]}"#, &objects),
        (alternatives, r#"{"a": [{"x": 7}]}"#, &objects),
        (operators(r#"{"prefix":"c"}"#, r#"{"prefix":"b"}"#), r#"{"a": ["b"]}"#, &texts),
        (
            operators(r#"{"equals-ignore-case":"C"}"#, r#"{"equals-ignore-case":"B"}"#),
            r#"{"a": ["b"]}"#,
            &texts,
        ),
        (operators(r#"{"cidr":"10.0.0.0/8"}"#, r#"{"prefix":"b"}"#), r#"{"a": ["b"]}"#, &texts),
        (operators(r#"{"wildcard":"*c*"}"#, r#"{"wildcard":"*b"}"#), r#"{"a": "b"}"#, &long),
        (r#"{"data": {"a": [7]}}"#.to_owned(), r#"{"a": [[7]]}"#, &nested),
        (r#"{"data": {"a": {"x": [{"exists": false}]}}}"#.to_owned(), r#"{"a": [[7]]}"#, &nested),
    ] {
        assert!(matches(&pattern, small), "{pattern}");
        let all = 4 * MAX_BYTES + envelope(large).len();
        let (taken, matches) = steps(&pattern, large);
        assert!(!matches && taken == all, "{pattern}: {taken} of {all}");
    }
}

#[test]
fn the_largest_filters_come_to_their_end_on_an_event_without_arrays() {
    let text = "a".repeat(1_000);
    let data = json!({"a": text, "b": 1, "c": {"d": text}}).to_string();
    let or = |each: &str| largest_filter(r#"{"data":{"$or":["#, each, 3_000, r#"{"b":[1]}"#, "]}}");
    for pattern in [
        or(r#"{"a":["x"]}"#),
        or(r#"{"b":[2]}"#),
        or(r#"{"c":{"d":[1]}}"#),
        or(r#"{"z":{"y":{"x":[1]}}}"#),
        largest_filter(r#"{"data":{"$or":["#, r#"{"a":[{"wildcard":"*b*"}]}"#, 64, r#"{"b":[1]}"#, "]}}"),
        largest_filter(r#"{"data":{"$or":["#, r#"{"a":[{"suffix":"b"}]}"#, 64, r#"{"b":[1]}"#, "]}}"),
    ] {
        let (taken, matches) = steps(&pattern, &data);
        assert!(matches, "{pattern}: {taken}");
    }
}

#[test]
fn numbers_that_are_looked_up_equal_those_that_compare_equal() {
    let texts = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "1.0",
        "-1",
        "300",
        "3e2",
        "300.5",
        "1e999",
        "-1e999",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "123456789012345678901234567890",
        "1.2345678901234568e29",
        "170141183460469231731687303715884105728",
        "1e40",
    ];
    let numbers = texts.map(|text| Number::parse(text).expect("a number"));
    for (text, listed) in texts.iter().zip(numbers) {
        for (other, number) in texts.iter().zip(numbers) {
            let is_equal = listed.compare(number) == Some(std::cmp::Ordering::Equal);
            assert_eq!(Numbers::of(&[listed]).contain(number), is_equal, "{text} and {other}");
            let all_but =
                numbers.into_iter().filter(|one| one.compare(number) != Some(std::cmp::Ordering::Equal));
            let all_but: Vec<Number> = all_but.collect();
            assert!(!Numbers::of(&all_but).contain(number), "{other}");
            assert!(Numbers::of(&numbers).contain(number), "{other}");
        }
    }
}
