//! Tiers: what is offered, with the rules of its assessment as data. An account keeps the numbers that its tier had when it
//! was activated.

pub mod request;
pub(crate) mod store;
pub mod view;

use domain::funded::thresholds::Thresholds;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::Replayable;
use platform::pagination::{Page, PageRequest};

use crate::Error;
use request::{NewTierId, TierRequest};
use store::{Tier, TierList};
use view::TierView;

/// The tiers.
#[derive(Debug)]
pub struct Tiers {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(Tiers { database, clock });

impl Tiers {
    /// Makes a tier or gives it other numbers; `replayed` for one that is there already.
    ///
    /// # Errors
    /// Rejected, naming the field, for a number that it can't have.
    pub async fn put(&self, id: NewTierId, request: TierRequest) -> Result<Replayable<TierView>, Error> {
        let tier = request.into_tier(id)?;
        let now = self.clock.now();
        let is_new = self
            .database
            .with(async |connection| store::put(connection, &tier, now).await)
            .await?;
        Ok(Replayable {
            value: TierView::from(&tier),
            replayed: !is_new,
        })
    }

    /// A page of the tiers, by their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, page: PageRequest<TierList>) -> Result<Page<TierView>, Error> {
        let tiers = self
            .database
            .with(async |connection| store::list(connection, &page).await)
            .await?;
        Ok(Page::from_overfetched(
            &tiers,
            &page,
            |tier| TierView::from(tier),
            |tier| tier.id.clone(),
        )?)
    }
}

impl Tier {
    /// What an account of this tier is held to from its activation on.
    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds::lenient(self.assessment.clone())
    }
}
