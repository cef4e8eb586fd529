//! How payments move: the statuses' order, the cash they move, the events they make.

use chrono::{DateTime, Duration, Utc};
use rand::Rng;
use serde_json::Value;

use super::events::envelope;
use super::state::{Decline, Payment, PaymentKind, State};

/// DriveWealth's numbers of the statuses of a payment.
pub mod status {
    /// Accepted, on its way.
    pub const PENDING: i32 = 1;
    /// The money has arrived.
    pub const SUCCESSFUL: i32 = 2;
    /// It went wrong.
    pub const FAILED: i32 = 3;
    /// The bank took a deposit back.
    pub const RETURNED: i32 = 5;
    /// A redemption waits for the adviser's approval, which is ours.
    pub const RIA_PENDING: i32 = 11;
    /// The adviser has approved the redemption.
    pub const RIA_APPROVED: i32 = 12;
    /// The adviser has rejected the redemption.
    pub const RIA_REJECTED: i32 = 13;
    /// Approved by DriveWealth.
    pub const APPROVED: i32 = 14;
    /// Rejected by DriveWealth.
    pub const REJECTED: i32 = 15;
}

/// A payment as it is asked for.
pub(super) struct NewPayment {
    pub(super) kind: PaymentKind,
    pub(super) amount_cents: i64,
    pub(super) account_id: String,
    pub(super) bank_account_id: Option<String>,
    pub(super) payment_type: String,
}

/// Makes a payment; the second value is the event about it.
pub(super) fn create(state: &mut State, new: NewPayment, now: DateTime<Utc>) -> Option<(Payment, Value)> {
    let account = state.accounts.get(&new.account_id)?;
    let status = match new.kind {
        PaymentKind::Deposit => status::PENDING,
        PaymentKind::Redemption => status::RIA_PENDING,
    };
    if new.kind == PaymentKind::Redemption && new.amount_cents.abs() > account.withdrawable_cents {
        state.counters.redemptions_without_cash += 1;
    }
    state.payment_count += 1;
    let mut payment = Payment {
        id: payment_id(&account.number, new.kind, now),
        kind: new.kind,
        amount_cents: new.amount_cents,
        account_id: account.id.clone(),
        account_no: account.number.clone(),
        user_id: account.user_id.clone(),
        bank_account_id: new.bank_account_id,
        payment_type: new.payment_type,
        status,
        comment: String::new(),
        created: now,
        updated: now,
        settled: false,
        path: vec![status],
        number: state.payment_count,
        events: Vec::new(),
    };
    let event = envelope(
        &format!("{}.created", payment.kind.topic()),
        payment.event_payload(),
        now,
    );
    payment.events.push(event.clone());
    state.payments.insert(payment.id.clone(), payment.clone());
    Some((payment, event))
}

/// Puts a payment into a status, whatever it was in, and moves the cash that goes with it; gives the event.
pub(super) fn set_status(
    state: &mut State,
    payment_id: &str,
    status: i32,
    comment: &str,
    now: DateTime<Utc>,
) -> Option<Value> {
    let payment = state.payments.get_mut(payment_id)?;
    payment.status = status;
    payment.comment = comment.to_owned();
    // Two changes are never at the same time, however fast they follow each other.
    payment.updated = now.max(payment.updated + Duration::milliseconds(1));
    payment.path.push(status);
    let settled = match status {
        status::SUCCESSFUL => true,
        status::FAILED | status::RETURNED | status::REJECTED | status::RIA_REJECTED => false,
        _ => payment.settled,
    };
    let moved_cents = match (payment.settled, settled, payment.kind) {
        (false, true, PaymentKind::Deposit) | (true, false, PaymentKind::Redemption) => {
            payment.amount_cents.abs()
        }
        (true, false, PaymentKind::Deposit) | (false, true, PaymentKind::Redemption) => {
            -payment.amount_cents.abs()
        }
        _ => 0,
    };
    payment.settled = settled;
    if let Some(account) = state.accounts.get_mut(&payment.account_id) {
        account.cash_cents += moved_cents;
        account.withdrawable_cents += moved_cents;
    }
    let event = envelope(
        &format!("{}.updated", payment.kind.topic()),
        payment.event_payload(),
        now,
    );
    payment.events.push(event.clone());
    Some(event)
}

/// The status that a payment takes next by itself, with the comment on it.
pub(super) fn next(state: &State, payment: &Payment) -> Option<(i32, String)> {
    let usual = |status| Some((status, String::new()));
    let decline = payment
        .bank_account_id
        .as_deref()
        .and_then(|bank_account| state.decline(bank_account));
    match (payment.kind, payment.status, decline) {
        (PaymentKind::Deposit, status::PENDING, Some(Decline::Rejected { reason })) => {
            Some((status::REJECTED, reason))
        }
        (PaymentKind::Redemption, status::RIA_APPROVED, _) => usual(status::PENDING),
        (_, status::PENDING, _) => usual(status::APPROVED),
        (_, status::APPROVED, _) => usual(status::SUCCESSFUL),
        _ => None,
    }
}

fn payment_id(account_number: &str, kind: PaymentKind, now: DateTime<Utc>) -> String {
    const LETTERS: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'U', 'V',
        'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7', '8', '9',
    ];
    let mut random = rand::rng();
    let tail: String = (0..4)
        .filter_map(|_| LETTERS.get(random.random_range(0..LETTERS.len())))
        .collect();
    let first = match kind {
        PaymentKind::Deposit => 'D',
        PaymentKind::Redemption => 'R',
    };
    format!("{account_number}-{}-{first}{tail}", now.timestamp_millis())
}
