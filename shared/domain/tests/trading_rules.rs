//! Rules of trading by their tables: every state, every edge.
#![expect(clippy::unwrap_used, reason = "a test stops at what it has made wrongly")]

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::ids::{CollectionVersionId, DriveWealthFundId, DriveWealthInstrumentId};
use domain::money::Money;
use domain::trading::collection::execution::{ExpectedTrade, Fill, Planned, executed};
use domain::trading::collection::order::{Delta, Percent, Side};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;
use domain::trading::kyc::choices;
use domain::trading::kyc::form::{Answer, Form};
use domain::trading::kyc::status::{KycReport, KycStatus};
use domain::trading::kyc::verdict::{UNKNOWN, name_of};
use domain::trading::money_flow::{Direction, MoneyFlowStatus, consequences};
use domain::trading::payment::PaymentStatus;
use domain::trading::portfolio::{
    BrokerFund, BrokerHolding, BrokerPart, BrokerPortfolio, InvalidPortfolio, Portfolio,
};
use rust_decimal::Decimal;

fn usd(cents: i64) -> Money {
    Money::new(cents, Currency::USD)
}

#[test]
fn payment_is_the_more_final_the_less_can_come_after_it() {
    use PaymentStatus::{Approved, AwaitingApproval, Failed, Returned, Successful, Unrecognised, Waiting};
    let by_finality = |wanted: i16| {
        let all = [
            Waiting,
            AwaitingApproval,
            Approved,
            Successful,
            Failed,
            Returned,
            Unrecognised(7),
        ];
        all.into_iter()
            .filter(|status| status.finality() == wanted)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        by_finality(0),
        [Waiting, AwaitingApproval, Approved, Unrecognised(7)]
    );
    assert_eq!(by_finality(1), [Successful, Failed]);
    assert_eq!(by_finality(2), [Returned]);
}

#[test]
fn flow_tells_of_a_change_and_of_no_repetition() {
    use MoneyFlowStatus::{Failed, Pending, Success};
    let told = |before, after| {
        let told = consequences(Direction::Deposit, before, after, PaymentStatus::Successful);
        (told.succeeded, told.failed, told.cash_changed)
    };
    assert_eq!(told(Pending, Success), (true, false, true));
    assert_eq!(told(Success, Success), (false, false, false));
    assert_eq!(told(Pending, Failed), (false, true, false));
    assert_eq!(told(Success, Failed), (false, true, true));
    assert_eq!(told(Failed, Failed), (false, false, false));
    assert_eq!(told(Pending, Pending), (false, false, false));
}

#[test]
fn percent_is_the_number_that_it_was_made_of() {
    for number in [-100, -1, 1, 2, 57, 100] {
        let percent = Percent::try_from(number).unwrap();
        assert_eq!((percent.get(), i64::from(percent)), (number, number));
        assert_eq!(serde_json::to_string(&percent).unwrap(), number.to_string());
        let side = if number < 0 { Side::Sell } else { Side::Buy };
        assert_eq!(Delta::Relative(percent).side(), side, "{number}");
        assert_eq!(Delta::Relative(percent).is_all(), number.abs() == 100, "{number}");
        assert_eq!(
            Delta::Relative(percent).asked_of(usd(10_001)),
            Ok(usd(10_001 * number.abs() / 100))
        );
    }
    assert_eq!(Delta::Amount(usd(0)).side(), Side::Buy);
    assert_eq!(Delta::Amount(usd(-1)).side(), Side::Sell);
    assert!(!Delta::Amount(usd(100)).is_all() && !Delta::Reweight.is_all());
    assert_eq!(Delta::Reweight.asked_of(usd(500)), Ok(usd(0)));
    assert_eq!(Delta::Amount(usd(-7)).asked_of(usd(500)), Ok(usd(7)));
}

/// What a run moved for orders of `(fund, amount)`, given what each fund was expected to trade of one symbol and its fill.
fn moved(expected: &[(&'static str, i64)], fill: i64, orders: &[(&'static str, i64)]) -> Vec<i64> {
    let symbol = || "AAPL".parse().unwrap();
    let expected: Vec<ExpectedTrade<&str>> = expected
        .iter()
        .map(|(fund, cents)| ExpectedTrade {
            fund: *fund,
            symbol: symbol(),
            amount: Decimal::new(*cents, 2),
        })
        .collect();
    let planned: Vec<Planned<&str>> = (1..)
        .zip(orders)
        .map(|(id, (fund, cents))| Planned {
            id: CollectionVersionId::new(id).unwrap(),
            fund: *fund,
            amount: usd(*cents),
        })
        .collect();
    let fills = [Fill {
        symbol: symbol(),
        amount: Decimal::new(fill, 2),
    }];
    executed(&expected, &fills, &planned)
        .unwrap()
        .iter()
        .map(|(_, amount)| amount.minor())
        .collect()
}

#[test]
fn symbol_that_is_bought_for_one_fund_and_sold_for_another_is_divided_by_the_rest_that_was_traded() {
    let expected = [("a", 30_000), ("b", -10_000)];
    let orders = [("a", 30_000), ("b", -10_000)];
    assert_eq!(
        moved(&expected, 20_000, &orders),
        [30_000, -10_000],
        "all of the rest"
    );
    assert_eq!(moved(&expected, 10_000, &orders), [15_000, -5_000], "half of it");
    assert_eq!(moved(&expected, 0, &orders), [0, 0], "nothing");
    assert_eq!(
        moved(&expected, 40_000, &orders),
        [30_000, -10_000],
        "no more than was to be moved"
    );
    assert_eq!(moved(&expected, -5_000, &orders), [0, 0], "the other way");
}

#[test]
fn fund_alone_has_what_was_filled_be_it_less_or_more() {
    assert_eq!(moved(&[("a", 10_000)], 10_001, &[("a", 10_000)]), [10_001]);
    assert_eq!(moved(&[("a", -10_000)], -9_999, &[("a", -10_000)]), [-9_999]);
    assert_eq!(
        moved(&[("a", 10_000), ("b", 0)], 8_000, &[("a", 10_000), ("b", 0)]),
        [8_000, 0]
    );
    // What was not to be traded on the whole, and was: nobody's.
    assert_eq!(
        moved(&[("a", 100), ("b", -100)], 50, &[("a", 100), ("b", -100)]),
        [0, 0]
    );
}

#[test]
fn of_two_reports_of_one_time_the_one_that_is_further_on_counts() {
    use KycStatus::{Approved, Denied, DocRequired, InfoRequired, ManualReview, NotReady, Processing, Ready};
    let report = |status, errors: &[&str]| KycReport {
        status,
        as_of: DateTime::<Utc>::from_timestamp(1_795_000_000, 0).unwrap(),
        errors: errors.iter().map(|error| (*error).to_owned()).collect(),
    };
    let steps: [&[KycStatus]; 6] = [
        &[NotReady],
        &[Ready],
        &[Processing],
        &[InfoRequired, DocRequired, ManualReview],
        &[Denied],
        &[Approved],
    ];
    for (earlier, one) in steps.iter().enumerate() {
        for (later, other) in steps.iter().enumerate() {
            for (known, new) in one
                .iter()
                .flat_map(|known| other.iter().map(move |new| (*known, *new)))
            {
                let replaces = report(new, &[]).replaces(Some(&report(known, &[])));
                assert_eq!(replaces, later > earlier, "{new} after {known}");
            }
        }
    }
    let known = report(InfoRequired, &["A"]);
    assert!(
        report(InfoRequired, &["B"]).replaces(Some(&known)),
        "other errors of the same state"
    );
    assert!(
        !report(DocRequired, &["B"]).replaces(Some(&known)),
        "another state of the same rank"
    );
    assert!(report(NotReady, &[]).replaces(None));
    let messages: Vec<&str> = KycStatus::ALL.iter().map(|status| status.message()).collect();
    assert!(
        messages
            .iter()
            .all(|message| message.len() > 20 && message.ends_with('.')),
        "{messages:?}"
    );
}

fn form(field: &str, answer: Answer) -> Form {
    Form::new([(field.to_owned(), answer)].into())
}

fn problem(field: &str, answer: Answer) -> Option<String> {
    let today = NaiveDate::from_ymd_opt(2026, 11, 28).unwrap();
    let problems = form(field, answer).problems(today);
    assert!(problems.len() < 2 && problems.iter().all(|problem| problem.field == field));
    problems.into_iter().next().map(|problem| problem.message)
}

fn refused(field: &str, text: &str) -> bool {
    problem(field, Answer::Text(text.to_owned())).is_some()
}

#[test]
fn answers_are_read_by_their_kind() {
    let kinds = [
        Answer::Flag(true),
        Answer::Flag(false),
        Answer::Amount(7),
        Answer::Text("x".to_owned()),
    ];
    let read = kinds.map(|answer| {
        let form = form("f", answer);
        (
            form.flag("f"),
            form.dollars("f"),
            form.text("f").map(str::to_owned),
        )
    });
    assert_eq!(
        read,
        [
            (Some(true), None, None),
            (Some(false), None, None),
            (None, Some(7), None),
            (None, None, Some("x".to_owned())),
        ]
    );
    assert_eq!(
        (
            form("f", Answer::Flag(true)).flag("g"),
            form("f", Answer::Amount(1)).dollars("g")
        ),
        (None, None)
    );
    assert_eq!(form("f", Answer::Amount(1)).answers().len(), 1);
    for (field, answer) in [
        ("is_us_tax_payer", Answer::Text("yes".to_owned())),
        ("is_us_tax_payer", Answer::Amount(1)),
        ("disclosures_rule14b", Answer::Text("yes".to_owned())),
        ("investor_profile_annual_income", Answer::Text("1".to_owned())),
        ("investor_profile_annual_income", Answer::Flag(true)),
        ("first_name", Answer::Flag(true)),
        ("first_name", Answer::Amount(1)),
    ] {
        assert_eq!(
            problem(field, answer.clone()).as_deref(),
            Some("is of another kind"),
            "{field} {answer:?}"
        );
    }
    assert_eq!(problem("disclosures_rule14b", Answer::Flag(false)), None);
}

#[test]
fn texts_have_their_form_to_the_last_character() {
    let long = |length: usize| "a".repeat(length);
    let cases: [(&str, Vec<String>, Vec<String>); 11] = [
        ("first_name", vec![long(36), "é".repeat(36)], vec![long(37)]),
        ("address_city", vec![long(100)], vec![long(101)]),
        ("address_street1", vec![long(100)], vec![long(101)]),
        (
            "phone_number",
            texts(&["+12025550123", "+19995550199", "+12000000000"]),
            texts(&[
                "+1202555012",
                "+120255501234",
                "+10025550123",
                "+11025550123",
                "+1202555012a",
                "12025550123",
            ]),
        ),
        (
            "address_postal_code",
            texts(&["00000", "12345-6789"]),
            texts(&[
                "1234",
                "123456",
                "1234a",
                "12345-678",
                "12345-67890",
                "1234-6789",
                "12345-",
                "-6789",
                "12345-678a",
            ]),
        ),
        ("address_province", texts(&["NY", "CA"]), texts(&["ny", "XX", ""])),
        (
            "birthdate",
            texts(&["2008-11-28", "1906-11-28", "1905-11-29"]),
            texts(&[
                "2008-11-29",
                "1905-11-28",
                "1905-11-27",
                "2027-01-01",
                "1990-02-30",
                "01990-01-1",
                "1990-01-31 ",
            ]),
        ),
        (
            "country",
            texts(&["USA", "DEU"]),
            texts(&["usa", "US", "IRN", "XXX"]),
        ),
        (
            "email_address",
            vec![format!("{}@example.com", long(64)), "ada@example.com".to_owned()],
            vec![
                format!("{}@example.com", long(65)),
                format!("{}@{}.com", long(40), long(60)),
                "ada".to_owned(),
            ],
        ),
        ("language", texts(&["en_US"]), texts(&["en", "de_DE"])),
        (
            "disclosures_signed_by",
            texts(&["Ada Example"]),
            texts(&["Ada\u{202a}", "Ada\u{202e}", "Ada\u{7f}", "A\nda"]),
        ),
    ];
    for (field, good, bad) in cases {
        for text in good {
            assert!(!refused(field, &text), "{field}: {text} is refused");
        }
        for text in bad {
            assert!(refused(field, &text), "{field}: {text} is taken");
        }
    }
    for visible in ["\u{2029}", "\u{202f}"] {
        assert!(!refused("disclosures_signed_by", visible), "{visible:?}");
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn amounts_of_the_form_are_whole_dollars_up_to_a_trillion() {
    for (dollars, taken) in [
        (0, true),
        (1_000_000_000_000, true),
        (-1, false),
        (1_000_000_000_001, false),
    ] {
        assert_eq!(
            problem("investor_profile_net_worth_total", Answer::Amount(dollars)).is_none(),
            taken,
            "{dollars}"
        );
    }
}

#[test]
fn boxes_at_post_offices_are_known_by_their_words() {
    for street in [
        "PO Box 1",
        "p.o. boxes 2",
        "P O Box 3",
        "post office box 4",
        "POBOX5",
        "pobox 6",
        "1 A St, PO Box 7",
    ] {
        assert!(refused("address_street1", street), "{street}");
    }
    for street in [
        "1 Po Lane",
        "2 Box St",
        "3 Post Box Way",
        "4 Post Office Boxes",
        "5 Office Box",
        "6 P Box O",
        "7 O P Box",
    ] {
        assert!(!refused("address_street1", street), "{street}");
    }
}

#[test]
fn short_list_is_shown_and_a_long_one_named() {
    let message = |field: &str| problem(field, Answer::Text("?".to_owned())).unwrap();
    assert_eq!(message("gender"), "has to be one of Male, Female");
    let long = "has to be one of the choices that the form's configuration lists";
    for (field, list) in [
        ("language", choices::LANGUAGES),
        ("employment_position", choices::EMPLOYMENT_POSITIONS),
        ("employment_type", choices::EMPLOYMENT_TYPES),
        ("investor_profile_objectives", choices::OBJECTIVES),
        ("investor_profile_risk_tolerance", choices::RISK_TOLERANCES),
        ("investor_profile_experience", choices::EXPERIENCES),
        ("tax_id_type", choices::TAX_ID_TYPES),
        ("employment_status", choices::EMPLOYMENT_STATUSES),
    ] {
        assert_eq!(
            message(field) == long,
            list.len() > 8,
            "{field} has {}",
            list.len()
        );
        assert!(list.iter().all(|choice| choices::has(list, choice.value)) && !choices::has(list, "?"));
    }
}

#[test]
fn wrong_weight_is_named_by_its_position() {
    let symbol = |name: &str| Symbol::parse(name).unwrap();
    let position = |given: &[(&str, i64)]| {
        let given: Vec<_> = given
            .iter()
            .map(|(name, ten_thousandths)| (symbol(name), Decimal::new(*ten_thousandths, 4)))
            .collect();
        TargetWeights::of_request(&given).unwrap_err().position()
    };
    assert_eq!(position(&[]), None);
    assert_eq!(position(&[("AAPL", 5_000)]), None, "the sum is nobody's");
    assert_eq!(position(&[("AAPL", 0), ("MSFT", 10_000)]), Some(0));
    assert_eq!(position(&[("AAPL", 5_000), ("aapl", 5_000)]), Some(1));
    assert_eq!(
        position(&[("AAPL", 3_000), ("MSFT", 7_000), ("AMZN", -1)]),
        Some(2)
    );
}

#[test]
fn error_of_the_check_without_name_and_code_is_unknown() {
    assert_eq!(name_of(None, None), UNKNOWN);
    assert_eq!(name_of(Some(""), Some("")), UNKNOWN);
    assert_eq!(name_of(None, Some("X1")), "X1");
}

/// A portfolio of cash and one fund, worth a thousand dollars.
fn portfolio(cash: &str) -> BrokerPortfolio {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    let (cash, whole) = (decimal(cash), decimal("1000"));
    let holding = |target: &str, value: Decimal| BrokerHolding {
        target: decimal(target),
        actual: (value / whole).clamp(Decimal::ZERO, Decimal::ONE),
        value,
    };
    BrokerPortfolio {
        equity: whole,
        cash: holding("0.1", cash),
        funds: vec![BrokerFund {
            id: DriveWealthFundId::parse("fund_1").unwrap(),
            holding: holding("0.9", whole - cash),
            parts: vec![BrokerPart {
                instrument: DriveWealthInstrumentId::parse("instrument_1").unwrap(),
                symbol: "AAPL".to_owned(),
                holding: BrokerHolding {
                    target: Decimal::ONE,
                    actual: Decimal::ONE,
                    value: whole - cash,
                },
            }],
        }],
    }
}

#[test]
fn portfolio_shows_what_the_broker_told() {
    let told = portfolio("400");
    let checked = Portfolio::check(told.clone()).unwrap();
    assert_eq!(checked.funds(), told.funds);
    assert_eq!(checked.cash_target(), told.cash.target);
    let values: Vec<_> = checked.fund_values().collect();
    assert_eq!(values, [(&told.funds[0].id, Decimal::from(600))]);
}

#[test]
fn value_below_zero_by_less_than_half_a_cent_is_zero() {
    let cash = |value: &str| Portfolio::check(portfolio(value)).map(|checked| checked.exact_cash());
    assert_eq!(cash("-0.0049"), Ok(Decimal::ZERO));
    assert_eq!(cash("-0.005"), Err(InvalidPortfolio::NegativeValue));
}
