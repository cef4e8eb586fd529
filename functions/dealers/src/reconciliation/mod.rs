//! `reconcile_dealers`: makes up for what was left undone with Billing, applies payments that never came through the topic,
//! and compares both records of the last days. What it can't decide becomes a review.

mod comparison;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::BillingPaymentId;
use domain::lane::{Lane, Laned};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::entry::schedule::ScheduledRun;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::billing::{Billing, PaymentMessage};
use providers::outcome::Outcome;
use serde::Serialize;
use serde_json::{Value, json};

use crate::bill::issuing::external_id;
use crate::billing::{BILLING, BillingHandle};
use crate::payment::{Applied, Payments};
use crate::review::{self, Difference};
use crate::{Error, events};
use comparison::{BillFinding, compare_bill, not_taken_back};

/// So far back both records are compared.
const WINDOW: TimeDelta = TimeDelta::days(7);
/// What is newer may be on its way still.
const SETTLING: TimeDelta = TimeDelta::minutes(10);
/// A reversal whose payment hasn't come for so long is reported.
const ORPHANED_AFTER: TimeDelta = TimeDelta::days(1);
/// Left of the deadline when nothing more is begun.
const RESERVE: Duration = Duration::from_secs(10);
/// Most accounts and bills that one run takes up again, and pages of payments that it reads.
const MAX_TAKEN_UP: i64 = 1_000;
const MAX_PAGES: u32 = 200;
/// Bills that are read at once.
const BILLS_AT_ONCE: i64 = 100;

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub struct ReconciliationReport {
    /// Accounts that are provisioned once more.
    pub accounts_taken_up: usize,
    /// Bills that are issued, or taken back, once more.
    pub bills_taken_up: usize,
    /// Payments of the last days that Billing lists.
    pub compared_payments: usize,
    /// Those among them that had never come.
    pub applied_payments: u32,
    /// Bills of the last days that were compared.
    pub compared_bills: u32,
    /// What differed, applied or reported.
    pub differences: u32,
    /// Whether there was time for all of it; the next run goes on.
    pub is_complete: bool,
}

/// The reconciler.
#[derive(Debug)]
pub struct Reconciler {
    database: Database,
    billing: BillingHandle,
    payments: Payments,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Reconciler {
    database,
    billing,
    payments,
    relay,
    clock
});

/// A span of time, without its end.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Reconciler {
    /// Runs until everything is compared or time is short.
    ///
    /// # Errors
    /// When the database fails, or Billing gives no answer; what was left undone is taken up all the same.
    pub async fn run(&self, run: ScheduledRun, deadline: Deadline) -> Result<ReconciliationReport, Error> {
        let until = run.executed_at(&self.clock) - SETTLING;
        let span = Span {
            since: until - WINDOW,
            until,
        };
        let mut report = ReconciliationReport::default();
        self.take_up(&mut report).await?;
        let is_listed = self.compare_payments(&mut report, span, deadline).await?;
        let is_compared = self.compare_bills(&mut report, span, deadline).await?;
        self.report_orphans(&mut report, until).await?;
        report.is_complete = is_listed && is_compared;
        report.emit_metrics();
        self.relay.wake().await;
        Ok(report)
    }

    /// Has everything tried once more that Billing doesn't know yet.
    async fn take_up(&self, report: &mut ReconciliationReport) -> Result<(), Error> {
        let now = self.clock.now();
        (report.accounts_taken_up, report.bills_taken_up) = self
            .database
            .transaction(async |connection| {
                let accounts = store::to_provision(connection, MAX_TAKEN_UP).await?;
                let bills = store::to_issue(connection, MAX_TAKEN_UP).await?;
                events::provision(connection, now, &accounts).await?;
                events::issue(connection, now, &bills).await?;
                Ok::<_, Error>((accounts.len(), bills.len()))
            })
            .await?;
        self.relay.wake().await;
        Ok(())
    }

    /// Applies the payments that never came, and reports those that differ; `false` when there wasn't time to list all.
    async fn compare_payments(
        &self,
        report: &mut ReconciliationReport,
        span: Span,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let billing = self.billing.connect().await?;
        let Some((listed, unreadable)) = list(&billing, span, deadline).await? else {
            return Ok(false);
        };
        report.compared_payments = listed.len();
        let mut differences = Vec::new();
        if unreadable > 0 {
            differences.push(unreadable_payments(unreadable, span));
        }
        let known = self.first_messages(&listed).await?;
        for message in listed.values() {
            if let Some(first) = known
                .get(&message.payment_id)
                .filter(|first| is_same(first, message))
            {
                differences.extend(other_bill(first, message));
                continue;
            }
            if deadline.left() < RESERVE {
                return Ok(false);
            }
            match self.apply(message).await? {
                Ok(Applied::Before) => {}
                Ok(Applied::Now) => {
                    tracing::error!(payment_id = %message.payment_id, "applying a payment that never came");
                    report.applied_payments += 1;
                    report.differences += 1;
                }
                Ok(Applied::Conflicts) => report.differences += 1,
                Err(reason) => differences.push(unbookable(message, &reason)),
            }
        }
        differences.extend(self.not_listed(&listed, span).await?);
        self.report(report, differences).await?;
        Ok(true)
    }

    /// What was told first of those that we have.
    async fn first_messages(
        &self,
        listed: &Listed,
    ) -> Result<BTreeMap<BillingPaymentId, store::FirstMessage>, Error> {
        let ids: Vec<String> = listed.keys().map(ToString::to_string).collect();
        let known = self
            .database
            .with(async |connection| store::first_messages(connection, &ids).await)
            .await?;
        let by_id = known.into_iter().map(|first| (first.payment_id.clone(), first));
        Ok(by_id.collect())
    }

    /// Applies a payment; what can't be booked is no failure of the run.
    async fn apply(&self, message: &PaymentMessage) -> Result<Result<Applied, String>, Error> {
        match self.payments.apply(message).await {
            Ok(applied) => Ok(Ok(applied)),
            Err(error) if error.lane() == Lane::Transient => Err(error),
            Err(error @ Error::Platform(_)) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Payments that we have and Billing doesn't list.
    async fn not_listed(&self, listed: &Listed, span: Span) -> Result<Vec<Difference>, Error> {
        let ids: Vec<String> = listed.keys().map(ToString::to_string).collect();
        // Its clock may differ from ours at the edges.
        let (since, until) = (span.since + SETTLING, span.until - SETTLING);
        let unlisted = self
            .database
            .with(async |connection| store::unlisted(connection, since, until, &ids).await)
            .await?;
        let difference = |payment: store::RecordedPayment| Difference {
            subject: review::subject_of_payment(&payment.payment_id),
            dealer: Some(payment.dealer_id),
            summary: format!(
                "Payment {} is booked, and Billing doesn't list it",
                payment.payment_id
            ),
            ours: json!({ "amount": payment.amount }),
            theirs: Value::Null,
        };
        Ok(unlisted.into_iter().map(difference).collect())
    }

    /// Compares the bills of the last days one by one; `false` when there wasn't time for all.
    async fn compare_bills(
        &self,
        report: &mut ReconciliationReport,
        span: Span,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let billing = self.billing.connect().await?;
        let mut after = None;
        loop {
            let bills = self
                .database
                .with(async |connection| {
                    store::bills_since(connection, span.since, after, BILLS_AT_ONCE).await
                })
                .await?;
            let Some(last) = bills.last() else {
                return Ok(true);
            };
            after = Some(last.id);
            let mut differences = Vec::new();
            for bill in &bills {
                if deadline.left() < RESERVE {
                    self.report(report, differences).await?;
                    return Ok(false);
                }
                let until = deadline.instant();
                let found = billing
                    .find_bill(&external_id(bill.id), until)
                    .await
                    .done(BILLING)?;
                report.compared_bills += 1;
                match compare_bill(bill, found.as_ref()) {
                    BillFinding::Agrees => {}
                    BillFinding::Differs(difference) => differences.push(difference),
                    BillFinding::StillOpen(id) => {
                        tracing::error!(bill_id = %bill.id, "taking back a bill that Billing has open");
                        match billing.void_bill(&id, "voided", until).await {
                            // A person's, and no other bill has to wait for him.
                            Outcome::Declined(decline) => {
                                differences.push(not_taken_back(bill, found.as_ref(), &decline));
                            }
                            other => {
                                other.done(BILLING)?;
                                report.differences += 1;
                            }
                        }
                    }
                }
            }
            self.report(report, differences).await?;
        }
    }

    /// Reports reversals whose payment hasn't come.
    async fn report_orphans(
        &self,
        report: &mut ReconciliationReport,
        until: DateTime<Utc>,
    ) -> Result<(), Error> {
        let before = until - ORPHANED_AFTER;
        let orphans = self
            .database
            .with(async |connection| store::orphans(connection, before).await)
            .await?;
        let difference = |reversal: store::RecordedPayment| Difference {
            subject: review::subject_of_payment(&reversal.payment_id),
            dealer: Some(reversal.dealer_id),
            summary: format!(
                "Reversal {} takes back a payment that never came",
                reversal.payment_id
            ),
            ours: json!({ "amount": reversal.amount }),
            theirs: Value::Null,
        };
        self.report(report, orphans.into_iter().map(difference).collect())
            .await
    }

    async fn report(
        &self,
        report: &mut ReconciliationReport,
        differences: Vec<Difference>,
    ) -> Result<(), Error> {
        let count = u32::try_from(differences.len()).unwrap_or(u32::MAX);
        report.differences = report.differences.saturating_add(count);
        let now = self.clock.now();
        self.database
            .transaction(async |connection| review::records_differ(connection, differences, now).await)
            .await
    }
}

/// Payments by their ids; Billing may list one twice while new ones come.
type Listed = BTreeMap<BillingPaymentId, PaymentMessage>;

/// Billing's payments of a span of time, with the number of those that can't be read; nothing when there wasn't time for
/// all.
async fn list(billing: &Billing, span: Span, deadline: Deadline) -> Result<Option<(Listed, u32)>, Error> {
    let (mut listed, mut unreadable, mut cursor) = (Listed::new(), 0_u32, None);
    for _ in 0..MAX_PAGES {
        if deadline.left() < RESERVE {
            return Ok(None);
        }
        let asking = billing.payments(span.since, span.until, cursor.as_deref(), deadline.instant());
        let page = asking.await.done(BILLING)?;
        unreadable = unreadable.saturating_add(page.unreadable);
        let by_id = page
            .items
            .into_iter()
            .map(|message| (message.payment_id.clone(), message));
        listed.extend(by_id);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(Some((listed, unreadable)));
        }
    }
    Ok(None)
}

fn unreadable_payments(count: u32, span: Span) -> Difference {
    Difference {
        subject: "payments-unreadable".to_owned(),
        dealer: None,
        summary: format!("{count} payments that Billing lists can't be read"),
        ours: Value::Null,
        theirs: json!({ "from": span.since, "to": span.until }),
    }
}

/// Whether a payment is listed as it was told first, but for its bill.
fn is_same(first: &store::FirstMessage, message: &PaymentMessage) -> bool {
    first.billing_client_id.as_ref() == Some(&message.billing_client_id)
        && first.amount == message.amount
        && first.reversal_of == message.reversal_of
}

/// A payment that is listed with another bill than it was told with: it may have paid another one than it should have.
fn other_bill(first: &store::FirstMessage, message: &PaymentMessage) -> Option<Difference> {
    (first.billing_bill_id != message.bill_id).then(|| Difference {
        subject: review::subject_of_payment(&message.payment_id),
        dealer: Some(first.dealer_id),
        summary: format!(
            "Payment {} names another bill at Billing than it was told with",
            message.payment_id
        ),
        ours: json!({ "amount": first.amount, "billId": first.billing_bill_id }),
        theirs: json!(message),
    })
}

fn unbookable(message: &PaymentMessage, reason: &str) -> Difference {
    Difference {
        subject: review::subject_of_payment(&message.payment_id),
        dealer: None,
        summary: format!(
            "Payment {} of Billing can't be booked: {reason}",
            message.payment_id
        ),
        ours: Value::Null,
        theirs: json!(message),
    }
}

impl ReconciliationReport {
    fn emit_metrics(&self) {
        for (name, count) in [
            ("DealerDifferences", self.differences),
            ("DealersNotReconciled", u32::from(!self.is_complete)),
        ] {
            if count > 0 {
                metrics::count(name, u64::from(count));
            }
        }
    }
}
