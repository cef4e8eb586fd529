//! What callers see of a collection.

use chrono::{DateTime, Utc};
use domain::ids::CollectionId;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Collection;

/// The weight of a symbol.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SymbolWeightView {
    /// The symbol.
    #[schema(value_type = String, examples("BRK.B"))]
    pub symbol: Symbol,
    /// Its part of the whole: a decimal with at most four places, as a text. The parts sum to 1.
    #[schema(examples("0.25"))]
    pub weight: String,
}

/// A collection with the weights of its model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CollectionView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: CollectionId,
    /// Its name at the catalogue.
    pub uniq_id: String,
    /// Its name.
    pub name: String,
    /// What it consists of.
    pub weights: Vec<SymbolWeightView>,
    /// When it was last put (RFC 3339, UTC).
    pub updated_at: DateTime<Utc>,
}

impl From<Collection> for CollectionView {
    fn from(collection: Collection) -> Self {
        let weights = collection
            .model()
            .into_iter()
            .map(|(symbol, weight)| SymbolWeightView {
                symbol,
                weight: weight.normalize().to_string(),
            });
        Self {
            weights: weights.collect(),
            id: collection.id,
            uniq_id: collection.uniq_id,
            name: collection.name,
            updated_at: collection.updated_at,
        }
    }
}

/// The recommended weights of a collection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecommendedWeightsView {
    /// The collection.
    #[schema(value_type = i64, minimum = 1)]
    pub collection_id: CollectionId,
    /// The weights of what can be traded now; empty when nothing of it can.
    pub weights: Vec<SymbolWeightView>,
}

impl RecommendedWeightsView {
    pub(super) fn new(collection_id: CollectionId, weights: Option<&TargetWeights>) -> Self {
        Self {
            collection_id,
            weights: weights.map(weights_of).unwrap_or_default(),
        }
    }
}

/// Weights as callers see them.
pub(crate) fn weights_of(weights: &TargetWeights) -> Vec<SymbolWeightView> {
    let weights = weights.iter().map(|(symbol, weight)| SymbolWeightView {
        symbol: symbol.clone(),
        weight: weight.to_string(),
    });
    weights.collect()
}
