//! Input that nobody should send: every operation refuses it with a problem that names the field, writes nothing, and
//! lives on.
//!
//! The operations, their fields and parameters come from the API's description, so that a new operation is tried too.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{
    Answer, Fixture, Result, Scenario, Tester, ensure_eq, options, run_scenarios,
    traces::{Traces, no_function_has_died, routes},
};
use serde_json::{Value, json};

const JSON: &str = "application/json";
/// The largest body that an operation reads.
const BODY_LIMIT: usize = 64 * 1024;

fn main() -> ExitCode {
    let scenarios = vec![
        Scenario::alone("a_field_of_another_kind_is_refused_and_named", fields),
        Scenario::alone("a_body_that_is_no_object_of_the_operation_is_refused", bodies),
        Scenario::alone("a_body_that_is_too_large_is_413", large_bodies),
        Scenario::alone("hostile_headers_are_refused_or_without_effect", headers),
        Scenario::alone("a_query_that_does_not_fit_is_refused_and_named", queries),
        Scenario::alone("a_cursor_that_is_not_of_the_list_is_refused", cursors),
    ];
    run_scenarios("hostile_input", options(), scenarios)
}

/// An operation as the API's description has it.
struct Operation {
    method: String,
    path: String,
    /// The properties of its body, or none when it takes none.
    fields: Option<Vec<(String, Value)>>,
    /// The parameters of its query.
    parameters: Vec<(String, Value)>,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// All operations, which are those of the template.
async fn operations(fixture: &Fixture) -> Result<Vec<Operation>> {
    let document = fixture.api(None)?.get("/openapi.json").await?.expect(200)?.body;
    let paths = document["paths"].as_object().context("no paths")?;
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, described) in methods.as_object().into_iter().flatten() {
            let schema = described["requestBody"]["content"][JSON]["schema"]["$ref"].as_str();
            let name = schema.and_then(|schema| schema.rsplit('/').next());
            let fields = name.map(|name| entries(&document["components"]["schemas"][name]["properties"]));
            let parameters = described["parameters"].as_array().into_iter().flatten();
            let parameters = parameters
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| {
                    let name = parameter["name"].as_str().unwrap_or_default();
                    (name.to_owned(), parameter["schema"].clone())
                });
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                fields,
                parameters: parameters.collect(),
            });
        }
    }
    let described: BTreeSet<String> = operations.iter().map(Operation::to_string).collect();
    let template: BTreeSet<String> = routes(fixture).into_iter().map(|(name, ..)| name).collect();
    ensure_eq!(
        described,
        template,
        "the described operations and the template's routes"
    );
    Ok(operations)
}

fn entries(object: &Value) -> Vec<(String, Value)> {
    let entries = object.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A body that the operation would take, were nothing changed in it.
fn good_body(operation: &Operation, tester: &Tester) -> Result<Value> {
    let body = tester.request(100);
    let fields = operation.fields.iter().flatten().map(|(name, _)| name.as_str());
    let known: BTreeSet<&str> = entries_of(&body);
    ensure_eq!(
        fields.collect::<BTreeSet<_>>(),
        known,
        "{operation} needs a good body of its own here"
    );
    Ok(body)
}

fn entries_of(body: &Value) -> BTreeSet<&str> {
    body.as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The body's text with one value replaced by a text that may be no JSON.
fn with(body: &Value, field: &str, text: &str) -> String {
    let fields = body.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| {
        let value = if name == field {
            text.to_owned()
        } else {
            value.to_string()
        };
        format!("\"{name}\":{value}")
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

async fn send(operation: &Operation, tester: &Tester, body: impl Into<Vec<u8>>) -> Result<Answer> {
    let headers = [("Content-Type", JSON), ("Idempotency-Key", "hostile")];
    tester.api.post_raw(&operation.path, &headers, body.into()).await
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
        named.contains(&field),
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

/// Values that no field of whole numbers takes.
const NO_NUMBERS: &[&str] = &[
    "\"12\"",
    "\"\"",
    "\"twelve\"",
    "\"\\u0000\"",
    "\"\\u202e\\u0665\"",
    "\"' OR 1=1 --\"",
    "null",
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

async fn fields(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = Traces::take(&fixture).await?;
    let mut tried = 0;
    for operation in operations(&fixture).await? {
        for (field, schema) in operation.fields.iter().flatten() {
            ensure_eq!(
                schema["type"],
                "integer",
                "{operation}: {field} needs hostile values of its kind here"
            );
            let good = good_body(&operation, &tester)?;
            for text in NO_NUMBERS {
                let answer = send(&operation, &tester, with(&good, field, text)).await?;
                refused(&answer, 400, field, &format!("{operation} {field}={text}"))?;
            }
            for text in NO_JSON {
                let answer = send(&operation, &tester, with(&good, field, text)).await?;
                let sent = format!("{operation} {field}={text}");
                refused(&answer, 400, field, &sent).or_else(|_| refused(&answer, 400, "body", &sent))?;
            }
            for text in ["0", "-1", "-100", "-9223372036854775808"] {
                let answer = send(&operation, &tester, with(&good, field, text)).await?;
                // An id that can't be one isn't read; an amount is read, and refused.
                let status = if field == "amount_cents" { 422 } else { 400 };
                refused(&answer, status, field, &format!("{operation} {field}={text}"))?;
            }
            let answer = send(&operation, &tester, with(&good, field, "9223372036854775807")).await?;
            let status = if field == "amount_cents" { 422 } else { 404 };
            refused(&answer, status, field, &format!("{operation} {field}=i64::MAX"))?;

            let text = good.to_string();
            let doubled = text.replacen('{', &format!("{{\"{field}\":1,"), 1);
            refused(
                &send(&operation, &tester, doubled.clone()).await?,
                400,
                field,
                &doubled,
            )?;
            let mut missing = good.clone();
            missing.as_object_mut().context("an object")?.remove(field);
            refused(
                &send(&operation, &tester, missing.to_string()).await?,
                400,
                field,
                &missing.to_string(),
            )?;
            tried += 1;
        }
    }
    ensure!(tried > 0, "no operation has a field");
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn bodies(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = Traces::take(&fixture).await?;
    for operation in operations(&fixture)
        .await?
        .iter()
        .filter(|operation| operation.fields.is_some())
    {
        let good = good_body(operation, &tester)?;
        let text = good.to_string();
        for name in [
            "profile_id",
            "Amount_Cents",
            "amount",
            "__proto__",
            "\u{202e}amount_cents",
            "a\\u0000b",
            "ключ",
            "",
        ] {
            let more = text.replacen('{', &format!("{{\"{name}\":1,"), 1);
            let field = name.replace("\\u0000", "\0");
            refused(&send(operation, &tester, more.clone()).await?, 400, &field, &more)?;
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
            // The fields' values in the order of their names, and as an operation declares them.
            serde_json::to_vec(&values)?,
            serde_json::to_vec(&json!([
                good["trading_account_id"],
                good["amount_cents"],
                good["bank_account_id"]
            ]))?,
            format!("[{text}]").into_bytes(),
            format!("{text}{text}").into_bytes(),
            format!("{text} x").into_bytes(),
            format!("\u{feff}{text}").into_bytes(),
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            text.replace('"', "'").into_bytes(),
            deep("[", "]").into_bytes(),
            format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000)).into_bytes(),
        ];
        for body in bodies {
            let sent = String::from_utf8_lossy(&body).into_owned();
            let answer = send(operation, &tester, body).await?;
            let field = if sent.starts_with("{\"a\":") { "a" } else { "body" };
            refused(&answer, 400, field, &format!("{operation} {sent}"))?;
        }
        // Deep, or no text, in the place of a value.
        let answer = send(operation, &tester, with(&good, "amount_cents", &deep("[", "]"))).await?;
        refused(&answer, 400, "amount_cents", "a deep value")?;
        let mut broken = with(&good, "amount_cents", "\"?\"").into_bytes();
        let place = broken.iter().position(|byte| *byte == b'?').context("no place")?;
        *broken.get_mut(place).context("no place")? = 0xff;
        let answer = send(operation, &tester, broken).await?;
        refused(&answer, 400, "amount_cents", "a value that is no UTF-8")
            .or_else(|_| refused(&answer, 400, "body", "no UTF-8"))?;
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn large_bodies(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = Traces::take(&fixture).await?;
    for operation in operations(&fixture)
        .await?
        .iter()
        .filter(|operation| operation.fields.is_some())
    {
        let text = good_body(operation, &tester)?.to_string();
        let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
        for length in [BODY_LIMIT + 1, 65 * 1_024, 1 << 20, 5 << 20] {
            let answer = send(operation, &tester, padded(length)).await?;
            refused(&answer, 413, "body", &format!("{operation} with {length} bytes"))?;
        }
        let note = format!("{{\"note\":\"{}\"}}", "x".repeat(7_000_000));
        let answer = send(operation, &tester, note).await?;
        refused(&answer, 413, "body", &format!("{operation} with 7 MB"))?;
        // One byte less than too much is read: what is wrong with it is told.
        let long = format!("{{\"note\":\"{}\"}}", "x".repeat(BODY_LIMIT - 11));
        ensure_eq!(long.len(), BODY_LIMIT);
        refused(
            &send(operation, &tester, long).await?,
            400,
            "note",
            "the largest body",
        )?;
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn headers(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = Traces::take(&fixture).await?;
    let key = "Idempotency-Key";
    let long = "k".repeat(129);
    let longer = "k".repeat(8_000);
    for operation in operations(&fixture)
        .await?
        .iter()
        .filter(|operation| operation.fields.is_some())
    {
        let good = good_body(operation, &tester)?.to_string().into_bytes();
        let with_key = async |value: Option<&[u8]>| {
            let request = tester.api.request(operation.method.parse()?, &operation.path);
            let request = request.header("Content-Type", JSON).body(good.clone());
            let request = value
                .into_iter()
                .fold(request, |request, value| request.header(key, value));
            tester.api.send(request).await
        };
        refused(&with_key(None).await?, 400, key, "no key")?;
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
            refused(&answer, 400, key, &format!("{operation} with the key {value:?}"))?;
        }
        refused(
            &with_key(Some(b"\xff\xfe")).await?,
            400,
            key,
            "a key that is no UTF-8",
        )?;
        for kind in [
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonx",
            "json",
            "",
        ] {
            let answer = tester
                .api
                .post_raw(
                    &operation.path,
                    &[("Content-Type", kind), (key, "hostile")],
                    good.clone(),
                )
                .await?;
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
            let sent = [("Content-Type", JSON), (key, "hostile"), (name, value)];
            let answer = tester
                .api
                .post_raw(&operation.path, &sent, b"{}".to_vec())
                .await?;
            ensure_eq!(answer.status, 400, "{operation} with {name}: {}", answer.text);
            let id = answer.header("x-correlation-id");
            let is_new = !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(is_new, "{operation} with {name}: answered under the id {id:?}");
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn queries(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = Traces::take(&fixture).await?;
    let long = "x".repeat(8_000);
    for operation in operations(&fixture)
        .await?
        .iter()
        .filter(|operation| operation.method == "GET")
    {
        let check = async |query: &str, field: &str| {
            let answer = tester.api.get(&format!("{}?{query}", operation.path)).await?;
            refused(&answer, 400, field, &format!("{operation}?{query}"))
        };
        for name in ["profile_id", "page", "Limit", "constructor", &long] {
            check(&format!("{name}=1"), name).await?;
        }
        check("%ff=1", "\u{fffd}").await?;
        check("a%00b=1", "a\0b").await?;
        for (name, schema) in &operation.parameters {
            let values: &[&str] = match (name.as_str(), schema["type"].as_str()) {
                ("limit", _) => &[
                    "0",
                    "101",
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
                ],
                (_, Some("boolean")) => &["yes", "", "1", "TRUE", "null", "%00"],
                ("cursor", _) => &[
                    "garbage",
                    "",
                    "%00",
                    "%ff",
                    "null",
                    "0",
                    "-1",
                    "'%20OR%201%3D1%20--",
                    "../../etc/passwd",
                ],
                (name, kind) => anyhow::bail!("{operation}: {name} of {kind:?} needs hostile values here"),
            };
            for value in values {
                check(&format!("{name}={value}"), name).await?;
            }
            let good = if name == "limit" { "1" } else { "true" };
            check(&format!("{name}={good}&{name}={good}"), name).await?;
            check(&format!("{name}[]={good}"), &format!("{name}[]")).await?;
        }
    }
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}

async fn cursors(fixture: Arc<Fixture>) -> Result {
    // The two deposits stay as they are, so that nothing comes of them while the cursors are tried.
    fixture.cloud.drivewealth().auto_advance(None);
    let tester = fixture.customer().await?;
    for cents in [100, 200] {
        tester.deposit(cents).await?.expect(201)?;
    }
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
    for operation in operations(&fixture).await? {
        if !operation.parameters.iter().any(|(name, _)| name == "cursor") {
            continue;
        }
        lists += 1;
        let check = async |cursor: &str, what: &str| {
            let answer = tester
                .api
                .get(&format!("{}?cursor={cursor}", operation.path))
                .await?;
            refused(
                &answer,
                400,
                "cursor",
                &format!("{operation} with the cursor {what}"),
            )
        };
        for (what, cursor) in forged {
            check(cursor, what).await?;
        }
        check(&"A".repeat(513), "too long").await?;
        check(&format!("{of_history}{of_history}"), "twice").await?;
        if operation.path != "/trading/history/money-flow" {
            check(&of_history, "of the history").await?;
        }
    }
    ensure!(lists >= 2, "only {lists} lists have a cursor");
    before.still(&fixture).await?;
    no_function_has_died(&fixture).await
}
