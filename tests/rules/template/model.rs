//! The template as the checks see it: plain JSON, with `!Ref X` as `{"Ref": "X"}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

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

/// The template.
pub(crate) struct Template(Value);

/// A resource, or an event of a function: its name, its type and its properties.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
}

/// A function with the defaults of `Globals` filled in.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) properties: Value,
    pub(crate) events: Vec<Item>,
}

impl Template {
    /// Reads `infra/template.yaml`.
    pub(crate) fn load() -> Self {
        let yaml: Yaml =
            serde_yaml_ng::from_str(&read("infra/template.yaml")).expect("infra/template.yaml is YAML");
        Self(plain(yaml))
    }

    /// What stands at a JSON pointer; `null` where nothing does.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.0.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// All resources of a type.
    pub(crate) fn resources(&self, kind: &str) -> Vec<Item> {
        items(&self.0["Resources"])
            .into_iter()
            .filter(|item| item.kind == kind)
            .collect()
    }

    /// All functions.
    pub(crate) fn functions(&self) -> Vec<Function> {
        self.resources("AWS::Serverless::Function")
            .into_iter()
            .map(|item| {
                let mut properties = self.0["Globals"]["Function"].clone();
                merge(&mut properties, item.properties);
                Function {
                    events: items(&properties["Events"]),
                    name: item.name,
                    properties,
                }
            })
            .collect()
    }

    /// How many resources CloudFormation will see: SAM makes a role for a function, a permission or a mapping for an
    /// event, a schedule with a role, and a stage for the API.
    pub(crate) fn deployed_resources(&self) -> usize {
        let of_sam: usize = self
            .functions()
            .iter()
            .map(|function| {
                let events: usize = function
                    .events
                    .iter()
                    .map(|event| if event.kind == "ScheduleV2" { 2 } else { 1 })
                    .sum();
                1 + events + usize::from(!function.properties["EventInvokeConfig"].is_null())
            })
            .sum();
        items(&self.0["Resources"]).len() + of_sam + self.resources("AWS::Serverless::HttpApi").len()
    }

    /// The queues that only hold what was given up: targets of redrive policies, schedules, streams and async calls.
    pub(crate) fn final_queues(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect_targets(&self.0["Resources"], &mut found);
        found
    }
}

impl Function {
    /// The function's own name outside of the template.
    pub(crate) fn operation(&self) -> String {
        snake_case(&self.name)
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> BTreeMap<String, Value> {
        let variables = self.properties["Environment"]["Variables"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        variables.into_iter().collect()
    }

    /// The statements of its policies, those of a condition as if it held.
    pub(crate) fn statements(&self) -> Vec<Value> {
        let if_held = |statement: Value| match statement["Fn::If"].get(1) {
            Some(then) => then.clone(),
            None => statement,
        };
        list(&self.properties["Policies"])
            .iter()
            .flat_map(|policy| list(&policy["Statement"]))
            .map(if_held)
            .collect()
    }

    /// Its time-out in seconds.
    pub(crate) fn timeout(&self) -> u64 {
        self.properties["Timeout"].as_u64().unwrap_or(3)
    }

    /// Its events of a type.
    pub(crate) fn events_of(&self, kind: &str) -> Vec<Item> {
        self.events
            .iter()
            .filter(|event| event.kind == kind)
            .cloned()
            .collect()
    }
}

/// The logical id that a `Ref` or `GetAtt` names.
pub(crate) fn target(value: &Value) -> Option<String> {
    if let Some(id) = value["Ref"].as_str() {
        return Some(id.to_owned());
    }
    let attribute = value["Fn::GetAtt"].as_str()?;
    Some(attribute.split('.').next().unwrap_or(attribute).to_owned())
}

/// A list as it is, anything else as a list of one, `null` as an empty one.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.clone(),
        other => vec![other.clone()],
    }
}

/// The text of a `Sub` or of a plain string.
pub(crate) fn text(value: &Value) -> String {
    value["Fn::Sub"]
        .as_str()
        .or_else(|| value.as_str())
        .unwrap_or_default()
        .to_owned()
}

fn items(value: &Value) -> Vec<Item> {
    let entries = value.as_object().cloned().unwrap_or_default();
    entries
        .into_iter()
        .map(|(name, item)| Item {
            name,
            kind: item["Type"].as_str().unwrap_or_default().to_owned(),
            properties: item["Properties"].clone(),
        })
        .collect()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
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
    found.extend(arns.into_iter().filter_map(target));
    fields.values().for_each(|inner| collect_targets(inner, found));
}

fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let key = if name == "Ref" || name == "Condition" {
                name.to_owned()
            } else {
                format!("Fn::{name}")
            };
            json!({ key: plain(tagged.value) })
        }
        Yaml::Sequence(values) => values.into_iter().map(plain).collect(),
        Yaml::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                (key, plain(value))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        scalar => serde_json::to_value(scalar).expect("a YAML scalar is a JSON value"),
    }
}

/// The queues by logical id.
pub(crate) fn queues(template: &Template) -> BTreeMap<String, Value> {
    let queues = template.resources("AWS::SQS::Queue");
    queues
        .into_iter()
        .map(|queue| (queue.name, queue.properties))
        .collect()
}

/// Fails with all that is wrong at once.
pub(crate) fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}
