//! CloudFormation's intrinsic functions
//! (docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{physical, section};

type Resolved = Result<Option<Value>, String>;

pub(crate) struct Resolver<'a> {
    written: &'a Value,
    values: &'a BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(written: &'a Value, values: &'a BTreeMap<String, Value>) -> Result<Self, String> {
        let mut resolver = Self { written, values, conditions: BTreeMap::new() };
        for (name, condition) in section(written, "Conditions") {
            let holds = resolver.holds(condition).map_err(|problem| format!("{name}: {problem}"))?;
            resolver.conditions.insert(name.clone(), holds);
        }
        Ok(resolver)
    }

    pub(crate) fn into_conditions(self) -> BTreeMap<String, bool> {
        self.conditions
    }

    /// Whether there is a resource of this name and its condition holds.
    pub(crate) fn exists(&self, id: &str) -> bool {
        let resource = section(self.written, "Resources").get(id);
        resource.is_some_and(|resource| self.holds_for(resource) == Ok(true))
    }

    /// Whether the condition of a resource or an output holds.
    pub(crate) fn holds_for(&self, entry: &Value) -> Result<bool, String> {
        entry["Condition"].as_str().map_or(Ok(true), |name| self.named(name))
    }

    fn named(&self, name: &str) -> Result<bool, String> {
        if let Some(known) = self.conditions.get(name) {
            return Ok(*known);
        }
        // A condition may name another one that comes later in the alphabet and is not resolved yet.
        let condition = section(self.written, "Conditions").get(name);
        self.holds(condition.ok_or_else(|| format!("there is no condition {name}"))?)
    }

    /// A condition, or an assertion of a rule.
    fn holds(&self, condition: &Value) -> Result<bool, String> {
        let Some((name, argument)) = single(condition) else {
            return Err(format!("{condition} is no condition"));
        };
        let all = || argument.as_array().map_or(&[][..], Vec::as_slice);
        let members = |value: &Value| {
            let value = self.required(value)?;
            Ok::<_, String>(value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]))
        };
        match (name, all()) {
            ("Condition", _) => self.named(argument.as_str().unwrap_or_default()),
            ("Fn::Equals", [left, right]) => Ok(text(&self.required(left)?) == text(&self.required(right)?)),
            ("Fn::Not", [inner]) => Ok(!self.holds(inner)?),
            ("Fn::And", inner) => inner.iter().try_fold(true, |so_far, one| Ok(self.holds(one)? && so_far)),
            ("Fn::Or", inner) => inner.iter().try_fold(false, |so_far, one| Ok(self.holds(one)? || so_far)),
            ("Fn::Contains", [list, value]) => Ok(members(list)?.contains(&self.required(value)?)),
            ("Fn::EachMemberEquals", [list, value]) => {
                let value = self.required(value)?;
                Ok(members(list)?.iter().all(|one| *one == value))
            }
            ("Fn::EachMemberIn", [list, allowed]) => {
                let allowed = members(allowed)?;
                Ok(members(list)?.iter().all(|one| allowed.contains(one)))
            }
            _ => Err(format!("{name} is no condition that is known here, or has other arguments")),
        }
    }

    /// The descriptions of the rules' assertions that do not hold.
    pub(crate) fn broken_rules(&self) -> Result<Vec<String>, String> {
        let mut broken = Vec::new();
        for (name, rule) in section(self.written, "Rules") {
            let problem = |problem: String| format!("{name}: {problem}");
            if !rule["RuleCondition"].is_null() && !self.holds(&rule["RuleCondition"]).map_err(problem)? {
                continue;
            }
            for assertion in rule["Assertions"].as_array().into_iter().flatten() {
                if !self.holds(&assertion["Assert"]).map_err(problem)? {
                    broken.push(assertion["AssertDescription"].as_str().unwrap_or(name).to_owned());
                }
            }
        }
        Ok(broken)
    }

    /// Resolves all functions in a value; `None` for `AWS::NoValue`.
    pub(crate) fn value(&self, value: &Value) -> Resolved {
        match value {
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| self.value(item).transpose());
                Ok(Some(items.collect::<Result<Vec<_>, _>>()?.into()))
            }
            Value::Object(entries) => match single(value) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.function(name, argument)
                }
                _ => self.object(entries),
            },
            plain => Ok(Some(plain.clone())),
        }
    }

    fn object(&self, entries: &Map<String, Value>) -> Resolved {
        let mut object = Map::new();
        for (key, value) in entries {
            if let Some(value) = self.value(value)? {
                object.insert(key.clone(), value);
            }
        }
        Ok(Some(object.into()))
    }

    fn required(&self, value: &Value) -> Result<Value, String> {
        self.value(value)?.ok_or_else(|| format!("{value} must have a value"))
    }

    fn function(&self, name: &str, argument: &Value) -> Resolved {
        let arguments = argument.as_array().map_or(&[][..], Vec::as_slice);
        let other = || Err(format!("{name} is not known here, or has other arguments: {argument}"));
        match (name, arguments) {
            ("Ref", _) => self.reference(argument.as_str().unwrap_or_default()),
            ("Fn::GetAtt", [id, attribute]) => {
                let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                self.attribute(&of(id), &of(attribute)).map(Some)
            }
            ("Fn::Sub", [template, own]) => self.substitute(template, own).map(Some),
            ("Fn::Sub", _) => self.substitute(argument, &Value::Null).map(Some),
            ("Fn::If", [condition, then, otherwise]) => {
                let holds = self.named(condition.as_str().unwrap_or_default())?;
                self.value(if holds { then } else { otherwise })
            }
            ("Fn::Join", [between, parts]) => {
                let parts = self.required(parts)?;
                let parts: Vec<String> = parts.as_array().into_iter().flatten().map(text).collect();
                Ok(Some(parts.join(between.as_str().unwrap_or_default()).into()))
            }
            ("Fn::Split", [at, whole]) => {
                let whole = text(&self.required(whole)?);
                let parts = whole.split(at.as_str().unwrap_or_default()).map(Value::from);
                Ok(Some(parts.collect::<Vec<_>>().into()))
            }
            ("Fn::Select", [index, list]) => {
                let index: usize = text(&self.required(index)?).parse().map_err(|_| "no index".to_owned())?;
                let list = self.required(list)?;
                list.get(index).cloned().map(Some).ok_or_else(|| format!("{list} has no {index}"))
            }
            ("Fn::FindInMap", [map, first, second]) => {
                let key = |value| Ok::<_, String>(text(&self.required(value)?));
                let found = &self.written["Mappings"][key(map)?][key(first)?][key(second)?];
                if found.is_null() { other() } else { self.value(found) }
            }
            _ => other(),
        }
    }

    fn reference(&self, name: &str) -> Resolved {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = physical::pseudo(name).or_else(|| self.values.get(name).cloned()) {
            return Ok(Some(value));
        }
        let kind = self.kind(name)?;
        Ok(Some(physical::reference(&self.given_name(name)?, kind).into()))
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<Value, String> {
        let kind = self.kind(id)?;
        // The ARN of a rule names its bus, unless that is the default one
        // (docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html).
        let bus = self.value(&self.written["Resources"][id]["Properties"]["EventBusName"])?;
        let name = match bus.as_ref().and_then(Value::as_str) {
            Some(bus) if kind == "AWS::Events::Rule" && bus != "default" => format!("{bus}/{id}"),
            _ => self.given_name(id)?,
        };
        let found = physical::attribute(&name, kind, attribute);
        found.map(Value::from).ok_or_else(|| format!("{kind} has no {attribute} that is known here"))
    }

    /// The name that the template gives to a table; otherwise the logical id.
    fn given_name(&self, id: &str) -> Result<String, String> {
        let given = self.value(&self.written["Resources"][id]["Properties"]["TableName"])?;
        Ok(given.as_ref().and_then(Value::as_str).unwrap_or(id).to_owned())
    }

    /// The type of a resource whose condition holds. A deployment fails when the template names another resource.
    fn kind(&self, id: &str) -> Result<&'a str, String> {
        if !self.exists(id) {
            return Err(format!("{id} is named and is no parameter and no resource with these parameters"));
        }
        Ok(self.written["Resources"][id]["Type"].as_str().unwrap_or_default())
    }

    /// `own` holds the variables of this one call, if it has any.
    fn substitute(&self, template: &Value, own: &Value) -> Result<Value, String> {
        let mut left = template.as_str().ok_or("Fn::Sub takes a string")?;
        let mut whole = String::new();
        while let Some((before, after)) = left.split_once("${") {
            let (name, rest) = after.split_once('}').ok_or_else(|| format!("{after} has no end"))?;
            whole.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                whole.push_str(&format!("${{{literal}}}"));
            } else if !own[name].is_null() {
                whole.push_str(&text(&self.required(&own[name])?));
            } else if let Some((id, attribute)) = name.split_once('.') {
                whole.push_str(&text(&self.attribute(id, attribute)?));
            } else {
                let value = self.reference(name)?.ok_or_else(|| format!("{name} must have a value"))?;
                whole.push_str(&text(&value));
            }
            left = rest;
        }
        whole.push_str(left);
        Ok(whole.into())
    }
}

/// The key and value of an object that has exactly one key.
fn single(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
