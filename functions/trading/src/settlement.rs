//! Carrying a money flow out at the broker, and taking over what the broker says of it.
//!
//! Answers, events and the reconciler all end in [`Settlement::settle`]: whatever comes first, late or twice leaves
//! the same state. Locks are taken in the order payment, flow, profile.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::Clock;
use domain::ids::{DriveWealthPaymentId, MoneyFlowId};
use domain::trading::money_flow::{Direction, ProviderState};
use domain::trading::payment::PaymentStatus;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::idempotency::KeyedRequest;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::drivewealth::{BAD_BODY, KEY_MEMORY, Payment, PaymentOrder};
use providers::outcome::{Decline, Outcome, Reason};
use tokio::time::sleep;
use uuid::Uuid;

use crate::Error;
use crate::answer::{self, Answer, MoneyFlowView};
use crate::broker::{Broker, answered};
use crate::flow_state::{apply, declined, give_up, link, look_again};
use crate::store::money_flow::{self, Flow, Turn};
use crate::store::payments;

/// Namespace of the idempotency keys that the broker gets.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6d6f_6e65_7461_4d46_8c1d_3f1e_52a0_9b77);
/// Kept back from a request's time to record what the broker said, or that it said nothing.
const RECORDING_TIME: Duration = Duration::from_secs(3);
/// The longest that the broker is asked in one go.
const ASKING_TIME: Duration = Duration::from_secs(20);
/// With less than this left, nobody begins to ask: what the broker says would come too late.
const MIN_CALL_TIME: Duration = Duration::from_secs(1);
/// A request waits about this long for another one that asks for the same flow.
const TURN_POLL: Duration = Duration::from_millis(200);
const TURN_TRIES: u32 = 25;
/// Towards the end of the broker's memory of a key nobody relies on it: clocks differ.
const MEMORY_MARGIN: TimeDelta = TimeDelta::hours(1);

/// What takes part in carrying out and settling.
#[derive(Debug)]
pub struct Settlement {
    database: Arc<Database>,
    broker: Broker,
    nudge: RelayWaker,
}

/// What the broker's word came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The event was taken before: nothing is done.
    Repeated,
    /// The payment belongs to no flow that is known.
    NotOurs,
    /// The flow stays as it is.
    Unchanged,
    /// The flow's status is another now.
    Changed,
    /// The payment contradicts the flow: a person has to look at it, nothing moves until then.
    Parked,
}

impl Settlement {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment, database: Option<&Arc<Database>>) -> Option<Self> {
        let broker = Broker::read(environment, database);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?.clone(),
            broker: broker?,
            nudge: nudge?,
        })
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Asks the broker to carry the flow out, unless it is known to have it, and records what it says. `keyed` is the
    /// request that waits for the answer.
    ///
    /// One at a time asks for a flow: two answers to one key that cross each other could be a yes and a no.
    ///
    /// # Errors
    /// When the database fails. The broker's failures are states of the flow.
    pub async fn carry_out(
        &self,
        id: MoneyFlowId,
        keyed: Option<&KeyedRequest>,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let mut tries = if keyed.is_some() { TURN_TRIES } else { 0 };
        loop {
            let flow = self.load(id).await?;
            if !flow.provider_state.needs_asking() {
                return self.answer_from(&flow, keyed).await;
            }
            if is_forgotten(&flow) {
                return self.forgotten(id).await;
            }
            let open = || Ok(Answer::Open(MoneyFlowView::from(&flow)));
            let asking_time = deadline.earlier_by(RECORDING_TIME).left().min(ASKING_TIME);
            if asking_time < MIN_CALL_TIME {
                return open();
            }
            if let Some(turn) = self.begin_asking(id, asking_time + RECORDING_TIME).await? {
                let asking = Deadline::after(asking_time);
                return self.ask_and_record(&flow, turn, keyed, asking, deadline).await;
            }
            if tries == 0 {
                return open();
            }
            tries -= 1;
            sleep(TURN_POLL).await;
        }
    }

    async fn begin_asking(&self, id: MoneyFlowId, lease: Duration) -> Result<Option<Turn>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        money_flow::begin_asking(&mut connection, id, lease_ms).await
    }

    /// A flow under a key that the broker may have forgotten isn't asked for any more: it could be done twice.
    async fn forgotten(&self, id: MoneyFlowId) -> Result<Answer, Error> {
        let mut transaction = self.database.begin().await?;
        give_up(&mut transaction, id, "the broker has forgotten the request's key").await?;
        let flow = money_flow::load(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Answer::Open(MoneyFlowView::from(&flow)))
    }

    async fn ask_and_record(
        &self,
        flow: &Flow,
        turn: Turn,
        keyed: Option<&KeyedRequest>,
        asking: Deadline,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let outcome = downgrade_if_unknown(turn, self.ask(flow, asking).await);
        let awaits_approval = match &outcome {
            Outcome::Done(payment) if payment.status == PaymentStatus::AwaitingApproval => {
                Some(payment.id.clone())
            }
            _ => None,
        };
        let answer = self.record(flow, outcome, keyed).await?;
        if let Some(payment) = awaits_approval {
            // The event that asks for approval may have come before the answer told whose payment it is.
            if let Err(error) = self.approve(&payment, deadline).await {
                tracing::warn!(error = chain(&error), "the approval is left to the next look-up");
            }
        }
        self.nudge.send().await;
        Ok(answer)
    }

    async fn ask(&self, flow: &Flow, deadline: Deadline) -> Outcome<Payment> {
        let client = match self.broker.client().await {
            Ok(client) => client,
            Err(error) => return Outcome::Retryable(Reason(error.to_string())),
        };
        let Some(bank_account) = flow.drivewealth_bank_account_id.clone() else {
            return Outcome::Retryable(Reason("the bank account was removed at the broker".to_owned()));
        };
        let order = PaymentOrder {
            account_no: flow.account_no.clone(),
            bank_account,
            amount: flow.amount,
            idempotency_key: idempotency_key(flow.id),
        };
        match flow.direction {
            Direction::Deposit => client.create_deposit(&order, deadline.instant()).await,
            Direction::Withdrawal => client.create_redemption(&order, deadline.instant()).await,
        }
    }

    async fn record(
        &self,
        flow: &Flow,
        outcome: Outcome<Payment>,
        keyed: Option<&KeyedRequest>,
    ) -> Result<Answer, Error> {
        let mut transaction = self.database.begin().await?;
        match outcome {
            Outcome::Done(payment) => link(&mut transaction, flow, &payment).await?,
            Outcome::Declined(decline) => declined(&mut transaction, flow, &decline).await?,
            Outcome::Retryable(reason) => {
                tracing::warn!(flow = flow.id.get(), %reason, "the broker was not reached; the flow stays pending");
                look_again(&mut transaction, flow, &reason.0).await?;
            }
            Outcome::Unknown(reason) => {
                tracing::error!(flow = flow.id.get(), %reason, "the broker's answer is unknown");
                metrics::count_with("UnknownOutcomes", 1, &[("provider", "drivewealth")]);
                money_flow::set_provider_state(&mut transaction, flow.id, ProviderState::Unknown, None)
                    .await?;
                look_again(&mut transaction, flow, &reason.0).await?;
            }
        }
        let recorded = money_flow::load(&mut transaction, flow.id).await?;
        let answer = answer::keep(&mut transaction, &recorded, keyed).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn answer_from(&self, flow: &Flow, keyed: Option<&KeyedRequest>) -> Result<Answer, Error> {
        let mut transaction = self.database.begin().await?;
        let answer = answer::keep(&mut transaction, flow, keyed).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn load(&self, id: MoneyFlowId) -> Result<Flow, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        money_flow::load(&mut connection, id).await
    }

    /// Takes over what the broker says of a payment. With an arrival, the event is taken in the same transaction, and
    /// nothing happens when it was taken before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle(
        &self,
        direction: Direction,
        payment: &Payment,
        arrival: Option<&Arrival<'_>>,
    ) -> Result<Settled, Error> {
        let mut transaction = self.database.begin().await?;
        if let Some(arrival) = arrival
            && !inbox::take(&mut transaction, arrival).await?
        {
            return Ok(Settled::Repeated);
        }
        let known = payments::keep_newest(&mut transaction, direction, payment, None).await?;
        let settled = match known.money_flow_id {
            Some(flow) => apply(&mut transaction, flow, &known, payment).await?,
            None => Settled::NotOurs,
        };
        transaction.commit().await?;
        if settled == Settled::Changed {
            self.nudge.send().await;
        }
        Ok(settled)
    }

    /// Re-reads a redemption, approves it where it waits for us, and takes over where it stands then.
    ///
    /// # Errors
    /// Transient when the broker doesn't answer.
    pub async fn follow_redemption(
        &self,
        id: &DriveWealthPaymentId,
        arrival: Option<&Arrival<'_>>,
        deadline: Deadline,
    ) -> Result<Settled, Error> {
        let client = self.broker.client().await?;
        let redemption = answered(client.redemption(id, deadline.instant()).await)?;
        if redemption.status != PaymentStatus::AwaitingApproval {
            return self.settle(Direction::Withdrawal, &redemption, arrival).await;
        }
        // Kept first: only a redemption that is known to be ours and under way is approved.
        self.settle(Direction::Withdrawal, &redemption, None).await?;
        let newest = self.approved(id, deadline).await?.unwrap_or(redemption);
        self.settle(Direction::Withdrawal, &newest, arrival).await
    }

    async fn approve(&self, id: &DriveWealthPaymentId, deadline: Deadline) -> Result<(), Error> {
        if let Some(approved) = self.approved(id, deadline).await? {
            self.settle(Direction::Withdrawal, &approved, None).await?;
        }
        Ok(())
    }

    /// Approves, where we may; a redemption that does not wait any more is re-read instead.
    async fn approved(
        &self,
        id: &DriveWealthPaymentId,
        deadline: Deadline,
    ) -> Result<Option<Payment>, Error> {
        {
            let mut connection = self.database.pool().await?.acquire().await?;
            if !money_flow::may_be_approved(&mut connection, id).await? {
                return Ok(None);
            }
        }
        let client = self.broker.client().await?;
        let approved = match client.approve_redemption(id, deadline.instant()).await {
            Outcome::Declined(Decline { code, .. }) if code == BAD_BODY => {
                client.redemption(id, deadline.instant()).await
            }
            outcome => outcome,
        };
        answered(approved).map(Some)
    }
}

/// The key under which the broker is asked for a flow, the same for every attempt.
fn idempotency_key(flow: MoneyFlowId) -> Uuid {
    Uuid::new_v5(&KEY_NAMESPACE, format!("money-flow/{flow}").as_bytes())
}

fn is_forgotten(flow: &Flow) -> bool {
    SystemClock.now() - flow.created_at >= KEY_MEMORY - MEMORY_MARGIN
}

/// After an attempt of which nothing is known only a payment is an answer: a refusal may be about that attempt, and one
/// that was not made says nothing about it.
fn downgrade_if_unknown(turn: Turn, outcome: Outcome<Payment>) -> Outcome<Payment> {
    match outcome {
        Outcome::Declined(decline) if turn.is_doubtful => Outcome::Unknown(Reason(format!(
            "an earlier attempt may have gone through; this one was refused with code {} (status {})",
            decline.code, decline.status
        ))),
        Outcome::Retryable(reason) if turn.is_doubtful => Outcome::Unknown(reason),
        outcome => outcome,
    }
}
