//! Values that nobody should send, by the kind of the field that they are sent for.

mod requisite;

use end_to_end::Result;
use serde_json::Value;

/// What an answer to a value may be: its status, and what it names instead of the field itself.
pub(crate) struct Expected {
    pub(crate) statuses: &'static [u16],
    pub(crate) named: Option<&'static str>,
}

/// A value as JSON text, and how it is refused.
pub(crate) type Hostile = (String, Expected);

/// Values of every wrong kind, for a field of a text.
const NO_TEXTS: &[&str] = &[
    "12",
    "0.5",
    "true",
    "false",
    "[]",
    "[\"USD\"]",
    "{}",
    "{\"a\":\"USD\"}",
];

/// Values that no field of whole numbers takes.
const NO_NUMBERS: &[&str] = &[
    "\"12\"",
    "\"\"",
    "\"twelve\"",
    "\"\\u0000\"",
    "\"\\u202e\\u0665\"",
    "\"' OR 1=1 --\"",
    "true",
    "false",
    "[]",
    "[12]",
    "{}",
    "{\"amount\":12}",
    "12.5",
    "12.0",
    "0.1",
    "-0.5",
    "1e3",
    "1E400",
    "-1e400",
    "1e-400",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
];

/// Texts that are neither a word of a list nor the code of a currency.
const NO_WORDS: &[&str] = &[
    "",
    " ",
    "usd",
    "US",
    "USDD",
    "USD ",
    "XXX",
    "XAU",
    "840",
    "DONE",
    "Atomic",
    "pending",
    "ÄÖÜ",
    "ＵＳＤ",
    "USD\\u0000",
    "\\u202eUSD",
    "' OR 1=1 --",
    "../../etc/passwd",
];

const NO_DECIMALS: &[&str] = &[
    "",
    " ",
    "rate",
    "NaN",
    "inf",
    "-inf",
    "1e3",
    "1E-3",
    "+1",
    "1,5",
    "1_000",
    "0x10",
    ".5",
    "5.",
    "1.2.3",
    " 1",
    "1 ",
    "٣",
    "1\\u0000",
    "--1",
    "0",
    "0.0",
    "-0",
    "-1",
    "-0.000000000001",
    "99999999999999999999999999999999999999",
];

/// Texts that are no share from 0 to 1.
const NO_SHARES: &[&str] = &[
    "", " ", "share", "NaN", "1e-1", "+0.5", "0,5", ".5", "1.", " 0.5", "80", "80%", "1.0001", "0.00001",
    "-0.1",
];

/// More digits than are stored.
const LONG_DECIMALS: &[&str] = &[
    "12345678901234567",
    "0.0000000000001",
    "9999999999999999999999999999",
    "1.1234567890123",
];

const NO_TIMES: &[&str] = &[
    "",
    "now",
    "2026-11-24",
    "2026-11-24T09:30:00",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-24T25:00:00Z",
    "2026-11-24T09:30:00+99:00",
    "1795512600",
    "-5000-01-01T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "２０２６-11-24T09:30:00Z",
    "2026-11-24T09:30:00Z\\u0000",
];

const NO_BOOLEANS: &[&str] = &[
    "0", "1", "-1", "1.0", "\"true\"", "\"\"", "\"yes\"", "[]", "[true]", "{}",
];

/// One of too many.
const NOTIFICATION: &str = "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"";
const CHOICE: &str = "{\"kind\":\"trading.resumed\",\"feed\":true,\"push\":true,\"mail\":true}";
const TRANSFER: &str = "{\"client_id\":1,\"wallet_id\":1,\"receiver_client_id\":1,\"amount\":1}";

/// Texts that are no address on one of the app's hosts.
const NO_ADDRESSES: &[&str] = &[
    "",
    " ",
    "/billing",
    "app.example.com",
    "//app.example.com/",
    "http://app.example.com/",
    "https:app.example.com@evil.example/",
    "https://app.example.com.evil.example/",
    "https://evil.example/?https://app.example.com/",
    "https://evil.example\\\\@app.example.com/",
    "https://app.example.com\\\\.evil.example/",
    "https://app.example.com:secret@evil.example/",
    "https://user:secret@app.example.com/",
    "https://app.example.com:99999/",
    "https://аpp.example.com/",
    "https://app.example.com/\\u0000",
    "https://app.example.com/\\r\\nSet-Cookie: a=b",
    "https://app.example.com/a b",
    "https://app.example.com/ключ",
    "\\u202ehttps://app.example.com/",
    " https://app.example.com/",
    "javascript:alert(1)//app.example.com",
    "data:text/html,app.example.com",
    "file:///etc/passwd",
];

/// Texts that Stripe might have given as an id, and hasn't.
const UNKNOWN_IDS: &[&str] = &[
    "cs_test_none",
    "../../etc/passwd",
    "../customers",
    "cs_test_a1b2/expire",
    "cs_test_a1b2?expand[]=customer",
    "%2e%2e",
    "'OR/**/1=1--",
    "null",
];

const NO_KEYS: &[&str] = &["", " ", "a b", "a\\tb", "ключ", "\\u0000", "k\\u202e"];

const NO_MAIL: &[&str] = &[
    "",
    " ",
    "nobody",
    "a b@example.com",
    "ada@example",
    "ada@@example.com",
    "ada@example.com\\u0000",
];

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
    if let Some(values) = requisite::hostile(field) {
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
                (format!("[{}]", vec![CHOICE; 21].join(",")), refused(&[422])),
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
        ("string", "email") => [no_texts(), texts(NO_MAIL, &[422])].concat_all(),
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
        ("string", _) if schema["pattern"].is_string() => [no_texts(), texts(NO_WORDS, &[400])].concat_all(),
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

/// Values of a query's parameter that it doesn't take, as they stand in the query.
///
/// # Errors
/// When nobody has thought of this kind of parameter yet.
pub(crate) fn of_query(name: &str, schema: &Value) -> Result<Vec<String>> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let encoded = |values: &[&str]| {
        values
            .iter()
            .map(|value| percent_encoded(value))
            .collect::<Vec<_>>()
    };
    let numbers = [
        "0",
        "-1",
        "many",
        "",
        "1.5",
        "1e1",
        "%31%20",
        "0x10",
        "99999999999999999999",
        "%ff",
        "null",
        "1,2",
    ];
    Ok(match (name, schema["type"].as_str()) {
        ("limit", _) => {
            let largest = schema["maximum"].as_i64().unwrap_or_default();
            let mut values = owned(&numbers);
            values.push((largest + 1).to_string());
            values
        }
        (_, Some("integer")) => owned(&numbers),
        (_, Some("boolean")) => owned(&["yes", "", "1", "TRUE", "null", "%00"]),
        ("cursor", _) => owned(&[
            "garbage",
            "",
            "%00",
            "%ff",
            "null",
            "0",
            "-1",
            "'%20OR%201%3D1%20--",
            "../../etc/passwd",
        ]),
        _ if schema["format"] == "date-time" => encoded(NO_TIMES),
        // Lower-case words fit there.
        ("area" | "kind", _) => {
            let wrong = NO_WORDS.iter().filter(|word| !["usd", "pending"].contains(word));
            encoded(&wrong.copied().collect::<Vec<_>>())
        }
        _ if schema["pattern"].is_string() || schema["enum"].is_array() => {
            let wrong = NO_WORDS.iter().filter(|word| **word != "pending");
            encoded(&wrong.copied().collect::<Vec<_>>())
        }
        (name, kind) => anyhow::bail!("{name} of {kind:?} needs hostile values here"),
    })
}

/// Values of a part of a path under which there is nothing, as they stand in the path.
///
/// # Errors
/// When nobody has thought of this kind of part yet.
pub(crate) fn of_path(name: &str, schema: &Value) -> Result<Vec<String>> {
    let mut values: Vec<String> = [
        "%00",
        "%ff",
        "null",
        "%27%20OR%201%3D1%20--",
        "a%2Fb",
        "%EF%BC%91",
        "%20",
    ]
    .map(str::to_owned)
    .into();
    values.push("x".repeat(3_000));
    let more: &[&str] = match schema["type"].as_str() {
        Some("integer") => &[
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e3",
            "0x1",
            "1%20",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551617",
        ],
        Some("string") if schema["format"] == "uuid" => &[
            "0",
            "00000000-0000-0000-0000-000000000000",
            "01a1f95d-46ff-75c1-9a2b-3c4d5e6f708",
            "01a1f95d-46ff-75c1-9a2b-3c4d5e6f708g",
        ],
        // Lower-case words fit there.
        Some("string") if name == "tier_id" => {
            values.retain(|value| value != "null");
            &["Usd", "a_b", "a.b", "tier%20"]
        }
        Some("string") if schema["pattern"].is_string() || schema["enum"].is_array() => {
            &["usd", "US", "USDD", "XXX", "840", "USD%20"]
        }
        kind => anyhow::bail!("{name} of {kind:?} needs hostile values here"),
    };
    values.extend(more.iter().map(|value| (*value).to_owned()));
    // Whoever puts a profile gives it its id, and the largest is one too.
    values.retain(|value| name != "profile_id" || *value != i64::MAX.to_string());
    Ok(values)
}

/// A value that a query's parameter takes.
pub(crate) fn good_in_query(schema: &Value) -> &str {
    let words = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str() {
        Some("integer") => "1",
        _ if schema["format"] == "date-time" => "2026-01-01T00:00:00Z",
        _ if words.contains('|') => words
            .trim_start_matches("^(")
            .split('|')
            .next()
            .unwrap_or_default(),
        _ => "true",
    }
}

/// The text as it stands in a query; escapes of JSON stand for what they mean.
fn percent_encoded(text: &str) -> String {
    let text = text.replace("\\u0000", "\0").replace("\\u202e", "\u{202e}");
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
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
