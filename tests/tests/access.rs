//! Every route of the template against every kind of caller that mustn't get through, or only to what is theirs.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{
    Answer, Fixture, Result, Scenario, Tester, ensure_eq, options, run_scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use local_cloud::TokenOptions;
use reqwest::Method;
use serde_json::{Value, json};

/// How a route treats somebody who is signed in, and asks for what is another's.
enum Strangers {
    /// The body names what belongs to another: the answer is as if it weren't there.
    FindNothing { code: &'static str },
    /// The route shows the caller's own. This is a text of the other's that must not be in it.
    SeeTheirOwn { hidden: fn(&Tester) -> String },
}

struct Row {
    route: &'static str,
    body: Option<fn(&Tester) -> Value>,
    strangers: Strangers,
}

/// Every route has its row here; a test says which is missing.
const ROWS: &[Row] = &[
    Row {
        route: "POST /trading/deposits",
        body: Some(|tester| tester.request(100)),
        strangers: Strangers::FindNothing {
            code: "trading-account-not-found",
        },
    },
    Row {
        route: "POST /trading/withdrawals",
        body: Some(|tester| tester.request(100)),
        strangers: Strangers::FindNothing {
            code: "trading-account-not-found",
        },
    },
    Row {
        route: "GET /trading/profile",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |tester| format!("\"trading_account_id\":{},", tester.customer.trading_account_id),
        },
    },
    Row {
        route: "GET /trading/history/money-flow",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |tester| format!("\"trading_account_id\":{},", tester.customer.trading_account_id),
        },
    },
    Row {
        route: "GET /notifications",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |_| "money-flow.succeeded".to_owned(),
        },
    },
    Row {
        route: "GET /notifications/unread-count",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |_| "\"unread\":1".to_owned(),
        },
    },
];

fn main() -> ExitCode {
    let scenarios = vec![
        Scenario::alone(
            "every_route_has_a_row",
            |fixture| async move { complete(&fixture) },
        ),
        Scenario::alone("no_route_answers_without_a_good_token", bad_tokens),
        Scenario::alone("a_token_without_a_profile_is_forbidden", no_profile),
        Scenario::alone("another_profile_finds_nothing", strangers),
        Scenario::alone("the_token_says_who_asks_whatever_else_is_sent", overrides),
        Scenario::alone("there_is_nothing_beside_the_routes", beside),
    ];
    run_scenarios("access", options(), scenarios)
}

impl Row {
    fn method(&self) -> Result<Method> {
        let (method, _) = self.route.split_once(' ').context("METHOD /path")?;
        Ok(method.parse()?)
    }

    fn path(&self) -> &'static str {
        self.route
            .split_once(' ')
            .map(|(_, path)| path)
            .unwrap_or_default()
    }

    /// Calls the route with this text as `Authorization`, for what belongs to `owner`.
    async fn call(&self, fixture: &Fixture, authorization: Option<&str>, owner: &Tester) -> Result<Answer> {
        let api = fixture.api(None)?;
        let mut request = api.request(self.method()?, self.path());
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = self.body {
            let key = uuid::Uuid::new_v4().to_string();
            request = request.header("Idempotency-Key", key).json(&body(owner));
        }
        api.send(request).await
    }
}

fn complete(fixture: &Fixture) -> Result {
    let template: BTreeSet<String> = routes(fixture).into_iter().map(|(name, ..)| name).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.route.to_owned()).collect();
    ensure!(!template.is_empty(), "the template has no routes");
    ensure_eq!(
        rows,
        template,
        "the rows of this file and the routes of the template"
    );
    let open: Vec<String> = routes(fixture)
        .into_iter()
        .filter(|(_, _, route)| !route.authorized)
        .map(|(name, ..)| name)
        .collect();
    ensure!(
        open.is_empty(),
        "these routes have no authorizer, and no row here says why: {open:?}"
    );
    Ok(())
}

/// Whatever isn't a good token, by what is wrong with it, as the text of `Authorization`.
fn refused_tokens(fixture: &Fixture, owner: &Tester) -> Result<Vec<(&'static str, Option<String>)>> {
    let claims = json!({ "profile_id": owner.customer.profile_id });
    let mint = |options: TokenOptions| fixture.cloud.mint_token_with(claims.clone(), options);
    let good = mint(TokenOptions::default())?;
    let now = chrono::Utc::now().timestamp();
    let not_yet = json!({ "profile_id": owner.customer.profile_id, "nbf": now + 600 });
    let not_yet = fixture.cloud.mint_token_with(not_yet, TokenOptions::default())?;
    let endless = json!({ "profile_id": owner.customer.profile_id, "exp": null });
    let endless = fixture.cloud.mint_token_with(endless, TokenOptions::default())?;
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
    let another = fixture
        .cloud
        .mint_token(json!({ "profile_id": owner.customer.profile_id + 1 }))?;
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

async fn bad_tokens(fixture: Arc<Fixture>) -> Result {
    let owner = fixture.customer().await?;
    let tokens = refused_tokens(&fixture, &owner)?;
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for (what, authorization) in &tokens {
            let answer = row.call(&fixture, authorization.as_deref(), &owner).await?;
            let place = format!("{} with {what}", row.route);
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

async fn no_profile(fixture: Arc<Fixture>) -> Result {
    let owner = fixture.customer().await?;
    let id = owner.customer.profile_id;
    let claims = [
        json!({}),
        json!({ "user_id": "trader-1" }),
        json!({ "groups": ["admin"], "scope": "wallets dealers internal" }),
        json!({ "profile_id": null }),
        json!({ "profile_id": "" }),
        json!({ "profile_id": 0 }),
        json!({ "profile_id": -id }),
        json!({ "profile_id": format!("{id}.0") }),
        json!({ "profile_id": format!("{id} OR 1=1") }),
        json!({ "profile_id": [id] }),
        json!({ "profile_id": "9223372036854775808" }),
        json!({ "profileId": id, "sub": id.to_string() }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in &claims {
            let token = format!("Bearer {}", fixture.cloud.mint_token(claims.clone())?);
            let answer = row.call(&fixture, Some(&token), &owner).await?;
            let answer = answer.expect_problem(403, "denied");
            answer.with_context(|| format!("{} with {claims}", row.route))?;
        }
    }
    before.still(&fixture).await
}

async fn strangers(fixture: Arc<Fixture>) -> Result {
    let owner = fixture.customer().await?;
    settled_deposit(&fixture, &owner).await?;
    let other = fixture.customer().await?;
    let nobody = json!({ "profile_id": i64::MAX });
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in [json!({ "profile_id": other.customer.profile_id }), nobody.clone()] {
            let token = format!("Bearer {}", fixture.cloud.mint_token(claims.clone())?);
            let answer = row.call(&fixture, Some(&token), &owner).await?;
            let place = format!("{} with {claims}", row.route);
            match row.strangers {
                Strangers::FindNothing { code } => {
                    answer.expect_problem(404, code).context(place)?;
                }
                Strangers::SeeTheirOwn { hidden } => {
                    let hidden = hidden(&owner);
                    ensure!(
                        [200, 404].contains(&answer.status),
                        "{place}: {} {}",
                        answer.status,
                        answer.text
                    );
                    ensure!(
                        !answer.text.contains(&hidden),
                        "{place}: {hidden} in {}",
                        answer.text
                    );
                }
            }
        }
        // What was looked for is there, so that the row looks for the right thing.
        if let Strangers::SeeTheirOwn { hidden } = row.strangers {
            let answer = owner.api.get(row.path()).await?.expect(200)?;
            let hidden = hidden(&owner);
            ensure!(
                answer.text.contains(&hidden),
                "{}: no {hidden} in {}",
                row.route,
                answer.text
            );
        }
    }
    // One's own trading account with another's bank account, which is no better.
    for path in ["/trading/deposits", "/trading/withdrawals"] {
        let mut body = other.request(100);
        body["bank_account_id"] = json!(owner.customer.bank_account_id);
        let answer = other.api.post(path, "mixed", &body).await?;
        answer
            .expect_problem(404, "bank-account-not-found")
            .context(path)?;
    }
    before.still(&fixture).await
}

/// An owner with a flow in the history and a notification.
async fn settled_deposit(fixture: &Fixture, owner: &Tester) -> Result {
    let flow = owner.deposit(100).await?.expect(201)?.number("id")?;
    let drivewealth = fixture.cloud.drivewealth();
    let account = &owner.customer.drivewealth_account_id;
    let deposits = drivewealth.deposits();
    let deposit = deposits.iter().find(|deposit| deposit.account_id == *account);
    let deposit = deposit.context("the broker has no deposit")?;
    drivewealth.advance(
        &deposit.id,
        local_cloud::sandboxes::drivewealth::status::SUCCESSFUL,
    )?;
    owner.flow_reaches(flow, "success").await?;
    owner.feed_reaches(1).await?;
    Ok(())
}

async fn overrides(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (fixture.customer().await?, fixture.customer().await?);
    let id = owner.customer.profile_id;
    let before = Traces::take(&fixture).await?;
    let headers = [
        ("x-profile-id", id.to_string()),
        ("profile_id", id.to_string()),
        ("x-amzn-oidc-identity", id.to_string()),
    ];
    for row in ROWS {
        let api = &other.api;
        if let Some(body) = row.body {
            let mut named = body(&other);
            named["profile_id"] = json!(id);
            let answer = api.post(row.path(), "override", &named).await?.expect(400)?;
            ensure_eq!(
                answer.body["errors"][0]["field"],
                "profile_id",
                "{}: {}",
                row.route,
                answer.text
            );
            continue;
        }
        let answer = api
            .get(&format!("{}?profile_id={id}", row.path()))
            .await?
            .expect(400)?;
        ensure_eq!(
            answer.body["errors"][0]["field"],
            "profile_id",
            "{}: {}",
            row.route,
            answer.text
        );
        let plain = api.get(row.path()).await?.expect(200)?;
        for (name, value) in &headers {
            let request = api.request(row.method()?, row.path()).header(*name, value);
            let answer = api.send(request).await?.expect(200)?;
            ensure_eq!(answer.body, plain.body, "{} with the header {name}", row.route);
        }
    }
    before.still(&fixture).await
}

async fn beside(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let known: BTreeSet<String> = routes(&fixture).into_iter().map(|(name, ..)| name).collect();
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let mut tried = 0;
    for row in ROWS {
        let paths = [
            row.path().to_owned(),
            format!("{}/", row.path()),
            format!("{}/1", row.path()),
            row.path().to_uppercase(),
        ];
        for path in paths {
            for method in methods
                .iter()
                .filter(|method| !known.contains(&format!("{method} {path}")))
            {
                let answer = tester
                    .api
                    .send(tester.api.request(method.parse()?, &path))
                    .await?;
                ensure_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
                tried += 1;
            }
        }
    }
    ensure!(tried > 100, "only {tried} were tried");
    Ok(())
}
