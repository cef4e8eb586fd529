//! Deposits and withdrawals: one of each, and one that the bank declines.

use end_to_end::{Fixture, Result, Tester, customers::NewCustomer};
use local_cloud::{progress::say, sandboxes::drivewealth::Decline};
use serde_json::{Value, json};

use super::checks::{Checks, event_about, events, is_followed, quote, shown, until};

const DEPOSIT_CENTS: i64 = 25_000;
const WITHDRAWAL_CENTS: i64 = 10_000;
const DECLINED_CENTS: i64 = 5_000;
const TOO_MUCH_CENTS: i64 = 4_000_000;
const TOPIC: &str = "trading.events";

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    let tester = fixture.customer().await?;
    say("\nA customer: $1,000.00 in cash beside two funds at the broker, $10,000.00 at the bank, one phone.");
    let story = Story { fixture, tester };
    story.deposit(checks).await?;
    story.withdraw(checks).await?;
    story.declined_deposit(checks).await?;
    story.compare_books(checks).await
}

struct Story<'a> {
    fixture: &'a Fixture,
    tester: Tester,
}

impl Story<'_> {
    async fn deposit(&self, checks: &mut Checks) -> Result {
        say("\n1. A deposit of $250.00");
        let first = self.tester.deposit_under("deposit", DEPOSIT_CENTS).await?;
        checks.that(
            "the API takes it: 201, pending",
            first.status == 201 && first.body["status"] == "pending",
        );
        let again = self.tester.deposit_under("deposit", DEPOSIT_CENTS).await?;
        checks.that(
            "the same request again gets the same answer",
            again.body == first.body && again.status == 201,
        );
        let id = first.number("id")?;
        let flow = self.tester.flow_reaches(id, "success").await?;
        checks.that(
            "the broker's events bring it to success",
            flow["status"] == "success",
        );
        let deposits = self.fixture.deposits_of(&self.tester);
        checks.that("the broker has one deposit", deposits.len() == 1);
        if let Some(deposit) = deposits.first() {
            let sent = self.fixture.cloud.drivewealth().events_of(&deposit.id);
            say(format_args!(
                "     (it was told by {} events on the queue drivewealth-events)",
                sent.len()
            ));
        }
        checks.that(
            "the portfolio's cash target follows its actual share, so the new cash stays cash",
            self.cash_target_follows().await,
        );
        self.notified(checks, 1, "Deposit received").await?;
        let event = event_about(self.fixture, TOPIC, "money_flow_id", id).await?;
        checks.that(
            "the topic trading.events has money-flow.succeeded",
            event["type"] == "money-flow.succeeded",
        );
        Ok(())
    }

    async fn withdraw(&self, checks: &mut Checks) -> Result {
        say("\n2. A withdrawal of $100.00");
        let before = self.fixture.cash_of(&self.tester)?;
        let taken = self.tester.withdraw(WITHDRAWAL_CENTS).await?;
        checks.that("the API takes it: 201", taken.status == 201);
        let id = taken.number("id")?;
        let flow = self.tester.flow_reaches(id, "success").await?;
        checks.that("it reaches success", flow["status"] == "success");
        let path = self.redemption_path();
        say(format_args!("     (the broker's path: {})", path.join(" → ")));
        checks.that(
            "we approved it on its way",
            path.iter().any(|status| status == "RIA_Approved"),
        );
        checks.that(
            "the cash at the broker is $100.00 less",
            before - self.fixture.cash_of(&self.tester)? == WITHDRAWAL_CENTS,
        );
        checks.that(
            "the cash target follows again, so nothing is bought back",
            self.cash_target_follows().await,
        );
        self.notified(checks, 2, "Withdrawal sent").await?;
        let event = event_about(self.fixture, TOPIC, "money_flow_id", id).await?;
        checks.that("the topic has it too", event["type"] == "money-flow.succeeded");

        let too_much = self.tester.withdraw(TOO_MUCH_CENTS).await?;
        checks.that(
            "more than there is gets 409 with the figure",
            too_much.status == 409,
        );
        quote(Some(&too_much.body), "detail");
        Ok(())
    }

    /// The statuses that the broker's redemptions have gone through.
    fn redemption_path(&self) -> Vec<String> {
        let drivewealth = self.fixture.cloud.drivewealth();
        let redemptions = self.fixture.redemptions_of(&self.tester);
        let events = redemptions
            .iter()
            .flat_map(|redemption| drivewealth.events_of(&redemption.id));
        events
            .filter_map(|event| Some(event["payload"]["statusMessage"].as_str()?.to_owned()))
            .collect()
    }

    async fn declined_deposit(&self, checks: &mut Checks) -> Result {
        say("\n3. A deposit that the bank declines");
        let bank = &self.tester.customer.drivewealth_bank_account_id;
        let reason = "R01 insufficient funds".to_owned();
        let drivewealth = self.fixture.cloud.drivewealth();
        drivewealth.decline_bank_account(bank, Decline::Rejected { reason });
        let taken = self.tester.deposit(DECLINED_CENTS).await?;
        checks.that("the API takes it: 201", taken.status == 201);
        let id = taken.number("id")?;
        let flow = self.tester.flow_reaches(id, "failed").await?;
        checks.that(
            "it fails, with a reason",
            flow["status"] == "failed" && flow["failure_code"].is_string(),
        );
        drivewealth.accept_bank_account(bank);
        self.notified(checks, 3, "Deposit failed").await?;
        let event = event_about(self.fixture, TOPIC, "money_flow_id", id).await?;
        checks.that(
            "the topic has money-flow.failed",
            event["type"] == "money-flow.failed",
        );
        Ok(())
    }

    /// Everything once more, all places against each other.
    async fn compare_books(&self, checks: &mut Checks) -> Result {
        say("\n4. The books");
        let profile = self.tester.profile().await?;
        let cash = self.fixture.cash_of(&self.tester)?;
        checks.that(
            "our cash and the broker's agree to the cent",
            profile["cash_cents"] == cash,
        );
        let expected = NewCustomer::default().cash_cents + DEPOSIT_CENTS - WITHDRAWAL_CENTS;
        checks.that("and are what the story says: $1,150.00", cash == expected);
        let deposits = self.fixture.deposits_of(&self.tester).len();
        let redemptions = self.fixture.redemptions_of(&self.tester).len();
        checks.that("the broker has three payments", deposits + redemptions == 3);
        let profile_id = self.tester.customer.profile_id;
        let flows = self.fixture.database.flows_of(profile_id).await?;
        let flows: Vec<_> = flows
            .iter()
            .map(|flow| (flow.status.as_str(), flow.amount_cents))
            .collect();
        checks.that(
            "the database has the three flows as they ended",
            flows
                == [
                    ("success", DEPOSIT_CENTS),
                    ("success", -WITHDRAWAL_CENTS),
                    ("failed", DECLINED_CENTS),
                ],
        );
        self.fixture.rest().await?;
        let told = events(self.fixture, TOPIC).await?;
        let theirs = told
            .iter()
            .filter(|event| event["data"]["profile_id"] == profile_id);
        checks.that("the topic has nothing more", theirs.count() == 3);
        Ok(())
    }

    async fn notified(&self, checks: &mut Checks, count: usize, title: &str) -> Result {
        let feed = self.tester.feed_reaches(count).await?;
        let expected = i64::try_from(count)?;
        checks.that(
            &format!("a notification is listed: {title}"),
            shown(feed.first(), "title") == title && self.tester.unread().await? == expected,
        );
        quote(feed.first(), "body");
        let phone = &self.tester.customer.device_token;
        let pushed = until(async || Ok(self.fixture.cloud.firebase().messages_to(phone).len() == count));
        checks.that("and pushed to the phone, once", pushed.await);
        Ok(())
    }

    async fn cash_target_follows(&self) -> bool {
        until(async || Ok(self.cash_target_is_actual())).await
    }

    fn cash_target_is_actual(&self) -> bool {
        let account = &self.tester.customer.drivewealth_account_id;
        let portfolio = self.fixture.cloud.drivewealth().portfolio(account);
        let holdings: Value = portfolio.map_or(json!([]), |portfolio| portfolio["holdings"].clone());
        let holdings = holdings.as_array().cloned().unwrap_or_default();
        !holdings.is_empty()
            && holdings
                .iter()
                .all(|holding| is_followed(&holding["target"], &holding["actual"]))
    }
}
