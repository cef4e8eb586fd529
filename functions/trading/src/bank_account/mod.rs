//! A customer's bank account, reached through Plaid: what can be taken from it, and whether the bank wants its customer to
//! sign in again; and another token for one whose token has died at the broker.

mod plaid;
mod renewal;
pub(crate) mod store;

use chrono::TimeDelta;
use domain::currency::Currency;
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;

pub(crate) use self::plaid::{Bank, PLAID, token_place};
pub(crate) use self::renewal::{BankRenewals, Renewal};

use self::store::LinkedBankAccount;
use crate::Error;
use crate::paid_call::{self, PaidCall};

/// A balance that is younger isn't fetched anew.
pub(crate) const FRESH_FOR: TimeDelta = TimeDelta::minutes(5);

/// The bank accounts that customers have linked.
#[derive(Debug)]
pub(crate) struct BankAccounts {
    database: Database,
    bank: Bank,
    clock: ClockHandle,
}

platform::from_environment!(BankAccounts {
    database,
    bank,
    clock
});

impl BankAccounts {
    /// What can be taken from the bank account now, in US dollars: asked of the bank, unless it was asked a moment ago and had
    /// less than this amount. Whether the bank wants a new sign-in, or the link has
    /// ended, is recorded on the way.
    ///
    /// # Errors
    /// Rejected when the profile has had its banks asked too often today, the bank wants a new sign-in, the link has ended, DriveWealth refuses the bank token, or the account is
    /// in another currency, transient when Plaid gives no answer.
    pub(crate) async fn available(
        &self,
        account: &LinkedBankAccount,
        amount: Money,
        deadline: Deadline,
    ) -> Result<Money, Error> {
        // Plaid isn't asked for what DriveWealth won't take anyway.
        if account.is_link_ended {
            return Err(Error::BankLinkEnded);
        }
        if account.is_token_invalid {
            return Err(Error::BankNeedsSignIn);
        }
        let asked_at = self.clock.now();
        if let Some((balance, as_of)) = &account.known
            && asked_at - *as_of <= FRESH_FOR
            && balance.currency() == amount.currency()
            && balance.minor() < amount.minor()
        {
            return Ok(*balance);
        }
        paid_call::count(
            &self.database,
            &self.clock,
            account.profile,
            PaidCall::BankBalance,
        )
        .await?;
        let balance = self.bank.balance(account, deadline).await;
        if let Ok(balance) = &balance {
            let known = Some(*balance);
            self.database
                .with(async |connection| store::save_balance(connection, account.id, known, asked_at).await)
                .await?;
        }
        match &balance {
            Err(Error::BankNeedsSignIn) => {
                let now = self.clock.now();
                self.database
                    .with(async |connection| {
                        store::set_needs_sign_in(connection, &account.item_id, now).await
                    })
                    .await?;
            }
            Err(Error::BankLinkEnded) => {
                let now = self.clock.now();
                self.database
                    .with(async |connection| store::set_link_ended(connection, &account.item_id, now).await)
                    .await?;
            }
            Ok(_) if account.needs_sign_in => {
                self.database
                    .with(async |connection| {
                        store::set_signed_in(connection, &account.item_id, asked_at).await
                    })
                    .await?;
            }
            _ => {}
        }
        match balance? {
            balance if balance.currency() == Currency::USD => Ok(balance),
            other => Err(Error::BankCurrency {
                currency: other.currency(),
            }),
        }
    }
}
