//! Dunning: which invoices are due, and what follows for an invoice and its profile from a charge: paid, retried, given up.
//! The rules are `domain::commissions::dunning`; see README, Charging.
//!
//! Whatever changes an invoice holds its lock, which is taken before that of its charges and of the suspension.

mod due;
mod store;

use chrono::{DateTime, Utc};
use domain::commissions::decline::{self, DeclineKind};
use domain::commissions::dunning::Dunning;
use domain::commissions::invoice::InvoiceStatus;
use domain::market::MarketCalendar;
use domain::transition::Transition;
use sqlx::PgConnection;

use crate::app_pages::AppPages;
use crate::events::{self, ChargeFailedPayload, ChargedPayload};
use crate::{Error, review, suspension};
pub(crate) use due::publish_due;
pub use due::{DueInvoice, DueInvoices, PaymentDue, PickedReport};
pub(crate) use store::{LockedInvoice, lock};

/// There was nothing to charge.
const NO_PAYMENT_METHOD: &str = "no_payment_method";

/// Records what follows for an invoice, with its events, in the transaction of the change that it follows from.
#[derive(Debug, Clone)]
pub(crate) struct DunningRecorder {
    pages: AppPages,
}

platform::from_environment!(DunningRecorder { pages });

impl DunningRecorder {
    /// The invoice was charged: it is paid.
    pub(crate) async fn charged(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        payment_method: &str,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        store::set_paid(connection, invoice.id, at).await?;
        review::invoice_paid(connection, invoice.id, at).await?;
        let payload = ChargedPayload {
            invoice: invoice.payload(),
            payment_method: payment_method.to_owned(),
            charged_at: at,
        };
        let kind = events::COMMISSION_CHARGED;
        events::publish(connection, kind, invoice.profile_id, at, payload).await?;
        suspension::end_when_nothing_is_owed(connection, invoice.profile_id, invoice.amount, &self.pages, at)
            .await
    }

    /// The invoice is taken back, which its status allows: nothing is owed for it.
    pub(crate) async fn voided(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        store::set_void(connection, invoice.id).await?;
        events::publish_to_topic(
            connection,
            events::INVOICE_VOIDED,
            invoice.profile_id,
            at,
            invoice.payload(),
        )
        .await?;
        suspension::end_when_nothing_is_owed(connection, invoice.profile_id, invoice.amount, &self.pages, at)
            .await
    }

    /// A charge of the invoice failed with a code of Stripe's or ours: it is retried, waits for another payment method, or is
    /// uncollectible after the last retry.
    pub(crate) async fn charge_failed(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        payment_method: &str,
        code: &str,
        decline_kind: DeclineKind,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        if !invoice.dunning.status.is_owed() {
            return Ok(());
        }
        let dunning = invoice.dunning.after_failure(decline_kind, at);
        store::set_dunning(connection, invoice.id, &dunning).await?;
        let reason = decline::reason_for_customers(code);
        self.publish_failure(connection, invoice, Some(payment_method), reason, &dunning, at)
            .await?;
        let became_uncollectible = dunning.status == InvoiceStatus::Uncollectible
            && invoice.dunning.status != InvoiceStatus::Uncollectible;
        if became_uncollectible {
            self.uncollectible(connection, invoice, dunning.failed_attempts, at)
                .await?;
        }
        Ok(())
    }

    /// There is no payment method to charge: the profile is notified, once.
    pub(crate) async fn method_missing(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let dunning = invoice.dunning.without_method(at);
        store::set_dunning(connection, invoice.id, &dunning).await?;
        self.publish_failure(connection, invoice, None, NO_PAYMENT_METHOD, &dunning, at)
            .await
    }

    /// Gives the invoice up: its profile can't buy until it is paid.
    pub(crate) async fn give_up(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let Transition::Applied(status) = invoice.dunning.status.after_giving_up() else {
            return Ok(());
        };
        let dunning = Dunning {
            status,
            next_attempt_at: None,
            ..invoice.dunning
        };
        store::set_dunning(connection, invoice.id, &dunning).await?;
        self.uncollectible(connection, invoice, dunning.failed_attempts, at)
            .await
    }

    async fn publish_failure(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        payment_method: Option<&str>,
        reason: &str,
        dunning: &Dunning,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let payload = ChargeFailedPayload {
            invoice: invoice.payload(),
            payment_method: payment_method.map(str::to_owned),
            reason: reason.to_owned(),
            next_attempt_on: dunning.next_attempt_at.map(MarketCalendar::business_date),
            action_url: self.pages.payment_methods(),
        };
        let kind = events::COMMISSION_CHARGE_FAILED;
        events::publish(connection, kind, invoice.profile_id, at, payload).await
    }

    async fn uncollectible(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        failed_attempts: u32,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let kind = events::INVOICE_UNCOLLECTIBLE;
        events::publish(connection, kind, invoice.profile_id, at, invoice.payload()).await?;
        review::invoice_uncollectible(
            connection,
            invoice.id,
            invoice.profile_id,
            invoice.amount,
            failed_attempts,
            at,
        )
        .await?;
        suspension::begin(connection, invoice.profile_id, invoice.amount, &self.pages, at).await
    }
}
