//! What the story claims, checked as it goes.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::progress::say;

/// How long something may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(100);

/// The claims so far.
#[derive(Default)]
pub(super) struct Checks {
    kept: u32,
    broken: Vec<String>,
}

impl Checks {
    /// Tells a claim and whether it holds.
    pub(super) fn that(&mut self, claim: &str, holds: bool) {
        if holds {
            self.kept += 1;
            say(format_args!("   ✓ {claim}"));
        } else {
            self.broken.push(claim.to_owned());
            say(format_args!("   ✗ {claim}"));
        }
    }

    /// Tells how it ended; true when every claim held.
    pub(super) fn conclude(self, took: &str) -> bool {
        if self.broken.is_empty() {
            say(format_args!("\nAll {} checks hold ({took}).", self.kept));
            return true;
        }
        say(format_args!(
            "\n{} of {} checks do not hold:",
            self.broken.len(),
            self.broken.len() + usize::try_from(self.kept).unwrap_or_default()
        ));
        for claim in &self.broken {
            say(format_args!("  ✗ {claim}"));
        }
        false
    }
}

/// Waits until a condition holds; false when it doesn't in time.
pub(super) async fn until<F, C>(condition: C) -> bool
where
    C: Fn() -> F,
    F: Future<Output = bool>,
{
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if condition().await {
            return true;
        }
        tokio::time::sleep(GLANCE).await;
    }
    false
}

/// Status and signed amount of a profile's flows, in their order.
pub(super) async fn money_flows(database_url: &str, profile_id: i64) -> anyhow::Result<Vec<(String, i64)>> {
    let mut database = PgConnection::connect(database_url).await?;
    let rows = sqlx::query_as(
        "SELECT status, amount_cents FROM trading_money_flow WHERE profile_id = $1 ORDER BY id",
    )
    .bind(profile_id)
    .fetch_all(&mut database)
    .await?;
    database.close().await?;
    Ok(rows)
}

/// Whether two JSON numbers are the same, however they are written.
pub(super) fn same_number(left: &Value, right: &Value) -> bool {
    let read = |value: &Value| value.to_string().trim_matches('"').parse::<Decimal>().ok();
    read(left).is_some() && read(left) == read(right)
}

/// Words of a JSON list with arrows between.
pub(super) fn joined(words: &[Value]) -> String {
    words
        .iter()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(" → ")
}
