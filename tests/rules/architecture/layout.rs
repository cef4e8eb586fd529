//! How an area is laid out: a concept is a folder, SQL stands in its store, arrows go one way, times are parameters.

use std::path::Path;

use crate::imports::Modules;
use crate::source::Source;
use crate::{Package, areas, nothing_wrong, packages, root, sources, time};

/// Beginnings of constants' names that mean a limit, and what they are called instead.
const OLD_LIMITS: [(&str, &str); 4] = [
    ("MOST_", "MAX_"),
    ("LONGEST_", "MAX_"),
    ("LEAST_", "MIN_"),
    ("USUAL_", "DEFAULT_"),
];

/// The sources of a package below `src`, as (path from there, text).
fn texts(package: &Package) -> Vec<(String, String)> {
    let folder = root().join(&package.folder).join("src");
    let files = sources(&folder).into_iter().map(|(path, _)| {
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        let file = path.strip_prefix(&folder).expect("it is below src");
        (file.to_string_lossy().into_owned(), text)
    });
    files.collect()
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn is_in_store(file: &str) -> bool {
    Path::new(file)
        .components()
        .any(|part| part.as_os_str() == "store" || part.as_os_str() == "store.rs")
}

#[test]
fn every_area_has_the_same_files() {
    let mut wrong = Vec::new();
    for (name, package) in areas() {
        let folder = root().join(&package.folder);
        let mut expected = vec!["README.md", "src/lib.rs", "src/error.rs", "src/bin"];
        // What an area publishes stands in one place; maintenance and notifications publish nothing.
        let texts = texts(&package);
        let codes = texts.iter().map(|(_, text)| Source::parse(text).code);
        if codes.into_iter().any(|code| code.contains("messaging::outbox")) {
            expected.push("src/events.rs");
        }
        for file in expected.into_iter().filter(|file| !folder.join(file).exists()) {
            wrong.push(format!("{name}: add {}/{file}", package.folder));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn sql_is_in_stores_only() {
    let mut wrong = Vec::new();
    for package in areas().into_values() {
        for (file, text) in texts(&package) {
            let code = Source::parse(&text).code;
            if !is_in_store(&file) && !is_test(&file) && code.contains("sqlx::query") {
                wrong.push(format!(
                    "{}/src/{file}: move its SQL into its concept's store.rs",
                    package.folder
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

/// In the local cloud a module may import from those that it is in.
#[test]
fn modules_do_not_import_each_other_in_circles() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        let texts = texts(&package);
        let modules = Modules::of(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())));
        let is_deployed = ["functions/", "shared/"]
            .iter()
            .any(|top| package.folder.starts_with(top));
        let circles = if is_deployed {
            modules.circles()
        } else {
            modules.circles_apart_from_parents()
        };
        for circle in circles {
            wrong.push(format!(
                "{name}: {}: move what both need into a module below them",
                modules.described(&circle)
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn stores_import_no_use_case() {
    let mut wrong = Vec::new();
    for (name, package) in areas() {
        let texts = texts(&package);
        let files = texts.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        for (store, above) in Modules::of(files).arrows_up() {
            wrong.push(format!(
                "{name}: {store} imports from {above}, which uses a store: move what it needs into a module that \
                 uses none"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn times_are_parameters() {
    let mut wrong = Vec::new();
    let built = packages()
        .into_iter()
        .filter(|(name, package)| name == "platform" || package.folder.starts_with("functions/"));
    for (name, package) in built {
        for (file, text) in texts(&package).into_iter().filter(|(file, _)| !is_test(file)) {
            let source = Source::parse(&text);
            let place = format!("{}/src/{file}", package.folder);
            for sql in time::clocks_in_sql(&source) {
                let shown: String = sql.split_whitespace().collect::<Vec<_>>().join(" ");
                let shown: String = shown.chars().take(80).collect();
                wrong.push(format!(
                    "{place}: bind the time instead of asking the database: {shown}"
                ));
            }
            // The platform's clock is the one that asks the machine.
            for clock in time::clocks_in_code(&source)
                .into_iter()
                .filter(|_| name != "platform")
            {
                wrong.push(format!(
                    "{place}: take the time from the injected clock, not {clock}"
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn limits_have_the_usual_names() {
    let mut wrong = Vec::new();
    for package in packages().into_values() {
        for (path, _) in sources(&root().join(&package.folder)) {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            let code = Source::parse(&text).code;
            let mut words = code.split_whitespace();
            while let Some(word) = words.next() {
                if word != "const" && word != "static" {
                    continue;
                }
                let Some(name) = words.next().map(|name| name.trim_end_matches(':')) else {
                    continue;
                };
                for (old, new) in OLD_LIMITS {
                    if let Some(rest) = name.strip_prefix(old) {
                        wrong.push(format!("{}: rename {name} to {new}{rest}", path.display()));
                    }
                }
            }
        }
    }
    nothing_wrong(&wrong);
}
