//! Currencies in the tables of the wallets: ISO 4217 numbers.

use domain::currency::Currency;
use sqlx::Postgres;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};

/// A currency that is stored by its number; another number is an error of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CurrencyNumber(pub(crate) Currency);

impl sqlx::Type<Postgres> for CurrencyNumber {
    fn type_info() -> PgTypeInfo {
        <i16 as sqlx::Type<Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, Postgres> for CurrencyNumber {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let number = <i16 as sqlx::Decode<'r, Postgres>>::decode(value)?;
        Ok(Self(Currency::from_numeric(number)?))
    }
}
