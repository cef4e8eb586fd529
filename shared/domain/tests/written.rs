//! What is written is read back as it was, and nothing else is read.
#![expect(clippy::unwrap_used, reason = "a test stops at what it has made wrongly")]

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::email::is_address;
use domain::funded::share::{Share, Zone};
use domain::ids::{DriveWealthAccountId, ProfileId};
use domain::rate::{Rate, Weight};
use domain::trading::collection::order::Percent;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::GivenWeight;
use domain::trading::kyc::form::{Answer, FIELDS, Form, Needed, TAX_ID, Takes};
use domain::trading::kyc::phone::{CODE_LIFETIME, MAX_TRIES, SentCode, Try};
use domain::wallets::rates::ExchangeRate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The value is written like this, and this is read as the value.
fn both_ways<T: Serialize + DeserializeOwned>(written: Value) {
    let read: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

fn not_read<T: DeserializeOwned>(written: &Value) {
    assert!(serde_json::from_value::<T>(written.clone()).is_err(), "{written}");
}

#[test]
fn values_are_written_as_they_are_read() {
    both_ways::<Symbol>(json!("BRK.B"));
    both_ways::<GivenWeight>(json!("0.25"));
    both_ways::<Percent>(json!(-37));
    both_ways::<Rate>(json!("1.0845"));
    both_ways::<Weight>(json!("0.3333"));
    both_ways::<Share>(json!("0.8"));
    both_ways::<Zone>(json!("America/New_York"));
    both_ways::<ProfileId>(json!(42));
    both_ways::<DriveWealthAccountId>(json!("cc07f91b.1407775317759"));
    let trimmed: GivenWeight = serde_json::from_value(json!("0.2500")).unwrap();
    assert_eq!(
        (
            trimmed.as_decimal().to_string().as_str(),
            String::from(trimmed).as_str()
        ),
        ("0.2500", "0.25")
    );
    for no_share in ["-0.0001", "1.0001", "0.00001", "1e-1", ""] {
        not_read::<Share>(&json!(no_share));
    }
    for share in ["0", "1", "0.0001"] {
        both_ways::<Share>(json!(share));
    }
    let parts =
        [0, 1, 9_999, 10_000, 10_001, u16::MAX].map(|parts| Share::from_ten_thousandths(parts).to_string());
    assert_eq!(parts, ["0", "0.0001", "0.9999", "1", "1", "1"]);
    for (name, date) in [
        ("America/New_York", "2026-11-19"),
        ("Asia/Tokyo", "2026-11-20"),
        ("UTC", "2026-11-20"),
    ] {
        let zone: Zone = name.parse().unwrap();
        let at: DateTime<Utc> = "2026-11-20T04:59:59Z".parse().unwrap();
        assert_eq!(zone.date_of(at).to_string(), date, "{name}");
        assert_eq!(format!("{zone:>20}"), format!("{name:>20}"));
    }
    not_read::<Zone>(&json!("America/Gotham"));
}

#[test]
fn ids_are_canonical() {
    for text in ["1", "42", "9223372036854775807"] {
        let id: ProfileId = text.parse().unwrap();
        assert_eq!(
            (id.to_string().as_str(), i64::from(id).to_string().as_str()),
            (text, text)
        );
    }
    for text in [
        "",
        "0",
        "-1",
        "+1",
        "01",
        "1 ",
        "1.0",
        "9223372036854775808",
        "one",
    ] {
        assert!(text.parse::<ProfileId>().is_err(), "{text:?}");
    }
    for number in [0, -1, i64::MIN] {
        assert!(
            ProfileId::try_from(number).is_err() && ProfileId::new(number).is_none(),
            "{number}"
        );
    }
    let long = "x".repeat(128);
    for text in ["!", "~", "a-b_c.d:e/f", long.as_str()] {
        assert_eq!(DriveWealthAccountId::parse(text).unwrap().as_str(), text);
        assert_eq!(String::from(text.parse::<DriveWealthAccountId>().unwrap()), text);
    }
    for text in ["", " ", "a b", "a\n", "é", "\u{7f}", "x".repeat(129).as_str()] {
        assert!(DriveWealthAccountId::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn address_has_a_name_and_labels() {
    for address in [
        "a@b.c",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        "1@2.3",
        "a@x-y.example",
        "a@-.-",
    ] {
        assert!(is_address(address), "{address}");
    }
    for text in [
        "a@b", "@b.c", "a@.c", "a@b.", "a@b_c.d", "a@b.c@d", "a\"@b.c", "a@b c.d", "é@b.c", "a@é.c",
        "a,b@c.d",
    ] {
        assert!(!is_address(text), "{text}");
    }
}

#[test]
fn form_lacks_what_is_not_filled_in_and_what_is_not_accepted() {
    let fill = |field: &domain::trading::kyc::form::Field| match field.takes {
        Takes::Flag | Takes::Consent => Answer::Flag(true),
        Takes::Dollars => Answer::Amount(1),
        _ => Answer::Text("x".to_owned()),
    };
    let needed = FIELDS
        .iter()
        .filter(|field| field.needed == Needed::Always && field.name != TAX_ID);
    let whole: std::collections::BTreeMap<String, Answer> =
        needed.map(|field| (field.name.to_owned(), fill(field))).collect();
    let lacks = |form: Form, has_tax_id: bool| {
        form.missing(has_tax_id)
            .into_iter()
            .map(|missing| (missing.field, missing.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(lacks(Form::new(whole.clone()), true), []);
    assert_eq!(
        lacks(Form::new(whole.clone()), false),
        [(TAX_ID, "has to be filled in".to_owned())]
    );
    let mut refused = whole.clone();
    refused.insert("disclosures_rule14b".to_owned(), Answer::Flag(false));
    refused.insert("is_us_tax_payer".to_owned(), Answer::Flag(false));
    assert_eq!(
        lacks(Form::new(refused), true),
        [("disclosures_rule14b", "has to be accepted".to_owned())]
    );
    let mut employed = whole;
    employed.insert(
        "employment_status".to_owned(),
        Answer::Text("EMPLOYED".to_owned()),
    );
    let missing: Vec<&str> = lacks(Form::new(employed.clone()), true)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(
        missing,
        [
            "employment_company_name",
            "employment_type",
            "employment_position"
        ]
    );
    employed.insert("employment_status".to_owned(), Answer::Text("RETIRED".to_owned()));
    assert_eq!(lacks(Form::new(employed), true), []);
}

#[test]
fn answers_are_written_over_others_and_trimmed() {
    let answer = |text: &str| Answer::Text(text.to_owned());
    let form = |answers: &[(&str, Answer)]| {
        Form::new(
            answers
                .iter()
                .map(|(field, answer)| ((*field).to_owned(), answer.clone()))
                .collect(),
        )
    };
    let merged = form(&[("a", answer("1")), ("b", answer("2")), ("c", Answer::Flag(false))]).merged(form(&[
        ("a", answer(" 3 ")),
        ("b", answer(" ")),
        ("d", Answer::Amount(0)),
    ]));
    assert_eq!(
        merged,
        form(&[
            ("a", answer("3")),
            ("c", Answer::Flag(false)),
            ("d", Answer::Amount(0))
        ])
    );
    let today = NaiveDate::from_ymd_opt(2026, 11, 28).unwrap();
    assert_eq!(merged.problems(today), []);
}

#[test]
fn code_is_good_for_its_time_and_its_tries() {
    let sent_at: DateTime<Utc> = "2026-11-20T14:30:00Z".parse().unwrap();
    let code = |tries, is_used| SentCode {
        sent_at,
        tries,
        is_used,
    };
    let last = sent_at + CODE_LIFETIME - TimeDelta::microseconds(1);
    assert_eq!(code(0, false).tried(true, last), Try::Right);
    assert_eq!(code(0, false).tried(true, sent_at + CODE_LIFETIME), Try::Expired);
    assert_eq!(
        code(0, false).tried(false, last),
        Try::Wrong { left: MAX_TRIES - 1 }
    );
    assert_eq!(
        code(MAX_TRIES - 1, false).tried(false, last),
        Try::Wrong { left: 0 }
    );
    assert_eq!(code(MAX_TRIES - 1, false).tried(true, last), Try::Right);
    assert_eq!(code(MAX_TRIES, false).tried(true, last), Try::Exhausted);
    assert_eq!(
        code(MAX_TRIES, true).tried(true, sent_at + CODE_LIFETIME),
        Try::Used
    );
}

#[test]
fn symbol_and_exchange_rate_are_shown_as_they_are_read() {
    assert_eq!(Symbol::parse("brk-b").unwrap().to_string(), "BRK.B");
    assert_eq!(format!("{:>6}", Symbol::parse("aapl").unwrap()), "  AAPL");
    let rate = ExchangeRate::new(Rate::parse("1.0825").unwrap()).unwrap();
    assert_eq!(rate.to_string(), "1.0825");
}
