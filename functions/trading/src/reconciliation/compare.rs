//! Comparing a user's payments and account with the broker's.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthAccountId, DriveWealthPaymentId, DriveWealthUserId};
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use platform::deadline::Deadline;
use platform::error::chain;
use providers::drivewealth::{Listed, Payment, StatementKind};

use super::store::{self, StoredPayment};
use super::{Reconciler, Report};
use crate::broker::PARTY;
use crate::money_flow::Recorded;
use crate::{Error, account, foreign_payment, statement};

impl Reconciler {
    pub(super) async fn compare_user(
        &self,
        user: &DriveWealthUserId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for direction in Direction::ALL {
            let both = self.fetch_both(direction, user, deadline).await?;
            let foreign = self.compare(both, report, deadline).await;
            self.report_foreign(user, &foreign, report).await?;
        }
        self.compare_account(user, report, deadline).await
    }

    /// A user's payments as the broker lists them, beside what is stored of them.
    async fn fetch_both(
        &self,
        direction: Direction,
        user: &DriveWealthUserId,
        deadline: Deadline,
    ) -> Result<BothSides, Error> {
        let client = self.broker.client().await?;
        let fetched_at = self.clock.now();
        let listed = match direction {
            Direction::Deposit => client.deposits_of(user, deadline.instant()).await,
            Direction::Withdrawal => client.redemptions_of(user, deadline.instant()).await,
        };
        let listed = listed.done(PARTY)?;
        let ids: Vec<String> = listed
            .payments
            .iter()
            .map(|payment| payment.id.as_str().to_owned())
            .collect();
        let since = self.returnable_since();
        let stored = self
            .database
            .with(async |connection| store::payments(connection, direction, &ids, user, since).await)
            .await?;
        Ok(BothSides {
            direction,
            listed,
            fetched_at,
            stored,
        })
    }

    /// Payments that no flow of ours made wait for a person.
    async fn report_foreign(
        &self,
        user: &DriveWealthUserId,
        payments: &[DriveWealthPaymentId],
        report: &mut Report,
    ) -> Result<(), Error> {
        if payments.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let waiting = self
            .database
            .transaction(async |connection| foreign_payment::report(connection, user, payments, now).await)
            .await?;
        report.foreign = report
            .foreign
            .saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Applies payments that stand otherwise at the broker than here, each by itself, and reports what is there on one
    /// side alone. Gives the broker's payments that no flow of ours made.
    async fn compare(
        &self,
        both: BothSides,
        report: &mut Report,
        deadline: Deadline,
    ) -> Vec<DriveWealthPaymentId> {
        let mut foreign = Vec::new();
        for reason in &both.listed.unreadable {
            tracing::error!(reason, "reading a payment of the broker's list failed");
            report.not_compared += 1;
        }
        for missing in both.missing() {
            tracing::error!(
                payment_id = missing.ref_id,
                "the broker doesn't list a payment of ours"
            );
            report.missing += 1;
        }
        for payment in &both.listed.payments {
            report.compared += 1;
            let payment_id = payment.id.as_str();
            let stored = both.stored(payment);
            if stored.is_none_or(|stored| stored.flow().is_none()) {
                foreign.push(payment.id.clone());
            }
            if stored.is_some_and(|stored| agrees(stored, payment)) {
                continue;
            }
            match self.apply(both.direction, payment, deadline).await {
                Ok(Recorded::Changed) => {
                    let code = payment.status_code;
                    tracing::error!(payment_id, code, "applied a difference to the broker's payment");
                    report.differences += 1;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(payment_id, error = chain(&error), "comparing a payment failed");
                    report.not_compared += 1;
                }
            }
        }
        foreign
    }

    async fn apply(
        &self,
        direction: Direction,
        payment: &Payment,
        deadline: Deadline,
    ) -> Result<Recorded, Error> {
        match direction {
            Direction::Deposit => self.payments.record(direction, payment, None).await,
            Direction::Withdrawal => {
                self.payments
                    .refresh_redemption(&payment.id, None, deadline)
                    .await
            }
        }
    }

    async fn compare_account(
        &self,
        user: &DriveWealthUserId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let id = self
            .database
            .with(async |connection| store::account_of(connection, user).await)
            .await?;
        let Some(id) = id else {
            return Ok(());
        };
        let as_of = self.clock.now();
        let state = self.broker.account(&id, deadline).await?;
        let cash = self.broker.cash(&id, deadline).await?;
        let saved = self
            .database
            .transaction(async |connection| {
                let saved = account::apply_broker_state(connection, &state).await?;
                account::store::save_cash(connection, &id, &cash, as_of).await?;
                Ok::<_, Error>(saved)
            })
            .await?;
        if saved.is_some_and(|saved| saved.has_changed) {
            report.differences += 1;
            tracing::error!(drivewealth_account_id = %id, status = %state.status, "applied a difference to the broker's account");
        }
        self.compare_statements(&id, report, deadline).await
    }

    /// Saves documents of the account that no event has told of.
    async fn compare_statements(
        &self,
        account: &DriveWealthAccountId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let client = self.broker.client().await?;
        let mut listed = Vec::new();
        for kind in StatementKind::ALL {
            let since = (self.returnable_since(), now);
            let of_kind = client.statements(account, kind, since, deadline.instant()).await;
            listed.extend(of_kind.done(PARTY)?);
        }
        let missed = self
            .database
            .with(async |connection| statement::store::save_all(connection, account, &listed, now).await)
            .await?;
        if missed > 0 {
            report.differences += u32::try_from(missed).unwrap_or(u32::MAX);
            tracing::error!(drivewealth_account_id = %account, missed, "saved documents that no event has told of");
        }
        Ok(())
    }
}

/// Whether all that is stored, the flow with it, is what the broker says. A flow in manual review waits for a person, who
/// knows already.
fn agrees(stored: &StoredPayment, payment: &Payment) -> bool {
    let is_same = stored.status_code == payment.status_code && stored.amount() == payment.amount;
    let reported = MoneyFlowStatus::of_payment(payment.status);
    match stored.flow() {
        Some((_, ProviderState::Parked)) => true,
        Some((status, _)) => is_same && reported.is_none_or(|reported| reported == status),
        None => is_same,
    }
}

/// The payments that the broker lists of a user, beside what is stored of them.
struct BothSides {
    direction: Direction,
    listed: Listed,
    fetched_at: DateTime<Utc>,
    stored: Vec<StoredPayment>,
}

impl BothSides {
    fn stored(&self, payment: &Payment) -> Option<&StoredPayment> {
        self.stored
            .iter()
            .find(|stored| stored.ref_id == payment.id.as_str())
    }

    /// Stored payments that the broker doesn't list. One that came while the list was fetched may well be missing, and so
    /// may one that is among those which can't be read.
    fn missing(&self) -> impl Iterator<Item = &StoredPayment> {
        let is_listed = |stored: &StoredPayment| {
            self.listed
                .payments
                .iter()
                .any(|payment| payment.id.as_str() == stored.ref_id)
        };
        let all_readable = self.listed.unreadable.is_empty();
        self.stored
            .iter()
            .filter(move |stored| all_readable && stored.created_at < self.fetched_at && !is_listed(stored))
    }
}
