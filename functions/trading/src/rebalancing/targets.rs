//! The targets of a run as they are kept: everything that is pushed, so that a retry pushes the same.

use domain::ids::{
    CollectionId, CollectionVersionId, DriveWealthFundId, DriveWealthInstrumentId, DriveWealthPortfolioId,
};
use domain::rate::Weight;
use domain::trading::collection::symbol::Symbol;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The whole target set of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptTargets {
    pub(crate) portfolio_id: DriveWealthPortfolioId,
    pub(crate) cash: Weight,
    pub(crate) funds: Vec<KeptFund>,
}

/// A fund with its share, and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFund {
    /// The broker's fund; none for one that is to be made.
    pub(crate) fund_id: Option<DriveWealthFundId>,
    /// The order that it is touched by, and its collection.
    pub(crate) order: Option<KeptOrder>,
    pub(crate) weight: Weight,
    /// What it should consist of; of one that the run leaves alone, what it does.
    pub(crate) holdings: Vec<KeptHolding>,
    /// What is expected to be traded in it.
    pub(crate) trades: Vec<KeptTrade>,
}

/// The order that touches a fund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptOrder {
    pub(crate) collection_id: CollectionId,
    pub(crate) collection_name: String,
    pub(crate) version_id: CollectionVersionId,
}

/// An instrument's part of a fund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptHolding {
    pub(crate) instrument: DriveWealthInstrumentId,
    pub(crate) weight: Weight,
}

/// What is expected to be traded of a symbol: dollars, above zero where it is bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptTrade {
    pub(crate) symbol: Symbol,
    pub(crate) amount: Decimal,
}

impl KeptFund {
    /// Its holdings, as the broker is told them.
    pub(crate) fn holdings(&self) -> Vec<(DriveWealthInstrumentId, Weight)> {
        self.holdings
            .iter()
            .map(|holding| (holding.instrument.clone(), holding.weight))
            .collect()
    }
}
