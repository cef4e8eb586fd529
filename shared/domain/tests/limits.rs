//! Limits, at their last value and at the first one beyond.
#![expect(clippy::unwrap_used, reason = "a test stops at what it has made wrongly")]

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::{Clock, ManualClock};
use domain::commissions::decline::{DeclineKind, decline_kind, is_customers, reason, reason_for_customers};
use domain::commissions::dunning::{ActiveMethod, Dunning, DunningStep, LastAttempt};
use domain::commissions::invoice::InvoiceStatus;
use domain::commissions::terms::CommissionTerms;
use domain::dealers::requisite::{LegalForm, Requisite, RequisiteFields};
use domain::funded::payee::{Payability, PayeeStatus, in_words};
use domain::ids::PaymentMethodId;
use domain::rate::{Weight, WeightError};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::{InvalidWeights, MAX_SYMBOLS, TargetWeights};
use domain::trading::kyc::document::{DocumentRefusal, DocumentSide, DocumentType, check};
use domain::trading::kyc::format::tax_id_problem;
use domain::wallets::rates::{RateMaxAge, RateMaxJump};
use rust_decimal::Decimal;

/// A company whose numbers are made by the rules; it doesn't exist.
fn company() -> RequisiteFields {
    RequisiteFields {
        legal_form: LegalForm::LegalEntity,
        name: "ООО «Пример»".to_owned(),
        inn: "7707083893".to_owned(),
        kpp: Some("773601001".to_owned()),
        ogrn: "1027700132195".to_owned(),
        bik: "044525225".to_owned(),
        settlement_account: "40702810938000000001".to_owned(),
        correspondent_account: "30101810400000000225".to_owned(),
        legal_address: "117312, Москва, улица Примерная, дом 1".to_owned(),
        signatory: "Генеральный директор".to_owned(),
        email: "bills@example.com".to_owned(),
        phone: "+74955005550".to_owned(),
    }
}

/// The fields that are wrong after a change, but for the key of the settlement account, which is searched for.
fn wrong(change: impl Fn(&mut RequisiteFields)) -> String {
    let of_key = |key: u32| {
        let mut fields = company();
        fields.settlement_account = format!("40702810{key}38000000001");
        change(&mut fields);
        let wrong = Requisite::new(fields).err().unwrap_or_default();
        wrong
            .iter()
            .map(|wrong| wrong.field)
            .collect::<Vec<_>>()
            .join(" ")
    };
    (0..10).map(of_key).min_by_key(String::len).unwrap()
}

#[test]
fn texts_of_a_requisite_are_as_long_as_they_may_be() {
    type Set = fn(&mut RequisiteFields, String);
    let fields: [(&str, usize, Set); 3] = [
        ("name", 300, |fields, text| fields.name = text),
        ("legal_address", 500, |fields, text| fields.legal_address = text),
        ("signatory", 200, |fields, text| fields.signatory = text),
    ];
    for (name, longest, set) in fields {
        for (text, refused) in [
            ("ж".repeat(longest), ""),
            ("ж".repeat(longest + 1), name),
            ("ж".to_owned(), ""),
            (String::new(), name),
            (" ж".to_owned(), name),
            ("ж ".to_owned(), name),
            ("ж\u{ad}ж".to_owned(), name),
            ("ж\u{200b}ж".to_owned(), name),
            ("ж\u{200f}ж".to_owned(), name),
            ("ж\u{2010}ж".to_owned(), ""),
            ("ж\u{2028}ж".to_owned(), name),
            ("ж\u{feff}ж".to_owned(), name),
            ("ж\u{7}ж".to_owned(), name),
        ] {
            assert_eq!(
                wrong(|fields| set(fields, text.clone())),
                refused,
                "{name}: {text:?}"
            );
        }
    }
}

#[test]
fn contacts_of_a_requisite_are_reachable() {
    for (phone, refused) in [
        ("+1234567", ""),
        ("+123456", "phone"),
        ("+123456789012345", ""),
        ("+1234567890123456", "phone"),
        ("1234567", "phone"),
        ("+0234567", "phone"),
        ("+12345a7", "phone"),
    ] {
        assert_eq!(
            wrong(|fields| fields.phone = phone.to_owned()),
            refused,
            "{phone}"
        );
    }
    let address = |length: usize| {
        let domain = ["a", "b", "c"].map(|label| label.repeat(62)).join(".") + ".com";
        format!("{}@{domain}", "u".repeat(length - 1 - domain.len()))
    };
    assert_eq!(
        (address(254).len(), wrong(|fields| fields.email = address(254))),
        (254, String::new())
    );
    assert_eq!(wrong(|fields| fields.email = address(255)), "email");
}

#[test]
fn numbers_of_a_company_are_of_a_company() {
    for (kpp, refused) in [
        ("7736AZ001", ""),
        ("773609001", ""),
        ("773A01001", "kpp"),
        ("77360A001", ""),
        ("7736010A1", "kpp"),
        ("77360100A", "kpp"),
        ("A73601001", "kpp"),
        ("7736010011", "kpp"),
        ("77360100", "kpp"),
        ("7736az001", "kpp"),
    ] {
        assert_eq!(
            wrong(|fields| fields.kpp = Some(kpp.to_owned())),
            refused,
            "{kpp}"
        );
    }
    // OGRN: 1 and 5 begin one; each with its own remainder.
    let with_remainder = |first: &str| {
        let before: u64 = format!("{first}02770013219").parse().unwrap();
        format!("{before}{}", before % 11 % 10)
    };
    for (first, refused) in [
        ("1", ""),
        ("5", ""),
        ("2", "ogrn"),
        ("3", "ogrn"),
        ("4", "ogrn"),
        ("6", "ogrn"),
    ] {
        assert_eq!(
            wrong(|fields| fields.ogrn = with_remainder(first)),
            refused,
            "{first}"
        );
    }
    for (field, refused) in [("000000000", "bik"), ("04452522", "bik"), ("0445252255", "bik")] {
        assert_eq!(wrong(|fields| fields.bik = field.to_owned()), refused);
    }
    let both = "settlement_account correspondent_account";
    assert_eq!(
        wrong(|fields| fields.bik = "044030653".to_owned()).replace(both, ""),
        "correspondent_account"
    );
    assert_eq!(
        wrong(|fields| fields.correspondent_account = "3".repeat(19)),
        "correspondent_account"
    );
    assert_eq!(wrong(|fields| fields.inn = "0000000000".to_owned()), "inn");
}

#[test]
fn mask_shows_ends_and_no_length() {
    let mut fields = company();
    let fitting = (0..10)
        .map(|key| format!("40702810{key}38000000001"))
        .find_map(|account| {
            fields.settlement_account = account;
            Requisite::new(fields.clone()).ok()
        });
    let masked = fitting.unwrap().masked();
    let shown = [
        masked.name,
        masked.inn,
        masked.kpp.unwrap_or_default(),
        masked.ogrn,
        masked.bik,
        masked.settlement_account,
        masked.correspondent_account,
        masked.legal_address,
        masked.signatory,
        masked.email,
        masked.phone,
    ];
    assert_eq!(
        shown.join(" "),
        "ООО*** 77***93 77***01 1***95 ***225 ***0001 ***0225 117312*** Г*** b*** +7***50"
    );
}

#[test]
fn payee_is_ready_when_all_of_it_is_and_waits_for_what_is_missing() {
    let of = |bits: u8, reason: Option<&str>| Payability {
        transfers_active: bits & 1 > 0,
        payouts_enabled: bits & 2 > 0,
        is_paid_by_hand: bits & 4 > 0,
        has_bank_account: bits & 8 > 0,
        disabled_reason: reason.map(str::to_owned),
    };
    for bits in 0..16 {
        assert_eq!(of(bits, None).is_ready(), bits == 15, "{bits}");
        assert!(!of(bits, Some("listed")).is_ready(), "{bits}");
        let expected = match bits {
            15 => PayeeStatus::Ready,
            0..8 => PayeeStatus::Incomplete,
            _ => PayeeStatus::Waiting,
        };
        assert_eq!(of(bits, None).status(0), expected, "{bits}");
        let expected = if bits == 15 {
            PayeeStatus::Ready
        } else {
            PayeeStatus::Incomplete
        };
        assert_eq!(of(bits, None).status(1), expected, "{bits}");
    }
}

#[test]
fn each_requirement_of_stripe_has_its_words() {
    let words = |due: &str| in_words(&[due.to_owned()]).join("; ");
    for (due, expected) in [
        ("external_account", "a bank account"),
        ("tos_acceptance.ip", "your agreement to Stripe's terms"),
        ("business_profile.mcc", "what you do"),
        ("individual.first_name", "your name"),
        ("individual.last_name", "your name"),
        ("first_name", "your name"),
        ("individual.dob.year", "your date of birth"),
        ("individual.address.city", "your address"),
        ("individual.email", "how to reach you"),
        ("individual.phone", "how to reach you"),
        ("individual.id_number", "your tax number"),
        ("individual.ssn_last_4", "your tax number"),
        (
            "person_1.verification.additional_document",
            "a document that shows who you are",
        ),
        (
            "individual.political_exposure",
            "something that Stripe's page says",
        ),
    ] {
        assert_eq!(words(due), expected, "{due}");
    }
}

#[test]
fn each_reason_of_a_decline_is_told_as_its_own() {
    for (told, codes) in [
        ("insufficient_funds", "insufficient_funds"),
        ("expired_card", "expired_card"),
        ("lost_or_stolen_card", "lost_card pickup_card stolen_card"),
        (
            "authentication_required",
            "authentication_required mobile_device_authentication_required",
        ),
        (
            "authentication_failed",
            "confirmation_expired authentication_not_handled authentication_not_supported \
             payment_intent_authentication_failure setup_intent_authentication_failure",
        ),
        (
            "processing_error",
            "approve_with_id issuer_not_available processing_error reenter_transaction payment_method_provider_timeout \
             try_again_later",
        ),
        (
            "invalid_account",
            "account_closed bank_account_unusable debit_not_authorized invalid_account new_account_information_available \
             no_account payment_method_unexpected_state resource_missing",
        ),
        (
            "incorrect_card_details",
            "incorrect_address incorrect_cvc incorrect_number incorrect_pin incorrect_zip invalid_cvc \
             invalid_expiry_month invalid_expiry_year invalid_number invalid_pin",
        ),
        (
            "limit_exceeded",
            "card_decline_rate_limit_exceeded card_velocity_exceeded pin_try_exceeded withdrawal_count_limit_exceeded",
        ),
    ] {
        for code in codes.split_whitespace() {
            assert_eq!(reason(code), told, "{code}");
            let to_customers = if told == "lost_or_stolen_card" {
                "card_declined"
            } else {
                told
            };
            assert_eq!(reason_for_customers(code), to_customers, "{code}");
        }
    }
    for code in [
        "authentication_required",
        "payment_intent_authentication_failure",
        "setup_intent_authentication_failure",
    ] {
        assert!(is_customers("invalid_request_error", code), "{code}");
    }
    assert!(!is_customers("invalid_request_error", "card_declined"));
    for code in ["expired_card", "account_closed", "stop_payment_order"] {
        assert_eq!(decline_kind(code), DeclineKind::Hard, "{code}");
    }
}

#[test]
fn terms_give_back_what_they_were_made_of() {
    let terms = CommissionTerms::new("0.0096".parse().unwrap(), 1_200, 25_000).unwrap();
    assert_eq!(terms.yearly_rate().to_string(), "0.0096");
    assert_eq!(
        (terms.yearly_minimum_cents(), terms.free_limit_cents()),
        (1_200, 25_000)
    );
}

#[test]
fn limits_of_rates_are_taken_up_to_their_last_value() {
    let age = |text: &str| text.parse::<RateMaxAge>().map(|age| age.days()).ok();
    let jump = |text: &str| text.parse::<RateMaxJump>().map(|jump| jump.percent()).ok();
    assert_eq!(
        [age("0"), age("1"), age("3660"), age("3661")],
        [None, Some(1), Some(3_660), None]
    );
    assert_eq!(
        [jump("0"), jump("1"), jump("1000"), jump("1001")],
        [None, Some(1), Some(1_000), None]
    );
    let week = RateMaxAge::WEEK;
    assert_eq!(week.oldest(DateTime::<Utc>::MIN_UTC), DateTime::<Utc>::MIN_UTC);
    assert_eq!(
        week.valid_until(DateTime::<Utc>::MAX_UTC),
        DateTime::<Utc>::MAX_UTC
    );
}

#[test]
fn manual_clock_moves_to_where_it_is_told_and_no_further_than_time_goes() {
    let start: DateTime<Utc> = "2026-11-20T14:30:02.239001Z".parse().unwrap();
    let clock = ManualClock::new(start);
    assert_eq!(clock.now(), start);
    assert_eq!(
        clock.advance(TimeDelta::seconds(5)),
        start + TimeDelta::seconds(5)
    );
    assert_eq!(
        clock.advance(TimeDelta::seconds(-7)),
        start - TimeDelta::seconds(2)
    );
    assert_eq!(clock.advance(TimeDelta::zero()), start - TimeDelta::seconds(2));
    let now = |clock: &dyn Clock| clock.now();
    assert_eq!(now(&&clock), start - TimeDelta::seconds(2));
    clock.set(start);
    assert_eq!(now(&std::sync::Arc::new(clock)), start);
    let clock = ManualClock::new(start);
    let last = clock.advance(TimeDelta::MAX);
    assert!(
        last > start + TimeDelta::days(90_000_000) && clock.now() == last,
        "{last}"
    );
    let first = clock.advance(TimeDelta::MIN);
    assert!(
        first < start - TimeDelta::days(90_000_000) && clock.now() == first,
        "{first}"
    );
}

#[test]
fn weight_is_up_to_one_whatever_its_decimals() {
    let weight = |text: &str| Weight::try_from(text.parse::<Decimal>().unwrap());
    assert_eq!(weight("0.25").map(|weight| weight.ten_thousandths()), Ok(2_500));
    assert_eq!(weight("0.00001"), Err(WeightError::TooPrecise));
    for beyond in ["1.00001", "1.0001", "-0.00001", "-1"] {
        assert_eq!(weight(beyond), Err(WeightError::OutOfRange), "{beyond}");
    }
    // 28 decimals are the most that a number has; 32 characters the most that are read.
    let decimals = "1234567890123456789012345678";
    assert_eq!(
        Weight::parse(&format!("000.{decimals}")),
        Err(WeightError::TooPrecise)
    );
    assert_eq!(
        Weight::parse(&format!("0000.{decimals}")),
        Err(WeightError::Malformed)
    );
}

#[test]
fn symbol_has_up_to_twelve_characters() {
    assert_eq!(Symbol::parse("abcdefghij.k").unwrap().as_str(), "ABCDEFGHIJ.K");
    assert!(Symbol::parse("abcdefghijk.l").is_err());
}

#[test]
fn weights_are_of_up_to_five_hundred_symbols() {
    let given = |count: usize| {
        let weight = Decimal::ONE / Decimal::from(count);
        let symbol = |number: usize| Symbol::parse(&format!("S{number}")).unwrap();
        let weights: Vec<_> = (0..count).map(|number| (symbol(number), weight)).collect();
        TargetWeights::of_request(&weights).map(|weights| weights.iter().count())
    };
    assert_eq!(given(MAX_SYMBOLS), Ok(MAX_SYMBOLS));
    assert_eq!(given(MAX_SYMBOLS + 1), Err(InvalidWeights::Count));
    assert_eq!(given(MAX_SYMBOLS + 2), Err(InvalidWeights::Count));
}

#[test]
fn document_has_at_most_four_mebibytes() {
    let mut file = b"%PDF-1.7".to_vec();
    file.resize(4_194_304, 0);
    let checked = |file: &[u8]| check(DocumentType::Passport, DocumentSide::Front, file).map(|_| ());
    assert_eq!(checked(&file), Ok(()));
    file.push(0);
    assert_eq!(
        checked(&file),
        Err(DocumentRefusal::TooLarge { bytes: 4_194_305 })
    );
}

#[test]
fn tax_id_of_another_type_has_four_to_thirty_letters_and_digits() {
    let is_wrong = |value: &str| tax_id_problem(Some("OTHER"), value).is_some();
    for right in ["a1b2", &"7".repeat(30)] {
        assert!(!is_wrong(right), "{right}");
    }
    for wrong in ["a1b", &"7".repeat(31), "a1b2$"] {
        assert!(is_wrong(wrong), "{wrong}");
    }
}

#[test]
fn invoice_whose_retry_is_to_come_is_not_given_up() {
    let day = |date: &str| format!("{date}T15:00:00Z").parse::<DateTime<Utc>>().unwrap();
    let dunning = Dunning {
        status: InvoiceStatus::Open,
        due_date: day("2026-09-01"),
        failed_attempts: 1,
        first_failed_at: Some(day("2026-09-01")),
        next_attempt_at: Some(day("2026-11-20")),
    };
    let id = PaymentMethodId::new(1).unwrap();
    let method = Some(ActiveMethod { id, renewed_at: None });
    let last = Some(LastAttempt {
        method: id,
        at: day("2026-09-01"),
    });
    let step = |dunning: Dunning, method| dunning.step(method, last, day("2026-11-10"));
    assert_eq!(step(dunning, method), DunningStep::Wait);
    assert_eq!(step(dunning, None), DunningStep::GiveUp, "nothing to retry with");
    let declined = Dunning {
        next_attempt_at: None,
        ..dunning
    };
    assert_eq!(step(declined, method), DunningStep::GiveUp);
}
