//! Reviews: what an area can't decide waits for a person, in one place for all areas.
//!
//! - The area [`open`]s a review in the transaction that parks. While one of the same area, kind and subject waits, that is
//!   counted (`seen`) instead; after it was closed, the next is a new one. What settles by itself is [`settle`]d.
//! - An operator decides it (`decide_review`), and the [`Decision`] goes to the queue `AREA-review-decisions`.
//! - The area's function `apply_AREA_review` is [`serve`] of its [`Reviewer`]: it applies the decision through the area's
//!   own transition, in one transaction with the review's end; or the review is open again, with the reason.
//!
//! Locks: the area's before the review's, both when a review is opened and when a decision is applied.

mod apply;
mod decision;
mod new;
mod store;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::PlatformError;
use crate::messaging::event::Envelope;
use crate::messaging::outbox;
use crate::observability::metrics;
pub use apply::{Reviewer, Verdict, serve};
pub use decision::Decision;
pub use new::{Action, Evidence, NewReview, Parameter, Subject};

/// The type of the message that brings a decision to its area.
const REVIEW_DECIDED: &str = "review.decided";

/// Opens a review, in the transaction that parks what it is about.
///
/// # Errors
/// When the evidence can't be written as JSON or the database fails.
pub async fn open(
    connection: &mut PgConnection,
    review: NewReview,
    now: DateTime<Utc>,
) -> Result<(), PlatformError> {
    open_all(connection, &[review], now).await
}

/// Opens many reviews in one statement; no two of them have the same area, kind and subject.
///
/// # Errors
/// When evidence can't be written as JSON or the database fails.
pub async fn open_all(
    connection: &mut PgConnection,
    reviews: &[NewReview],
    now: DateTime<Utc>,
) -> Result<(), PlatformError> {
    if reviews.is_empty() {
        return Ok(());
    }
    for new in store::open_all(connection, reviews, now).await? {
        tracing::warn!(review_id = %new.id, area = new.area, kind = new.kind, "opening a review");
        metrics::count_with("ReviewsOpened", 1, &[("area", &new.area), ("kind", &new.kind)]);
    }
    Ok(())
}

/// Closes the open review of this area, kind and subject, because nothing is left to decide; `false` when there is none. One
/// that is decided already is left to its decision.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    connection: &mut PgConnection,
    area: &str,
    kind: &str,
    subject: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, PlatformError> {
    let subjects = [subject.to_owned()];
    Ok(settle_all(connection, area, kind, &subjects, reason, now).await? > 0)
}

/// Closes the open reviews of these subjects, as [`settle`] does, in one statement; gives how many there were.
///
/// # Errors
/// When the database fails.
pub async fn settle_all(
    connection: &mut PgConnection,
    area: &str,
    kind: &str,
    subjects: &[String],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<u64, PlatformError> {
    store::settle(connection, area, kind, subjects, reason, now).await
}

/// Sends a decision to its area, in the transaction that records it.
///
/// # Errors
/// When the database fails.
pub async fn send(
    connection: &mut PgConnection,
    area: &str,
    decision: &Decision,
) -> Result<(), PlatformError> {
    let key = format!("review-{}", decision.review_id);
    let event = Envelope::new(REVIEW_DECIDED, key, decision.decided_at, decision);
    outbox::publish_to_queue(connection, &event, &format!("{area}-review-decisions")).await
}
