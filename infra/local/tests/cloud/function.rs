//! A Lambda function for the tests of the local cloud: does what its event asks for.
//!
//! It is an ignored test of the same binary, so that no test runs against a function that was built before.

use std::{path::Path, process::Command, time::Duration};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

/// Makes a program that runs the function.
pub(crate) fn install(path: &Path) {
    let test = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec {} --exact function::serve --ignored --nocapture\n",
        test.display()
    );
    let draft = path.with_extension("draft");
    std::fs::write(&draft, script).unwrap();
    // Written by another process: a fork of this one at the wrong moment would keep the file busy.
    let installed = Command::new("install")
        .args(["-m", "755"])
        .arg(&draft)
        .arg(path)
        .status()
        .unwrap();
    assert!(installed.success());
}

#[tokio::test]
#[ignore = "the function that the other tests call"]
async fn serve() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        run(service_fn(handle)).await.unwrap();
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let event = event.payload;
    if std::env::var_os("BROKEN").is_some() {
        return Err("broken".into());
    }
    if let Some(records) = event.get("Records").and_then(Value::as_array) {
        if let Some(taken) = records.iter().find_map(path) {
            std::fs::write(taken, "")?;
            return std::future::pending().await;
        }
        return Ok(batch(records));
    }
    if event.get("requestContext").is_some() {
        return Ok(http(&event));
    }
    match event.get("action").and_then(Value::as_str) {
        Some("hang") => std::future::pending().await,
        Some("exit") => std::process::exit(3),
        Some("fail") => Err("as asked".into()),
        Some("meet") => meet(&event).await,
        Some("environment") => Ok(std::env::vars()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect()),
        _ => Ok(event),
    }
}

/// The file that a message says to write before its function hangs.
fn path(record: &Value) -> Option<&str> {
    record["body"].as_str().filter(|body| body.starts_with('/'))
}

/// Fails the messages that say "poison", as long as the variable doesn't make it immune.
fn batch(records: &[Value]) -> Value {
    let immune = std::env::var_os("IMMUNE").is_some();
    let failed = records
        .iter()
        .filter(|record| record["body"] == "poison" && !immune);
    let failures: Vec<Value> = failed
        .map(|record| json!({ "itemIdentifier": record["messageId"] }))
        .collect();
    json!({ "batchItemFailures": failures })
}

fn http(event: &Value) -> Value {
    let body = json!({
        "claims": event["requestContext"]["authorizer"]["jwt"]["claims"],
        "parameters": event["pathParameters"],
        "body": event["body"],
    });
    json!({ "statusCode": 200, "headers": { "content-type": "application/json" }, "body": body.to_string() })
}

/// Waits until as many calls as asked for are here at the same time.
async fn meet(event: &Value) -> Result<Value, Error> {
    let folder = Path::new(event["folder"].as_str().ok_or("no folder")?);
    std::fs::write(folder.join(std::process::id().to_string()), "")?;
    while std::fs::read_dir(folder)?.count() < usize::try_from(event["count"].as_u64().ok_or("no count")?)? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(json!(std::process::id()))
}
