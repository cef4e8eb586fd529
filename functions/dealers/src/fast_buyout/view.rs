//! What callers see of a decision about fast buyout.

use domain::dealers::CURRENCY;
use domain::dealers::fast_buyout::{Decision, Standing};
use domain::money::Money;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a car may be bought for a dealer at once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FastBuyoutView {
    /// Whether it may.
    pub is_allowed: bool,
    /// All that stands against it: `fast-buyout-not-added`, `price-above-segments`, `deposit-too-low`,
    /// `settlement-overdue`; empty when it may be bought.
    pub reasons: Vec<&'static str>,
    /// The price that was asked about, in kopecks.
    #[schema(minimum = 1)]
    pub price: i64,
    /// The deposit that the price takes, in kopecks; null where no deposit opens it.
    pub required_deposit: Option<i64>,
    /// What lies on the deposit account, in kopecks; null where fast buyout wasn't added.
    pub deposit: Option<i64>,
    /// What the deposit lacks, in kopecks.
    #[schema(minimum = 0)]
    pub lacking: i64,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    pub currency: &'static str,
}

impl FastBuyoutView {
    pub(super) fn new(price: Money, standing: Standing, decision: &Decision) -> Self {
        Self {
            is_allowed: decision.obstacles.is_empty(),
            reasons: decision
                .obstacles
                .iter()
                .map(|obstacle| obstacle.name())
                .collect(),
            price: price.minor(),
            required_deposit: decision.required.map(|deposit| deposit.minor()),
            deposit: standing.deposit.map(|deposit| deposit.minor()),
            lacking: decision.lacking.map_or(0, |lacking| lacking.minor()),
            currency: CURRENCY.code(),
        }
    }
}
