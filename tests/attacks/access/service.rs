//! The routes of the company's own services, with scope `internal`.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Scenario, ensure_eq, scenarios,
    traces::{Traces, routes},
};
use serde_json::{Value, json};

use crate::{Request, funded_accounts, path_of};

pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: fn() -> Value,
}

/// Every route of a service has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "PUT /profiles/{profile_id}",
        body: || json!({ "email": "ada@example.com", "first_name": "Ada", "last_name": "Example" }),
    },
    Row {
        route: "PUT /trading/collections/{collection_id}",
        body: || {
            let weights = json!([{ "symbol": "AAPL", "weight": "1" }]);
            json!({ "name": "Apples", "uniq_id": "ttf-apples", "weights": weights })
        },
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(route_of_a_service_is_stopped_at_the_gateway_without_the_scope),
        alone(route_of_a_service_is_open_to_it),
    ]
}

impl Row {
    /// A call of the route.
    pub(crate) fn request(&self) -> Request {
        Request {
            route: self.route,
            path: path_of(self.route)
                .replace("{profile_id}", "900000001")
                .replace("{collection_id}", "900001"),
            body: Some((self.body)()),
        }
    }
}

async fn route_of_a_service_is_stopped_at_the_gateway_without_the_scope(fixture: Arc<Fixture>) -> Result {
    for (name, _, route) in routes(&fixture) {
        let is_internal = route.scopes == ["internal"];
        let is_of_services =
            ROWS.iter().any(|row| row.route == name) || funded_accounts::is_of_services(&name);
        ensure_eq!(is_internal, is_of_services, "{name}");
    }
    let claims = [
        json!({}),
        json!({ "profile_id": 900_000_001 }),
        json!({ "scope": "wallets dealers" }),
        json!({ "scope": "Internal" }),
        json!({ "scopes": "internal" }),
        json!({ "groups": ["admin", "internal"] }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in &claims {
            let answer = row.request().send_as(&fixture, claims).await?;
            let place = format!("{} with {claims}", row.route);
            ensure_eq!(answer.status, 403, "{place}: {}", answer.text);
            ensure_eq!(answer.body, json!({ "message": "Forbidden" }), "{place}");
        }
    }
    before.still(&fixture).await
}

async fn route_of_a_service_is_open_to_it(fixture: Arc<Fixture>) -> Result {
    for row in ROWS {
        let answer = row
            .request()
            .send_as(&fixture, &json!({ "scope": "internal" }))
            .await?;
        let answer = answer.expect(201).context(row.route)?;
        ensure!(answer.body.is_object(), "{}", answer.text);
    }
    Ok(())
}
