//! The routes of dealers: services with scope `dealers`, and nobody else; a dealer's bills are found under his name alone.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Scenario,
    dealers::{Dealer, company, dealers_service, new_deal, registration},
    ensure_eq, scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Request, path_of};

pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: Option<fn() -> Value>,
}

/// Every route of dealers has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "POST /dealers",
        body: Some(|| registration(&format!("CME-{}", Uuid::new_v4().simple()), &company())),
    },
    Row {
        route: "GET /dealers/{cme_client_id}",
        body: None,
    },
    Row {
        route: "PUT /dealers/{cme_client_id}/requisite",
        body: Some(|| {
            let mut requisite = company();
            requisite["email"] = json!("another@example.com");
            requisite
        }),
    },
    Row {
        route: "POST /dealers/{cme_client_id}/fast-buyout",
        body: Some(|| json!({})),
    },
    Row {
        route: "GET /dealers/{cme_client_id}/fast-buyout",
        body: None,
    },
    Row {
        route: "POST /dealers/{cme_client_id}/bills",
        body: Some(|| json!({ "operation": "GET_REWARD", "deal_id": new_deal(), "deal_price": 5_000 })),
    },
    Row {
        route: "GET /dealers/{cme_client_id}/bills",
        body: None,
    },
    Row {
        route: "GET /dealers/{cme_client_id}/bills/{bill_id}",
        body: None,
    },
    Row {
        route: "POST /dealers/{cme_client_id}/bills/{bill_id}/void",
        body: Some(|| json!({ "reason": "access" })),
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(routes_of_dealers_have_their_scope),
        alone(services_get_through_to_dealers),
        alone(token_without_the_scope_is_stopped_before_dealers),
        alone(bill_is_found_under_its_own_dealer_only),
    ]
}

/// A dealer with a bill.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    dealer: Dealer,
    bill: i64,
}

impl Owner {
    /// Registers a new one.
    pub(crate) async fn register(fixture: &Fixture) -> Result<Self> {
        let dealer = fixture.dealer().await?;
        let bill = dealer.owes_issued(100).await?;
        fixture.rest().await?;
        Ok(Self { dealer, bill })
    }
}

impl Row {
    /// A call of the route, for what belongs to `owner`.
    pub(crate) fn request(&self, owner: &Owner) -> Request {
        let path = path_of(self.route)
            .replace("{cme_client_id}", &owner.dealer.name)
            .replace("{bill_id}", &owner.bill.to_string());
        Request {
            route: self.route,
            path,
            body: self.body.map(|body| body()),
        }
    }
}

async fn routes_of_dealers_have_their_scope(fixture: Arc<Fixture>) -> Result {
    for (name, _, route) in routes(&fixture) {
        if ROWS.iter().any(|row| row.route == name) {
            ensure_eq!(route.scopes, ["dealers"], "{name}");
        }
    }
    Ok(())
}

async fn services_get_through_to_dealers(fixture: Arc<Fixture>) -> Result {
    for row in ROWS {
        for claims in [dealers_service(), json!({ "scope": "internal dealers" })] {
            let owner = Owner::register(&fixture).await?;
            let mut request = row.request(&owner);
            if row.route == "GET /dealers/{cme_client_id}/fast-buyout" {
                request.path.push_str("?price=100");
            }
            let answer = request.send_as(&fixture, &claims).await?;
            ensure!(
                [200, 201].contains(&answer.status),
                "{} with {claims}: {} {}",
                row.route,
                answer.status,
                answer.text
            );
        }
    }
    no_function_has_died(&fixture).await
}

async fn token_without_the_scope_is_stopped_before_dealers(fixture: Arc<Fixture>) -> Result {
    let owner = Owner::register(&fixture).await?;
    let claims = [
        json!({}),
        json!({ "profile_id": 1 }),
        json!({ "groups": ["admin", "dealers"], "sub": "ada" }),
        json!({ "scope": "" }),
        json!({ "scope": "wallets internal" }),
        json!({ "scope": "dealer" }),
        json!({ "scope": "Dealers" }),
        json!({ "scope": "dealers.read dealers:read" }),
        json!({ "scopes": "dealers" }),
        json!({ "dealer_id": 1, "cme_client_id": owner.dealer.name, "sub": owner.dealer.name }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in &claims {
            let place = format!("{} with {claims}", row.route);
            let answer = row.request(&owner).send_as(&fixture, claims).await?;
            ensure_eq!(answer.status, 403, "{place}: {}", answer.text);
            ensure_eq!(answer.body, json!({ "message": "Forbidden" }), "{place}");
        }
    }
    before.still(&fixture).await
}

async fn bill_is_found_under_its_own_dealer_only(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (Owner::register(&fixture).await?, Owner::register(&fixture).await?);
    let before = Traces::take(&fixture).await?;
    let foreign = Owner {
        bill: owner.bill,
        ..other.clone()
    };
    let of_nobody = Owner {
        bill: i64::MAX,
        ..other.clone()
    };
    for row in ROWS.iter().filter(|row| row.route.contains("{bill_id}")) {
        let answer = row
            .request(&foreign)
            .send_as(&fixture, &dealers_service())
            .await?;
        let answer = answer.expect_problem(404, "bill-not-found").context(row.route)?;
        let none = row
            .request(&of_nobody)
            .send_as(&fixture, &dealers_service())
            .await?;
        ensure_eq!(answer.text, none.expect(404)?.text, "{}", row.route);
    }
    before.still(&fixture).await
}
