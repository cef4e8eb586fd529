//! The request for a quote.

use domain::currency::Currency;
use domain::ids::WalletId;
use domain::wallets::conversion::FixedAmount;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;

/// The transfer that a quote is of. Either the payer's or the receiver's amount is fixed; the other follows from the rate.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteQuery {
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// The currency of the wallet that receives.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", examples("EUR"))]
    pub receiver_currency: Currency,
    /// What the payer pays, in minor units of the payer's currency.
    #[schema(minimum = 1, examples(1_000))]
    pub amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's currency; instead of `amount`.
    #[schema(minimum = 1)]
    pub receiver_amount: Option<i64>,
}

impl QuoteQuery {
    /// The amount that is fixed: exactly one, above zero.
    pub(super) fn fixed(&self) -> Result<FixedAmount, Error> {
        let (fixed, amount, field) = match (self.amount, self.receiver_amount) {
            (Some(amount), None) => (FixedAmount::Payer(amount), amount, "amount"),
            (None, Some(amount)) => (FixedAmount::Receiver(amount), amount, "receiver_amount"),
            _ => return Err(Error::OneAmountNeeded),
        };
        if amount > 0 {
            Ok(fixed)
        } else {
            Err(Error::AmountNotPositive { field })
        }
    }
}
