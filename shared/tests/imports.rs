//! ARCHITECTURE.md says who may import whom; this holds the domain to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, iter};

/// The product's part of each file in `src/domain`, by its module's name; `decision/mod.rs` is `decision`.
fn domain() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("src/domain").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_stem().expect("a name").to_string_lossy().into_owned();
        let path = if entry.is_dir() { entry.join("mod.rs") } else { entry };
        let text = fs::read_to_string(path).expect("a source file");
        let product = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        files.insert(name, code.collect::<Vec<_>>().join("\n"));
    }
    files.remove("mod");
    assert!(files.len() > 20, "{:?}", files.keys());
    files
}

/// The names that follow `crate::` in a file, one for each path.
fn imported(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split("crate::").skip(1).filter_map(|rest| rest.split(|c| !is_name(c)).next()).collect()
}

#[test]
fn the_domain_sees_neither_aws_nor_a_runtime_nor_the_clock_nor_the_environment() {
    let forbidden = ["aws_", "tokio", "std::env", "SystemTime", "Instant", "::now()", "async ", "lambda_"];
    for (name, text) in domain() {
        for word in forbidden {
            assert!(!text.contains(word), "domain/{name}.rs has `{word}`");
        }
    }
}

#[test]
fn the_domain_imports_only_itself() {
    let domain = domain();
    for (name, text) in &domain {
        for import in imported(text) {
            assert!(domain.contains_key(import), "domain/{name}.rs imports crate::{import}");
        }
    }
}

#[test]
fn no_circle_of_imports_is_in_the_domain() {
    let domain = domain();
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        domain.iter().map(|(name, text)| (name.as_str(), imported(text))).collect();
    // A module whose imports are all settled is settled too; a circle never is.
    let settled = iter::from_fn(|| {
        let next = left.iter().find(|(_, imports)| imports.iter().all(|import| !left.contains_key(import)));
        let name = *next?.0;
        left.remove(name)
    });
    let count = settled.count();
    assert_eq!(count, domain.len(), "these import each other: {:?}", left.keys());
}
