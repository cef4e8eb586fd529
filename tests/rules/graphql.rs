//! `infra/schema.graphql` and what goes with it say what the HTTP API's description says. `make graphql` writes them anew.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::{
    collections::BTreeSet,
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};
use end_to_end::{Result, ensure_eq, options, root};
use libtest_mimic::{Arguments, Failed, Trial};
use local_cloud::template::{Locals, Resource, Template};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let trial = |name: &str, test: fn() -> Result| {
        Trial::test(name, move || {
            test().map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let trials = vec![
        trial("the_files_are_what_the_description_says", up_to_date),
        trial("every_operation_has_a_field_or_a_reason", complete),
        trial("every_field_has_a_resolver_and_a_function", resolved),
        trial("a_data_source_may_call_its_function_and_no_other", rights),
        trial("the_signature_that_apps_use_is_as_they_write_it", given_signature),
        trial("descriptions_are_comments", no_block_strings),
        trial("production_does_not_tell_its_schema", introspection),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

fn template() -> Result<Template> {
    Template::load(&root().join("infra/template.yaml"), &Locals::default())
}

fn up_to_date() -> Result {
    let output = Command::new(options().binaries.join("moneta"))
        .args(["graphql", "--check", "--root"])
        .arg(root())
        .output()
        .context("moneta can't be started; is it built?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}`make graphql` writes them");
    Ok(())
}

fn complete() -> Result {
    let schema = read("infra/schema.graphql")?;
    let document: Value = serde_yaml_ng::from_str(&read("infra/openapi.yaml")?)?;
    let operations = document["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, methods)| methods.as_object().into_iter().flatten());
    for (_, operation) in operations {
        let name = operation["operationId"].as_str().unwrap_or_default();
        let has_field = schema.contains(&format!("\n  {name}(")) || schema.contains(&format!("\n  {name}: "));
        let has_reason = schema.contains(&format!("\n#   {name}: "));
        ensure!(
            has_field != has_reason,
            "{name}: a field {has_field}, a reason {has_reason}"
        );
    }
    Ok(())
}

fn resolved() -> Result {
    let template = template()?;
    let api = template.app_api.as_ref().context("no API of AppSync")?;
    let schema = read("infra/schema.graphql")?;
    for ((parent, field), function) in &api.fields {
        ensure_eq!(field, function, "{parent}.{field} is named as its operation");
        ensure!(
            schema.contains(&format!("\n  {field}")),
            "{parent}.{field} isn't in the schema"
        );
    }
    ensure!(api.fields.len() > 20, "only {} fields", api.fields.len());
    for (parent, field) in &api.live_fields {
        let marks = match parent.as_str() {
            "Mutation" => "@aws_iam",
            _ => "@aws_subscribe(",
        };
        let lines = schema
            .lines()
            .filter(|line| line.starts_with(&format!("  {field}")));
        ensure!(
            lines.count() == 1
                && schema
                    .lines()
                    .any(|line| line.starts_with(&format!("  {field}")) && line.contains(marks)),
            "{parent}.{field} isn't in the schema, or without {marks}"
        );
    }
    ensure_eq!(
        api.live_fields.len(),
        4,
        "two subscriptions, and a mutation for each"
    );
    ensure_eq!(
        schema.matches("@aws_iam\n").count(),
        2,
        "no other mutation is for functions"
    );
    Ok(())
}

fn rights() -> Result {
    let template = template()?;
    let of_stack = |kind: &'static str| {
        let resources = template.resources.iter();
        resources.filter(move |resource| resource.stack == "AppApi" && resource.kind == kind)
    };
    let roles: Vec<&Resource> = of_stack("AWS::IAM::Role").collect();
    let mut used = BTreeSet::new();
    let sources = of_stack("AWS::AppSync::DataSource");
    for source in sources.filter(|source| source.properties["Type"] != "NONE") {
        let arn = &source.properties["LambdaConfig"]["LambdaFunctionArn"];
        let name = source
            .id
            .strip_suffix("Source")
            .context("a data source is FUNCTIONSource")?;
        let role = roles.iter().find(|role| role.id == format!("{name}Role"));
        let role = role.with_context(|| format!("{} has no role", source.id))?;
        let allowed = json!([{ "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn }]);
        let policies = role.properties["Policies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ensure_eq!(policies.len(), 1, "{}", role.id);
        ensure_eq!(policies[0]["PolicyDocument"]["Statement"], allowed, "{}", role.id);
        ensure!(
            arn.as_str().is_some_and(|arn| arn.ends_with(&format!("-{name}"))),
            "{}: {arn}",
            source.id
        );
        used.insert(role.id.clone());
    }
    let unused: Vec<_> = roles.iter().filter(|role| !used.contains(&role.id)).collect();
    ensure_eq!(unused.len(), 1, "the role that writes logs, and no other");
    Ok(())
}

/// As an app has it; written out here, since a change would break that app.
const SIGNATURE: [&str; 6] = [
    "profile_id: Int!",
    "account_id: Int!",
    "collection_id: Int!",
    "weights: [TickerWeight]",
    "absolute_amount_delta_cents: Int\n",
    "relative_amount_delta_percent: Int\n",
];

fn given_signature() -> Result {
    let schema = read("infra/schema.graphql")?;
    let Some((_, rest)) = schema.split_once("\n  reconfigure_ttf_holdings(") else {
        // The operation has to be there first.
        let document = read("infra/openapi.yaml")?;
        ensure!(
            !document.contains("operationId: reconfigure_ttf_holdings"),
            "its field is missing"
        );
        return Ok(());
    };
    let arguments = rest.split("\n  )").next().unwrap_or_default();
    for argument in SIGNATURE {
        ensure!(
            arguments.contains(&format!("    {argument}")),
            "{argument} isn't in {arguments}"
        );
    }
    for part in [
        "input TickerWeight {",
        "  symbol: String!",
        "  weight: Float!",
        "  result: Boolean!",
    ] {
        ensure!(schema.contains(part), "{part} is missing");
    }
    Ok(())
}

/// A stage switches it off, and the API of that stage then refuses what asks about the schema.
fn introspection() -> Result {
    let parameter = |value: &str| ("GraphqlIntrospection".to_owned(), value.to_owned());
    for (value, expected) in [("ENABLED", true), ("DISABLED", false)] {
        let mut locals = Locals::default();
        locals.parameters.extend([parameter(value)]);
        let template = Template::load(&root().join("infra/template.yaml"), &locals)?;
        let api = template.app_api.context("no API of AppSync")?;
        ensure_eq!(api.introspection, expected, "{value}");
    }
    let samconfig = read("samconfig.toml")?;
    let (_, production) = samconfig
        .split_once("[prod.deploy.parameters]")
        .context("no parameters of production")?;
    let production = production.split("\n[").next().unwrap_or_default();
    ensure!(
        production.contains("\"GraphqlIntrospection=DISABLED\""),
        "production would tell its schema"
    );
    Ok(())
}

/// AppSync refuses a schema with block strings.
fn no_block_strings() -> Result {
    ensure!(
        !read("infra/schema.graphql")?.contains("\"\"\""),
        "a block string"
    );
    Ok(())
}
