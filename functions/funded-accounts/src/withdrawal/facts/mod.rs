//! What a withdrawal is judged by: the account and its other withdrawals from PostgreSQL, what is open from the live state.

mod store;

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::payee::reason_against_bank;
use domain::funded::withdrawal::{Facts, NotAllowed, best_day_share, winning_days};
use domain::ids::FundedAccountId;
use sqlx::PgConnection;

use crate::Error;
use crate::live::store::LiveAccount;
pub(crate) use store::{Terms, terms};

/// What of an account's state counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveFacts {
    pub(crate) is_active: bool,
    /// None when that isn't known.
    pub(crate) open_positions: Option<usize>,
    pub(crate) balance_cents: i64,
    pub(crate) at: DateTime<Utc>,
}

impl From<&LiveAccount> for LiveFacts {
    fn from(account: &LiveAccount) -> Self {
        let state = &account.live.state;
        Self {
            is_active: account.live.status() == FundedAccountStatus::Active,
            open_positions: state.positions.as_ref().map(Vec::len),
            balance_cents: state.current_balance_cents,
            at: state.at,
        }
    }
}

/// What is true of the account now.
pub(crate) async fn facts(
    connection: &mut PgConnection,
    account: FundedAccountId,
    terms: &Terms,
    live: &LiveFacts,
) -> Result<Facts, Error> {
    let rules = &terms.thresholds.0;
    let cycle = rules
        .payout_cycle_days
        .map(|days| TimeDelta::days(i64::from(days)));
    let last = terms.last_requested_at.unwrap_or(terms.activated_at);
    let profits = store::profits(connection, account, terms, last).await?;
    let of_days = rules.min_winning_days.map(|needed| {
        let least = rules.winning_day_min_profit_cents.unwrap_or(1);
        (winning_days(&profits, least), needed)
    });
    let best = best_day_share(&profits).zip(rules.max_best_day_share);
    Ok(Facts {
        is_active: live.is_active && terms.status == FundedAccountStatus::Active,
        open_positions: live.open_positions,
        live_at: live.at,
        profit_split: terms.profit_split,
        current_balance_cents: live.balance_cents,
        starting_balance_cents: rules.starting_balance_cents,
        used_up_cents: terms.used_up_cents,
        cap_cents: rules.payout_cap_cents,
        earliest: cycle.and_then(|cycle| last.checked_add_signed(cycle)),
        winning_days: of_days,
        best_day: best,
        is_payee_ready: terms.is_payee_ready,
    })
}

impl Terms {
    /// Why the withdrawal isn't sent to the trader's present bank account.
    pub(crate) fn reason_against_bank(&self) -> Option<NotAllowed> {
        reason_against_bank(self.bank.as_ref(), self.judged_bank.as_ref(), self.is_bank_known)
    }

    /// What the record says, for whoever can't ask the live state: nothing is open there.
    pub(crate) fn recorded(&self, now: DateTime<Utc>) -> LiveFacts {
        LiveFacts {
            is_active: self.status == FundedAccountStatus::Active,
            open_positions: Some(0),
            balance_cents: self.recorded_balance_cents,
            at: now,
        }
    }
}
