//! Shared by the tests of the template as a whole.

use echo_template::Template;
use serde_json::Value;

pub(crate) fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The resource that an ARN or a URL names.
pub(crate) fn arn<'a>(template: &'a Template, kind: &'a str, arn: &Value) -> (&'a str, &'a Value) {
    let id = arn.as_str().and_then(|arn| arn.rsplit([':', '/']).next()).unwrap_or_default();
    let found = template.of_type(kind).find(|(one, _)| *one == id);
    found.unwrap_or_else(|| panic!("{arn} is no {kind} of the template"))
}
