//! What callers send as a transfer of a batch.

use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use platform::http::Problem;
use platform::idempotency::IdempotencyKey;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::transfer::{BatchItem, TransferRequest};

/// A transfer of a batch; see the operation Transfer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchTransfer {
    /// Who pays.
    #[schema(value_type = i64, minimum = 1)]
    client_id: ClientId,
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    wallet_id: WalletId,
    /// Who gets the money.
    #[schema(value_type = i64, minimum = 1)]
    receiver_client_id: ClientId,
    /// Which of the receiver's wallets, by its currency.
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{3}$")]
    receiver_currency: Option<Currency>,
    /// What the payer pays, in minor units of the payer's currency.
    #[schema(minimum = 1)]
    amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's currency; instead of `amount`.
    #[schema(minimum = 1)]
    receiver_amount: Option<i64>,
    /// The transfer's own key, as if it were sent by itself; the batch's key and its position unless given.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[\x21-\x7E]+$")]
    idempotency_key: Option<String>,
}

impl BatchTransfer {
    /// The transfer at this position of its batch.
    ///
    /// # Errors
    /// 400 naming the field when its key is malformed.
    pub fn read(self, position: usize) -> Result<BatchItem, Problem> {
        let field = format!("transfers[{position}].idempotency_key");
        let key = self
            .idempotency_key
            .map(|key| IdempotencyKey::parse_field(&field, &key))
            .transpose()?;
        Ok(BatchItem {
            client: self.client_id,
            key,
            transfer: TransferRequest {
                wallet_id: self.wallet_id,
                receiver_client_id: self.receiver_client_id,
                receiver_currency: self.receiver_currency,
                amount: self.amount,
                receiver_amount: self.receiver_amount,
            },
        })
    }
}
