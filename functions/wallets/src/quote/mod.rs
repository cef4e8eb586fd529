//! Quotes: what a transfer would pay and bring now, at the rate that a transfer would use. Nothing is written, and nothing
//! is promised: the transfer converts at the newest rate of its own moment. See README, Transfers.

mod request;
pub mod view;

use domain::ids::ClientId;
use domain::wallets::quote::amounts;
use domain::wallets::rates::{ExchangeRate, RateMaxAge};
use platform::clock::ClockHandle;

use crate::client::store as clients;
use crate::placement::Nodes;
use crate::{Error, rate};
use view::QuoteView;

pub use request::QuoteQuery;

/// The quotes.
#[derive(Debug)]
pub struct Quotes {
    nodes: Nodes,
    clock: ClockHandle,
    max_age: RateMaxAge,
}

platform::from_environment!(Quotes {
    nodes,
    clock,
    max_age: rate::limits::read_max_age,
});

impl Quotes {
    /// What a transfer from the client's wallet would pay and bring now. Whether there is enough in the wallet, or anybody to
    /// receive it, isn't looked at.
    ///
    /// # Errors
    /// Not found for an unknown wallet; rejected for an amount that isn't above zero, converts to nothing or to too much,
    /// and where no rate converts.
    pub async fn quote(&self, client_id: ClientId, query: &QuoteQuery) -> Result<QuoteView, Error> {
        let fixed = query.fixed()?;
        let receiver = query.receiver_currency;
        let (payer, rate) = self
            .nodes
            .of(client_id)
            .with(async |connection| {
                let wallet = clients::wallet(connection, client_id, query.wallet_id).await?;
                let payer = wallet.currency.0;
                if payer == receiver {
                    return Ok::<_, Error>((payer, None));
                }
                let (max_age, now) = (self.max_age, self.clock.now());
                let rate = rate::converting(connection, payer, receiver, max_age, now).await?;
                Ok((payer, Some(rate)))
            })
            .await?;
        let number = rate.map_or(ExchangeRate::ONE, |rate| rate.rate);
        let amounts = amounts(fixed, number, payer, receiver).map_err(Error::Conversion)?;
        Ok(QuoteView {
            wallet_id: query.wallet_id,
            currency: payer,
            amount: amounts.paid.minor(),
            receiver_currency: receiver,
            receiver_amount: amounts.received.minor(),
            exchange_rate: number.to_string(),
            as_of: rate.map(|rate| rate.as_of),
            valid_until: rate.map(|rate| self.max_age.valid_until(rate.as_of)),
        })
    }
}
