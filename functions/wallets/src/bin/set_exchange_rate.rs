//! `PUT /exchange-rates/{base}/{quote}`: an administrator sets the rate of a pair.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use domain::rate::Rate;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::Error;
use wallets::rates::{ExchangeRateView, ExchangeRates};

/// A rate to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExchangeRateRequest {
    /// Major units of the quote currency for one of the base currency: a decimal above zero as a text, at most 16 digits
    /// before the point and 12 after it.
    #[schema(
        value_type = String,
        pattern = r"^(0\.0{0,11}[1-9][0-9]{0,11}|[1-9][0-9]{0,15}(\.[0-9]{1,12})?)$",
        examples("0.9217")
    )]
    rate: Rate,
    /// From when it counts (RFC 3339), not in the future; now unless given.
    #[serde(default, deserialize_with = "http::optional_time")]
    as_of: Option<DateTime<Utc>>,
}

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
        .path_currency("quote", "The currency in which the rate is told.")
        .answer(201, "The rate is new.")
        .answer(200, "The pair had this rate as of this time.")
        .refusal(409, "The pair has another rate as of this time.")
        .refusal(422, "The rate or the time is not acceptable.")
    }

    async fn handle(exchange_rates: &ExchangeRates, call: Call<ExchangeRateRequest>) -> Result<Reply<ExchangeRateView>, Problem> {
        call.identity.require_admin().map_err(Error::from)?;
        let (base, quote) = (call.path("base")?, call.path("quote")?);
        let answer = exchange_rates.set(base, quote, call.input.rate, call.input.as_of).await?;
        Reply::with_status(if answer.replayed { 200 } else { 201 }, &answer.view)
    }
}

fn main() -> ExitCode {
    http::serve::<SetExchangeRate>()
}
