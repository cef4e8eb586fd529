//! A thematic portfolio: bought, added to, sold in part and whole, with the broker's own books beside it.

use anyhow::Context;
use end_to_end::{
    Fixture, Result, Tester,
    collections::{Investor, weight},
};
use local_cloud::{progress::say, sandboxes::drivewealth::DocumentKind};
use serde_json::{Value, json};

use super::checks::Checks;

/// What the collection consists of, in ten-thousandths.
const MODEL: [(&str, i64); 3] = [("ENPH", 5_000), ("FSLR", 3_000), ("NEE", 2_000)];
/// What its buyer wants of it.
const WANTED: [(&str, i64); 2] = [("ENPH", 6_000), ("FSLR", 4_000)];

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    say(
        "\n28. A thematic portfolio: an investor with $4,000.00 in cash beside two collections; the market is open",
    );
    fixture.open_market().await?;
    let Investor { tester, .. } = fixture.investor().await?;
    let collection = fixture.collection(&MODEL).await?;
    let story = Story {
        fixture,
        tester,
        collection,
    };
    story.buy(checks).await?;
    story.sell(checks).await?;
    story.look_back(checks).await
}

struct Story<'a> {
    fixture: &'a Fixture,
    tester: Tester,
    collection: i64,
}

impl Story<'_> {
    async fn buy(&self, checks: &mut Checks) -> Result {
        let path = format!("/trading/collections/{}/recommended-weights", self.collection);
        let recommended = self.tester.api.get(&path).await?.expect(200)?;
        checks.that(
            "the model's weights are recommended over what is traded",
            recommended.body["weights"].as_array().map(Vec::len) == Some(MODEL.len()),
        );
        let weights: Vec<Value> = WANTED.iter().map(weight).collect();
        let too_much = json!({ "absolute_amount_delta_cents": 400_001, "weights": weights });
        let refused = self.tester.reconfigure(self.collection, &too_much).await?;
        checks.that("more than the cash is refused", refused.status == 409);
        let bought = json!({ "absolute_amount_delta_cents": 100_000, "weights": weights });
        self.carry_out(
            checks,
            "$1,000.00 are put in, with weights of the buyer's own",
            &bought,
            100_000,
        )
        .await?;
        let bought: i64 = self.trades().iter().sum();
        checks.that("the broker has traded it to the cent", bought == 100_000);
        let added = json!({ "absolute_amount_delta_cents": 50_000 });
        self.carry_out(checks, "$500.00 are added", &added, 50_000).await
    }

    async fn sell(&self, checks: &mut Checks) -> Result {
        say("\n29. It is sold, a third first");
        let part = json!({ "absolute_amount_delta_cents": -50_000 });
        self.carry_out(checks, "a part is sold", &part, -50_000).await?;
        let holdings = self.tester.holdings(self.collection).await?;
        checks.that(
            "the holdings are what is left",
            holdings["amount_cents"] == 100_000,
        );
        let all = json!({ "relative_amount_delta_percent": -100 });
        self.carry_out(checks, "all of it is sold", &all, -100_000)
            .await?;
        let cash = self.fixture.cash_of(&self.tester)?;
        checks.that("the cash is what it was", cash == 400_000);
        let orders = self.tester.orders().await?;
        let amounts: Vec<Option<i64>> = orders
            .iter()
            .filter(|order| order["collection_id"] == self.collection)
            .map(|order| order["actual_amount_cents"].as_i64())
            .collect();
        checks.that(
            "the history has the four orders, newest first",
            amounts == [-100_000, -50_000, 50_000, 100_000].map(Some),
        );
        Ok(())
    }

    /// The broker's confirmation of the trades, and all that has moved money.
    async fn look_back(&self, checks: &mut Checks) -> Result {
        let api = &self.tester.api;
        let id = self
            .fixture
            .statement(&self.tester, DocumentKind::TradeConfirm, "Trades of the day")
            .await?;
        let link = api.get(&format!("/trading/statements/{id}")).await?.expect(200)?;
        let url = link.body["url"].as_str().context("no link")?;
        let file = local_cloud::http_client()?.get(url).send().await?.text().await?;
        checks.that(
            "the broker's confirmation of the trades opens as a PDF by a link",
            file.starts_with("%PDF-") && file.contains("Trades of the day"),
        );
        let history = api
            .get("/trading/history?kind=rebalancing&limit=4")
            .await?
            .expect(200)?;
        let items = history.body["items"].as_array().cloned().unwrap_or_default();
        let amounts: Vec<Option<i64>> = items.iter().map(|item| item["amount_cents"].as_i64()).collect();
        checks.that(
            "the list of all that has moved money has them too",
            amounts == [-100_000, -50_000, 50_000, 100_000].map(Some),
        );
        Ok(())
    }

    /// Asks for a change and waits until it is carried out; the cash moves by exactly this much.
    async fn carry_out(&self, checks: &mut Checks, claim: &str, body: &Value, cents: i64) -> Result {
        let before = self.fixture.cash_of(&self.tester)?;
        let order = self
            .tester
            .reconfigure(self.collection, body)
            .await?
            .expect(202)?;
        let order = order.number("id")?;
        let done = self
            .fixture
            .order_reaches(&self.tester, order, "complete")
            .await?;
        let moved = before - self.fixture.cash_of(&self.tester)?;
        checks.that(claim, done["actual_amount_cents"] == cents && moved == cents);
        Ok(())
    }

    /// The cents of the broker's trades, above zero where it bought.
    fn trades(&self) -> Vec<i64> {
        let account = &self.tester.customer.drivewealth_account_id;
        let trades = self.fixture.cloud.drivewealth().trades_of(account);
        trades.into_iter().map(|trade| trade.amount_cents).collect()
    }
}
