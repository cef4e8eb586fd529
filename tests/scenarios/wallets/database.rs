//! What the database refuses by itself, whoever asks, and what it and the code have to agree on.

use std::sync::Arc;

use anyhow::ensure;
use domain::currency::Currency;
use domain::wallets::conversion::{ConversionRefusal, FixedAmount};
use domain::wallets::quote::amounts;
use domain::wallets::rates::ExchangeRate;
use end_to_end::points::seed;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        row_that_breaks_a_rule_is_refused_by_the_database,
        unsound_side_of_a_transfer_is_refused,
        database_knows_the_currencies_of_the_code,
        database_converts_as_the_code_does,
    ]
}

/// The SQLSTATE with which a statement is refused; its effects are undone in any case.
async fn state(pool: &PgPool, statement: &str) -> Result<String> {
    let mut transaction = pool.begin().await?;
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await?;
    Ok(match outcome {
        Ok(_) => "accepted".to_owned(),
        Err(error) => match error.as_database_error().and_then(|error| error.code()) {
            Some(code) => code.into_owned(),
            None => return Err(error.into()),
        },
    })
}

const CHECK: &str = "23514";
const RESTRICT: &str = "23001";
const UNIQUE: &str = "23505";

async fn row_that_breaks_a_rule_is_refused_by_the_database(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    alice
        .pay("USD", &bob, json!({ "amount": 100 }))
        .await?
        .expect(201)?;
    let pending = alice.withdraw("USD", 10).await?.expect(201)?;
    let settled = alice.withdraw("USD", 10).await?.expect(201)?;
    alice
        .settle(&settled.body["transaction_id"], "done")
        .await?
        .expect(200)?;
    let (client, wallet, pending) = (alice.id, alice.wallet("USD")?, pending.number("id")?);
    let cases = [
        (
            format!("UPDATE wallets SET balance = -1 WHERE client_id = {client}"),
            CHECK,
        ),
        (
            format!("DELETE FROM wallets WHERE client_id = {client}"),
            RESTRICT,
        ),
        (
            format!("UPDATE wallets SET currency = 978 WHERE client_id = {client}"),
            RESTRICT,
        ),
        (
            format!("INSERT INTO wallets (client_id, currency) VALUES ({client}, 840)"),
            UNIQUE,
        ),
        (
            format!("INSERT INTO wallets (client_id, currency, balance) VALUES ({client}, 978, -1)"),
            CHECK,
        ),
        // A payment never changes and is never deleted.
        (
            format!("UPDATE payments SET amount = amount + 1 WHERE client_id = {client}"),
            RESTRICT,
        ),
        (
            format!("UPDATE payments SET payment_status = 2 WHERE client_id = {client} AND payment_type = 3"),
            RESTRICT,
        ),
        (
            format!(
                "UPDATE payments SET payment_status = 1 WHERE client_id = {client} AND id = {}",
                settled.number("id")?
            ),
            RESTRICT,
        ),
        (
            format!(
                "UPDATE payments SET payment_status = 2, amount = -9 WHERE client_id = {client} AND id = {pending}"
            ),
            RESTRICT,
        ),
        // A failed withdrawal has its return.
        (
            format!("UPDATE payments SET payment_status = 3 WHERE client_id = {client} AND id = {pending}"),
            CHECK,
        ),
        (
            format!("DELETE FROM payments WHERE client_id = {client}"),
            RESTRICT,
        ),
        ("TRUNCATE payments".to_owned(), RESTRICT),
        // Signs, and what only a withdrawal may be.
        (recharge(client, wallet, "-5", "5", 2), CHECK),
        (recharge(client, wallet, "5", "5", 2), CHECK),
        (recharge(client, wallet, "0", "0", 2), CHECK),
        (recharge(client, wallet, "5", "-5", 1), CHECK),
        (recharge(client, wallet, "5", "-5", 2), "accepted"),
        ("UPDATE exchange_rates SET rate = 1".to_owned(), RESTRICT),
        (
            "INSERT INTO exchange_rates VALUES (840, 978, now(), 0, 'admin')".to_owned(),
            CHECK,
        ),
    ];
    fixture.set_rate("USD", "DKK", "6.8").await?;
    for (statement, expected) in cases {
        ensure_eq!(
            state(fixture.database.pool(), &statement).await?,
            expected,
            "{statement}"
        );
    }
    Ok(())
}

fn recharge(client: i64, wallet: i64, amount: &str, partner_amount: &str, status: i16) -> String {
    format!(
        "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
         created_at, updated_at) VALUES ({client}, 999999999, gen_random_uuid(), 1, {status}, {wallet}, 840, {amount}, \
         0, 0, 840, {partner_amount}, 1, 1000, 5, now(), now())"
    )
}

/// Each side is checked by itself: the other may live on another node. The two are compared by the reconciliation (books.rs).
async fn unsound_side_of_a_transfer_is_refused(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let (payer, receiver) = ((alice.id, alice.wallet("USD")?), (bob.id, bob.wallet("USD")?));
    let insert = |amount: i64, status: i16, partner: (i64, i64, i64), rate: &str| {
        format!(
            "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
             partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
             created_at, updated_at) VALUES ({}, 900000001, '018f0000-0000-7000-8000-000000000001', 3, {status}, {}, 840, \
             {amount}, {}, {}, 840, {}, {rate}, 900000001, 5, now(), now())",
            payer.0, payer.1, partner.0, partner.1, partner.2
        )
    };
    let to = |amount| (receiver.0, receiver.1, amount);
    let cases = [
        (insert(-100, 2, to(100), "1"), "accepted"),
        (insert(100, 2, to(-100), "1"), "accepted"),
        (insert(-100, 2, to(-100), "1"), CHECK),
        (insert(100, 2, to(100), "1"), CHECK),
        (insert(0, 2, to(0), "1"), CHECK),
        (insert(-100, 2, to(100), "0"), CHECK),
        (insert(-100, 2, (0, 0, 100), "1"), CHECK),
        // A payer's side waits for its receiver; the receiver's never does.
        (insert(-100, 1, to(100), "1"), "accepted"),
        (insert(100, 1, to(-100), "1"), CHECK),
        (insert(-100, 3, to(100), "1"), CHECK),
    ];
    for (statement, expected) in cases {
        ensure_eq!(
            state(fixture.database.pool(), &statement).await?,
            expected,
            "{statement}"
        );
    }
    Ok(())
}

async fn database_knows_the_currencies_of_the_code(fixture: Arc<Fixture>) -> Result {
    let stored: Vec<(String, i16, i16)> =
        sqlx::query_as("SELECT code::TEXT, numeric_code, exponent FROM currencies ORDER BY code")
            .fetch_all(fixture.database.pool())
            .await?;
    let known: Vec<(String, i16, i16)> = Currency::KNOWN
        .iter()
        .map(|one| {
            Ok((
                one.code().to_owned(),
                one.numeric(),
                i16::try_from(one.exponent())?,
            ))
        })
        .collect::<Result<_>>()?;
    ensure_eq!(stored, known);
    Ok(())
}

type Converted = (Option<String>, Option<i64>, Option<i64>);

/// 4,000 amounts of all sizes at rates of all sizes between currencies of all exponents, both ways.
async fn database_converts_as_the_code_does(fixture: Arc<Fixture>) -> Result {
    let seed = seed()?;
    let mut random = StdRng::seed_from_u64(seed);
    let kinds = [Currency::JPY, Currency::USD, Currency::KWD, Currency::CLF];
    let mut refusals = 0;
    for _ in 0..4_000 {
        let payer = kinds[random.random_range(0..kinds.len())];
        let receiver = kinds[random.random_range(0..kinds.len())];
        // A rate that can be stored has at most 16 digits before the point.
        let scale: u32 = random.random_range(0..=12);
        let digits: u32 = random.random_range(0..=(15 + scale).min(20));
        let number = Decimal::from_i128_with_scale(random.random_range(1..=10_i128.pow(digits) * 9), scale);
        let rate = ExchangeRate::try_from(number)?;
        let size = random.random_range(0..=18);
        let amount = random.random_range(1..=10_i64.pow(size));
        let fixed = if random.random() {
            FixedAmount::Payer(amount)
        } else {
            FixedAmount::Receiver(amount)
        };
        let (payer_amount, receiver_amount) = match fixed {
            FixedAmount::Payer(amount) => (Some(amount), None),
            FixedAmount::Receiver(amount) => (None, Some(amount)),
        };
        let by_database: Converted =
            sqlx::query_as("SELECT refusal, paid, received FROM convert_payment($1, $2, $3, $4, $5)")
                .bind(rate.rate().as_decimal())
                .bind(i16::try_from(payer.exponent())?)
                .bind(i16::try_from(receiver.exponent())?)
                .bind(payer_amount)
                .bind(receiver_amount)
                .fetch_one(fixture.database.pool())
                .await?;
        let context = format!("seed {seed}: {fixed:?} at {rate} from {payer} to {receiver}");
        match (amounts(fixed, rate, payer, receiver), by_database) {
            (Ok(converted), (None, Some(paid), Some(received))) => {
                ensure_eq!(
                    (converted.paid.minor(), converted.received.minor()),
                    (paid, received),
                    "{context}"
                );
            }
            (Err(refusal), (Some(code), ..)) => {
                refusals += 1;
                let expected = match refusal {
                    ConversionRefusal::ConvertsToNothing => "amount-converts-to-nothing",
                    ConversionRefusal::TooLarge => "amount-too-large",
                };
                ensure_eq!(code, expected, "{context}");
            }
            (code, database) => ensure!(
                false,
                "{context}: the code says {code:?}, the database {database:?}"
            ),
        }
    }
    ensure!(
        (400..3_600).contains(&refusals),
        "seed {seed}: {refusals} refusals are no fair mix"
    );
    Ok(())
}
