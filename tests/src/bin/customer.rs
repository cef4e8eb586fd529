//! `make customer`: brings somebody in through the API of the local cloud that is up, from nothing to an open account and a
//! linked bank.

use std::process::ExitCode;

use anyhow::Context;
use end_to_end::{
    Result,
    onboarding::{Onboarding, Person},
};
use local_cloud::{
    cli::URL_VARIABLE,
    progress::{say, warn},
};

const DEFAULT_URL: &str = "http://127.0.0.1:9400";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("customer: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The first argument is the last name: it decides what the identity check comes to.
async fn run() -> Result {
    let url = std::env::var(URL_VARIABLE).unwrap_or_else(|_| DEFAULT_URL.to_owned());
    let onboarding = Onboarding::at(&url)
        .await
        .with_context(|| format!("there is no local cloud at {url}; `make up` starts it"))?;
    let mut person = Person::new();
    if let Some(last_name) = std::env::args().nth(1).filter(|name| !name.is_empty()) {
        person.last_name = last_name;
    }
    let customer = onboarding
        .bring_in(&person, &|step| say(format_args!("  ✓ {step}")))
        .await?;
    say(format_args!(
        "\nprofile {}, trading account {}, bank account {}",
        customer.profile_id, customer.trading_account_id, customer.bank_account_id
    ));
    Ok(())
}
