//! Input that nobody should send: every operation refuses it with a problem that names the field, writes nothing, and
//! lives on.
//!
//! The operations, their fields and parameters come from the API's description, so that a new operation is tried too.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod operations;
mod values;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{
    Answer, Fixture, Result, Scenario, Suite, ensure_eq, options, run_suites, scenarios,
    traces::{Traces, no_function_has_died},
};
use serde_json::Value;

use crate::operations::{Caller, JSON, Operation, Spot, operations, webhooks};

fn main() -> ExitCode {
    run_suites([Suite::new("hostile_input", options(), [scenarios()])])
}

fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(field_of_another_type_is_refused_and_named),
        alone(body_that_is_no_object_of_the_operation_is_refused),
        alone(body_that_is_too_large_is_refused_with_413),
        alone(hostile_headers_are_refused_or_without_effect),
        alone(path_that_does_not_fit_is_not_found),
        alone(query_that_does_not_fit_is_refused_and_named),
        alone(cursor_of_another_list_is_refused),
        alone(webhook_without_a_signature_is_not_read),
    ]
}

/// The answer is a problem of the status, and names the field.
fn refused(answer: &Answer, status: u16, field: &str, sent: &str) -> Result {
    let sent: String = sent.chars().take(120).collect();
    ensure_eq!(answer.status, status, "{sent}: {}", answer.text);
    let kind = answer.header("content-type");
    ensure!(
        kind.starts_with("application/problem+json"),
        "{sent}: content-type {kind}"
    );
    ensure_eq!(answer.body["status"], status, "{sent}: {}", answer.text);
    for part in ["type", "title", "code", "detail"] {
        ensure!(
            answer.body[part].is_string(),
            "{sent}: no {part} in {}",
            answer.text
        );
    }
    let errors = answer.body["errors"].as_array().context("no errors");
    let errors = errors.with_context(|| format!("{sent}: {}", answer.text))?;
    let named: Vec<&str> = errors
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    ensure!(
        named.iter().any(|named| is_of(named, field)),
        "{sent}: names {named:?} instead of {field}: {}",
        answer.text
    );
    ensure!(
        !answer.text.contains(" at line "),
        "{sent}: shows the parser: {}",
        answer.text
    );
    Ok(())
}

/// Whether a problem's place is the field, or inside of it. A long name ends after 300 characters.
fn is_of(named: &str, field: &str) -> bool {
    let head = named.strip_suffix('…').filter(|head| head.chars().count() == 300);
    let rest = head.map_or(named.strip_prefix(field), |head| {
        field.starts_with(head).then_some("")
    });
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}

/// What isn't JSON at all, in the place of a value.
const NO_JSON: &[&str] = &[
    "NaN",
    "Infinity",
    "+1",
    "012",
    "0x10",
    "1_000",
    "'1'",
    "1,",
    "undefined",
    "\"\\ud800\"",
    "\"\n\"",
    "//1\n1",
    "",
];

async fn field_of_another_type_is_refused_and_named(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    let mut tried = 0;
    for operation in operations(&fixture, &caller).await? {
        let Some(good) = &operation.body else { continue };
        for spot in &operation.spots {
            let field = spot.name();
            let place = format!("{operation} {field}");
            for (text, expected) in values::hostile(spot.field(), &spot.schema)? {
                let answer = caller.send(&operation, spot.with(good, &text)).await?;
                let sent = format!("{place}={text}");
                ensure!(
                    expected.statuses.contains(&answer.status),
                    "{sent}: {} {}",
                    answer.status,
                    answer.text
                );
                let named = expected
                    .named
                    .map_or_else(|| field.clone(), |name| spot.named(name));
                refused(&answer, answer.status, &named, &sent)?;
            }
            for text in NO_JSON {
                let answer = caller.send(&operation, spot.with(good, text)).await?;
                let sent = format!("{place}={text}");
                refused(&answer, 400, &field, &sent)
                    .or_else(|_| refused(&answer, 400, &spot.around(), &sent))?;
            }
            let doubled = spot.doubled(good);
            refused(
                &caller.send(&operation, doubled.clone()).await?,
                400,
                &field,
                &doubled,
            )?;
            if spot.required {
                let missing = spot.missing(good);
                refused(
                    &caller.send(&operation, missing.clone()).await?,
                    400,
                    &field,
                    &missing,
                )?;
            }
            if !values::may_be_null(&spot.schema) {
                let null = spot.with(good, "null");
                refused(&caller.send(&operation, null.clone()).await?, 400, &field, &null)?;
            }
            tried += 1;
        }
    }
    ensure!(tried > 20, "only {tried} fields were tried");
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn body_that_is_no_object_of_the_operation_is_refused(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    for operation in &operations(&fixture, &caller).await? {
        let Some(good) = &operation.body else { continue };
        let text = good.to_string();
        for name in [
            "profile_id",
            "user_id",
            "Amount_Cents",
            "__proto__",
            "\u{202e}amount_cents",
            "a\\u0000b",
            "ключ",
            "",
        ] {
            let more = text.replacen('{', &format!("{{\"{name}\":1,"), 1);
            let field = name.replace("\\u0000", "\0");
            refused(&caller.send(operation, more.clone()).await?, 400, &field, &more)?;
        }
        let values: Vec<&Value> = good
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, value)| value)
            .collect();
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(1_000), close.repeat(1_000));
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"   \n".to_vec(),
            b"null".to_vec(),
            b"[]".to_vec(),
            b"{".to_vec(),
            b"\"{}\"".to_vec(),
            b"42".to_vec(),
            b"true".to_vec(),
            b"not json".to_vec(),
            b"\0".to_vec(),
            b"\xff\xfe".to_vec(),
            b"amount_cents=100&trading_account_id=1".to_vec(),
            b"<deposit><amount>100</amount></deposit>".to_vec(),
            // The fields' values without their names.
            serde_json::to_vec(&values)?,
            format!("[{text}]").into_bytes(),
            format!("{text}{text}").into_bytes(),
            format!("{text} x").into_bytes(),
            format!("\u{feff}{text}").into_bytes(),
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            text.replace('"', "'").replace("{}", "{''}").into_bytes(),
            deep("[", "]").into_bytes(),
            format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000)).into_bytes(),
        ];
        for body in bodies {
            let sent = String::from_utf8_lossy(&body).into_owned();
            let answer = caller.send(operation, body).await?;
            let field = if sent.starts_with("{\"a\":") { "a" } else { "body" };
            refused(&answer, 400, field, &format!("{operation} {sent}"))?;
        }
        for spot in &operation.spots {
            unreadable(&caller, operation, good, spot).await?;
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

/// Depth, or no text, in the place of a value.
async fn unreadable(caller: &Caller, operation: &Operation, good: &Value, spot: &Spot) -> Result {
    let field = spot.name();
    for text in [
        format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)),
        format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000)),
    ] {
        let answer = caller.send(operation, spot.with(good, &text)).await?;
        let place = format!("{operation} {field}: a deep value");
        refused(&answer, 400, &field, &place)?;
    }
    let mut broken = spot.with(good, "\"?\"").into_bytes();
    // The value is the last of the text, and addresses before it have such a mark too.
    let place = broken
        .iter()
        .rposition(|byte| *byte == b'?')
        .context("no place")?;
    *broken.get_mut(place).context("no place")? = 0xff;
    let answer = caller.send(operation, broken).await?;
    refused(&answer, 400, &field, "a value that is no UTF-8")
        .or_else(|_| refused(&answer, 400, "body", "no UTF-8"))
}

async fn body_that_is_too_large_is_refused_with_413(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    for operation in &operations(&fixture, &caller).await? {
        let Some(good) = &operation.body else { continue };
        let (text, limit) = (good.to_string(), operation.limit);
        let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
        let lengths = [limit + 1, limit + 1_024, 1 << 20, 5 << 20];
        for length in lengths.into_iter().filter(|length| *length > limit) {
            let answer = caller.send(operation, padded(length)).await?;
            refused(&answer, 413, "body", &format!("{operation} with {length} bytes"))?;
        }
        let note = format!("{{\"note\":\"{}\"}}", "x".repeat(7_000_000));
        let answer = caller.send(operation, note).await?;
        refused(&answer, 413, "body", &format!("{operation} with 7 MB"))?;
        // One byte less than too much is read: what is wrong with it is told.
        let long = format!("{{\"note\":\"{}\"}}", "x".repeat(limit - 11));
        ensure_eq!(long.len(), limit);
        refused(
            &caller.send(operation, long).await?,
            400,
            "note",
            "the largest body",
        )?;
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn hostile_headers_are_refused_or_without_effect(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    for operation in &operations(&fixture, &caller).await? {
        let Some(good) = &operation.body else { continue };
        let good = good.to_string();
        if operation.keyed {
            keys(&caller, operation, &good).await?;
        }
        for kind in [
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonx",
            "json",
            "",
        ] {
            let sent: [(&str, &[u8]); 2] = [("Content-Type", kind.as_bytes()), (KEY, b"hostile")];
            let answer = caller.send_with(operation, &sent, good.clone()).await?;
            refused(&answer, 415, "Content-Type", &format!("{operation} as {kind:?}"))?;
        }
        // What else is in the headers changes nothing: these bodies are refused as ever.
        let huge = "h".repeat(20_000);
        let more: [(&str, &str); 6] = [
            ("X-Huge", &huge),
            ("X-Correlation-Id", &huge),
            ("X-Correlation-Id", "a\tb"),
            ("X-Correlation-Id", "\u{202e}"),
            ("Cookie", &huge),
            ("Accept", "text/html"),
        ];
        for (name, value) in more {
            let sent: [(&str, &[u8]); 3] = [
                ("Content-Type", JSON.as_bytes()),
                (KEY, b"hostile"),
                (name, value.as_bytes()),
            ];
            let answer = caller.send_with(operation, &sent, "{\"\":1}").await?;
            ensure_eq!(answer.status, 400, "{operation} with {name}: {}", answer.text);
            let id = answer.header("x-correlation-id");
            let is_new = !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(is_new, "{operation} with {name}: answered under the id {id:?}");
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

const KEY: &str = "Idempotency-Key";

async fn keys(caller: &Caller, operation: &Operation, good: &str) -> Result {
    let with_key = async |value: Option<&[u8]>| {
        let mut sent = vec![("Content-Type", JSON.as_bytes())];
        sent.extend(value.map(|value| (KEY, value)));
        caller.send_with(operation, &sent, good).await
    };
    refused(&with_key(None).await?, 400, KEY, "no key")?;
    let (long, longer) = ("k".repeat(129), "k".repeat(8_000));
    let keys = [
        "",
        " ",
        "\t",
        "a b",
        "a\tb",
        "ключ",
        "k\u{202e}",
        long.as_str(),
        longer.as_str(),
    ];
    for value in keys {
        let answer = with_key(Some(value.as_bytes())).await?;
        refused(&answer, 400, KEY, &format!("{operation} with the key {value:?}"))?;
    }
    refused(
        &with_key(Some(b"\xff\xfe")).await?,
        400,
        KEY,
        "a key that is no UTF-8",
    )
}

async fn path_that_does_not_fit_is_not_found(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    let mut tried = 0;
    for mut operation in operations(&fixture, &caller).await? {
        let (good, body) = (operation.path.clone(), operation.body.clone());
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        for (name, schema) in operation.parts.clone() {
            let position = operation
                .route
                .split('/')
                .position(|segment| segment == format!("{{{name}}}"));
            let position = position.with_context(|| format!("{operation} has no {name}"))?;
            for value in values::of_path(&name, &schema)? {
                let mut segments: Vec<&str> = good.split('/').collect();
                *segments.get_mut(position).context("the path is shorter")? = &value;
                operation.path = segments.join("/") + &operation.query;
                let answer = caller.send(&operation, body.clone()).await?;
                let sent: String = operation.path.chars().take(120).collect();
                ensure_eq!(answer.status, 404, "{} {sent}: {}", operation.method, answer.text);
                let kind = answer.header("content-type");
                ensure_eq!(kind, "application/problem+json", "{} {sent}", operation.method);
                tried += 1;
            }
        }
    }
    ensure!(tried > 200, "only {tried} paths were tried");
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn query_that_does_not_fit_is_refused_and_named(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    let long = "x".repeat(8_000);
    for operation in operations(&fixture, &caller)
        .await?
        .iter()
        .filter(|operation| operation.method == "GET")
    {
        let check = async |query: &str, field: &str| {
            let answer = caller.api.get(&format!("{}?{query}", operation.path)).await?;
            refused(&answer, 400, field, &format!("{operation}?{query}"))
        };
        for name in ["profile_id", "client_id", "page", "Limit", "constructor", &long] {
            check(&format!("{name}=1"), name).await?;
        }
        check("%ff=1", "\u{fffd}").await?;
        check("a%00b=1", "a\0b").await?;
        for (name, schema) in &operation.parameters {
            for value in values::of_query(name, schema)? {
                check(&format!("{name}={value}"), name).await?;
            }
            let good = values::good_in_query(schema);
            check(&format!("{name}={good}&{name}={good}"), name).await?;
            check(&format!("{name}[]={good}"), &format!("{name}[]")).await?;
            if schema["format"] == "date-time" {
                // As far as RFC 3339 goes is read.
                for time in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
                    let path = format!("{}?{name}={time}", operation.path);
                    caller.api.get(&path).await?.expect(200).context(path)?;
                }
            }
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn cursor_of_another_list_is_refused(fixture: Arc<Fixture>) -> Result {
    // The two deposits stay as they are, so that nothing comes of them while the cursors are tried.
    fixture.cloud.drivewealth().auto_advance(None);
    let tester = fixture.customer().await?;
    for cents in [100, 200] {
        tester.deposit(cents).await?.expect(201)?;
    }
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    let page = tester
        .api
        .get("/trading/history/money-flow?limit=1")
        .await?
        .expect(200)?;
    let of_history = page.body["next_cursor"]
        .as_str()
        .context("no second page")?
        .to_owned();
    // JSON texts in base64: of another kind, of no kind, or too much.
    let forged = [
        ("-1", "LTE"),
        ("0", "MA"),
        ("1.5", "MS41"),
        ("9223372036854775808", "OTIyMzM3MjAzNjg1NDc3NTgwOA"),
        ("null", "bnVsbA"),
        ("\"\"", "IiI"),
        ("\"x\"", "Ingi"),
        ("\"../../x\"", "Ii4uLy4uL3gi"),
        ("[1]", "WzFd"),
        ("{}", "e30"),
        ("{\"a\":1}", "eyJhIjoxfQ"),
        ("1 1", "MSAx"),
        ("1 with padding", "MQ=="),
        ("1; DROP TABLE profiles", "MTsgRFJPUCBUQUJMRSBwcm9maWxlcw"),
    ];
    let mut lists = 0;
    for operation in operations(&fixture, &caller).await? {
        if !operation.parameters.iter().any(|(name, _)| name == "cursor") {
            continue;
        }
        lists += 1;
        let check = async |cursor: &str, what: &str| {
            let answer = caller
                .api
                .get(&format!("{}?cursor={cursor}", operation.path))
                .await?;
            let place = format!("{operation} with the cursor {what}");
            refused(&answer, 400, "cursor", &place)
        };
        for (what, cursor) in forged {
            check(cursor, what).await?;
        }
        check(&"A".repeat(513), "too long").await?;
        check(&format!("{of_history}{of_history}"), "twice").await?;
        // Where a list's cursor is an id too, there is no telling; all that it says is where to go on.
        if ![
            "/trading/history/money-flow",
            "/billing/invoices",
            "/billing/commissions",
            "/clients/{client_id}/payments",
            "/admin/reviews",
            "/dealers/{cme_client_id}/bills",
        ]
        .contains(&operation.route.as_str())
        {
            check(&of_history, "of the history").await?;
        }
    }
    ensure!(lists >= 6, "only {lists} lists have a cursor");
    positions(&caller).await?;
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn webhook_without_a_signature_is_not_read(fixture: Arc<Fixture>) -> Result {
    let api = fixture.api(None)?;
    let webhooks = webhooks(&fixture).await?;
    ensure!(!webhooks.is_empty(), "no webhook is described");
    let before = Traces::take(&fixture).await?;
    let event = br#"{"id":"evt_1","object":"event","type":"payout.paid","data":{"object":{"id":"po_1"}}}"#;
    let long = "v".repeat(8_000);
    for webhook in &webhooks {
        let send = async |headers: &[(&str, &[u8])], body: Vec<u8>| {
            let request = api.request(reqwest::Method::POST, &webhook.path).body(body);
            let request = headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value));
            api.send(request).await
        };
        let signature = webhook.signature.as_str();
        for body in [
            b"".to_vec(),
            b"null".to_vec(),
            b"[]".to_vec(),
            b"{".to_vec(),
            b"not json".to_vec(),
            b"\0".to_vec(),
            b"\xff\xfe".to_vec(),
            event.to_vec(),
            vec![b'['; webhook.limit / 2],
        ] {
            let sent = String::from_utf8_lossy(&body).into_owned();
            let answer = send(&[], body.clone()).await?;
            refused(&answer, 400, signature, &sent)?;
            for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
                let headers = [("Content-Type", kind.as_bytes()), (signature, b"t=1,v1=00")];
                let answer = send(&headers, body.clone()).await?;
                refused(&answer, 400, signature, &sent)?;
            }
        }
        let values: [&[u8]; 12] = [
            b"",
            b" ",
            b",",
            b"=",
            b"t=,v1=",
            b"t=now,v1=00",
            b"t=99999999999999999999,v1=00",
            b"t=-9223372036854775808,v1=00",
            b"t=1,t=2,v1=00,v1=01",
            b"v1=00",
            b"\xff\xfe",
            long.as_bytes(),
        ];
        for value in values {
            let answer = send(
                &[("Content-Type", JSON.as_bytes()), (signature, value)],
                event.to_vec(),
            )
            .await?;
            let sent = format!("{signature}: {}", String::from_utf8_lossy(value));
            refused(&answer, 400, signature, &sent)?;
        }
        for length in [webhook.limit + 1, 1 << 20, 5 << 20] {
            let answer = send(&[], vec![b' '; length]).await?;
            refused(
                &answer,
                413,
                "body",
                &format!("{} with {length} bytes", webhook.path),
            )?;
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

/// Positions of a statement that nobody was given: they show no more than there is.
async fn positions(caller: &Caller) -> Result {
    let (least, most) = (i64::MIN, i64::MAX);
    for (first, end) in [
        (least, most),
        (most, most),
        (least, least),
        (most, least),
        (0, 0),
        (2, 1),
        (3, 1_000),
        (-5, 2),
    ] {
        let cursor = platform::pagination::encode(&serde_json::json!({ "first": first, "end": end }))?;
        let path = format!("{}?cursor={cursor}", caller.statement());
        let answer = caller.api.get(&path).await?.expect(200)?;
        let amounts = answer.body["lines"].as_array().into_iter().flatten();
        let sum: i64 = amounts.filter_map(|line| line["amount"].as_i64()).sum();
        let moved = answer.number("closing_balance")? - answer.number("opening_balance")?;
        ensure_eq!(moved, sum, "from {first} to {end}: {}", answer.text);
    }
    Ok(())
}
