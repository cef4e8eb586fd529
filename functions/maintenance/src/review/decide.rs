//! Deciding a review: once, by whoever is first; the area applies it.

use domain::ids::ReviewId;
use domain::review::ReviewState;
use domain::transition::Transition;
use platform::audit;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use platform::review::{self, Action, Decision};
use platform::security::identity::Operator;
use sqlx::PgConnection;

use super::request::DecisionRequest;
use super::store;
use super::view::{Detail, ReviewView};
use crate::Error;

/// Decides reviews.
#[derive(Debug)]
pub struct ReviewDecider {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(ReviewDecider {
    database,
    relay,
    clock
});

impl ReviewDecider {
    /// Records the operator's decision and sends it to its area. The same decision of the same operator again is answered like
    /// the first time.
    ///
    /// # Errors
    /// A conflict when it is decided already; unprocessable for an action or parameter that it doesn't have.
    pub async fn decide(
        &self,
        review: ReviewId,
        operator: &Operator,
        request: DecisionRequest,
    ) -> Result<ReviewView, Error> {
        let request = request.checked()?;
        let decided = self.database.transaction(async |connection| {
            let (view, detail) = store::lock(connection, review)
                .await?
                .ok_or(Error::ReviewNotFound)?;
            if is_decided_like(&view, &detail, operator, &request) {
                return Ok(view);
            }
            let Transition::Applied(_) = view.state.after_decision() else {
                return Err(Error::ReviewDecided);
            };
            check_against(&detail.actions, &request)?;
            self.record(connection, view, operator, &request).await
        });
        let decided = decided.await?;
        self.relay.wake().await;
        Ok(decided)
    }

    async fn record(
        &self,
        connection: &mut PgConnection,
        review: ReviewView,
        operator: &Operator,
        request: &DecisionRequest,
    ) -> Result<ReviewView, Error> {
        let now = self.clock.now();
        let number = store::decide(connection, review.id, operator, request, now).await?;
        let decision = Decision {
            review_id: review.id,
            number,
            kind: review.kind.clone(),
            subject: review.subject.clone(),
            action: request.action.clone(),
            parameters: request.parameters.clone(),
            reason: request.reason.clone(),
            decided_by: operator.as_str().to_owned(),
            decided_at: now,
        };
        review::send(connection, &review.area, &decision).await?;
        let subject = format!("review-{}", review.id);
        audit::record(connection, operator, "decide_review", &subject, request, now).await?;
        let decided = store::find(connection, review.id).await?;
        decided.map(|(view, _)| view).ok_or(Error::ReviewNotFound)
    }
}

/// Whether it is decided, and this is the same decision once more.
fn is_decided_like(
    review: &ReviewView,
    detail: &Detail,
    operator: &Operator,
    request: &DecisionRequest,
) -> bool {
    review.state != ReviewState::Open
        && review.decided_by.as_deref() == Some(operator.as_str())
        && review.decision.as_ref() == Some(&request.action)
        && review.reason.as_ref() == Some(&request.reason)
        && detail.parameters.as_ref() == Some(&request.parameters)
}

/// An action is one of the review's, and has just its parameters.
fn check_against(actions: &[Action], request: &DecisionRequest) -> Result<(), Error> {
    let Some(action) = actions.iter().find(|action| action.action == request.action) else {
        let known: Vec<&str> = actions.iter().map(|action| action.action.as_ref()).collect();
        return Err(Error::ActionNotAllowed {
            known: known.join(", "),
        });
    };
    let known = |name: &str| action.parameters.iter().any(|known| known.name == name);
    if let Some(name) = request.parameters.keys().find(|name| !known(name)) {
        let shown: String = name.chars().take(50).collect();
        return Err(Error::InvalidValue {
            field: format!("parameters.{shown}"),
            message: format!("{} takes no such parameter", action.action),
        });
    }
    let given = |name: &str| request.parameters.contains_key(name);
    if let Some(missing) = action.parameters.iter().find(|known| !given(&known.name)) {
        return Err(Error::InvalidValue {
            field: format!("parameters.{}", missing.name),
            message: format!("{} needs it: {}", action.action, missing.means),
        });
    }
    Ok(())
}
