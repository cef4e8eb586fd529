//! The template as the checks see it: what the local cloud reads of every stack, with all functions resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use local_cloud::template::{self, Event, HttpRoute, Locals, Resource};
use serde_json::Value;

/// The stage for which the checks read the template.
pub(crate) const STAGE: &str = "checked";
/// Parameters with a value of their own, so that one can't be taken for another, and the conditional statement counts.
const PARAMETERS: [(&str, &str); 9] = [
    ("Stage", STAGE),
    ("Architecture", "arm64"),
    ("DatabaseName", "database-name"),
    ("DatabaseUser", "database-user"),
    ("KafkaBrokers", "kafka-brokers"),
    ("KafkaSecretArn", "kafka-secret"),
    ("SecretKeyArns", "secret-key"),
    ("ReserveConcurrency", "true"),
    ("CreateTopics", "true"),
];

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a file of the project.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `deposit_funds` of `DepositFunds`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The template: the root and every stack in it.
pub(crate) struct Template(template::Template);

/// An event of a function: its name, its type and its properties.
#[derive(Clone)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
}

/// A function with the defaults of `Globals` filled in.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) stack: String,
    pub(crate) properties: Value,
    pub(crate) skips_build: bool,
    /// Its routes.
    pub(crate) routes: Vec<HttpRoute>,
    /// Whatever else triggers it.
    pub(crate) events: Vec<Trigger>,
}

impl Template {
    /// Reads `infra/template.yaml` and the stacks that it nests.
    pub(crate) fn load() -> Self {
        let parameters = PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::with(parameters).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`load`](Self::load), with these parameters; or what can't be resolved then.
    pub(crate) fn with(parameters: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut locals = Locals::default();
        locals.parameters.extend(parameters);
        let template = template::Template::load(&root().join("infra/template.yaml"), &locals);
        template.map(Self).map_err(|error| format!("{error:#}"))
    }

    /// All resources.
    pub(crate) fn all(&self) -> &[Resource] {
        &self.0.resources
    }

    /// All resources of a type.
    pub(crate) fn resources<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.0
            .resources
            .iter()
            .filter(move |resource| resource.kind == kind)
    }

    /// All functions.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let resources = self.resources("AWS::Serverless::Function");
        resources.map(|resource| self.function(resource)).collect()
    }

    fn function(&self, resource: &Resource) -> Function {
        let read = self
            .0
            .functions
            .iter()
            .find(|function| function.logical_id == resource.id)
            .expect("every function is read");
        let routes = read.events.iter().filter_map(|event| match event {
            Event::Http(route) => Some(route.clone()),
            _ => None,
        });
        Function {
            name: resource.id.clone(),
            stack: resource.stack.clone(),
            properties: resource.properties.clone(),
            skips_build: attribute(resource, "Metadata")["SkipBuild"] == true,
            routes: routes.collect(),
            events: triggers(&resource.properties["Events"]),
        }
    }

    /// How many resources CloudFormation sees in each stack: SAM adds a role for a function, a mapping for an event, or a
    /// schedule with its role, and the settings of asynchronous calls.
    pub(crate) fn deployed_resources(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for resource in self.all() {
            *count.entry(resource.stack.clone()).or_default() += 1;
        }
        for function in self.functions() {
            let events = function.events.iter();
            let of_events: usize = events
                .map(|event| if event.kind == "ScheduleV2" { 2 } else { 1 })
                .sum();
            let asynchronous = usize::from(!function.properties["EventInvokeConfig"].is_null());
            *count.entry(function.stack).or_default() += 1 + of_events + asynchronous;
        }
        count
    }

    /// The queues by name.
    pub(crate) fn queues(&self) -> BTreeMap<String, Value> {
        self.resources("AWS::SQS::Queue")
            .map(|queue| (text(&queue.properties["QueueName"]), queue.properties.clone()))
            .collect()
    }

    /// The names of the queues that only hold what was given up: targets of redrive policies, schedules, streams and
    /// asynchronous calls.
    pub(crate) fn final_queues(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for resource in self.all() {
            collect_targets(&resource.properties, &mut found);
        }
        found
    }
}

impl Function {
    /// The function's own name outside of the template.
    pub(crate) fn operation(&self) -> String {
        snake_case(&self.name)
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let variables = self.properties["Environment"]["Variables"].as_object();
        let variables = variables.into_iter().flatten();
        variables
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }

    /// The statements of its policies.
    pub(crate) fn statements(&self) -> Vec<Value> {
        list(&self.properties["Policies"])
            .iter()
            .flat_map(|policy| list(&policy["Statement"]))
            .collect()
    }

    /// Its time-out in seconds.
    pub(crate) fn timeout(&self) -> u64 {
        self.properties["Timeout"].as_u64().unwrap_or(3)
    }

    /// Its events of a type.
    pub(crate) fn events_of(&self, kind: &str) -> Vec<Trigger> {
        self.events
            .iter()
            .filter(|event| event.kind == kind)
            .cloned()
            .collect()
    }
}

/// What is said of a resource beside its properties; `null` when nothing is.
pub(crate) fn attribute(resource: &Resource, name: &str) -> Value {
    resource.attributes.get(name).cloned().unwrap_or(Value::Null)
}

/// The queue that an ARN or a URL names.
pub(crate) fn queue_of(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_queue = text.starts_with("arn:aws:sqs:") || text.starts_with("http");
    let name = text.rsplit([':', '/']).next()?;
    is_queue.then(|| name.to_owned())
}

/// A list as it is, anything else as a list of one, `null` as an empty one.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.clone(),
        other => vec![other.clone()],
    }
}

/// The text of a value; empty when it is none.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What every name of the stage begins with.
pub(crate) fn name_prefix() -> String {
    format!("moneta-{STAGE}-")
}

fn triggers(events: &Value) -> Vec<Trigger> {
    let events = events.as_object().into_iter().flatten();
    events
        .map(|(name, event)| Trigger {
            name: name.clone(),
            kind: text(&event["Type"]),
            properties: event["Properties"].clone(),
        })
        .collect()
}

fn collect_targets(value: &Value, found: &mut BTreeSet<String>) {
    let Value::Object(fields) = value else {
        list(value)
            .iter()
            .filter(|inner| inner != &value)
            .for_each(|inner| collect_targets(inner, found));
        return;
    };
    let arns = [
        &value["deadLetterTargetArn"],
        &value["DeadLetterConfig"]["Arn"],
        &value["OnFailure"]["Destination"],
        &value["DeadLetterQueue"]["TargetArn"],
    ];
    found.extend(arns.into_iter().filter_map(queue_of));
    fields.values().for_each(|inner| collect_targets(inner, found));
}

/// Fails with all that is wrong at once.
pub(crate) fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}
