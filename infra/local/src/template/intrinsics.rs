//! CloudFormation's intrinsic functions, resolved to local values.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use serde_yaml_ng::{Mapping, Value as Yaml};

use super::{Locals, Node, Resource};

/// Values by name: the parameters or outputs of a stack.
pub(super) type Values = BTreeMap<String, String>;

/// Resolves the functions of one document.
pub(super) struct Resolver<'a> {
    document: &'a Yaml,
    locals: &'a Locals,
    parameters: BTreeMap<String, Value>,
    /// The outputs of the nested stacks read so far, by logical id.
    nested: BTreeMap<String, Values>,
}

impl<'a> Resolver<'a> {
    /// A resolver of the root's document, or of a nested stack's with the parameters given to it.
    pub(super) fn new(
        document: &'a Yaml,
        locals: &'a Locals,
        given: Option<&Values>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            document,
            locals,
            parameters: match given {
                None => root_parameters(document, locals)?,
                Some(given) => nested_parameters(document, given)?,
            },
            nested: BTreeMap::new(),
        })
    }

    /// The resources as they are written, by logical id.
    pub(super) fn definitions(&self) -> Vec<(&'a str, &'a Yaml)> {
        section(self.document, "Resources")
    }

    /// A resource with its functions resolved; none when its condition is false.
    pub(super) fn resource(&self, id: &str, definition: &Yaml) -> anyhow::Result<Option<Resource>> {
        if !self.included(definition)? {
            return Ok(None);
        }
        let resolved = self
            .resolve(definition)
            .with_context(|| format!("resource {id}"))?;
        let Some(Value::Object(mut attributes)) = resolved else {
            bail!("resource {id}: isn't a mapping")
        };
        let no_properties = || Value::Object(serde_json::Map::new());
        Ok(Some(Resource {
            stack: String::new(),
            id: id.to_owned(),
            kind: self.kind(id)?.to_owned(),
            properties: attributes.remove("Properties").unwrap_or_else(no_properties),
            attributes,
        }))
    }

    /// Takes note of what a nested stack hands on.
    pub(super) fn add_outputs(&mut self, stack: &str, outputs: Values) {
        self.nested.insert(stack.to_owned(), outputs);
    }

    /// What this stack hands on.
    pub(super) fn outputs(&self) -> anyhow::Result<Values> {
        let outputs = self.section("Outputs")?.entries()?;
        outputs
            .into_iter()
            .map(|(name, output)| Ok((name, output.get("Value").text()?)))
            .collect()
    }

    /// A top-level section such as `Globals`, resolved.
    pub(super) fn section(&self, name: &str) -> anyhow::Result<Node> {
        let value = match self.document.get(name) {
            Some(section) => self.resolve(section).with_context(|| format!("section {name}"))?,
            None => None,
        };
        Ok(Node::new(value.unwrap_or(Value::Null), format!("section {name}")))
    }

    fn included(&self, resource: &Yaml) -> anyhow::Result<bool> {
        match resource.get("Condition").and_then(Yaml::as_str) {
            Some(condition) => self.condition(condition),
            None => Ok(true),
        }
    }

    /// The value with its functions replaced by what they give; none for `AWS::NoValue`.
    fn resolve(&self, value: &Yaml) -> anyhow::Result<Option<Value>> {
        Ok(Some(match value {
            Yaml::Tagged(tagged) => return self.call(&tagged.tag.to_string(), &tagged.value),
            Yaml::Mapping(mapping) => match long_form(mapping) {
                Some((name, argument)) => return self.call(name, argument),
                None => Value::Object(self.resolve_mapping(mapping)?),
            },
            Yaml::Sequence(values) => {
                let mut resolved = Vec::new();
                for value in values {
                    resolved.extend(self.resolve(value)?);
                }
                Value::Array(resolved)
            }
            plain => serde_json::to_value(plain).context("a value isn't plain")?,
        }))
    }

    fn resolve_mapping(&self, mapping: &Mapping) -> anyhow::Result<serde_json::Map<String, Value>> {
        let mut resolved = serde_json::Map::new();
        for (name, value) in mapping {
            let name = plain_text(name).ok_or_else(|| anyhow!("a name isn't a text"))?;
            if let Some(value) = self.resolve(value).with_context(|| format!("property {name}"))? {
                resolved.insert(name, value);
            }
        }
        Ok(resolved)
    }

    fn call(&self, function: &str, argument: &Yaml) -> anyhow::Result<Option<Value>> {
        let function = function.trim_start_matches('!').trim_start_matches("Fn::");
        match function {
            "Ref" => self.reference(&self.text(argument)?),
            "GetAtt" => self.attribute(argument).map(Some),
            "Sub" => self.substitute(argument).map(|text| Some(Value::String(text))),
            "Join" => self.join(argument).map(|text| Some(Value::String(text))),
            "Select" => self.select(argument),
            "Split" => self.split(argument).map(Some),
            "If" => self.choose(argument),
            "FindInMap" => self.find_in_map(argument),
            "Equals" | "Not" | "And" | "Or" | "Condition" => self
                .truth(function, argument)
                .map(|truth| Some(Value::Bool(truth))),
            // What these stand for exists only in AWS; the text itself is as good as any.
            "GetAZs" | "ImportValue" | "Base64" => Ok(self.resolve(argument)?),
            other => bail!("the function {other} isn't known to the local cloud"),
        }
    }

    fn reference(&self, name: &str) -> anyhow::Result<Option<Value>> {
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => self.locals.region.clone(),
            "AWS::AccountId" => self.locals.account.clone(),
            "AWS::StackName" => "moneta-local".to_owned(),
            "AWS::StackId" => self.arn("cloudformation", "stack/moneta-local"),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ => match self.parameters.get(name) {
                Some(value) => return Ok(Some(value.clone())),
                None => self.resource_reference(name)?,
            },
        };
        Ok(Some(Value::String(text)))
    }

    fn resource_reference(&self, id: &str) -> anyhow::Result<String> {
        Ok(match self.kind(id)? {
            "AWS::SQS::Queue" => self.queue_url(&self.name(id, "QueueName")?),
            "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => self.name(id, "TableName")?,
            "AWS::SecretsManager::Secret" => self.arn("secretsmanager", &format!("secret:{id}")),
            _ => id.to_owned(),
        })
    }

    fn attribute(&self, argument: &Yaml) -> anyhow::Result<Value> {
        let parts = match argument {
            Yaml::Sequence(parts) => parts
                .iter()
                .map(|part| self.text(part))
                .collect::<anyhow::Result<Vec<_>>>()?,
            single => self.text(single)?.splitn(2, '.').map(str::to_owned).collect(),
        };
        let [id, attribute] = parts.as_slice() else {
            bail!("GetAtt takes a resource and an attribute")
        };
        self.attribute_text(id, attribute).map(Value::String)
    }

    fn attribute_text(&self, id: &str, attribute: &str) -> anyhow::Result<String> {
        Ok(match (self.kind(id)?, attribute) {
            ("AWS::CloudFormation::Stack", output) => self.output(id, output)?,
            ("AWS::Serverless::Function", "Arn") => self.arn("lambda", &format!("function:{id}")),
            ("AWS::SQS::Queue", "Arn") => self.arn("sqs", &self.name(id, "QueueName")?),
            ("AWS::SQS::Queue", "QueueName") => self.name(id, "QueueName")?,
            ("AWS::SQS::Queue", "QueueUrl") => self.queue_url(&self.name(id, "QueueName")?),
            ("AWS::DynamoDB::Table", "Arn") => {
                self.arn("dynamodb", &format!("table/{}", self.name(id, "TableName")?))
            }
            ("AWS::DynamoDB::Table", "StreamArn") => self.arn(
                "dynamodb",
                &format!("table/{}/stream/local", self.name(id, "TableName")?),
            ),
            (_, "Arn") => self.arn("local", id),
            _ => format!("{id}.{attribute}"),
        })
    }

    /// `Outputs.NAME` of a nested stack.
    fn output(&self, stack: &str, attribute: &str) -> anyhow::Result<String> {
        let outputs = self.nested.get(stack).ok_or_else(|| {
            anyhow!("{stack}.{attribute}: the local cloud reads stacks in their order, so {stack} must stand before this")
        })?;
        let name = attribute.strip_prefix("Outputs.").unwrap_or(attribute);
        outputs
            .get(name)
            .cloned()
            .ok_or_else(|| anyhow!("{stack} has no output {name}"))
    }

    fn kind(&self, id: &str) -> anyhow::Result<&'a str> {
        if let Some(resource) = self
            .document
            .get("Resources")
            .and_then(|resources| resources.get(id))
        {
            if !self.included(resource)? {
                bail!("{id} is named but left out by its condition");
            }
            return resource
                .get("Type")
                .and_then(Yaml::as_str)
                .ok_or_else(|| anyhow!("resource {id} has no type"));
        }
        // SAM makes a function's role itself.
        if id.ends_with("Role") {
            return Ok("generated");
        }
        bail!("{id} is neither a parameter nor a resource")
    }

    /// A resource's name: the property's, or its logical id where CloudFormation would make one up.
    fn name(&self, id: &str, property: &str) -> anyhow::Result<String> {
        let given = self
            .document
            .get("Resources")
            .and_then(|resources| resources.get(id))
            .and_then(|resource| resource.get("Properties"))
            .and_then(|properties| properties.get(property));
        match given {
            Some(value) => self
                .text(value)
                .with_context(|| format!("resource {id}, property {property}")),
            None => Ok(id.to_owned()),
        }
    }

    fn queue_url(&self, name: &str) -> String {
        self.locals
            .queue_urls
            .get(name)
            .cloned()
            .unwrap_or_else(|| format!("http://queue.invalid/{name}"))
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{rest}",
            self.locals.region, self.locals.account
        )
    }

    fn substitute(&self, argument: &Yaml) -> anyhow::Result<String> {
        let mut own = serde_json::Map::new();
        let text = match argument {
            Yaml::Sequence(parts) => {
                let [text, Yaml::Mapping(values)] = parts.as_slice() else {
                    bail!("Sub takes a text, or a text and a mapping");
                };
                own = self.resolve_mapping(values)?;
                self.text(text)?
            }
            text => self.text(text)?,
        };
        let mut result = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| anyhow!("Sub: a brace isn't closed"))?;
            result.push_str(before);
            result.push_str(&self.substitution(name, &own)?);
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn substitution(&self, name: &str, own: &serde_json::Map<String, Value>) -> anyhow::Result<String> {
        if let Some(literal) = name.strip_prefix('!') {
            return Ok(format!("${{{literal}}}"));
        }
        if let Some(value) = own.get(name) {
            return json_text(value);
        }
        if let Some((id, attribute)) = name.split_once('.') {
            return self.attribute_text(id, attribute);
        }
        json_text(&self.reference(name)?.unwrap_or(Value::String(String::new())))
    }

    fn join(&self, argument: &Yaml) -> anyhow::Result<String> {
        let (separator, values) = self.pair(argument, "Join")?;
        let Value::Array(values) = values else {
            bail!("Join takes a separator and a list")
        };
        let texts = values.iter().map(json_text).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(texts.join(&json_text(&separator)?))
    }

    fn split(&self, argument: &Yaml) -> anyhow::Result<Value> {
        let (separator, text) = self.pair(argument, "Split")?;
        let (separator, text) = (json_text(&separator)?, json_text(&text)?);
        Ok(text
            .split(separator.as_str())
            .map(|part| Value::String(part.to_owned()))
            .collect())
    }

    fn select(&self, argument: &Yaml) -> anyhow::Result<Option<Value>> {
        let (index, values) = self.pair(argument, "Select")?;
        let index: usize = json_text(&index)?
            .parse()
            .context("Select takes an index and a list")?;
        values
            .get(index)
            .cloned()
            .map(Some)
            .ok_or_else(|| anyhow!("Select: the list has no entry {index}"))
    }

    fn pair(&self, argument: &Yaml, function: &str) -> anyhow::Result<(Value, Value)> {
        let Yaml::Sequence(parts) = argument else {
            bail!("{function} takes a list")
        };
        let [first, second] = parts.as_slice() else {
            bail!("{function} takes two arguments")
        };
        let none = || Value::String(String::new());
        Ok((
            self.resolve(first)?.unwrap_or_else(none),
            self.resolve(second)?.unwrap_or_else(none),
        ))
    }

    fn choose(&self, argument: &Yaml) -> anyhow::Result<Option<Value>> {
        let Some([condition, yes, no]) = argument.as_sequence().map(Vec::as_slice) else {
            bail!("If takes a condition and two values");
        };
        let condition = condition
            .as_str()
            .ok_or_else(|| anyhow!("If takes the name of a condition"))?;
        self.resolve(if self.condition(condition)? { yes } else { no })
    }

    fn find_in_map(&self, argument: &Yaml) -> anyhow::Result<Option<Value>> {
        let Some([map, first, second]) = argument.as_sequence().map(Vec::as_slice) else {
            bail!("FindInMap takes a map and two keys");
        };
        let (map, first, second) = (self.text(map)?, self.text(first)?, self.text(second)?);
        let found = self
            .document
            .get("Mappings")
            .and_then(|maps| maps.get(&map))
            .and_then(|map| map.get(&first))
            .and_then(|keys| keys.get(&second))
            .ok_or_else(|| anyhow!("FindInMap: {map} has no {first}.{second}"))?;
        self.resolve(found)
    }

    fn condition(&self, name: &str) -> anyhow::Result<bool> {
        let definition = self
            .document
            .get("Conditions")
            .and_then(|conditions| conditions.get(name))
            .ok_or_else(|| anyhow!("the condition {name} isn't in the template"))?;
        self.truth_of(definition)
            .with_context(|| format!("condition {name}"))
    }

    fn truth_of(&self, value: &Yaml) -> anyhow::Result<bool> {
        match value {
            Yaml::Tagged(tagged) => self.truth(tagged.tag.to_string().trim_start_matches('!'), &tagged.value),
            Yaml::Mapping(mapping) => match mapping.iter().next() {
                Some((Yaml::String(name), argument)) => self.truth(name.trim_start_matches("Fn::"), argument),
                _ => bail!("a condition is a function"),
            },
            Yaml::Bool(truth) => Ok(*truth),
            _ => bail!("a condition is a function"),
        }
    }

    fn truth(&self, function: &str, argument: &Yaml) -> anyhow::Result<bool> {
        let parts = || argument.as_sequence().map(Vec::as_slice).unwrap_or_default();
        match function {
            "Equals" => self.pair(argument, "Equals").map(|(left, right)| left == right),
            "Not" => match parts() {
                [only] => self.truth_of(only).map(|truth| !truth),
                _ => bail!("Not takes one condition"),
            },
            "And" => parts()
                .iter()
                .try_fold(true, |truth, part| Ok(truth && self.truth_of(part)?)),
            "Or" => parts()
                .iter()
                .try_fold(false, |truth, part| Ok(truth || self.truth_of(part)?)),
            "Condition" => self.condition(&self.text(argument)?),
            other => bail!("{other} isn't a condition"),
        }
    }

    fn text(&self, value: &Yaml) -> anyhow::Result<String> {
        json_text(&self.resolve(value)?.unwrap_or(Value::String(String::new())))
    }
}

/// `{Ref: x}` and `{"Fn::Sub": …}`, the functions' long form.
fn long_form(mapping: &Mapping) -> Option<(&str, &Yaml)> {
    let mut entries = mapping.iter();
    let (name, argument) = entries.next()?;
    let name = name.as_str()?;
    (entries.next().is_none() && (name == "Ref" || name.starts_with("Fn::"))).then_some((name, argument))
}

fn section<'a>(document: &'a Yaml, name: &str) -> Vec<(&'a str, &'a Yaml)> {
    let entries = document.get(name).and_then(Yaml::as_mapping);
    entries
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
        .collect()
}

fn root_parameters(document: &Yaml, locals: &Locals) -> anyhow::Result<BTreeMap<String, Value>> {
    let value = |(name, definition): (&str, &Yaml)| {
        let value = match locals.parameters.get(name) {
            Some(value) => parameter(definition, value),
            None => default_of(name, definition)?,
        };
        Ok((name.to_owned(), value))
    };
    section(document, "Parameters").into_iter().map(value).collect()
}

fn nested_parameters(document: &Yaml, given: &Values) -> anyhow::Result<BTreeMap<String, Value>> {
    let defined = section(document, "Parameters");
    if let Some(name) = given
        .keys()
        .find(|name| !defined.iter().any(|(other, _)| other == name))
    {
        bail!("it has no parameter {name}, which it is given");
    }
    let value = |(name, definition): (&str, &Yaml)| {
        let value = match given.get(name) {
            Some(value) => parameter(definition, value),
            None if definition.get("Default").is_some() => default_of(name, definition)?,
            None => bail!("it isn't given its parameter {name}"),
        };
        Ok((name.to_owned(), value))
    };
    defined.into_iter().map(value).collect()
}

fn default_of(name: &str, definition: &Yaml) -> anyhow::Result<Value> {
    let text = match definition.get("Default") {
        Some(default) => {
            plain_text(default).ok_or_else(|| anyhow!("parameter {name}: its default isn't plain"))?
        }
        None if definition.get("Type").and_then(Yaml::as_str) == Some("Number") => "0".to_owned(),
        None => format!("local-{name}"),
    };
    Ok(parameter(definition, &text))
}

/// A parameter of a list type is a list.
fn parameter(definition: &Yaml, text: &str) -> Value {
    let kind = definition.get("Type").and_then(Yaml::as_str).unwrap_or("String");
    if kind == "CommaDelimitedList" || kind.starts_with("List<") {
        text.split(',')
            .map(|part| Value::String(part.trim().to_owned()))
            .collect()
    } else {
        Value::String(text.to_owned())
    }
}

/// The text of a scalar.
pub(super) fn plain_text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        Yaml::Null => Some(String::new()),
        _ => None,
    }
}

fn json_text(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(values) => Ok(values
            .iter()
            .map(json_text)
            .collect::<anyhow::Result<Vec<_>>>()?
            .join(",")),
        Value::Object(_) => bail!("a mapping stands where a text is wanted"),
    }
}
