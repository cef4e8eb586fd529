//! The routes of the wallets: services with scope `wallets` act for every client, clients for themselves, administrators
//! set the rates, and all of them read these.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::new_key;
use end_to_end::{
    Api, Fixture, Result, Scenario, ensure_eq, scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Request, path_of};

/// Whom a route lets through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Services; the gateway stops all others.
    Services,
    /// The client of the path, and services.
    TheClient,
    /// Administrators.
    Administrators,
    /// All of these: it is about nobody in particular.
    Everybody,
}

pub(crate) struct Row {
    pub(crate) route: &'static str,
    who: Who,
    body: Option<fn(&Owner) -> Value>,
}

/// Every route of the wallets has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "POST /clients",
        who: Who::Services,
        body: Some(|_| json!({ "external_ref": Uuid::new_v4(), "currencies": ["USD"] })),
    },
    Row {
        route: "POST /clients/{client_id}/wallets",
        who: Who::Services,
        body: Some(|_| json!({ "currency": "JPY" })),
    },
    Row {
        route: "GET /clients/{client_id}/wallets",
        who: Who::TheClient,
        body: None,
    },
    Row {
        route: "POST /clients/{client_id}/recharges",
        who: Who::Services,
        body: Some(|owner| json!({ "wallet_id": owner.wallet, "amount": 100 })),
    },
    Row {
        route: "POST /clients/{client_id}/withdrawals",
        who: Who::TheClient,
        body: Some(|owner| json!({ "wallet_id": owner.wallet, "amount": 100 })),
    },
    Row {
        route: "POST /clients/{client_id}/withdrawals/{transaction_id}/settlement",
        who: Who::Services,
        body: Some(|_| json!({ "outcome": "done" })),
    },
    Row {
        route: "POST /clients/{client_id}/transfers",
        who: Who::TheClient,
        body: Some(
            |owner| json!({ "wallet_id": owner.wallet, "receiver_client_id": owner.payee, "amount": 100 }),
        ),
    },
    Row {
        route: "POST /transfers/batch",
        who: Who::Services,
        body: Some(|owner| {
            json!({ "mode": "atomic", "transfers": [{
                "client_id": owner.client,
                "wallet_id": owner.wallet,
                "receiver_client_id": owner.payee,
                "amount": 100,
            }] })
        }),
    },
    Row {
        route: "GET /clients/{client_id}/payments",
        who: Who::TheClient,
        body: None,
    },
    Row {
        route: "GET /clients/{client_id}/payments/{payment_id}",
        who: Who::TheClient,
        body: None,
    },
    Row {
        route: "GET /clients/{client_id}/wallets/{wallet_id}/statement",
        who: Who::TheClient,
        body: None,
    },
    Row {
        route: "GET /clients/{client_id}/quotes",
        who: Who::TheClient,
        body: None,
    },
    // The rate that the next row reads.
    Row {
        route: "PUT /exchange-rates/{base}/{quote}",
        who: Who::Administrators,
        body: Some(|_| json!({ "rate": "0.9217" })),
    },
    Row {
        route: "GET /exchange-rates/{base}/{quote}",
        who: Who::Everybody,
        body: None,
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(routes_with_a_scope_are_those_of_services),
        alone(permitted_callers_get_through_to_the_wallets),
        alone(token_without_client_or_scope_is_forbidden),
        alone(client_that_cannot_be_read_is_refused_with_any_scope),
        alone(client_is_refused_where_a_service_is_needed),
        alone(another_clients_token_finds_nothing),
        alone(wallet_is_found_under_its_own_client_only),
        alone(client_of_the_token_counts_whatever_else_is_sent),
    ]
}

/// A client with $1,000.00, a withdrawal that waits, and somebody to pay to.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    client: i64,
    wallet: i64,
    recharge: i64,
    withdrawal: String,
    payee: i64,
}

impl Owner {
    /// Registers a new one.
    pub(crate) async fn register(fixture: &Fixture) -> Result<Self> {
        let service = fixture.api(Some(service()))?;
        let (client, wallet) = new_client(&service).await?;
        let (payee, _) = new_client(&service).await?;
        let body = |amount: i64| json!({ "wallet_id": wallet, "amount": amount });
        let key = Uuid::new_v4().to_string();
        let path = format!("/clients/{client}/recharges");
        let recharge = service.post(&path, &key, &body(100_000)).await?.expect(201)?;
        let path = format!("/clients/{client}/withdrawals");
        let withdrawal = service.post(&path, &key, &body(1_234)).await?.expect(201)?;
        let transaction = withdrawal.body["transaction_id"].as_str();
        Ok(Self {
            client,
            wallet,
            recharge: recharge.number("id")?,
            withdrawal: transaction.context("no transaction")?.to_owned(),
            payee,
        })
    }

    /// The same things said to be of another client.
    fn under(&self, client: i64) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    /// The claims of the client's own token.
    fn claims(&self) -> Value {
        json!({ "wallet_client_id": self.client })
    }
}

async fn new_client(service: &Api) -> Result<(i64, i64)> {
    let body = json!({ "currencies": ["USD"] });
    let answer = service.post("/clients", &new_key(), &body).await?.expect(201)?;
    let wallet = answer.body["wallets"][0]["wallet_id"].as_i64();
    Ok((answer.number("client_id")?, wallet.context("no wallet")?))
}

fn service() -> Value {
    json!({ "scope": "wallets" })
}

fn admin() -> Value {
    json!({ "groups": ["admin"], "sub": "operator" })
}

impl Row {
    /// A call of the route, for what belongs to `owner`.
    pub(crate) fn request(&self, owner: &Owner) -> Request {
        let path = path_of(self.route)
            .replace("{client_id}", &owner.client.to_string())
            .replace("{wallet_id}", &owner.wallet.to_string())
            .replace("{payment_id}", &owner.recharge.to_string())
            .replace("{transaction_id}", &owner.withdrawal)
            .replace("{base}", "USD")
            .replace("{quote}", "EUR");
        let path = if path.ends_with("/quotes") {
            format!(
                "{path}?wallet_id={}&receiver_currency=USD&amount=100",
                owner.wallet
            )
        } else {
            path
        };
        Request {
            route: self.route,
            path,
            body: self.body.map(|body| body(owner)),
        }
    }
}

/// The gateway's own answer to a token that lacks the scope.
fn stopped_by_the_gateway(answer: &end_to_end::Answer, place: &str) -> Result {
    ensure_eq!(answer.status, 403, "{place}: {}", answer.text);
    ensure_eq!(answer.body, json!({ "message": "Forbidden" }), "{place}");
    Ok(())
}

async fn routes_with_a_scope_are_those_of_services(fixture: Arc<Fixture>) -> Result {
    // Funded accounts have a scope of their own.
    let others = crate::funded_accounts::ROWS;
    for (name, _, route) in routes(&fixture) {
        if others.iter().any(|row| row.route == name) {
            continue;
        }
        let row = ROWS.iter().find(|row| row.route == name);
        // Dealers have a scope of their own.
        if crate::dealers::ROWS.iter().any(|row| row.route == name) {
            continue;
        }
        let expected: &[&str] = match row.map(|row| row.who) {
            Some(Who::Services) => &["wallets"],
            // Those of other services stand in their own file.
            None if route.scopes == ["internal"] => continue,
            _ => &[],
        };
        ensure_eq!(route.scopes, expected, "{name}");
    }
    Ok(())
}

async fn permitted_callers_get_through_to_the_wallets(fixture: Arc<Fixture>) -> Result {
    for row in ROWS {
        let callers = match row.who {
            Who::Services => vec![service(), json!({ "scope": "dealers wallets" })],
            Who::TheClient => vec![service(), json!({ "scope": "wallets", "profile_id": 1 })],
            Who::Administrators => vec![
                admin(),
                json!({ "groups": ["support", "admin"], "scope": "wallets", "sub": "operator" }),
            ],
            Who::Everybody => vec![admin(), service(), json!({ "wallet_client_id": 1 })],
        };
        for claims in callers {
            let owner = Owner::register(&fixture).await?;
            let answer = row.request(&owner).send_as(&fixture, &claims).await?;
            let passes = [200, 201].contains(&answer.status);
            ensure!(
                passes,
                "{} with {claims}: {} {}",
                row.route,
                answer.status,
                answer.text
            );
        }
        if row.who == Who::TheClient {
            let owner = Owner::register(&fixture).await?;
            let answer = row.request(&owner).send_as(&fixture, &owner.claims()).await?;
            let passes = [200, 201].contains(&answer.status);
            ensure!(
                passes,
                "{} with its own: {} {}",
                row.route,
                answer.status,
                answer.text
            );
        }
    }
    no_function_has_died(&fixture).await
}

async fn token_without_client_or_scope_is_forbidden(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let id = owner.client;
    let claims = [
        json!({}),
        json!({ "profile_id": id }),
        json!({ "user_id": id }),
        json!({ "scope": "" }),
        json!({ "scope": "dealers internal" }),
        json!({ "scope": "wallet" }),
        json!({ "scope": "Wallets" }),
        json!({ "scope": "wallets.read wallets:read" }),
        json!({ "scopes": "wallets" }),
        json!({ "groups": ["wallets"] }),
        json!({ "wallet_client_id": null }),
        json!({ "wallet_client_id": "" }),
        json!({ "wallet_client_id": 0 }),
        json!({ "wallet_client_id": -id }),
        json!({ "wallet_client_id": format!("{id}.0") }),
        json!({ "wallet_client_id": format!("0{id}") }),
        json!({ "wallet_client_id": format!("{id} OR 1=1") }),
        json!({ "wallet_client_id": [id] }),
        json!({ "wallet_client_id": "9223372036854775808" }),
        json!({ "clientId": id, "client_id": id, "sub": id.to_string() }),
        json!({ "groups": ["administrator"] }),
        json!({ "groups": ["administrators", "Admin"], "admin": true }),
        json!({ "scope": "admin" }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        // An administrator does nothing with wallets, nor a service with rates.
        let more = match row.who {
            Who::Administrators => vec![service(), owner.claims()],
            Who::Services | Who::TheClient => vec![admin()],
            Who::Everybody => Vec::new(),
        };
        for claims in claims.iter().chain(&more) {
            let place = format!("{} with {claims}", row.route);
            let answer = row.request(&owner).send_as(&fixture, claims).await?;
            if row.who == Who::Services {
                stopped_by_the_gateway(&answer, &place)?;
            } else {
                answer.expect_problem(403, "denied").context(place)?;
            }
        }
    }
    before.still(&fixture).await
}

/// Without the claim, the scope would act for every client.
async fn client_that_cannot_be_read_is_refused_with_any_scope(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let id = owner.client;
    let unreadable = [
        json!(format!("0{id}")),
        json!(""),
        json!(0),
        json!([id]),
        json!(format!("{id} ")),
        json!("all"),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS.iter().filter(|row| row.who != Who::Administrators) {
        for client in &unreadable {
            let claims = json!({ "wallet_client_id": client, "scope": "wallets", "groups": ["admin"] });
            let answer = row.request(&owner).send_as(&fixture, &claims).await?;
            let place = format!("{} with {claims}", row.route);
            answer.expect_problem(403, "denied").context(place)?;
        }
    }
    before.still(&fixture).await
}

async fn client_is_refused_where_a_service_is_needed(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    for row in ROWS.iter().filter(|row| row.who == Who::Services) {
        let answer = row.request(&owner).send_as(&fixture, &owner.claims()).await?;
        stopped_by_the_gateway(&answer, row.route)?;
        // Should a client's token ever come with the scope, it is a client's nevertheless.
        let with_scope = json!({ "wallet_client_id": owner.client, "scope": "wallets" });
        let answer = row.request(&owner).send_as(&fixture, &with_scope).await?;
        answer.expect_problem(403, "denied").context(row.route)?;
    }
    before.still(&fixture).await
}

async fn another_clients_token_finds_nothing(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (Owner::register(&fixture).await?, Owner::register(&fixture).await?);
    let before = Traces::take(&fixture).await?;
    let callers = [
        other.claims(),
        json!({ "wallet_client_id": other.client, "scope": "wallets" }),
        json!({ "wallet_client_id": other.client, "groups": ["admin"] }),
        json!({ "wallet_client_id": i64::MAX - 1 }),
    ];
    for row in ROWS.iter().filter(|row| row.who == Who::TheClient) {
        for claims in &callers {
            let place = format!("{} with {claims}", row.route);
            let answer = row.request(&owner).send_as(&fixture, claims).await?;
            let answer = answer
                .expect_problem(404, "client-not-found")
                .context(place.clone())?;
            // There is no telling a client of another from none.
            let nobody = row.request(&owner.under(i64::MAX));
            let none = nobody.send_as(&fixture, claims).await?.expect(404)?;
            ensure_eq!(answer.text, none.text, "{place}");
            for hidden in ["balance", "USD", "98766", "1234"] {
                ensure!(
                    !answer.text.contains(hidden),
                    "{place}: {hidden} in {}",
                    answer.text
                );
            }
        }
    }
    // What was looked for is there, so that this looks for the right thing.
    let service = fixture.api(Some(service()))?;
    let shown = service
        .get(&format!("/clients/{}/wallets", owner.client))
        .await?
        .expect(200)?;
    ensure_eq!(shown.body["items"][0]["balance"], 98_766, "{}", shown.text);
    before.still(&fixture).await
}

async fn wallet_is_found_under_its_own_client_only(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (Owner::register(&fixture).await?, Owner::register(&fixture).await?);
    let before = Traces::take(&fixture).await?;
    // The owner's wallet, recharge and withdrawal under the other's path, and the same with ids that nobody has.
    let of_owner = owner.under(other.client);
    let of_nobody = Owner {
        wallet: i64::MAX,
        recharge: i64::MAX,
        withdrawal: Uuid::nil().to_string(),
        ..of_owner.clone()
    };
    let callers = [other.claims(), service()];
    for row in ROWS {
        let request = row.request(&owner);
        let names_more = row.route.contains("{wallet_id}")
            || row.route.contains("{payment_id}")
            || row.route.contains("{transaction_id}")
            || request.path.contains("wallet_id=")
            || request
                .body
                .is_some_and(|body| body.to_string().contains("wallet_id"));
        if !names_more {
            continue;
        }
        for claims in &callers {
            if row.who == Who::Services && *claims != service() {
                continue;
            }
            let place = format!("{} with {claims}", row.route);
            let answer = row.request(&of_owner).send_as(&fixture, claims).await?;
            let answer = answer.expect(404).context(place.clone())?;
            let none = row.request(&of_nobody).send_as(&fixture, claims).await?;
            ensure_eq!(answer.text, none.expect(404)?.text, "{place}");
        }
    }
    let of_wallet = format!("/clients/{}/payments?wallet_id={}", other.client, owner.wallet);
    for claims in callers {
        let answer = fixture.api(Some(claims))?.get(&of_wallet).await?.expect(200)?;
        ensure_eq!(answer.body["items"], json!([]));
    }
    before.still(&fixture).await
}

async fn client_of_the_token_counts_whatever_else_is_sent(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (Owner::register(&fixture).await?, Owner::register(&fixture).await?);
    let id = owner.client.to_string();
    let headers = [
        ("x-client-id", id.as_str()),
        ("client_id", id.as_str()),
        ("x-amzn-oidc-identity", id.as_str()),
        ("scope", "wallets"),
        ("x-scope", "wallets"),
        ("groups", "[admin]"),
    ];
    let token = format!("Bearer {}", fixture.cloud.mint_token(other.claims())?);
    fixture.set_rate("USD", "EUR", "0.9217").await?;
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        // With the other's token for what is the owner's, whatever else says that it were the owner's own.
        let mut request = row.request(&owner);
        let plain = request.send_with(&fixture, Some(&token), &[]).await?;
        let expected: &[u16] = match row.who {
            Who::Everybody => &[200],
            _ => &[403, 404],
        };
        ensure!(expected.contains(&plain.status), "{}: {}", row.route, plain.text);
        let more = request.send_with(&fixture, Some(&token), &headers).await?;
        ensure_eq!(more.text, plain.text, "{} with headers", row.route);
        for (name, value) in [
            ("client_id", json!(owner.client)),
            ("scope", json!("wallets")),
            ("groups", json!(["admin"])),
        ] {
            let place = format!("{} with {name}", row.route);
            let mut named = row.request(&owner);
            match &mut named.body {
                Some(body) => body[name] = value,
                None => {
                    let mark = if named.path.contains('?') { '&' } else { '?' };
                    named.path.push_str(&format!("{mark}{name}={id}"));
                }
            }
            let answer = named.send_with(&fixture, Some(&token), &[]).await?;
            if row.who == Who::Services {
                stopped_by_the_gateway(&answer, &place)?;
            } else {
                ensure_eq!(answer.expect(400)?.body["errors"][0]["field"], name, "{place}");
            }
        }
        if row.body.is_some() {
            request
                .path
                .push_str(&format!("?client_id={id}&scope=wallets&groups=admin"));
            let answer = request.send_with(&fixture, Some(&token), &[]).await?;
            ensure_eq!(answer.text, plain.text, "{} with a query", row.route);
        }
    }
    before.still(&fixture).await
}
