//! The HTTP API: its authorizer, and its routes with the functions behind them.

use anyhow::{Context, anyhow, bail};

use super::{Authorizer, HttpRoute, Node, name_of_arn, stacks::Stack};

pub(super) fn authorizers(stack: &Stack) -> anyhow::Result<Vec<Authorizer>> {
    let authorizers = stack.of_kind("AWS::ApiGatewayV2::Authorizer");
    let read = |(_, authorizer): &(&str, Node)| {
        let jwt = authorizer.get("JwtConfiguration");
        Ok(Authorizer {
            issuer: jwt.get("Issuer").text()?,
            audience: jwt.get("Audience").texts()?,
        })
    };
    authorizers.iter().map(read).collect()
}

/// The routes, each with the logical id of its function.
pub(super) fn routes(stack: &Stack) -> anyhow::Result<Vec<(String, HttpRoute)>> {
    let integrations = stack.of_kind("AWS::ApiGatewayV2::Integration");
    let routes = stack.of_kind("AWS::ApiGatewayV2::Route");
    let read = |(_, route): &(&str, Node)| Ok((function(route, &integrations)?, read_route(route)?));
    routes.iter().map(read).collect()
}

/// The function that the route's integration calls.
fn function(route: &Node, integrations: &[(&str, Node)]) -> anyhow::Result<String> {
    let target = route.get("Target");
    let text = target.text()?;
    let id = text.strip_prefix("integrations/").unwrap_or(&text);
    let (_, integration) = integrations
        .iter()
        .find(|(other, _)| *other == id)
        .ok_or_else(|| anyhow!("{target}: {text} is no integration of this stack"))?;
    Ok(name_of_arn(&integration.get("IntegrationUri").text()?).to_owned())
}

fn read_route(route: &Node) -> anyhow::Result<HttpRoute> {
    let key = route.get("RouteKey");
    let text = key.text()?;
    let (method, path) = text
        .split_once(' ')
        .with_context(|| format!("{key}: {text} isn't a method and a path"))?;
    let authorization = route.get("AuthorizationType");
    let authorized = match authorization.text_or("NONE")?.as_str() {
        "NONE" => false,
        "JWT" => route.get("AuthorizerId").text().map(|_| true)?,
        other => bail!("{authorization}: {other} isn't known to the local cloud"),
    };
    Ok(HttpRoute {
        method: method.to_uppercase(),
        path: path.to_owned(),
        authorized,
        scopes: route.get("AuthorizationScopes").texts()?,
    })
}
