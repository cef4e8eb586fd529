//! `GET /exchange-rates/{base}/{quote}`: the newest rate of a pair.

use platform::prelude::*;
use wallets::client::access;
use wallets::rate::ExchangeRates;
use wallets::rate::view::ExchangeRateView;

struct GetExchangeRate;

impl HttpOperation for GetExchangeRate {
    type UseCase = ExchangeRates;
    type Input = Nothing;
    type Output = ExchangeRateView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get an exchange rate",
            "The newest rate of the pair, whether it still converts or is too old. For services, clients and administrators.",
        )
        .path_currency("base", "The currency of which there is one.")
        .path_currency("quote", "The currency that the rate gives so many of.")
        .response(200, "The rate.")
        .problem(404, "The pair has no rate, or one of the two is no currency.")
    }

    async fn handle(rates: &ExchangeRates, call: Call<Nothing>) -> Result<Reply<ExchangeRateView>, Problem> {
        access::anybody_with_wallets(&call.identity)?;
        let (base, quote) = (call.path("base")?, call.path("quote")?);
        Reply::ok(&rates.find(base, quote).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetExchangeRate>()
}
