//! Reviews as operators see and decide them. What opens one, and what a decision does, is each area's own
//! (`platform::review`); the decision goes there by the outbox.

mod decide;
mod report;
mod request;
mod store;
mod view;

use domain::ids::ReviewId;
use platform::database::Database;
use platform::pagination::{Page, PageRequest};

use crate::Error;
pub use decide::ReviewDecider;
pub use report::ReviewWatch;
pub use request::{DecisionRequest, ReviewFilter, Word};
pub use view::{ActionView, HistoryView, ParameterView, ReviewDetailView, ReviewReport, ReviewView};

platform::list! {
    /// The reviews, newest first.
    pub ReviewList: ReviewId = "reviews"
}

/// Reads reviews.
#[derive(Debug)]
pub struct ReviewReader {
    database: Database,
}

platform::from_environment!(ReviewReader { database });

impl ReviewReader {
    /// A page of reviews, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        filter: &ReviewFilter,
        page: PageRequest<ReviewList>,
    ) -> Result<Page<ReviewView>, Error> {
        let rows = self
            .database
            .with(async |connection| store::page(connection, filter, page.after, page.rows()).await)
            .await?;
        let page = Page::from_overfetched(&rows, &page, ReviewView::clone, |row| row.id);
        Ok(page?)
    }

    /// One review with its evidence, actions and history.
    ///
    /// # Errors
    /// Not found for an unknown one.
    pub async fn get(&self, review: ReviewId) -> Result<ReviewDetailView, Error> {
        self.database
            .with(async |connection| {
                let (review, detail) = store::find(connection, review)
                    .await?
                    .ok_or(Error::ReviewNotFound)?;
                let history = store::history(connection, review.id).await?;
                Ok(ReviewDetailView::new(review, detail, history))
            })
            .await
    }
}
