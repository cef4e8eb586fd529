//! Thousands of traders at once: each like one who has passed an assessment, with a record and a live state.

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::funded::{Trader, next_user};
use crate::{Fixture, Result};

/// Live states that are written at the same time.
const WRITERS: usize = 8;
const RECORDS: &str = "WITH model AS (
        SELECT * FROM funded_accounts WHERE id = $1
    ), people AS (
        INSERT INTO traders (user_id, email, first_name, last_name, country, as_of)
        SELECT next.id, 'trader-' || next.id || '@example.com', 'Ada', 'Byron', 'US', activated_at
        FROM unnest($2::BIGINT[]) AS next (id) CROSS JOIN model RETURNING user_id
    ), passed AS (
        INSERT INTO assessments (id, user_id, tier_id, status, completed_at)
        SELECT 'assessment-' || people.user_id, people.user_id, tier_id, 'passed', activated_at
        FROM people CROSS JOIN model RETURNING id, user_id
    ), accounts AS (
        INSERT INTO funded_accounts (user_id, assessment_id, tier_id, profit_split, rules, status, activated_at)
        SELECT passed.user_id, passed.id, tier_id, profit_split, rules, 'active', activated_at
        FROM passed CROSS JOIN model RETURNING id
    )
    INSERT INTO funded_virtual_accounts
      (funded_account_id, starting_balance_cents, current_balance_cents, peak_balance_cents, realized_pnl_cents,
       unrealized_pnl_cents, epoch, sequence, live_version, evaluations, updated_at)
    SELECT accounts.id, starting_balance_cents, current_balance_cents, peak_balance_cents, realized_pnl_cents,
           unrealized_pnl_cents, epoch, sequence, live_version, evaluations, updated_at
    FROM accounts CROSS JOIN funded_virtual_accounts WHERE funded_account_id = $1";
const ACCOUNTS: &str = "SELECT user_id, id FROM funded_accounts WHERE user_id = ANY ($1) ORDER BY id";

impl Fixture {
    /// So many more traders whose accounts stand as `model`'s does, of which everything is recorded; gives their users and
    /// accounts, by the accounts' ids.
    ///
    /// # Errors
    /// When they can't be made.
    pub async fn traders_like(&self, model: &Trader, count: usize) -> Result<Vec<(i64, i64)>> {
        let users: Vec<i64> = (0..count).map(|_| next_user()).collect();
        let records = sqlx::query(RECORDS).bind(model.account).bind(&users);
        records.execute(self.database.pool()).await?;
        let made: Vec<(i64, i64)> = sqlx::query_as(ACCOUNTS)
            .bind(&users)
            .fetch_all(self.database.pool())
            .await?;
        let (table, dynamodb) = (self.cloud.table("funded-accounts")?, self.cloud.dynamodb());
        let key = AttributeValue::S(model.account.to_string());
        let live = dynamodb
            .get_item()
            .table_name(&table)
            .key("pk", key)
            .send()
            .await?;
        let live = live.item.context("the model has no live state")?;
        let puts = made.iter().map(|(_, account)| {
            let id = account.to_string();
            let put = dynamodb
                .put_item()
                .table_name(&table)
                .set_item(Some(live.clone()));
            put.item("pk", AttributeValue::S(id.clone()))
                .item("funded_account_id", AttributeValue::N(id))
                .send()
        });
        let written = stream::iter(puts).buffer_unordered(WRITERS);
        written.try_for_each(async |_| Ok(())).await?;
        Ok(made)
    }

    /// One of the traders whose accounts were made so.
    ///
    /// # Errors
    /// When there is no token.
    pub fn trader_with(&self, (user_id, account): (i64, i64)) -> Result<Trader> {
        Ok(Trader {
            user_id,
            api: self.api(Some(json!({ "user_id": user_id })))?,
            account,
            withdrawal: 0,
        })
    }
}
