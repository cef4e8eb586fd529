//! The arrows and shapes of the workspace: who may depend on whom, which files an area has, how long a file may be.
#![expect(clippy::expect_used, reason = "a test stops at what it can't read")]

mod imports;
mod layout;
mod source;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// A file that is longer holds more than one thing.
const MAX_LINES: usize = 600;
/// An operation reads like its own documentation: request, answer, handler, `main`.
const BINARY_LINES: std::ops::RangeInclusive<usize> = 15..=90;

/// A package of the workspace and what it depends on of ours.
struct Package {
    /// Its folder from the workspace's root, such as `functions/trading`.
    folder: String,
    /// Packages it is built with.
    uses: BTreeSet<String>,
    /// Packages that only its tests are built with.
    tested_with: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .to_path_buf()
}

fn packages() -> BTreeMap<String, Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata can read the workspace");
    let names: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let ours = |package: &cargo_metadata::Package, test: bool| {
        let of_kind = package
            .dependencies
            .iter()
            .filter(|one| (one.kind == DependencyKind::Development) == test);
        of_kind
            .map(|one| one.name.clone())
            .filter(|name| names.contains(name))
            .collect()
    };
    let folder = |package: &cargo_metadata::Package| {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        folder
            .strip_prefix(&metadata.workspace_root)
            .expect("a member is inside the workspace")
            .to_string()
    };
    let describe = |package: &cargo_metadata::Package| Package {
        folder: folder(package),
        uses: ours(package, false),
        tested_with: ours(package, true),
    };
    metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), describe(package)))
        .collect()
}

fn areas() -> BTreeMap<String, Package> {
    packages()
        .into_iter()
        .filter(|(_, package)| package.folder.starts_with("functions/"))
        .collect()
}

/// What a package may be built with.
fn allowed(name: &str, package: &Package) -> &'static [&'static str] {
    match (name, package.folder.as_str()) {
        ("domain", _) => &[],
        ("platform" | "providers" | "local-cloud", _) => &["domain"],
        (_, folder) if folder.starts_with("functions/") => &["domain", "platform", "providers"],
        _ => &[],
    }
}

/// Every `.rs` file under a folder with its number of lines.
fn sources(folder: &Path) -> Vec<(PathBuf, usize)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    paths
        .flat_map(|path| {
            if path.is_dir() && !path.ends_with("target") {
                return sources(&path);
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                return Vec::new();
            }
            let lines = std::fs::read_to_string(&path)
                .expect("a source file is text")
                .lines()
                .count();
            vec![(path, lines)]
        })
        .collect()
}

/// Fails with all that is wrong at once.
fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

#[test]
fn arrows_go_one_way() {
    let mut wrong = Vec::new();
    for (name, package) in packages().into_iter().filter(|(name, _)| name != "end-to-end") {
        let allowed = allowed(&name, &package);
        for used in package
            .uses
            .iter()
            .filter(|used| !allowed.contains(&used.as_str()))
        {
            wrong.push(format!(
                "{name} must not depend on {used}: areas go through platform and providers to domain, and hear of each \
                 other through events"
            ));
        }
        // Tests may also stand on the local cloud's back ends.
        let in_tests = package
            .tested_with
            .iter()
            .filter(|used| *used != "local-cloud" || name == "domain");
        for used in in_tests.filter(|used| !allowed.contains(&used.as_str())) {
            wrong.push(format!(
                "the tests of {name} must not depend on {used}: test across areas in tests/"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_package_is_where_the_design_has_it() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        let expected = match name.as_str() {
            "domain" | "platform" | "providers" => format!("shared/{name}"),
            "local-cloud" => "infra/local".to_owned(),
            "end-to-end" => "tests".to_owned(),
            "hello-world" => "tests/hello-world".to_owned(),
            area => format!("functions/{area}"),
        };
        if package.folder != expected {
            wrong.push(format!("{name}: move it from {} to {expected}", package.folder));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for (path, lines) in packages()
        .values()
        .flat_map(|package| sources(&root().join(&package.folder)))
    {
        if lines > MAX_LINES {
            wrong.push(format!(
                "{}: {lines} lines of {MAX_LINES}: split it by what it does",
                path.display()
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn an_operation_fits_on_a_screen_or_two() {
    let mut wrong = Vec::new();
    for package in areas().into_values() {
        for (path, lines) in sources(&root().join(&package.folder).join("src/bin")) {
            if !BINARY_LINES.contains(&lines) {
                wrong.push(format!(
                    "{}: {lines} lines; an operation has {} to {}: its types, its handler, main; the rest is the area's \
                     library",
                    path.display(),
                    BINARY_LINES.start(),
                    BINARY_LINES.end()
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}
