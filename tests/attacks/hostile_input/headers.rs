//! Headers that nobody should send, and webhooks that nobody signed.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{
    Fixture, Result, ensure_eq,
    traces::{Traces, no_function_has_died},
};

use crate::operations::{Caller, JSON, Operation, operations, webhooks};
use crate::refused;

pub(crate) async fn hostile_headers_are_refused_or_without_effect(fixture: Arc<Fixture>) -> Result {
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

pub(crate) async fn webhook_without_a_signature_is_not_read(fixture: Arc<Fixture>) -> Result {
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
