//! Bills: one for a deal, issued at Billing once, taken back while nothing is paid.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{NaiveDate, TimeDelta, Utc};
use end_to_end::dealers::new_deal;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        reward_is_a_share_of_the_price_rounded_half_even,
        bill_is_issued_with_a_pdf_that_opens,
        bills_for_one_deal_at_once_are_one,
        deal_is_billed_with_one_amount_and_to_one_dealer,
        bill_out_of_range_is_refused_and_named,
        bill_is_due_after_its_days_in_moscow,
        bill_needs_its_account,
        bill_is_voided_and_issued_anew,
        bill_that_is_paid_on_is_not_voided,
        bills_are_listed_by_status_in_pages_with_totals,
        bill_of_another_dealer_is_not_found,
    ]
}

async fn reward_is_a_share_of_the_price_rounded_half_even(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    // Two per cent: 25 → 0.5 → nothing; 75 → 1.5 → 2; 125 → 2.5 → 2; 175 → 3.5 → 4.
    let refused = dealer.bill_reward(&new_deal(), 25).await?;
    refused.expect_problem(422, "reward-is-nothing")?;
    for (price, commission) in [(75, 2), (125, 2), (175, 4), (150_000_000, 3_000_000)] {
        let bill = dealer.bill_reward(&new_deal(), price).await?.expect(201)?.body;
        ensure_eq!(
            (&bill["common_sum"], &bill["deal_price"], &bill["commission_rate"]),
            (&json!(commission), &json!(price), &json!("0.02"))
        );
        ensure_eq!(
            (&bill["account_type"], &bill["paid_sum"]),
            (&json!("COMMISSION"), &json!(0))
        );
    }
    Ok(())
}

async fn bill_is_issued_with_a_pdf_that_opens(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let deal = new_deal();
    let bill = dealer.bill_reward(&deal, 150_000_000).await?.expect(201)?;
    ensure_eq!(bill.body["status"], json!("created"));
    let issued = dealer.bill_reaches(bill.number("bill_id")?, "issued").await?;
    let url = issued["url"].as_str().context("no url")?;
    let file = local_cloud::http_client()?.get(url).send().await?;
    ensure_eq!(file.status().as_u16(), 200);
    let text = pdf_extract::extract_text_from_mem(&file.bytes().await?)?;
    ensure!(text.contains(&deal) && text.contains("30000.00 RUB"), "{text}");
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let at_billing = fixture.cloud.billing().bills(&client);
    ensure_eq!(
        at_billing.iter().map(|bill| bill.amount).collect::<Vec<_>>(),
        [3_000_000]
    );
    let told = fixture.dealer_events(&dealer).await?;
    ensure_eq!(told.last().map(String::as_str), Some("dealer.bill.created"));
    Ok(())
}

async fn bills_for_one_deal_at_once_are_one(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let deal = new_deal();
    let answers = try_join_all((0..6).map(|_| dealer.bill_reward(&deal, 500_000))).await?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    ensure_eq!(statuses, [200, 200, 200, 200, 200, 201]);
    let first = answers.first().context("no answer")?.number("bill_id")?;
    for answer in &answers {
        ensure_eq!(answer.number("bill_id")?, first);
    }
    dealer.bill_reaches(first, "issued").await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    ensure_eq!(fixture.cloud.billing().bills(&client).len(), 1);
    Ok(())
}

async fn deal_is_billed_with_one_amount_and_to_one_dealer(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let deal = new_deal();
    dealer.bill_reward(&deal, 500_000).await?.expect(201)?;
    let refused = dealer.bill_reward(&deal, 500_050).await?;
    let refused = refused.expect_problem(409, "deal-billed-otherwise")?;
    ensure!(refused.text.contains("RUB 100.00"), "{}", refused.text);
    let refused = other.bill_reward(&deal, 500_000).await?;
    refused.expect_problem(409, "deal-billed-to-another-dealer")?;
    Ok(())
}

async fn bill_out_of_range_is_refused_and_named(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer_with_fast_buyout().await?;
    let bill = async |body: Value| dealer.api.post(&dealer.path("/bills"), "unused", &body).await;
    let deal = new_deal();
    for (body, code, field) in [
        (
            json!({ "operation": "GET_REWARD", "deal_id": deal }),
            "one-amount-needed",
            "deal_price",
        ),
        (
            json!({ "operation": "GET_REWARD", "deal_id": deal, "deal_price": 100, "amount": 100 }),
            "one-amount-needed",
            "amount",
        ),
        (
            json!({ "operation": "GET_SETTLEMENT", "deal_id": deal, "deal_price": 100 }),
            "one-amount-needed",
            "deal_price",
        ),
        (
            json!({ "operation": "GET_SETTLEMENT", "deal_id": deal, "amount": 0 }),
            "amount-not-positive",
            "amount",
        ),
        (
            json!({ "operation": "GET_SETTLEMENT", "deal_id": deal, "amount": 100_000_000_001_i64 }),
            "amount-too-large",
            "amount",
        ),
        (
            json!({ "operation": "GET_REWARD", "deal_id": deal, "deal_price": i64::MAX }),
            "amount-too-large",
            "deal_price",
        ),
    ] {
        let refused = bill(body.clone()).await?.expect_problem(422, code)?;
        ensure_eq!(refused.body["errors"][0]["field"], json!(field), "{body}");
    }
    ensure_eq!(dealer.bills("all").await?["items"], json!([]));
    Ok(())
}

async fn bill_is_due_after_its_days_in_moscow(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer_with_fast_buyout().await?;
    let today = || (Utc::now() + TimeDelta::hours(3)).date_naive();
    let before = today();
    let bills = [
        (
            dealer.bill_reward(&new_deal(), 5_000).await?.expect(201)?.body,
            30,
        ),
        (dealer.bill_car(&new_deal(), 5_000).await?.expect(201)?.body, 5),
    ];
    // Midnight may have come in Moscow meanwhile.
    let days = [before, today()];
    for (bill, days_to_pay) in bills {
        let date: NaiveDate = bill["due_date"].as_str().context("no date")?.parse()?;
        let is_expected = days.iter().any(|day| *day + TimeDelta::days(days_to_pay) == date);
        ensure!(is_expected, "{bill}");
        ensure_eq!(bill["is_overdue"], json!(false));
    }
    Ok(())
}

async fn bill_needs_its_account(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let deal = new_deal();
    let refused = dealer.bill_car(&deal, 1_000).await?;
    refused.expect_problem(409, "account-not-opened")?;
    dealer.add_fast_buyout().await?.expect(201)?;
    // At once, while Billing may not know the account yet: it is issued as soon as it does.
    let bill = dealer
        .bill_car(&deal, 1_000)
        .await?
        .expect(201)?
        .number("bill_id")?;
    let issued = dealer.bill_reaches(bill, "issued").await?;
    ensure_eq!(
        (
            &issued["account_type"],
            &issued["common_sum"],
            &issued["deal_price"]
        ),
        (&json!("SETTLEMENT"), &json!(1_000), &Value::Null)
    );
    Ok(())
}

async fn bill_is_voided_and_issued_anew(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let deal = new_deal();
    let first = dealer
        .bill_reward(&deal, 500_000)
        .await?
        .expect(201)?
        .number("bill_id")?;
    dealer.bill_reaches(first, "issued").await?;
    let voided = dealer.void(first).await?.expect(200)?;
    ensure_eq!(
        (&voided.body["status"], &voided.body["void_reason"]),
        (&json!("voided"), &json!("the price of the deal has changed"))
    );
    // Again, it stays as it is.
    ensure_eq!(
        dealer.void(first).await?.expect(200)?.body["voided_at"],
        voided.body["voided_at"]
    );
    let second = dealer
        .bill_reward(&deal, 400_000)
        .await?
        .expect(201)?
        .number("bill_id")?;
    ensure!(second != first, "the deal has its old bill");
    dealer.bill_reaches(second, "issued").await?;
    fixture.issuing_reaches(first, "withdrawn").await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let at_billing: Vec<(i64, String)> = fixture
        .cloud
        .billing()
        .bills(&client)
        .into_iter()
        .map(|bill| (bill.amount, bill.status))
        .collect();
    ensure_eq!(
        at_billing,
        [(10_000, "voided".to_owned()), (8_000, "open".to_owned())]
    );
    let told = fixture.dealer_events(&dealer).await?;
    ensure!(
        told.ends_with(
            &["dealer.bill.created", "dealer.bill.voided", "dealer.bill.created"].map(str::to_owned)
        ),
        "{told:?}"
    );
    let totals = &dealer.bills("open").await?["totals"];
    ensure_eq!(
        (&totals["billed"], &totals["owed"]),
        (&json!(8_000), &json!(8_000))
    );
    Ok(())
}

async fn bill_that_is_paid_on_is_not_voided(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(10_000).await?;
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 1).await?;
    dealer.bill_reaches(bill, "partially_paid").await?;
    let refused = dealer.void(bill).await?.expect_problem(409, "bill-paid-on")?;
    ensure!(
        refused.text.contains("RUB 0.01") && refused.text.contains("reversed"),
        "{}",
        refused.text
    );
    // What the problem says to do.
    fixture.cloud.billing().reverse(&payment, None).await?;
    dealer.bill_reaches(bill, "issued").await?;
    dealer.void(bill).await?.expect(200)?;
    Ok(())
}

async fn bills_are_listed_by_status_in_pages_with_totals(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let mut bills = Vec::new();
    for commission in [100, 200, 300] {
        bills.push(dealer.owes_issued(commission).await?);
    }
    fixture.dealer_pays(&dealer, "COMMISSION", None, 150).await?;
    dealer.bill_reaches(bills[1], "partially_paid").await?;
    let ids = |page: &Value| -> Vec<i64> {
        let items = page["items"].as_array().into_iter().flatten();
        items.filter_map(|bill| bill["bill_id"].as_i64()).collect()
    };
    for (status, expected) in [
        ("open", &bills[1..]),
        ("paid", &bills[..1]),
        ("partially_paid", &bills[1..2]),
        ("issued", &bills[2..]),
        ("voided", &bills[..0]),
        ("all", &bills[..]),
    ] {
        ensure_eq!(ids(&dealer.bills(status).await?), expected, "{status}");
    }
    let first = dealer
        .api
        .get(&dealer.path("/bills?limit=1"))
        .await?
        .expect(200)?
        .body;
    ensure_eq!(ids(&first), [bills[1]]);
    let cursor = first["next_cursor"].as_str().context("no cursor")?;
    let path = dealer.path(&format!("/bills?limit=1&cursor={cursor}"));
    let second = dealer.api.get(&path).await?.expect(200)?.body;
    ensure_eq!(
        (ids(&second), &second["next_cursor"]),
        (vec![bills[2]], &Value::Null)
    );
    ensure_eq!(
        second["totals"],
        json!({ "billed": 600, "paid": 150, "owed": 450, "overdue": 0, "currency": "RUB" })
    );
    let shown = dealer.account("COMMISSION").await?;
    ensure_eq!((&shown["owed"], &shown["balance"]), (&json!(450), &json!(0)));
    Ok(())
}

async fn bill_of_another_dealer_is_not_found(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let bill = dealer.owes(100).await?;
    let path = other.path(&format!("/bills/{bill}"));
    other
        .api
        .get(&path)
        .await?
        .expect_problem(404, "bill-not-found")?;
    other.void(bill).await?.expect_problem(404, "bill-not-found")?;
    eventually("it is untouched", async || {
        ensure_eq!(dealer.bill(bill).await?["status"], json!("issued"));
        Ok(())
    })
    .await
}
