//! Statements: opening balance, the entries of a period, closing balance. They add up, on every page and from page to
//! page, whatever is paid meanwhile: a page is a run of entry numbers, and those never change.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::payment::PaymentType;
use platform::config::Environment;
use platform::database::Database;
use platform::error::PlatformError;
use platform::pagination;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::answer::{code, type_schema};
use crate::store::clients::{self, Wallet};
use crate::store::statement::{self, Entry};

/// Most lines of a page: what fits an answer of Lambda, which is six megabytes, with room to spare.
pub const MAX_LINES: u32 = 10_000;
/// Lines of a page unless a caller asks for another number.
pub const DEFAULT_LINES: u32 = 1_000;

/// A page of a wallet's statement: `opening_balance` and the lines' amounts add up to `closing_balance`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Statement {
    /// Whose it is.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// The wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// The wallet's currency, an ISO 4217 code; all amounts but the partner's are in its minor units.
    pub currency: String,
    /// The balance before the first line.
    #[schema(minimum = 0)]
    pub opening_balance: i64,
    /// The entries, oldest first.
    pub lines: Vec<StatementLine>,
    /// What the lines brought in, above zero or zero.
    #[schema(minimum = 0)]
    pub credit_turnover: i64,
    /// What the lines took out, below zero or zero.
    #[schema(maximum = 0)]
    pub debit_turnover: i64,
    /// The balance after the last line.
    #[schema(minimum = 0)]
    pub closing_balance: i64,
    /// Give it as `cursor` to get the next page, whose opening balance is this one's closing balance; null on the last.
    pub next_cursor: Option<String>,
}

/// An entry of a wallet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatementLine {
    /// Its number among the wallet's entries, from 1 without gaps.
    #[schema(minimum = 1)]
    pub entry: i64,
    /// When it was made (RFC 3339, UTC).
    pub at: DateTime<Utc>,
    /// The payment.
    #[schema(value_type = i64, minimum = 1)]
    pub payment_id: PaymentId,
    /// The transaction.
    #[schema(value_type = uuid::Uuid)]
    pub transaction_id: TransactionId,
    /// What the payment is.
    #[schema(schema_with = type_schema)]
    pub payment_type: PaymentType,
    /// Whether the money of a failed withdrawal comes back.
    pub is_return: bool,
    /// The other client; null for the house.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_client_id: Option<ClientId>,
    /// The currency of the other side.
    pub partner_currency: String,
    /// In minor units of the other side's currency, with the other sign.
    pub partner_amount: i64,
    /// Payer's currency to receiver's currency, a decimal.
    pub exchange_rate: String,
    /// Below zero when money leaves the wallet.
    pub amount: i64,
    /// The balance after this line.
    #[schema(minimum = 0)]
    pub balance: i64,
}

/// How a statement is written.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As CSV.
    Csv,
}

/// Which part of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// The first page of a period.
    Period {
        /// Entries of this time or later; from the first one on when missing.
        from: Option<DateTime<Utc>>,
        /// Entries before this time; up to the newest one when missing.
        to: Option<DateTime<Utc>>,
    },
    /// The page that a cursor leads to.
    Next(Position),
}

/// Where a page begins, and where the statement ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Position {
    first: i64,
    end: i64,
}

/// The statements of wallets.
#[derive(Debug)]
pub struct Statements {
    database: Database,
}

impl Statements {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// A page of the wallet's statement.
    ///
    /// # Errors
    /// Not found for an unknown wallet.
    pub async fn page(
        &self,
        client: ClientId,
        wallet: WalletId,
        part: Part,
        limit: u32,
    ) -> Result<Statement, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        // The newest entry's number comes first: whatever is read after it has a fixed end.
        let wallet = clients::wallet(&mut connection, client, wallet).await?;
        let (first, end) = match part {
            Part::Next(Position { first, end }) => (first.max(1), end.min(wallet.entries + 1)),
            Part::Period { from, to } => {
                let first = match from {
                    None => 1,
                    Some(from) => statement::first_since(&mut connection, &wallet, from).await?,
                };
                let end = match to {
                    None => wallet.entries + 1,
                    Some(to) => statement::first_since(&mut connection, &wallet, to).await?,
                };
                (first, end.max(first))
            }
        };
        let opening =
            statement::balance_after(&mut connection, &wallet, first.min(wallet.entries + 1) - 1).await?;
        let entries = statement::entries(&mut connection, &wallet, first, end, i64::from(limit)).await?;
        assemble(&wallet, opening, &entries, end)
    }
}

fn assemble(wallet: &Wallet, opening: Money, entries: &[Entry], end: i64) -> Result<Statement, Error> {
    let turnovers = Turnovers::of(entries, opening.currency());
    let entries = entries.get(..turnovers.entries).unwrap_or_default();
    let closing = entries.last().map_or(opening, |entry| entry.balance_after);
    let next = entries
        .last()
        .map(|entry| entry.number + 1)
        .filter(|next| *next < end);
    let next_cursor = next
        .map(|first| pagination::encode(&Position { first, end }))
        .transpose()
        .map_err(PlatformError::from)?;
    Ok(Statement {
        client_id: wallet.client,
        wallet_id: wallet.id,
        currency: code(opening),
        opening_balance: opening.minor(),
        lines: entries.iter().map(StatementLine::from).collect(),
        credit_turnover: turnovers.credit.minor(),
        debit_turnover: turnovers.debit.minor(),
        closing_balance: closing.minor(),
        next_cursor,
    })
}

/// What the first entries of a page bring in and take out: as many of them as have sums that can be told. A page ends
/// before a turnover that is too large, which a wallet that is filled and emptied again and again gets to.
struct Turnovers {
    entries: usize,
    credit: Money,
    debit: Money,
}

impl Turnovers {
    fn of(entries: &[Entry], currency: Currency) -> Self {
        let none = Self {
            entries: 0,
            credit: Money::zero(currency),
            debit: Money::zero(currency),
        };
        let with = |before: &Self, entry: &Entry| {
            let (credit, debit) = if entry.amount.is_positive() {
                (before.credit.checked_add(entry.amount), Ok(before.debit))
            } else {
                (Ok(before.credit), before.debit.checked_add(entry.amount))
            };
            Some(Self {
                entries: before.entries + 1,
                credit: credit.ok()?,
                debit: debit.ok()?,
            })
        };
        entries
            .iter()
            .try_fold(none, |before, entry| with(&before, entry).ok_or(before))
            .unwrap_or_else(|as_far_as_it_goes| as_far_as_it_goes)
    }
}

impl From<&Entry> for StatementLine {
    fn from(entry: &Entry) -> Self {
        Self {
            entry: entry.number,
            at: entry.at,
            payment_id: entry.payment,
            transaction_id: entry.transaction,
            payment_type: entry.kind,
            is_return: entry.is_return,
            partner_client_id: entry.partner,
            partner_currency: code(entry.partner_amount),
            partner_amount: entry.partner_amount.minor(),
            exchange_rate: entry.exchange_rate.to_string(),
            amount: entry.amount.minor(),
            balance: entry.balance_after.minor(),
        }
    }
}

impl Statement {
    /// The page as CSV: a row for the opening balance, one for each line, one for the closing balance. Amounts are in minor
    /// units as everywhere; where there is another page, the last row has the cursor that leads to it.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(
            "row,entry,at,payment_id,transaction_id,payment_type,is_return,partner_client_id,partner_currency,\
             partner_amount,exchange_rate,currency,amount,balance,next_cursor\r\n",
        );
        let currency = &self.currency;
        // No field holds a comma, a quote or a line break: numbers, codes, times and ids. Writing to a string can't fail.
        let _ = write!(csv, "opening,,,,,,,,,,,{currency},,{},\r\n", self.opening_balance);
        for line in &self.lines {
            let partner = line
                .partner_client_id
                .map(|client| client.to_string())
                .unwrap_or_default();
            let _ = write!(
                csv,
                "line,{},{},{},{},{},{},{partner},{},{},{},{currency},{},{},\r\n",
                line.entry,
                line.at.to_rfc3339_opts(SecondsFormat::Micros, true),
                line.payment_id,
                line.transaction_id,
                line.payment_type,
                line.is_return,
                line.partner_currency,
                line.partner_amount,
                line.exchange_rate,
                line.amount,
                line.balance,
            );
        }
        let next = self.next_cursor.as_deref().unwrap_or_default();
        let _ = write!(
            csv,
            "closing,,,,,,,,,,,{currency},,{},{next}\r\n",
            self.closing_balance
        );
        csv
    }

    /// The name under which the CSV is kept.
    pub fn file_name(&self) -> String {
        format!("statement-{}-{}.csv", self.client_id, self.wallet_id)
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    const LARGEST: i64 = i64::MAX;

    fn dollars(minor: i64) -> Money {
        Money::new(minor, Currency::USD)
    }

    fn entry(number: i64, amount: i64, balance_after: i64) -> Entry {
        Entry {
            number,
            at: DateTime::UNIX_EPOCH,
            is_return: false,
            payment: PaymentId::new(number).unwrap(),
            transaction: TransactionId::from_uuid(Uuid::nil()),
            kind: PaymentType::Transfer,
            partner: ClientId::new(2),
            partner_amount: dollars(-amount),
            exchange_rate: Decimal::ONE,
            amount: dollars(amount),
            balance_after: dollars(balance_after),
        }
    }

    fn page(entries: &[Entry]) -> Statement {
        let wallet = Wallet {
            client: ClientId::new(1).unwrap(),
            id: WalletId::new(1).unwrap(),
            balance: dollars(0),
            entries: 4,
            created_at: DateTime::UNIX_EPOCH,
        };
        assemble(&wallet, dollars(0), entries, 5).unwrap()
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
        let next: Position = pagination::decode(first.next_cursor.as_deref().unwrap()).unwrap();
        assert_eq!((next.first, next.end), (3, 5));
        let second = page(&all[2..]);
        assert_eq!((second.credit_turnover, second.debit_turnover), (1, -1));
        assert_eq!((second.lines.len(), second.next_cursor), (2, None));
    }
}
