//! The routes of the app's users: a token's profile decides what they are about.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, traces::Traces};
use serde_json::{Value, json};

use crate::{Request, path_of};

/// How a route treats somebody who is signed in, and asks for what is another's.
enum Strangers {
    /// The body names what belongs to another: the answer is as if it weren't there.
    FindNothing { code: &'static str },
    /// The route shows the caller's own. This is a text of the other's that must not be in it.
    SeeTheirOwn { hidden: fn(&Tester) -> String },
}

pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: Option<fn(&Tester) -> Value>,
    strangers: Strangers,
}

/// Every route of the app has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
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

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::alone("a_token_without_a_profile_is_forbidden", no_profile),
        Scenario::alone("another_profile_finds_nothing", strangers),
        Scenario::alone("the_token_says_who_asks_whatever_else_is_sent", overrides),
    ]
}

impl Row {
    /// A call of the route, for what belongs to `owner`.
    pub(crate) fn request(&self, owner: &Tester) -> Request {
        Request {
            route: self.route,
            path: path_of(self.route).to_owned(),
            body: self.body.map(|body| body(owner)),
        }
    }
}

async fn no_profile(fixture: Arc<Fixture>) -> Result {
    let owner = fixture.customer().await?;
    let id = owner.customer.profile_id;
    let claims = [
        json!({}),
        json!({ "user_id": "trader-1" }),
        json!({ "client_id": id }),
        json!({ "scope": "wallets" }),
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
            let answer = row.request(&owner).send_as(&fixture, claims).await?;
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
            let answer = row.request(&owner).send_as(&fixture, &claims).await?;
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
            let answer = owner.api.get(path_of(row.route)).await?.expect(200)?;
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
        let (api, path) = (&other.api, path_of(row.route));
        if let Some(body) = row.body {
            let mut named = body(&other);
            named["profile_id"] = json!(id);
            let answer = api.post(path, "override", &named).await?.expect(400)?;
            ensure_eq!(
                answer.body["errors"][0]["field"],
                "profile_id",
                "{}: {}",
                row.route,
                answer.text
            );
            continue;
        }
        let answer = api.get(&format!("{path}?profile_id={id}")).await?.expect(400)?;
        ensure_eq!(
            answer.body["errors"][0]["field"],
            "profile_id",
            "{}: {}",
            row.route,
            answer.text
        );
        let plain = api.get(path).await?.expect(200)?;
        for (name, value) in &headers {
            let request = api
                .request(row.request(&other).method()?, path)
                .header(*name, value);
            let answer = api.send(request).await?.expect(200)?;
            ensure_eq!(answer.body, plain.body, "{} with the header {name}", row.route);
        }
    }
    before.still(&fixture).await
}
