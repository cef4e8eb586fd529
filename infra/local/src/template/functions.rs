//! The functions of the template.

use std::{collections::BTreeMap, time::Duration};

use super::{Function, Node, Resolver, events, resources::HttpApi};

/// Lambda's own default, where neither the function nor `Globals` says.
const DEFAULT_TIMEOUT_S: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

pub(super) fn read(resolver: &Resolver<'_>, api: &HttpApi) -> anyhow::Result<Vec<Function>> {
    let globals = resolver.section("Globals")?.get("Function");
    let mut functions = Vec::new();
    for (id, function) in resolver.resources("AWS::Serverless::Function")? {
        functions.push(read_function(&id, &function, &globals, api)?);
    }
    functions.sort_by(|left, right| left.binary.cmp(&right.binary));
    Ok(functions)
}

fn read_function(id: &str, function: &Node, globals: &Node, api: &HttpApi) -> anyhow::Result<Function> {
    let either = |name: &str| {
        let own = function.get(name);
        if own.exists() { own } else { globals.get(name) }
    };
    let mut read_events = Vec::new();
    for (name, event) in function.get("Events").entries()? {
        read_events.push(events::read(&name, &event, api)?);
    }
    Ok(Function {
        logical_id: id.to_owned(),
        binary: binary(&either("CodeUri"))?,
        timeout: Duration::from_secs(either("Timeout").number()?.unwrap_or(DEFAULT_TIMEOUT_S)),
        memory_mb: either("MemorySize").number()?.unwrap_or(DEFAULT_MEMORY_MB),
        reserved_concurrency: function.get("ReservedConcurrentExecutions").number()?,
        environment: environment(function, globals)?,
        events: read_events,
    })
}

/// The last segment of the path, as in `../target/lambda/deposit_funds/`.
fn binary(code: &Node) -> anyhow::Result<String> {
    let path = code.text()?;
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.is_empty() || last == "." || last == ".." {
        anyhow::bail!("{code}: {path} doesn't end with the name of a binary");
    }
    Ok(last.to_owned())
}

fn environment(function: &Node, globals: &Node) -> anyhow::Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for source in [globals, function] {
        for (name, value) in source.get("Environment").get("Variables").entries()? {
            variables.insert(name, value.text()?);
        }
    }
    Ok(variables)
}
