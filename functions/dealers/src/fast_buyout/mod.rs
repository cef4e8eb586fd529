//! Fast buyout: may a car of a price be bought for a dealer at once?

mod store;
mod view;

use domain::dealers::fast_buyout::decide;
use domain::dealers::kopecks;
use domain::ids::CmeClientId;
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::http::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;
use crate::bill::MAX_AMOUNT;
use crate::dealer::store as dealers;
pub use view::FastBuyoutView;

/// The car.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FastBuyoutQuery {
    /// Its price in kopecks.
    #[schema(minimum = 1, maximum = 100000000000i64)]
    pub price: i64,
}

impl FastBuyoutQuery {
    /// The price.
    ///
    /// # Errors
    /// 400 naming `price` when it is out of range.
    pub fn read(&self) -> Result<Money, Problem> {
        if (1..=MAX_AMOUNT.minor()).contains(&self.price) {
            return Ok(kopecks(self.price));
        }
        let allowed = format!("has to be between 1 and {} kopecks", MAX_AMOUNT.minor());
        Err(Problem::malformed("price", &allowed))
    }
}

/// Decides about fast buyout.
#[derive(Debug)]
pub struct FastBuyout {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(FastBuyout { database, clock });

impl FastBuyout {
    /// Whether a car of this price may be bought for the dealer now; if not, why, and how much his deposit lacks.
    ///
    /// # Errors
    /// Not found for an unknown dealer.
    pub async fn check(&self, name: &CmeClientId, price: Money) -> Result<FastBuyoutView, Error> {
        let now = self.clock.now();
        let (standing, segments) = self
            .database
            .with(async |connection| {
                let dealer = dealers::load(connection, name).await?;
                let standing = store::standing(connection, dealer.id, now).await?;
                Ok::<_, Error>((standing, store::segments(connection).await?))
            })
            .await?;
        let decision = decide(price, &segments, standing)?;
        Ok(FastBuyoutView::new(price, standing, &decision))
    }
}
