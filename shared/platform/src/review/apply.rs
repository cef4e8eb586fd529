//! `apply_AREA_review`: what each area's function does with a decision. The area writes only its transition.

use std::marker::PhantomData;
use std::process::ExitCode;

use domain::lane::{Lane, Laned};
use domain::review::{DecisionOutcome, ReviewState};
use futures::FutureExt;
use sqlx::PgConnection;

use super::decision::Decision;
use super::store;
use crate::clock::ClockHandle;
use crate::config::{Environment, FromEnvironment};
use crate::database::Database;
use crate::deadline::Deadline;
use crate::entry::queue::{self, QueueConsumer};
use crate::error::PlatformError;
use crate::messaging::event::Envelope;
use crate::messaging::relay_waker::RelayWaker;

/// An area's word on a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was applied.
    Applied,
    /// It can't be applied, and the review is open again with this reason, a sentence for the operator.
    CantBeApplied(String),
    /// There is nothing to decide any more, for this reason.
    Superseded(String),
}

impl Verdict {
    /// The subject isn't the name of anything that a review of this kind is about.
    pub fn unknown_subject(decision: &Decision) -> Self {
        Self::CantBeApplied(format!("there is nothing of the name {}", decision.subject))
    }

    /// The action is none of those of this kind.
    pub fn unknown_action(decision: &Decision) -> Self {
        let Decision { action, kind, .. } = decision;
        Self::CantBeApplied(format!("{action} is nothing that can be done about {kind}"))
    }
}

/// An area that applies decisions.
pub trait Reviewer: FromEnvironment + 'static {
    /// Why a decision wasn't applied. A rejection opens the review again, with the error's text as the reason; after
    /// anything else the message comes again.
    type Error: Laned + From<PlatformError>;

    /// Applies a decision through the area's own transition, in this transaction. It takes the area's locks first, and calls
    /// nobody outside: what has to be asked there is scheduled.
    fn apply(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> impl Future<Output = Result<Verdict, Self::Error>>;
}

/// Runs the function.
pub fn serve<R: Reviewer>() -> ExitCode {
    queue::serve::<Consumer<R>>()
}

struct Consumer<R>(PhantomData<R>);

struct Applier<R> {
    reviewer: R,
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

impl<R: Reviewer> FromEnvironment for Applier<R> {
    fn read(environment: &mut Environment) -> Option<Self> {
        let reviewer = R::read(environment);
        let database = Database::read(environment);
        let relay = RelayWaker::read(environment);
        let clock = ClockHandle::read(environment);
        Some(Self {
            reviewer: reviewer?,
            database: database?,
            relay: relay?,
            clock: clock?,
        })
    }
}

impl<R: Reviewer> QueueConsumer for Consumer<R> {
    type UseCase = Applier<R>;
    type Message = Envelope<Decision>;
    type Error = R::Error;

    async fn handle(applier: &Applier<R>, message: Envelope<Decision>, _: Deadline) -> Result<(), R::Error> {
        // An area's transition is deep by itself: without its type here, the compiler's depth isn't exceeded by both.
        applier.apply(&message.data).boxed_local().await
    }
}

impl<R: Reviewer> Applier<R> {
    async fn apply(&self, decision: &Decision) -> Result<(), R::Error> {
        let applied = self.database.transaction(async |connection| {
            if !store::is_to_be_applied(connection, decision).await? {
                return Ok(());
            }
            let verdict = self.reviewer.apply(connection, decision).await?;
            self.record(connection, decision, &verdict)
                .await
                .map_err(R::Error::from)
        });
        match applied.await {
            Ok(()) => {}
            Err(error) if matches!(error.lane(), Lane::Rejected(_)) => {
                let verdict = Verdict::CantBeApplied(error.to_string());
                let recorded = self
                    .database
                    .transaction(async |connection| self.record(connection, decision, &verdict).await);
                recorded.await?;
            }
            Err(error) => return Err(error),
        }
        self.relay.wake().await;
        Ok(())
    }

    async fn record(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
        verdict: &Verdict,
    ) -> Result<(), PlatformError> {
        let (outcome, refusal) = match verdict {
            Verdict::Applied => (DecisionOutcome::Applied, None),
            Verdict::CantBeApplied(reason) => (DecisionOutcome::CantBeApplied, Some(reason.as_str())),
            Verdict::Superseded(reason) => (DecisionOutcome::Superseded, Some(reason.as_str())),
        };
        let Some(state) = ReviewState::Decided.after_outcome(outcome).applied() else {
            return Ok(());
        };
        let now = self.clock.now();
        if !store::record_outcome(connection, decision, state, refusal, now).await? {
            return Err(PlatformError::Overtaken);
        }
        tracing::info!(
            review_id = %decision.review_id,
            action = decision.action,
            %state,
            refusal,
            "applying a decision"
        );
        Ok(())
    }
}
