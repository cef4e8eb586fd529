use chrono::NaiveDate;
use domain::currency::Currency;
use domain::money::Money;
use pdf_extract::{Document, Object};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// An open invoice over $19.73.
fn invoice() -> InvoiceDocument {
    InvoiceDocument {
        number: "INV-000123".to_owned(),
        issued_on: day(2026, 7, 1),
        due_on: day(2026, 7, 15),
        status: DocumentStatus::Open,
        issuer: Issuer {
            name: "Moneta Trading, Inc.".to_owned(),
            address_lines: vec!["125 Harbor Street".to_owned(), "New York, NY 10004".to_owned()],
            email: "billing@moneta.example".to_owned(),
        },
        recipient: Recipient {
            name: "José Łukasz Nguyễn".to_owned(),
            email: "jose@office.example".to_owned(),
        },
        description: "Commission, June 2026".to_owned(),
        period_start: day(2026, 6, 1),
        period_end: day(2026, 6, 30),
        calculation: Some(Calculation {
            average_equity: money("USD 25000.40"),
            billable_days: 30,
            yearly_rate: "0.0096".parse().unwrap(),
            yearly_commission: money("USD 240.00"),
        }),
        total: money("USD 19.73"),
    }
}

/// The text of a PDF as a reader finds it, words one space apart.
fn text_of(pdf: &[u8]) -> String {
    let text = pdf_extract::extract_text_from_mem(pdf).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(document: &InvoiceDocument) -> String {
    text_of(&render(document).unwrap())
}

/// Whether the text has the parts. Spaces don't count: a line's end is one to a reader and none to another.
fn assert_has(text: &str, parts: &[&str]) {
    let without_spaces = |text: &str| text.replace(' ', "");
    for part in parts {
        let found = without_spaces(text).contains(&without_spaces(part));
        assert!(found, "{part:?} isn't in {text:?}");
    }
}

#[test]
fn says_what_the_record_says() {
    assert_has(
        &text(&invoice()),
        &[
            "Moneta Trading, Inc.",
            "125 Harbor Street New York, NY 10004 billing@moneta.example",
            "Invoice number INV-000123",
            "Date of issue July 1, 2026",
            "Due date July 15, 2026",
            "Bill to José Łukasz Nguyễn jose@office.example",
            "Commission, June 2026",
            "Jun 1, 2026 – Jun 30, 2026",
            "$25,000.40 0.96% 30 $19.73",
            "Total $19.73",
            "average daily equity $25,000.40, yearly rate 0.96%, commission of a whole year $240.00, 30 days of 365",
        ],
    );
}

#[test]
fn without_a_calculation_nothing_is_said_of_one() {
    let document = InvoiceDocument {
        calculation: None,
        ..invoice()
    };
    let text = text(&document);
    assert_has(&text, &["Description Period Amount", "Total $19.73"]);
    assert!(
        !text.contains("Average") && !text.contains("How the commission"),
        "{text}"
    );
}

#[test]
fn says_where_the_invoice_stands() {
    let paid = DocumentStatus::Paid {
        on: day(2026, 7, 6),
        payment_method: "visa •••• 4242, 04/29".to_owned(),
    };
    for (status, words, due) in [
        (DocumentStatus::Open, "Due on July 15, 2026", "Amount due $19.73"),
        (
            paid,
            "Paid on July 6, 2026 with visa •••• 4242, 04/29",
            "Amount paid $19.73 Amount due $0.00",
        ),
        (DocumentStatus::Uncollectible, "Not paid", "Amount due $19.73"),
        (DocumentStatus::Void, "Void Nothing is owed.", "Amount due $0.00"),
    ] {
        let text = text(&InvoiceDocument { status, ..invoice() });
        assert_has(&text, &[words, due]);
    }
}

#[test]
fn the_largest_amounts_are_whole() {
    for (amount, written) in [
        (Money::new(i64::MAX, Currency::USD), "$92,233,720,368,547,758.07"),
        (Money::new(i64::MIN, Currency::USD), "-$92,233,720,368,547,758.08"),
        (
            Money::new(i64::MIN, Currency::BHD),
            "BHD -9,223,372,036,854,775.808",
        ),
    ] {
        let calculation = Calculation {
            average_equity: amount,
            billable_days: u32::MAX,
            yearly_rate: Decimal::MAX,
            yearly_commission: amount,
        };
        let text = text(&InvoiceDocument {
            calculation: Some(calculation),
            total: amount,
            ..invoice()
        });
        let amounts = text.matches(written).count();
        assert_eq!(amounts, 6, "{text}");
        assert_has(&text, &["4294967295"]);
    }
}

#[test]
fn long_texts_end_in_an_ellipsis() {
    let long = "Maximilian ".repeat(1_000);
    let unbroken = "x".repeat(10_000);
    let document = InvoiceDocument {
        number: unbroken.clone(),
        status: DocumentStatus::Paid {
            on: day(2026, 7, 6),
            payment_method: unbroken.clone(),
        },
        issuer: Issuer {
            name: unbroken.clone(),
            address_lines: vec![long.clone(); 100],
            email: unbroken.clone(),
        },
        recipient: Recipient {
            name: long.clone(),
            email: unbroken.clone(),
        },
        description: long,
        ..invoice()
    };
    let text = text(&document);
    assert_has(
        &text,
        &[
            "Bill to Maximilian Maximilian",
            "Maximilian… ",
            "xxx…",
            "Total $19.73",
        ],
    );
    assert!(text.chars().count() < 3_000, "{text}");
}

#[test]
fn empty_texts_are_left_out() {
    let document = InvoiceDocument {
        number: String::new(),
        issuer: Issuer {
            name: String::new(),
            address_lines: vec![],
            email: " \n".to_owned(),
        },
        recipient: Recipient {
            name: String::new(),
            email: String::new(),
        },
        description: "\u{200b}".to_owned(),
        ..invoice()
    };
    assert_has(&text(&document), &["Invoice", "Bill to", "Total $19.73"]);
}

#[test]
fn a_name_that_no_font_has_is_left_out() {
    for (name, written) in [
        ("שלום עולם", ""),
        ("Ann 👨‍👩‍👧 Lee", ""),
        ("王小明 Wang", ""),
        ("Ann\u{202e}eeL\u{0}\tB\u{ad}ob", "AnneeL Bob "),
        ("Ιωάννα Жанна Ñandú ffi ﬁ", "Ιωάννα Жанна Ñandú ffi ﬁ "),
        ("Jose\u{301} A\u{301}nna", "Jose\u{301} A\u{301}nna "),
    ] {
        let recipient = Recipient {
            name: name.to_owned(),
            ..invoice().recipient
        };
        let text = text(&InvoiceDocument {
            recipient,
            ..invoice()
        });
        assert_has(&text, &[&format!("Bill to {written}jose@office.example")]);
        assert!(!text.contains('\u{fffd}'), "{text}");
        assert_eq!(can_write(name), !written.is_empty(), "{name}");
    }
}

#[test]
fn letters_of_a_description_without_a_shape_are_replaced() {
    let text = text(&InvoiceDocument {
        description: "Fee 王小明".to_owned(),
        ..invoice()
    });
    assert_has(&text, &["Fee \u{fffd}"]);
}

#[test]
fn the_same_invoice_gives_the_same_bytes() {
    let first = render(&invoice()).unwrap();
    assert_eq!(first, render(&invoice()).unwrap());
    assert!(first.len() < 40_000, "{} bytes", first.len());
    let other = InvoiceDocument {
        total: money("USD 19.74"),
        ..invoice()
    };
    assert_ne!(first, render(&other).unwrap());
}

#[test]
fn has_a_title_a_language_and_structure() {
    let pdf = Document::load_mem(&render(&invoice()).unwrap()).unwrap();
    assert_eq!(pdf.get_pages().len(), 1);
    let catalog = pdf.catalog().unwrap();
    assert_eq!(catalog.get(b"Lang").unwrap().as_str().unwrap(), b"en");
    let marked = catalog.get(b"MarkInfo").and_then(Object::as_dict).unwrap();
    assert_eq!(marked.get(b"Marked").unwrap(), &Object::Boolean(true));
    assert!(catalog.has(b"StructTreeRoot"));
    let information = pdf.trailer.get(b"Info").and_then(Object::as_reference).unwrap();
    let information = pdf.get_dictionary(information).unwrap();
    let entry = |name: &[u8]| pdf_extract::decode_text_string(information.get(name).unwrap()).unwrap();
    assert_eq!(entry(b"Title"), "Invoice INV-000123");
    assert_eq!(entry(b"Author"), "Moneta Trading, Inc.");
    assert!(entry(b"CreationDate").starts_with("D:20260701"));
}

/// A font's shape stands for one text in a PDF: a point and its accent, read as one, were read in every amount.
#[test]
fn odd_letters_of_a_name_are_not_read_in_the_amounts() {
    let mut document = invoice();
    document.issuer.address_lines = vec![".\u{315} 1\u{315} $\u{315} ,\u{315}".to_owned()];
    let text = text(&document);
    assert_has(&text, &["$25,000.40 0.96% 30 $19.73", "Total $19.73"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_total_is_the_records(minor: i64, currency in prop::sample::select(Currency::KNOWN)) {
        let total = Money::new(minor, currency);
        let text = text(&InvoiceDocument { total, ..invoice() });
        let amount = text
            .split_once(" Total ")
            .and_then(|(_, rest)| rest.split_once(" Amount due "))
            .map(|(amount, _)| amount.replace(',', ""))
            .unwrap();
        // Back from the document's way of writing to the record's.
        let record = match (amount.strip_prefix('$'), amount.strip_prefix("-$")) {
            (Some(number), _) => format!("USD {number}"),
            (_, Some(number)) => format!("USD -{number}"),
            _ => amount,
        };
        prop_assert_eq!(Money::parse(&record), Ok(total));
    }

    #[test]
    fn any_text_gives_a_document(name: String, description: String, email in "\\PC{0,80}", lines: Vec<String>) {
        let document = InvoiceDocument {
            number: email.clone(),
            issuer: Issuer { name: name.clone(), address_lines: lines, email: email.clone() },
            recipient: Recipient { name, email },
            description,
            ..invoice()
        };
        prop_assert!(text(&document).contains("Total $19.73"));
    }
}
