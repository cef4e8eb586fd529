//! `PUT /exchange-rates/{base}/{quote}`: an administrator sets the rate of a pair.

use domain::wallets::rates::RateStatus;
use platform::prelude::*;
use wallets::Error;
use wallets::rate::setting::{ExchangeRateRequest, RateSetting};
use wallets::rate::view::ExchangeRateView;

struct SetExchangeRate;

impl HttpOperation for SetExchangeRate {
    type UseCase = RateSetting;
    type Input = ExchangeRateRequest;
    type Output = ExchangeRateView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set an exchange rate",
            "For administrators. Of a pair's rates the newest counts, and each direction is a pair of its own; what was paid \
             before keeps the rate it was paid at. A rate that changes too much at once counts when another administrator accepts \
             it.",
        )
        .path_currency("base", "The currency of which there is one.")
        .path_currency("quote", "The currency that the rate gives so many of.")
        .response(201, "The rate is new.")
        .response(200, "The rate was set before.")
        .response(202, "The rate changes too much at once: it is under review.")
        .problem(409, "The pair has another rate as of this time.")
        .problem(422, "The rate or the time is not acceptable.")
    }

    async fn handle(
        rates: &RateSetting,
        call: Call<ExchangeRateRequest>,
    ) -> Result<Reply<ExchangeRateView>, Problem> {
        let operator = call.identity.operator().map_err(Error::from)?;
        let (base, quote) = (call.path("base")?, call.path("quote")?);
        let set = rates.set(&operator, base, quote, call.input).await?;
        let status = match set.value.status {
            RateStatus::UnderReview => 202,
            _ if set.replayed => 200,
            _ => 201,
        };
        Reply::with_status(status, &set.value)
    }
}

fn main() -> ExitCode {
    serve::<SetExchangeRate>()
}
