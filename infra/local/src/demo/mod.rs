//! The story that `moneta demo` plays: real input through the front door, and every outcome checked where it should
//! have arrived: at the API, in the database, at the broker and at Stripe, on the phone, in the mail and on the topic.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

mod api;
mod checks;
mod commissions;
mod declines;
mod notifications;
mod payer;
mod topic;
mod wallets;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::{api::Api, checks::Checks, topic::Topic};
use crate::{
    LocalCloud,
    customers::{Customer, NewCustomer},
    progress::{in_words, say},
    sandboxes::drivewealth::Decline,
};

const DEPOSIT_CENTS: i64 = 25_000;
const WITHDRAWAL_CENTS: i64 = 10_000;
const DECLINED_CENTS: i64 = 5_000;
/// How long the broker takes from one state of a payment to the next.
const PACE: Duration = Duration::from_millis(300);

/// Plays the story on a running local cloud and says whether everything went as told.
pub async fn play(cloud: &LocalCloud) -> anyhow::Result<bool> {
    let begun = Instant::now();
    cloud.drivewealth().auto_advance(Some(PACE));
    let customer = cloud.add_customer(&NewCustomer::default()).await?;
    let story = Story {
        api: Api::new(cloud, &customer)?,
        topic: Topic::open(cloud.kafka_brokers(), "trading.events")?,
        cloud,
        customer,
    };
    let mut checks = Checks::default();
    story.introduce();
    story.deposit(&mut checks).await?;
    story.withdraw(&mut checks).await?;
    story.declined_deposit(&mut checks).await?;
    story.settle_accounts(&mut checks).await?;
    wallets::play(cloud, &mut checks).await?;
    commissions::play(cloud, &mut checks).await?;
    notifications::play(cloud, &mut checks).await?;
    Ok(checks.conclude(&in_words(begun.elapsed())))
}

struct Story<'a> {
    cloud: &'a LocalCloud,
    customer: Customer,
    api: Api,
    topic: Topic,
}

impl Story<'_> {
    fn introduce(&self) {
        say(
            "\nA customer: $1,000.00 in cash beside two funds at the broker, $10,000.00 at the bank, one phone.",
        );
    }

    async fn deposit(&self, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n1. A deposit of $250.00");
        let request = self.request(DEPOSIT_CENTS);
        let key = uuid::Uuid::new_v4().to_string();
        let answer = self.api.post("/trading/deposits", &key, &request).await?;
        checks.that(
            "the API takes it: 201, pending",
            answer.status == 201 && answer.body["status"] == "pending",
        );
        let again = self.api.post("/trading/deposits", &key, &request).await?;
        checks.that(
            "the same request again gets the same answer",
            again.body == answer.body && again.status == 201,
        );

        let id = answer.body["id"].clone();
        let flow = self.api.flow_reaches(&id, "success").await?;
        checks.that(
            "the broker's events bring it to success",
            flow["status"] == "success",
        );
        let deposits = self.cloud.drivewealth().deposits();
        checks.that("the broker has one deposit", deposits.len() == 1);
        if let Some(deposit) = deposits.first() {
            let told = self.cloud.drivewealth().events_of(&deposit.id);
            say(format_args!(
                "     (it was told by {} events on the queue drivewealth-events)",
                told.len()
            ));
        }
        let follows = checks::until(|| async { self.cash_target_is_actual() }).await;
        checks.that(
            "the portfolio's cash target follows its actual share, so the new cash stays cash",
            follows,
        );
        self.told_to_the_customer(checks, 1, "Deposit received").await?;
        let event = self.topic.next().await?;
        checks.that(
            "the topic trading.events has money-flow.succeeded",
            event["type"] == "money-flow.succeeded" && event["data"]["money_flow_id"] == id,
        );
        Ok(())
    }

    async fn withdraw(&self, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n2. A withdrawal of $100.00");
        let before = self
            .cloud
            .drivewealth()
            .cash_cents(&self.customer.drivewealth_account_id);
        let key = uuid::Uuid::new_v4().to_string();
        let answer = self
            .api
            .post("/trading/withdrawals", &key, &self.request(WITHDRAWAL_CENTS))
            .await?;
        checks.that("the API takes it: 201", answer.status == 201);
        let id = answer.body["id"].clone();
        let flow = self.api.flow_reaches(&id, "success").await?;
        checks.that("it reaches success", flow["status"] == "success");
        let redemptions = self.cloud.drivewealth().redemptions();
        let path: Vec<Value> = redemptions
            .iter()
            .flat_map(|redemption| self.cloud.drivewealth().events_of(&redemption.id))
            .map(|event| event["payload"]["statusMessage"].clone())
            .collect();
        say(format_args!(
            "     (the broker's path: {})",
            checks::joined(&path)
        ));
        checks.that("we approved it on its way", path.contains(&json!("RIA_Approved")));
        let after = self
            .cloud
            .drivewealth()
            .cash_cents(&self.customer.drivewealth_account_id);
        checks.that(
            "the cash at the broker is $100.00 less",
            before
                .zip(after)
                .is_some_and(|(before, after)| before - after == WITHDRAWAL_CENTS),
        );
        let follows = checks::until(|| async { self.cash_target_is_actual() }).await;
        checks.that(
            "the cash target follows again, so nothing is bought back",
            follows,
        );
        self.told_to_the_customer(checks, 2, "Withdrawal sent").await?;
        let event = self.topic.next().await?;
        checks.that("the topic has it too", event["data"]["money_flow_id"] == id);

        let too_much = self
            .api
            .post("/trading/withdrawals", "too-much", &self.request(4_000_000))
            .await?;
        checks.that(
            "more than there is gets 409 with the figure",
            too_much.status == 409,
        );
        say(format_args!(
            "     (\"{}\")",
            too_much.body["detail"].as_str().unwrap_or_default()
        ));
        Ok(())
    }

    async fn declined_deposit(&self, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n3. A deposit that the bank declines");
        let bank = &self.customer.drivewealth_bank_account_id;
        let reason = "R01 insufficient funds".to_owned();
        self.cloud
            .drivewealth()
            .decline_bank_account(bank, Decline::Rejected { reason });
        let key = uuid::Uuid::new_v4().to_string();
        let answer = self
            .api
            .post("/trading/deposits", &key, &self.request(DECLINED_CENTS))
            .await?;
        checks.that("the API takes it: 201", answer.status == 201);
        let id = answer.body["id"].clone();
        let flow = self.api.flow_reaches(&id, "failed").await?;
        checks.that(
            "it fails, with a reason",
            flow["status"] == "failed" && flow["failure_code"].is_string(),
        );
        self.cloud.drivewealth().accept_bank_account(bank);
        self.told_to_the_customer(checks, 3, "Deposit failed").await?;
        let event = self.topic.next().await?;
        checks.that(
            "the topic has money-flow.failed",
            event["type"] == "money-flow.failed",
        );
        Ok(())
    }

    /// Everything once more, all places against each other.
    async fn settle_accounts(&self, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n4. The books");
        let profile = self.api.get("/trading/profile").await?.body;
        let cash = self
            .cloud
            .drivewealth()
            .cash_cents(&self.customer.drivewealth_account_id);
        checks.that(
            "our cash and the broker's agree to the cent",
            profile["cash_cents"].as_i64() == cash,
        );
        let expected = NewCustomer::default().cash_cents + DEPOSIT_CENTS - WITHDRAWAL_CENTS;
        checks.that("and are what the story says: $1,150.00", cash == Some(expected));
        let payments =
            self.cloud.drivewealth().deposits().len() + self.cloud.drivewealth().redemptions().len();
        checks.that("the broker has three payments", payments == 3);
        let rows = checks::money_flows(self.cloud.database_url(), self.customer.profile_id).await?;
        let expected = [
            ("success", DEPOSIT_CENTS),
            ("success", -WITHDRAWAL_CENTS),
            ("failed", DECLINED_CENTS),
        ];
        let matches = rows.len() == expected.len()
            && rows
                .iter()
                .zip(expected)
                .all(|(row, expected)| (row.0.as_str(), row.1) == expected);
        checks.that("the database has the three flows as they ended", matches);
        checks.that("the topic has nothing more", self.topic.is_at_its_end().await);
        Ok(())
    }

    async fn told_to_the_customer(
        &self,
        checks: &mut Checks,
        count: usize,
        title: &str,
    ) -> anyhow::Result<()> {
        let expected = i64::try_from(count)?;
        let listed = checks::until(|| async {
            let unread = self.api.get("/notifications/unread-count").await;
            unread.is_ok_and(|answer| answer.body["unread"] == expected)
        })
        .await;
        let feed = self.api.get("/notifications").await?.body;
        checks.that(
            &format!("a notification is listed: {title}"),
            listed && feed["items"][0]["title"] == title,
        );
        say(format_args!(
            "     (\"{}\")",
            feed["items"][0]["body"].as_str().unwrap_or_default()
        ));
        let phone = &self.customer.device_token;
        let pushed =
            checks::until(|| async { self.cloud.firebase().messages_to(phone).len() == count }).await;
        checks.that("and pushed to the phone, once", pushed);
        Ok(())
    }

    fn request(&self, amount_cents: i64) -> Value {
        json!({
            "trading_account_id": self.customer.trading_account_id,
            "bank_account_id": self.customer.bank_account_id,
            "amount_cents": amount_cents,
        })
    }

    fn cash_target_is_actual(&self) -> bool {
        let portfolio = self
            .cloud
            .drivewealth()
            .portfolio(&self.customer.drivewealth_account_id);
        let holdings = portfolio
            .and_then(|portfolio| portfolio.get("holdings").cloned())
            .unwrap_or_default();
        let holdings = holdings.as_array().cloned().unwrap_or_default();
        !holdings.is_empty()
            && holdings
                .iter()
                .all(|holding| checks::same_number(&holding["target"], &holding["actual"]))
    }
}
