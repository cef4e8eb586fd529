//! The functions of the template.

use std::{collections::BTreeMap, time::Duration};

use super::{Event, Function, HttpRoute, Node, events, stacks::Stack};

/// Lambda's own default, where neither the function nor `Globals` says.
const DEFAULT_TIMEOUT_S: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;

/// The functions of a stack; `routes` are those of its API, by the function's logical id.
pub(super) fn read(stack: &Stack, routes: &[(String, HttpRoute)]) -> anyhow::Result<Vec<Function>> {
    let functions = stack.of_kind("AWS::Serverless::Function");
    functions
        .iter()
        .map(|(id, function)| read_function(id, function, routes))
        .collect()
}

fn read_function(id: &str, function: &Node, routes: &[(String, HttpRoute)]) -> anyhow::Result<Function> {
    let of_function = routes.iter().filter(|(behind, _)| behind == id);
    let mut read_events: Vec<Event> = of_function.map(|(_, route)| Event::Http(route.clone())).collect();
    for (name, event) in function.get("Events").entries()? {
        read_events.push(events::read(&name, &event)?);
    }
    let mut environment = BTreeMap::new();
    for (name, value) in function.get("Environment").get("Variables").entries()? {
        environment.insert(name, value.text()?);
    }
    Ok(Function {
        logical_id: id.to_owned(),
        binary: binary(&function.get("CodeUri"))?,
        timeout: Duration::from_secs(function.get("Timeout").number()?.unwrap_or(DEFAULT_TIMEOUT_S)),
        memory_mb: function.get("MemorySize").number()?.unwrap_or(DEFAULT_MEMORY_MB),
        reserved_concurrency: function.get("ReservedConcurrentExecutions").number()?,
        environment,
        events: read_events,
    })
}

/// The last segment of the path, as in `../target/lambda/deposit_funds/`.
pub(super) fn binary(code: &Node) -> anyhow::Result<String> {
    let path = code.text()?;
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.is_empty() || last == "." || last == ".." {
        anyhow::bail!("{code}: {path} doesn't end with the name of a binary");
    }
    Ok(last.to_owned())
}
