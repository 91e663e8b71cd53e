//! The documents' statements about the template's settings, and the tests that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use echo_template::{Template, number};

const README: &str = include_str!("../../../README.md");
const DEPLOY: &str = include_str!("../../../docs/deploy.md");
const SECURITY: &str = include_str!("../../../docs/security.md");

/// The greatest number of concurrent invocations by all event source mappings together.
fn concurrency(settings: &[(&str, &str)]) -> f64 {
    let template = Template::with(settings);
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping");
    mappings.map(|(_, mapping)| number(&mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"])).sum()
}

/// The texts between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the table below the heading that begins like this, as cells.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let after = page.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    let table = after.take_while(|line| line.starts_with('|'));
    table.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn deploy_says_how_much_concurrency_an_account_must_have() {
    let sum = concurrency(&[]);
    let said = format!("By default the delivery function takes up to {sum} of them");
    assert!(DEPLOY.contains(&said), "docs/deploy.md should say: {said}");
    let ask = DEPLOY.split_once("--desired-value ").and_then(|(_, rest)| rest.split_whitespace().next());
    assert!(ask.and_then(|ask| ask.parse::<f64>().ok()).is_some_and(|ask| ask > sum), "{ask:?}");
    // The page names every lane's setting where it states the sum, and in every row of settings that ask for less.
    let template = Template::load();
    let lanes: BTreeSet<&str> = template
        .parameters()
        .keys()
        .map(String::as_str)
        .filter(|name| name.ends_with("Concurrency"))
        .collect();
    let (_, after) = DEPLOY.split_once(&said).expect("it says so");
    let (sentence, _) = after.split_once(". ").expect("it ends");
    let explained: BTreeSet<&str> = quoted(sentence).collect();
    assert_eq!(explained, lanes);
    let rows = rows(DEPLOY, "| free |");
    assert!(!rows.is_empty());
    for row in rows {
        let [free, settings, said] = row[..] else { panic!("{row:?}") };
        let settings: BTreeMap<&str, &str> = (settings.trim_matches('`').split_whitespace())
            .map(|setting| setting.split_once('=').unwrap_or_else(|| panic!("{setting} has no value")))
            .collect();
        assert_eq!(settings.keys().copied().collect::<BTreeSet<_>>(), lanes, "with {free} free");
        let sum = concurrency(&settings.into_iter().collect::<Vec<_>>());
        assert_eq!(said, sum.to_string(), "with {free} free");
        assert!(sum <= free.parse().expect("a number"), "{sum} do not fit in {free}");
    }
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let template = Template::load();
    let mut listed = BTreeMap::new();
    for row in rows(README, "| parameter | default |") {
        let names: Vec<&str> = quoted(row[0]).collect();
        let shown: Vec<&str> = row[1].split(", ").collect();
        // The commas inside a list have no space after them.
        let defaults = if shown.len() == names.len() { shown } else { vec![row[1]; names.len()] };
        listed.extend(names.into_iter().zip(defaults.into_iter().map(|one| one.trim_matches('`'))));
    }
    let real = template.parameters().keys().map(|name| {
        let default = template.value(name).as_str().unwrap_or_default();
        (name.as_str(), if default.is_empty() { "none" } else { default })
    });
    assert_eq!(listed, real.collect());
}

/// The names of all functions in the Rust files of a folder.
fn functions_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let after = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
            names.extend(after.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn each_test_that_the_security_page_names_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut functions = BTreeSet::new();
    for folder in ["functions", "shared", "tests"] {
        functions_in(&root.join(folder), &mut functions);
    }
    // Tests have names of four words and more. Nothing else between backquotes on that page does.
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let named: Vec<&str> =
        quoted(SECURITY).filter(|text| text.chars().all(is_word) && text.matches('_').count() >= 3).collect();
    assert!(named.len() > 30, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !functions.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
