//! The results of CloudFormation's functions, one by one and for the project's template.

use echo_template::{Template, number};
use serde_json::{Value, json};

/// `Properties` of the resource `It`, resolved for these parameters.
fn properties(template: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
    Template::parse(template, parameters).map(|template| template.resource("It")["Properties"].clone())
}

const FUNCTIONS: &str = r#"
Parameters:
  Name: { Type: String, Default: "a,b" }
  Size: { Type: Number, Default: 7 }
  Many: { Type: CommaDelimitedList, Default: "x, y" }
Mappings:
  Sizes: { small: { memory: 128 } }
Conditions:
  HasName: !Not [!Equals [!Ref Name, ""]]
  IsBig: !Equals [!Ref Size, 9]
  Both: !And [!Condition HasName, !Condition IsBig]
  Any: !Or [!Condition HasName, !Condition IsBig]
Resources:
  Queue: { Type: AWS::SQS::Queue }
  Table: { Type: AWS::DynamoDB::Table }
  Hidden: { Type: AWS::SQS::Queue, Condition: IsBig }
  It:
    Type: AWS::Test::It
    Properties:
      Parameter: !Ref Size
      List: !Ref Many
      Resource: !Ref Queue
      Arn: !GetAtt Queue.Arn
      Long: { Fn::GetAtt: [Table, Arn] }
      Sub: !Sub "${Table.Arn}/index/${Name}-${AWS::Region}-${!kept}"
      Own: !Sub ["${own}/${Name}", { own: !Ref Size }]
      Joined: !Join ["-", [!Ref Name, c]]
      Split: !Split [",", !Ref Name]
      Selected: !Select [1, !Split ["-", b-c]]
      Mapped: !FindInMap [Sizes, small, memory]
      Chosen: !If [Both, yes-both, not-both]
      Either: !If [Any, [!Ref Name, !Ref AWS::NoValue], none]
      Gone: !If [IsBig, 1, !Ref AWS::NoValue]
"#;

#[test]
fn every_function_gives_what_cloudformation_gives() {
    let resolved = properties(FUNCTIONS, &[]).expect("it resolves");
    let expected = json!({
        "Parameter": "7",
        "List": ["x", "y"],
        "Resource": "https://sqs.us-east-1.amazonaws.com/123456789012/Queue",
        "Arn": "arn:aws:sqs:us-east-1:123456789012:Queue",
        "Long": "arn:aws:dynamodb:us-east-1:123456789012:table/Table",
        "Sub": "arn:aws:dynamodb:us-east-1:123456789012:table/Table/index/a,b-us-east-1-${kept}",
        "Own": "7/a,b",
        "Joined": "a,b-c",
        "Split": ["a", "b"],
        "Selected": "c",
        "Mapped": 128,
        "Chosen": "not-both",
        "Either": ["a,b"],
    });
    assert_eq!(resolved, expected);
}

#[test]
fn parameters_and_conditions_decide_what_is_made() {
    let template = Template::parse(FUNCTIONS, &[("Size", "9"), ("Name", "")]).expect("it resolves");
    assert_eq!(template.resource("It")["Properties"]["Gone"], 1);
    assert_eq!(template.resource("It")["Properties"]["Either"], json!([""]));
    assert!(template.resources().contains_key("Hidden"));
    assert!(!template.conditions()["HasName"]);
    let template = Template::parse(FUNCTIONS, &[]).expect("it resolves");
    assert!(!template.resources().contains_key("Hidden"));
}

#[test]
fn a_name_that_nothing_has_is_an_error() {
    for (written, named) in
        [("!Ref Size", "!Ref Sise"), ("!Ref Queue", "!Ref Hidden"), ("Queue.Arn", "Queue.Size")]
    {
        let problem = properties(&FUNCTIONS.replacen(written, named, 1), &[]).expect_err(named);
        assert!(problem.contains("known here") || problem.contains("is named"), "{problem}");
    }
    assert!(properties(FUNCTIONS, &[("Sise", "1")]).is_err());
}

#[test]
fn rules_that_do_not_hold_are_told() {
    let rules = r#"
Rules:
  Groups:
    RuleCondition: !Not [!Equals [!Ref Name, ""]]
    Assertions:
      - { Assert: !Not [!Contains [!Ref Many, y]], AssertDescription: not y }
      - { Assert: !EachMemberIn [!Ref Many, [x, y]], AssertDescription: only x and y }
"#;
    let text = format!("{FUNCTIONS}{rules}");
    let broken = |parameters: &[(&str, &str)]| {
        Template::parse(&text, parameters).expect("it resolves").broken_rules().to_vec()
    };
    assert_eq!(broken(&[]), ["not y"]);
    assert_eq!(broken(&[("Many", "x,z")]), ["only x and y"]);
    assert_eq!(broken(&[("Many", "x")]), [""; 0]);
    assert_eq!(broken(&[("Name", "")]), [""; 0]);
}

#[test]
fn our_template_resolves_with_and_without_its_optional_parts() {
    let plain = Template::load();
    assert!(!plain.resources().contains_key("EventsRule"));
    let variables = &plain.resource("DeliveryFunction")["Properties"]["Environment"]["Variables"];
    assert_eq!(
        variables["RETRIES_QUEUE_URL"],
        "https://sqs.us-east-1.amazonaws.com/123456789012/RetriesQueue"
    );
    assert_eq!(plain.resource("ApiFunction")["Properties"]["MemorySize"], 256, "from Globals");
    let concurrency = &plain.resource("Retries")["Properties"]["ScalingConfig"]["MaximumConcurrency"];
    assert_eq!(number(concurrency), number(plain.value("RetryConcurrency")));
    assert!(plain.of_type("AWS::SQS::Queue").any(|(id, _)| id == "IntakeQueue"));

    let full = Template::full();
    assert!(full.conditions().values().all(|holds| *holds), "{:?}", full.conditions());
    assert!(full.resources().contains_key("EventsRule"));
    let vpc = &full.resource("DeliveryFunction")["Properties"]["VpcConfig"];
    assert_eq!(vpc["SubnetIds"], json!(["subnet-0123abcd", "subnet-4567cdef"]));
    assert_eq!(plain.resource("DeliveryFunction")["Properties"].get("VpcConfig"), None);
    let bound = |template: &Template| {
        template.resource("ApiFunction")["Properties"].get("ReservedConcurrentExecutions").map(number)
    };
    assert_eq!((bound(&plain), bound(&full)), (None, Some(200.0)));
}
