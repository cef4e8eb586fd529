//! Paths, queries and cursors that lead nowhere.

use std::sync::Arc;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use end_to_end::{
    Fixture, Result, ensure_eq,
    traces::{Traces, no_function_has_died},
};

use crate::operations::{Caller, operations};
use crate::{refused, values};

pub(crate) async fn path_that_does_not_fit_is_not_found(fixture: Arc<Fixture>) -> Result {
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
                // Whoever puts a profile or a collection gives it its id, and the largest is one too.
                if operation.method == "PUT" && value == i64::MAX.to_string() {
                    continue;
                }
                let mut segments: Vec<&str> = good.split('/').collect();
                *segments.get_mut(position).context("the path is shorter")? = &value;
                let query = operation.good_query();
                operation.path = format!("{}?{query}", segments.join("/"));
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

pub(crate) async fn query_that_does_not_fit_is_refused_and_named(fixture: Arc<Fixture>) -> Result {
    let caller = Caller::new(&fixture).await?;
    let before = Traces::take(&fixture).await?;
    let long = "x".repeat(8_000);
    for operation in operations(&fixture, &caller)
        .await?
        .iter()
        .filter(|operation| operation.method == "GET")
    {
        let check = async |query: &str, field: &str| {
            let query = operation.query_around(field) + query;
            let answer = caller.api.get(&format!("{}?{query}", operation.path)).await?;
            // A number that can't be an amount is read, and refused for what it is.
            let status = if answer.body["code"] == "amount-not-positive" {
                422
            } else {
                400
            };
            refused(&answer, status, field, &format!("{operation}?{query}"))
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
            if operation.needed.iter().any(|(needed, _)| needed == name) {
                check("", name).await?;
            }
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

pub(crate) async fn cursor_of_another_list_is_refused(fixture: Arc<Fixture>) -> Result {
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
        if operation.route != "/trading/history/money-flow" {
            check(&of_history, "of the history").await?;
        }
    }
    ensure!(lists >= 6, "only {lists} lists have a cursor");
    positions(&caller).await?;
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
        let position = serde_json::json!(["wallet-statement", { "first": first, "end": end }]);
        let cursor = URL_SAFE_NO_PAD.encode(position.to_string());
        let path = format!("{}?cursor={cursor}", caller.statement());
        let answer = caller.api.get(&path).await?.expect(200)?;
        let amounts = answer.body["lines"].as_array().into_iter().flatten();
        let sum: i64 = amounts.filter_map(|line| line["amount"].as_i64()).sum();
        let moved = answer.number("closing_balance")? - answer.number("opening_balance")?;
        ensure_eq!(moved, sum, "from {first} to {end}: {}", answer.text);
    }
    Ok(())
}
