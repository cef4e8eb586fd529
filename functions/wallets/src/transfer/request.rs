//! What callers send as transfers.

use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use platform::http::Object;
use platform::idempotency::IdempotencyKey;
use serde::de::{Deserialize, Deserializer, Error as _};
use utoipa::ToSchema;

use crate::Error;

/// A transfer to make. Either the payer's or the receiver's amount is fixed; the other follows from the rate.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// Who gets the money.
    #[schema(value_type = i64, minimum = 1)]
    pub receiver_client_id: ClientId,
    /// Which of the receiver's wallets, by its currency. Unless given: the one in the payer's currency, else the only one.
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{3}$", examples("EUR"))]
    pub receiver_currency: Option<Currency>,
    /// What the payer pays, in minor units of the payer's currency.
    #[schema(minimum = 1, examples(1_000))]
    pub amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's currency; instead of `amount`.
    #[schema(minimum = 1)]
    pub receiver_amount: Option<i64>,
}

impl TransferRequest {
    /// Passes exactly one amount, above zero.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (amount, field) = match (self.amount, self.receiver_amount) {
            (Some(amount), None) => (amount, "amount"),
            (None, Some(amount)) => (amount, "receiver_amount"),
            _ => return Err(Error::OneAmountNeeded),
        };
        if amount > 0 {
            Ok(())
        } else {
            Err(Error::AmountNotPositive { field })
        }
    }
}

/// Transfers to make, in their order.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferBatchRequest {
    /// `atomic`: all or none. `each`: every one by itself.
    #[schema(value_type = String, pattern = "^(atomic|each)$", examples("each"))]
    pub mode: BatchMode,
    /// The transfers.
    #[schema(value_type = Vec<BatchTransfer>, min_items = 1, max_items = 500)]
    pub transfers: Vec<Object<BatchTransfer>>,
}

/// Whether the transfers of a batch depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// All or none.
    Atomic,
    /// Each by itself.
    Each,
}

/// A transfer of a batch; see the operation Transfer.
#[derive(Debug, Clone, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchTransfer {
    /// Who pays.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// Who gets the money.
    #[schema(value_type = i64, minimum = 1)]
    pub receiver_client_id: ClientId,
    /// Which of the receiver's wallets, by its currency.
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{3}$")]
    pub receiver_currency: Option<Currency>,
    /// What the payer pays, in minor units of the payer's currency.
    #[schema(minimum = 1)]
    pub amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's currency; instead of `amount`.
    #[schema(minimum = 1)]
    pub receiver_amount: Option<i64>,
    /// The transfer's own key, as if it were sent by itself: it is made once under it, in whatever batch. The batch's key
    /// covers it unless given.
    #[serde(default, deserialize_with = "optional_key")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, pattern = r"^[\x21-\x7E]+$")]
    pub idempotency_key: Option<IdempotencyKey>,
}

impl BatchTransfer {
    /// The transfer as it would be sent by itself: under the same key it is the same request.
    pub(super) fn transfer(&self) -> TransferRequest {
        TransferRequest {
            wallet_id: self.wallet_id,
            receiver_client_id: self.receiver_client_id,
            receiver_currency: self.receiver_currency,
            amount: self.amount,
            receiver_amount: self.receiver_amount,
        }
    }
}

fn optional_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IdempotencyKey>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let read = |text: String| IdempotencyKey::parse_field("idempotency_key", &text);
    text.map(read).transpose().map_err(|problem| {
        let message = problem.errors.into_iter().next().map(|field| field.message);
        D::Error::custom(message.unwrap_or(problem.detail))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn transfer(amounts: &Value) -> TransferRequest {
        let mut request = json!({"wallet_id": 1, "receiver_client_id": 2});
        let fields = amounts.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn a_transfer_fixes_one_amount_above_zero() {
        assert!(transfer(&json!({"amount": 1})).check().is_ok());
        assert!(transfer(&json!({"receiver_amount": 1})).check().is_ok());
        for amounts in [json!({}), json!({"amount": 1, "receiver_amount": 1})] {
            let refused = transfer(&amounts).check().unwrap_err();
            assert!(matches!(refused, Error::OneAmountNeeded), "{amounts}");
        }
        for field in ["amount", "receiver_amount"] {
            let refused = transfer(&json!({ field: 0 })).check().unwrap_err();
            assert!(matches!(refused, Error::AmountNotPositive { field: named } if named == field));
        }
    }

    #[test]
    fn a_transfer_of_a_batch_is_the_same_request_as_one_by_itself() {
        let single = transfer(&json!({"receiver_currency": "EUR", "amount": 5}));
        let of_batch: BatchTransfer = serde_json::from_value(json!({
            "client_id": 7, "wallet_id": 1, "receiver_client_id": 2, "receiver_currency": "EUR", "amount": 5,
            "idempotency_key": "key",
        }))
        .unwrap();
        let text = |request: TransferRequest| serde_json::to_string(&request).unwrap();
        assert_eq!(text(of_batch.transfer()), text(single));
        // Its hash is stored under the key, so it stays as it is for as long as the keys do.
        let stored = r#"{"wallet_id":1,"receiver_client_id":2,"receiver_currency":"EUR","amount":5,"receiver_amount":null}"#;
        assert_eq!(text(single), stored);
    }

    #[test]
    fn a_key_in_a_batch_is_checked_as_the_header_is() {
        let read = |key: &Value| {
            let item =
                json!({"client_id": 7, "wallet_id": 1, "receiver_client_id": 2, "idempotency_key": key});
            serde_json::from_value::<BatchTransfer>(item)
        };
        assert!(read(&json!(null)).unwrap().idempotency_key.is_none());
        assert_eq!(
            read(&json!(" a ")).unwrap().idempotency_key.unwrap().as_str(),
            "a"
        );
        for key in [json!(""), json!("a b"), json!("x".repeat(129)), json!(5)] {
            assert!(read(&key).is_err(), "{key}");
        }
    }
}
