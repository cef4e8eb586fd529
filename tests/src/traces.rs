//! What a request could leave behind, and the template's routes, for tests that go through all of them.

use anyhow::ensure;
use local_cloud::template::{Event, HttpRoute};

use crate::{Fixture, Result};

/// Everything that a request could have written or caused so far, as counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    rows: Vec<(String, i64)>,
    items: i32,
    calls: Vec<(String, String)>,
}

const ROWS: &str = "SELECT 'idempotency_keys', count(*) FROM idempotency_keys \
     UNION ALL SELECT 'inbox_events', count(*) FROM inbox_events \
     UNION ALL SELECT 'outbox_messages', count(*) FROM outbox_messages \
     UNION ALL SELECT 'trading_money_flow', count(*) FROM trading_money_flow \
     UNION ALL SELECT 'drivewealth_deposits', count(*) FROM drivewealth_deposits \
     UNION ALL SELECT 'drivewealth_redemptions', count(*) FROM drivewealth_redemptions \
     UNION ALL SELECT 'trading_account_balances', count(*) FROM trading_account_balances \
     UNION ALL SELECT 'profiles', count(*) FROM profiles \
     UNION ALL SELECT 'kyc_forms', count(*) FROM kyc_forms \
     UNION ALL SELECT 'bank_accounts', count(*) FROM bank_accounts \
     UNION ALL SELECT 'plaid_public_tokens', count(*) FROM plaid_public_tokens \
     UNION ALL SELECT 'kyc_documents', count(*) FROM kyc_documents \
     UNION ALL SELECT 'phone_verifications', count(*) FROM phone_verifications \
     UNION ALL SELECT 'collections', count(*) FROM collections \
     UNION ALL SELECT 'collection_weights', count(*) FROM collection_weights \
     UNION ALL SELECT 'trading_collection_versions', count(*) FROM trading_collection_versions \
     UNION ALL SELECT 'collection versions that wait', count(*) FROM trading_collection_versions \
         WHERE status = 'pending' \
     UNION ALL SELECT 'statements', count(*) FROM statements \
     UNION ALL SELECT 'drivewealth_autopilot_runs', count(*) FROM drivewealth_autopilot_runs \
     UNION ALL SELECT 'clients', count(*) FROM clients \
     UNION ALL SELECT 'client_names', count(*) FROM client_names \
     UNION ALL SELECT 'wallets', count(*) FROM wallets \
     UNION ALL SELECT 'balances', (COALESCE(sum(balance), 0) % 9223372036854775807)::BIGINT FROM wallets \
     UNION ALL SELECT 'payments', count(*) FROM payments \
     UNION ALL SELECT 'withdrawals that wait', count(*) FROM payments WHERE payment_status = 1 \
     UNION ALL SELECT 'payment_requests', count(*) FROM payment_requests \
     UNION ALL SELECT 'batch_requests', count(*) FROM batch_requests \
     UNION ALL SELECT 'exchange_rates', count(*) FROM exchange_rates \
     UNION ALL SELECT 'held_exchange_rates', count(*) FROM held_exchange_rates \
     UNION ALL SELECT 'stripe_customers', count(*) FROM stripe_customers \
     UNION ALL SELECT 'checkout_sessions', count(*) FROM checkout_sessions \
     UNION ALL SELECT 'payment_methods', count(*) FROM payment_methods \
     UNION ALL SELECT 'payment_methods, last chosen', COALESCE((extract(epoch FROM max(set_active_at)) * 1000000)::BIGINT, 0) \
         FROM payment_methods \
     UNION ALL SELECT 'payment_methods that are deleted', count(*) FROM payment_methods WHERE deleted_at IS NOT NULL \
     UNION ALL SELECT 'invoices', count(*) FROM invoices \
     UNION ALL SELECT 'invoices that are open', count(*) FROM invoices WHERE status = 'open' \
     UNION ALL SELECT 'invoice_payments', count(*) FROM invoice_payments \
     UNION ALL SELECT 'billing_suspensions', count(*) FROM billing_suspensions \
     UNION ALL SELECT 'tiers', count(*) FROM tiers \
     UNION ALL SELECT 'tiers, last put', COALESCE((extract(epoch FROM max(updated_at)) * 1000000)::BIGINT, 0) FROM tiers \
     UNION ALL SELECT 'funded_accounts', count(*) FROM funded_accounts \
     UNION ALL SELECT 'funded_accounts that are closed', count(*) FROM funded_accounts WHERE status = 'closed' \
     UNION ALL SELECT 'funded_account_restorations', count(*) FROM funded_account_restorations \
     UNION ALL SELECT 'dealers', count(*) FROM dealers \
     UNION ALL SELECT 'versions of requisites', COALESCE(sum(requisite_version), 0) FROM dealers \
     UNION ALL SELECT 'dealer_accounts', count(*) FROM dealer_accounts \
     UNION ALL SELECT 'bills', count(*) FROM bills \
     UNION ALL SELECT 'bills that are voided', count(*) FROM bills WHERE voided_at IS NOT NULL \
     UNION ALL SELECT 'dealer_payments', count(*) FROM dealer_payments \
     UNION ALL SELECT 'review_history', count(*) FROM review_history \
     UNION ALL SELECT 'admin_audit', count(*) FROM admin_audit \
     UNION ALL SELECT 'billing_discrepancies', count(*) FROM billing_discrepancies ORDER BY 1";

impl Traces {
    /// What there is now, once no event waits any more.
    ///
    /// # Errors
    /// When a backend doesn't answer.
    pub async fn take(fixture: &Fixture) -> Result<Self> {
        for queue in [
            "drivewealth-events",
            "domain-events",
            "portfolio-changes.fifo",
            "collection-versions.fifo",
        ] {
            fixture.queue_reaches(queue, 0).await?;
        }
        let rows = sqlx::query_as(ROWS).fetch_all(fixture.database.pool()).await?;
        let table = fixture.cloud.table("notifications")?;
        let scan = fixture.cloud.dynamodb().scan().table_name(table).send().await?;
        // Whoever looks at what they hold themselves has it fetched.
        let is_look = |path: &str| {
            ["/portfolio", "/summary/money"]
                .iter()
                .any(|end| path.ends_with(end))
                || path.contains("/statements/")
        };
        let drivewealth = fixture.cloud.drivewealth().calls().into_iter();
        let drivewealth = drivewealth.filter(|call| call.method != "GET" || !is_look(&call.path));
        let plaid = fixture.cloud.plaid().calls();
        // Asking Stripe for what it has changes nothing there.
        let stripe = fixture.cloud.stripe().calls();
        let stripe = stripe.into_iter().filter(|call| call.method != "GET");
        let calls = drivewealth.chain(plaid).chain(stripe);
        Ok(Self {
            rows,
            items: scan.count,
            calls: calls.map(|call| (call.method, call.path)).collect(),
        })
    }

    /// Fails unless nothing has come since.
    ///
    /// # Errors
    /// With what has come.
    pub async fn still(&self, fixture: &Fixture) -> Result {
        let now = Self::take(fixture).await?;
        let more = now.calls.get(self.calls.len()..).unwrap_or_default();
        ensure!(
            now == *self,
            "something was left behind: rows {:?} instead of {:?}, {} items instead of {}, calls {more:?}",
            now.rows,
            self.rows,
            now.items,
            self.items
        );
        Ok(())
    }
}

/// The template's routes with the function behind each, as `METHOD /path`.
pub fn routes(fixture: &Fixture) -> Vec<(String, String, HttpRoute)> {
    let mut routes = Vec::new();
    for function in &fixture.cloud.template().functions {
        for event in &function.events {
            if let Event::Http(route) = event {
                let name = format!("{} {}", route.method, route.path);
                routes.push((name, function.binary.clone(), route.clone()));
            }
        }
    }
    routes.sort_by(|(left, ..), (right, ..)| left.cmp(right));
    routes
}

/// Fails when a function has crashed, panicked or timed out so far.
///
/// # Errors
/// With the lines that say so.
pub async fn no_function_has_died(fixture: &Fixture) -> Result {
    let status = fixture.api(None)?.get("/local/status").await?.expect(200)?;
    for function in status.body["functions"].as_array().into_iter().flatten() {
        let name = function["name"].as_str().unwrap_or_default();
        let lines = fixture.cloud.logs(name);
        let bad = lines.iter().filter(|line| {
            line.contains(r#""outcome":"error""#)
                || line.contains("panicked")
                || line.contains("the deadline passed")
        });
        let bad: Vec<&String> = bad.collect();
        // Only the newest lines are kept, the count goes back to the start.
        ensure!(bad.is_empty() && function["errors"] == 0, "{function}: {bad:#?}");
    }
    Ok(())
}
