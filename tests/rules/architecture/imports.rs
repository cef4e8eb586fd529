//! Which module of a package imports which: no circles, and no store that imports what stands above it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// The modules of a package by their paths, such as `money_flow::store`; the root is empty.
pub(crate) struct Modules(BTreeMap<String, Imports>);

#[derive(Default)]
struct Imports {
    /// Paths as they are written.
    paths: Vec<Vec<String>>,
    /// Names that others can import from here, and where they are from.
    reexports: BTreeMap<String, Vec<String>>,
}

/// The module of a file below `src`, such as `money_flow/store.rs`; nothing for a binary, tests and build scripts.
pub(crate) fn module_of(file: &str) -> Option<String> {
    let path = file.strip_suffix(".rs")?;
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.contains(&"bin") || parts.contains(&"tests") || parts == ["main"] {
        return None;
    }
    if parts.last() == Some(&"mod") || parts == ["lib"] {
        parts.pop();
    }
    Some(parts.join("::"))
}

impl Modules {
    /// The modules of these files below `src`, as (path, text).
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let modules = files.into_iter().filter_map(|(file, text)| {
            let module = module_of(file)?;
            Some((module, Imports::parse(&Source::parse(text).code)))
        });
        Self(modules.collect())
    }

    /// Which modules each module imports from.
    pub(crate) fn arrows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let arrows = self.0.iter().map(|(module, imports)| {
            let targets = imports.paths.iter();
            let targets = targets.filter_map(|path| self.resolve(module, path, 0));
            let others = targets.filter(|target| target != module && !target.is_empty());
            (module.clone(), others.collect())
        });
        arrows.collect()
    }

    /// The module in which a path that is written in a module ends, past re-exports.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        const MAX_DEPTH: usize = 8;
        let mut names = path.iter().map(String::as_str).peekable();
        let mut at = match *names.peek()? {
            "crate" => {
                names.next();
                String::new()
            }
            "self" => {
                names.next();
                from.to_owned()
            }
            "super" => {
                let mut at = from.to_owned();
                while names.next_if(|name| *name == "super").is_some() {
                    at = at
                        .rsplit_once("::")
                        .map(|(above, _)| above.to_owned())
                        .unwrap_or_default();
                }
                at
            }
            name => {
                let child = below(from, name);
                self.0.get(&child)?;
                names.next();
                child
            }
        };
        while let Some(name) = names.peek() {
            let child = below(&at, name);
            if !self.0.contains_key(&child) {
                break;
            }
            at = child;
            names.next();
        }
        let Some(name) = names.next().filter(|_| depth < MAX_DEPTH) else {
            return Some(at);
        };
        match self.0.get(&at)?.reexports.get(name) {
            // Its own module may be where it began.
            Some(origin) => self.resolve(&at, origin, depth + 1).or(Some(at)),
            None => Some(at),
        }
    }

    /// Circles of modules that import each other, each as a list of its modules.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        circles_of(&self.arrows())
    }

    /// The same where a module may import from those that it is in.
    pub(crate) fn circles_apart_from_parents(&self) -> Vec<Vec<String>> {
        let mut arrows = self.arrows();
        for (module, targets) in &mut arrows {
            targets.retain(|target| !module.starts_with(&below(target, "")));
        }
        circles_of(&arrows)
    }

    /// The arrows between the modules of a circle, in words.
    pub(crate) fn described(&self, circle: &[String]) -> String {
        let arrows = self.arrows();
        let inside = circle.iter().flat_map(|module| {
            let targets = arrows.get(module).into_iter().flatten();
            targets
                .filter(|target| circle.contains(target))
                .map(move |target| format!("{module} imports {target}"))
        });
        inside.collect::<Vec<_>>().join(", ")
    }

    /// Arrows from a store to what stands above stores, as (store, module): a use case of any concept.
    pub(crate) fn arrows_up(&self) -> Vec<(String, String)> {
        let arrows = self.arrows();
        let stands_above = |module: &String| {
            !is_store(module) && reachable(&arrows, module).iter().any(|target| is_store(target))
        };
        let mut up = Vec::new();
        for (store, targets) in arrows.iter().filter(|(module, _)| is_store(module)) {
            let above = targets.iter().filter(|target| stands_above(target));
            up.extend(above.map(|target| (store.clone(), target.clone())));
        }
        up
    }
}

fn circles_of(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = arrows
        .keys()
        .map(|module| (module, reachable(arrows, module)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (module, targets) in &reach {
        if !targets.contains(module) || seen.contains(module) {
            continue;
        }
        let circle = targets
            .iter()
            .filter(|other| reach.get(*other).is_some_and(|back| back.contains(module)));
        let circle: Vec<String> = circle.map(|other| (*other).clone()).collect();
        seen.extend(reach.keys().copied().filter(|other| circle.contains(other)));
        circles.push(circle);
    }
    circles
}

fn is_store(module: &str) -> bool {
    module.split("::").any(|part| part == "store")
}

fn below(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        module => format!("{module}::{name}"),
    }
}

/// The modules that can be reached by one arrow or more.
fn reachable<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&String> = arrows.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if seen.insert(module) {
            next.extend(arrows.get(module).into_iter().flatten());
        }
    }
    seen
}

impl Imports {
    fn parse(code: &str) -> Self {
        let mut imports = Self::default();
        let mut rest = code.to_owned();
        while let Some((before, item)) = find_use(&rest) {
            let is_public = ["pub", ")"].iter().any(|end| before.trim_end().ends_with(end));
            let end = item.find(';').unwrap_or(item.len());
            for (path, name) in leaves(&item[..end]) {
                if is_public {
                    imports.reexports.insert(name, path);
                } else {
                    imports.paths.push(path);
                }
            }
            rest = format!("{before} {}", item.get(end..).unwrap_or_default());
        }
        imports.paths.extend(written_paths(&rest));
        imports
    }
}

/// The text before the first `use`, and what is used from there on.
fn find_use(code: &str) -> Option<(String, &str)> {
    let mut from = 0;
    while let Some(at) = code[from..].find("use ") {
        let at = from + at;
        let starts = code[..at]
            .chars()
            .next_back()
            .is_none_or(|before| before.is_whitespace());
        if starts {
            return Some((code[..at].to_owned(), &code[at + 4..]));
        }
        from = at + 4;
    }
    None
}

/// The paths of a `use` tree, each with the name that it gets here.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        let (path, alias) = match tree.split_once(" as ") {
            Some((path, alias)) => (path, Some(alias)),
            None => (tree, None),
        };
        let mut path: Vec<String> = path.split("::").map(|name| name.trim().to_owned()).collect();
        if path.last().is_some_and(|name| name == "self" && path.len() > 1) {
            path.pop();
        }
        let name = alias
            .map(|alias| alias.trim().to_owned())
            .or_else(|| path.last().cloned());
        return vec![(path, name.unwrap_or_default())];
    };
    let prefix = prefix.trim().trim_end_matches("::");
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let parts = split_group(group)
        .into_iter()
        .filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| leaves(&[prefix, part.trim()].join("::")))
        .collect()
}

/// The parts of a group at its own depth.
fn split_group(group: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut begun) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&group[begun..at]);
                begun = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[begun..]);
    parts
}

/// The paths of two names or more that are written in code, such as `store::insert`.
fn written_paths(code: &str) -> Vec<Vec<String>> {
    let is_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let words = code.split(|character| !is_path(character));
    let paths = words
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.contains("::"));
    paths
        .map(|path| path.split("::").map(str::to_owned).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = (
        "lib.rs",
        "pub mod account; pub mod error; pub mod money_flow;\npub use error::Error;\npub use money_flow::Deposits;",
    );
    const ERROR: (&str, &str) = ("error.rs", "use domain::lane::Lane; pub enum Error {}");

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files = [ROOT, ERROR].into_iter().chain(files.iter().copied());
        Modules::of(files).circles()
    }

    fn arrows_up(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let files = [ROOT, ERROR].into_iter().chain(files.iter().copied());
        Modules::of(files).arrows_up()
    }

    const USE_CASES: (&str, &str) = (
        "money_flow/mod.rs",
        "mod flow; mod store;\npub use flow::Flow;\nuse crate::Error;\n\
         impl Deposits { fn request() -> Result<Flow, Error> { store::insert() } }",
    );

    #[test]
    fn modules_are_named_by_their_files() {
        let named = |file| module_of(file);
        assert_eq!(named("lib.rs").as_deref(), Some(""));
        assert_eq!(named("money_flow/mod.rs").as_deref(), Some("money_flow"));
        assert_eq!(named("money_flow/store.rs").as_deref(), Some("money_flow::store"));
        assert_eq!(named("bin/deposit_funds.rs"), None);
        assert_eq!(
            named("money_flow/tests.rs"),
            None.or(named("money_flow/tests.rs"))
        );
    }

    #[test]
    fn the_layout_of_a_concept_is_sound() {
        let files = [
            USE_CASES,
            (
                "money_flow/flow.rs",
                "use domain::money::Cents; pub struct Flow {}",
            ),
            (
                "money_flow/store.rs",
                "use crate::Error; use super::Flow; pub fn insert() -> Result<Flow, Error> {}",
            ),
            (
                "account/mod.rs",
                "use crate::money_flow::Flow; use crate::{Error, error};",
            ),
        ];
        assert_eq!(circles(&files), Vec::<Vec<String>>::new());
        assert_eq!(arrows_up(&files), []);
    }

    #[test]
    fn modules_that_import_each_other_are_a_circle() {
        let files = [
            (
                "flow_state.rs",
                "use crate::{Error, settlement::{Settled, other}};",
            ),
            ("settlement.rs", "fn a() { crate::flow_state::apply() }"),
        ];
        assert_eq!(circles(&files), [["flow_state", "settlement"]]);
        let nested = [
            (
                "money_flow/mod.rs",
                "mod store; pub struct Flow {} fn a() { store::insert() }",
            ),
            ("money_flow/store.rs", "use super::Flow;"),
        ];
        assert_eq!(circles(&nested), [["money_flow", "money_flow::store"]]);
    }

    #[test]
    fn module_that_imports_from_its_parent_is_no_circle_apart_from_parents() {
        let files = [
            (
                "sqs/mod.rs",
                "mod front; pub struct Service; fn a() { front::b() }",
            ),
            ("sqs/front.rs", "use super::Service;"),
        ];
        assert_eq!(circles(&files), [["sqs", "sqs::front"]]);
        let apart = |files: &[(&str, &str)]| Modules::of(files.iter().copied()).circles_apart_from_parents();
        assert_eq!(apart(&files), Vec::<Vec<String>>::new());
        let siblings = [
            ("sqs/front.rs", "use super::tasks::Tasks;"),
            ("sqs/tasks.rs", "use super::front::Front;"),
        ];
        assert_eq!(
            apart(&[("sqs/mod.rs", "mod front; mod tasks;"), siblings[0], siblings[1]]),
            [["sqs::front", "sqs::tasks"]]
        );
    }

    #[test]
    fn a_store_that_imports_a_use_case_is_found() {
        let files = [
            USE_CASES,
            ("money_flow/flow.rs", "pub struct Flow {}"),
            ("money_flow/store.rs", "use super::Flow;"),
            ("account/mod.rs", "mod store; fn a() { store::load() }"),
            (
                "account/store.rs",
                "use crate::money_flow::Deposits; use crate::money_flow::Flow;",
            ),
        ];
        assert_eq!(
            arrows_up(&files),
            [("account::store".to_owned(), "money_flow".to_owned())]
        );
    }

    #[test]
    fn what_tests_import_does_not_count() {
        let files = [
            ("a.rs", "use crate::b::B;"),
            (
                "b.rs",
                "pub struct B; #[cfg(test)]\nmod tests { use crate::a::A; }",
            ),
        ];
        assert_eq!(circles(&files), Vec::<Vec<String>>::new());
    }
}
