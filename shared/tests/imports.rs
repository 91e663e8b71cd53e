//! ARCHITECTURE.md says which module may import which; these tests hold the code to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, iter};

/// A module's names below its crate: `["domain", "decision", "next"]`. A folder's `mod.rs` has the folder's own names.
type Module = Vec<String>;

/// The product's part of a crate's files.
struct Crate {
    files: BTreeMap<Module, String>,
    /// What modules show of others by `pub use`: the path that callers write, and the item's own path.
    shown: BTreeMap<Module, Module>,
}

impl Crate {
    fn read(sources: &str) -> Self {
        let mut files = BTreeMap::new();
        add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources), &Vec::new(), &mut files);
        let mut shown = BTreeMap::new();
        for (module, text) in &files {
            for (_, rest) in text.match_indices("pub use ").map(|(at, word)| text.split_at(at + word.len())) {
                for path in tree(rest.strip_prefix("self::").unwrap_or(rest)).0 {
                    let name = path.last().cloned().into_iter().collect();
                    shown.insert([module.clone(), name].concat(), [module.clone(), path].concat());
                }
            }
        }
        Self { files, shown }
    }

    /// The modules that a module imports. A `mod.rs` and the files of its folder are one thing in several files, so its
    /// imports of them are left out.
    fn imports(&self, module: &Module) -> BTreeSet<&Module> {
        let paths = paths(&self.files[module]).into_iter();
        let found = paths.map(|path| self.module_of(absolute(module, &path)));
        found.filter(|found| !found.starts_with(module)).collect()
    }

    /// The module that has the item of a path.
    fn module_of(&self, mut path: Module) -> &Module {
        let is_shown = |path: &Module| {
            (1..=path.len()).find_map(|end| {
                let own = self.shown.get(&path[..end]).filter(|_| !self.files.contains_key(&path[..end]))?;
                Some([&own[..], &path[end..]].concat())
            })
        };
        while let Some(own) = is_shown(&path) {
            path = own;
        }
        loop {
            if let Some((module, _)) = self.files.get_key_value(&path) {
                return module;
            }
            path.pop().expect("the crate's own file");
        }
    }

    /// The modules whose imports lead back to themselves, and those that import one of them.
    fn in_circles(&self) -> BTreeSet<&Module> {
        let mut left: BTreeMap<&Module, _> = self.files.keys().map(|of| (of, self.imports(of))).collect();
        // A module whose imports are all settled is settled too; a circle never is.
        let settled = iter::from_fn(|| {
            let (next, _) =
                left.iter().find(|(_, imports)| imports.iter().all(|import| !left.contains_key(import)))?;
            let next = *next;
            left.remove(next)
        });
        settled.for_each(drop);
        left.into_keys().collect()
    }
}

/// Reads a folder's files, without tests and comments.
fn add(folder: &Path, module: &Module, files: &mut BTreeMap<Module, String>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let module = match name.as_str() {
            "tests" | "main" => continue,
            "mod" | "lib" => module.clone(),
            _ => [module.clone(), vec![name]].concat(),
        };
        if path.is_dir() {
            add(&path, &module, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).expect("a source file");
            let product = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
            files.insert(module, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The paths of a text that begin with `crate`, `self` or `super`.
fn paths(text: &str) -> Vec<Module> {
    let begins = ["crate::", "self::", "super::"].into_iter().flat_map(|word| text.match_indices(word));
    let begins = begins.filter(|(at, _)| !text[..*at].ends_with(|c: char| is_of_name(c) || c == ':'));
    begins.flat_map(|(at, _)| tree(&text[at..]).0).collect()
}

/// The paths at the start of a text, of which a `{…}` has several, and the rest of the text.
fn tree(text: &str) -> (Vec<Module>, &str) {
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut paths = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if let Some(rest) = rest.strip_prefix('}') {
                return (paths, rest);
            }
            let (more, after) = tree(rest);
            assert!(after.len() < rest.len(), "no path: {rest:.80}");
            paths.extend(more);
            rest = after;
        }
    }
    let end = text.find(|c: char| !is_of_name(c) && c != '*').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let below =
        rest.strip_prefix("::").filter(|below| below.starts_with(|c: char| is_of_name(c) || c == '{'));
    let (below, rest) = below.map_or_else(|| (vec![Module::new()], rest), tree);
    (below.into_iter().map(|below| [vec![name.to_owned()], below].concat()).collect(), rest)
}

/// A path's names below the crate.
fn absolute(module: &Module, path: &Module) -> Module {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [&module[..], &path[1..]].concat(),
        _ => [&module[..module.len() - ups], &path[ups..]].concat(),
    }
}

fn shared() -> Crate {
    let shared = Crate::read("src");
    assert!(shared.files.len() > 100, "{:?}", shared.files.keys());
    shared
}

fn is_in(module: &Module, folder: &str) -> bool {
    module.first().is_some_and(|first| first == folder)
}

#[test]
fn the_domain_sees_neither_aws_nor_a_runtime_nor_the_clock_nor_the_environment() {
    let forbidden = ["aws_", "tokio", "std::env", "SystemTime", "Instant", "::now()", "async ", "lambda_"];
    let files = shared().files;
    for (module, text) in files.iter().filter(|(module, _)| is_in(module, "domain")) {
        for word in forbidden {
            assert!(!text.contains(word), "{} has `{word}`", module.join("/"));
        }
    }
}

#[test]
fn the_domain_imports_only_itself() {
    let shared = shared();
    for module in shared.files.keys().filter(|module| is_in(module, "domain")) {
        for import in shared.imports(module) {
            assert!(is_in(import, "domain"), "{} imports {}", module.join("/"), import.join("/"));
        }
    }
}

#[test]
fn the_store_and_the_queue_do_not_import_the_acceptance() {
    let shared = shared();
    for module in shared.files.keys().filter(|module| is_in(module, "store") || is_in(module, "queue")) {
        for import in shared.imports(module) {
            let is_above = ["accept", "accept_many", "line_up"].iter().any(|above| is_in(import, above));
            assert!(!is_above, "{} imports {}", module.join("/"), import.join("/"));
        }
    }
}

/// By file and not by folder: `openapi/` describes the bodies of `routes/`, and these bodies are made of the values of
/// `openapi/values.rs`.
#[test]
fn no_circle_of_imports_is_in_the_product() {
    for sources in ["src", "../functions/api/src", "../functions/delivery/src"] {
        let read = Crate::read(sources);
        assert!(read.files.len() > 30, "{sources}");
        assert_eq!(read.in_circles(), BTreeSet::new(), "{sources} has these in circles");
    }
}
