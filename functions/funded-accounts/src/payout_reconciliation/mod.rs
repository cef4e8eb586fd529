//! `reconcile_payouts`, every day: each completed withdrawal has exactly one transfer that wasn't taken back and one payout, of
//! its amount, and everything that Stripe has sent belongs to one. A payout that has come back, of which the event was lost, is
//! recorded so. What else differs waits for a person; nothing is changed.

mod compare;
mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{StripeAccountId, StripePayoutId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::outcome::Outcome;
use providers::stripe::connect::Payout;
use serde::Serialize;

use crate::processor::{Processor, STRIPE};
use crate::{Error, payment, review};
use compare::compare;
use store::Expected;

/// How far back it looks: longer than a payout can come back, and a review may take.
const LOOKS_BACK: TimeDelta = TimeDelta::days(45);
/// Of how long Stripe is asked at once: its lists are read to a limit.
const WINDOW: TimeDelta = TimeDelta::days(1);
/// Payouts of which a run records that they have come back; the rest are differences, and the next run's.
const MAX_RETURNED: usize = 100;

/// The report of a run.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Withdrawals that were compared.
    pub withdrawals: usize,
    /// Transfers that Stripe has.
    pub transfers: usize,
    /// Payouts that Stripe has.
    pub payouts: usize,
    /// Payouts that had come back, and of which no event had told.
    pub returned: usize,
    /// What differs.
    pub differences: usize,
}

/// Compares withdrawals with Stripe.
#[derive(Debug)]
pub struct PayoutReconciliation {
    database: Database,
    processor: Processor,
    clock: ClockHandle,
}

platform::from_environment!(PayoutReconciliation {
    database,
    processor,
    clock,
});

impl PayoutReconciliation {
    /// Compares what was sent within the last weeks.
    ///
    /// # Errors
    /// When the database or Stripe can't be reached; the next run makes up for it.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let now = self.clock.now();
        let since = now - LOOKS_BACK;
        // Stripe first: what is sent meanwhile isn't missed here, but there.
        let connected = self.processor.connect().await?;
        let mut transfers = Vec::new();
        let mut from = since;
        while from <= now {
            let until = from + WINDOW;
            let of_window = connected
                .client
                .transfers_between(from, until, deadline.instant());
            transfers.extend(of_window.await.done(STRIPE)?);
            from = until;
        }
        let accounts: BTreeSet<StripeAccountId> = transfers
            .iter()
            .filter_map(|transfer| transfer.destination.clone())
            .collect();
        let mut payouts: Vec<(StripeAccountId, Payout)> = Vec::new();
        for account in accounts {
            let theirs = connected.client.on_behalf_of(&account);
            match theirs.payouts_since(since, deadline.instant()).await {
                // One that isn't connected any more shows nothing, and holds nobody else up.
                Outcome::Declined(decline) => {
                    tracing::warn!(%account, code = decline.code, "an account shows no payouts")
                }
                other => payouts.extend(
                    other
                        .done(STRIPE)?
                        .into_iter()
                        .map(|payout| (account.clone(), payout)),
                ),
            }
        }
        let of_transfers = transfers.iter().filter_map(|transfer| transfer.withdrawal);
        let of_payouts = payouts.iter().filter_map(|(_, payout)| payout.withdrawal);
        let named: Vec<i64> = of_transfers.chain(of_payouts).map(|id| id.get()).collect();
        let mut expected = self.expected(since, &named).await?;
        let returned = came_back(&expected, &payouts);
        if !returned.is_empty() {
            self.record(&returned, now).await?;
            expected = self.expected(since, &named).await?;
        }
        let found = compare(&expected, &transfers, &payouts);
        let report = Report {
            withdrawals: expected.len(),
            transfers: transfers.len(),
            payouts: payouts.len(),
            returned: returned.len(),
            differences: found.len(),
        };
        if !found.is_empty() {
            metrics::count(
                "PayoutDifferences",
                u64::try_from(found.len()).unwrap_or_default(),
            );
            self.database
                .transaction(async |connection| review::discrepancies(connection, found, now).await)
                .await?;
        }
        Ok(report)
    }

    async fn expected(&self, since: DateTime<Utc>, named: &[i64]) -> Result<Vec<Expected>, Error> {
        self.database
            .with(async |connection| store::since(connection, since, named).await)
            .await
    }

    /// Does what the events would have done that were lost. What is published is told by the next who wakes the relay.
    async fn record(&self, returned: &[(StripeAccountId, Payout)], now: DateTime<Utc>) -> Result<(), Error> {
        for (account, payout) in returned {
            let Some(withdrawal) = payout.withdrawal else {
                continue;
            };
            self.database
                .transaction(async |connection| {
                    payment::record_reported(connection, account, withdrawal, payout, now).await
                })
                .await?;
        }
        Ok(())
    }
}

/// The payouts that are recorded as under way or paid, and have come back, some at a time.
fn came_back(expected: &[Expected], payouts: &[(StripeAccountId, Payout)]) -> Vec<(StripeAccountId, Payout)> {
    let recorded: BTreeSet<&StripePayoutId> = expected.iter().filter_map(|one| one.payout.as_ref()).collect();
    payouts
        .iter()
        .filter(|(_, payout)| payout.state.has_come_back() && recorded.contains(&payout.id))
        .take(MAX_RETURNED)
        .cloned()
        .collect()
}
