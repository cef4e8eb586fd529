//! Carrying a money flow out: lease, ask the broker, record its response.
//!
//! The lease makes sure that one instance at a time asks: two responses to one key that cross each other could be a yes and
//! a no. A lease that has passed is of an instance that died while it asked; from then on only a payment ends the doubt.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::MoneyFlowId;
use domain::trading::money_flow::{Direction, ProviderState};
use domain::trading::payment::PaymentStatus;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::idempotency::{self, KeyedRequest, Progress, Replayable, StoredResponse};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::drivewealth::{BANK_TOKEN_INVALID, KEY_MEMORY, Payment, PaymentOrder};
use providers::outcome::{Decline, Outcome, Reason};
use sqlx::PgConnection;
use tokio::time::sleep;
use uuid::Uuid;

use super::failure;
use super::record::PaymentRecorder;
use super::state;
use super::store::{self, Flow, Lease};
use super::view::{MoneyFlowReply, MoneyFlowView};
use crate::Error;
use crate::bank_account::{BankRenewals, Renewal};
use crate::broker::Broker;

/// Namespace of the idempotency keys that the broker gets.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6d6f_6e65_7461_4d46_8c1d_3f1e_52a0_9b77);
/// Kept back from a request's time to record the broker's response, or that there was none.
const RECORDING_TIME: Duration = Duration::from_secs(3);
/// The longest that the broker is asked in one go.
const MAX_CALL_TIME: Duration = Duration::from_secs(20);
/// With less than this left, nobody begins to ask: the broker's response would come too late.
const MIN_CALL_TIME: Duration = Duration::from_secs(1);
/// A request waits about this long, this often, for another one that has the lease on the same flow.
const LEASE_POLL: Duration = Duration::from_millis(200);
const LEASE_POLLS: u32 = 25;
/// Towards the end of the broker's memory of a key nobody relies on it: clocks differ.
const KEY_MEMORY_MARGIN: TimeDelta = TimeDelta::hours(1);

/// Carries money flows out at the broker.
#[derive(Debug)]
pub struct PaymentExecutor {
    database: Database,
    broker: Broker,
    payments: PaymentRecorder,
    renewals: BankRenewals,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(PaymentExecutor {
    database,
    broker,
    payments,
    renewals,
    relay,
    clock
});

impl PaymentExecutor {
    #[cfg(test)]
    pub(super) fn with_clock(self, clock: ClockHandle) -> Self {
        Self { clock, ..self }
    }

    /// Brings a request to its end, from how far it has come.
    ///
    /// # Errors
    /// When the database fails. The broker's failures are states of the flow.
    pub(super) async fn finish(
        &self,
        progress: Progress<MoneyFlowId>,
        request: &KeyedRequest,
        deadline: Deadline,
    ) -> Result<MoneyFlowReply, Error> {
        match progress {
            Progress::Answered(response) => Ok(MoneyFlowReply::Answered(Replayable::replayed(response))),
            Progress::Intended(id) => self.execute(id, Some(request), deadline).await,
        }
    }

    /// Asks the broker to carry the flow out, unless it is known to have it, and records its response; stores it under the
    /// key of the `request` that waits for it.
    ///
    /// # Errors
    /// When the database fails. The broker's failures are states of the flow.
    pub async fn execute(
        &self,
        id: MoneyFlowId,
        request: Option<&KeyedRequest>,
        deadline: Deadline,
    ) -> Result<MoneyFlowReply, Error> {
        let mut polls = if request.is_some() { LEASE_POLLS } else { 0 };
        loop {
            let call_time = deadline.earlier_by(RECORDING_TIME).left().min(MAX_CALL_TIME);
            let is_in_time = call_time >= MIN_CALL_TIME;
            if is_in_time && let Some(lease) = self.try_lease(id, call_time + RECORDING_TIME).await? {
                let call_deadline = Deadline::after(call_time);
                return self
                    .call_and_record(lease, request, call_deadline, deadline)
                    .await;
            }
            let flow = self.load(id).await?;
            if !flow.provider_state.needs_call() {
                return self.reply_to(&flow, request).await;
            }
            if flow.created_at <= self.forgotten_at() {
                return self.give_up_forgotten(id).await;
            }
            if !is_in_time || polls == 0 {
                return Ok(MoneyFlowReply::Pending(MoneyFlowView::from(&flow)));
            }
            polls -= 1;
            sleep(LEASE_POLL).await;
        }
    }

    async fn try_lease(&self, id: MoneyFlowId, time: Duration) -> Result<Option<Lease>, Error> {
        let now = self.clock.now();
        let until = now + time;
        let forgotten_at = self.forgotten_at();
        self.database
            .with(async |connection| store::try_lease(connection, id, now, until, forgotten_at).await)
            .await
    }

    /// The key of a flow that was created then, or earlier, may be forgotten by the broker.
    fn forgotten_at(&self) -> DateTime<Utc> {
        self.clock.now() - (KEY_MEMORY - KEY_MEMORY_MARGIN)
    }

    /// The broker isn't asked any more under a key that it may have forgotten: the flow could be done twice.
    async fn give_up_forgotten(&self, id: MoneyFlowId) -> Result<MoneyFlowReply, Error> {
        let now = self.clock.now();
        let flow = self
            .database
            .transaction(async |connection| {
                state::give_up(connection, id, "the broker has forgotten the request's key", now).await
            })
            .await?;
        Ok(MoneyFlowReply::Pending(MoneyFlowView::from(&flow)))
    }

    async fn call_and_record(
        &self,
        lease: Lease,
        request: Option<&KeyedRequest>,
        call_deadline: Deadline,
        deadline: Deadline,
    ) -> Result<MoneyFlowReply, Error> {
        let outcome = self.call_or_renew(&lease, call_deadline).await?;
        let to_approve = match &outcome {
            Outcome::Done(payment) if payment.status == PaymentStatus::AwaitingApproval => {
                Some(payment.id.clone())
            }
            _ => None,
        };
        let reply = self.record(&lease.flow, outcome, request).await?;
        if let Some(payment) = to_approve {
            // The event that asks for approval may have come before it was known whose payment it is.
            if let Err(error) = self.payments.approve(&payment, deadline).await {
                let id = lease.flow.id;
                tracing::warn!(money_flow_id = %id, error = chain(&error), "approving a redemption failed");
            }
        }
        self.relay.wake().await;
        Ok(reply)
    }

    /// Asks the broker. A bank account whose token it refuses is renewed, once for each flow, and it is asked again, under
    /// another key, since it remembers its refusal under the first.
    async fn call_or_renew(&self, lease: &Lease, deadline: Deadline) -> Result<Outcome<Payment>, Error> {
        let flow = &lease.flow;
        let bank_account = flow.drivewealth_bank_account_id.as_ref();
        if flow.refused_bank_account.is_none() || flow.refused_bank_account.as_ref() != bank_account {
            let outcome = downgrade_if_unknown(lease, self.call(flow, deadline).await);
            let is_refused = match &outcome {
                Outcome::Declined(decline) if decline.code == BANK_TOKEN_INVALID => true,
                // Another flow may have renewed it meanwhile.
                Outcome::Declined(_) => {
                    self.load(flow.id).await?.drivewealth_bank_account_id.as_ref() != bank_account
                }
                _ => false,
            };
            match bank_account {
                Some(refused) if is_refused && flow.refused_bank_account.is_none() => {
                    self.database
                        .with(async |connection| store::set_token_refused(connection, flow.id, refused).await)
                        .await?;
                }
                _ => return Ok(outcome),
            }
        }
        let Some(refused) = bank_account else {
            return Ok(self.call(flow, deadline).await);
        };
        Ok(
            match self
                .renewals
                .renew(flow.bank_account_id, refused, deadline)
                .await?
            {
                Renewal::Renewed => {
                    let renewed = self.load(flow.id).await?;
                    downgrade_if_unknown(lease, self.call(&renewed, deadline).await)
                }
                Renewal::Impossible => Outcome::Declined(Decline::new(
                    BANK_TOKEN_INVALID,
                    "the bank token is refused and can't be renewed",
                    400,
                )),
                Renewal::Later(reason) => Outcome::Retryable(reason),
            },
        )
    }

    async fn call(&self, flow: &Flow, deadline: Deadline) -> Outcome<Payment> {
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
            amount: flow.amount(),
            idempotency_key: idempotency_key(flow),
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
        request: Option<&KeyedRequest>,
    ) -> Result<MoneyFlowReply, Error> {
        report(flow, &outcome);
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let flow = match &outcome {
                    Outcome::Done(payment) => state::accept(connection, flow, payment, now).await?,
                    Outcome::Declined(decline) => state::decline(connection, flow, decline, now).await?,
                    Outcome::Retryable(reason) => {
                        state::look_up_later(connection, flow, false, &reason.0, now).await?
                    }
                    Outcome::Unknown(reason) => {
                        state::look_up_later(connection, flow, true, &reason.0, now).await?
                    }
                };
                store_reply(connection, &flow, request).await
            })
            .await
    }

    async fn reply_to(&self, flow: &Flow, request: Option<&KeyedRequest>) -> Result<MoneyFlowReply, Error> {
        self.database
            .with(async |connection| store_reply(connection, flow, request).await)
            .await
    }

    async fn load(&self, id: MoneyFlowId) -> Result<Flow, Error> {
        self.database
            .with(async |connection| store::load(connection, id).await)
            .await
    }
}

/// Logs and counts an outcome that leaves the flow open.
fn report(flow: &Flow, outcome: &Outcome<Payment>) {
    match outcome {
        Outcome::Done(_) | Outcome::Declined(_) => {}
        Outcome::Retryable(reason) => {
            tracing::warn!(money_flow_id = %flow.id, %reason, "the broker was not reached for a money flow");
        }
        Outcome::Unknown(reason) => {
            tracing::error!(money_flow_id = %flow.id, %reason, "the broker's response to a money flow is unknown");
            metrics::count_with("UnknownOutcomes", 1, &[("provider", "drivewealth")]);
        }
    }
}

/// The reply to the request that waits: stored under its key once the broker has accepted or declined, pending until then.
async fn store_reply(
    connection: &mut PgConnection,
    flow: &Flow,
    request: Option<&KeyedRequest>,
) -> Result<MoneyFlowReply, Error> {
    let view = MoneyFlowView::from(flow);
    let Some(request) = request else {
        return Ok(MoneyFlowReply::Pending(view));
    };
    let stored: StoredResponse = match flow.provider_state {
        ProviderState::Accepted => idempotency::store_response(connection, request, 201, &view).await?,
        ProviderState::Declined => {
            let problem = failure::problem(flow.failure_code.as_deref());
            idempotency::store_response(connection, request, 422, &problem).await?
        }
        ProviderState::Intended | ProviderState::Unknown | ProviderState::Parked => {
            return Ok(MoneyFlowReply::Pending(view));
        }
    };
    Ok(MoneyFlowReply::Answered(Replayable::new(stored)))
}

/// The key under which the broker is asked for a flow, the same for every attempt; another one once it has refused the bank
/// account's token.
fn idempotency_key(flow: &Flow) -> Uuid {
    let name = match &flow.refused_bank_account {
        None => format!("money-flow/{}", flow.id),
        Some(refused) => format!("money-flow/{}/{refused}", flow.id),
    };
    Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes())
}

/// After an attempt of which nothing is known only a payment is an outcome: a refusal may be about that attempt, and one
/// that was not made says nothing about it. A refusal that isn't the customer's fault leaves the flow open for a person.
fn downgrade_if_unknown(lease: &Lease, outcome: Outcome<Payment>) -> Outcome<Payment> {
    match outcome {
        Outcome::Declined(decline) if lease.previous_attempt_unknown => Outcome::Unknown(Reason(format!(
            "an earlier attempt may have gone through; this one was refused with code {} (status {})",
            decline.code, decline.status
        ))),
        Outcome::Declined(decline) if !failure::is_about_the_customer(&decline) => {
            Outcome::Unknown(Reason(format!(
                "refused with code {} (status {}), which is no fault of the customer's",
                decline.code, decline.status
            )))
        }
        Outcome::Retryable(reason) if lease.previous_attempt_unknown => Outcome::Unknown(reason),
        outcome => outcome,
    }
}
