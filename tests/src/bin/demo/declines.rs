//! A card that is declined: told, tried again, given up, and paid with another one.

use anyhow::ensure;
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{
    Fixture, Result,
    billing::{DECLINES_LATER, VISA},
    eventually,
};
use local_cloud::{progress::say, sandboxes::stripe::ReleaseOrder};
use serde_json::Value;

use super::{
    checks::{Checks, events, quote, shown},
    payer::{Charges, Payer, due, of_kind},
};

/// Days from one attempt of an invoice to the next.
const RETRY_DAYS: [i64; 4] = [1, 3, 5, 7];
const WITHDRAWAL_CENTS: i64 = 5_000;
const REASON: &str = "the bank declined the card";
const LINK: &str = "https://app.example.com/billing/payment-methods";

/// The topic's events about the customer, in the order in which it happened.
const EVENTS: [&str; 12] = [
    "payment-method.added",
    "invoice.created",
    "commission.charge-failed",
    "commission.charge-failed",
    "commission.charge-failed",
    "commission.charge-failed",
    "commission.charge-failed",
    "invoice.uncollectible",
    "trading.suspended",
    "payment-method.added",
    "commission.charged",
    "trading.resumed",
];

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    let (payer, invoice) = Payer::with_invoice(fixture, DECLINES_LATER).await?;
    let story = Story { payer, invoice };
    let due = due(&story.invoice)?;
    // They would report the failures by the clock, and the retries would count from now instead of the runs' days.
    fixture.cloud.stripe().hold_webhooks();
    story.fail(due, checks).await?;
    let given_up_at = story.give_up(due, checks).await?;
    story.withdraw(checks).await?;
    story
        .pay_otherwise(given_up_at + TimeDelta::days(1), checks)
        .await?;
    checks.that(
        "the topic commissions.events has all of it, in its order",
        story.events().await? == EVENTS,
    );
    Ok(())
}

struct Story<'a> {
    payer: Payer<'a>,
    invoice: Value,
}

impl Story<'_> {
    async fn fail(&self, at: DateTime<Utc>, checks: &mut Checks) -> Result {
        say("\n14. A card that can be saved, and is declined when it is charged");
        self.payer.fixture.bill("pay_invoices", at).await?;
        let failed = self.payer.invoice_becomes("open", 1).await?;
        checks.that(
            "the invoice stays open, to be tried again the next day",
            failed["attempts"][0]["status"] == "failed" && !failed["next_attempt_at"].is_null(),
        );
        let feed = self.payer.tester.feed_reaches(1).await?;
        let item = of_kind(&feed, "commission.charge-failed");
        checks.that(
            "the customer is told why, in plain words",
            shown(item, "body").contains(REASON),
        );
        quote(item, "body");
        let mails = self.payer.mails(1).await;
        checks.that(
            "the mail says the same, as text and as HTML, with the link to change the card",
            mails.iter().any(|mail| {
                let says_so = |part: &str| part.contains(REASON) && part.contains(LINK);
                // A slash is escaped in HTML.
                says_so(&mail.text) && says_so(&mail.html.replace("&#x2f;", "/"))
            }),
        );
        Ok(())
    }

    /// Gives the day on which it was given up.
    async fn give_up(&self, due: DateTime<Utc>, checks: &mut Checks) -> Result<DateTime<Utc>> {
        say("\n15. The same card after 1, 3, 5 and 7 days, until the invoice is given up");
        let (mut at, mut between, mut given_up) = (due, 0, Value::Null);
        for (tried, days) in (2..).zip(RETRY_DAYS) {
            let early = at + TimeDelta::days(days) - TimeDelta::hours(14);
            let early = self.payer.fixture.bill("pay_invoices", early).await?;
            between += early["invoices"].as_i64().unwrap_or_default();
            at += TimeDelta::days(days);
            self.payer.fixture.bill("pay_invoices", at).await?;
            let is_last = tried > RETRY_DAYS.len();
            let status = if is_last { "uncollectible" } else { "open" };
            given_up = self.payer.invoice_becomes(status, tried).await?;
        }
        let charges = self.payer.charges(&self.invoice);
        checks.that(
            "five attempts, each on its day",
            between == 0
                && charges
                    == Charges {
                        taken: 0,
                        declined: 5,
                    },
        );
        self.payer
            .fixture
            .cloud
            .stripe()
            .release_webhooks(&ReleaseOrder::NewestFirst)
            .await?;
        self.payer.fixture.cloud.stripe().webhooks_settled().await;
        checks.that(
            "Stripe's webhooks of them, late and each twice, change nothing",
            self.payer.newest_invoice().await? == given_up,
        );
        let feed = self.payer.tester.feed_reaches(6).await?;
        let suspended = of_kind(&feed, "trading.suspended");
        checks.that(
            "buying is suspended, and the customer is told",
            feed.len() == 6 && suspended.is_some(),
        );
        quote(suspended, "body");
        checks.that(
            "each of the six notifications was mailed and pushed, once",
            self.payer.mails(6).await.len() == 6 && self.payer.is_pushed(6).await,
        );
        Ok(at)
    }

    async fn withdraw(&self, checks: &mut Checks) -> Result {
        let tester = &self.payer.tester;
        let taken = tester.withdraw(WITHDRAWAL_CENTS).await?.expect(201)?;
        let flow = tester.flow_reaches(taken.number("id")?, "success").await?;
        checks.that(
            "a withdrawal of $50.00 goes through all the same",
            flow["status"] == "success",
        );
        Ok(())
    }

    async fn pay_otherwise(&self, at: DateTime<Utc>, checks: &mut Checks) -> Result {
        say("\n16. The customer saves another card");
        let tester = &self.payer.tester;
        tester.save_card(self.payer.fixture, VISA).await?;
        let cards = tester.methods().await?;
        checks.that(
            "it is the active one",
            cards.len() == 2 && shown(cards.first(), "name").contains("4242"),
        );
        self.payer.fixture.bill("pay_invoices", at).await?;
        self.payer.invoice_becomes("paid", 6).await?;
        let charges = self.payer.charges(&self.invoice);
        checks.that(
            "the next run charges it, once, and the invoice is paid",
            charges
                == Charges {
                    taken: 1,
                    declined: 5,
                },
        );
        let feed = self.payer.tester.feed_reaches(9).await?;
        let resumed = of_kind(&feed, "trading.resumed");
        checks.that("buying is possible again", resumed.is_some());
        quote(resumed, "body");
        Ok(())
    }

    /// The types of the customer's events, up to the end of the suspension.
    async fn events(&self) -> Result<Vec<String>> {
        let profile_id = self.payer.tester.customer.profile_id;
        eventually("the topic has the end of the suspension", async || {
            let events = events(self.payer.fixture, "commissions.events").await?;
            let own = events
                .iter()
                .filter(|event| event["data"]["profile_id"] == profile_id);
            let types: Vec<String> = own
                .map(|event| event["type"].as_str().unwrap_or_default().to_owned())
                .collect();
            ensure!(
                types.last().is_some_and(|last| last == "trading.resumed"),
                "it has {types:?}"
            );
            Ok(types)
        })
        .await
    }
}
