//! YAML to JSON, with CloudFormation's short forms replaced by the long ones.

use serde_json::{Map, Value, json};
use yaml_serde::Value as Yaml;

/// # Errors
/// When the text is no YAML that JSON can express.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let yaml: Yaml = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    json(&yaml)
}

fn json(yaml: &Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(real)) => real.into(),
            (None, None) => return Err(format!("{number} is no number of JSON")),
        },
        Yaml::String(text) => text.as_str().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(key) => key.clone(),
                    Yaml::Number(key) => key.to_string(),
                    Yaml::Bool(key) => key.to_string(),
                    other => return Err(format!("{other:?} is no key")),
                };
                object.insert(key, json(value)?);
            }
            object.into()
        }
        Yaml::Tagged(tagged) => long(&tagged.tag.to_string(), json(&tagged.value)?),
    })
}

/// `tag` is a short form's name, such as `!Ref`.
fn long(tag: &str, value: Value) -> Value {
    let name = tag.trim_start_matches('!');
    match (name, value.as_str()) {
        ("Ref" | "Condition", _) => json!({ name: value }),
        ("GetAtt", Some(path)) => {
            let (id, attribute) = path.split_once('.').unwrap_or((path, ""));
            json!({ "Fn::GetAtt": [id, attribute] })
        }
        _ => json!({ format!("Fn::{name}"): value }),
    }
}
