//! What a trader is told: in the feed of his profile, or, where he has none, by mail.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::funded::{Trader, next_user, passed, tier};
use end_to_end::withdrawals::{CLOSED_BANK, PAYS};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        trader_without_a_profile_is_mailed_once_what_becomes_of_a_withdrawal,
        payout_that_comes_back_is_told_with_its_reason,
        payout_that_comes_back_is_told_in_the_language_of_the_profile,
    ]
}

/// Waits until a trader without a profile has mails of these subjects, in any order, and no others.
async fn is_mailed(fixture: &Fixture, trader: &Trader, subjects: &[&str]) -> Result<Vec<String>> {
    let address = format!("trader-{}@example.com", trader.user_id);
    eventually(&format!("{address} is mailed"), async || {
        let mails = fixture.cloud.mail().mails_to(&address);
        let mut found: Vec<_> = mails.iter().map(|mail| mail.subject.clone()).collect();
        found.sort_unstable();
        let mut wanted = subjects.to_vec();
        wanted.sort_unstable();
        ensure_eq!(found, wanted);
        Ok(mails.into_iter().map(|mail| mail.text).collect())
    })
    .await
}

async fn trader_without_a_profile_is_mailed_once_what_becomes_of_a_withdrawal(
    fixture: Arc<Fixture>,
) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let id = trader.withdrawal(100_000).await?;
    fixture.approve("ada", id).await?.expect(200)?;
    trader.is_paid(id).await?;
    let subjects = [
        "Your withdrawal of $1,000.00 was approved",
        "Your withdrawal of $1,000.00 was paid out",
    ];
    let texts = is_mailed(&fixture, &trader, &subjects).await?;
    ensure!(
        texts.iter().all(|text| text.starts_with("Hello Ada,")),
        "{texts:?}"
    );
    // The same event once more is the same mail.
    let key = format!("funded-account-{}", trader.account);
    let rows = fixture.database.outbox_of_key(&key).await?;
    let approved = rows.iter().find(|row| row.kind == "withdrawal.approved");
    let approved = approved.context("it wasn't told")?.payload.clone();
    ensure!(
        approved["data"]["profile_id"].is_null() && approved["data"]["user_id"] == trader.user_id,
        "{approved}"
    );
    fixture
        .deliver("record_notification", &[approved.clone(), approved])
        .await?;
    let other = trader.withdrawal(200_000).await?;
    fixture.reject("ada", other, "Ask us.").await?.expect(200)?;
    let subjects = [
        subjects[0],
        subjects[1],
        "Your withdrawal of $2,000.00 was rejected",
    ];
    is_mailed(&fixture, &trader, &subjects).await?;
    Ok(())
}

async fn payout_that_comes_back_is_told_with_its_reason(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, CLOSED_BANK).await?;
    let id = trader.withdrawal(100_000).await?;
    fixture.approve("ada", id).await?.expect(200)?;
    let is_back = |one: &Value| one["status"] == "approved" && one["failure_code"] == "account_closed";
    trader.withdrawal_is(id, "back from the bank", is_back).await?;
    let told = fixture.told_of_account(trader.account).await?;
    let times = told.iter().filter(|kind| *kind == "withdrawal.returned").count();
    ensure_eq!(times, 1, "{told:?}");
    let address = format!("trader-{}@example.com", trader.user_id);
    eventually("the trader is told that it came back", async || {
        let mails = fixture.cloud.mail().mails_to(&address);
        let back: Vec<_> = mails
            .iter()
            .filter(|mail| mail.subject == "Your withdrawal of $1,000.00 came back")
            .collect();
        ensure_eq!(back.len(), 1, "{mails:?}");
        ensure!(back[0].text.contains("The bank account is closed."), "{back:?}");
        Ok(())
    })
    .await
}

async fn payout_that_comes_back_is_told_in_the_language_of_the_profile(fixture: Arc<Fixture>) -> Result {
    let customer = fixture.customer().await?;
    let profile = customer.customer.profile_id;
    let german = "UPDATE profiles SET language = 'de' WHERE id = $1";
    ensure_eq!(fixture.database.change(german, profile).await?, 1);
    let trader = with_profile(&fixture, &customer).await?;
    fixture.earn(&trader, 1, 1_000_000).await?;
    fixture.can_be_paid(&trader, CLOSED_BANK).await?;
    let id = trader.withdrawal(100_000).await?;
    fixture.approve("ada", id).await?.expect(200)?;
    eventually("the feed tells that it came back", async || {
        let feed = customer.feed().await?;
        let back = feed.iter().find(|item| item["kind"] == "withdrawal.returned");
        let back = back.context("it doesn't yet")?;
        ensure_eq!(back["title"], "Ihre Bank hat eine Auszahlung zurückgegeben");
        ensure!(
            back["body"]
                .as_str()
                .is_some_and(|body| body.contains("Das Bankkonto ist geschlossen.")),
            "{back}"
        );
        ensure_eq!(back["data"]["withdrawal_id"], json!(id.to_string()));
        Ok(())
    })
    .await
}

/// A trader who is a customer too.
async fn with_profile(fixture: &Fixture, customer: &Tester) -> Result<Trader> {
    fixture.put_tier("of-customers", &tier()).await?;
    let mut assessment = passed(next_user(), "of-customers");
    assessment["profileId"] = json!(customer.customer.profile_id);
    fixture.trader_who(&assessment).await
}
