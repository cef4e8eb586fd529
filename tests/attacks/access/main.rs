//! Every route of the template against every kind of caller that mustn't get through, or only to what is theirs.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod admin;
mod app;
mod dealers;
mod funded_accounts;
mod owner;
mod service;
mod wallets;
mod webhooks;

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{
    Answer, Fixture, Result, Scenario, Suite, ensure_eq, options, run_suites, scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use local_cloud::TokenOptions;
use reqwest::Method;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let files = [
        scenarios(),
        admin::scenarios(),
        app::scenarios(),
        funded_accounts::scenarios(),
        service::scenarios(),
        wallets::scenarios(),
        dealers::scenarios(),
        webhooks::scenarios(),
    ];
    run_suites([Suite::new("access", options(), files)])
}

fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(every_route_has_a_row_in_the_matrix),
        alone(every_route_refuses_a_bad_token),
        alone(paths_beside_the_routes_are_not_found),
    ]
}

/// A call of a route.
pub(crate) struct Request {
    /// The template's route, as `METHOD /path`.
    pub(crate) route: &'static str,
    /// The path, with everything in its place.
    pub(crate) path: String,
    /// The body, for a route that takes one.
    pub(crate) body: Option<Value>,
}

impl Request {
    /// The route's method.
    pub(crate) fn method(&self) -> Result<Method> {
        let (method, _) = self.route.split_once(' ').context("METHOD /path")?;
        Ok(method.parse()?)
    }

    /// Sends it with this text as `Authorization`, under a new key, with more headers.
    pub(crate) async fn send_with(
        &self,
        fixture: &Fixture,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let api = fixture.api(None)?;
        let mut request = api.request(self.method()?, &self.path);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = &self.body {
            let key = uuid::Uuid::new_v4().to_string();
            request = request.header("Idempotency-Key", key).json(body);
        }
        let more = headers.iter();
        api.send(more.fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
    }

    /// Sends it with a good token of these claims.
    pub(crate) async fn send_as(&self, fixture: &Fixture, claims: &Value) -> Result<Answer> {
        let token = format!("Bearer {}", fixture.cloud.mint_token(claims.clone())?);
        self.send_with(fixture, Some(&token), &[]).await
    }
}

/// The path of a route, without its method.
pub(crate) fn path_of(route: &'static str) -> &'static str {
    route.split_once(' ').map(|(_, path)| path).unwrap_or_default()
}

async fn every_route_has_a_row_in_the_matrix(fixture: Arc<Fixture>) -> Result {
    let template: BTreeSet<String> = routes(&fixture).into_iter().map(|(name, ..)| name).collect();
    let rows: BTreeSet<String> = app::ROWS
        .iter()
        .map(|row| row.route.to_owned())
        .chain(admin::ROWS.iter().map(|row| row.route.to_owned()))
        .chain(wallets::ROWS.iter().map(|row| row.route.to_owned()))
        .chain(funded_accounts::ROWS.iter().map(|row| row.route.to_owned()))
        .chain(dealers::ROWS.iter().map(|row| row.route.to_owned()))
        .chain(service::ROWS.iter().map(|row| row.route.to_owned()))
        .chain(webhooks::ROUTES.iter().map(|route| (*route).to_owned()))
        .collect();
    ensure!(!template.is_empty(), "the template has no routes");
    ensure_eq!(
        rows,
        template,
        "the rows of these files and the routes of the template"
    );
    let open: Vec<String> = routes(&fixture)
        .into_iter()
        .filter(|(_, _, route)| !route.authorized)
        .map(|(name, ..)| name)
        .collect();
    ensure_eq!(open, webhooks::ROUTES, "the routes without the authorizer");
    Ok(())
}

/// A call of every route that takes a token, for what belongs to somebody.
async fn one_of_each(fixture: &Fixture) -> Result<Vec<Request>> {
    let customer = owner::Owner::register(fixture).await?;
    let owner = wallets::Owner::register(fixture).await?;
    let dealer = dealers::Owner::register(fixture).await?;
    let waiting = admin::Waiting::open(fixture).await?;
    let of_dealers = dealers::ROWS.iter().map(|row| row.request(&dealer));
    let of_operators = admin::ROWS.iter().map(|row| row.request(&waiting));
    let of_app = app::ROWS.iter().map(|row| row.request(&customer));
    let of_wallets = wallets::ROWS.iter().map(|row| row.request(&owner));
    let trader = funded_accounts::owner(fixture).await?;
    let of_traders = funded_accounts::ROWS.iter().map(|row| row.request(&trader));
    let of_services = service::ROWS.iter().map(service::Row::request);
    Ok(of_app
        .chain(of_wallets)
        .chain(of_traders)
        .chain(of_dealers)
        .chain(of_operators)
        .chain(of_services)
        .collect())
}

/// Whatever isn't a good token, by what is wrong with it, as the text of `Authorization`. The claims are those of
/// somebody who may do everything.
fn refused_tokens(fixture: &Fixture) -> Result<Vec<(&'static str, Option<String>)>> {
    let claims =
        json!({ "profile_id": 1, "user_id": 1, "scope": "wallets dealers internal", "groups": ["admin"] });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let mint = |options: TokenOptions| fixture.cloud.mint_token_with(claims.clone(), options);
    let good = mint(TokenOptions::default())?;
    let now = chrono::Utc::now().timestamp();
    let not_yet = fixture.cloud.mint_token(with("nbf", json!(now + 600)))?;
    let endless = fixture.cloud.mint_token(with("exp", Value::Null))?;
    let expired = mint(TokenOptions {
        expires_in_s: -1,
        ..TokenOptions::default()
    })?;
    let audience = mint(TokenOptions {
        audience: Some("another".to_owned()),
        ..TokenOptions::default()
    })?;
    let issuer = mint(TokenOptions {
        issuer: Some("https://elsewhere".to_owned()),
        ..TokenOptions::default()
    })?;
    let other_key = mint(TokenOptions {
        wrong_key: true,
        ..TokenOptions::default()
    })?;
    let mut parts = good.split('.');
    let (head, payload) = (
        parts.next().context("no head")?,
        parts.next().context("no payload")?,
    );
    let signature = parts.next().context("no signature")?;
    let another = fixture.cloud.mint_token(with("profile_id", json!(2)))?;
    let other_payload = another.split('.').nth(1).context("no payload")?;
    // {"alg":"none","typ":"JWT"} and {"alg":"HS256","typ":"JWT"}
    let (none, hs256) = (
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    );
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    Ok(vec![
        ("no token", None),
        ("an empty header", Some(String::new())),
        ("the word Bearer alone", Some("Bearer ".to_owned())),
        ("garbage", bearer("garbage")),
        ("three parts of garbage", bearer("a.b.c")),
        ("another scheme", Some("Basic YTpi".to_owned())),
        ("an expired token", bearer(&expired)),
        ("a token without an end", bearer(&endless)),
        ("a token not valid yet", bearer(&not_yet)),
        ("another audience", bearer(&audience)),
        ("another issuer", bearer(&issuer)),
        ("another key", bearer(&other_key)),
        ("no signature", bearer(&format!("{head}.{payload}."))),
        ("algorithm none", bearer(&format!("{none}.{payload}."))),
        (
            "algorithm none with a signature",
            bearer(&format!("{none}.{payload}.{signature}")),
        ),
        (
            "another algorithm",
            bearer(&format!("{hs256}.{payload}.{signature}")),
        ),
        (
            "another's claims under one's own signature",
            bearer(&format!("{head}.{other_payload}.{signature}")),
        ),
        ("a token with something behind it", bearer(&format!("{good}x"))),
    ])
}

async fn every_route_refuses_a_bad_token(fixture: Arc<Fixture>) -> Result {
    let requests = one_of_each(&fixture).await?;
    let tokens = refused_tokens(&fixture)?;
    let before = Traces::take(&fixture).await?;
    for request in &requests {
        for (what, authorization) in &tokens {
            let answer = request.send_with(&fixture, authorization.as_deref(), &[]).await?;
            let place = format!("{} with {what}", request.route);
            ensure_eq!(answer.status, 401, "{place}: {}", answer.text);
            ensure_eq!(answer.body, json!({ "message": "Unauthorized" }), "{place}");
            ensure_eq!(answer.header("content-type"), "application/json", "{place}");
            ensure!(
                answer.header("www-authenticate").starts_with("Bearer"),
                "{place}: no WWW-Authenticate"
            );
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn paths_beside_the_routes_are_not_found(fixture: Arc<Fixture>) -> Result {
    let mut requests = one_of_each(&fixture).await?;
    requests.extend(webhooks::ROUTES.map(webhooks::request));
    let everything =
        json!({ "profile_id": 1, "user_id": 1, "scope": "wallets dealers internal", "groups": ["admin"] });
    let api = fixture.api(Some(everything))?;
    let routes = routes(&fixture);
    let is_known = |method: &str, path: &str| {
        let fits = |route: &str| {
            let (expected, found) = (route.split('/'), path.split('/'));
            expected.clone().count() == found.clone().count()
                && expected
                    .zip(found)
                    .all(|(expected, found)| expected == found || expected.starts_with('{'))
        };
        routes
            .iter()
            .any(|(_, _, route)| route.method == method && fits(&route.path))
    };
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let variants: [fn(&str) -> String; 4] = [
        |path| path.to_owned(),
        |path| format!("{path}/"),
        |path| format!("{path}/1"),
        |path| path.to_uppercase(),
    ];
    let mut tried = 0;
    for request in &requests {
        for variant in variants {
            let path = variant(request.path.split('?').next().unwrap_or_default());
            for method in methods.iter().filter(|method| !is_known(method, &path)) {
                let answer = api.send(api.request(method.parse()?, &path)).await?;
                ensure_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
                tried += 1;
            }
        }
    }
    ensure!(tried > 300, "only {tried} were tried");
    Ok(())
}
