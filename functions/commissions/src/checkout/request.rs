//! The request for a checkout session.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;

/// Longest id of a price, in bytes.
const MAX_PRICE_ID_BYTES: usize = 128;

/// The purpose of a checkout session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To save a card for later charges.
    Setup,
    /// To pay a price.
    Payment,
}

impl Mode {
    /// The name under which it is stored.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Mode::Setup => "setup",
            Mode::Payment => "payment",
        }
    }
}

/// A checkout session to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutSessionRequest {
    /// `setup` saves a card for commissions; `payment` pays a price.
    #[schema(value_type = String, pattern = "^(setup|payment)$", examples("setup"))]
    pub mode: Mode,
    /// Stripe's id of the price; in mode `payment` only.
    #[schema(min_length = 1, max_length = 128, examples("price_1MoBy5LkdIwHu7ixZhnattbh"))]
    pub price_id: Option<String>,
    /// Where the customer goes afterwards, on one of the app's hosts; `{CHECKOUT_SESSION_ID}` in it becomes the session's
    /// id.
    #[schema(
        min_length = 1,
        max_length = 2048,
        examples("https://app.example.com/billing?session={CHECKOUT_SESSION_ID}")
    )]
    pub success_url: String,
    /// Where the customer goes when turning back, on one of the app's hosts.
    #[schema(
        min_length = 1,
        max_length = 2048,
        examples("https://app.example.com/billing")
    )]
    pub cancel_url: String,
    /// Whether a payment is refunded as soon as it is done, because it only proves the card; `false` unless given.
    #[serde(default)]
    pub refund: bool,
}

impl CheckoutSessionRequest {
    /// Checks that there is a price where one is needed, and nowhere else.
    ///
    /// # Errors
    /// Rejected naming the price.
    pub(super) fn check_price(&self) -> Result<(), Error> {
        let message = match (self.mode, &self.price_id) {
            (Mode::Payment, None) => "is needed in mode payment",
            (Mode::Setup, Some(_)) => "has no place in mode setup: nothing is paid",
            (Mode::Setup, None) if self.refund => "is needed for a refund; mode setup takes no money",
            (Mode::Payment, Some(price)) if !is_id(price) => {
                "has to be 1 to 128 visible ASCII characters, as Stripe gave it"
            }
            _ => return Ok(()),
        };
        Err(Error::Price { message })
    }
}

fn is_id(price: &str) -> bool {
    (1..=MAX_PRICE_ID_BYTES).contains(&price.len()) && price.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_named_by_an_id() {
        let longest = "x".repeat(MAX_PRICE_ID_BYTES);
        for price in ["price_1MoBy5LkdIwHu7ixZhnattbh", "gold", &longest] {
            assert!(is_id(price), "{price}");
        }
        for price in [
            "",
            " ",
            "a b",
            "price_\0",
            "price_\n",
            "ключ",
            &format!("{longest}x"),
        ] {
            assert!(!is_id(price), "{price}");
        }
    }
}
