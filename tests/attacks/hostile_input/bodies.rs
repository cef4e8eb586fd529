//! Bodies that no operation takes: values of another type, no JSON, too much of it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, ensure_eq,
    traces::{Traces, no_function_has_died},
};
use serde_json::Value;

use crate::operations::{Caller, Operation, Spot, operations};
use crate::{refused, values};

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

pub(crate) async fn field_of_another_type_is_refused_and_named(fixture: Arc<Fixture>) -> Result {
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

pub(crate) async fn body_that_is_no_object_of_the_operation_is_refused(fixture: Arc<Fixture>) -> Result {
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

pub(crate) async fn body_that_is_too_large_is_refused_with_413(fixture: Arc<Fixture>) -> Result {
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
