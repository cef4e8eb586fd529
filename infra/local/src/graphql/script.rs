//! The resolver's script, in QuickJS: each run in an engine of its own, without files, network or the last run's state, and
//! with little time and memory, as on AppSync.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use rquickjs::{
    CatchResultExt, Context, Ctx, Function, Module, Runtime,
    loader::{BuiltinLoader, BuiltinResolver},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

const UTILS: &str = "@aws-appsync/utils";
const UTILS_SOURCE: &str = include_str!("script/utils.js");
const RESOLVER: &str = "resolver";
const DRIVER: &str = "driver";
const DRIVER_SOURCE: &str = include_str!("script/driver.js");
const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;
const MAX_STACK_BYTES: usize = 512 * 1024;
const MAX_TIME: Duration = Duration::from_secs(5);
/// How many ids a run may ask for.
const IDS: usize = 8;

/// A script with the handlers `request` and `response`.
#[derive(Clone, Debug)]
pub(super) struct Script {
    source: Arc<str>,
}

/// What a handler came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// It returned this.
    Value(Value),
    /// It called `util.error`.
    Error(ResolverError),
}

/// An error as AppSync shows it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResolverError {
    pub(super) message: String,
    pub(super) error_type: Option<String>,
    pub(super) data: Value,
    pub(super) error_info: Value,
}

/// What a handler came to, and the filter that it has set for a subscription; null where it has set none.
#[derive(Debug)]
pub(super) struct Handled {
    pub(super) outcome: Outcome,
    pub(super) filter: Value,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    filter: Value,
    error: Option<ResolverError>,
}

impl Script {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
        }
    }

    /// Runs a handler on a context.
    pub(super) async fn run(
        &self,
        handler: &'static str,
        context: &Value,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Handled> {
        let ids: Vec<String> = (0..IDS).map(|_| Uuid::new_v4().to_string()).collect();
        let input = json!({ "context": context, "now": now.timestamp_millis(), "ids": ids }).to_string();
        let source = Arc::clone(&self.source);
        let said = tokio::task::spawn_blocking(move || run(&source, handler, &input))
            .await
            .context("the resolver's run was interrupted")??;
        let said: Said = serde_json::from_str(&said)?;
        Ok(Handled {
            outcome: match said.error {
                Some(error) => Outcome::Error(error),
                None => Outcome::Value(said.value),
            },
            filter: said.filter,
        })
    }
}

fn run(source: &str, handler: &str, input: &str) -> anyhow::Result<String> {
    let runtime = Runtime::new().map_err(|error| anyhow!("{error}"))?;
    runtime.set_memory_limit(MAX_MEMORY_BYTES);
    runtime.set_max_stack_size(MAX_STACK_BYTES);
    let begun = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || begun.elapsed() > MAX_TIME)));
    let names = BuiltinResolver::default()
        .with_module(UTILS)
        .with_module(RESOLVER);
    let sources = BuiltinLoader::default()
        .with_module(UTILS, UTILS_SOURCE)
        .with_module(RESOLVER, source);
    runtime.set_loader(names, sources);
    let context = Context::full(&runtime).map_err(|error| anyhow!("{error}"))?;
    context.with(|ctx| {
        let said = call(&ctx, handler, input).catch(&ctx);
        said.map_err(|error| anyhow!("the resolver's {handler} failed: {error}"))
    })
}

fn call(ctx: &Ctx<'_>, handler: &str, input: &str) -> rquickjs::Result<String> {
    Module::evaluate(ctx.clone(), DRIVER, DRIVER_SOURCE)?.finish::<()>()?;
    let run: Function<'_> = ctx.globals().get("run")?;
    run.call((handler, input))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(source: &str, context: Value) -> anyhow::Result<Outcome> {
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        let handled = Script::new(source).run("request", &context, now).await?;
        Ok(handled.outcome)
    }

    #[tokio::test]
    async fn a_handler_sees_its_context_and_the_time() {
        let source = "import { util } from '@aws-appsync/utils';\n\
                      export function request(ctx) { return { n: ctx.n, t: util.time.nowEpochMilliSeconds() }; }";
        let expected = json!({ "n": 7, "t": 1_795_867_200_000_i64 });
        assert_eq!(
            run(source, json!({ "n": 7 })).await.unwrap(),
            Outcome::Value(expected)
        );
    }

    #[tokio::test]
    async fn an_error_of_the_resolver_is_told_apart_from_a_bug() {
        let source = "import { util } from '@aws-appsync/utils';\n\
                      export function request() { util.error('no', 'not-found', null, { status: 404 }); }";
        let Outcome::Error(error) = run(source, json!({})).await.unwrap() else {
            panic!("no error");
        };
        assert_eq!(
            (error.message.as_str(), error.error_type.as_deref()),
            ("no", Some("not-found"))
        );
        assert_eq!(error.error_info, json!({ "status": 404 }));
        let bug = run("export function request(ctx) { return ctx.a.b; }", json!({}))
            .await
            .unwrap_err();
        assert!(bug.to_string().contains("request failed"), "{bug}");
    }

    #[tokio::test]
    async fn a_run_leaves_nothing_and_ids_differ() {
        let source = "import { util } from '@aws-appsync/utils';\n\
                      export function request() { globalThis.n = (globalThis.n ?? 0) + 1; return [n, util.autoId()]; }";
        let (first, second) = (
            run(source, json!({})).await.unwrap(),
            run(source, json!({})).await.unwrap(),
        );
        assert_ne!(first, second);
        for outcome in [first, second] {
            let Outcome::Value(value) = outcome else {
                panic!("an error")
            };
            assert_eq!(value[0], 1);
        }
    }

    #[tokio::test]
    async fn a_filter_is_told_beside_the_value() {
        let source = "import { extensions, util } from '@aws-appsync/utils';\n\
                      export function response() {\n\
                      extensions.setSubscriptionFilter(util.transform.toSubscriptionFilter({ a: { eq: '7' } })); }";
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        let handled = Script::new(source)
            .run("response", &json!({}), now)
            .await
            .unwrap();
        assert_eq!(handled.outcome, Outcome::Value(Value::Null));
        let condition = json!({ "fieldName": "a", "operator": "eq", "value": "7" });
        assert_eq!(
            handled.filter,
            json!({ "filterGroup": [{ "filters": [condition] }] })
        );
    }

    #[tokio::test]
    async fn a_text_becomes_part_of_a_query() {
        let source = "import { util } from '@aws-appsync/utils';\n\
                      export function request(ctx) { return [util.urlEncode(ctx.text), util.matches('^[0-9]+$', ctx.text)]; }";
        let outcome = run(source, json!({ "text": "a b&c=ü/'" })).await.unwrap();
        assert_eq!(outcome, Outcome::Value(json!(["a+b%26c%3D%C3%BC%2F%27", false])));
    }
}
