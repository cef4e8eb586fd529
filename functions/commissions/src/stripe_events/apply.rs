//! Writing the effect of an event, in the transaction that records the event.

use platform::observability::{metrics, telemetry};
use providers::stripe::webhook::{Change, StripeEvent};
use providers::stripe::{PaymentIntent, PaymentMethod};
use sqlx::PgConnection;

use super::effect::{Effect, FailedRefund, PaidCheckout, Payment, Refunds, charge_of};
use super::{SOURCE, StripeEvents};
use crate::charge::{self, Observation};
use crate::discrepancy::Discrepancy;
use crate::events::{CheckoutPaidPayload, RefundedPayload};
use crate::{Error, checkout, customer, dunning, events, payment_method};

impl StripeEvents {
    pub(super) async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        effect: Effect,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        match effect {
            Effect::Nothing => Ok(()),
            Effect::Conflict(discrepancy) => self.needs_review(connection, &discrepancy).await,
            Effect::SaveMethod(profile, method) => {
                if let Change::CheckoutCompleted(session) = &event.change {
                    checkout::complete(connection, &session.id, now).await?;
                }
                let saved = payment_method::save(connection, profile, &method, now).await?;
                if saved.profile_id != profile {
                    let discrepancy = Discrepancy::new("owner", &method.id, saved.profile_id, profile);
                    return self.needs_review(connection, &discrepancy).await;
                }
                Ok(())
            }
            Effect::RefundedCheckout(checkout, session, refund) => {
                checkout::set_refunded(connection, checkout, &session, &refund.id, now).await
            }
            Effect::PaidCheckout(paid) => self.keep_payment(connection, event, &paid).await,
            Effect::RenewMethod(method) => self.renew(connection, event, &method).await,
            Effect::DetachMethod(method) => payment_method::set_detached(connection, &method, now).await,
            Effect::Charge(intent) => self.charge(connection, &intent).await,
            Effect::Refunded(refunds) => self.refunded(connection, event, &refunds).await,
            Effect::RefundFailed(failed) => self.refund_failed(connection, event, &failed).await,
            Effect::Disputed(payment, reason) => disputed(connection, event, &payment, &reason).await,
            Effect::DisputeClosed(payment, outcome) => {
                dispute_closed(connection, event, &payment, &outcome).await
            }
            Effect::Payout(kind, payload) => {
                events::publish_payout(connection, kind, event.created_at, payload).await
            }
        }
    }

    async fn needs_review(
        &self,
        connection: &mut PgConnection,
        discrepancy: &Discrepancy,
    ) -> Result<(), Error> {
        discrepancy.record(connection, SOURCE, self.clock.now()).await
    }

    async fn keep_payment(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        paid: &PaidCheckout,
    ) -> Result<(), Error> {
        let (checkout, amount) = (paid.checkout, paid.amount);
        if !checkout::set_paid(connection, checkout, &paid.session, amount, self.clock.now()).await? {
            return Ok(());
        }
        let payload = CheckoutPaidPayload {
            checkout_id: checkout,
            profile_id: paid.profile,
            price_id: paid.price.clone(),
            amount_cents: amount.minor(),
            currency: amount.currency().code().to_owned(),
        };
        events::publish(
            connection,
            events::CHECKOUT_PAID,
            paid.profile,
            event.created_at,
            payload,
        )
        .await
    }

    async fn renew(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        method: &PaymentMethod,
    ) -> Result<(), Error> {
        let Some(owner) = payment_method::owner(connection, &method.id).await? else {
            return Ok(());
        };
        let of_customer = match &method.customer {
            Some(customer) => customer::profile_of(connection, customer).await?,
            None => None,
        };
        if of_customer != Some(owner) {
            let found = of_customer.map_or("none".to_owned(), |profile| profile.to_string());
            let discrepancy = Discrepancy::new("owner", &method.id, owner, found);
            return self.needs_review(connection, &discrepancy).await;
        }
        payment_method::renew(connection, &method.id, &method.name, event.created_at).await
    }

    async fn charge(&self, connection: &mut PgConnection, intent: &PaymentIntent) -> Result<(), Error> {
        let found = charge::find(connection, &intent.id, intent.attempt_key.as_deref()).await?;
        let Some(found) = found else {
            return match &intent.attempt_key {
                Some(key) => {
                    let discrepancy = Discrepancy::new("attempt", &intent.id, "an attempt of ours", key);
                    self.needs_review(connection, &discrepancy).await
                }
                None => Ok(()),
            };
        };
        let Some(invoice) = dunning::lock(connection, found.invoice_id).await? else {
            return Ok(());
        };
        telemetry::identify(invoice.profile_id.get());
        let charge = charge::load(connection, found.id).await?;
        let observation = Observation {
            source: SOURCE,
            at: self.clock.now(),
        };
        self.recorder
            .apply(connection, &invoice, &charge, intent, observation)
            .await
    }

    /// Records what is given back of a charge, and tells what is more than before.
    async fn refunded(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        refunds: &Refunds,
    ) -> Result<(), Error> {
        let (found, amount) = (refunds.charge, refunds.amount);
        let Some(invoice) = dunning::lock(connection, found.invoice_id).await? else {
            return Ok(());
        };
        let charge = charge::load(connection, found.id).await?;
        let charged = charge.amount();
        if amount.currency() != charged.currency() || amount.minor() > charged.minor() {
            let expected = format!("at most {charged}");
            let discrepancy =
                Discrepancy::new("refunded-amount", &refunds.intent, expected, amount).of(found.id);
            return self.needs_review(connection, &discrepancy).await;
        }
        let more = charge::set_refunded(connection, found.id, amount.minor(), refunds.version).await?;
        let more = more.ok_or(Error::RefundsChanged { key: charge.key })?;
        if more <= 0 {
            return Ok(());
        }
        let payload = RefundedPayload {
            invoice: invoice.payload(),
            payment_method: charge.method_name,
            refunded_cents: more,
            refunded_at: event.created_at,
        };
        let kind = events::COMMISSION_REFUNDED;
        events::publish(connection, kind, invoice.profile_id, event.created_at, payload).await
    }

    /// The customer doesn't have what was given back: it counts as ours again, and a person has to find another way.
    async fn refund_failed(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        failed: &FailedRefund,
    ) -> Result<(), Error> {
        let FailedRefund {
            id,
            refunds,
            amount,
            reason,
        } = failed;
        let discrepancy = Discrepancy::new("refund-failed", id, format!("{amount} given back"), reason);
        if let Some(refunds) = refunds {
            self.refunded(connection, event, refunds).await?;
            let discrepancy = discrepancy.of(refunds.charge.id);
            return self.needs_review(connection, &discrepancy).await;
        }
        if checkout::take_refund_back(connection, id).await? {
            return self.needs_review(connection, &discrepancy).await;
        }
        Ok(())
    }
}

async fn disputed(
    connection: &mut PgConnection,
    event: &StripeEvent,
    payment: &Payment,
    reason: &str,
) -> Result<(), Error> {
    let Some(found) = charge_of(connection, payment).await? else {
        return Ok(());
    };
    tracing::error!(invoice_id = %found.invoice_id, charge_id = %found.id, reason, "recording a disputed charge");
    metrics::count("DisputedCharges", 1);
    charge::set_disputed(connection, found.id, event.created_at).await
}

async fn dispute_closed(
    connection: &mut PgConnection,
    event: &StripeEvent,
    payment: &Payment,
    outcome: &str,
) -> Result<(), Error> {
    let Some(found) = charge_of(connection, payment).await? else {
        return Ok(());
    };
    tracing::warn!(invoice_id = %found.invoice_id, charge_id = %found.id, outcome, "recording how a dispute ended");
    charge::set_dispute_outcome(connection, found.id, outcome, event.created_at).await
}
