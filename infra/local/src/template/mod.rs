//! `infra/template.yaml` and the stacks that it nests, as the local cloud reads them: the functions with what calls them,
//! the queues, the tables, the topics and the authorizer. What the local cloud doesn't run (roles, alarms, log groups) is
//! kept as it stands, resolved; what it can't understand is an error that names the resource and the property.

mod api;
mod app_api;
mod events;
mod functions;
mod intrinsics;
mod loops;
mod node;
mod resources;
mod stacks;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::Value;

use self::{node::Node, stacks::Reader};
use crate::backends::{QueueSpec, TableSpec, TopicSpec, region};

/// What the name of every queue and table begins with: the system's and the stage's.
pub(crate) const NAME_PREFIX: &str = "moneta-local-";

/// What stands in for the account that the template is deployed to.
#[derive(Clone, Debug)]
pub struct Locals {
    /// The region in every ARN.
    pub region: String,
    /// The account in every ARN.
    pub account: String,
    /// Values of the template's parameters; the rest take their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The URL of each queue by its name. What isn't there gets a stand-in, as the queues don't run yet.
    pub queue_urls: BTreeMap<String, String>,
}

impl Default for Locals {
    fn default() -> Self {
        Self {
            region: region().to_owned(),
            account: "000000000000".to_owned(),
            parameters: BTreeMap::from([("Stage".to_owned(), "local".to_owned())]),
            queue_urls: BTreeMap::new(),
        }
    }
}

/// The template, with every intrinsic function resolved to a local value.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// The functions, by logical id.
    pub functions: Vec<Function>,
    /// The queues.
    pub queues: Vec<QueueSpec>,
    /// The tables.
    pub tables: Vec<TableSpec>,
    /// The Kafka topics of `Metadata.Moneta.KafkaTopics`.
    pub topics: Vec<TopicSpec>,
    /// The JWT authorizer of the HTTP API.
    pub authorizer: Option<Authorizer>,
    /// The app's API in GraphQL.
    pub app_api: Option<AppApi>,
    /// Every resource of every stack, those above included.
    pub resources: Vec<Resource>,
}

/// A resource as it stands in its stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The logical id of its stack; empty in the root.
    pub stack: String,
    /// Its logical id.
    pub id: String,
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// Its properties; a function's with those of `Globals`.
    pub properties: Value,
    /// What else is said of it, such as `DeletionPolicy`.
    pub attributes: serde_json::Map<String, Value>,
}

impl Resource {
    fn node(&self) -> Node {
        Node::new(self.properties.clone(), format!("resource {}", self.id))
    }
}

/// One Lambda function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// Its binary, which is also the name of the operation.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// The memory it is given, in MB.
    pub memory_mb: u64,
    /// How many invocations may run at the same time.
    pub reserved_concurrency: Option<usize>,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// What calls it.
    pub events: Vec<Event>,
}

/// What calls a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A route of the HTTP API.
    Http(HttpRoute),
    /// Messages of a queue.
    Queue(QueueSource),
    /// The changes of a table.
    Stream(StreamSource),
    /// The clock.
    Schedule(Schedule),
    /// Records of a Kafka topic.
    Kafka(KafkaSource),
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRoute {
    /// GET, POST, … or ANY.
    pub method: String,
    /// The path, with parameters in braces.
    pub path: String,
    /// Whether the JWT authorizer guards it.
    pub authorized: bool,
    /// Scopes of which the token must carry one.
    pub scopes: Vec<String>,
}

/// A function's subscription to a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSource {
    /// The queue's name.
    pub queue: String,
    /// The most messages in one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub batching_window: Duration,
    /// Whether the function names the messages that failed.
    pub partial_responses: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The most invocations at the same time.
    pub maximum_concurrency: Option<usize>,
    /// Patterns of which a message must match one.
    pub filters: Vec<Value>,
}

/// A function's subscription to the changes of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSource {
    /// The table's name.
    pub table: String,
    /// How many batches are worked on at the same time; the records of an item keep their order.
    pub parallelization_factor: usize,
    /// How the records are given to the function.
    pub records: RecordRules,
}

/// How records that have an order are given to a function, and what becomes of those that it fails.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordRules {
    /// The most records in one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub batching_window: Duration,
    /// Start with the oldest record that is still there, rather than with the next one.
    pub from_start: bool,
    /// Halve a batch that fails.
    pub bisect: bool,
    /// How often a failing batch is tried again; none means for ever.
    pub maximum_retries: Option<u32>,
    /// How old a record may be that fails; none means any age.
    pub maximum_age: Option<Duration>,
    /// Whether the function names the record that failed.
    pub partial_responses: bool,
    /// The queue that is told of records given up.
    pub failure_queue: Option<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Patterns of which a record must match one.
    pub filters: Vec<Value>,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// `rate(…)` or `cron(…)`.
    pub expression: String,
    /// The time zone of a `cron(…)`.
    pub timezone: String,
    /// What the function is given.
    pub input: Option<Value>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// How often a failed run is tried again.
    pub maximum_retries: u32,
    /// The queue for runs given up.
    pub dead_letter_queue: Option<String>,
}

/// A function's subscription to a Kafka topic.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSource {
    /// The topic.
    pub topic: String,
    /// The consumer group; Lambda makes one up where the template names none, and so does the local cloud.
    pub consumer_group: Option<String>,
    /// How the records are given to the function.
    pub records: RecordRules,
}

/// The JWT authorizer of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// The `iss` of a token.
    pub issuer: String,
    /// The accepted `aud` of a token.
    pub audience: Vec<String>,
}

/// An API of AppSync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppApi {
    /// The file of its schema.
    pub schema: PathBuf,
    /// The file of the resolver of all its fields.
    pub resolver: PathBuf,
    /// The binary behind each field that has a resolver, by type and field.
    pub fields: BTreeMap<(String, String), String>,
    /// The fields of live updates, by type and field: no function is behind them.
    pub live_fields: BTreeSet<(String, String)>,
    /// The file of their resolver.
    pub live_resolver: Option<PathBuf>,
    /// Whether it tells its schema.
    pub introspection: bool,
    /// The most levels of a document.
    pub max_depth: usize,
    /// The most fields with a resolver in a document.
    pub max_resolvers: usize,
    /// The variables that resolvers see.
    pub environment: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template of a file, and the files of the stacks that it nests.
    ///
    /// # Errors
    /// When a file can't be read or understood.
    pub fn load(path: &Path, locals: &Locals) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the template {} can't be read", path.display()))?;
        Self::read(&text, path.parent(), locals)
            .with_context(|| format!("the template {} is wrong", path.display()))
    }

    /// Reads a template that nests no stacks.
    ///
    /// # Errors
    /// When it can't be understood.
    pub fn parse(text: &str, locals: &Locals) -> anyhow::Result<Self> {
        Self::read(text, None, locals)
    }

    fn read(text: &str, folder: Option<&Path>, locals: &Locals) -> anyhow::Result<Self> {
        let mut template = Self::default();
        for stack in Reader::new(locals).read(text, folder)? {
            let routes = api::routes(&stack)?;
            template.functions.extend(functions::read(&stack, &routes)?);
            template.queues.extend(resources::queues(&stack)?);
            template.tables.extend(resources::tables(&stack)?);
            template.topics.extend(resources::topics(&stack)?);
            for authorizer in api::authorizers(&stack)? {
                if template.authorizer.replace(authorizer).is_some() {
                    bail!("there is more than one authorizer: the local cloud serves one API");
                }
            }
            if let Some(api) = app_api::read(&stack)?
                && template.app_api.replace(api).is_some()
            {
                bail!("there is more than one API of AppSync: the local cloud serves one");
            }
            template.resources.extend(stack.resources);
        }
        if let Some(api) = &mut template.app_api {
            app_api::find_binaries(api, &template.resources)?;
        }
        template
            .functions
            .sort_by(|left, right| left.binary.cmp(&right.binary));
        template.check()?;
        Ok(template)
    }

    /// The function of an operation.
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.binary == binary)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.check_names()?;
        for function in &self.functions {
            for event in &function.events {
                self.check_event(event)
                    .with_context(|| format!("resource {}", function.logical_id))?;
            }
        }
        Ok(())
    }

    fn check_names(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        for function in &self.functions {
            if !seen.insert(&function.binary) {
                bail!(
                    "resource {}: another function has the binary {}",
                    function.logical_id,
                    function.binary
                );
            }
        }
        for queue in &self.queues {
            if let Some(dead) = &queue.dead_letter
                && !self.queues.iter().any(|other| other.name == dead.queue)
            {
                bail!(
                    "queue {}: its dead-letter queue {} isn't in the template",
                    queue.name,
                    dead.queue
                );
            }
        }
        Ok(())
    }

    fn check_event(&self, event: &Event) -> anyhow::Result<()> {
        let queue = |name: &str| self.queues.iter().any(|queue| queue.name == name);
        match event {
            Event::Queue(source) if !queue(&source.queue) => bail!("no queue is named {}", source.queue),
            Event::Stream(source) => match self.tables.iter().find(|table| table.name == source.table) {
                None => bail!("no table is named {}", source.table),
                Some(table) if !table.stream => bail!("table {} has no stream", source.table),
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The last part of an ARN: a queue's name.
fn name_of_arn(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// The table's name in the ARN of its stream.
fn table_of_stream_arn(arn: &str) -> Option<&str> {
    arn.split_once(":table/")?.1.split('/').next()
}
