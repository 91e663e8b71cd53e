//! The functions' roles as the template spells them, and the decision whether a role allows a use.
//!
//! This small evaluator knows only the parts of identity policies that our roles use: `Effect`, `Action`, `Resource`
//! with wildcards, `StringEquals` and `ArnLike`
//! (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html). The one maintained crate for
//! this task, iam-rs, depends on chrono, which this project does not use.

use std::collections::BTreeMap;
use std::fmt;

use echo_template::Template;
use serde_json::Value;

use crate::function::Kind;

/// A function's action on a resource. It is either an action that the function took, or a grant of the function's
/// role. A grant may contain wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Use {
    pub kind: Kind,
    /// For example `dynamodb:PutItem`.
    pub action: String,
    /// An ARN.
    pub resource: String,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.kind, self.action, self.resource)
    }
}

#[derive(Debug, Clone)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    /// The condition keys, each with the values that it may have.
    equals: BTreeMap<String, Vec<String>>,
    /// The condition keys, each with the patterns of the ARNs that it may have.
    like: BTreeMap<String, Vec<String>>,
}

/// The roles of both functions.
#[derive(Debug, Clone)]
pub struct Roles {
    statements: BTreeMap<Kind, Vec<Statement>>,
}

/// The function's name in the template.
fn logical_id(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => "ApiFunction",
        Kind::Delivery => "DeliveryFunction",
    }
}

impl Roles {
    /// # Panics
    /// When a role contains a part of IAM that this evaluator does not know. The panic makes sure that nobody
    /// overlooks it.
    #[must_use]
    pub fn of(template: &Template) -> Self {
        let statements = [Kind::Api, Kind::Delivery].map(|kind| (kind, statements_of(template, kind)));
        Self { statements: statements.into() }
    }

    /// Whether a function's role allows this use: some statement allows it, and no statement denies it.
    #[must_use]
    pub fn allow(&self, wanted: &Use, context: &BTreeMap<String, String>) -> bool {
        let fits = |statement: &&Statement| {
            let is_met = |(key, values): (&String, &Vec<String>)| {
                context.get(key).is_some_and(|value| values.contains(value))
            };
            let is_like = |(key, patterns): (&String, &Vec<String>)| {
                context.get(key).is_some_and(|arn| patterns.iter().any(|pattern| matches(pattern, arn)))
            };
            // IAM compares actions without regard to case.
            let action = wanted.action.to_lowercase();
            statement.actions.iter().any(|pattern| matches(&pattern.to_lowercase(), &action))
                && statement.resources.iter().any(|pattern| matches(pattern, &wanted.resource))
                && statement.equals.iter().all(is_met)
                && statement.like.iter().all(is_like)
        };
        let mut fitting = self.statements[&wanted.kind].iter().filter(fits).peekable();
        fitting.peek().is_some() && fitting.all(|statement| statement.allows)
    }

    /// Every granted action with every granted resource, as the template spells them.
    pub fn grants(&self) -> impl Iterator<Item = Use> {
        self.statements.iter().flat_map(|(kind, statements)| {
            statements.iter().filter(|statement| statement.allows).flat_map(|statement| {
                statement.actions.iter().flat_map(|action| {
                    statement.resources.iter().map(|resource| Use {
                        kind: *kind,
                        action: action.clone(),
                        resource: resource.clone(),
                    })
                })
            })
        })
    }
}

impl Use {
    /// Whether this grant allows `taken`.
    #[must_use]
    pub fn covers(&self, taken: &Self) -> bool {
        self.kind == taken.kind
            && matches(&self.action.to_lowercase(), &taken.action.to_lowercase())
            && matches(&self.resource, &taken.resource)
    }
}

fn statements_of(template: &Template, kind: Kind) -> Vec<Statement> {
    let function = template.resource(logical_id(kind));
    let arn = &function["Properties"]["Role"];
    let role = template.of_type("AWS::IAM::Role").find(|(id, _)| template.arn(id).as_deref() == arn.as_str());
    let Some((role, resource)) = role else { panic!("{kind} has no role of its own: {arn}") };
    let role_properties = &resource["Properties"];
    let elsewhere = ["ManagedPolicyArns", "PermissionsBoundary"];
    assert!(
        elsewhere.iter().all(|key| role_properties[key].is_null()),
        "{role}: managed policies and boundaries are not evaluated here"
    );
    let inline = role_properties["Policies"].as_array().into_iter().flatten();
    let managed =
        ["AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"].into_iter().flat_map(|kind| template.of_type(kind));
    let attached = managed.map(|(_, policy)| &policy["Properties"]).filter(|policy| {
        policy["Roles"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|attached| attached == template.reference(role).as_str())
    });
    let statements =
        inline.chain(attached).flat_map(|policy| several(&policy["PolicyDocument"]["Statement"]));
    statements.map(statement).collect()
}

fn statement(written: Value) -> Statement {
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    let unknown = written.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    assert!(unknown.is_none(), "not evaluated here: {unknown:?}");
    let (mut equals, mut like) = (BTreeMap::new(), BTreeMap::new());
    for (operator, keys) in written["Condition"].as_object().into_iter().flatten() {
        let conditions = match operator.as_str() {
            "StringEquals" => &mut equals,
            "ArnLike" => &mut like,
            _ => panic!("not evaluated here: {operator}"),
        };
        for (key, values) in keys.as_object().into_iter().flatten() {
            conditions.insert(key.clone(), texts(values));
        }
    }
    Statement {
        allows: written["Effect"] == "Allow",
        actions: texts(&written["Action"]),
        resources: texts(&written["Resource"]),
        equals,
        like,
    }
}

/// The elements of a list, or the one value that is not a list.
fn several(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn texts(value: &Value) -> Vec<String> {
    several(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a text fits a pattern. `*` stands for any run of characters, and `?` for any single character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The position of the last `*`, and the end of the text that it covers so far.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(one) if *one == b'?' || *one == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, reached)) => {
                    star = Some((at, reached + 1));
                    p = at + 1;
                    t = reached + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|one| *one == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_as_in_iam() {
        for (pattern, text, fits) in [
            ("a:Get*", "a:GetItem", true),
            ("a:Get*", "a:PutItem", false),
            ("arn:*:table/x", "arn:aws:table/x", true),
            ("arn:*:table/x", "arn:aws:table/xy", false),
            ("t?ble", "table", true),
            ("t?ble", "tble", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_outweighs_and_a_condition_must_be_met() {
        let read = serde_json::json!({ "Effect": "Allow", "Action": ["a:*"], "Resource": "r",
            "Condition": { "StringEquals": { "key": ["x", "arn:a:y"] } } });
        let deny = serde_json::json!({ "Effect": "Deny", "Action": "a:Drop", "Resource": "*" });
        let deny_like = serde_json::json!({ "Effect": "Deny", "Action": "a:*", "Resource": "*",
            "Condition": { "ArnLike": { "key": "arn:*:y" } } });
        let roles = Roles { statements: [(Kind::Api, [read, deny, deny_like].map(statement).into())].into() };
        let allowed = |action: &str, value: &str| {
            let wanted = Use { kind: Kind::Api, action: action.to_owned(), resource: "r".to_owned() };
            roles.allow(&wanted, &[("key".to_owned(), value.to_owned())].into())
        };
        assert!(allowed("a:Get", "x"));
        assert!(!allowed("a:Get", "z"));
        assert!(!allowed("a:Get", "arn:a:y"));
        assert!(!allowed("a:Drop", "x"));
    }
}
