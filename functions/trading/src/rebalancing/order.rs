//! An order that waits, and what can be traded for it.

use std::collections::BTreeMap;

use domain::ids::{CollectionId, CollectionVersionId, DriveWealthFundId, DriveWealthInstrumentId};
use domain::trading::collection::order::Delta;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;

/// An order that waits to be carried out, with all that is known of its collection.
#[derive(Debug)]
pub(crate) struct PendingOrder {
    pub(crate) id: CollectionVersionId,
    pub(crate) collection_id: CollectionId,
    pub(crate) collection_name: String,
    pub(crate) delta: Delta,
    pub(crate) has_weights: bool,
    /// The weights that were given with it, else those last given of the collection, else its model's.
    pub(crate) weights: Option<TargetWeights>,
    /// The broker's fund of the collection.
    pub(crate) fund_id: Option<DriveWealthFundId>,
}

/// What can be traded, by symbol.
pub(crate) type Instruments = BTreeMap<Symbol, DriveWealthInstrumentId>;
