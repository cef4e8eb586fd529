//! `PUT /exchange-rates/{base}/{quote}`: an administrator sets the rate of a pair.

use platform::prelude::*;
use wallets::Error;
use wallets::rate::view::ExchangeRateView;
use wallets::rate::{ExchangeRateRequest, ExchangeRates};

struct SetExchangeRate;

impl HttpOperation for SetExchangeRate {
    type UseCase = ExchangeRates;
    type Input = ExchangeRateRequest;
    type Output = ExchangeRateView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set an exchange rate",
            "For administrators. Of a pair's rates the newest counts, and each direction is a pair of its own; what was paid \
             before keeps the rate it was paid at.",
        )
        .path_currency("base", "The currency of which there is one.")
        .path_currency("quote", "The currency that the rate gives so many of.")
        .response(201, "The rate is new.")
        .response(200, "The pair had this rate as of this time.")
        .problem(409, "The pair has another rate as of this time.")
        .problem(422, "The rate or the time is not acceptable.")
    }

    async fn handle(
        rates: &ExchangeRates,
        call: Call<ExchangeRateRequest>,
    ) -> Result<Reply<ExchangeRateView>, Problem> {
        call.identity.require_admin().map_err(Error::from)?;
        let (base, quote) = (call.path("base")?, call.path("quote")?);
        let rate = rates.set(base, quote, call.input).await?;
        Reply::with_status(if rate.replayed { 200 } else { 201 }, &rate.value)
    }
}

fn main() -> ExitCode {
    serve::<SetExchangeRate>()
}
