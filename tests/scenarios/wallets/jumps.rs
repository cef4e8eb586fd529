//! Rates that change too much at once: they count when another administrator accepts them, or when the bank's next file
//! repeats them.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use domain::currency::Currency;
use domain::wallets::reference_day;
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, scenarios};
use reqwest::Method;
use serde_json::{Value, json};

const KIND: &str = "exchange-rate-jump";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        rate_that_jumps_counts_when_another_administrator_accepts_it,
        rate_that_jumps_is_under_review_once,
        rate_that_jumps_in_steps_is_under_review,
        steps_of_different_days_are_no_jump,
        refused_rate_never_counts,
        newer_rate_takes_the_place_of_one_under_review,
        accepted_rate_may_not_gain,
        alone(jump_in_the_file_counts_when_the_next_file_repeats_it),
        alone(jump_in_the_file_that_is_accepted_counts_for_all_its_pairs),
        alone(jump_in_the_file_that_is_corrected_is_forgotten),
        alone(rates_of_the_file_gain_nothing_with_those_of_a_currency_that_is_held),
        alone(refused_jump_in_the_file_is_not_asked_about_again),
    ]
}

async fn set(fixture: &Fixture, operator: &str, pair: &str, body: &Value) -> Result<Answer> {
    let admin = fixture.operator(operator)?;
    let request = admin.request(Method::PUT, &format!("/exchange-rates/{pair}"));
    admin.send(request.json(body)).await
}

async fn rate(fixture: &Fixture, pair: &str) -> Result<Value> {
    let path = format!("/exchange-rates/{pair}");
    let answer = fixture.wallets_service()?.get(&path).await?.expect(200)?;
    Ok(answer.body["rate"].clone())
}

/// What the newest held rate of a pair is called.
async fn held(fixture: &Fixture, base: Currency, quote: Currency) -> Result<String> {
    let sql = "SELECT max(id) FROM held_exchange_rates WHERE base = $1 AND quote = $2";
    let id: Option<i64> = sqlx::query_scalar(sql)
        .bind(base.numeric())
        .bind(quote.numeric())
        .fetch_one(fixture.database.pool())
        .await?;
    Ok(format!("held-rate-{}", id.context("none is held")?))
}

async fn rate_that_jumps_counts_when_another_administrator_accepts_it(fixture: Arc<Fixture>) -> Result {
    set(&fixture, "ada", "TTD/JMD", &json!({ "rate": "23" }))
        .await?
        .expect(201)?;
    // 10 percent up or down are no jump.
    set(&fixture, "ada", "TTD/JMD", &json!({ "rate": "25.3" }))
        .await?
        .expect(201)?;
    let jump = set(&fixture, "ada", "TTD/JMD", &json!({ "rate": "253" }))
        .await?
        .expect(202)?;
    ensure_eq!(jump.body["status"], json!("under_review"));
    ensure_eq!(
        rate(&fixture, "TTD/JMD").await?,
        json!("25.3"),
        "the old one counts"
    );
    let subject = held(&fixture, Currency::TTD, Currency::JMD).await?;
    let review = fixture.review_reaches(KIND, &subject, "open").await?;
    ensure_eq!(review["summary"], json!("TTD/JMD would change from 25.3 to 253"));
    ensure_eq!(
        (&review["theirs"]["set_by"], &review["theirs"]["as_of"]),
        (&json!("ada"), &jump.body["as_of"])
    );
    // Not by whoever set it.
    fixture
        .decide("ada", &review, "accept", json!({}))
        .await?
        .expect(202)?;
    let again = fixture.review_reaches(KIND, &subject, "open").await?;
    ensure!(
        again["refusal"]
            .as_str()
            .is_some_and(|reason| reason.contains("another administrator")),
        "{again}"
    );
    ensure_eq!(rate(&fixture, "TTD/JMD").await?, json!("25.3"));
    fixture
        .decide("bob", &again, "accept", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    ensure_eq!(rate(&fixture, "TTD/JMD").await?, json!("253"));
    let body = json!({ "rate": "253", "as_of": jump.body["as_of"] });
    let replayed = set(&fixture, "ada", "TTD/JMD", &body).await?.expect(200)?;
    ensure_eq!(replayed.body["status"], json!("counts"));
    Ok(())
}

async fn rate_that_jumps_is_under_review_once(fixture: Arc<Fixture>) -> Result {
    set(&fixture, "ada", "TTD/XCD", &json!({ "rate": "0.4" }))
        .await?
        .expect(201)?;
    let jump = set(&fixture, "ada", "TTD/XCD", &json!({ "rate": "0.3" }))
        .await?
        .expect(202)?;
    let body = json!({ "rate": "0.3", "as_of": jump.body["as_of"] });
    let again = set(&fixture, "ada", "TTD/XCD", &body).await?.expect(202)?;
    ensure_eq!(again.body, jump.body);
    let waiting = "SELECT count(*) FROM held_exchange_rates WHERE base = $1 AND quote = 951";
    ensure_eq!(
        fixture
            .database
            .count(waiting, i64::from(Currency::TTD.numeric()))
            .await?,
        1
    );
    let audited = "SELECT count(*) FROM admin_audit WHERE operation = 'set_exchange_rate' AND operator = 'ada' \
                   AND subject = 'TTD/XCD' AND $1 > 0";
    ensure_eq!(
        fixture.database.count(audited, 1).await?,
        2,
        "the two that changed something"
    );
    Ok(())
}

async fn rate_that_jumps_in_steps_is_under_review(fixture: Arc<Fixture>) -> Result {
    let set = async |rate: &str| set(&fixture, "ada", "BMD/XCD", &json!({ "rate": rate })).await;
    set("23").await?.expect(201)?;
    set("25.3").await?.expect(201)?;
    // 10 percent more than that, and 21 more than there was.
    let jump = set("27.83").await?.expect(202)?;
    ensure_eq!(jump.body["status"], json!("under_review"));
    ensure_eq!(rate(&fixture, "BMD/XCD").await?, json!("25.3"));
    let subject = held(&fixture, Currency::BMD, Currency::XCD).await?;
    let review = fixture.review_reaches(KIND, &subject, "open").await?;
    fixture
        .decide("bob", &review, "accept", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    // What another one has accepted is what the next ones are held against.
    set("30.6").await?.expect(201)?;
    set("33.6").await?.expect(202)?;
    Ok(())
}

async fn steps_of_different_days_are_no_jump(fixture: Arc<Fixture>) -> Result {
    // The first two were set 25 and 26 hours ago; that they are said to be of today is no matter.
    sqlx::query(
        "INSERT INTO exchange_rates (base, quote, rate, as_of, source, created_at) \
         SELECT $1, $2, rate, now() - hours * INTERVAL '1 minute', 'admin', now() - hours * INTERVAL '1 hour' \
           FROM (VALUES (26, 23), (25, 25.3)) AS step (hours, rate)",
    )
    .bind(Currency::AWG.numeric())
    .bind(Currency::XCD.numeric())
    .execute(fixture.database.pool())
    .await?;
    let set = async |rate: &str| set(&fixture, "ada", "AWG/XCD", &json!({ "rate": rate })).await;
    set("27.83").await?.expect(201)?;
    set("30.6").await?.expect(202)?;
    Ok(())
}

async fn refused_rate_never_counts(fixture: Arc<Fixture>) -> Result {
    set(&fixture, "ada", "BBD/XCD", &json!({ "rate": "1.35" }))
        .await?
        .expect(201)?;
    let jump = set(&fixture, "ada", "BBD/XCD", &json!({ "rate": "13.5" }))
        .await?
        .expect(202)?;
    let subject = held(&fixture, Currency::BBD, Currency::XCD).await?;
    let review = fixture.review_of(KIND, &subject).await?;
    // Whoever set it may take it back.
    fixture
        .decide("ada", &review, "refuse", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    ensure_eq!(rate(&fixture, "BBD/XCD").await?, json!("1.35"));
    let body = json!({ "rate": "13.5", "as_of": jump.body["as_of"] });
    let again = set(&fixture, "ada", "BBD/XCD", &body).await?.expect(200)?;
    ensure_eq!(again.body["status"], json!("refused"));
    ensure_eq!(rate(&fixture, "BBD/XCD").await?, json!("1.35"));
    Ok(())
}

async fn newer_rate_takes_the_place_of_one_under_review(fixture: Arc<Fixture>) -> Result {
    set(&fixture, "ada", "BSD/XCD", &json!({ "rate": "2.7" }))
        .await?
        .expect(201)?;
    let mut subjects = Vec::new();
    for wrong in ["27", "270"] {
        set(&fixture, "ada", "BSD/XCD", &json!({ "rate": wrong }))
            .await?
            .expect(202)?;
        subjects.push(held(&fixture, Currency::BSD, Currency::XCD).await?);
    }
    let review = |subject: usize| subjects.get(subject).context("no subject");
    let first = fixture.review_reaches(KIND, review(0)?, "applied").await?;
    ensure_eq!(first["decided_by"], json!(null), "settled by itself");
    fixture.review_reaches(KIND, review(1)?, "open").await?;
    set(&fixture, "ada", "BSD/XCD", &json!({ "rate": "2.71" }))
        .await?
        .expect(201)?;
    let second = fixture.review_reaches(KIND, review(1)?, "applied").await?;
    let refused = fixture.decide("bob", &second, "accept", json!({})).await?;
    refused.expect_problem(409, "review-already-decided")?;
    ensure_eq!(rate(&fixture, "BSD/XCD").await?, json!("2.71"));
    Ok(())
}

async fn accepted_rate_may_not_gain(fixture: Arc<Fixture>) -> Result {
    set(&fixture, "ada", "BZD/XCD", &json!({ "rate": "1.35" }))
        .await?
        .expect(201)?;
    set(&fixture, "ada", "BZD/XCD", &json!({ "rate": "2" }))
        .await?
        .expect(202)?;
    // Fits what counts, and not what waits: 2 × 0.74 = 1.48
    set(&fixture, "ada", "XCD/BZD", &json!({ "rate": "0.74" }))
        .await?
        .expect(201)?;
    let subject = held(&fixture, Currency::BZD, Currency::XCD).await?;
    let review = fixture.review_of(KIND, &subject).await?;
    fixture
        .decide("bob", &review, "accept", json!({}))
        .await?
        .expect(202)?;
    let again = fixture.review_reaches(KIND, &subject, "open").await?;
    ensure!(
        again["refusal"]
            .as_str()
            .is_some_and(|reason| reason.contains("XCD/BZD of 0.74")),
        "{again}"
    );
    ensure_eq!(rate(&fixture, "BZD/XCD").await?, json!("1.35"));
    Ok(())
}

async fn refresh(fixture: &Fixture) -> Result<Value> {
    Ok(fixture.run("refresh_exchange_rates", json!({})).await?.payload)
}

/// Takes over a file of some days ago, so that there is room for later ones: these rates, and otherwise what counts. Gives the
/// report.
async fn file(fixture: &Fixture, days_ago: i64, rates: &[(Currency, &str)]) -> Result<Value> {
    let ecb = fixture.cloud.ecb();
    ecb.set_date((Utc::now() - TimeDelta::days(days_ago)).date_naive());
    let counting: Vec<(i16, String)> = sqlx::query_as(
        "SELECT DISTINCT ON (quote) quote, trim_scale(rate)::TEXT FROM exchange_rates WHERE base = $1 AND source = 'ecb' \
         ORDER BY quote, as_of DESC, revision DESC",
    )
    .bind(Currency::EUR.numeric())
    .fetch_all(fixture.database.pool())
    .await?;
    for (currency, rate) in counting {
        ecb.set_rate(Currency::from_numeric(currency)?, &rate);
    }
    for (currency, rate) in rates {
        ecb.set_rate(*currency, rate);
    }
    refresh(fixture).await
}

async fn jump_in_the_file_counts_when_the_next_file_repeats_it(fixture: Arc<Fixture>) -> Result {
    let report = file(&fixture, 5, &[(Currency::THB, "36.8")]).await?;
    // Every file here is old: the day of the newest is named, unless all since have been days of rest.
    let date = fixture.cloud.ecb().date();
    ensure_eq!(
        report["overdue"],
        json!(reference_day::due(Utc::now()).filter(|due| *due > date))
    );
    let report = file(&fixture, 4, &[(Currency::THB, "368")]).await?;
    let held_back = json!({ "reason": "under-review", "currency": "THB", "rate": "368", "before": "36.8" });
    ensure_eq!(report["left_out"], json!([held_back]));
    ensure_eq!(rate(&fixture, "EUR/THB").await?, json!("36.8"));
    let subject = held(&fixture, Currency::EUR, Currency::THB).await?;
    let review = fixture.review_reaches(KIND, &subject, "open").await?;
    // The same file once more is no next one.
    ensure_eq!(refresh(&fixture).await?["left_out"], json!([held_back]));
    let again = fixture.review_of(KIND, &subject).await?;
    ensure_eq!((&again["id"], &again["seen"]), (&review["id"], &json!(2)));
    // The next one says about the same.
    let report = file(&fixture, 3, &[(Currency::THB, "371")]).await?;
    ensure_eq!(report["left_out"], json!([]));
    ensure_eq!(rate(&fixture, "EUR/THB").await?, json!("371"));
    fixture.review_reaches(KIND, &subject, "applied").await?;
    Ok(())
}

async fn jump_in_the_file_that_is_accepted_counts_for_all_its_pairs(fixture: Arc<Fixture>) -> Result {
    // The scenario before ended three days ago. A second file of a day is a correction.
    file(&fixture, 2, &[(Currency::USD, "1.1")]).await?;
    let report = file(&fixture, 2, &[(Currency::ZAR, "38.476")]).await?;
    ensure_eq!(report["left_out"][0]["reason"], json!("under-review"));
    let (to_dollars, before) = (rate(&fixture, "ZAR/USD").await?, rate(&fixture, "USD/ZAR").await?);
    let subject = held(&fixture, Currency::EUR, Currency::ZAR).await?;
    let review = fixture.review_of(KIND, &subject).await?;
    ensure_eq!(review["theirs"]["set_by"], json!(null));
    fixture
        .decide("ada", &review, "accept", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    ensure_eq!(rate(&fixture, "EUR/ZAR").await?, json!("38.476"));
    // 38.476 ÷ 1.1 = 34.97818…, 1.1 ÷ 38.476 = 0.02858925044…, both down.
    ensure_eq!(rate(&fixture, "USD/ZAR").await?, json!("34.978181818181"));
    ensure_eq!(rate(&fixture, "ZAR/USD").await?, json!("0.028589250441"));
    ensure!(
        before != "34.978181818181" && to_dollars != "0.028589250441",
        "{before} {to_dollars}"
    );
    // Now the file has nothing new.
    let report = refresh(&fixture).await?;
    ensure_eq!((&report["added"], &report["left_out"]), (&json!(0), &json!([])));
    Ok(())
}

async fn jump_in_the_file_that_is_corrected_is_forgotten(fixture: Arc<Fixture>) -> Result {
    file(&fixture, 2, &[(Currency::GBP, "0.835")]).await?;
    let report = file(&fixture, 2, &[(Currency::GBP, "8.3405")]).await?;
    ensure_eq!(report["left_out"][0]["reason"], json!("under-review"));
    let subject = held(&fixture, Currency::EUR, Currency::GBP).await?;
    let report = file(&fixture, 2, &[(Currency::GBP, "0.8345")]).await?;
    ensure_eq!(report["left_out"], json!([]));
    fixture.review_reaches(KIND, &subject, "applied").await?;
    ensure_eq!(rate(&fixture, "EUR/GBP").await?, json!("0.8345"));
    Ok(())
}

async fn as_of(fixture: &Fixture, pair: &str) -> Result<Value> {
    let path = format!("/exchange-rates/{pair}");
    let answer = fixture.wallets_service()?.get(&path).await?.expect(200)?;
    Ok(answer.body["as_of"].clone())
}

async fn rates_of_the_file_gain_nothing_with_those_of_a_currency_that_is_held(
    fixture: Arc<Fixture>,
) -> Result {
    file(&fixture, 2, &[(Currency::USD, "1.1"), (Currency::TRY, "40")]).await?;
    let report = file(&fixture, 1, &[(Currency::USD, "1.12"), (Currency::TRY, "45")]).await?;
    ensure_eq!(report["left_out"][0]["reason"], json!("under-review"));
    // By the old rate of the lira to the euro, and the new one of the dollar: 1.12 × 35.714285714285 × 0.025 is less than one.
    for (pair, expected) in [
        ("EUR/USD", "1.12"),
        ("USD/TRY", "35.714285714285"),
        ("TRY/EUR", "0.025"),
        ("TRY/USD", "0.028"),
    ] {
        ensure_eq!(rate(&fixture, pair).await?, json!(expected), "{pair}");
    }
    ensure_eq!(
        as_of(&fixture, "USD/TRY").await?,
        as_of(&fixture, "EUR/TRY").await?,
        "the older of the two"
    );
    let subject = held(&fixture, Currency::EUR, Currency::TRY).await?;
    let review = fixture.review_of(KIND, &subject).await?;
    fixture
        .decide("ada", &review, "accept", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    // 45 ÷ 1.12 = 40.17857142857142…
    ensure_eq!(rate(&fixture, "USD/TRY").await?, json!("40.178571428571"));
    ensure_eq!(
        as_of(&fixture, "USD/TRY").await?,
        as_of(&fixture, "EUR/USD").await?
    );
    Ok(())
}

async fn refused_jump_in_the_file_is_not_asked_about_again(fixture: Arc<Fixture>) -> Result {
    file(&fixture, 1, &[(Currency::SEK, "11.521")]).await?;
    let report = file(&fixture, 1, &[(Currency::SEK, "115.21")]).await?;
    ensure_eq!(report["left_out"][0]["reason"], json!("under-review"));
    let subject = held(&fixture, Currency::EUR, Currency::SEK).await?;
    let review = fixture.review_of(KIND, &subject).await?;
    fixture
        .decide("ada", &review, "refuse", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    let report = refresh(&fixture).await?;
    let refused = json!({ "reason": "refused", "currency": "SEK", "rate": "115.21" });
    ensure_eq!(report["left_out"], json!([refused]));
    ensure_eq!(rate(&fixture, "EUR/SEK").await?, json!("11.521"));
    ensure_eq!(held(&fixture, Currency::EUR, Currency::SEK).await?, subject);
    Ok(())
}
