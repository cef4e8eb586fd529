//! Events that funded accounts publish, each on the Kafka topic of its own name; what a trader is to be told also goes to the
//! feed of his profile or, where he has none, to his mailbox. Events of one account come in order.

use chrono::{DateTime, Utc};
use domain::funded::live::Breach;
use domain::funded::rules::{Rule, RuleEvaluation, RuleStatus};
use domain::ids::{AssessmentId, FundedAccountId, ProfileId, TierId, UserId, WithdrawalId};
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::withdrawal::row::Withdrawal;

const CREATED: &str = "funded-account.created";
const ACTIVATED: &str = "funded-account.activated";
const WARNED: &str = "funded-account.warned";
const CLOSED: &str = "funded-account.closed";
const VIOLATION: &str = "rules.violation-detected";
pub(crate) const WITHDRAWAL_REQUESTED: &str = "withdrawal.requested";
pub(crate) const WITHDRAWAL_APPROVED: &str = "withdrawal.approved";
pub(crate) const WITHDRAWAL_COMPLETED: &str = "withdrawal.completed";
pub(crate) const WITHDRAWAL_REJECTED: &str = "withdrawal.rejected";
pub(crate) const WITHDRAWAL_RETURNED: &str = "withdrawal.returned";
pub(crate) const WITHDRAWAL_FAILED: &str = "withdrawal.failed";
pub(crate) const WITHDRAWAL_CANCELED: &str = "withdrawal.canceled";
/// What a trader isn't told: he did it himself a moment ago.
const NOT_FOR_FEED: [&str; 2] = [WITHDRAWAL_REQUESTED, WITHDRAWAL_CANCELED];
const STEP_DUE: &str = "withdrawal.step-due";
const STEPS: Destination = Destination::Queue("withdrawal-steps");
const FEED: Destination = Destination::Queue("domain-events");

/// Whose account it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Owner {
    pub(crate) funded_account_id: FundedAccountId,
    pub(crate) user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile_id: Option<ProfileId>,
}

/// An account that has begun.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Activated {
    #[serde(flatten)]
    pub(crate) owner: Owner,
    pub(crate) assessment_id: AssessmentId,
    pub(crate) tier_id: TierId,
    pub(crate) starting_balance_cents: i64,
    pub(crate) currency: &'static str,
    pub(crate) activated_at: DateTime<Utc>,
}

/// A rule that is close to its threshold.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    pub(crate) owner: Owner,
    pub(crate) evaluation: RuleEvaluation,
    pub(crate) at: DateTime<Utc>,
}

/// An account that a rule has closed.
#[derive(Debug, Clone)]
pub(crate) struct Closure {
    pub(crate) owner: Owner,
    pub(crate) breach: Breach,
}

#[derive(Debug, Serialize)]
struct WarningPayload<'a> {
    #[serde(flatten)]
    owner: &'a Owner,
    rule: Rule,
    level: RuleStatus,
    value: String,
    threshold: String,
    at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct ClosurePayload<'a> {
    #[serde(flatten)]
    owner: &'a Owner,
    rule: Rule,
    value: String,
    threshold: String,
    epoch: i64,
    sequence: i64,
    at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct WithdrawalPayload {
    #[serde(flatten)]
    owner: Owner,
    withdrawal_id: WithdrawalId,
    amount_cents: i64,
    gross_cents: i64,
    currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct StepPayload {
    withdrawal_id: WithdrawalId,
}

/// Tells of an account that has begun.
pub(crate) async fn publish_activation(
    connection: &mut PgConnection,
    activated: &Activated,
) -> Result<(), Error> {
    for (kind, topic) in [
        (CREATED, Destination::Topic(CREATED)),
        (ACTIVATED, Destination::Topic(ACTIVATED)),
    ] {
        let event = Envelope::new(kind, key(&activated.owner), activated.activated_at, activated);
        outbox::publish(connection, &event, &[topic]).await?;
    }
    Ok(())
}

/// Tells of rules that are close to their thresholds.
pub(crate) async fn publish_warnings<'a>(
    connection: &mut PgConnection,
    warnings: &'a [Warning],
) -> Result<(), Error> {
    let payload = |warning: &'a Warning| {
        let Warning {
            owner,
            evaluation,
            at,
        } = warning;
        WarningPayload {
            owner,
            rule: evaluation.rule,
            level: evaluation.status,
            value: evaluation.value.to_string(),
            threshold: evaluation.threshold.to_string(),
            at: *at,
        }
    };
    let payloads: Vec<_> = warnings.iter().map(payload).collect();
    let all = payloads
        .iter()
        .map(|payload| (payload.owner, payload.at, payload));
    publish(connection, WARNED, Destination::Topic(WARNED), true, all).await
}

/// Tells of violations and the accounts that they closed.
pub(crate) async fn publish_closures<'a>(
    connection: &mut PgConnection,
    closures: &'a [Closure],
) -> Result<(), Error> {
    let payload = |closure: &'a Closure| {
        let Closure { owner, breach } = closure;
        ClosurePayload {
            owner,
            rule: breach.rule,
            value: breach.value.to_string(),
            threshold: breach.threshold.to_string(),
            epoch: breach.place.epoch,
            sequence: breach.place.sequence,
            at: breach.at,
        }
    };
    let payloads: Vec<_> = closures.iter().map(payload).collect();
    let all = || {
        payloads
            .iter()
            .map(|payload| (payload.owner, payload.at, payload))
    };
    publish(connection, VIOLATION, Destination::Topic(VIOLATION), false, all()).await?;
    publish(connection, CLOSED, Destination::Topic(CLOSED), true, all()).await
}

/// Tells of a withdrawal.
pub(crate) async fn publish_withdrawal(
    connection: &mut PgConnection,
    kind: &'static str,
    withdrawal: &Withdrawal,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    publish_withdrawals(connection, kind, std::slice::from_ref(withdrawal), reason, now).await
}

/// Tells the same of withdrawals.
pub(crate) async fn publish_withdrawals(
    connection: &mut PgConnection,
    kind: &'static str,
    withdrawals: &[Withdrawal],
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let payload = |withdrawal: &Withdrawal| WithdrawalPayload {
        owner: Owner {
            funded_account_id: withdrawal.funded_account_id,
            user_id: withdrawal.user_id,
            profile_id: withdrawal.profile_id,
        },
        withdrawal_id: withdrawal.id,
        amount_cents: withdrawal.amount_cents,
        gross_cents: withdrawal.gross_cents,
        currency: "USD",
        reason: reason.map(str::to_owned),
    };
    let payloads: Vec<_> = withdrawals.iter().map(payload).collect();
    let all = payloads.iter().map(|payload| (&payload.owner, now, payload));
    let is_for_feed = !NOT_FOR_FEED.contains(&kind);
    publish(connection, kind, Destination::Topic(kind), is_for_feed, all).await
}

/// The next step of a withdrawal is due.
pub(crate) async fn publish_step(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    publish_steps(connection, &[withdrawal.id], now).await
}

/// The next steps of withdrawals are due.
pub(crate) async fn publish_steps(
    connection: &mut PgConnection,
    withdrawals: &[WithdrawalId],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if withdrawals.is_empty() {
        return Ok(());
    }
    let step = |id: &WithdrawalId| {
        let due = StepPayload { withdrawal_id: *id };
        Envelope::new(STEP_DUE, format!("withdrawal-{id}"), now, due)
    };
    let steps: Vec<_> = withdrawals.iter().map(step).collect();
    Ok(outbox::publish_all(connection, &steps, &[STEPS]).await?)
}

/// Publishes events of many accounts on their topic and, where traders are to be told, to their feeds: one statement.
async fn publish<'a, T: Serialize + 'a>(
    connection: &mut PgConnection,
    kind: &str,
    topic: Destination,
    is_for_feed: bool,
    payloads: impl Iterator<Item = (&'a Owner, DateTime<Utc>, &'a T)>,
) -> Result<(), Error> {
    let events: Vec<_> = payloads
        .map(|(owner, at, payload)| Envelope::new(kind, key(owner), at, payload))
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let feed = is_for_feed.then_some(FEED);
    let destinations: Vec<_> = std::iter::once(topic).chain(feed).collect();
    Ok(outbox::publish_all(connection, &events, &destinations).await?)
}

fn key(owner: &Owner) -> String {
    format!("funded-account-{}", owner.funded_account_id)
}
