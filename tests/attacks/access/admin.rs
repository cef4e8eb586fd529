//! The routes of operators: administrators with a name, and nobody else.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Scenario, scenarios,
    traces::{Traces, no_function_has_died},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Request, path_of};

pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: Option<fn() -> Value>,
}

/// Every route of operators has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "GET /admin/reviews",
        body: None,
    },
    Row {
        route: "GET /admin/reviews/{review_id}",
        body: None,
    },
    Row {
        route: "POST /admin/reviews/{review_id}/decision",
        body: Some(|| json!({ "action": "keep-owed", "reason": "access" })),
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(operators_get_through),
        alone(whoever_is_no_operator_is_forbidden),
    ]
}

/// A review that waits.
pub(crate) struct Waiting {
    review: i64,
}

impl Waiting {
    /// Opens a new one.
    pub(crate) async fn open(fixture: &Fixture) -> Result<Self> {
        let review = fixture.review(&format!("invoice-{}", Uuid::new_v4())).await?;
        Ok(Self { review })
    }
}

impl Row {
    /// A call of the route.
    pub(crate) fn request(&self, waiting: &Waiting) -> Request {
        let path = path_of(self.route).replace("{review_id}", &waiting.review.to_string());
        Request {
            route: self.route,
            path,
            body: self.body.map(|body| body()),
        }
    }
}

async fn operators_get_through(fixture: Arc<Fixture>) -> Result {
    for claims in [
        json!({ "groups": ["admin"], "sub": "ada" }),
        json!({ "groups": ["support", "admin"], "sub": "bob", "profile_id": 1 }),
    ] {
        for row in ROWS {
            let waiting = Waiting::open(&fixture).await?;
            let answer = row.request(&waiting).send_as(&fixture, &claims).await?;
            ensure!(
                [200, 202].contains(&answer.status),
                "{} with {claims}: {} {}",
                row.route,
                answer.status,
                answer.text
            );
        }
    }
    no_function_has_died(&fixture).await
}

async fn whoever_is_no_operator_is_forbidden(fixture: Arc<Fixture>) -> Result {
    let waiting = Waiting::open(&fixture).await?;
    let claims = [
        json!({}),
        json!({ "sub": "ada" }),
        json!({ "groups": ["admin"], "sub": null }),
        json!({ "groups": ["admin"], "sub": "" }),
        json!({ "groups": ["admin"], "sub": "x".repeat(201) }),
        json!({ "groups": ["administrator"], "sub": "ada" }),
        json!({ "groups": ["Admin", "admins"], "admin": true, "sub": "ada" }),
        json!({ "scope": "admin internal wallets dealers", "sub": "ada" }),
        json!({ "profile_id": 1, "sub": "ada" }),
        json!({ "wallet_client_id": 1, "sub": "admin" }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in &claims {
            let answer = row.request(&waiting).send_as(&fixture, claims).await?;
            answer
                .expect_problem(403, "denied")
                .with_context(|| format!("{} with {claims}", row.route))?;
        }
    }
    before.still(&fixture).await
}
