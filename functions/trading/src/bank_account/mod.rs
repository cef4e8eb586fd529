//! A customer's bank account, reached through Plaid: what can be taken from it, and whether the bank wants its customer to
//! sign in again.

mod plaid;
pub(crate) mod store;

use domain::currency::Currency;
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;

pub(crate) use self::plaid::{Bank, PLAID, token_place};

use self::store::LinkedBankAccount;
use crate::Error;

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
    /// What can be taken from the bank account now, in US dollars. Whether the bank wants a new sign-in, or the link has
    /// ended, is recorded on the way.
    ///
    /// # Errors
    /// Rejected when the bank wants a new sign-in, the link has ended, DriveWealth refuses the bank token, or the account is
    /// in another currency, transient when Plaid gives no answer.
    pub(crate) async fn available(
        &self,
        account: &LinkedBankAccount,
        deadline: Deadline,
    ) -> Result<Money, Error> {
        // Plaid isn't asked for what DriveWealth won't take anyway.
        if account.is_link_ended {
            return Err(Error::BankLinkEnded);
        }
        if account.is_token_invalid {
            return Err(Error::BankNeedsSignIn);
        }
        let balance = self.bank.balance(account, deadline).await;
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
                    .with(async |connection| store::set_signed_in(connection, &account.item_id).await)
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
