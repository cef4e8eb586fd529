//! Bank accounts and the sign-ins behind them.

use domain::ids::BankAccountId;
use sqlx::PgConnection;

use crate::Error;

/// Notes that the bank wants its customer to sign in again; the first time counts.
pub(crate) async fn set_needs_sign_in(connection: &mut PgConnection, item_id: &str) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = COALESCE(needs_reauth_since, now()) WHERE item_id = $1",
        item_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The same, for the item that a bank account belongs to.
pub(crate) async fn set_account_needs_sign_in(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = COALESCE(needs_reauth_since, now()) \
         WHERE id = (SELECT plaid_item_id FROM bank_accounts WHERE id = $1)",
        bank_account.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the customer is signed in.
pub(crate) async fn set_signed_in(connection: &mut PgConnection, item_id: &str) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = NULL WHERE item_id = $1 AND needs_reauth_since IS NOT NULL",
        item_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}
