//! What `make up` runs on a local cloud that is up: somebody to try things as, and the first calls. The local cloud
//! itself knows its template, and no customers.

use std::process::ExitCode;

use anyhow::Context;
use end_to_end::{
    Result,
    customers::{Backends, CustomerIds},
    onboarding::{FIRST_PROFILE, Onboarding, Person},
};
use local_cloud::{
    cli::URL_VARIABLE,
    progress::{say, warn},
};
use serde_json::{Value, json};

/// What the first customer begins with.
const CASH_CENTS: i64 = 500_000;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("first_customer: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result {
    let url = std::env::var(URL_VARIABLE).with_context(|| format!("{URL_VARIABLE} is not set"))?;
    let database_url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    let backends = Backends::at(&url, database_url).await?;
    let customer = match backends.first_customer().await? {
        Some(found) => found,
        None => newcomer(&url).await?,
    };
    introduce_customer(&url, customer).await?;
    introduce_service(&url).await
}

/// Somebody who comes in through the API, with cash from before.
async fn newcomer(url: &str) -> Result<CustomerIds> {
    let onboarding = Onboarding::at(url).await?;
    let customer = onboarding.bring_in(&Person::of(FIRST_PROFILE), &|_| {}).await?;
    let app = onboarding
        .api(json!({ "profile_id": customer.profile_id }))
        .await?;
    onboarding.give_cash(&app, CASH_CENTS).await?;
    Ok(customer)
}

async fn introduce_customer(url: &str, customer: CustomerIds) -> Result {
    let CustomerIds {
        profile_id,
        trading_account_id,
        bank_account_id,
    } = customer;
    let token = token(url, json!({ "profile_id": profile_id })).await?;
    say(format_args!(
        "\nTry it, as the customer with profile {profile_id}:\n"
    ));
    say(format_args!("  TOKEN={token}"));
    say(format_args!(
        "  curl {url}/trading/profile -H \"Authorization: Bearer $TOKEN\""
    ));
    let deposit = json!({
        "trading_account_id": trading_account_id,
        "bank_account_id": bank_account_id,
        "amount_cents": 25_000,
    });
    say(format_args!(
        "  curl {url}/trading/deposits -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s)\" \\\n    \
         --json '{deposit}'"
    ));
    // Customers are sent back to localhost, not to an address.
    let back = format!("{}/docs", url.replace("127.0.0.1", "localhost"));
    let page = json!({ "mode": "setup", "success_url": back, "cancel_url": back });
    say(format_args!(
        "  curl {url}/billing/checkout-sessions -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s)\" \\\n    \
         --json '{page}'   # open its url"
    ));
    Ok(())
}

async fn introduce_service(url: &str) -> Result {
    let token = token(url, json!({ "scope": "wallets" })).await?;
    say("\nOr as a service whose clients have wallets:\n");
    say(format_args!("  SERVICE={token}"));
    say(format_args!(
        "  curl {url}/clients -H \"Authorization: Bearer $SERVICE\" \\\n    \
         --json '{{\"external_ref\":\"shop-1001\",\"currencies\":[\"USD\",\"EUR\"]}}'"
    ));
    Ok(())
}

/// A token with these claims, of the local cloud's own issuer.
async fn token(url: &str, claims: Value) -> Result<String> {
    let request = local_cloud::http_client()?.post(format!("{url}/local/tokens"));
    let minted: Value = request
        .json(&claims)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = minted.get("token").and_then(Value::as_str);
    Ok(token.context("the local cloud gave no token")?.to_owned())
}
