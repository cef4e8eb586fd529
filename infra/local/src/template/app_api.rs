//! The app's API in GraphQL: AppSync's resources.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context, bail};

use super::{AppApi, Node, Resource, functions::binary, name_of_arn, stacks::Stack};

/// AppSync's own limit, where the template sets none.
const DEFAULT_MAX_DEPTH: usize = 75;
const DEFAULT_MAX_RESOLVERS: usize = 10_000;

/// The API of a stack. Its fields name functions as AWS does; [`find_binaries`] finds those.
pub(super) fn read(stack: &Stack) -> anyhow::Result<Option<AppApi>> {
    let apis = stack.of_kind("AWS::AppSync::GraphQLApi");
    let [(_, api)] = apis.as_slice() else {
        if apis.is_empty() {
            return Ok(None);
        }
        bail!("there is more than one API of AppSync in a stack")
    };
    let authorization = api.get("AuthenticationType");
    if authorization.text()? != "OPENID_CONNECT" {
        bail!("{authorization}: the local cloud knows OPENID_CONNECT")
    }
    let schemas = stack.of_kind("AWS::AppSync::GraphQLSchema");
    let (_, schema) = schemas.first().context("the API of AppSync has no schema")?;
    let resolvers = resolvers(stack)?;
    let mut environment = BTreeMap::new();
    for (name, value) in api.get("EnvironmentVariables").entries()? {
        environment.insert(name, value.text()?);
    }
    Ok(Some(AppApi {
        schema: stack.folder.join(schema.get("DefinitionS3Location").text()?),
        resolver: resolvers.code.context("the API of AppSync has no resolvers")?,
        fields: resolvers.fields,
        live_fields: resolvers.live_fields,
        live_resolver: resolvers.live_code,
        introspection: api.get("IntrospectionConfig").text_or("ENABLED")? == "ENABLED",
        max_depth: limit(&api.get("QueryDepthLimit"), DEFAULT_MAX_DEPTH)?,
        max_resolvers: limit(&api.get("ResolverCountLimit"), DEFAULT_MAX_RESOLVERS)?,
        environment,
    }))
}

fn limit(node: &Node, default: usize) -> anyhow::Result<usize> {
    // Zero is no limit of the template's.
    Ok(node
        .number::<usize>()?
        .filter(|limit| *limit > 0)
        .unwrap_or(default))
}

/// What is behind the fields, each of which is named by its type and its own name.
#[derive(Default)]
struct Resolvers {
    /// The function behind a field.
    fields: BTreeMap<(String, String), String>,
    /// The one file of their resolvers.
    code: Option<PathBuf>,
    /// The fields without a data source.
    live_fields: BTreeSet<(String, String)>,
    /// The one file of theirs.
    live_code: Option<PathBuf>,
}

fn resolvers(stack: &Stack) -> anyhow::Result<Resolvers> {
    let sources = stack.of_kind("AWS::AppSync::DataSource");
    let mut functions = BTreeMap::new();
    for (id, source) in &sources {
        let function = match source.get("Type").text_or("AWS_LAMBDA")?.as_str() {
            "NONE" => None,
            _ => {
                let arn = source.get("LambdaConfig").get("LambdaFunctionArn").text()?;
                Some(name_of_arn(&arn).to_owned())
            }
        };
        functions.insert(format!("{id}.Name"), function);
    }
    let mut found = Resolvers::default();
    for (_, resolver) in stack.of_kind("AWS::AppSync::Resolver") {
        let source = resolver.get("DataSourceName");
        let function = functions.get(&source.text()?);
        let function = function.with_context(|| format!("{source}: it is no data source of this stack"))?;
        let field = (
            resolver.get("TypeName").text()?,
            resolver.get("FieldName").text()?,
        );
        let code = match function {
            Some(function) => {
                found.fields.insert(field, function.clone());
                &mut found.code
            }
            None => {
                found.live_fields.insert(field);
                &mut found.live_code
            }
        };
        let file = resolver.get("CodeS3Location");
        let path = stack.folder.join(file.text()?);
        if code.as_ref().is_some_and(|other| *other != path) {
            bail!(
                "{file}: the local cloud runs one resolver for all fields with a function, and one for the others"
            )
        }
        *code = Some(path);
    }
    Ok(found)
}

/// Puts the binary in the place of each function's name.
pub(super) fn find_binaries(api: &mut AppApi, resources: &[Resource]) -> anyhow::Result<()> {
    let mut binaries = BTreeMap::new();
    for resource in resources
        .iter()
        .filter(|resource| resource.kind == "AWS::Serverless::Function")
    {
        let function = resource.node();
        if let Some(name) = function.get("FunctionName").optional_text()? {
            binaries.insert(name, binary(&function.get("CodeUri"))?);
        }
    }
    for ((parent, field), function) in &mut api.fields {
        let binary = binaries.get(function.as_str());
        *function = binary
            .with_context(|| format!("{parent}.{field}: no function has FunctionName: {function}"))?
            .clone();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Locals, Template};

    const TEMPLATE: &str = r#"
Resources:
  Show:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ../target/show/, FunctionName: !Sub "moneta-${AWS::Region}-Show"}
  Graphql:
    Type: AWS::AppSync::GraphQLApi
    Properties:
      {AuthenticationType: OPENID_CONNECT, QueryDepthLimit: 5, IntrospectionConfig: DISABLED, EnvironmentVariables: {CLAIMS: a=b}}
  Schema: {Type: "AWS::AppSync::GraphQLSchema", Properties: {DefinitionS3Location: ../schema.graphql}}
  Source:
    Type: AWS::AppSync::DataSource
    Properties:
      {LambdaConfig: {LambdaFunctionArn: !Sub "arn:aws:lambda:${AWS::Region}:1:function:moneta-${AWS::Region}-Show"}}
  Resolver:
    Type: AWS::AppSync::Resolver
    Properties: {TypeName: Query, FieldName: show, DataSourceName: !GetAtt Source.Name, CodeS3Location: resolver.js}
  Live: {Type: "AWS::AppSync::DataSource", Properties: {Type: NONE}}
  LiveResolver:
    Type: AWS::AppSync::Resolver
    Properties: {TypeName: Subscription, FieldName: shown, DataSourceName: !GetAtt Live.Name, CodeS3Location: live.js}
"#;

    #[test]
    fn the_api_knows_its_files_its_limits_and_its_functions() {
        let template = Template::parse(TEMPLATE, &Locals::default()).unwrap();
        let api = template.app_api.unwrap();
        assert_eq!(api.schema.to_str(), Some("../schema.graphql"));
        assert_eq!(api.resolver.to_str(), Some("resolver.js"));
        assert_eq!(
            (api.introspection, api.max_depth, api.max_resolvers),
            (false, 5, 10_000)
        );
        assert_eq!(api.environment.get("CLAIMS").map(String::as_str), Some("a=b"));
        let place = ("Query".to_owned(), "show".to_owned());
        assert_eq!(api.fields, [(place, "show".to_owned())].into());
        let place = ("Subscription".to_owned(), "shown".to_owned());
        assert_eq!(api.live_fields, [place].into());
        assert_eq!(
            api.live_resolver
                .and_then(|path| path.to_str().map(str::to_owned)),
            Some("live.js".to_owned())
        );
    }

    #[test]
    fn a_field_whose_function_has_no_such_name_is_an_error() {
        let text = TEMPLATE.replace(
            "FunctionName: !Sub \"moneta-${AWS::Region}-Show\"",
            "FunctionName: other",
        );
        let error = Template::parse(&text, &Locals::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Query.show: no function has FunctionName: moneta-"),
            "{error}"
        );
    }
}
