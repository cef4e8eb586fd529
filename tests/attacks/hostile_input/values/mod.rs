//! Values that nobody should send, by the kind of the field that they are sent for.

mod addresses;
mod orders;
mod requisite;
mod texts;

use end_to_end::Result;
use serde_json::Value;

pub(crate) use self::addresses::{good_in_query, of_path, of_query};
use self::texts::{
    CHOICE, LONG_DECIMALS, NO_ADDRESSES, NO_BOOLEANS, NO_DECIMALS, NO_KEYS, NO_NUMBERS, NO_SHARES, NO_TEXTS,
    NO_TIMES, NO_WORDS, NOTIFICATION, TRANSFER, UNKNOWN_IDS,
};

/// What an answer to a value may be: its status, and what it names instead of the field itself.
pub(crate) struct Expected {
    pub(crate) statuses: &'static [u16],
    pub(crate) named: Option<&'static str>,
}

/// A value as JSON text, and how it is refused.
pub(crate) type Hostile = (String, Expected);

/// The beginnings of the names of texts that the identity check asks for.
const KYC_FIELDS: &[&str] = &[
    "address_",
    "birthdate",
    "citizenship",
    "code",
    "country",
    "disclosures_",
    "email_address",
    "employment_",
    "first_name",
    "gender",
    "investor_profile_",
    "language",
    "last_name",
    "marital_status",
    "phone_number",
    "politically_exposed_names",
    "tax_id_",
];

fn is_of_kyc(field: &str) -> bool {
    KYC_FIELDS.iter().any(|start| field.starts_with(start))
}

/// The hostile values for a field of this name and schema.
///
/// # Errors
/// When nobody has thought of this kind of field yet.
pub(crate) fn hostile(field: &str, schema: &Value) -> Result<Vec<Hostile>> {
    let kind = kinds(schema).find(|kind| *kind != "null").unwrap_or_default();
    let texts = |texts: &[&str], statuses| quoted(texts, statuses);
    let no_texts = || plain(NO_TEXTS, &[400]);
    if let Some(values) = requisite::hostile(field).or_else(|| orders::hostile(kind, field, schema)) {
        return Ok(values);
    }
    Ok(match (kind, field) {
        ("integer", field) if field.ends_with("_cents") && field != "amount_cents" => [
            plain(NO_NUMBERS, &[400]),
            plain(
                &["0", "-1", "-9223372036854775808", "9223372036854775807"],
                &[422],
            ),
        ]
        .concat_all(),
        ("integer", "payout_cycle_days" | "min_winning_days" | "min_trades") => [
            plain(NO_NUMBERS, &[400]),
            plain(&["-1", "4294967296", "9223372036854775807"], &[400]),
            plain(&["10001"], &[422]),
        ]
        .concat_all(),
        ("integer", field) if field.starts_with("investor_profile_") => plain(NO_NUMBERS, &[400]),
        ("integer", _) => [plain(NO_NUMBERS, &[400]), numbers(field)].concat_all(),
        ("array", "currencies") => [
            plain(
                &[
                    "12",
                    "\"USD\"",
                    "{}",
                    "true",
                    "[12]",
                    "[null]",
                    "[[\"USD\"]]",
                    "[{}]",
                ],
                &[400],
            ),
            NO_WORDS
                .iter()
                .map(|word| (format!("[\"{word}\"]"), refused(&[400])))
                .collect(),
            vec![(format!("[{}]", vec!["\"USD\""; 51].join(",")), refused(&[422]))],
        ]
        .concat_all(),
        ("array", "transfers") => [
            plain(
                &[
                    "12",
                    "\"\"",
                    "{}",
                    "true",
                    "[12]",
                    "[null]",
                    "[[]]",
                    "[\"\"]",
                    "[[1,1,2,null,100,null,null]]",
                ],
                &[400],
            ),
            vec![
                ("[]".to_owned(), refused(&[422])),
                (format!("[{}]", vec![TRANSFER; 501].join(",")), refused(&[422])),
            ],
        ]
        .concat_all(),
        ("array", "ids") => [
            plain(
                &[
                    "12",
                    "\"\"",
                    NOTIFICATION,
                    "{}",
                    "true",
                    "[12]",
                    "[null]",
                    "[[]]",
                    "[{}]",
                ],
                &[400],
            ),
            NO_WORDS
                .iter()
                .map(|word| (format!("[\"{word}\"]"), refused(&[400])))
                .collect(),
            vec![
                ("[]".to_owned(), refused(&[422])),
                (
                    format!("[{}]", vec![NOTIFICATION; 101].join(",")),
                    refused(&[422]),
                ),
            ],
        ]
        .concat_all(),
        ("array", "items") => [
            plain(
                &[
                    "12",
                    "\"\"",
                    "{}",
                    "true",
                    "[12]",
                    "[null]",
                    "[[]]",
                    "[\"\"]",
                    "[[\"trading.resumed\",true,true,true]]",
                ],
                &[400],
            ),
            vec![
                (format!("[{}]", [CHOICE; 2].join(",")), refused(&[422])),
                (format!("[{}]", vec![CHOICE; 22].join(",")), refused(&[422])),
            ],
        ]
        .concat_all(),
        ("boolean", _) => plain(NO_BOOLEANS, &[400]),
        ("object", "parameters") => [
            plain(&["12", "\"\"", "true", "[]", "[[]]", "[\"a\"]"], &[400]),
            plain(&["{\"a\":1}", "{\"a\":1.5}", "{\"a\":{}}", "{\"\":null}"], &[422]),
        ]
        .concat_all(),
        ("string", "action") => [
            no_texts(),
            texts(NO_WORDS, &[422]),
            vec![(format!("\"{}\"", "a".repeat(5_000)), refused(&[422]))],
        ]
        .concat_all(),
        ("array", "sequences") => [
            plain(
                &["12", "\"\"", "{}", "true", "[\"1\"]", "[null]", "[[]]", "[1.5]"],
                &[400],
            ),
            vec![(format!("[{}]", vec!["1"; 101].join(",")), refused(&[422]))],
        ]
        .concat_all(),
        // Where nothing is needed, an empty name is none.
        ("string", "name") if may_be_null(schema) => [
            no_texts(),
            texts(&["a\\u0000"], &[422]),
            vec![(format!("\"{}\"", "w".repeat(501)), refused(&[422]))],
        ]
        .concat_all(),
        ("string", "reason" | "name") => [
            no_texts(),
            texts(&["", " ", "\\t"], &[422]),
            vec![(format!("\"{}\"", "w".repeat(501)), refused(&[422]))],
        ]
        .concat_all(),
        ("string", "daily_reset_zone") => [
            no_texts(),
            texts(
                &["", " ", "Mars/Olympus", "New York", "../zoneinfo", "UTC\\u0000"],
                &[422],
            ),
        ]
        .concat_all(),
        ("string", "profit_split" | "max_drawdown" | "max_risk_per_trade" | "max_best_day_share") => {
            [no_texts(), texts(NO_SHARES, &[400])].concat_all()
        }
        ("string", "public_token") => [no_texts(), texts(&[""], &[422])].concat_all(),
        ("string", "account_id") => [
            no_texts(),
            texts(NO_KEYS, &[400]),
            vec![(format!("\"{}\"", "a".repeat(129)), refused(&[400]))],
        ]
        .concat_all(),
        ("string", "content") => [no_texts(), texts(&["", "%", "a", "\\u0000"], &[422])].concat_all(),
        ("string", "external_ref") => [
            no_texts(),
            texts(NO_KEYS, &[422]),
            vec![(format!("\"{}\"", "r".repeat(129)), refused(&[422]))],
        ]
        .concat_all(),
        ("string", "idempotency_key") => [
            no_texts(),
            texts(NO_KEYS, &[400]),
            vec![(format!("\"{}\"", "k".repeat(129)), refused(&[400]))],
        ]
        .concat_all(),
        ("string", "price_id") => [
            no_texts(),
            texts(NO_KEYS, &[422]),
            vec![(format!("\"{}\"", "p".repeat(129)), refused(&[422]))],
        ]
        .concat_all(),
        ("string", "success_url" | "cancel_url") => [
            no_texts(),
            texts(NO_ADDRESSES, &[422]),
            vec![(
                format!("\"https://app.example.com/{}\"", "x".repeat(2_048)),
                refused(&[422]),
            )],
        ]
        .concat_all(),
        ("string", "stripe_session_id") => [
            no_texts(),
            texts(NO_KEYS, &[400]),
            texts(UNKNOWN_IDS, &[404]),
            vec![(format!("\"{}\"", "c".repeat(129)), refused(&[400]))],
        ]
        .concat_all(),
        ("string", "rate") => [
            no_texts(),
            texts(NO_DECIMALS, &[400]),
            texts(LONG_DECIMALS, &[422]),
        ]
        .concat_all(),
        ("string", _) if schema["format"] == "date-time" => [
            no_texts(),
            texts(NO_TIMES, &[400]),
            texts(&["9999-12-31T23:59:59Z", "2999-01-01T00:00:00+14:00"], &[422]),
        ]
        .concat_all(),
        ("string", _) if schema["pattern"].is_string() || schema["enum"].is_array() => {
            [no_texts(), texts(NO_WORDS, &[400])].concat_all()
        }
        // What such a text says is refused once the form isn't locked; tests/scenarios/trading/kyc has it.
        ("string", field) if is_of_kyc(field) => no_texts(),
        _ => anyhow::bail!("{field} of {schema} needs hostile values of its kind here"),
    })
}

/// Numbers that are read, and refused for what they say.
fn numbers(field: &str) -> Vec<Hostile> {
    let is_amount = ["amount", "amount_cents", "receiver_amount", "deal_price"].contains(&field);
    // An id that can't be one isn't read; an amount is read, and refused.
    let mut all = plain(
        &["0", "-1", "-100", "-9223372036854775808"],
        if is_amount { &[422] } else { &[400] },
    );
    let (statuses, named): (&[u16], _) = match field {
        "amount_cents" | "deal_price" => (&[422], None),
        // More than there is, or more than fits beside what there is.
        "amount" => (&[402, 422], None),
        "receiver_amount" => (&[402], Some("amount")),
        // What is looked for is the payer's wallet.
        "client_id" => (&[404], Some("wallet_id")),
        _ => (&[404], None),
    };
    all.push(("9223372036854775807".to_owned(), Expected { statuses, named }));
    all
}

/// The kinds of a schema.
fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str().into_iter();
    let several = schema["type"].as_array().into_iter().flatten();
    one.chain(several.filter_map(Value::as_str))
}

/// Whether null fits a schema.
pub(crate) fn may_be_null(schema: &Value) -> bool {
    kinds(schema).any(|kind| kind == "null")
}

fn refused(statuses: &'static [u16]) -> Expected {
    Expected {
        statuses,
        named: None,
    }
}

fn plain(values: &[&str], statuses: &'static [u16]) -> Vec<Hostile> {
    let values = values.iter();
    values
        .map(|value| ((*value).to_owned(), refused(statuses)))
        .collect()
}

fn quoted(texts: &[&str], statuses: &'static [u16]) -> Vec<Hostile> {
    let texts = texts.iter();
    texts
        .map(|text| (format!("\"{text}\""), refused(statuses)))
        .collect()
}

trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T, const N: usize> ConcatAll<T> for [Vec<T>; N] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}
