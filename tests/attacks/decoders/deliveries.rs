//! The functions behind queues, topics, streams and webhooks, called with what nobody should send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use end_to_end::points::seed;
use end_to_end::{Fixture, Result, eventually, is_soak};
use local_cloud::InvocationResult;
use local_cloud::template::{Event, Function};
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use crate::MINUTE;
use crate::edits::{Source, edited, edits};
use crate::examples::{
    afresh, bodies_of_event_file, event_file, prepare, records_of_event_file, request_body_of_event_file,
    sent_by_drivewealth, sent_by_stripe, sent_to,
};

/// Invocations of a usual run, per function.
const ROUNDS: u64 = 6;
/// Messages of an invocation; those of a stream come one by one, and so do webhooks.
const BATCH: usize = 10;
/// What stands for a fault of ours.
const FAULTS: [&str; 4] = ["internal", "panicked", "deadline-passed", "unavailable"];
/// A message of a queue may have a mebibyte, and so may a record of a topic.
const LARGEST: usize = 1 << 20;

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Queue,
    Topic,
    Stream,
    Webhook,
}

/// A function, and real examples of what it is called with.
struct Target {
    function: Function,
    kind: Kind,
    event: Value,
    examples: Vec<Vec<u8>>,
}

impl Target {
    fn name(&self) -> &str {
        &self.function.binary
    }

    async fn of(fixture: &Fixture, function: &Function) -> Result<Option<Self>> {
        let name = &function.binary;
        // A job's wake-up carries nothing.
        if function
            .events
            .iter()
            .any(|event| matches!(event, Event::Schedule(_)))
        {
            return Ok(None);
        }
        let event = event_file(name)?;
        let source = event["Records"][0]["eventSource"].as_str();
        let kind = match source {
            Some("aws:sqs") => Kind::Queue,
            Some("aws:dynamodb") => Kind::Stream,
            _ if event["records"].is_object() => Kind::Topic,
            _ if signature_header(&event).is_some() => Kind::Webhook,
            _ => return Ok(None),
        };
        let mut examples = match kind {
            Kind::Queue => bodies_of_event_file(name)?,
            Kind::Topic => records_of_event_file(name)?,
            Kind::Webhook => vec![request_body_of_event_file(name)?],
            Kind::Stream => vec![
                event["Records"][0]["dynamodb"]["NewImage"]
                    .to_string()
                    .into_bytes(),
            ],
        };
        for queue in queues_of(function) {
            examples.extend(sent_to(fixture, &queue).await?);
        }
        match name.as_str() {
            "apply_drivewealth_event" => examples.extend(sent_by_drivewealth(fixture).await?),
            "stripe_webhook" | "stripe_connect_webhook" => examples.extend(sent_by_stripe(fixture)),
            _ => {}
        }
        Ok(Some(Self {
            function: function.clone(),
            kind,
            event,
            examples,
        }))
    }

    async fn all(fixture: &Fixture) -> Result<Vec<Self>> {
        let mut targets = Vec::new();
        for function in &fixture.cloud.template().functions {
            targets.extend(Self::of(fixture, function).await?);
        }
        ensure!(
            targets.len() >= 20,
            "only {} functions read messages",
            targets.len()
        );
        Ok(targets)
    }
}

fn queues_of(function: &Function) -> Vec<String> {
    let queue = |event: &Event| match event {
        Event::Queue(source) => Some(source.queue.trim_start_matches("moneta-local-").to_owned()),
        _ => None,
    };
    function.events.iter().filter_map(queue).collect()
}

fn signature_header(event: &Value) -> Option<&'static str> {
    let headers = &event["headers"];
    ["stripe-signature", "plaid-verification"]
        .into_iter()
        .find(|name| headers[name].is_string())
}

/// What became of the messages of a function, by their codes.
#[derive(Default)]
struct Tally {
    messages: u64,
    by_code: BTreeMap<String, u64>,
    peak_kib: u64,
}

impl Tally {
    fn note(&mut self, code: impl Into<String>) {
        *self.by_code.entry(code.into()).or_default() += 1;
    }
}

pub(crate) async fn every_consumer_lives_through_any_message(fixture: Arc<Fixture>) -> Result {
    prepare(&fixture).await?;
    attack_all(&fixture, |kind| kind != Kind::Webhook).await
}

pub(crate) async fn every_webhook_lives_through_any_delivery(fixture: Arc<Fixture>) -> Result {
    prepare(&fixture).await?;
    attack_all(&fixture, |kind| kind == Kind::Webhook).await
}

/// Attacks every function of a kind, and tells of all that didn't live through it.
async fn attack_all(fixture: &Fixture, is_meant: impl Fn(Kind) -> bool) -> Result {
    let mut faults = Vec::new();
    for target in Target::all(fixture).await? {
        if is_meant(target.kind) {
            faults.extend(attack(fixture, &target).await.err());
        }
    }
    none_of(&faults)
}

fn none_of(faults: &[anyhow::Error]) -> Result {
    let told: Vec<String> = faults.iter().map(|fault| format!("{fault:#}")).collect();
    ensure!(told.is_empty(), "{}", told.join("\n\n"));
    Ok(())
}

async fn attack(fixture: &Fixture, target: &Target) -> Result {
    let seed = seed()?;
    let mut source = Source::of(seed, target.name());
    let mut tally = Tally::default();
    let begun = Instant::now();
    let rounds = match target.kind {
        Kind::Queue | Kind::Topic => ROUNDS,
        Kind::Stream | Kind::Webhook => 5 * ROUNDS,
    };
    let mut round = 0;
    while round < rounds || (is_soak() && begun.elapsed() < MINUTE) {
        // The first round is of real examples, and opens what is opened at first.
        let bodies = bodies(target, &mut source, round);
        let context = || {
            let shown = bodies.iter().map(|body| body.escape_ascii().to_string());
            let shown: Vec<String> = shown.map(|body| body.chars().take(1_000).collect()).collect();
            format!(
                "{} in round {round} with MONETA_SEED={seed}, given:\n{}",
                target.name(),
                shown.join("\n")
            )
        };
        let played = play(fixture, target, &mut source, round, &bodies, &mut tally).await;
        played.with_context(context)?;
        round += 1;
    }
    let codes: Vec<String> = tally
        .by_code
        .iter()
        .map(|(code, count)| format!("{count} {code}"))
        .collect();
    println!(
        "  {}: {} messages in {} ms, {} MiB: {}",
        target.name(),
        tally.messages,
        begun.elapsed().as_millis(),
        tally.peak_kib / 1_024,
        codes.join(", ")
    );
    fits(target, tally.peak_kib)?;
    // What of a table can't be read is counted and passed over: its records are our own.
    ensure!(
        tally.by_code.len() > 1 || target.kind == Kind::Stream,
        "{}: all messages had one fate: {codes:?}",
        target.name()
    );
    Ok(())
}

/// The memory that a process has used at most is within what the function is deployed with.
fn fits(target: &Target, peak_kib: u64) -> Result {
    let limit = target.function.memory_mb * 1_024;
    ensure!(
        peak_kib > 0 && peak_kib < limit,
        "{} used {peak_kib} KiB of {limit}",
        target.name()
    );
    Ok(())
}

fn bodies(target: &Target, source: &mut Source, round: u64) -> Vec<Vec<u8>> {
    let count = match target.kind {
        Kind::Queue | Kind::Topic => BATCH,
        Kind::Stream | Kind::Webhook => 1,
    };
    (0..count)
        .map(|position| {
            let number = round * u64::try_from(BATCH).unwrap_or(1) + u64::try_from(position).unwrap_or(0);
            let (which, edits) = source.draw(&(any::<Index>(), edits())).current();
            let example = afresh(which.get::<Vec<u8>>(&target.examples), number);
            match (round, target.kind) {
                (0, _) | (_, Kind::Stream) => example,
                _ => edited(&example, &edits),
            }
        })
        .collect()
}

async fn play(
    fixture: &Fixture,
    target: &Target,
    source: &mut Source,
    round: u64,
    bodies: &[Vec<u8>],
    tally: &mut Tally,
) -> Result {
    let id = format!("decoders-{}-{round}", target.name());
    let event = match target.kind {
        Kind::Queue => queue_event(target, bodies, &id),
        Kind::Topic => topic_event(target, bodies, &id),
        Kind::Stream => stream_event(target, source, round, &bodies[0], &id)?,
        Kind::Webhook => webhook_event(fixture, target, source, round, &bodies[0])?,
    };
    let result = fixture.cloud.invoke(target.name(), event).await?;
    ensure!(
        result.function_error.is_none(),
        "it failed as a whole: {:?} {}",
        result.function_error,
        result.payload
    );
    tally.messages += u64::try_from(bodies.len())?;
    tally.peak_kib = tally.peak_kib.max(result.memory_kib.unwrap_or(0));
    match target.kind {
        Kind::Webhook => answered(&result, tally),
        Kind::Stream if result.payload["batchItemFailures"] == json!([]) => {
            tally.note("done");
            Ok(())
        }
        _ => logged(fixture, target, bodies.len(), &id, tally).await,
    }
}

fn answered(result: &InvocationResult, tally: &mut Tally) -> Result {
    let status = result.payload["statusCode"].as_u64().context("no status")?;
    ensure!(status < 500, "the answer is {}", result.payload);
    let body: Value = serde_json::from_str(result.payload["body"].as_str().unwrap_or("{}"))?;
    tally.note(body["code"].as_str().unwrap_or("done"));
    Ok(())
}

/// Notes the codes that the log has for the messages of a batch. Whatever else is in it, the last message fails, and its line
/// comes last.
async fn logged(fixture: &Fixture, target: &Target, count: usize, id: &str, tally: &mut Tally) -> Result {
    let last = format!("{id}-last");
    let is_last = |line: &str| line.contains(&last) && line.contains("\"ERROR\"");
    if target.kind != Kind::Stream {
        fixture.logs_reach(target.name(), 1, is_last).await?;
    }
    let codes = eventually("the log says why", async || {
        let lines = fixture.cloud.logs(target.name());
        let codes: Vec<String> = lines
            .iter()
            .filter(|line| line.contains(id) && !line.contains(&last))
            .filter_map(|line| code_in(line))
            .collect();
        ensure!(
            target.kind != Kind::Stream || !codes.is_empty(),
            "no line says why it failed"
        );
        Ok(codes)
    })
    .await?;
    for code in &codes {
        ensure!(
            !FAULTS.contains(&code.as_str()),
            "a message met a fault of ours: {code}: {}",
            lines_of(fixture, target, id, code)
        );
        tally.note(code.as_str());
    }
    for _ in codes.len()..count {
        tally.note("done");
    }
    Ok(())
}

/// The lines of a batch that say so.
fn lines_of(fixture: &Fixture, target: &Target, id: &str, code: &str) -> String {
    let lines = fixture.cloud.logs(target.name());
    let mut lines = lines.into_iter().filter(|line| line.contains(id));
    lines
        .find(|line| code_in(line).as_deref() == Some(code))
        .unwrap_or_default()
}

/// The code of a message that failed.
fn code_in(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().or_else(|| line["fields"][name].as_str());
    match text("message")? {
        "reading the item failed" => Some("unreadable".to_owned()),
        message if message.starts_with("handling the item failed") => text("code").map(str::to_owned),
        _ => None,
    }
}

/// A batch of a queue. SQS takes text alone. Each message has a group of its own, and a last one that can't be read follows.
fn queue_event(target: &Target, bodies: &[Vec<u8>], id: &str) -> Value {
    let template = &target.event["Records"][0];
    let message = |position: usize, body: &str, correlation: String| {
        let mut message = template.clone();
        message["messageId"] = json!(position.to_string());
        message["body"] = json!(body);
        message["messageAttributes"] = json!({ "correlation_id": {
            "stringValue": correlation, "stringListValues": [], "binaryListValues": [], "dataType": "String",
        } });
        if message["attributes"]["MessageGroupId"].is_string() {
            message["attributes"]["MessageGroupId"] = json!(format!("group-{position}"));
        }
        message
    };
    let mut messages: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(position, body)| {
            message(
                position,
                &String::from_utf8_lossy(body),
                format!("{id}-{position}"),
            )
        })
        .collect();
    messages.push(message(bodies.len(), "not JSON", format!("{id}-last")));
    json!({ "Records": messages })
}

/// A batch of a topic, each record in a partition of its own; a last one that can't be read follows.
fn topic_event(target: &Target, bodies: &[Vec<u8>], id: &str) -> Value {
    let mut event = target.event.clone();
    let partitions = event["records"].as_object();
    let template = partitions
        .and_then(|partitions| partitions.values().next())
        .map(|records| records[0].clone());
    let template = template.unwrap_or_default();
    let record = |partition: usize, value: &[u8], correlation: String| {
        let mut record = template.clone();
        record["partition"] = json!(partition);
        record["value"] = json!(STANDARD.encode(value));
        record["headers"] = json!([{ "x-correlation-id": correlation.as_bytes() }]);
        // Partitions are taken in the order of their names.
        (format!("t-{partition:03}"), json!([record]))
    };
    let mut records: serde_json::Map<String, Value> = bodies
        .iter()
        .enumerate()
        .map(|(partition, value)| record(partition, value, format!("{id}-{partition}")))
        .collect();
    records.extend([record(bodies.len(), b"not JSON", format!("{id}-last"))]);
    event["records"] = Value::Object(records);
    event
}

/// A change of a table whose item has other values than ours writes.
fn stream_event(target: &Target, source: &mut Source, round: u64, image: &[u8], id: &str) -> Result<Value> {
    let mut event = target.event.clone();
    let mut image: Value = serde_json::from_slice(image)?;
    if round > 0 {
        edit_item(&mut image, source);
    }
    image["correlation_id"] = json!({ "S": id });
    let change = &mut event["Records"][0];
    change["dynamodb"]["NewImage"] = image;
    change["dynamodb"]["SequenceNumber"] = json!(format!("{round:021}"));
    event["Records"].as_array_mut().context("no records")?.truncate(1);
    Ok(event)
}

/// Another value, of this or of another type, or none: as DynamoDB has them.
fn edit_item(image: &mut Value, source: &mut Source) {
    let mut places = Vec::new();
    leaves(image, String::new(), &mut places);
    let (place, digits, edits) = source.draw(&(any::<Index>(), any::<i64>(), edits())).current();
    let path = place.get(&places);
    let text = image
        .pointer(path)
        .and_then(|leaf| leaf["S"].as_str())
        .unwrap_or("0");
    let text = String::from_utf8_lossy(&edited(format!("\"{text}\"").as_bytes(), &edits)).into_owned();
    let bare = text.trim_matches('"').to_owned();
    let others = [
        json!({ "S": bare }),
        json!({ "S": text }),
        json!({ "N": digits.to_string() }),
        json!({ "N": "1E+125" }),
        json!({ "N": "-0.00000000000000000000000000000000000001" }),
        json!({ "NULL": true }),
        json!({ "BOOL": true }),
        json!({ "B": STANDARD.encode(text.as_bytes()) }),
        json!({ "M": {} }),
        json!({ "L": [{ "S": bare }] }),
        json!({ "SS": [bare] }),
    ];
    let other = source.draw(&any::<Index>()).current().get(&others).clone();
    if let Some(leaf) = image.pointer_mut(path) {
        *leaf = other;
    }
}

/// The places of the values in an item.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    let inside = value["M"]
        .as_object()
        .map(|_| format!("{path}/M"))
        .or_else(|| value["L"].as_array().map(|_| format!("{path}/L")));
    let parent = match &inside {
        Some(_) if value["M"].is_object() => &value["M"],
        Some(_) => &value["L"],
        None if path.is_empty() => value,
        None => {
            found.push(path);
            return;
        }
    };
    let base = inside.unwrap_or_default();
    found.extend((!path.is_empty()).then_some(path));
    match parent {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| leaves(value, format!("{base}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| leaves(value, format!("{base}/{at}"), found)),
        _ => {}
    }
}

/// A delivery that is signed well, but for every fourth, in whose signature something is edited.
fn webhook_event(
    fixture: &Fixture,
    target: &Target,
    source: &mut Source,
    round: u64,
    body: &[u8],
) -> Result<Value> {
    let mut event = target.event.clone();
    let header = signature_header(&event).context("no signature")?;
    let text = String::from_utf8_lossy(body).into_owned();
    let signature = match target.name() {
        "stripe_connect_webhook" => fixture.cloud.stripe().sign_now_for_connect(&text),
        "stripe_webhook" => fixture.cloud.stripe().sign_now(&text),
        _ => fixture.cloud.plaid().sign(&text, chrono::Utc::now())?,
    };
    let signature = match round % 4 {
        3 => {
            let edited = source.edit_one_of(&[signature.into_bytes()]);
            // A header has visible characters.
            edited
                .into_iter()
                .filter(u8::is_ascii_graphic)
                .map(char::from)
                .collect()
        }
        _ => signature,
    };
    event["headers"][header] = json!(signature);
    event["isBase64Encoded"] = json!(round % 2 == 1);
    event["body"] = match round % 2 {
        1 => json!(STANDARD.encode(&text)),
        _ => json!(text),
    };
    Ok(event)
}

/// What is as large as its way lets through: one text, and nothing but brackets.
pub(crate) async fn message_as_large_as_may_be_stays_within_memory(fixture: Arc<Fixture>) -> Result {
    let mut faults = Vec::new();
    for target in Target::all(&fixture).await? {
        // Items of tables are our own, and have 400 KB at most.
        if target.kind != Kind::Stream {
            faults.extend(large(&fixture, &target).await.err());
        }
    }
    none_of(&faults)
}

async fn large(fixture: &Fixture, target: &Target) -> Result {
    let example = target.examples.first().context("no example")?;
    let mut value: Value = serde_json::from_slice(example)?;
    value["more"] = json!("x".repeat(LARGEST - example.len() - 20));
    let numbers = format!("[{}0]", "0,".repeat(LARGEST / 2 - 10));
    let bodies = [
        value.to_string().into_bytes(),
        vec![b'['; LARGEST],
        br#"{"a":"#.repeat(LARGEST / 5),
        numbers.into_bytes(),
        vec![b'\\'; LARGEST],
    ];
    let mut tally = Tally::default();
    let mut source = Source::of(0, target.name());
    let usual = if is_soak() { bodies.len() } else { 2 };
    for (round, body) in (900..).zip(bodies).take(usual) {
        let played = play(fixture, target, &mut source, round, &[body], &mut tally).await;
        played.with_context(|| format!("{} with a mebibyte, number {}", target.name(), round - 900))?;
    }
    println!(
        "  {}: at most {} MiB of {}",
        target.name(),
        tally.peak_kib / 1_024,
        target.function.memory_mb
    );
    fits(target, tally.peak_kib)
}
