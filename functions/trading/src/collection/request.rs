//! What the catalogue service and the app send of a collection.

use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::GivenWeight;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The weight of a symbol.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SymbolWeightRequest {
    /// The symbol, in any case; a class of shares after a point or a hyphen.
    #[schema(value_type = String, max_length = 12, pattern = "^[A-Za-z0-9]{1,6}([.-][A-Za-z0-9]{1,5})?$", examples("BRK.B"))]
    pub symbol: Symbol,
    /// Its part of the whole: a decimal above zero, as a text.
    #[schema(value_type = String, pattern = r"^(0\.[0-9]{1,12}|1)$", examples("0.25"))]
    pub weight: GivenWeight,
}

/// A collection as the catalogue has it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutCollectionRequest {
    /// Its name, as people see it.
    #[schema(min_length = 1, max_length = 100, examples("Clean energy"))]
    pub name: String,
    /// Its name at the catalogue, which no other collection has: visible ASCII.
    #[schema(pattern = "^[!-~]{1,64}$", examples("ttf-clean-energy"))]
    pub uniq_id: String,
    /// What it consists of, in sum 1 ± 0.01; brought to a sum of exactly 1.
    #[schema(min_items = 1, max_items = 500)]
    pub weights: Vec<SymbolWeightRequest>,
}
