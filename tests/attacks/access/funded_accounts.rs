//! The routes of funded accounts: traders for what is theirs, services with scope `internal` for tiers, and administrators.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::funded::{TIER, Trader, flat, tier};
use end_to_end::withdrawals::PAYS;
use end_to_end::{
    Fixture, Result, Scenario, ensure_eq, scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use serde_json::{Value, json};

use crate::{Request, path_of};

/// Whom a route lets through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Services; the gateway stops all others.
    Services,
    /// Traders and services; it shows what is nobody's.
    TradersAndServices,
    /// Traders; it shows the caller's own.
    Traders,
    /// The trader of the account.
    TheTrader,
    /// Administrators.
    Administrators,
}

pub(crate) struct Row {
    pub(crate) route: &'static str,
    who: Who,
    body: Option<fn() -> Value>,
}

/// Every route of funded accounts has its row here; a test says which is missing.
pub(crate) const ROWS: &[Row] = &[
    Row {
        route: "PUT /tiers/{tier_id}",
        who: Who::Services,
        body: Some(tier),
    },
    Row {
        route: "GET /tiers",
        who: Who::TradersAndServices,
        body: None,
    },
    Row {
        route: "GET /funded-accounts",
        who: Who::Traders,
        body: None,
    },
    Row {
        route: "GET /funded-accounts/{funded_account_id}",
        who: Who::TheTrader,
        body: None,
    },
    Row {
        route: "GET /funded-accounts/{funded_account_id}/equity",
        who: Who::TheTrader,
        body: None,
    },
    Row {
        route: "GET /payout-account",
        who: Who::Traders,
        body: None,
    },
    Row {
        route: "POST /payout-account/link",
        who: Who::Traders,
        body: Some(|| json!({})),
    },
    Row {
        route: "POST /funded-accounts/{funded_account_id}/withdraw",
        who: Who::TheTrader,
        body: Some(|| json!({ "amount_cents": 10_000 })),
    },
    Row {
        route: "GET /funded-accounts/{funded_account_id}/withdrawals",
        who: Who::TheTrader,
        body: None,
    },
    Row {
        route: "POST /withdrawals/{withdrawal_id}/cancel",
        who: Who::TheTrader,
        body: Some(|| json!({})),
    },
    Row {
        route: "GET /admin/withdrawals/pending",
        who: Who::Administrators,
        body: None,
    },
    Row {
        route: "POST /admin/withdrawals/{withdrawal_id}/approve",
        who: Who::Administrators,
        body: Some(|| json!({})),
    },
    Row {
        route: "POST /admin/withdrawals/{withdrawal_id}/reject",
        who: Who::Administrators,
        body: Some(|| json!({ "reason": "access" })),
    },
    Row {
        route: "POST /admin/funded-accounts/{funded_account_id}/restore",
        who: Who::Administrators,
        body: Some(|| json!({ "reason": "A price of another symbol" })),
    },
];

/// Whether a route is one of services alone.
pub(crate) fn is_of_services(route: &str) -> bool {
    ROWS.iter()
        .any(|row| row.route == route && row.who == Who::Services)
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(tiers_are_put_by_services_alone),
        alone(permitted_callers_get_through_to_funded_accounts),
        alone(callers_without_the_claim_are_forbidden_funded_accounts),
        alone(another_traders_account_is_not_found),
    ]
}

/// A trader with a withdrawal, whose account a rule has closed.
pub(crate) async fn owner(fixture: &Fixture) -> Result<Trader> {
    let mut trader = fixture.trader_with_profit(100_000, PAYS).await?;
    trader.withdrawal = trader.withdrawal(10_000).await?;
    fixture.engine_says(&[flat(trader.account, 2, 100)]).await?;
    trader
        .is_recorded("the record is closed", |record| record["status"] == "closed")
        .await?;
    // That the account is closed, and the withdrawal rejected: what comes later would look like somebody else's trace.
    trader.is_mailed(fixture, 2).await?;
    Ok(trader)
}

impl Row {
    /// A call of the route, for what belongs to `owner`.
    pub(crate) fn request(&self, owner: &Trader) -> Request {
        let path = path_of(self.route)
            .replace("{tier_id}", TIER)
            .replace("{funded_account_id}", &owner.account.to_string())
            .replace("{withdrawal_id}", &owner.withdrawal.to_string());
        Request {
            route: self.route,
            path,
            body: self.body.map(|body| body()),
        }
    }

    fn callers(&self, owner: &Trader) -> Vec<Value> {
        let trader = json!({ "user_id": owner.user_id });
        let service = json!({ "scope": "wallets internal" });
        match self.who {
            Who::Services => vec![service],
            Who::TradersAndServices => vec![trader, service],
            Who::Traders | Who::TheTrader => vec![trader],
            Who::Administrators => vec![json!({ "groups": ["support", "admin"], "sub": "ada" })],
        }
    }
}

async fn tiers_are_put_by_services_alone(fixture: Arc<Fixture>) -> Result {
    for (name, _, route) in routes(&fixture) {
        let row = ROWS.iter().find(|row| row.route == name);
        let Some(row) = row else { continue };
        let expected: &[&str] = match row.who {
            Who::Services => &["internal"],
            _ => &[],
        };
        ensure_eq!(route.scopes, expected, "{name}");
    }
    Ok(())
}

async fn permitted_callers_get_through_to_funded_accounts(fixture: Arc<Fixture>) -> Result {
    let owner = owner(&fixture).await?;
    for row in ROWS {
        for claims in row.callers(&owner) {
            let answer = row.request(&owner).send_as(&fixture, &claims).await?;
            // Of a closed account nothing can be withdrawn, nor called back.
            let is_closed = answer.status == 409 && row.route.contains("withdraw");
            let passes = [200, 201].contains(&answer.status) || is_closed;
            ensure!(
                passes,
                "{} with {claims}: {} {}",
                row.route,
                answer.status,
                answer.text
            );
        }
    }
    no_function_has_died(&fixture).await
}

async fn callers_without_the_claim_are_forbidden_funded_accounts(fixture: Arc<Fixture>) -> Result {
    let owner = owner(&fixture).await?;
    let strangers = [
        json!({ "sub": "nobody" }),
        json!({ "profile_id": owner.user_id, "wallet_client_id": owner.user_id, "scope": "wallets dealers" }),
        json!({ "user_id": "trader", "groups": ["administrators"] }),
    ];
    let before = Traces::take(&fixture).await?;
    for row in ROWS {
        for claims in &strangers {
            let answer = row.request(&owner).send_as(&fixture, claims).await?;
            ensure_eq!(answer.status, 403, "{} with {claims}: {}", row.route, answer.text);
        }
        // What one is allowed says nothing of the other.
        let others = match row.who {
            Who::Traders | Who::TheTrader => json!({ "groups": ["admin"], "scope": "internal" }),
            Who::Administrators => json!({ "user_id": owner.user_id, "scope": "internal" }),
            Who::Services => json!({ "user_id": owner.user_id, "groups": ["admin"] }),
            Who::TradersAndServices => continue,
        };
        let answer = row.request(&owner).send_as(&fixture, &others).await?;
        ensure_eq!(answer.status, 403, "{} with {others}: {}", row.route, answer.text);
    }
    before.still(&fixture).await
}

async fn another_traders_account_is_not_found(fixture: Arc<Fixture>) -> Result {
    let owner = owner(&fixture).await?;
    let stranger = fixture.trader().await?;
    let claims = json!({ "user_id": stranger.user_id });
    for row in ROWS.iter().filter(|row| row.who == Who::TheTrader) {
        let others = row.request(&owner).send_as(&fixture, &claims).await?;
        let none = Trader {
            account: 999_999_999,
            withdrawal: 999_999_999,
            ..owner.clone()
        };
        let none = row.request(&none).send_as(&fixture, &claims).await?;
        let code = match row.route.contains("{withdrawal_id}") {
            true => "withdrawal-not-found",
            false => "funded-account-not-found",
        };
        let others = others.expect_problem(404, code)?;
        ensure_eq!(others.text, none.text, "{}: as if it weren't there", row.route);
    }
    let list = stranger.api.get("/funded-accounts").await?.expect(200)?;
    let hidden = format!("\"id\":{},", owner.account);
    ensure!(!list.text.contains(&hidden), "{}", list.text);
    Ok(())
}
