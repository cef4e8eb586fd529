//! What the app asks for of a collection.

use domain::currency::Currency;
use domain::ids::{CollectionId, TradingAccountId};
use domain::money::Money;
use domain::trading::collection::order::{Delta, Percent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::collection::SymbolWeightRequest;

/// What the holdings of a collection should look like: by how much they change, and by which weights. At most one of the
/// two amounts; without either, what is held gets the weights.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconfigureRequest {
    /// What it should consist of, in sum 1 ± 0.01; an empty list is none given. Then it keeps the weights that were last
    /// given, or gets those that are recommended when it is carried out.
    #[schema(max_items = 500)]
    pub weights: Option<Vec<SymbolWeightRequest>>,
    /// Cents to put in, above zero, or to take out, below zero.
    #[schema(examples(50_000))]
    pub absolute_amount_delta_cents: Option<i64>,
    /// Percent of the cash to put in, above zero, or of what is held to take out, below zero: -100 sells all of it.
    #[schema(minimum = -100, maximum = 100)]
    pub relative_amount_delta_percent: Option<i64>,
    /// The trading account; the caller's own, which is only one, unless given.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub account_id: Option<TradingAccountId>,
}

/// The same for one collection, as it is kept under its key.
#[derive(Debug, Serialize)]
pub(super) struct KeyedReconfigure<'a> {
    pub(super) collection_id: CollectionId,
    pub(super) request: &'a ReconfigureRequest,
}

impl ReconfigureRequest {
    /// The weights, if some are given.
    pub(super) fn weights(&self) -> Option<&[SymbolWeightRequest]> {
        self.weights.as_deref().filter(|weights| !weights.is_empty())
    }

    /// The field that says how much it takes.
    pub(super) fn figure(&self) -> &'static str {
        if self.absolute_amount_delta_cents.is_some() {
            "absolute_amount_delta_cents"
        } else if self.relative_amount_delta_percent.is_some() {
            "relative_amount_delta_percent"
        } else {
            "weights"
        }
    }

    /// By how much it changes what is held.
    ///
    /// # Errors
    /// Rejected for both amounts, for none without weights, and for one that is none.
    pub(super) fn delta(&self) -> Result<Delta, Error> {
        let refused = |field, message| Err(Error::InvalidOrder { field, message });
        match (
            self.absolute_amount_delta_cents,
            self.relative_amount_delta_percent,
        ) {
            (Some(_), Some(_)) => refused(
                "relative_amount_delta_percent",
                "can't be given together with absolute_amount_delta_cents",
            ),
            (Some(0), None) => refused("absolute_amount_delta_cents", "has to be other than 0"),
            (Some(cents), None) => Ok(Delta::Amount(Money::new(cents, Currency::USD))),
            (None, Some(percent)) => match Percent::try_from(percent) {
                Ok(percent) => Ok(Delta::Relative(percent)),
                Err(_) => refused(
                    "relative_amount_delta_percent",
                    "has to be from -100 to 100, and not 0",
                ),
            },
            (None, None) if self.weights().is_some() => Ok(Delta::Reweight),
            (None, None) => refused("weights", "are needed where no amount is given"),
        }
    }
}
