//! Statements: opening balance, the entries of a period, closing balance. They add up, on every page and from page to
//! page, whatever is paid meanwhile: a page is a run of entry numbers, and those never change.

mod csv;
mod request;
mod store;
pub mod view;

use domain::ids::{ClientId, WalletId};
use platform::error::PlatformError;
use platform::pagination;
use sqlx::PgConnection;

use crate::Error;
use crate::client::store::{self as clients, Wallet};
use crate::placement::Nodes;
use request::{Part, Position, StatementLines};
use store::Entry;
use view::{StatementLineView, StatementView};

pub use request::{Format, StatementPage, StatementQuery};

/// The statements of wallets.
#[derive(Debug)]
pub struct Statements {
    nodes: Nodes,
}

platform::from_environment!(Statements { nodes });

impl Statements {
    /// A page of the wallet's statement.
    ///
    /// # Errors
    /// Not found for an unknown wallet.
    pub async fn page(
        &self,
        client_id: ClientId,
        wallet_id: WalletId,
        page: StatementPage,
    ) -> Result<StatementView, Error> {
        self.nodes
            .of(client_id)
            .with(async |connection| {
                // The newest entry's number comes first: whatever is read after it has a fixed end.
                let wallet = clients::wallet(connection, client_id, wallet_id).await?;
                let Position { first, end } = position(connection, &wallet, page.part).await?;
                let before = first.min(wallet.entries + 1) - 1;
                let opening = store::balance_after(connection, &wallet, before).await?;
                let limit = i64::from(page.limit);
                let entries = store::entries(connection, &wallet, first, end, limit).await?;
                assemble(&wallet, opening, &entries, end)
            })
            .await
    }
}

async fn position(connection: &mut PgConnection, wallet: &Wallet, part: Part) -> Result<Position, Error> {
    let newest = wallet.entries;
    let (from, to) = match part {
        Part::Next(Position { first, end }) => {
            return Ok(Position {
                first: first.max(1),
                end: end.min(newest + 1),
            });
        }
        Part::Period { from, to } => (from, to),
    };
    let first = match from {
        None => 1,
        Some(from) => store::first_since(connection, wallet, from).await?,
    };
    let end = match to {
        None => newest + 1,
        Some(to) => store::first_since(connection, wallet, to).await?,
    };
    Ok(Position {
        first,
        end: end.max(first),
    })
}

fn assemble(
    wallet: &Wallet,
    opening_balance: i64,
    entries: &[Entry],
    end: i64,
) -> Result<StatementView, Error> {
    let turnovers = Turnovers::of(entries);
    let entries = entries.get(..turnovers.entries).unwrap_or_default();
    let closing = entries.last().map(|entry| entry.balance_after);
    let next = entries
        .last()
        .map(|entry| entry.number + 1)
        .filter(|next| *next < end);
    let next_cursor = next
        .map(|first| pagination::encode::<StatementLines>(&Position { first, end }))
        .transpose()
        .map_err(PlatformError::from)?;
    Ok(StatementView {
        client_id: wallet.client_id,
        wallet_id: wallet.id,
        currency: wallet.currency.0,
        opening_balance,
        lines: entries.iter().map(StatementLineView::from).collect(),
        credit_turnover: turnovers.credit,
        debit_turnover: turnovers.debit,
        closing_balance: closing.unwrap_or(opening_balance),
        next_cursor,
    })
}

/// What the first entries of a page bring in and take out, in minor units: as many of them as have sums that fit. A page
/// ends before a turnover that is too large, which a wallet that is filled and emptied again and again gets to.
#[derive(Default)]
struct Turnovers {
    entries: usize,
    credit: i64,
    debit: i64,
}

impl Turnovers {
    fn of(entries: &[Entry]) -> Self {
        let mut sums = Self::default();
        for entry in entries {
            let sum = if entry.amount > 0 {
                &mut sums.credit
            } else {
                &mut sums.debit
            };
            let Some(with_entry) = sum.checked_add(entry.amount) else {
                break;
            };
            *sum = with_entry;
            sums.entries += 1;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::currency::Currency;
    use domain::ids::{PaymentId, TransactionId};
    use domain::wallets::payment::PaymentType;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::currency_number::CurrencyNumber;

    const LARGEST: i64 = i64::MAX;
    const DOLLARS: CurrencyNumber = CurrencyNumber(Currency::USD);

    fn entry(number: i64, amount: i64, balance_after: i64) -> Entry {
        Entry {
            number,
            at: DateTime::UNIX_EPOCH,
            is_return: false,
            payment_id: PaymentId::new(number).unwrap(),
            transaction_id: TransactionId::from_uuid(Uuid::nil()),
            payment_type: PaymentType::Transfer,
            partner_client_id: ClientId::new(2),
            partner_currency: DOLLARS,
            partner_amount: -amount,
            exchange_rate: Decimal::ONE,
            amount,
            balance_after,
        }
    }

    fn page(entries: &[Entry]) -> StatementView {
        let wallet = Wallet {
            client_id: ClientId::new(1).unwrap(),
            id: WalletId::new(1).unwrap(),
            currency: DOLLARS,
            balance: 0,
            entries: 4,
            created_at: DateTime::UNIX_EPOCH,
        };
        assemble(&wallet, 0, entries, 5).unwrap()
    }

    #[test]
    fn a_page_ends_before_a_turnover_that_is_too_large() {
        let all = [
            entry(1, LARGEST, LARGEST),
            entry(2, -LARGEST, 0),
            entry(3, 1, 1),
            entry(4, -1, 0),
        ];
        let first = page(&all);
        assert_eq!((first.credit_turnover, first.debit_turnover), (LARGEST, -LARGEST));
        assert_eq!((first.lines.len(), first.closing_balance), (2, 0));
        let next = pagination::decode::<StatementLines>(first.next_cursor.as_deref().unwrap()).unwrap();
        assert_eq!((next.first, next.end), (3, 5));
        let second = page(&all[2..]);
        assert_eq!((second.credit_turnover, second.debit_turnover), (1, -1));
        assert_eq!((second.lines.len(), second.next_cursor), (2, None));
    }
}
