//! A flow's state, as the broker's responses and reports change it, within the caller's transaction.
//!
//! Locks are taken in the order payment, flow, profile. A report that contradicts our record, or an earlier report, changes
//! no status: the flow goes into manual review.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{DriveWealthPaymentId, MoneyFlowId};
use domain::lookup::{LookupSchedule, Next};
use domain::trading::money_flow::{
    Consequences, Direction, MoneyFlowStatus, ProviderState, UNRECOGNISED_STATUS, consequences,
    suspends_deposits,
};
use domain::trading::payment::PaymentStatus;
use domain::transition::{Refusal, Transition};
use platform::observability::metrics;
use providers::drivewealth::Payment;
use providers::outcome::Decline;
use sqlx::PgConnection;

use super::failure;
use super::store::payment::{self, KnownPayment};
use super::store::{self, Flow};
use crate::events::{self, CashChanged, DepositsSuspended, MoneyFlowChanged, MoneyFlowEnded};
use crate::review::{self, ReviewedFlow};
use crate::{Error, account, bank_account};

/// A redemption that waits for our approval is looked up after this.
const APPROVAL_LOOKUP: TimeDelta = TimeDelta::minutes(5);

/// The effect of a report about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The event was recorded before: nothing is done.
    Duplicate,
    /// The payment belongs to no flow that is known.
    NotOurs,
    /// The flow stays as it is.
    Unchanged,
    /// The flow's status is another now.
    Changed,
    /// The payment contradicts the flow, which is in manual review.
    NeedsReview,
}

/// Records what the broker reports of a payment, and applies it to the flow that it belongs to.
pub(super) async fn record(
    connection: &mut PgConnection,
    direction: Direction,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<Recorded, Error> {
    let known = payment::upsert_newest(connection, direction, payment, None, now).await?;
    let Some(flow) = known.money_flow_id else {
        return Ok(Recorded::NotOurs);
    };
    let mut flow = store::lock(connection, flow).await?;
    apply(connection, &mut flow, &known, payment, now).await
}

/// Records that the broker has carried the order out as this payment: links the two, and applies the newest that is known
/// of the payment. Gives the flow as it is then.
pub(super) async fn accept(
    connection: &mut PgConnection,
    ordered: &Flow,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<Flow, Error> {
    let id = ordered.id;
    let known = payment::upsert_newest(connection, ordered.direction, payment, Some(id), now).await?;
    if known.money_flow_id != Some(id) {
        let reason = "the broker's payment belongs to another flow";
        return lock_for_review(connection, id, reason, now).await;
    }
    let Some(mut flow) = store::accept(connection, id, lookup_after(&known, now)).await? else {
        let reason = "the broker has a payment of a flow that was given up or declined";
        return lock_for_review(connection, id, reason, now).await;
    };
    apply(connection, &mut flow, &known, payment, now).await?;
    Ok(flow)
}

/// Applies a payment to its flow, which is locked. A payment of another amount, currency or account changes no status.
async fn apply(
    connection: &mut PgConnection,
    flow: &mut Flow,
    known: &KnownPayment,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<Recorded, Error> {
    // The bank has taken money back, whatever else is known of the flow.
    if known.is_newly_returned && suspends_deposits(flow.direction, known.status) {
        suspend_deposits(connection, flow, now).await?;
    }
    if flow.provider_state == ProviderState::Parked {
        return Ok(Recorded::NeedsReview);
    }
    if !agrees(flow, known, payment) {
        put_into_review(
            connection,
            flow,
            "the broker's payment disagrees with the request",
            now,
        )
        .await?;
        return Ok(Recorded::NeedsReview);
    }
    let next_lookup_at = lookup_after(known, now);
    if flow.provider_state == ProviderState::Accepted && flow.next_lookup_at != next_lookup_at {
        store::set_next_lookup(connection, flow.id, next_lookup_at).await?;
        flow.next_lookup_at = next_lookup_at;
    }
    match flow.status.after(known.status) {
        Transition::Applied(next) => {
            change(connection, flow, next, known.status, now).await?;
            Ok(Recorded::Changed)
        }
        Transition::AlreadyApplied => Ok(Recorded::Unchanged),
        Transition::Rejected(refusal) => contradicted(connection, flow, refusal, now).await,
    }
}

/// Whether amount, currency and account of a payment are the flow's. Some responses leave the account out.
fn agrees(flow: &Flow, known: &KnownPayment, payment: &Payment) -> bool {
    let same_account = |id: &str| id == flow.drivewealth_account_id.as_str();
    known.amount == flow.amount()
        && payment.amount == flow.amount()
        && known.account_id.as_deref().is_none_or(same_account)
        && payment
            .account_id
            .as_ref()
            .is_none_or(|id| same_account(id.as_str()))
}

fn lookup_after(known: &KnownPayment, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (known.status == PaymentStatus::AwaitingApproval).then_some(now + APPROVAL_LOOKUP)
}

async fn change(
    connection: &mut PgConnection,
    flow: &mut Flow,
    next: MoneyFlowStatus,
    payment: PaymentStatus,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let failure = failure::code_of_payment(next, payment);
    store::set_status(connection, flow.id, next, failure, now).await?;
    let consequences = consequences(flow.direction, flow.status, next, payment);
    flow.status = next;
    flow.failure_code = failure.map(str::to_owned);
    flow.updated_at = now;
    follow_up(connection, flow, consequences, now).await
}

/// The broker takes a final status back, or reports one that nobody knows.
async fn contradicted(
    connection: &mut PgConnection,
    flow: &mut Flow,
    refusal: Refusal,
    now: DateTime<Utc>,
) -> Result<Recorded, Error> {
    let code = refusal.code;
    tracing::error!(money_flow_id = %flow.id, status = %flow.status, %code, "refused the broker's status of a payment");
    metrics::count("RefusedTransitions", 1);
    if code == UNRECOGNISED_STATUS {
        return Ok(Recorded::Unchanged);
    }
    let reason = "the broker contradicts what it said before";
    put_into_review(connection, flow, reason, now).await?;
    Ok(Recorded::NeedsReview)
}

/// Writes what follows from a change, in the transaction of the change.
async fn follow_up(
    connection: &mut PgConnection,
    flow: &Flow,
    consequences: Consequences,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ended = MoneyFlowEnded::new(
        flow.id,
        flow.profile_id,
        flow.trading_account_id,
        flow.direction,
        flow.amount(),
        flow.failure_code.clone(),
    );
    if consequences.succeeded {
        let ended = ended.clone();
        events::publish_money_flow_ended(connection, events::MONEY_FLOW_SUCCEEDED, now, ended).await?;
    }
    if consequences.failed {
        events::publish_money_flow_ended(connection, events::MONEY_FLOW_FAILED, now, ended).await?;
    }
    if consequences.cash_changed {
        let changed = CashChanged {
            drivewealth_account_id: flow.drivewealth_account_id.clone(),
            money_flow_id: flow.id,
            profile_id: flow.profile_id,
        };
        events::publish_cash_changed(connection, now, changed).await?;
    }
    if consequences.suspend_deposits {
        suspend_deposits(connection, flow, now).await?;
    }
    publish_changed(connection, flow, now).await
}

/// Publishes what its owner sees of a flow now.
async fn publish_changed(
    connection: &mut PgConnection,
    flow: &Flow,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let changed = MoneyFlowChanged {
        profile_id: flow.profile_id,
        id: flow.id,
        direction: flow.direction,
        trading_account_id: flow.trading_account_id,
        bank_account_id: flow.bank_account_id,
        amount_cents: flow.amount_cents,
        currency: flow.currency.code(),
        status: flow.status,
        failure_code: flow.failure_code.clone(),
        under_review: flow.provider_state == ProviderState::Parked,
        created_at: flow.created_at,
        updated_at: now,
    };
    events::publish_money_flow_changed(connection, changed).await
}

async fn suspend_deposits(
    connection: &mut PgConnection,
    flow: &Flow,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if !account::store::suspend_deposits(connection, flow.profile_id, DEPOSIT_RETURNED, now).await? {
        return Ok(());
    }
    metrics::count("SuspendedProfiles", 1);
    review::deposits_suspended(connection, flow.profile_id, flow.id, flow.amount(), now).await?;
    let suspended = DepositsSuspended {
        profile_id: flow.profile_id,
        money_flow_id: Some(flow.id),
        reason: events::DEPOSIT_RETURNED.to_owned(),
        amount_cents: flow.amount_cents,
        currency: flow.currency.code().to_owned(),
    };
    events::publish_deposits_suspended(connection, now, suspended).await
}

/// What a person has decided about a flow that was put into manual review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is this payment of the broker's.
    IsPayment(DriveWealthPaymentId),
    /// The broker never made it, and won't.
    NotMade,
    /// It is settled with the broker, and stays as it is.
    Settled,
}

/// What became of a ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruled {
    /// It was applied.
    Applied,
    /// The flow doesn't wait for a person.
    NotInReview,
    /// There is no such payment, or it belongs to another flow.
    NoSuchPayment,
    /// The flow has ended, or hasn't; the ruling is for the other case.
    DoesNotFit,
}

/// Applies what a person has decided, with the events that follow.
pub(crate) async fn rule(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    ruling: &Ruling,
    now: DateTime<Utc>,
) -> Result<Ruled, Error> {
    let direction = store::load(connection, id).await?.direction;
    // Payments are locked before flows.
    if let Ruling::IsPayment(payment) = ruling
        && !payment::link(connection, direction, payment, id).await?
    {
        return Ok(Ruled::NoSuchPayment);
    }
    if let Ruling::IsPayment(payment) = ruling {
        review::settle_foreign_payment(connection, payment, id, now).await?;
    }
    let mut flow = store::lock(connection, id).await?;
    if flow.provider_state != ProviderState::Parked {
        return Ok(Ruled::NotInReview);
    }
    match ruling {
        Ruling::IsPayment(_) if flow.status.is_open() => {
            store::take_up(connection, id, Some(now), now).await?;
            flow.provider_state = ProviderState::Accepted;
            publish_changed(connection, &flow, now).await?;
        }
        Ruling::NotMade if flow.status.is_open() => {
            store::rule_out(connection, id, failure::DECLINED, now).await?;
            flow.provider_state = ProviderState::Declined;
            flow.status = MoneyFlowStatus::Failed;
            flow.failure_code = Some(failure::DECLINED.to_owned());
            let failed = Consequences {
                failed: true,
                ..Consequences::default()
            };
            follow_up(connection, &flow, failed, now).await?;
        }
        Ruling::Settled if !flow.status.is_open() => {
            store::take_up(connection, id, None, now).await?;
            flow.provider_state = ProviderState::Accepted;
            publish_changed(connection, &flow, now).await?;
        }
        _ => return Ok(Ruled::DoesNotFit),
    }
    Ok(Ruled::Applied)
}

/// Why deposits are suspended, as the API says it.
const DEPOSIT_RETURNED: &str = "a deposit was returned by the bank";

/// Records that the broker declined the order, unless its outcome has become known otherwise.
pub(super) async fn decline(
    connection: &mut PgConnection,
    ordered: &Flow,
    decline: &Decline,
    now: DateTime<Utc>,
) -> Result<Flow, Error> {
    tracing::warn!(
        money_flow_id = %ordered.id,
        code = decline.code,
        status = decline.status,
        "the broker declined a money flow"
    );
    let code = failure::code_of(decline);
    let Some(flow) = store::decline(connection, ordered.id, code, &decline.code, now).await? else {
        return store::load(connection, ordered.id).await;
    };
    if code == failure::NEEDS_SIGN_IN {
        bank_account::store::set_token_invalid(connection, flow.bank_account_id, now).await?;
    }
    let failed = Consequences {
        failed: true,
        ..Consequences::default()
    };
    follow_up(connection, &flow, failed, now).await?;
    Ok(flow)
}

/// Leaves the outcome of the order open, and sets when it is looked up; after the last look-up the flow goes into manual
/// review, with the last failure as the reason. `may_be_made`: the order may have reached the broker.
pub(super) async fn look_up_later(
    connection: &mut PgConnection,
    ordered: &Flow,
    may_be_made: bool,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Flow, Error> {
    let lookups = u32::try_from(ordered.lookups).unwrap_or(u32::MAX);
    match LookupSchedule::STANDARD.next(lookups, ordered.created_at, now) {
        Next::At(at) => match store::leave_open(connection, ordered.id, may_be_made, at).await? {
            Some(flow) => Ok(flow),
            None => store::load(connection, ordered.id).await,
        },
        Next::GiveUp => {
            let reason = format!("what became of it stayed unknown: {reason}");
            give_up(connection, ordered.id, &reason, now).await
        }
    }
}

/// Puts a flow whose outcome stays unknown into manual review, unless it has become known meanwhile.
pub(super) async fn give_up(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Flow, Error> {
    let mut flow = store::lock(connection, id).await?;
    if flow.provider_state.needs_call() {
        put_into_review(connection, &mut flow, reason, now).await?;
    }
    Ok(flow)
}

async fn lock_for_review(
    connection: &mut PgConnection,
    id: MoneyFlowId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Flow, Error> {
    let mut flow = store::lock(connection, id).await?;
    put_into_review(connection, &mut flow, reason, now).await?;
    Ok(flow)
}

/// Puts the flow, which is locked, into manual review; the first reason stays.
async fn put_into_review(
    connection: &mut PgConnection,
    flow: &mut Flow,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if flow.provider_state == ProviderState::Parked {
        return Ok(());
    }
    tracing::error!(money_flow_id = %flow.id, reason, "put a money flow into manual review");
    metrics::count("ParkedPayments", 1);
    store::set_needs_review(connection, flow.id, reason, now).await?;
    let reviewed = ReviewedFlow {
        id: flow.id,
        profile: flow.profile_id,
        direction: flow.direction,
        amount: flow.amount(),
        is_open: flow.status.is_open(),
        status: flow.status.name(),
        payment: flow.payment_id.as_ref(),
        created_at: flow.created_at,
    };
    review::money_flow(connection, &reviewed, reason, now).await?;
    flow.provider_state = ProviderState::Parked;
    flow.next_lookup_at = None;
    flow.lease_until = None;
    flow.updated_at = now;
    publish_changed(connection, flow, now).await
}
