//! What the app shows of a profile's trading.

use chrono::{DateTime, Utc};
use domain::ids::TradingAccountId;
use domain::money::Money;
use domain::trading::account::BuyingSuspension;
use domain::trading::collection::order::{Delta, Percent, investable};
use platform::error::PlatformError;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::ProfileRow;
use crate::Error;

/// A profile's trading at a glance. Amounts are cents of `currency`; those that the broker hasn't reported yet are null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TradingProfileView {
    /// The trading account.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// Its name.
    pub name: String,
    /// `pending`, `open`, `open_no_new_trades`, `frozen` or `closed`.
    pub account_status: String,
    /// When the account was opened (RFC 3339, UTC).
    pub opened_at: Option<DateTime<Utc>>,
    /// State of the identity check; null before it begins.
    pub kyc_status: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// Value of cash and holdings.
    pub equity_cents: Option<i64>,
    /// Cash of the account.
    pub cash_cents: Option<i64>,
    /// Deposits on their way.
    pub pending_cash_cents: i64,
    /// Withdrawals on their way.
    pub pending_withdrawals_cents: i64,
    /// Orders of collections that haven't ended.
    #[schema(minimum = 0)]
    pub pending_orders: i64,
    /// What an order may put in: cash, less withdrawals on their way, what is owed in commissions, and what orders that
    /// haven't ended will take; never below zero. A deposit counts once it has arrived.
    pub buying_power_cents: Option<i64>,
    /// What can be withdrawn: cash available for it, less withdrawals on their way; never below zero.
    pub withdrawable_cash_cents: Option<i64>,
    /// When the broker reported the balances (RFC 3339, UTC).
    pub balances_as_of: Option<DateTime<Utc>>,
    /// Whether deposits are suspended.
    pub deposits_suspended: bool,
    /// Why they are suspended.
    pub deposits_suspended_reason: Option<String>,
    /// Since when nothing can be bought (RFC 3339, UTC); null when buying is possible. Selling and withdrawing always are.
    pub buying_suspended_since: Option<DateTime<Utc>>,
    /// Why nothing can be bought: `returned-deposit` (the bank took a deposit back; also when commissions are owed besides) or
    /// `commissions-owed`.
    #[schema(value_type = Option<String>)]
    pub buying_suspended_reason: Option<BuyingSuspension>,
}

impl TryFrom<ProfileRow> for TradingProfileView {
    type Error = Error;

    fn try_from(row: ProfileRow) -> Result<Self, Error> {
        let amount = |cents| Money::new(cents, row.currency);
        let pending_withdrawals = amount(row.pending_withdrawals_cents);
        let promised = pending_withdrawals.checked_add(amount(row.owed_cents))?;
        let pending_buys = pending_buys(&row)?;
        let buying_power = row
            .cash_cents
            .map(|cash| investable(amount(cash), promised, &pending_buys));
        let withdrawable = row
            .cash_available_for_withdrawal_cents
            .map(|cash| amount(cash).checked_sub(pending_withdrawals));
        Ok(Self {
            trading_account_id: row.trading_account_id,
            name: row.name,
            account_status: row.status,
            opened_at: row.opened_at,
            kyc_status: row.kyc_status,
            currency: row.currency.code().to_owned(),
            equity_cents: row.equity_cents,
            cash_cents: row.cash_cents,
            pending_cash_cents: row.pending_deposits_cents,
            pending_withdrawals_cents: row.pending_withdrawals_cents,
            pending_orders: row.pending_orders,
            buying_power_cents: buying_power.transpose()?.map(cents_from_zero),
            withdrawable_cash_cents: withdrawable.transpose()?.map(cents_from_zero),
            balances_as_of: row.balances_as_of,
            deposits_suspended: row.deposits_suspended_reason.is_some(),
            deposits_suspended_reason: row.deposits_suspended_reason,
            buying_suspended_since: row.deposits_suspended_at.into_iter().chain(row.owing_since).min(),
            buying_suspended_reason: BuyingSuspension::of(
                row.deposits_suspended_at.is_some(),
                row.owing_since.is_some(),
            ),
        })
    }
}

/// What orders that haven't ended will put in, by id.
fn pending_buys(row: &ProfileRow) -> Result<Vec<Delta>, Error> {
    let buys = row.pending_buys_cents.iter().zip(&row.pending_buys_percent);
    buys.map(|(cents, percent)| match (cents, percent) {
        (Some(cents), _) => Ok(Delta::Amount(Money::new(*cents, row.currency))),
        (None, percent) => {
            let percent = Percent::try_from(percent.unwrap_or_default());
            let stored = "trading_collection_versions.target_percent";
            Ok(Delta::Relative(
                percent.map_err(|_| PlatformError::Stored(stored))?,
            ))
        }
    })
    .collect()
}

/// The amount in cents; zero where it is below.
fn cents_from_zero(amount: Money) -> i64 {
    amount.minor().max(0)
}

#[cfg(test)]
mod tests {
    use domain::currency::Currency;

    use super::*;

    fn row() -> ProfileRow {
        ProfileRow {
            trading_account_id: TradingAccountId::new(1).unwrap(),
            name: "Trading".to_owned(),
            currency: Currency::USD,
            status: "open".to_owned(),
            opened_at: None,
            kyc_status: None,
            cash_cents: Some(10_000),
            cash_available_for_withdrawal_cents: Some(4_000),
            equity_cents: Some(12_000),
            balances_as_of: None,
            pending_deposits_cents: 2_500,
            pending_withdrawals_cents: 1_500,
            deposits_suspended_at: None,
            deposits_suspended_reason: None,
            owing_since: None,
            owed_cents: 500,
            pending_orders: 3,
            pending_buys_cents: vec![Some(2_000), None],
            pending_buys_percent: vec![None, Some(50)],
        }
    }

    #[test]
    fn buying_power_is_what_nothing_else_takes() {
        let view = TradingProfileView::try_from(row()).unwrap();
        // 100.00 - 15.00 - 5.00 - 20.00, of which an order takes the half.
        assert_eq!(view.buying_power_cents, Some(3_000));
        assert_eq!(view.withdrawable_cash_cents, Some(2_500));
    }

    #[test]
    fn amounts_are_never_below_zero_and_null_until_the_broker_reports_them() {
        let view = TradingProfileView::try_from(ProfileRow {
            cash_cents: None,
            pending_withdrawals_cents: 4_001,
            ..row()
        })
        .unwrap();
        assert_eq!(view.buying_power_cents, None);
        assert_eq!(view.withdrawable_cash_cents, Some(0));
    }

    #[test]
    fn buying_is_suspended_by_a_returned_deposit_and_by_what_is_owed() {
        let at = |text: &str| Some(text.parse().unwrap());
        let (early, late) = (at("2026-03-02T15:00:00Z"), at("2026-03-09T15:00:00Z"));
        for (deposits_suspended_at, owing_since, since, reason) in [
            (None, None, None, None),
            (late, None, late, Some(BuyingSuspension::ReturnedDeposit)),
            (None, late, late, Some(BuyingSuspension::CommissionsOwed)),
            (late, early, early, Some(BuyingSuspension::ReturnedDeposit)),
            (early, late, early, Some(BuyingSuspension::ReturnedDeposit)),
        ] {
            let view = TradingProfileView::try_from(ProfileRow {
                deposits_suspended_at,
                owing_since,
                ..row()
            })
            .unwrap();
            assert_eq!(
                (view.buying_suspended_since, view.buying_suspended_reason),
                (since, reason)
            );
        }
    }
}
