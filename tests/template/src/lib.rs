//! `template.yaml` as CloudFormation reads it, for tests: every intrinsic function resolved for given parameters.
//!
//! [`Template::load`] uses the parameters' defaults, [`Template::with`] sets some of them. Physical names are made up
//! from logical ids, and ARNs are well formed. A `Ref` of a parameter is a string even for a `Number`, as in
//! CloudFormation (docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html):
//! [`number`] reads either form.

mod long_form;
mod physical;
mod resolve;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

pub use physical::{ACCOUNT, REGION, STACK};

use resolve::Resolver;

/// The template, resolved for one set of parameters.
#[derive(Debug, Clone)]
pub struct Template {
    written: Value,
    values: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    resources: BTreeMap<String, Value>,
    outputs: BTreeMap<String, Value>,
    broken_rules: Vec<String>,
}

/// The text of the project's `template.yaml`.
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn text() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Template {
    /// The project's template with its defaults.
    ///
    /// # Panics
    /// When the template cannot be resolved.
    #[must_use]
    pub fn load() -> Self {
        Self::with(&[])
    }

    /// The project's template with these parameters, and the defaults of the others.
    ///
    /// # Panics
    /// When the template cannot be resolved.
    #[must_use]
    pub fn with(parameters: &[(&str, &str)]) -> Self {
        Self::parse(&text(), parameters).unwrap_or_else(|problem| panic!("template.yaml: {problem}"))
    }

    /// `template.yaml` with every optional part.
    ///
    /// # Panics
    /// When the template cannot be resolved.
    #[must_use]
    pub fn full() -> Self {
        Self::with(&[
            ("MaxApiInvocations", "200"),
            ("EventBusName", "default"),
            ("EventSources", "calls.example"),
            ("OperationalEventBusName", "ops"),
            ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
            ("OperatorEmail", "ops@example.com"),
            ("Dashboard", "true"),
            ("Tracing", "Active"),
            ("VpcSubnetIds", "subnet-0123abcd,subnet-4567cdef"),
            ("VpcSecurityGroupIds", "sg-0123abcd"),
            ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/1"),
        ])
    }

    /// Any template's text with these parameters. The values are used as they are: patterns and limits are not
    /// checked.
    ///
    /// # Errors
    /// When the text is no YAML, names something that the template does not have, or uses a function that this crate
    /// does not know.
    pub fn parse(text: &str, parameters: &[(&str, &str)]) -> Result<Self, String> {
        let written = long_form::read(text)?;
        let values = values(&written, parameters)?;
        let resolver = Resolver::new(&written, &values)?;
        let mut resources = BTreeMap::new();
        for (id, resource) in section(&written, "Resources") {
            if resolver.exists(id) {
                let resource = with_globals(&written, resource);
                let resolved = resolver.value(&resource).map_err(|problem| format!("{id}: {problem}"))?;
                resources.insert(id.clone(), resolved.unwrap_or_default());
            }
        }
        let mut outputs = BTreeMap::new();
        for (id, output) in section(&written, "Outputs") {
            if resolver.holds_for(output)? {
                let value = resolver.value(&output["Value"]).map_err(|problem| format!("{id}: {problem}"))?;
                outputs.insert(id.clone(), value.unwrap_or_default());
            }
        }
        let broken_rules = resolver.broken_rules()?;
        let conditions = resolver.into_conditions();
        Ok(Self { written, values, conditions, resources, outputs, broken_rules })
    }

    /// The parameters' declarations: `Type`, `Default`, `AllowedPattern` and so on.
    #[must_use]
    pub fn parameters(&self) -> &Map<String, Value> {
        section(&self.written, "Parameters")
    }

    /// The value of a `Ref` of this parameter.
    ///
    /// # Panics
    /// When there is no such parameter.
    #[must_use]
    pub fn value(&self, parameter: &str) -> &Value {
        self.values.get(parameter).unwrap_or_else(|| panic!("no parameter {parameter}"))
    }

    /// Each condition's name, and whether the condition holds.
    #[must_use]
    pub fn conditions(&self) -> &BTreeMap<String, bool> {
        &self.conditions
    }

    /// The resources whose condition holds, by logical id. Functions have the properties from `Globals`.
    #[must_use]
    pub fn resources(&self) -> &BTreeMap<String, Value> {
        &self.resources
    }

    /// One resource: `Type`, `Properties` and so on.
    ///
    /// # Panics
    /// When there is no such resource, or its condition does not hold.
    #[must_use]
    pub fn resource(&self, id: &str) -> &Value {
        self.resources.get(id).unwrap_or_else(|| panic!("no resource {id}"))
    }

    /// The resources of a type, such as `AWS::SQS::Queue`.
    pub fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let all = self.resources.iter().map(|(id, resource)| (id.as_str(), resource));
        all.filter(move |(_, resource)| resource["Type"] == kind)
    }

    /// The value of a `Ref` of this resource.
    ///
    /// # Panics
    /// When there is no such resource, or its condition does not hold.
    #[must_use]
    pub fn reference(&self, id: &str) -> String {
        physical::reference(self.name(id), self.kind(id))
    }

    /// A resource's ARN; `None` for types whose ARN this crate does not know.
    ///
    /// # Panics
    /// When there is no such resource, or its condition does not hold.
    #[must_use]
    pub fn arn(&self, id: &str) -> Option<String> {
        physical::attribute(self.name(id), self.kind(id), "Arn")
    }

    /// The name that the template gives to a table; otherwise the logical id.
    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.resource(id)["Properties"]["TableName"].as_str().unwrap_or(id)
    }

    fn kind(&self, id: &str) -> &str {
        self.resource(id)["Type"].as_str().unwrap_or_default()
    }

    /// The values of the outputs.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, Value> {
        &self.outputs
    }

    /// The descriptions of the assertions in `Rules` for which CloudFormation would refuse these parameters.
    #[must_use]
    pub fn broken_rules(&self) -> &[String] {
        &self.broken_rules
    }

    /// The whole document before any function is resolved, with short forms replaced: `!Ref X` is `{"Ref": "X"}`,
    /// `!GetAtt X.Arn` is `{"Fn::GetAtt": ["X", "Arn"]}`.
    #[must_use]
    pub fn written(&self) -> &Value {
        &self.written
    }
}

/// Reads a number that is written as a number or as a string.
///
/// # Panics
/// When the value is neither.
#[must_use]
pub fn number(value: &Value) -> f64 {
    let read = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    read.unwrap_or_else(|| panic!("{value} is no number"))
}

fn section<'a>(document: &'a Value, name: &str) -> &'a Map<String, Value> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    document[name].as_object().unwrap_or(&NOTHING)
}

/// The value of a `Ref` of each parameter.
fn values(written: &Value, given: &[(&str, &str)]) -> Result<BTreeMap<String, Value>, String> {
    let declared = section(written, "Parameters");
    if let Some((name, _)) = given.iter().find(|(name, _)| !declared.contains_key(*name)) {
        return Err(format!("there is no parameter {name}"));
    }
    let mut values = BTreeMap::new();
    for (name, parameter) in declared {
        let given = given.iter().find(|(one, _)| one == name).map(|(_, value)| (*value).to_owned());
        let default = || match &parameter["Default"] {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let value = given.or_else(default).ok_or_else(|| format!("{name} has no default"))?;
        let kind = parameter["Type"].as_str().unwrap_or_default();
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        let list = || value.split(',').map(|one| one.trim().into()).collect::<Vec<Value>>();
        values.insert(name.clone(), if is_list { list().into() } else { value.clone().into() });
    }
    Ok(values)
}

/// A function's resource, with the properties that `Globals` gives every function.
fn with_globals(written: &Value, resource: &Value) -> Value {
    let mut resource = resource.clone();
    if resource["Type"] == "AWS::Serverless::Function" {
        for (name, value) in section(&written["Globals"], "Function") {
            let own = &mut resource["Properties"][name];
            if own.is_null() {
                *own = value.clone();
            } else if let (Some(own), Some(shared)) = (own.as_object_mut(), value.as_object()) {
                for (key, value) in shared {
                    own.entry(key).or_insert_with(|| value.clone());
                }
            }
        }
    }
    resource
}
