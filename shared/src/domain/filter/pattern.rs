//! Reads a pattern. Each refusal names its place and the values that are allowed there.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write;

use ipnet::IpNet;
use serde_json::value::RawValue;

use super::Wrong;
use super::document::Number;
use super::numbers::Numbers;
use crate::fields::{Fields, shown, string};

/// The fields of an envelope (contract §5). Those beside `data` hold a string or null.
const ENVELOPE: [&str; 5] = ["event_id", "event_name", "customer_id", "notification_id", "data"];

const OPERATORS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];
const EXCLUDING: [&str; 4] = ["equals-ignore-case", "prefix", "suffix", "wildcard"];

/// How deep a pattern's objects are nested at most.
const MAX_DEPTH: usize = 16;

/// The most operators that look at a value one after another. Exact values are looked up and not counted.
const MAX_OPERATORS: usize = 64;

/// All fields must match, and one of `any_of` if there are any.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    pub(super) fields: Vec<(Box<[u8]>, Wanted)>,
    pub(super) any_of: Vec<Pattern>,
}

#[derive(Debug)]
pub(super) enum Wanted {
    Object(Pattern),
    Value(Values),
}

/// One of these must match.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) texts: HashSet<Box<[u8]>>,
    pub(super) longest_text: usize,
    pub(super) numbers: Numbers,
    /// Whether false is listed, and whether true is.
    pub(super) bools: [bool; 2],
    pub(super) null: bool,
    /// `{"exists": true}` and `{"exists": false}`
    pub(super) present: bool,
    pub(super) absent: bool,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug)]
pub(super) enum Test {
    Prefix(Affix),
    Suffix(Affix),
    /// In lower case.
    EqualsIgnoreCase(String),
    Wildcard(Vec<String>),
    /// `None`: no bound of that kind. The bound itself is inside when the flag is set.
    Numeric {
        above: Option<(Number, bool)>,
        below: Option<(Number, bool)>,
    },
    Cidr(IpNet),
    ButTexts(Vec<String>),
    ButNumbers(Vec<Number>),
    But(Vec<Test>),
}

#[derive(Debug)]
pub(super) enum Affix {
    Exact(String),
    /// In lower case.
    AnyCase(String),
}

/// A place in a pattern, as a JSON path.
#[derive(Debug, Clone)]
struct At(String);

impl At {
    fn field(&self, name: &str) -> Self {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
        let shown = shown(name);
        if !shown.is_empty() && shown.chars().all(is_plain) {
            Self(format!("{}.{shown}", self.0))
        } else {
            Self(format!("{}[{}]", self.0, serde_json::Value::from(shown)))
        }
    }

    fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { at: self.0.clone(), why: why.into() })
    }
}

impl Pattern {
    pub(super) fn compile(json: &RawValue) -> Result<Self, Wrong> {
        Compiler { operators: 0 }.pattern(json, &At("$".to_owned()), Level { is_envelope: true, depth: 0 })
    }
}

/// Where a pattern's object is.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// Its fields are those of the envelope.
    is_envelope: bool,
    depth: usize,
}

struct Compiler {
    operators: usize,
}

impl Compiler {
    fn pattern(&mut self, json: &RawValue, at: &At, level: Level) -> Result<Pattern, Wrong> {
        let Some(fields) = object(json) else { return at.wrong("it must be an object") };
        if level.depth > MAX_DEPTH {
            return at.wrong(format!("objects must be nested at most {MAX_DEPTH} deep"));
        }
        let mut pattern = Pattern::default();
        let mut names = HashSet::new();
        for (name, value) in fields.iter() {
            let at = at.field(name);
            if !names.insert(name.to_owned()) {
                return at.wrong("it must be given only once");
            }
            if name == "$or" {
                pattern.any_of = self.alternatives(value, &at, level)?;
            } else {
                let wanted = self.field(name, value, &at, level)?;
                pattern.fields.push((name.as_bytes().into(), wanted));
            }
        }
        if names.is_empty() {
            return at.wrong("it must have at least one field");
        }
        Ok(pattern)
    }

    fn alternatives(&mut self, json: &RawValue, at: &At, level: Level) -> Result<Vec<Pattern>, Wrong> {
        let items = array(json).filter(|items| items.len() >= 2);
        let Some(items) = items else { return at.wrong("it must be an array of at least two objects") };
        let level = Level { depth: level.depth + 1, ..level };
        let patterns =
            items.iter().enumerate().map(|(index, item)| self.pattern(item, &at.item(index), level));
        patterns.collect()
    }

    fn field(&mut self, name: &str, json: &RawValue, at: &At, level: Level) -> Result<Wanted, Wrong> {
        let is_object = json.get().starts_with('{');
        if level.is_envelope {
            if !ENVELOPE.contains(&name) {
                return at.wrong(format!("an envelope has no such field; it has {}", ENVELOPE.join(", ")));
            }
            if name == "data" && !is_object {
                return at.wrong("it must be an object");
            }
            if name != "data" && is_object {
                return at.wrong("it must be an array of values, because this field holds text or null");
            }
        }
        if is_object {
            let level = Level { is_envelope: false, depth: level.depth + 1 };
            return self.pattern(json, at, level).map(Wanted::Object);
        }
        let items = array(json).filter(|items| !items.is_empty());
        let Some(items) = items else {
            return at.wrong("it must be a non-empty array of values, or an object");
        };
        let (mut values, mut numbers) = (Values::default(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            self.value(item, &at.item(index), &mut values, &mut numbers)?;
        }
        values.longest_text = values.texts.iter().map(|text| text.len()).max().unwrap_or(0);
        values.numbers = Numbers::of(&numbers);
        Ok(Wanted::Value(values))
    }

    fn value(
        &mut self,
        json: &RawValue,
        at: &At,
        values: &mut Values,
        numbers: &mut Vec<Number>,
    ) -> Result<(), Wrong> {
        match json.get().as_bytes().first() {
            Some(b'{') => return self.operator(json, at, values),
            Some(b'[') => {
                return at
                    .wrong("it must be a string, a number, true, false, null or an object with an operator");
            }
            Some(b'"') => _ = values.texts.insert(text(json, at)?.into_bytes().into()),
            Some(b't') => values.bools[1] = true,
            Some(b'f') => values.bools[0] = true,
            Some(b'n') => values.null = true,
            _ => numbers.push(number(json, at)?),
        }
        Ok(())
    }

    fn operator(&mut self, json: &RawValue, at: &At, values: &mut Values) -> Result<(), Wrong> {
        let (name, operand) = only_field(json, at, &OPERATORS)?;
        let at = at.field(&name);
        if name == "exists" {
            match operand.get() {
                "true" => values.present = true,
                "false" => values.absent = true,
                _ => return at.wrong("it must be true or false"),
            }
            return Ok(());
        }
        let test = match name.as_str() {
            "numeric" => numeric(operand, &at)?,
            "cidr" => cidr(operand, &at)?,
            "anything-but" => self.anything_but(operand, &at)?,
            name => text_test(name, operand, &at)?,
        };
        self.count(&at, 1)?;
        values.tests.push(test);
        Ok(())
    }

    fn count(&mut self, at: &At, operators: usize) -> Result<(), Wrong> {
        self.operators += operators;
        if self.operators > MAX_OPERATORS {
            return at.wrong(format!(
                "a filter must have at most {MAX_OPERATORS} operators; exact values do not count"
            ));
        }
        Ok(())
    }

    fn anything_but(&mut self, json: &RawValue, at: &At) -> Result<Test, Wrong> {
        match json.get().as_bytes().first() {
            Some(b'{') => {
                let (name, operand) = only_field(json, at, &EXCLUDING)?;
                let at = at.field(&name);
                let Some(items) = array(operand) else {
                    return Ok(Test::But(vec![text_test(&name, operand, &at)?]));
                };
                if items.is_empty() {
                    return at.wrong("it must be a string or a non-empty array of strings");
                }
                self.count(&at, items.len() - 1)?;
                let tests =
                    items.iter().enumerate().map(|(index, item)| text_test(&name, item, &at.item(index)));
                tests.collect::<Result<_, _>>().map(Test::But)
            }
            Some(b'[') => {
                let items = array(json).unwrap_or_default();
                let places = || items.iter().enumerate().map(|(index, item)| (item, at.item(index)));
                let is_text = items.first().is_some_and(|first| first.get().starts_with('"'));
                self.count(at, items.len().saturating_sub(1))?;
                if items.is_empty() {
                    at.wrong("it must be a non-empty array of strings or of numbers")
                } else if is_text {
                    places().map(|(item, at)| text(item, &at)).collect::<Result<_, _>>().map(Test::ButTexts)
                } else {
                    places()
                        .map(|(item, at)| number(item, &at))
                        .collect::<Result<_, _>>()
                        .map(Test::ButNumbers)
                }
            }
            Some(b'"') => Ok(Test::ButTexts(vec![text(json, at)?])),
            Some(b'-' | b'0'..=b'9') => Ok(Test::ButNumbers(vec![number(json, at)?])),
            _ => at.wrong(format!(
                "it must be a string, a number, an array of either, or an object with one of {}",
                EXCLUDING.join(", ")
            )),
        }
    }
}

fn object(json: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(json.get()).ok()
}

fn array(json: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json.get()).ok()
}

fn text(json: &RawValue, at: &At) -> Result<String, Wrong> {
    string(json).map_or_else(|| at.wrong("it must be a string"), Ok)
}

fn number(json: &RawValue, at: &At) -> Result<Number, Wrong> {
    let is_number = json.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let number = Number::parse(json.get()).filter(|_| is_number);
    number.map_or_else(|| at.wrong("it must be a number"), Ok)
}

/// The one field of an operator's object.
fn only_field<'a>(json: &'a RawValue, at: &At, known: &[&str]) -> Result<(String, &'a RawValue), Wrong> {
    let fields = object(json).unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let list = known.join(", ");
    match fields.as_slice() {
        [(name, value)] if known.contains(&name.as_str()) => Ok((name.clone(), *value)),
        [(name, _)] => at.field(name).wrong(format!("there is no such operator here; there are {list}")),
        _ => at.wrong(format!("it must have exactly one operator of {list}")),
    }
}

fn text_test(name: &str, json: &RawValue, at: &At) -> Result<Test, Wrong> {
    match name {
        "prefix" => affix(json, at).map(Test::Prefix),
        "suffix" => affix(json, at).map(Test::Suffix),
        "wildcard" => wildcard(&text(json, at)?, at).map(Test::Wildcard),
        _ => Ok(Test::EqualsIgnoreCase(text(json, at)?.to_lowercase())),
    }
}

fn affix(json: &RawValue, at: &At) -> Result<Affix, Wrong> {
    if !json.get().starts_with('{') {
        return match string(json) {
            Some(text) => Ok(Affix::Exact(text)),
            None => at.wrong(r#"it must be a string, or {"equals-ignore-case": a string}"#),
        };
    }
    let (name, operand) = only_field(json, at, &["equals-ignore-case"])?;
    Ok(Affix::AnyCase(text(operand, &at.field(&name))?.to_lowercase()))
}

/// The texts between the asterisks.
fn wildcard(text: &str, at: &At) -> Result<Vec<String>, Wrong> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    let mut after_asterisk = false;
    while let Some(char) = chars.next() {
        if char == '*' && after_asterisk {
            return at.wrong("two asterisks must not stand side by side");
        }
        after_asterisk = char == '*';
        let literal = match char {
            '*' => {
                parts.push(String::new());
                continue;
            }
            '\\' => match chars.next() {
                Some(escaped @ ('*' | '\\')) => escaped,
                _ => return at.wrong(r"a backslash must stand before * or \"),
            },
            other => other,
        };
        if let Some(part) = parts.last_mut() {
            let _ = part.write_char(literal);
        }
    }
    Ok(parts)
}

fn cidr(json: &RawValue, at: &At) -> Result<Test, Wrong> {
    let network = text(json, at)?.parse();
    network.map_or_else(
        |_| at.wrong("it must be a network such as 10.0.0.0/24 or 2001:db8::/32"),
        |net| Ok(Test::Cidr(net)),
    )
}

fn numeric(json: &RawValue, at: &At) -> Result<Test, Wrong> {
    let allowed =
        r#"it must be an operator of =, <, <=, >, >= and a number, or a range such as [">", 0, "<=", 5]"#;
    let items = array(json).unwrap_or_default();
    let mut bounds = Vec::new();
    for (index, pair) in items.chunks(2).enumerate() {
        let [operator, operand] = pair else { return at.wrong(allowed) };
        let Some(operator) = string(operator) else { return at.wrong(allowed) };
        bounds.push((operator, number(operand, &at.item(2 * index + 1))?));
    }
    let bounds: Vec<(&str, Number)> =
        bounds.iter().map(|(operator, number)| (operator.as_str(), *number)).collect();
    let (above, below) = match bounds[..] {
        [("=", number)] => (Some((number, true)), Some((number, true))),
        [(">", number)] => (Some((number, false)), None),
        [(">=", number)] => (Some((number, true)), None),
        [("<", number)] => (None, Some((number, false))),
        [("<=", number)] => (None, Some((number, true))),
        [(above @ (">" | ">="), from), (below @ ("<" | "<="), to)] => {
            if from.compare(to) != Some(Ordering::Less) {
                return at.wrong("the lower end of a range must be below its upper end");
            }
            (Some((from, above == ">=")), Some((to, below == "<=")))
        }
        _ => return at.wrong(allowed),
    };
    Ok(Test::Numeric { above, below })
}
