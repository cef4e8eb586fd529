//! What becomes of payouts, as Stripe reports it: an event says that something has changed, and the payout is asked for, so that
//! the order of events doesn't matter. What doesn't go with our record changes nothing, and a person looks at it.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::funded::withdrawal::WithdrawalEvent;
use domain::ids::{StripeAccountId, StripePayoutId, WithdrawalId};
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use providers::outcome::Outcome;
use providers::stripe::RESOURCE_MISSING;
use providers::stripe::connect::{ACCOUNT_INVALID, Payout, PayoutState};
use serde_json::json;
use sqlx::PgConnection;

use super::store::{self, Payment};
use crate::processor::{Processor, STRIPE};
use crate::review::{self, Discrepancy};
use crate::withdrawal::store as withdrawals;
use crate::{Error, events};

/// Why a payout came back that nobody gave a reason for.
const CANCELED: &str = "canceled";

/// Records what becomes of payouts.
#[derive(Debug)]
pub(crate) struct PayoutReports {
    database: Database,
    processor: Processor,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(PayoutReports {
    database,
    processor,
    relay,
    clock,
});

/// What a payout is to us.
enum Known {
    /// The present payout of a withdrawal.
    Present(Box<Payment>),
    /// One of before: what it came to is known.
    Earlier,
    /// None of ours, though it says so.
    Stranger(&'static str),
}

impl PayoutReports {
    /// Asks Stripe for a payout and records what has become of it; `false` for one that isn't a withdrawal's.
    pub(crate) async fn look(
        &self,
        account: &StripeAccountId,
        id: &StripePayoutId,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let connected = self.processor.connect().await?;
        let theirs = connected.client.on_behalf_of(account);
        let payout = match theirs.payout(id, deadline.instant()).await {
            Outcome::Declined(decline)
                if [ACCOUNT_INVALID, RESOURCE_MISSING].contains(&decline.code.as_str()) =>
            {
                return Ok(false);
            }
            other => other.done(STRIPE)?,
        };
        let Some(withdrawal) = payout.withdrawal else {
            return Ok(false);
        };
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                record_reported(connection, account, withdrawal, &payout, now).await
            })
            .await?;
        self.relay.wake().await;
        Ok(true)
    }
}

/// Records how a payout stands that names a withdrawal.
pub(crate) async fn record_reported(
    connection: &mut PgConnection,
    account: &StripeAccountId,
    withdrawal: WithdrawalId,
    payout: &Payout,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let payment = match known(connection, account, withdrawal, payout).await? {
        Known::Present(payment) => payment,
        Known::Earlier => return Ok(()),
        Known::Stranger(reason) => {
            let found = discrepancy(account, withdrawal, payout, reason);
            return review::discrepancies(connection, vec![found], now).await;
        }
    };
    store::record_payout(connection, payment.id, payment.attempt, payout).await?;
    match payout.state {
        PayoutState::OnItsWay => Ok(()),
        PayoutState::Paid => store::set_paid(connection, payment.id, now).await,
        PayoutState::Failed | PayoutState::Canceled => {
            let returned = payment.status.after(WithdrawalEvent::PayoutReturned, true);
            if !returned.is_applied() {
                return Ok(());
            }
            let code = payout.failure_code.as_deref().unwrap_or(CANCELED);
            tracing::warn!(withdrawal_id = %payment.id, code, "a payout has come back");
            store::set_returned(connection, payment.id, code, now).await?;
            store::sum_up(connection, payment.funded_account_id).await?;
            let withdrawal = withdrawals::find(connection, payment.id).await?;
            let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
            let reason = Some(code);
            events::publish_withdrawal(connection, events::WITHDRAWAL_RETURNED, &withdrawal, reason, now)
                .await
        }
    }
}

/// What the payout is to us. Amount, currency and account have to be those of the withdrawal that it names.
async fn known(
    connection: &mut PgConnection,
    account: &StripeAccountId,
    withdrawal: WithdrawalId,
    payout: &Payout,
) -> Result<Known, Error> {
    if withdrawals::lock(connection, withdrawal).await?.is_none() {
        return Ok(Known::Stranger("there is no such withdrawal"));
    }
    let payment = store::load(connection, withdrawal).await?;
    if payment.account.as_ref() != Some(account) {
        return Ok(Known::Stranger("it is of another account"));
    }
    if payout.amount != Money::new(payment.amount_cents, Currency::USD) {
        return Ok(Known::Stranger("it is of another amount"));
    }
    match payout.attempt {
        Some(attempt) if attempt < payment.attempt => Ok(Known::Earlier),
        Some(attempt) if attempt == payment.attempt && payment.payout_intended_at.is_some() => {
            match payment.payout.as_ref().is_none_or(|known| *known == payout.id) {
                true => Ok(Known::Present(Box::new(payment))),
                false => Ok(Known::Stranger("there is another payout of the same attempt")),
            }
        }
        _ => Ok(Known::Stranger("nobody has asked for it")),
    }
}

fn discrepancy(
    account: &StripeAccountId,
    withdrawal: WithdrawalId,
    payout: &Payout,
    reason: &str,
) -> Discrepancy {
    Discrepancy {
        subject: format!("payout {}", payout.id),
        summary: format!(
            "The payout {} is none of withdrawal {withdrawal}: {reason}",
            payout.id
        ),
        ours: json!({ "withdrawal_id": withdrawal }),
        theirs: json!({
            "payout": payout.id, "account": account, "amount": payout.amount.to_string(), "attempt": payout.attempt,
        }),
    }
}
