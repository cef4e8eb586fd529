//! The story of a card that is declined: told, tried again, given up, and paid with another one.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    checks::Checks,
    payer::{Charges, DECLINES_LATER, Payer, VISA, due, run, shown, told},
    topic::Topic,
};
use crate::{LocalCloud, progress::say, sandboxes::stripe::ReleaseOrder};

/// Days from one attempt of an invoice to the next.
const RETRY_DAYS: [i64; 4] = [1, 3, 5, 7];
const WITHDRAWAL_CENTS: i64 = 5_000;
const REASON: &str = "the bank declined the card";
const LINK: &str = "https://app.example.com/billing/payment-methods";

/// What the topic has of the customer, in the order in which it happened.
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

/// Plays the story.
pub(super) async fn play(cloud: &LocalCloud, topic: &Topic, checks: &mut Checks) -> anyhow::Result<()> {
    let (payer, invoice) = Payer::with_invoice(cloud, DECLINES_LATER).await?;
    let story = Story {
        cloud,
        payer,
        invoice,
    };
    let due = due(&story.invoice)?;
    // They would tell of the failures by the clock, and the retries would count from now instead of the runs' days.
    cloud.stripe().hold_webhooks();
    story.fail(due, checks).await?;
    let given_up_at = story.give_up(due, checks).await?;
    story.withdraw(checks).await?;
    story
        .pay_otherwise(given_up_at + TimeDelta::days(1), checks)
        .await?;
    checks.that(
        "the topic commissions.events has all of it, in its order",
        told_of(topic, story.payer.customer.profile_id).await? == EVENTS,
    );
    Ok(())
}

struct Story<'a> {
    cloud: &'a LocalCloud,
    payer: Payer<'a>,
    invoice: Value,
}

impl Story<'_> {
    async fn fail(&self, at: DateTime<Utc>, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n14. A card that can be saved, and is declined when it is charged");
        run(self.cloud, "pay_invoices", at).await?;
        let failed = self.payer.invoice_becomes("open", 1).await?;
        checks.that(
            "the invoice stays open, to be tried again the next day",
            failed["attempts"][0]["status"] == "failed" && !failed["next_attempt_at"].is_null(),
        );
        let feed = self.payer.feed(1).await?;
        let item = told(&feed, "commission.charge-failed");
        checks.that(
            "the customer is told why, in plain words",
            shown(item, "body").contains(REASON),
        );
        say(format_args!("     (\"{}\")", shown(item, "body")));
        let mails = self.payer.mails(1).await;
        checks.that(
            "the mail says the same, as text and as HTML, with the link to change the card",
            mails.iter().any(|mail| {
                let tells = |part: &str| part.contains(REASON) && part.contains(LINK);
                // A slash is escaped in HTML.
                tells(&mail.text) && tells(&mail.html.replace("&#x2f;", "/"))
            }),
        );
        Ok(())
    }

    /// Gives the day on which it was given up.
    async fn give_up(&self, due: DateTime<Utc>, checks: &mut Checks) -> anyhow::Result<DateTime<Utc>> {
        say("\n15. The same card after 1, 3, 5 and 7 days, until the invoice is given up");
        let (mut at, mut between, mut given_up) = (due, 0, Value::Null);
        for (tried, days) in (2..).zip(RETRY_DAYS) {
            let early = at + TimeDelta::days(days) - TimeDelta::hours(1);
            let early = run(self.cloud, "pay_invoices", early).await?;
            between += early["invoices"].as_i64().unwrap_or_default();
            at += TimeDelta::days(days);
            run(self.cloud, "pay_invoices", at).await?;
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
        self.cloud
            .stripe()
            .release_webhooks(&ReleaseOrder::NewestFirst)
            .await?;
        self.cloud.stripe().webhooks_settled().await;
        checks.that(
            "Stripe's webhooks of them, late and each twice, change nothing",
            self.payer.newest_invoice().await? == given_up,
        );
        let feed = self.payer.feed(6).await?;
        let suspended = told(&feed, "trading.suspended");
        checks.that(
            "buying is suspended, and the customer is told",
            feed.len() == 6 && suspended.is_some(),
        );
        say(format_args!("     (\"{}\")", shown(suspended, "body")));
        checks.that(
            "each of the six notifications was mailed and pushed, once",
            self.payer.mails(6).await.len() == 6 && self.payer.is_pushed(6).await,
        );
        Ok(at)
    }

    async fn withdraw(&self, checks: &mut Checks) -> anyhow::Result<()> {
        let api = &self.payer.api;
        let request = json!({
            "trading_account_id": self.payer.customer.trading_account_id,
            "bank_account_id": self.payer.customer.bank_account_id,
            "amount_cents": WITHDRAWAL_CENTS,
        });
        let answer = api
            .post("/trading/withdrawals", "while-suspended", &request)
            .await?;
        let flow = api.flow_reaches(&answer.body["id"], "success").await?;
        checks.that(
            "a withdrawal of $50.00 goes through all the same",
            flow["status"] == "success",
        );
        Ok(())
    }

    async fn pay_otherwise(&self, at: DateTime<Utc>, checks: &mut Checks) -> anyhow::Result<()> {
        say("\n16. The customer saves another card");
        self.payer.save_card(VISA).await?;
        let cards = self.payer.cards().await?;
        checks.that(
            "it is the active one",
            cards.len() == 2 && shown(cards.first(), "name").contains("4242"),
        );
        run(self.cloud, "pay_invoices", at).await?;
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
        let feed = self.payer.feed(9).await?;
        let resumed = told(&feed, "trading.resumed");
        checks.that("buying is possible again", resumed.is_some());
        say(format_args!("     (\"{}\")", shown(resumed, "body")));
        Ok(())
    }
}

/// What the topic has of a profile, up to the end of its suspension.
async fn told_of(topic: &Topic, profile_id: i64) -> anyhow::Result<Vec<String>> {
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|last| last != "trading.resumed") {
        let event = topic.next().await?;
        if event["data"]["profile_id"] == profile_id {
            kinds.push(event["type"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(kinds)
}
