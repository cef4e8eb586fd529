//! Dealers: a car dealer accepts the offer, is billed in the company's Billing, and pays through Kafka. Billing sends every
//! message twice here.

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use end_to_end::{
    Fixture, Result,
    dealers::{Dealer, company, new_deal},
};
use local_cloud::progress::say;
use serde_json::{Value, json};

use super::checks::{Checks, events, until};

/// In kopecks: a car of 1,500,000 ₽, our commission of two per cent, and the deposit that opens it.
const CAR: i64 = 150_000_000;
const COMMISSION: i64 = 3_000_000;
const DEPOSIT: i64 = 30_000_000;

/// What the topic has of the dealer in the end, in this order.
const EVENTS: [&str; 17] = [
    "dealer.registered",
    "dealer.account.opened",
    "dealer.bill.created",
    "dealer.account.opened",
    "dealer.account.opened",
    "dealer.bill.created",
    "dealer.bill.created",
    "dealer.bill.paid",
    "dealer.bill.paid",
    "dealer.bill.created",
    "dealer.bill.paid",
    "dealer.bill.created",
    "dealer.bill.voided",
    "dealer.bill.created",
    "dealer.bill.paid",
    "dealer.bill.reopened",
    "dealer.payment.reversed",
];

struct Story<'a> {
    fixture: &'a Fixture,
    dealer: Dealer,
}

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    fixture.cloud.billing().repeat_messages(1);
    let story = Story {
        fixture,
        dealer: fixture.stranger()?,
    };
    story.accept_the_offer(checks).await?;
    let first = story.bill_a_car(checks).await?;
    story.open_fast_buyout(checks).await?;
    story.buy_at_once(checks).await?;
    story.pay_once_a_month(first, checks).await?;
    story.void_and_bill_anew(checks).await?;
    story.reverse_a_mistake(checks).await?;
    let played = story.compare(checks).await;
    fixture.cloud.billing().repeat_messages(0);
    played
}

impl Story<'_> {
    /// Whether a bill comes to a status.
    async fn becomes(&self, bill: i64, status: &str) -> bool {
        self.dealer.bill_reaches(bill, status).await.is_ok()
    }

    async fn bill(&self, deal_price: i64) -> Result<i64> {
        let answer = self
            .dealer
            .bill_reward(&new_deal(), deal_price)
            .await?
            .expect(201)?;
        answer.number("bill_id")
    }

    async fn account(&self, account: &str) -> Result<Value> {
        self.dealer.account(account).await
    }

    async fn accept_the_offer(&self, checks: &mut Checks) -> Result {
        say("\n20. Dealers: one accepts the offer, with his requisite");
        let mut wrong = company();
        wrong["inn"] = json!("9909123455");
        wrong["settlement_account"] = json!("40702810838000000001");
        let refused = self.dealer.register(&wrong).await?;
        let named = refused.body["errors"].as_array().map_or(0, Vec::len);
        checks.that(
            "a requisite whose check digits are wrong is refused, and both fields are named",
            refused.status == 422 && named == 2,
        );
        let registered = self.dealer.register(&company()).await?;
        let again = self.dealer.register(&company()).await?;
        checks.that(
            "he is registered once, however often it is asked for; his requisite is shown masked",
            (registered.status, again.status) == (201, 200)
                && registered.body["requisite"]["inn"] == "99***54",
        );
        let is_ready = self.dealer.account_reaches("COMMISSION", "ready").await.is_ok();
        let id = format!("moneta-dealer-{}-", registered.body["dealer_id"]);
        checks.that(
            "Billing has his account: a client, its payer and its contract, one of each",
            is_ready && self.fixture.cloud.billing().count(&id) == [1, 1, 1, 0],
        );
        Ok(())
    }

    async fn bill_a_car(&self, checks: &mut Checks) -> Result<i64> {
        say("\n21. He buys a car, and is billed our commission");
        let deal = new_deal();
        let created = self.dealer.bill_reward(&deal, CAR).await?;
        let again = self.dealer.bill_reward(&deal, CAR).await?;
        let bill = created.number("bill_id")?;
        checks.that(
            "the commission is two per cent of the price; the same deal again gives the same bill",
            created.status == 201
                && created.body["common_sum"] == COMMISSION
                && again.status == 200
                && again.number("bill_id")? == bill,
        );
        let is_issued = self.becomes(bill, "issued").await;
        let url = self.dealer.bill(bill).await?["url"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let file = local_cloud::http_client()?
            .get(&url)
            .send()
            .await?
            .bytes()
            .await?;
        checks.that(
            "Billing makes it, and its PDF is there",
            is_issued && file.starts_with(b"%PDF"),
        );
        say(format_args!("     ({url})"));
        Ok(bill)
    }

    async fn open_fast_buyout(&self, checks: &mut Checks) -> Result {
        say("\n22. Fast buyout opens, and a deposit raises his segment");
        self.dealer.add_fast_buyout().await?.expect(201)?;
        let mut are_ready = true;
        for account in ["DEPOSIT", "SETTLEMENT"] {
            are_ready &= self.dealer.account_reaches(account, "ready").await.is_ok();
        }
        let before = self.dealer.fast_buyout(CAR).await?.body;
        checks.that(
            "two more accounts are there; a car of 1,500,000 ₽ is refused, and what is lacking is said",
            are_ready
                && before["is_allowed"] == false
                && before["reasons"] == json!(["deposit-too-low"])
                && before["lacking"] == DEPOSIT,
        );
        self.fixture
            .dealer_pays(&self.dealer, "DEPOSIT", None, DEPOSIT)
            .await?;
        let is_raised = self.dealer.balance_reaches("DEPOSIT", DEPOSIT).await.is_ok();
        let after = self.dealer.fast_buyout(CAR).await?.body;
        checks.that(
            "he pays the deposit, and the car is allowed",
            is_raised && after["is_allowed"] == true,
        );
        Ok(())
    }

    async fn buy_at_once(&self, checks: &mut Checks) -> Result {
        say("\n23. A car is bought for him at once, and settled");
        let billed = self.dealer.bill_car(&new_deal(), CAR).await?.expect(201)?;
        let bill = billed.number("bill_id")?;
        let is_issued = self.becomes(bill, "issued").await;
        checks.that(
            "its price is billed on his settlement account",
            is_issued && billed.body["account_type"] == "SETTLEMENT" && billed.body["common_sum"] == CAR,
        );
        Ok(())
    }

    async fn pay_once_a_month(&self, first: i64, checks: &mut Checks) -> Result {
        say("\n24. One payment a month pays what is open, the oldest first");
        let second = self.bill(CAR).await?;
        self.becomes(second, "issued").await;
        let amount = 2 * COMMISSION + 1_000_000;
        let payment = self
            .fixture
            .dealer_pays(&self.dealer, "COMMISSION", None, amount)
            .await?;
        let are_paid = self.becomes(first, "paid").await && self.becomes(second, "paid").await;
        let is_left = self.dealer.balance_reaches("COMMISSION", 1_000_000).await.is_ok();
        checks.that(
            "two bills are paid by one message, though it came twice, and the rest is his balance",
            are_paid && is_left,
        );
        let third = self.bill(50_000_000).await?;
        let paid = self.dealer.bill(third).await?;
        checks.that(
            "the balance pays the next bill at once, from that payment",
            paid["status"] == "paid" && paid["payments"][0]["payment_id"] == json!(payment),
        );
        Ok(())
    }

    async fn void_and_bill_anew(&self, checks: &mut Checks) -> Result {
        say("\n25. The price of a deal changes");
        let deal = new_deal();
        let first = self
            .dealer
            .bill_reward(&deal, CAR)
            .await?
            .expect(201)?
            .number("bill_id")?;
        self.becomes(first, "issued").await;
        let refused = self.dealer.bill_reward(&deal, CAR - 1_000).await?;
        let voided = self.dealer.void(first).await?;
        let anew = self.dealer.bill_reward(&deal, CAR - 1_000).await?;
        let is_withdrawn = self.fixture.issuing_reaches(first, "withdrawn").await.is_ok();
        checks.that(
            "another amount is refused; after the bill is voided, here and at Billing, the deal is billed anew",
            (refused.status, voided.status, anew.status) == (409, 200, 201) && is_withdrawn,
        );
        Ok(())
    }

    async fn reverse_a_mistake(&self, checks: &mut Checks) -> Result {
        say("\n26. A payment was booked by mistake");
        let open = self.dealer.bills("open").await?;
        let bills = open["items"].as_array().context("no bills")?;
        let bill = bills.iter().find(|bill| bill["account_type"] == "COMMISSION");
        let bill = bill.context("no open commission")?;
        let (id, sum) = (bill["bill_id"].as_i64(), bill["common_sum"].as_i64());
        let (id, sum) = (id.context("no id")?, sum.context("no sum")?);
        let payment = self
            .fixture
            .dealer_pays(&self.dealer, "COMMISSION", None, sum)
            .await?;
        let was_paid = self.becomes(id, "paid").await;
        self.fixture.cloud.billing().reverse(&payment, None).await?;
        let is_open = self.becomes(id, "issued").await;
        let shown = self.account("COMMISSION").await?;
        checks.that(
            "it is taken back, the bill is open again, and nothing else has changed",
            was_paid && is_open && shown["balance"] == 0 && shown["owed"] == sum,
        );
        Ok(())
    }

    async fn compare(&self, checks: &mut Checks) -> Result {
        say("\n27. What Kafka has, and what Billing says");
        let dealer = self.dealer.shown().await?["dealer_id"].clone();
        let of_dealer = async || -> Result<Vec<Value>> {
            let mut told = events(self.fixture, "dealers.events").await?;
            told.retain(|event| event["data"]["dealer_id"] == dealer);
            Ok(told)
        };
        let is_told = until(async || Ok(of_dealer().await?.len() >= EVENTS.len())).await;
        let told = of_dealer().await?;
        let kinds: Vec<&str> = told.iter().filter_map(|event| event["type"].as_str()).collect();
        checks.that(
            "every event is on the topic, in order",
            is_told && kinds == EVENTS,
        );
        let report = self
            .fixture
            .reconcile_dealers(Utc::now() + TimeDelta::hours(1))
            .await?;
        checks.that(
            "the reconciliation compares every bill and payment with Billing, and finds no difference",
            report["is_complete"] == true
                && report["differences"] == 0
                && report["compared_bills"].as_i64() >= Some(5)
                && report["compared_payments"].as_i64() >= Some(4),
        );
        let books = self.fixture.dealer_books_agree().await.is_ok();
        checks.that(
            "payments are the parts of bills and the balances, to the kopeck",
            books,
        );
        Ok(())
    }
}
