//! The routes of the app's users: a token's profile decides what they are about.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Scenario, Tester, billing::setup_request, ensure_eq, newcomer::phone_of, scenarios,
    traces::Traces,
};
use serde_json::{Value, json};

use crate::owner::{Owner, document_of, street_of};
use crate::{Request, path_of};

/// How a route treats somebody who is signed in, and asks for what is another's.
enum Strangers {
    /// The body names what belongs to another: the answer is as if it weren't there.
    FindNothing { code: &'static str },
    /// The route shows the caller's own. This is a text of the other's that must not be in it.
    SeeTheirOwn { hidden: fn(&Owner) -> String },
    /// The route shows everybody the same.
    SeeTheSame,
    /// The route does something with the caller's own, and here there is nothing of theirs.
    DoNothing,
    /// The route changes what is the caller's, whatever is another's; tests/notifications has what comes of it.
    ChangeTheirOwn,
}

pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: Option<fn(&Owner) -> Value>,
    strangers: Strangers,
}

/// Every route of the app has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "POST /trading/deposits",
        body: Some(|owner| owner.tester.request(100)),
        strangers: Strangers::FindNothing {
            code: "trading-account-not-found",
        },
    },
    Row {
        route: "POST /trading/withdrawals",
        body: Some(|owner| owner.tester.request(100)),
        strangers: Strangers::FindNothing {
            code: "trading-account-not-found",
        },
    },
    Row {
        route: "GET /trading/profile",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| {
                format!(
                    "\"trading_account_id\":{},",
                    owner.tester.customer.trading_account_id
                )
            },
        },
    },
    Row {
        route: "GET /trading/history/money-flow",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| {
                format!(
                    "\"trading_account_id\":{},",
                    owner.tester.customer.trading_account_id
                )
            },
        },
    },
    Row {
        route: "PUT /profile/language",
        body: Some(|_| json!({ "language": "en" })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "GET /trading/kyc/form-config",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| owner.tester.customer.email.clone(),
        },
    },
    Row {
        route: "GET /trading/kyc/form",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| street_of(owner.profile()),
        },
    },
    Row {
        route: "PUT /trading/kyc/form",
        body: Some(|_| json!({ "first_name": "Ada" })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "POST /trading/bank-accounts/link-token",
        body: Some(|owner| json!({ "bank_account_id": owner.tester.customer.bank_account_id })),
        strangers: Strangers::FindNothing {
            code: "bank-account-not-found",
        },
    },
    Row {
        route: "POST /trading/bank-accounts",
        body: Some(|_| json!({ "public_token": "public-sandbox-1", "account_id": "account-1" })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "GET /trading/bank-accounts",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},", owner.tester.customer.bank_account_id),
        },
    },
    Row {
        route: "DELETE /trading/bank-accounts/{bank_account_id}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "bank-account-not-found",
        },
    },
    Row {
        route: "POST /trading/kyc/submissions",
        body: Some(|_| json!({})),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "GET /trading/kyc/status",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| document_of(owner.profile()),
        },
    },
    Row {
        route: "POST /trading/kyc/documents",
        body: Some(
            |_| json!({ "type": "PASSPORT", "side": "FRONT", "content": "JVBERi0xLjcKJcOkw7zDtsOfCjIgMCBvYmoK" }),
        ),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "POST /trading/kyc/phone-codes",
        body: Some(|owner| json!({ "phone_number": phone_of(owner.profile()) })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "POST /trading/kyc/phone-codes/verifications",
        body: Some(|owner| json!({ "phone_number": phone_of(owner.profile()), "code": "123456" })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "GET /trading/collections",
        body: None,
        strangers: Strangers::SeeTheSame,
    },
    Row {
        route: "GET /trading/collections/{collection_id}/recommended-weights",
        body: None,
        strangers: Strangers::SeeTheSame,
    },
    Row {
        route: "GET /trading/collections/{collection_id}/holdings",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| {
                format!(
                    "\"trading_account_id\":{}}}",
                    owner.tester.customer.trading_account_id
                )
            },
        },
    },
    Row {
        route: "POST /trading/collections/{collection_id}/versions",
        body: Some(|owner| {
            let account = owner.tester.customer.trading_account_id;
            json!({ "absolute_amount_delta_cents": 1_000, "account_id": account })
        }),
        strangers: Strangers::FindNothing {
            code: "trading-account-not-found",
        },
    },
    Row {
        route: "DELETE /trading/collections/{collection_id}/versions/{version_id}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "collection-version-not-found",
        },
    },
    Row {
        route: "GET /trading/history/rebalancings",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},", owner.version),
        },
    },
    Row {
        route: "GET /trading/history",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},\"kind\":\"rebalancing\"", owner.version),
        },
    },
    Row {
        route: "GET /trading/statements",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},", owner.statement),
        },
    },
    Row {
        route: "GET /trading/statements/{statement_id}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "statement-not-found",
        },
    },
    Row {
        route: "POST /billing/checkout-sessions",
        body: Some(|_| setup_request()),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "POST /billing/payment-methods",
        body: Some(|owner| json!({ "stripe_session_id": owner.session })),
        strangers: Strangers::FindNothing {
            code: "checkout-session-not-found",
        },
    },
    Row {
        route: "GET /billing/payment-methods",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},", owner.method),
        },
    },
    Row {
        route: "PUT /billing/payment-methods/{payment_method_id}/active",
        body: Some(|_| json!({})),
        strangers: Strangers::FindNothing {
            code: "payment-method-not-found",
        },
    },
    Row {
        route: "DELETE /billing/payment-methods/{payment_method_id}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "payment-method-not-found",
        },
    },
    Row {
        route: "GET /billing/invoices",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"id\":{},", owner.invoice),
        },
    },
    Row {
        route: "GET /billing/invoices/{invoice_id}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "invoice-not-found",
        },
    },
    Row {
        route: "GET /billing/commissions",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |owner| format!("\"invoice_id\":{},", owner.invoice),
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
            // Of the deposit, and of the commission.
            hidden: |_| "\"unread\":2".to_owned(),
        },
    },
    Row {
        route: "POST /notifications/read",
        // Later than any notification.
        body: Some(|_| json!({ "up_to": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" })),
        strangers: Strangers::DoNothing,
    },
    Row {
        route: "PUT /notifications/devices/{token}",
        body: Some(|_| json!({ "platform": "ios" })),
        strangers: Strangers::ChangeTheirOwn,
    },
    Row {
        route: "DELETE /notifications/devices/{token}",
        body: None,
        strangers: Strangers::FindNothing {
            code: "device-not-found",
        },
    },
    Row {
        route: "GET /notifications/preferences",
        body: None,
        strangers: Strangers::SeeTheirOwn {
            hidden: |_| "\"kind\":\"money-flow.succeeded\",\"mail\":true".to_owned(),
        },
    },
    Row {
        route: "PUT /notifications/preferences",
        body: Some(|_| {
            let choice = json!({ "kind": "money-flow.succeeded", "feed": true, "push": true, "mail": true });
            json!({ "items": [choice] })
        }),
        strangers: Strangers::ChangeTheirOwn,
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(token_without_a_profile_is_forbidden),
        alone(another_profiles_token_finds_nothing),
        alone(profile_of_the_token_counts_whatever_else_is_sent),
    ]
}

impl Row {
    /// A call of the route, for what belongs to `owner`.
    pub(crate) fn request(&self, owner: &Owner) -> Request {
        let path = path_of(self.route)
            .replace("{payment_method_id}", &owner.method.to_string())
            .replace("{invoice_id}", &owner.invoice.to_string())
            .replace(
                "{bank_account_id}",
                &owner.tester.customer.bank_account_id.to_string(),
            )
            .replace("{collection_id}", &owner.collection.to_string())
            .replace("{version_id}", &owner.version.to_string())
            .replace("{statement_id}", &owner.statement.to_string())
            .replace("{token}", &owner.tester.customer.device_token);
        Request {
            route: self.route,
            path,
            body: self.body.map(|body| body(owner)),
        }
    }
}

async fn token_without_a_profile_is_forbidden(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let id = owner.profile();
    let claims = [
        json!({}),
        json!({ "user_id": "trader-1" }),
        json!({ "wallet_client_id": id }),
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

async fn another_profiles_token_finds_nothing(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    settled_deposit(&fixture, &owner.tester).await?;
    let other = Owner::register(&fixture).await?;
    let nobody = json!({ "profile_id": i64::MAX });
    let before = Traces::take(&fixture).await?;
    let theirs = |row: &&Row| !matches!(row.strangers, Strangers::ChangeTheirOwn);
    for row in ROWS.iter().filter(theirs) {
        for claims in [json!({ "profile_id": other.profile() }), nobody.clone()] {
            let answer = row.request(&owner).send_as(&fixture, &claims).await?;
            let place = format!("{} with {claims}", row.route);
            match row.strangers {
                Strangers::FindNothing { code } => {
                    answer.expect_problem(404, code).context(place)?;
                }
                Strangers::DoNothing | Strangers::ChangeTheirOwn | Strangers::SeeTheSame => {
                    answer.expect(200).context(place)?;
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
            let path = row.request(&owner).path;
            let answer = owner.tester.api.get(&path).await?.expect(200)?;
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
        let mut body = other.tester.request(100);
        body["bank_account_id"] = json!(owner.tester.customer.bank_account_id);
        let answer = other.tester.api.post(path, "mixed", &body).await?;
        answer
            .expect_problem(404, "bank-account-not-found")
            .context(path)?;
    }
    // Nor as a document.
    let path = format!("/billing/invoices/{}", owner.invoice);
    for (api, status) in [(&other.tester.api, 404), (&owner.tester.api, 200)] {
        let request = api.request(reqwest::Method::GET, &path);
        let request = request.header("Accept", "application/pdf");
        api.send(request)
            .await?
            .expect(status)
            .context("an invoice as a PDF")?;
    }
    ensure_eq!(owner.tester.unread().await?, 2, "what another reads stays unread");
    before.still(&fixture).await
}

/// An owner with a flow in the history and a notification, which goes by mail as they chose.
async fn settled_deposit(fixture: &Fixture, owner: &Tester) -> Result {
    let choice = json!({ "kind": "money-flow.succeeded", "feed": true, "push": true, "mail": true });
    let put = owner
        .api
        .request(reqwest::Method::PUT, "/notifications/preferences");
    let put = put.json(&json!({ "items": [choice] }));
    owner.api.send(put).await?.expect(200)?;
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
    owner.feed_reaches(2).await?;
    Ok(())
}

async fn profile_of_the_token_counts_whatever_else_is_sent(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let other = Owner::register(&fixture).await?;
    let id = owner.profile();
    let before = Traces::take(&fixture).await?;
    let headers = [
        ("x-profile-id", id.to_string()),
        ("profile_id", id.to_string()),
        ("x-amzn-oidc-identity", id.to_string()),
    ];
    for row in ROWS {
        let (api, request) = (&other.tester.api, row.request(&other));
        let (method, path) = (request.method()?, &request.path);
        if let Some(mut named) = request.body {
            named["profile_id"] = json!(id);
            let request = api.request(method, path).header("Idempotency-Key", "override");
            let answer = api.send(request.json(&named)).await?.expect(400)?;
            ensure_eq!(
                answer.body["errors"][0]["field"],
                "profile_id",
                "{}: {}",
                row.route,
                answer.text
            );
            continue;
        }
        let named = format!("{path}?profile_id={id}");
        let answer = api.send(api.request(method.clone(), &named)).await?.expect(400)?;
        ensure_eq!(
            answer.body["errors"][0]["field"],
            "profile_id",
            "{}: {}",
            row.route,
            answer.text
        );
        if method != reqwest::Method::GET {
            continue;
        }
        let plain = api.get(path).await?.expect(200)?;
        for (name, value) in &headers {
            let request = api.request(method.clone(), path).header(*name, value);
            let answer = api.send(request).await?.expect(200)?;
            let (seen, expected) = (without_time(answer.body), without_time(plain.body.clone()));
            ensure_eq!(seen, expected, "{} with the header {name}", row.route);
        }
    }
    before.still(&fixture).await
}

/// What is fetched anew each time says when, and a link is another one each time.
fn without_time(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("as_of");
        fields.remove("url");
    }
    body
}
