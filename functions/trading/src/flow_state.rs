//! What the broker's word makes of a flow, within the caller's transaction.
//!
//! Locks are taken in the order payment, flow, profile. What contradicts our record, or what the broker said before, moves
//! nothing: the flow is parked, and a person looks.

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;
use domain::ids::MoneyFlowId;
use domain::lookup::{LookupSchedule, Next};
use domain::trading::money_flow::{
    Consequences, MoneyFlowStatus, ProviderState, UNRECOGNISED_STATUS, consequences, suspends_deposits,
};
use domain::trading::payment::PaymentStatus;
use domain::transition::{Refusal, Transition};
use platform::clock::SystemClock;
use platform::observability::metrics;
use providers::drivewealth::Payment;
use providers::outcome::Decline;
use sqlx::PgConnection;

use crate::Error;
use crate::answer::{DECLINED, NEEDS_SIGN_IN, RETURNED, decline_code};
use crate::events::{self, CashChanged, MoneyFlowEnded};
use crate::settlement::Settled;
use crate::store::money_flow::{self, Flow};
use crate::store::payments::{self, KnownPayment};
use crate::store::{accounts, bank_accounts};

/// A redemption that waits for our approval is looked at again after this.
const APPROVAL_LOOKUP: TimeDelta = TimeDelta::minutes(5);

/// Links the broker's payment to the flow and takes over the newest that is known of it.
pub(crate) async fn link(connection: &mut PgConnection, flow: &Flow, payment: &Payment) -> Result<(), Error> {
    let known = payments::keep_newest(connection, flow.direction, payment, Some(flow.id)).await?;
    if known.money_flow_id != Some(flow.id) {
        return park(
            connection,
            flow.id,
            "the broker's payment belongs to another flow",
        )
        .await;
    }
    let accepted = ProviderState::Accepted;
    let is_accepted =
        money_flow::set_provider_state(connection, flow.id, accepted, lookup_after(&known)).await?;
    if !is_accepted {
        let reason = "the broker has a payment of a flow that was given up or declined";
        return park(connection, flow.id, reason).await;
    }
    apply(connection, flow.id, &known, payment).await?;
    Ok(())
}

/// Parks the flow for a person, once.
async fn park(connection: &mut PgConnection, id: MoneyFlowId, reason: &str) -> Result<(), Error> {
    let flow = money_flow::lock(connection, id).await?;
    if flow.provider_state != ProviderState::Parked {
        tracing::error!(flow = id.get(), reason, "the flow is parked for a person");
        metrics::count("ParkedPayments", 1);
        money_flow::park(connection, id, reason).await?;
    }
    Ok(())
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
pub(crate) async fn apply(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    known: &KnownPayment,
    payment: &Payment,
) -> Result<Settled, Error> {
    let flow = money_flow::lock(connection, id).await?;
    // The bank has taken money back, whatever else is known of the flow.
    if known.is_newly_returned && suspends_deposits(flow.direction, known.status) {
        suspend_deposits(connection, &flow).await?;
    }
    if flow.provider_state == ProviderState::Parked {
        return Ok(Settled::Parked);
    }
    if !agrees(&flow, known, payment) {
        park(connection, id, "the broker's payment disagrees with the request").await?;
        return Ok(Settled::Parked);
    }
    if flow.provider_state == ProviderState::Accepted {
        money_flow::set_provider_state(connection, id, ProviderState::Accepted, lookup_after(known)).await?;
    }
    match flow.status.after(known.status) {
        Transition::Applied(next) => change(connection, &flow, next, known.status).await,
        Transition::AlreadyApplied => Ok(Settled::Unchanged),
        Transition::Rejected(refusal) => contradicted(connection, &flow, refusal).await,
    }
}

async fn change(
    connection: &mut PgConnection,
    flow: &Flow,
    next: MoneyFlowStatus,
    payment: PaymentStatus,
) -> Result<Settled, Error> {
    let failure = failure_code(next, payment);
    money_flow::set_status(connection, flow.id, next, failure).await?;
    let consequences = consequences(flow.direction, flow.status, next, payment);
    follow(connection, flow, consequences, failure).await?;
    Ok(Settled::Changed)
}

/// The broker takes a final word back, or says one that nobody knows.
async fn contradicted(
    connection: &mut PgConnection,
    flow: &Flow,
    refusal: Refusal,
) -> Result<Settled, Error> {
    let code = refusal.code;
    tracing::error!(flow = flow.id.get(), status = %flow.status, %code, "the broker's word is refused");
    metrics::count("RefusedTransitions", 1);
    if code == UNRECOGNISED_STATUS {
        return Ok(Settled::Unchanged);
    }
    park(connection, flow.id, "the broker contradicts what it said before").await?;
    Ok(Settled::Parked)
}

fn failure_code(status: MoneyFlowStatus, payment: PaymentStatus) -> Option<&'static str> {
    match (status, payment) {
        (MoneyFlowStatus::Failed, PaymentStatus::Returned) => Some(RETURNED),
        (MoneyFlowStatus::Failed, _) => Some(DECLINED),
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
        suspend_deposits(connection, flow).await?;
    }
    Ok(())
}

async fn suspend_deposits(connection: &mut PgConnection, flow: &Flow) -> Result<(), Error> {
    metrics::count("SuspendedProfiles", 1);
    accounts::suspend_deposits(connection, flow.profile_id, "a deposit was returned by the bank").await
}

/// Records the broker's refusal.
pub(crate) async fn declined(
    connection: &mut PgConnection,
    flow: &Flow,
    decline: &Decline,
) -> Result<(), Error> {
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
    if code == NEEDS_SIGN_IN {
        bank_accounts::set_account_needs_sign_in(connection, flow.bank_account_id).await?;
    }
    let failed = Consequences {
        failed: true,
        ..Consequences::default()
    };
    follow(connection, &flow, failed, Some(code)).await
}

/// Keeps the flow open and says when it is looked up again; after the last look-up it is parked for a person, with the
/// last that was heard as the reason.
pub(crate) async fn look_again(
    connection: &mut PgConnection,
    flow: &Flow,
    reason: &str,
) -> Result<(), Error> {
    match LookupSchedule::STANDARD.next(flow.lookups, flow.created_at, SystemClock.now()) {
        Next::At(at) => money_flow::set_next_lookup(connection, flow.id, at).await,
        Next::GiveUp => {
            let reason = format!("what became of it stayed unknown: {reason}");
            give_up(connection, flow.id, &reason).await
        }
    }
}

/// Parks a flow whose outcome stays unknown, unless it has become known meanwhile.
pub(crate) async fn give_up(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    reason: &str,
) -> Result<(), Error> {
    let flow = money_flow::lock(connection, id).await?;
    if flow.provider_state.needs_asking() {
        park(connection, id, reason).await?;
    }
    Ok(())
}
