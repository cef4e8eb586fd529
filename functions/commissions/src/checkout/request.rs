//! The request for a checkout session.

use platform::config::{Environment, FromEnvironment};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;

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
    /// In mode `payment` only: one of the prices on offer. Without one, a small price chosen by us is paid to prove the card,
    /// and refunded as soon as it is.
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
}

/// What is sold at a checkout: what the server has decided, whatever a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sale {
    /// Nothing: a card is saved.
    Nothing,
    /// A small price that proves the card, and is refunded.
    CardProof(String),
    /// A price on offer, which is not refunded by itself.
    Price(String),
}

impl Sale {
    /// The price that is paid.
    pub(super) fn price(&self) -> Option<&str> {
        match self {
            Sale::Nothing => None,
            Sale::CardProof(price) | Sale::Price(price) => Some(price),
        }
    }

    /// Whether the payment is given back.
    pub(super) const fn is_card_proof(&self) -> bool {
        matches!(self, Sale::CardProof(_))
    }
}

/// The prices that may be paid.
#[derive(Debug, Clone)]
pub(super) struct PriceList {
    card_proof: Option<String>,
    on_offer: Vec<String>,
}

impl FromEnvironment for PriceList {
    /// Reads `CARD_PROOF_PRICE_ID` and `CHECKOUT_PRICE_IDS`, with commas between; either may be missing.
    fn read(environment: &mut Environment) -> Option<Self> {
        let on_offer: String = environment.optional("CHECKOUT_PRICE_IDS").unwrap_or_default();
        let on_offer = on_offer
            .split(',')
            .map(str::trim)
            .filter(|price| !price.is_empty());
        Some(Self {
            card_proof: environment.optional("CARD_PROOF_PRICE_ID"),
            on_offer: on_offer.map(str::to_owned).collect(),
        })
    }
}

impl PriceList {
    /// What a request is for.
    ///
    /// # Errors
    /// Rejected naming the price.
    pub(super) fn sale(&self, request: &CheckoutSessionRequest) -> Result<Sale, Error> {
        let refused = |message| Err(Error::Price { message });
        match (request.mode, &request.price_id) {
            (Mode::Setup, None) => Ok(Sale::Nothing),
            (Mode::Setup, Some(_)) => refused("has no place in mode setup: nothing is paid"),
            (Mode::Payment, None) => match &self.card_proof {
                Some(price) => Ok(Sale::CardProof(price.clone())),
                None => refused("is needed in mode payment: cards are not proved by a payment here"),
            },
            (Mode::Payment, Some(price)) if self.on_offer.contains(price) => Ok(Sale::Price(price.clone())),
            (Mode::Payment, Some(_)) => Err(Error::PriceNotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(mode: Mode, price: Option<&str>) -> CheckoutSessionRequest {
        CheckoutSessionRequest {
            mode,
            price_id: price.map(str::to_owned),
            success_url: String::new(),
            cancel_url: String::new(),
        }
    }

    fn prices(card_proof: Option<&str>) -> PriceList {
        PriceList {
            card_proof: card_proof.map(str::to_owned),
            on_offer: vec!["price_basic".to_owned()],
        }
    }

    #[test]
    fn server_chooses_the_price_of_a_card_proof_and_refunds_no_other() {
        let sale = |price| prices(Some("price_proof")).sale(&request(Mode::Payment, price));
        assert_eq!(sale(None).unwrap(), Sale::CardProof("price_proof".to_owned()));
        assert_eq!(
            sale(Some("price_basic")).unwrap(),
            Sale::Price("price_basic".to_owned())
        );
        // Not even the price of the proof itself can be asked for.
        for other in ["price_proof", "price_premium", "", "price_\0"] {
            assert!(matches!(sale(Some(other)), Err(Error::PriceNotFound)), "{other}");
        }
    }

    #[test]
    fn price_is_refused_where_none_belongs_or_none_is_offered() {
        let refused = |prices: PriceList, request| matches!(prices.sale(&request), Err(Error::Price { .. }));
        assert!(refused(
            prices(Some("price_proof")),
            request(Mode::Setup, Some("price_basic"))
        ));
        assert!(refused(prices(None), request(Mode::Payment, None)));
        let nothing = prices(None).sale(&request(Mode::Setup, None));
        assert_eq!(nothing.unwrap(), Sale::Nothing);
    }
}
