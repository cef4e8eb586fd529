//! What the end of a run means for its versions.

use std::collections::BTreeMap;

use domain::currency::Currency;
use domain::ids::{CollectionId, CollectionVersionId};
use domain::money::Money;
use domain::trading::collection::execution::{ExpectedTrade, Fill, Planned, executed};
use domain::trading::collection::rebalancing::Uncountable;
use domain::trading::collection::symbol::Symbol;
use providers::drivewealth::Trade;

use super::store::versions::Executing;
use super::targets::KeptTargets;

/// Its run ended badly.
pub(super) const RUN_FAILED: &str = "run-failed";
/// The broker refused a part of what was pushed.
pub(super) const REFUSED_BY_BROKER: &str = "refused-by-broker";
/// The run ended well, but not for this account.
pub(super) const ACCOUNT_ERROR: &str = "account-error";

/// A buy that waited while buying came to be suspended.
pub(super) const BUYING_SUSPENDED: &str = "buying-suspended";
/// The account isn't open any more, or has no portfolio.
pub(super) const ACCOUNT_NOT_OPEN: &str = "trading-account-not-open";

/// How versions end.
#[derive(Debug)]
pub(super) enum End {
    /// They were carried out, with what was traded for each in cents.
    Complete(BTreeMap<CollectionVersionId, i64>),
    /// They weren't.
    Failed {
        /// Why, as a code.
        code: &'static str,
        /// What the broker said.
        reason: String,
    },
}

impl End {
    /// Nothing was traded for any of them.
    pub(super) fn without_trades(versions: &[Executing]) -> Self {
        Self::Complete(versions.iter().map(|version| (version.id, 0)).collect())
    }

    /// What the account's trades come to for each.
    ///
    /// # Errors
    /// When figures are out of range.
    pub(super) fn of_trades(
        targets: &KeptTargets,
        versions: &[Executing],
        trades: &[Trade],
    ) -> Result<Self, Uncountable> {
        let planned: Vec<Planned<CollectionId>> = versions
            .iter()
            .map(|version| Planned {
                id: version.id,
                fund: version.collection_id,
                amount: Money::new(version.planned_amount_cents, Currency::USD),
            })
            .collect();
        // A symbol of another form is no collection's.
        let fills: Vec<Fill> = trades
            .iter()
            .filter_map(|trade| {
                Some(Fill {
                    symbol: Symbol::parse(&trade.symbol).ok()?,
                    amount: trade.amount,
                })
            })
            .collect();
        let amounts = executed(&expected(targets), &fills, &planned)?;
        Ok(Self::Complete(
            amounts
                .into_iter()
                .map(|(id, amount)| (id, amount.minor()))
                .collect(),
        ))
    }
}

fn expected(targets: &KeptTargets) -> Vec<ExpectedTrade<CollectionId>> {
    let touched = targets
        .funds
        .iter()
        .filter_map(|fund| Some((fund.order.as_ref()?, &fund.trades)));
    touched
        .flat_map(|(order, trades)| {
            trades.iter().map(move |trade| ExpectedTrade {
                fund: order.collection_id,
                symbol: trade.symbol.clone(),
                amount: trade.amount,
            })
        })
        .collect()
}
