//! Carrying a money flow out at the broker, and taking over what the broker says of it.
//!
//! Answers, events and the reconciler all end in [`Settlement::settle`]: whatever comes first, late or twice leaves
//! the same state. Locks are taken in the order payment, flow, profile.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;
use domain::ids::{DriveWealthPaymentId, MoneyFlowId};
use domain::lookup::{LookupLadder, Next};
use domain::trading::money_flow::{Consequences, Direction, MoneyFlowStatus, ProviderState, consequences};
use domain::trading::payment::PaymentStatus;
use domain::transition::Transition;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, KeptAnswer, KeyedRequest};
use platform::inbox::{self, Arrival};
use platform::metrics;
use platform::nudge::Nudge;
use platform::problem::Problem;
use providers::drivewealth::{BAD_BODY, BANK_TOKEN_INVALID, DAILY_LIMIT_MESSAGE, Payment, PaymentOrder};
use providers::outcome::{Decline, Outcome, Reason};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::answer::{Answer, MoneyFlowView};
use crate::broker::{Broker, expect};
use crate::events::{self, CashChanged, MoneyFlowEnded};
use crate::store::accounts;
use crate::store::money_flow::{self, Flow};
use crate::store::payments::{self, KnownPayment};

/// Namespace of the idempotency keys that the broker gets.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6d6f_6e65_7461_4d46_8c1d_3f1e_52a0_9b77);
/// Kept back from a request's time to record what the broker said, or that it said nothing.
const RECORDING_TIME: Duration = Duration::from_secs(3);
/// A redemption that waits for our approval is looked at again after this.
const APPROVAL_LOOKUP: TimeDelta = TimeDelta::minutes(5);

/// What takes part in carrying out and settling.
#[derive(Debug)]
pub struct Settlement {
    database: Arc<Database>,
    broker: Broker,
    nudge: Nudge,
}

/// What the broker's word came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The payment belongs to no flow that is known, or the event was taken before.
    NotOurs,
    /// The flow stays as it is.
    Unchanged,
    /// The flow's status is another now.
    Changed,
    /// The payment disagrees with the flow: a person has to look at it, nothing moves until then.
    Parked,
}

impl Settlement {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment, database: Option<&Arc<Database>>) -> Option<Self> {
        let broker = Broker::read(environment, database);
        let nudge = Nudge::read(environment);
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
    /// # Errors
    /// When the database fails. The broker's failures are states of the flow.
    pub async fn carry_out(
        &self,
        id: MoneyFlowId,
        keyed: Option<&KeyedRequest>,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let flow = self.load(id).await?;
        if !flow.provider_state.needs_asking() {
            return self.answer_from(&flow, keyed).await;
        }
        let outcome = self.ask(&flow, deadline.earlier_by(RECORDING_TIME)).await?;
        let awaits_approval = match &outcome {
            Outcome::Done(payment) if payment.status == PaymentStatus::AwaitingApproval => {
                Some(payment.id.clone())
            }
            _ => None,
        };
        let answer = self.record(&flow, outcome, keyed).await?;
        if let (Some(payment), Answer::Kept { .. }) = (awaits_approval, &answer) {
            // The event that asks for approval may have come before the answer told whose payment it is.
            if let Err(error) = self.approve(&payment, deadline).await {
                tracing::warn!(
                    error = platform::problem::chain(&error),
                    "the approval is left to the next look-up"
                );
            }
        }
        self.nudge.send().await;
        Ok(answer)
    }

    async fn ask(&self, flow: &Flow, deadline: Deadline) -> Result<Outcome<Payment>, Error> {
        let client = match self.broker.client().await {
            Ok(client) => client,
            Err(error) => return Ok(Outcome::Retryable(Reason(error.to_string()))),
        };
        let order = PaymentOrder {
            account_no: flow.account_no.clone(),
            bank_account: flow.drivewealth_bank_account_id.clone(),
            amount: flow.amount,
            idempotency_key: idempotency_key(flow.id),
        };
        Ok(match flow.direction {
            Direction::Deposit => client.create_deposit(&order, deadline.instant()).await,
            Direction::Withdrawal => client.create_redemption(&order, deadline.instant()).await,
        })
    }

    async fn record(
        &self,
        flow: &Flow,
        outcome: Outcome<Payment>,
        keyed: Option<&KeyedRequest>,
    ) -> Result<Answer, Error> {
        let mut transaction = self.database.begin().await?;
        match outcome {
            Outcome::Done(payment) => {
                link(&mut transaction, flow, &payment).await?;
            }
            Outcome::Declined(decline) => {
                declined(&mut transaction, flow, &decline).await?;
            }
            Outcome::Retryable(reason) => {
                tracing::warn!(flow = flow.id.get(), %reason, "the broker was not reached; the flow stays pending");
                look_again(&mut transaction, flow).await?;
            }
            Outcome::Unknown(reason) => {
                tracing::error!(flow = flow.id.get(), %reason, "the broker's answer is unknown");
                metrics::count_with("UnknownOutcomes", 1, &[("provider", "drivewealth")]);
                money_flow::set_provider_state(&mut transaction, flow.id, ProviderState::Unknown, None)
                    .await?;
                look_again(&mut transaction, flow).await?;
            }
        }
        let recorded = money_flow::load(&mut transaction, flow.id).await?;
        let answer = keep_answer(&mut transaction, &recorded, keyed).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn answer_from(&self, flow: &Flow, keyed: Option<&KeyedRequest>) -> Result<Answer, Error> {
        let mut transaction = self.database.begin().await?;
        let answer = keep_answer(&mut transaction, flow, keyed).await?;
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
            return Ok(Settled::NotOurs);
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
        let redemption = expect(client.redemption(id, deadline.instant()).await)?;
        if redemption.status != PaymentStatus::AwaitingApproval {
            return self.settle(Direction::Withdrawal, &redemption, arrival).await;
        }
        // Kept first: only a redemption that is known to be ours is approved.
        let settled = self.settle(Direction::Withdrawal, &redemption, None).await?;
        if !matches!(settled, Settled::Unchanged | Settled::Changed) {
            return self.settle(Direction::Withdrawal, &redemption, arrival).await;
        }
        let approved = self.approved(id, deadline).await?;
        self.settle(Direction::Withdrawal, &approved, arrival).await
    }

    async fn approve(&self, id: &DriveWealthPaymentId, deadline: Deadline) -> Result<(), Error> {
        let approved = self.approved(id, deadline).await?;
        self.settle(Direction::Withdrawal, &approved, None).await?;
        Ok(())
    }

    /// Approves; a redemption that does not wait any more is re-read instead.
    async fn approved(&self, id: &DriveWealthPaymentId, deadline: Deadline) -> Result<Payment, Error> {
        let client = self.broker.client().await?;
        match client.approve_redemption(id, deadline.instant()).await {
            Outcome::Declined(Decline { code, .. }) if code == BAD_BODY => {
                expect(client.redemption(id, deadline.instant()).await)
            }
            outcome => expect(outcome),
        }
    }
}

/// The key under which the broker is asked for a flow, the same for every attempt.
fn idempotency_key(flow: MoneyFlowId) -> Uuid {
    Uuid::new_v5(&KEY_NAMESPACE, format!("money-flow/{flow}").as_bytes())
}

/// Links the broker's payment to the flow and takes over the newest that is known of it.
async fn link(connection: &mut PgConnection, flow: &Flow, payment: &Payment) -> Result<(), Error> {
    let known = payments::keep_newest(connection, flow.direction, payment, Some(flow.id)).await?;
    if known.money_flow_id != Some(flow.id) {
        return park_disagreement(connection, flow.id).await;
    }
    money_flow::set_provider_state(connection, flow.id, ProviderState::Accepted, lookup_after(&known))
        .await?;
    apply(connection, flow.id, &known, payment).await?;
    Ok(())
}

async fn park_disagreement(connection: &mut PgConnection, flow: MoneyFlowId) -> Result<(), Error> {
    tracing::error!(flow = flow.get(), "the broker's payment disagrees with the flow");
    metrics::count("ParkedPayments", 1);
    money_flow::park(
        connection,
        flow,
        "the broker's payment disagrees with the request",
    )
    .await
}

/// Whether amount, currency and account of a payment are the flow's. Some answers leave the account out.
fn agrees(flow: &Flow, known: &KnownPayment, payment: &Payment) -> bool {
    let same_account = |id: &str| id == flow.drivewealth_account_id.as_str();
    known.amount == flow.amount
        && payment.amount == flow.amount
        && known.account_id.as_deref().is_none_or(same_account)
        && payment
            .account_id
            .as_ref()
            .is_none_or(|id| same_account(id.as_str()))
}

fn lookup_after(known: &KnownPayment) -> Option<DateTime<Utc>> {
    (known.status == PaymentStatus::AwaitingApproval).then(|| SystemClock.now() + APPROVAL_LOOKUP)
}

/// Applies the broker's word to the flow. A payment of another amount, currency or account moves nothing.
async fn apply(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    known: &KnownPayment,
    payment: &Payment,
) -> Result<Settled, Error> {
    let flow = money_flow::lock(connection, id).await?;
    if flow.provider_state == ProviderState::Parked {
        return Ok(Settled::Parked);
    }
    if !agrees(&flow, known, payment) {
        park_disagreement(connection, id).await?;
        return Ok(Settled::Parked);
    }
    if flow.provider_state == ProviderState::Accepted {
        money_flow::set_provider_state(connection, id, ProviderState::Accepted, lookup_after(known)).await?;
    }
    let next = match flow.status.after(known.status) {
        Transition::Applied(next) => next,
        Transition::AlreadyApplied => return Ok(Settled::Unchanged),
        Transition::Rejected(refusal) => {
            tracing::error!(flow = id.get(), status = %flow.status, code = %refusal.code, "the broker's word is refused");
            metrics::count("RefusedTransitions", 1);
            return Ok(Settled::Unchanged);
        }
    };
    let failure = failure_code(next, known.status);
    money_flow::set_status(connection, id, next, failure).await?;
    let consequences = consequences(flow.direction, flow.status, next, known.status);
    follow(connection, &flow, consequences, failure).await?;
    Ok(Settled::Changed)
}

fn failure_code(status: MoneyFlowStatus, payment: PaymentStatus) -> Option<&'static str> {
    match (status, payment) {
        (MoneyFlowStatus::Failed, PaymentStatus::Returned) => Some("returned-by-bank"),
        (MoneyFlowStatus::Failed, _) => Some("declined-by-bank-or-broker"),
        _ => None,
    }
}

/// Writes what follows from a change, in the transaction of the change.
async fn follow(
    connection: &mut PgConnection,
    flow: &Flow,
    consequences: Consequences,
    failure: Option<&str>,
) -> Result<(), Error> {
    let now = SystemClock.now();
    let ended = MoneyFlowEnded::new(
        flow.id,
        flow.profile_id,
        flow.trading_account_id,
        flow.direction,
        flow.amount,
        failure.map(str::to_owned),
    );
    if consequences.succeeded {
        events::money_flow_ended(connection, events::MONEY_FLOW_SUCCEEDED, now, ended.clone()).await?;
    }
    if consequences.failed {
        events::money_flow_ended(connection, events::MONEY_FLOW_FAILED, now, ended).await?;
    }
    if consequences.cash_changed {
        let drivewealth_account_id = flow.drivewealth_account_id.clone();
        let changed = CashChanged {
            drivewealth_account_id,
            money_flow_id: flow.id,
            profile_id: flow.profile_id,
        };
        events::cash_changed(connection, now, changed).await?;
    }
    if consequences.suspend_deposits {
        accounts::suspend_deposits(connection, flow.profile_id, "a deposit was returned by the bank").await?;
        metrics::count("SuspendedProfiles", 1);
    }
    Ok(())
}

/// Records the broker's refusal.
async fn declined(connection: &mut PgConnection, flow: &Flow, decline: &Decline) -> Result<(), Error> {
    tracing::warn!(
        flow = flow.id.get(),
        code = decline.code,
        status = decline.status,
        "the broker declined"
    );
    let flow = money_flow::lock(connection, flow.id).await?;
    let code = decline_code(decline);
    if !money_flow::decline(connection, flow.id, code, &decline.code).await? {
        return Ok(());
    }
    let failed = Consequences {
        failed: true,
        ..Consequences::default()
    };
    follow(connection, &flow, failed, Some(code)).await
}

fn decline_code(decline: &Decline) -> &'static str {
    if decline.message.contains(DAILY_LIMIT_MESSAGE) {
        "daily-deposit-limit"
    } else if decline.code == BANK_TOKEN_INVALID {
        "bank-account-needs-reauth"
    } else {
        "declined-by-bank-or-broker"
    }
}

/// Keeps the flow open and says when it is looked up again; after the last look-up it is parked for a person.
async fn look_again(connection: &mut PgConnection, flow: &Flow) -> Result<(), Error> {
    match LookupLadder::STANDARD.next(flow.lookups, flow.created_at) {
        Next::At(at) => money_flow::set_next_lookup(connection, flow.id, at).await,
        Next::Park => give_up(connection, flow.id, "the broker's answer stayed unknown").await,
    }
}

/// Parks a flow whose outcome stays unknown, unless it has become known meanwhile.
pub(crate) async fn give_up(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    reason: &str,
) -> Result<(), Error> {
    if money_flow::set_provider_state(connection, flow, ProviderState::Parked, None).await? {
        tracing::error!(flow = flow.get(), reason, "the flow is parked for a person");
        metrics::count("ParkedPayments", 1);
    }
    Ok(())
}

/// The answer to the request that waits: kept once the broker's word is known, open until then.
async fn keep_answer(
    connection: &mut PgConnection,
    flow: &Flow,
    keyed: Option<&KeyedRequest>,
) -> Result<Answer, Error> {
    let view = MoneyFlowView::from(flow);
    let answer = match flow.provider_state {
        ProviderState::Accepted => KeptAnswer {
            status: 201,
            body: to_json(&view)?,
        },
        ProviderState::Declined => KeptAnswer {
            status: 422,
            body: to_json(&declined_problem(flow))?,
        },
        ProviderState::Intended | ProviderState::Unknown | ProviderState::Parked => {
            return Ok(Answer::Open(view));
        }
    };
    let Some(keyed) = keyed else {
        return Ok(Answer::Kept {
            answer,
            replayed: false,
        });
    };
    let kept = idempotency::keep(connection, keyed, answer).await?;
    Ok(Answer::Kept {
        answer: kept,
        replayed: false,
    })
}

fn declined_problem(flow: &Flow) -> Problem {
    let (field, detail) = match flow.failure_code.as_deref() {
        Some("daily-deposit-limit") => (
            "amount_cents",
            "The daily limit for deposits is reached. Try again tomorrow, or with a smaller amount.",
        ),
        Some("bank-account-needs-reauth") => (
            "bank_account_id",
            "The bank account needs to be linked again before money can be moved.",
        ),
        _ => (
            "bank_account_id",
            "The bank or the broker declined this. Check the account, or use another one.",
        ),
    };
    let code = flow
        .failure_code
        .as_deref()
        .unwrap_or("declined-by-bank-or-broker");
    Problem::new(422, code, detail).at(field, detail)
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Platform(error.into()))
}
