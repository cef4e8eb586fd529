//! Decoders that are functions: thousands of documents a second.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::money::Money;
use domain::rate::{Rate, Weight};
use domain::storable::storable_body;
use end_to_end::points::seed;
use end_to_end::{Fixture, Result, is_soak};
use local_cloud::sandboxes::StripeSandbox;
use platform::pagination;
use platform::security::identity::{ClaimNames, Identity};
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use providers::billing::PaymentMessage;
use providers::drivewealth::{
    StatementKind, account_of_event, instrument_of_event, payment_of_event, statement_of_event, user_of_event,
};
use providers::stripe::{connect, webhook};
use secrecy::SecretString;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::MINUTE;
use crate::edits::{edited, edits};
use crate::examples::{bodies_of_event_file, records_of_event_file, request_body_of_event_file};

/// Documents of a usual run, per decoder.
const CASES: u32 = 600;

/// What became of a document: read, or refused; anything else is a fault.
type Verdict = Result<bool, String>;

/// Hands edited examples to a decoder; those that it must not treat so are made as small as they get.
fn attack(name: &str, examples: &[Vec<u8>], decode: impl Fn(&[u8]) -> Verdict) -> Result {
    for example in examples {
        let read = decode(example).map_err(|fault| anyhow!("{name}: {fault}"))?;
        ensure!(
            read,
            "{name} refuses a real example: {}",
            String::from_utf8_lossy(example)
        );
    }
    let (accepted, refused) = (Cell::new(0_u64), Cell::new(0_u64));
    let begun = Instant::now();
    let seed = seed()?;
    let mut rounds = 0;
    while rounds == 0 || (is_soak() && begun.elapsed() < MINUTE) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&u64::to_le_bytes(rounds));
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome =
            TestRunner::new_with_rng(config, rng).run(&(any::<Index>(), edits()), |(which, edits)| {
                let document = edited(which.get::<Vec<u8>>(examples), &edits);
                match decode(&document) {
                    Ok(true) => accepted.set(accepted.get() + 1),
                    Ok(false) => refused.set(refused.get() + 1),
                    Err(fault) => {
                        let shown = document.escape_ascii().to_string();
                        let shown: String = shown.chars().take(2_000).collect();
                        return Err(TestCaseError::fail(format!("{fault}: {shown}")));
                    }
                }
                Ok(())
            });
        outcome.map_err(|fault| anyhow!("{name}, MONETA_SEED={seed}, round {rounds}: {fault}"))?;
        rounds += 1;
    }
    let (accepted, refused) = (accepted.get(), refused.get());
    println!(
        "  {name}: {accepted} read, {refused} refused in {} ms",
        begun.elapsed().as_millis()
    );
    ensure!(
        accepted > 20 && refused > 20,
        "{name} was hardly tried: {accepted} read, {refused} refused"
    );
    Ok(())
}

fn texts(examples: &[&str]) -> Vec<Vec<u8>> {
    examples
        .iter()
        .map(|example| example.as_bytes().to_vec())
        .collect()
}

/// A decoder of texts; what is no UTF-8 never comes to it.
fn of_text(decode: impl Fn(&str) -> Verdict) -> impl Fn(&[u8]) -> Verdict {
    move |bytes| std::str::from_utf8(bytes).map_or(Ok(false), &decode)
}

/// A fault unless it holds.
fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

pub(crate) async fn reference_rates_are_read_whole_or_refused(fixture: Arc<Fixture>) -> Result {
    let url = format!(
        "{}/ecb/stats/eurofxref/eurofxref-daily.xml",
        fixture.cloud.sandboxes_url()
    );
    let feed = reqwest::get(url).await?.error_for_status()?.bytes().await?;
    attack(
        "the ECB's file",
        &[feed.to_vec()],
        of_text(|text| {
            let Ok(read) = providers::ecb::parse(text) else {
                return Ok(false);
            };
            must(
                !read.rates.is_empty() && read.rates.len() <= 200,
                "no rates, or too many",
            )?;
            let listed = |(currency, _): &(Currency, Rate)| text.contains(currency.code());
            must(
                read.rates.iter().all(listed),
                "a currency that the file doesn't have",
            )?;
            Ok(true)
        }),
    )
}

pub(crate) async fn stripe_events_are_read_or_refused(_: Arc<Fixture>) -> Result {
    let examples = [request_body_of_event_file("stripe_webhook")?];
    attack("Stripe's events", &examples, |body| {
        let Ok(event) = webhook::parse(body) else {
            return Ok(false);
        };
        must(!event.id.as_str().is_empty(), "an event without an id")?;
        Ok(true)
    })?;
    let examples = [request_body_of_event_file("stripe_connect_webhook")?];
    attack("Stripe's events of connected accounts", &examples, |body| {
        let Ok(event) = connect::webhook::parse(body) else {
            return Ok(false);
        };
        must(!event.id.as_str().is_empty(), "an event without an id")?;
        Ok(true)
    })
}

pub(crate) async fn stripe_signature_holds_for_what_was_signed_alone(_: Arc<Fixture>) -> Result {
    const SECRET: &str = "whsec_decoders";
    let body = r#"{"id":"evt_1"}"#;
    let now = Utc::now();
    let secrets = [SecretString::from(SECRET)];
    let header = StripeSandbox::sign(body, SECRET, now.timestamp());
    let (time, signature) = header.split_once(",v1=").ok_or_else(|| anyhow!("{header}"))?;
    attack(
        "Stripe's signature",
        &[header.clone().into_bytes()],
        of_text(|header| {
            if webhook::verify(Some(header), body.as_bytes(), &secrets, now).is_err() {
                return Ok(false);
            }
            let parts: Vec<&str> = header.split(',').map(str::trim).collect();
            let signed = parts.iter().filter_map(|part| part.strip_prefix("v1="));
            let is_signed = signed
                .into_iter()
                .any(|value| value.eq_ignore_ascii_case(signature));
            must(
                is_signed && parts.contains(&time),
                "another signature or time holds",
            )?;
            Ok(true)
        }),
    )?;
    attack(
        "the body that Stripe signed",
        &[body.as_bytes().to_vec()],
        |sent| {
            let holds = webhook::verify(Some(&header), sent, &secrets, now).is_ok();
            must(
                !holds || sent == body.as_bytes(),
                "a signature holds for another body",
            )?;
            Ok(holds)
        },
    )
}

pub(crate) async fn drivewealth_events_are_read_or_refused(_: Arc<Fixture>) -> Result {
    let examples: Vec<Vec<u8>> = bodies_of_event_file("apply_drivewealth_event")?
        .iter()
        .map(|body| {
            serde_json::from_slice::<Value>(body).map(|event| event["payload"].to_string().into_bytes())
        })
        .collect::<Result<_, _>>()?;
    let user = json!({ "userID": "cc07f91b-7ee1-4868-b8fc-823c70a1b932", "current": { "status": { "name": "APPROVED" } } });
    let document = json!({
        "accountID": "cc07f91b-7ee1-4868-b8fc-823c70a1b932.1407775317759",
        "statement": { "displayName": "October 2026", "fileKey": "f1" },
    });
    let mut all = examples;
    all.extend([user, document].map(|payload| payload.to_string().into_bytes()));
    let at = DateTime::<Utc>::from_timestamp(1_795_185_002, 0).ok_or_else(|| anyhow!("no time"))?;
    attack(
        "DriveWealth's events",
        &all,
        of_text(|text| {
            let Ok(payload) = RawValue::from_string(text.to_owned()) else {
                return Ok(false);
            };
            let document = statement_of_event(StatementKind::Monthly, &payload).is_ok();
            let payment = payment_of_event(&payload, at).is_ok();
            Ok(payment
                | document
                | account_of_event(&payload).is_ok()
                | user_of_event(&payload).is_ok()
                | instrument_of_event(&payload).is_ok())
        }),
    )
}

pub(crate) async fn billing_payments_are_read_or_refused(_: Arc<Fixture>) -> Result {
    let examples = records_of_event_file("apply_bill_payment")?;
    attack("Billing's payments", &examples, |value| {
        Ok(serde_json::from_slice::<PaymentMessage>(value).is_ok())
    })
}

platform::list! {
    /// Ordered by ids.
    Numbers: i64 = "numbers"
}

platform::list! {
    /// Ordered by names.
    Names: String = "names"
}

platform::list! {
    /// Ordered by times.
    Times: (DateTime<Utc>, i64) = "times"
}

pub(crate) async fn cursor_is_one_of_ours_or_refused(_: Arc<Fixture>) -> Result {
    let inside = [
        r#"["numbers",17]"#,
        r#"["names","standard-100k"]"#,
        r#"["times",["2026-11-20T14:30:02.239Z",7]]"#,
    ];
    let read = |cursor: &str| -> Verdict {
        let answers = [
            pagination::decode::<Numbers>(cursor).map(drop),
            pagination::decode::<Names>(cursor).map(drop),
            pagination::decode::<Times>(cursor).map(drop),
        ];
        let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
        must(
            refusals.clone().all(|problem| problem.status == 400),
            "another answer than 400",
        )?;
        let read = answers.iter().filter(|answer| answer.is_ok()).count();
        must(read < 2, "two lists read the same cursor")?;
        must(
            read == 0 || cursor.len() <= 512,
            "a cursor of more than 512 characters is read",
        )?;
        Ok(read == 1)
    };
    let written = inside.map(|position| URL_SAFE_NO_PAD.encode(position).into_bytes());
    attack(
        "what is in a cursor",
        &inside.map(|position| position.as_bytes().to_vec()),
        |bytes| read(&URL_SAFE_NO_PAD.encode(bytes)),
    )?;
    attack("a cursor", &written, of_text(read))
}

pub(crate) async fn money_and_rates_keep_their_value_or_are_refused(_: Arc<Fixture>) -> Result {
    let again = |text: &str, read: &str, same: bool| {
        must(same, &format!("{text:?} is read as {read}, which is another"))
    };
    attack(
        "money",
        &texts(&["USD 12.34", "JPY -1200", "KWD 0.001", "EUR 92233720368547758.07"]),
        of_text(|text| {
            let Ok(money) = Money::parse(text) else {
                return Ok(false);
            };
            let shown = money.to_string();
            again(text, &shown, Money::parse(&shown) == Ok(money))?;
            let back = Money::from_decimal_exact(money.to_decimal(), money.currency());
            must(back == Ok(money), "its decimal is another amount")?;
            // What may overflow says so.
            let _ = (
                money.checked_add(money),
                money.checked_neg(),
                money.times(money.to_decimal(), domain::money::Rounding::HalfEven),
            );
            Ok(true)
        }),
    )?;
    attack(
        "rates",
        &texts(&["1.0845", "17098.20", "0.0000001", "79228162514264337593543950335"]),
        of_text(|text| {
            let Ok(rate) = Rate::parse(text) else {
                return Ok(false);
            };
            let shown = rate.to_string();
            again(text, &shown, Rate::parse(&shown) == Ok(rate))?;
            let _ = rate.inverse();
            for currency in [Currency::USD, Currency::JPY] {
                let _ = Money::new(i64::MAX, Currency::EUR).convert(
                    rate,
                    currency,
                    domain::money::Rounding::HalfEven,
                );
            }
            Ok(true)
        }),
    )?;
    attack(
        "weights",
        &texts(&["0.25", "1", "0.0001"]),
        of_text(|text| {
            let Ok(weight) = Weight::parse(text) else {
                return Ok(false);
            };
            let shown = weight.to_string();
            again(text, &shown, Weight::parse(&shown) == Ok(weight))?;
            Ok(true)
        }),
    )
}

pub(crate) async fn claims_are_whose_they_say_or_nobodys(_: Arc<Fixture>) -> Result {
    let names = ClaimNames::default();
    let examples = texts(&["1", "42", "9223372036854775807"]);
    attack(
        "a claim with an id",
        &examples,
        of_text(|text| {
            let claims: HashMap<String, String> = ["profile_id", "user_id", "wallet_client_id"]
                .map(|name| (name.to_owned(), text.to_owned()))
                .into();
            let identity = Identity::from_claims(&names, &claims);
            let (profile, user) = (identity.profile(), identity.user());
            must(
                profile.is_ok() == user.is_ok(),
                "one id is read and the other is not",
            )?;
            let Ok(profile) = profile else { return Ok(false) };
            must(text.parse() == Ok(profile.get()), "somebody else's id")?;
            Ok(true)
        }),
    )?;
    let examples = texts(&[
        "[admin support]",
        "[admin]",
        "wallets dealers internal",
        "wallets",
    ]);
    attack(
        "a claim with groups or scopes",
        &examples,
        of_text(|text| {
            let claims: HashMap<String, String> =
                [("groups", text), ("scope", text), ("sub", text), ("iss", text)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
            let identity = Identity::from_claims(&names, &claims);
            let is_admin = identity.require_admin().is_ok();
            let is_service = identity.require_scope("wallets").is_ok();
            must(
                !is_admin || text.contains("admin"),
                "an administrator of no claim",
            )?;
            must(!is_service || text.contains("wallets"), "a scope of no claim")?;
            must(identity.profile().is_err(), "a profile of no claim")?;
            Ok(is_admin || is_service)
        }),
    )
}

pub(crate) async fn stored_documents_hold_nothing_that_the_database_refuses(_: Arc<Fixture>) -> Result {
    let examples = texts(&[
        r#"{"name":"Ada \u0000 \ud83d\ude00 \\u0000 \ud800"}"#,
        r#"["\udc00\ud800","\\\u0000"]"#,
    ]);
    attack("a document to store", &examples, |body| {
        let stored = storable_body(body);
        must(
            storable_body(&stored) == stored,
            "what is replaced is replaced again",
        )?;
        must(stored.len() <= body.len(), "it grows")?;
        let Ok(value) = serde_json::from_slice::<Value>(&stored) else {
            return Ok(false);
        };
        must(!has_nul(&value), "a NUL is left")?;
        Ok(true)
    })
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
