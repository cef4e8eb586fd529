//! Fast buyout: may a car of some price be bought for a dealer at once?

use crate::money::{Money, MoneyError};
use crate::stored::named_enum;

/// Up to which price a deposit opens fast buyout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The deposit that it takes.
    pub min_deposit: Money,
    /// The most that a car may cost.
    pub max_price: Money,
}

/// What counts of the dealer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What lies on the deposit account; nothing where fast buyout wasn't added.
    pub deposit: Option<Money>,
    /// Whether he is late with a bill for an earlier car.
    pub has_overdue: bool,
}

named_enum! {
    /// Why not.
    pub enum Obstacle {
        /// Fast buyout wasn't added for the dealer.
        NotAdded = "fast-buyout-not-added",
        /// No deposit opens this price.
        PriceAboveSegments = "price-above-segments",
        /// The deposit doesn't reach.
        DepositTooLow = "deposit-too-low",
        /// A bill for an earlier car is overdue.
        SettlementOverdue = "settlement-overdue",
    }
}

/// Whether the car may be bought, and what stands against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The deposit that the price takes; nothing where no deposit opens it.
    pub required: Option<Money>,
    /// How much the deposit lacks.
    pub lacking: Option<Money>,
    /// All that stands against it; nothing when it may be bought.
    pub obstacles: Vec<Obstacle>,
}

/// Decides about a car of this price. The lowest deposit of those that open the price is enough.
///
/// # Errors
/// When amounts are of another currency.
pub fn decide(price: Money, segments: &[Segment], standing: Standing) -> Result<Decision, MoneyError> {
    let opening = segments
        .iter()
        .filter(|segment| segment.max_price.minor() >= price.minor());
    let required = opening
        .map(|segment| segment.min_deposit)
        .min_by_key(|deposit| deposit.minor());
    let mut obstacles = Vec::new();
    if standing.deposit.is_none() {
        obstacles.push(Obstacle::NotAdded);
    }
    if required.is_none() {
        obstacles.push(Obstacle::PriceAboveSegments);
    }
    let lacking = match (required, standing.deposit) {
        (Some(required), Some(deposit)) => {
            let lacking = required.checked_sub(deposit)?;
            lacking.is_positive().then_some(lacking)
        }
        (Some(required), None) => Some(required),
        (None, _) => None,
    };
    if lacking.is_some() && standing.deposit.is_some() {
        obstacles.push(Obstacle::DepositTooLow);
    }
    if standing.has_overdue {
        obstacles.push(Obstacle::SettlementOverdue);
    }
    Ok(Decision {
        required,
        lacking,
        obstacles,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dealers::kopecks;

    const SEGMENTS: [Segment; 2] = [
        Segment {
            min_deposit: kopecks(300),
            max_price: kopecks(3_000),
        },
        Segment {
            min_deposit: kopecks(100),
            max_price: kopecks(1_000),
        },
    ];

    fn decision(price: i64, deposit: impl Into<Option<i64>>, has_overdue: bool) -> Decision {
        let standing = Standing {
            deposit: deposit.into().map(kopecks),
            has_overdue,
        };
        decide(kopecks(price), &SEGMENTS, standing).unwrap()
    }

    #[test]
    fn a_deposit_that_reaches_its_segment_opens_it() {
        for (price, deposit, lacking) in [
            (1_000, 100, None),
            (1_000, 99, Some(1)),
            (1_001, 100, Some(200)),
            (3_000, 300, None),
            (1, 0, Some(100)),
        ] {
            let decision = decision(price, deposit, false);
            assert_eq!(decision.lacking, lacking.map(kopecks), "{price} with {deposit}");
            assert_eq!(decision.obstacles.is_empty(), lacking.is_none());
        }
    }

    #[test]
    fn everything_that_stands_against_it_is_said() {
        let decision = decision(2_000, 0, true);
        assert_eq!(
            decision.obstacles,
            [Obstacle::DepositTooLow, Obstacle::SettlementOverdue]
        );
        let above = self::decision(3_001, 10_000, false);
        assert_eq!((above.required, above.lacking), (None, None));
        assert_eq!(above.obstacles, [Obstacle::PriceAboveSegments]);
        let stranger = self::decision(500, None, false);
        assert_eq!(stranger.obstacles, [Obstacle::NotAdded]);
        assert_eq!(stranger.lacking, Some(kopecks(100)));
    }
}
