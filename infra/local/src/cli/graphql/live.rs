//! The parts of the schema that tell apps of changes: a mutation of ours, and the subscription that tells what it answers.

use anyhow::{Context, bail};

use super::{
    scope::Live,
    shape::{Kind, Schemas, Shape, comment, description, properties},
};

/// What stands in the schema for an update.
pub(super) struct Written {
    pub(super) mutation: String,
    pub(super) subscription: String,
    /// What is told, with its name.
    pub(super) kind: (String, String),
    /// What the mutation is given, with its name.
    pub(super) input: (String, String),
}

/// Writes an update that has what a schema of the HTTP API has, and whose it is.
pub(super) fn write(schemas: &Schemas<'_>, live: &Live) -> anyhow::Result<Written> {
    let of = schemas.named(live.of)?;
    let mut parts = comment("  ", "Whose it is.");
    parts.push_str("  profile_id: ID!\n");
    for (name, schema, required) in properties(of) {
        let kind = schemas
            .kind(schema, name)
            .with_context(|| format!("{}.{name}", live.of))?;
        parts.push_str(&comment("  ", &description(schema, &kind)));
        let mark = if required && !kind.nullable { "!" } else { "" };
        parts.push_str(&format!("  {name}: {}{mark}\n", scalar(&kind, name)?));
    }
    let Live {
        subscription,
        mutation,
        kind,
        ..
    } = live;
    let input = format!("{kind}Input");
    Ok(Written {
        mutation: format!(
            "{}  {mutation}(input: {input}!): {kind} @aws_iam\n",
            comment(
                "  ",
                "Tells apps that look on. The company's own functions call it, and nobody else."
            )
        ),
        subscription: format!(
            "{}  {subscription}: {kind} @aws_subscribe(mutations: [\"{mutation}\"])\n",
            comment("  ", live.description)
        ),
        kind: (
            (*kind).to_owned(),
            format!(
                "{}type {kind} @aws_iam @aws_oidc {{\n{parts}}}\n",
                comment("", live.description)
            ),
        ),
        input: (
            input.clone(),
            format!(
                "{}input {input} {{\n{parts}}}\n",
                comment("", "What is told of it.")
            ),
        ),
    })
}

fn scalar(kind: &Kind<'_>, name: &str) -> anyhow::Result<&'static str> {
    match kind.shape {
        Shape::Scalar(scalar) | Shape::NumberAsText(scalar) => Ok(scalar),
        Shape::Map => Ok("AWSJSON"),
        Shape::Object(..) | Shape::List(_) => bail!("{name}: an update has no objects or lists within it"),
    }
}
