//! The house rules a compiler does not check: who may depend on whom, which crate may name which
//! library, how long files are, how they begin, and what they are not called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// The arrows of ARCHITECTURE.md: a crate, and every crate of ours it depends on. A crate that is
/// not yet in the workspace takes no part; one that is in the workspace must be drawn here.
const ARROWS: &[(&str, &[&str])] = &[
    ("kalamdb-server", &["core", "commons"]),
    ("kalamdb-core", &["tables", "sql", "live", "parquet", "store", "commons"]),
    ("kalamdb-tables", &["sql", "live", "parquet", "store", "commons"]),
    ("kalamdb-sql", &["store", "commons"]),
    ("kalamdb-store", &["commons"]),
    ("kalamdb-parquet", &["commons"]),
    ("kalamdb-live", &["commons"]),
    ("kalamdb-commons", &[]),
];

/// Libraries that exactly one crate may name, in its manifest or in its code.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("rocksdb", "kalamdb-store"),
    ("parquet", "kalamdb-parquet"),
    ("object_store", "kalamdb-parquet"),
    ("tonic", "kalamdb-server"),
    ("arrow-flight", "kalamdb-server"),
    ("clap", "kalamdb-server"),
];

/// Libraries a second crate may name, too: the command line reads and writes Parquet files as a client.
const SHARED: &[(&str, &str)] = &[("parquet", "kalamdb-server")];

/// Libraries a crate must never know although others may.
const NEVER: &[(&str, &[&str])] =
    &[("kalamdb-commons", &["tokio", "datafusion"]), ("kalamdb-store", &["tokio", "datafusion"])];

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "manager", "common", "models", "misc"];

/// Lines a file may have before its inline tests.
const CODE_LINES_MAX: usize = 500;

/// Directories that hold nothing of ours.
const SKIPPED_DIRECTORIES: &[&str] =
    &["target", ".git", ".venv", "kalamdb-data", "__pycache__", "node_modules"];

/// Files every visitor of the repository looks for.
const DOCUMENTS: &[&str] =
    &["LICENSE", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

#[test]
fn crates_depend_on_each_other_exactly_as_drawn() {
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in &packages {
        let name = package.name.as_str();
        let Some(arrows) = drawn.get(name) else {
            faults.push(format!("{name} is not in the drawing"));
            continue;
        };
        let expected: BTreeSet<String> = arrows
            .iter()
            .map(|arrow| format!("kalamdb-{arrow}"))
            .filter(|arrow| names.contains(arrow.as_str()))
            .collect();
        let used: BTreeSet<String> = dependencies(package)
            .filter(|(dependency, kind)| {
                names.contains(dependency.as_str()) && *kind == DependencyKind::Normal
            })
            .map(|(dependency, _)| dependency)
            .collect();
        if used != expected {
            faults.push(format!("{name} depends on {used:?}, drawn is {expected:?}"));
        }
        for (dependency, kind) in dependencies(package) {
            if kind != DependencyKind::Normal
                && names.contains(dependency.as_str())
                && !expected.contains(&dependency)
                && dependency != name
            {
                faults.push(format!("{name} has a {kind:?} dependency on {dependency}"));
            }
        }
    }
    report(faults);
}

#[test]
fn libraries_are_named_only_where_they_belong() {
    let mut faults = Vec::new();
    for package in packages() {
        let name = package.name.as_str();
        for library in forbidden_libraries(name) {
            for (dependency, _) in dependencies(&package) {
                if is_or_extends(&dependency, library) {
                    faults.push(format!("{}: depends on {dependency}", package.manifest_path));
                }
            }
        }
    }
    for file in rust_files() {
        let text = read(&file);
        for library in forbidden_libraries(owner(&file)) {
            let in_code = library.replace('-', "_");
            for (number, line) in code_lines(&text) {
                if names_library(line, &in_code) {
                    faults.push(format!("{}:{number}: names {library}", file.display()));
                }
            }
        }
    }
    report(faults);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = rust_files().into_iter().filter(|file| {
        let text = read(file);
        !text.starts_with("//! ")
    });
    report(silent.map(|file| format!("{}: no `//!` on the first line", file.display())).collect());
}

#[test]
fn no_file_is_longer_than_its_bound() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let is_tests = file.iter().any(|part| part == "tests.rs")
            || file.strip_prefix("crates").is_ok_and(|path| path.iter().any(|p| p == "tests"));
        let lines = lines_before_inline_tests(&read(&file));
        if !is_tests && lines > CODE_LINES_MAX {
            faults.push(format!("{}: {lines} lines without its tests", file.display()));
        }
    }
    report(faults);
}

#[test]
fn no_module_has_an_empty_name() {
    let is_empty = |name: &str| {
        EMPTY_NAMES.iter().any(|empty| {
            name == *empty || name.strip_suffix(empty).is_some_and(|n| n.ends_with('_'))
        })
    };
    let mut faults = Vec::new();
    for file in rust_files() {
        let named = file.with_extension("");
        let parts = named.iter().filter_map(|part| part.to_str());
        faults.extend(
            parts.filter(|part| is_empty(part)).map(|part| format!("{}: {part}", file.display())),
        );
        for (number, line) in code_lines(&read(&file)) {
            let declaration = line.trim_start().trim_start_matches("pub ").strip_prefix("mod ");
            let name = declaration.map(|rest| rest.trim_end_matches([' ', ';', '{']));
            if name.is_some_and(is_empty) {
                faults.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    report(faults);
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    // Put together here, so that this file does not name what it looks for.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let kinds = ["rs", "toml", "proto", "py", "java", "sh", "slt", "xml"];
    let mut faults = Vec::new();
    for file in files() {
        let extension = file.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| !kinds.contains(&extension)) {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| marks.contains(&word)) {
                faults.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    report(faults);
}

#[test]
fn dependencies_are_declared_once_at_the_root() {
    let mut faults = Vec::new();
    for file in files() {
        if file.ends_with("Cargo.lock") && file != Path::new("Cargo.lock") {
            faults.push(format!("{}: a second lock file", file.display()));
        }
        if !file.ends_with("Cargo.toml") {
            continue;
        }
        let mut section = String::new();
        for line in read(&file).lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            }
            let declares = section.ends_with("dependencies") && section != "workspace.dependencies";
            let is_entry = line.starts_with(|c: char| c.is_ascii_alphanumeric());
            if declares && is_entry && !line.contains("workspace = true") {
                faults.push(format!("{}: [{section}] {line}", file.display()));
            }
        }
    }
    report(faults);
}

#[test]
fn the_documents_a_visitor_looks_for_exist() {
    let missing = DOCUMENTS.iter().filter(|name| !root().join(name).is_file());
    report(missing.map(|name| format!("{name} is missing")).collect());
}

#[test]
fn the_code_map_names_every_crate() {
    let map = read(Path::new("ARCHITECTURE.md"));
    let directories = packages().into_iter().map(|package| {
        let name = package.name.to_string();
        match name.as_str() {
            "kalamdb-server" => "crates/kalamdb-server".to_owned(),
            other => other.replacen("kalamdb-", "crates/", 1),
        }
    });
    let unnamed = directories.filter(|directory| !map.contains(directory.as_str()));
    report(unnamed.map(|directory| format!("ARCHITECTURE.md does not name {directory}")).collect());
}

#[test]
fn the_rules_find_what_they_look_for() {
    for line in ["use tonic::Status;", "use tonic;", "    tonic::Code::Ok", "pub use tonic as t;"] {
        assert!(names_library(line, "tonic"), "{line}");
    }
    for line in ["use kalamdb_tonic::X;", "tonic_health::X", "crate::tonic::X", "the tonic crate"] {
        assert!(!names_library(line, "tonic"), "{line}");
    }
    assert!(is_or_extends("tonic-health", "tonic") && !is_or_extends("tonics", "tonic"));
    assert!(is_or_extends("arrow-flight", "arrow-flight"));
    assert_eq!(owner(Path::new("crates/store/src/lib.rs")), "kalamdb-store");
    assert_eq!(owner(Path::new("crates/kalamdb-server/src/lib.rs")), "kalamdb-server");
    assert_eq!(owner(Path::new("tests/it/main.rs")), "kalamdb-server");
    assert_eq!(lines_before_inline_tests("a\nb\n#[cfg(test)]\nmod tests {\n}"), 2);
    assert_eq!(lines_before_inline_tests("a\nb\n#[cfg(test)]\nmod tests;\nc"), 5);
    assert!(forbidden_libraries("kalamdb-store").contains(&"tokio"));
    assert!(!forbidden_libraries("kalamdb-store").contains(&"rocksdb"));
}

fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of the workspace, without looking at the network or at their dependencies' sources.
fn packages() -> Vec<Package> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(vec!["--offline".to_owned()]);
    command.exec().expect("cargo metadata").packages
}

fn dependencies(package: &Package) -> impl Iterator<Item = (String, DependencyKind)> {
    package.dependencies.iter().map(|dependency| (dependency.name.to_string(), dependency.kind))
}

fn forbidden_libraries(package: &str) -> Vec<&'static str> {
    let exclusive = EXCLUSIVE
        .iter()
        .filter(|(name, owner)| *owner != package && !SHARED.contains(&(name, package)))
        .map(|(name, _)| *name);
    let never = NEVER.iter().filter(|(name, _)| *name == package).flat_map(|(_, names)| *names);
    exclusive.chain(never.copied()).collect()
}

/// The package a file belongs to.
fn owner(file: &Path) -> &'static str {
    let mut parts = file.iter().filter_map(|part| part.to_str());
    let directory = if parts.next() == Some("crates") { parts.next() } else { None };
    let named = |name: &str| directory.is_some_and(|d| name.strip_prefix("kalamdb-") == Some(d));
    ARROWS.iter().map(|(name, _)| *name).find(|name| named(name)).unwrap_or("kalamdb-server")
}

/// `tonic` is extended by `tonic-health`, not by `tonics`.
fn is_or_extends(dependency: &str, library: &str) -> bool {
    let dependency = dependency.replace('-', "_");
    let library = library.replace('-', "_");
    dependency.strip_prefix(&library).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// True when the line uses the library's path or imports it: `tonic::Status`, `use tonic;`.
fn names_library(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + library.len()..]);
        let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let is_own = ["crate::", "self::", "super::"].iter().any(|path| before.ends_with(path));
        let is_path = after.starts_with("::");
        let is_import = before.ends_with("use ") && after.starts_with([';', ' ']);
        is_word && !is_own && (is_path || is_import)
    })
}

/// Numbered lines that are not comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Lines up to the first `#[cfg(test)]` that opens an inline module.
fn lines_before_inline_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |at: usize| {
        let mut rest = lines[at + 1..].iter().skip_while(|line| line.starts_with("#["));
        rest.next().is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let mut marks = (0..lines.len()).filter(|at| lines[*at] == "#[cfg(test)]");
    marks.find(|at| opens_tests(*at)).unwrap_or(lines.len())
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn rust_files() -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")).collect()
}

/// Every file of the repository, relative to its root, in a fixed order.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root().to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let name = entry.file_name();
            if kind.is_dir() && !SKIPPED_DIRECTORIES.iter().any(|skipped| name == *skipped) {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
