//! What the tests of the template as a whole share.

use echo_template::Template;
use serde_json::Value;

/// The template with every optional part.
pub(crate) fn full() -> Template {
    Template::with(&[
        ("MaxApiInvocations", "200"),
        ("EventBusName", "default"),
        ("EventSources", "calls.example"),
        ("OperationalEventBusName", "ops"),
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
        ("Dashboard", "true"),
        ("Tracing", "Active"),
        ("VpcSubnetIds", "subnet-0123abcd"),
        ("VpcSecurityGroupIds", "sg-0123abcd"),
        ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/1"),
    ])
}

pub(crate) fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The resource that an ARN or a URL names.
pub(crate) fn arn<'a>(template: &'a Template, kind: &'a str, arn: &Value) -> (&'a str, &'a Value) {
    let id = arn.as_str().and_then(|arn| arn.rsplit([':', '/']).next()).unwrap_or_default();
    let found = template.of_type(kind).find(|(one, _)| *one == id);
    found.unwrap_or_else(|| panic!("{arn} is no {kind} of the template"))
}
