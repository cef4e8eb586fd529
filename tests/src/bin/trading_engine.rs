//! A trading engine to play with: beside `make up`, `target/debug/trading_engine` gives a trader an account and trades it, a
//! snapshot a second, until Ctrl-C or until a rule closes it. It sends some snapshots twice and some late, as a network
//! does, and begins anew in another epoch now and then, as a program does.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use end_to_end::{
    Api, Result, eventually,
    funded::{ASSESSMENTS, Market, POSITIONS, TIER, passed, send_records, tier},
};
use local_cloud::cli::StopSignal;
use local_cloud::progress::{say, warn};
use serde_json::{Value, json};

const DEFAULT_URL: &str = "http://127.0.0.1:9400";
const USER: i64 = 1;
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("trading_engine: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result {
    let url = std::env::args().nth(1);
    let cloud = Cloud {
        url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        http: local_cloud::http_client()?,
    };
    let brokers = cloud.brokers().await?;
    let trader = cloud.signed_in(json!({ "user_id": USER })).await?;
    let account = cloud.activate(&brokers, &trader).await?;
    let mut market = Market::of(account);
    let mut stop = StopSignal::new()?;
    loop {
        let records: Vec<_> = market
            .tick()
            .iter()
            .map(|one| (account.to_string(), one.to_string()))
            .collect();
        send_records(&brokers, POSITIONS, &records).await?;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.wait() => return Ok(()),
        }
        let seen = trader
            .get(&format!("/funded-accounts/{account}"))
            .await?
            .expect(200)?
            .body;
        say(line(&seen));
        if seen["account"]["status"] == "closed" {
            say(format_args!("closed: {}", seen["breach"]));
            return Ok(());
        }
    }
}

fn line(seen: &Value) -> String {
    let drawdown = &seen["rules"][0];
    format!(
        "balance {} open {} peak {} drawdown {} of {} {} withdrawable {}",
        seen["account"]["current_balance_cents"],
        seen["account"]["unrealized_pnl_cents"],
        seen["account"]["peak_balance_cents"],
        drawdown["value"].as_str().unwrap_or_default(),
        drawdown["threshold"].as_str().unwrap_or_default(),
        drawdown["status"].as_str().unwrap_or_default(),
        seen["withdrawable_cents"],
    )
}

/// The running local cloud.
struct Cloud {
    url: String,
    http: reqwest::Client,
}

impl Cloud {
    async fn brokers(&self) -> Result<String> {
        let api = Api::new(self.http.clone(), self.url.clone(), None);
        let status = api.get("/local/status").await?.expect(200)?.body;
        let brokers = status["addresses"]["KAFKA_BROKERS"].as_str();
        Ok(brokers.context("no Kafka in /local/status")?.to_owned())
    }

    async fn signed_in(&self, claims: Value) -> Result<Api> {
        let request = self.http.post(format!("{}/local/tokens", self.url)).json(&claims);
        let minted: Value = request.send().await?.error_for_status()?.json().await?;
        let token = minted["token"].as_str().context("no token")?.to_owned();
        Ok(Api::new(self.http.clone(), self.url.clone(), Some(token)))
    }

    /// A new account of the trader.
    async fn activate(&self, brokers: &str, trader: &Api) -> Result<i64> {
        let service = self.signed_in(json!({ "scope": "internal" })).await?;
        let put = service.put(&format!("/tiers/{TIER}"), &tier()).await?;
        anyhow::ensure!(
            [200, 201].contains(&put.status),
            "the tier isn't taken: {}",
            put.text
        );
        let mut assessment = passed(USER, TIER);
        assessment["assessmentId"] = json!(format!("assessment-of-{}", Utc::now().timestamp_millis()));
        send_records(
            brokers,
            ASSESSMENTS,
            &[(USER.to_string(), assessment.to_string())],
        )
        .await?;
        let account = eventually("the account is activated", async || {
            let accounts = trader.get("/funded-accounts").await?.expect(200)?.body;
            let newest = &accounts["items"][0];
            let id = newest["id"]
                .as_i64()
                .filter(|_| newest["assessment_id"] == assessment["assessmentId"]);
            id.with_context(|| format!("the newest account is {newest}"))
        });
        let account = account.await?;
        say(format_args!(
            "user {USER} trades account {account}: GET {}/funded-accounts/{account}\n",
            self.url
        ));
        Ok(account)
    }
}
