//! The list of a profile's bank accounts, with balances that are fresh where the banks respond.

use std::time::Duration;

use domain::ids::ProfileId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use providers::outcome::Outcome;
use providers::plaid::{is_gone, needs_sign_in};
use tokio::time::Instant;

use super::store::{self, BankAccountRow};
use super::view::{BankAccountList, BankAccountView};
use crate::bank_account::{Bank, FRESH_FOR, PLAID};
use crate::paid_call::{self, PaidCall};
use crate::{Error, bank_account};

/// Balances are left as they are when less than this is left.
const RESERVE: Duration = Duration::from_secs(6);
/// The longest that one bank is waited for, where all are asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lists bank accounts.
#[derive(Debug)]
pub struct LinkedBankAccounts {
    database: Database,
    bank: Bank,
    clock: ClockHandle,
}

platform::from_environment!(LinkedBankAccounts {
    database,
    bank,
    clock
});

impl LinkedBankAccounts {
    /// The profile's bank accounts, with balances that are at most 5 minutes old where the banks respond; a bank that doesn't
    /// spoils no other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, profile: ProfileId, deadline: Deadline) -> Result<BankAccountList, Error> {
        let rows = self.load(profile).await?;
        let mut is_changed = false;
        for row in rows.iter().filter(|row| self.is_stale(row)) {
            if deadline.left() < RESERVE {
                break;
            }
            match self.refresh(profile, row, deadline).await {
                Ok(()) => is_changed = true,
                Err(error) => {
                    tracing::warn!(bank_account_id = %row.id, error = chain(&error), "fetching a balance failed");
                }
            }
        }
        let rows = if is_changed {
            self.load(profile).await?
        } else {
            rows
        };
        Ok(BankAccountList {
            items: rows.into_iter().map(BankAccountView::from).collect(),
        })
    }

    async fn load(&self, profile: ProfileId) -> Result<Vec<BankAccountRow>, Error> {
        self.database
            .with(async |connection| store::list(connection, profile, None).await)
            .await
    }

    fn is_stale(&self, row: &BankAccountRow) -> bool {
        let is_old = row
            .balance_as_of
            .is_none_or(|as_of| self.clock.now() - as_of > FRESH_FOR);
        is_old && row.ended_at.is_none() && row.status == "linked"
    }

    async fn refresh(
        &self,
        profile: ProfileId,
        row: &BankAccountRow,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let token = self.bank.open(&row.item_id, &row.access_token_sealed).await?;
        let client = self.bank.client().await?;
        paid_call::count(&self.database, &self.clock, profile, PaidCall::BankBalance).await?;
        let as_of = self.clock.now();
        // A bank that takes its time leaves some to the others.
        let until = deadline.instant().min(Instant::now() + PATIENCE);
        let balance = client.balance(&token, &row.plaid_account_id, until).await;
        let needs_sign_in = matches!(&balance, Outcome::Declined(decline) if needs_sign_in(decline));
        let is_ended = matches!(&balance, Outcome::Declined(decline) if is_gone(decline));
        self.database
            .with(async |connection| {
                if needs_sign_in {
                    return bank_account::store::set_needs_sign_in(connection, &row.item_id, as_of).await;
                }
                if is_ended {
                    return store::set_ended(connection, row.item, as_of).await;
                }
                let balance = balance.done(PLAID)?;
                bank_account::store::set_signed_in(connection, &row.item_id, as_of).await?;
                bank_account::store::save_balance(connection, row.id, Some(balance), as_of).await
            })
            .await
    }
}
