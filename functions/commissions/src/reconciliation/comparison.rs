//! Comparing Stripe's payments with our record: what was paid in one and not in the other, or more than once.

use std::collections::{BTreeMap, BTreeSet};

use domain::commissions::charge::ChargeStatus;
use domain::ids::{ChargeId, StripePaymentIntentId};
use providers::stripe::{IntentStatus, PaymentIntent};

use super::store::RecordedCharge;
use crate::discrepancy::Discrepancy;

/// Stripe's payments of our charges, by their keys.
pub(super) type ListedPayments = BTreeMap<String, Vec<PaymentIntent>>;

/// A difference between the two records.
pub(super) enum Difference<'a> {
    /// Stripe has taken money for a charge that isn't recorded as successful.
    Missed {
        charge: ChargeId,
        intent: &'a PaymentIntent,
    },
    Conflict(Discrepancy),
    /// A charge is recorded as successful, and no such payment is among those listed: its own may have been made later.
    NotListed(&'a RecordedCharge),
}

/// All differences: first those of Stripe's payments, then those of our charges.
pub(super) fn differences<'a>(
    listed: &'a ListedPayments,
    recorded: &'a [RecordedCharge],
) -> Vec<Difference<'a>> {
    let by_key: BTreeMap<&str, &RecordedCharge> = recorded
        .iter()
        .map(|charge| (charge.key.as_str(), charge))
        .collect();
    let has_succeeded = |payment: &&PaymentIntent| payment.status == IntentStatus::Succeeded;
    let paid_at_stripe = || listed.values().flatten().filter(has_succeeded);
    let at_stripe_only = paid_at_stripe().filter_map(|payment| {
        let key = payment.attempt_key.as_deref().unwrap_or_default();
        paid_at_stripe_only(payment, by_key.get(key).copied())
    });
    let intents: BTreeSet<&StripePaymentIntentId> = paid_at_stripe().map(|payment| &payment.id).collect();
    let is_at_stripe = |charge: &&RecordedCharge| {
        let intent = charge.intent.as_ref();
        intent.is_some_and(|intent| intents.contains(intent))
    };
    let paid_here = recorded
        .iter()
        .filter(|charge| charge.status == ChargeStatus::Succeeded);
    let not_listed = paid_here.filter(|charge| !is_at_stripe(charge));
    at_stripe_only
        .chain(not_listed.map(Difference::NotListed))
        .collect()
}

/// What is told of a charge that is paid here and not at Stripe.
pub(super) fn paid_here_only(charge: &RecordedCharge) -> Discrepancy {
    let intent = charge.intent.as_ref();
    let subject = intent.map_or(charge.key.clone(), ToString::to_string);
    let expected = format!("{} succeeded (invoice {})", charge.key, charge.invoice_id);
    Discrepancy::new("paid-here-only", subject, expected, "not paid").of(charge.id)
}

fn paid_at_stripe_only<'a>(
    payment: &'a PaymentIntent,
    charge: Option<&RecordedCharge>,
) -> Option<Difference<'a>> {
    let Some(charge) = charge else {
        let key = payment.attempt_key.as_deref().unwrap_or_default();
        let discrepancy = Discrepancy::new("paid-at-stripe-only", &payment.id, "no such attempt", key);
        return Some(Difference::Conflict(discrepancy));
    };
    if charge.status != ChargeStatus::Succeeded {
        return Some(Difference::Missed {
            charge: charge.id,
            intent: payment,
        });
    }
    if charge.intent.as_ref() == Some(&payment.id) {
        return None;
    }
    let intent = charge.intent.as_ref();
    let expected = intent.map_or("no payment".to_owned(), ToString::to_string);
    let discrepancy = Discrepancy::new("paid-twice", &payment.id, expected, &charge.key);
    Some(Difference::Conflict(discrepancy.of(charge.id)))
}
