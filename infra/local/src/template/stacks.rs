//! The files of the template: a root and the stacks that it nests, each with its own parameters and outputs.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use super::{
    Locals, Node, Resource,
    intrinsics::{Resolver, Values},
    loops,
};

const NESTED: &str = "AWS::CloudFormation::Stack";
const FUNCTION: &str = "AWS::Serverless::Function";

/// One stack, with every intrinsic function resolved.
pub(super) struct Stack {
    /// The folder of its file, which paths in it begin at.
    pub(super) folder: PathBuf,
    /// Its resources, without those whose condition is false.
    pub(super) resources: Vec<Resource>,
    /// Its section `Metadata`.
    pub(super) metadata: Node,
}

impl Stack {
    /// The properties of the resources of a type, by logical id.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<(&str, Node)> {
        let of_kind = self.resources.iter().filter(|resource| resource.kind == kind);
        let with_place = of_kind.map(|resource| (resource.id.as_str(), resource.node()));
        with_place.collect()
    }
}

/// Reads stacks, one within the other.
pub(super) struct Reader<'a> {
    locals: &'a Locals,
    stacks: Vec<Stack>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(locals: &'a Locals) -> Self {
        Self {
            locals,
            stacks: Vec::new(),
        }
    }

    /// Every stack: the root, read from `text`, and those that it nests, from files relative to `folder`.
    pub(super) fn read(mut self, text: &str, folder: Option<&Path>) -> anyhow::Result<Vec<Stack>> {
        self.stack("", text, folder, None)?;
        Ok(self.stacks)
    }

    /// Reads a stack and gives its outputs. The root has no parameters given to it but those of the `Locals`.
    fn stack(
        &mut self,
        name: &str,
        text: &str,
        folder: Option<&Path>,
        given: Option<&Values>,
    ) -> anyhow::Result<Values> {
        let document: Yaml = serde_yaml_ng::from_str(text).context("it isn't YAML")?;
        let document = loops::expand(document)?;
        let mut resolver = Resolver::new(&document, self.locals, given)?;
        let globals = resolver.section("Globals")?.get("Function");
        let mut resources = Vec::new();
        for (id, definition) in resolver.definitions() {
            let Some(mut resource) = resolver.resource(id, definition)? else {
                continue;
            };
            name.clone_into(&mut resource.stack);
            match resource.kind.as_str() {
                NESTED => resolver.add_outputs(id, self.nested(&resource, folder)?),
                FUNCTION => resource.properties = merged(globals.value(), &resource.properties),
                _ => {}
            }
            resources.push(resource);
        }
        let metadata = resolver.section("Metadata")?;
        self.stacks.push(Stack {
            folder: folder.map(Path::to_owned).unwrap_or_default(),
            resources,
            metadata,
        });
        resolver.outputs()
    }

    fn nested(&mut self, resource: &Resource, folder: Option<&Path>) -> anyhow::Result<Values> {
        let properties = resource.node();
        let url = properties.get("TemplateURL");
        let folder = folder.ok_or_else(|| anyhow!("{url}: this template isn't in a file"))?;
        let path = folder.join(url.text()?);
        let mut parameters = Values::new();
        for (name, value) in properties.get("Parameters").entries()? {
            parameters.insert(name, value.text()?);
        }
        let mut read = || {
            let text = std::fs::read_to_string(&path).context("it can't be read")?;
            self.stack(&resource.id, &text, path.parent(), Some(&parameters))
        };
        read().with_context(|| format!("stack {}, {}", resource.id, path.display()))
    }
}

/// The properties with those of `Globals`, of which a function's own win.
fn merged(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(globals), Value::Object(owns)) => {
            let mut merged = globals.clone();
            for (name, own) in owns {
                let value = globals
                    .get(name)
                    .map_or_else(|| own.clone(), |global| self::merged(global, own));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (global, Value::Null) => global.clone(),
        (_, own) => own.clone(),
    }
}
