//! Statements and lists: they add up, page by page, while money moves.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::WalletClient;
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        statement_has_every_entry_with_its_balance,
        statement_of_a_period_begins_where_the_one_before_ends,
        alone(statements_add_up_while_transfers_run),
        payments_are_listed_by_filter_and_page,
    ]
}

fn path(client: &WalletClient, currency: &str, query: &str) -> Result<String> {
    Ok(client.path(&format!("wallets/{}/statement?{query}", client.wallet(currency)?)))
}

async fn statement(client: &WalletClient, currency: &str, query: &str) -> Result<Value> {
    let answer = client
        .api
        .get(&path(client, currency, query)?)
        .await?
        .expect(200)?;
    adds_up(&answer.body)?;
    Ok(answer.body)
}

fn number(value: &Value) -> Result<i64> {
    value.as_i64().with_context(|| format!("{value} is no number"))
}

/// Opening balance and lines make the closing balance, line by line.
fn adds_up(statement: &Value) -> Result {
    let mut balance = number(&statement["opening_balance"])?;
    let (mut credit, mut debit) = (0, 0);
    let mut entry = None;
    for line in statement["lines"].as_array().context("no lines")? {
        let amount = number(&line["amount"])?;
        balance += amount;
        ensure_eq!(number(&line["balance"])?, balance, "the balance after {line}");
        if amount > 0 {
            credit += amount
        } else {
            debit += amount
        }
        let this = number(&line["entry"])?;
        ensure!(
            entry.is_none_or(|before| this == before + 1),
            "a gap before {line}"
        );
        entry = Some(this);
    }
    ensure_eq!(number(&statement["closing_balance"])?, balance);
    ensure_eq!(number(&statement["credit_turnover"])?, credit);
    ensure_eq!(number(&statement["debit_turnover"])?, debit);
    Ok(())
}

/// The rows of a CSV by the names of its columns.
fn rows(answer: &Answer) -> Result<Vec<Value>> {
    let mut lines = answer.text.split_terminator("\r\n");
    let names: Vec<&str> = lines.next().context("no header")?.split(',').collect();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            ensure_eq!(fields.len(), names.len(), "{line}");
            Ok(names
                .iter()
                .zip(fields)
                .map(|(name, field)| ((*name).to_owned(), json!(field)))
                .collect())
        })
        .collect()
}

async fn statement_has_every_entry_with_its_balance(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let asked = alice.withdraw("USD", 4_000).await?.expect(201)?;
    alice
        .transfer("USD", &bob, json!({ "amount": 1_500 }))
        .await?
        .expect(201)?;
    alice
        .settle(&asked.body["transaction_id"], "failed")
        .await?
        .expect(200)?;
    bob.transfer("USD", &alice, json!({ "amount": 200 }))
        .await?
        .expect(201)?;
    let seen = statement(&alice, "USD", "").await?;
    let lines = seen["lines"].as_array().context("no lines")?;
    let amounts: Vec<i64> = lines
        .iter()
        .map(|line| number(&line["amount"]))
        .collect::<Result<_>>()?;
    ensure_eq!(amounts, [10_000, -4_000, -1_500, 4_000, 200]);
    let returns: Vec<&Value> = lines.iter().map(|line| &line["is_return"]).collect();
    ensure_eq!(
        returns,
        [
            &json!(false),
            &json!(false),
            &json!(false),
            &json!(true),
            &json!(false)
        ]
    );
    ensure_eq!(lines[1]["payment_id"], lines[3]["payment_id"]);
    ensure_eq!(seen["closing_balance"], json!(8_700));
    ensure_eq!(
        (seen["credit_turnover"].clone(), seen["debit_turnover"].clone()),
        (json!(14_200), json!(-5_500))
    );
    // The same as CSV.
    let csv = alice
        .api
        .get(&path(&alice, "USD", "format=csv")?)
        .await?
        .expect(200)?;
    ensure!(
        csv.header("content-type").starts_with("text/csv"),
        "{:?}",
        csv.headers
    );
    ensure!(
        csv.header("content-disposition").contains("attachment"),
        "{:?}",
        csv.headers
    );
    let rows = rows(&csv)?;
    ensure_eq!(rows.len(), lines.len() + 2);
    ensure_eq!(
        (rows[0]["row"].clone(), rows[0]["balance"].clone()),
        (json!("opening"), json!("0"))
    );
    for (row, line) in rows[1..].iter().zip(lines) {
        for field in ["entry", "amount", "balance", "payment_id"] {
            ensure_eq!(row[field], json!(line[field].to_string()), "{field}");
        }
        ensure_eq!(row["transaction_id"], line["transaction_id"]);
    }
    let last = &rows[rows.len() - 1];
    ensure_eq!(
        (last["row"].clone(), last["balance"].clone()),
        (json!("closing"), json!("8700"))
    );
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut query = "limit=2".to_owned();
    let mut closing = json!(0);
    loop {
        let page = statement(&alice, "USD", &query).await?;
        ensure_eq!(page["opening_balance"], closing, "where the page before ended");
        closing = page["closing_balance"].clone();
        paged.extend(page["lines"].as_array().context("no lines")?.clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=2&cursor={cursor}"),
            None => break,
        }
    }
    ensure_eq!(paged, *lines);
    Ok(())
}

async fn statement_of_a_period_begins_where_the_one_before_ends(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 0)]).await?;
    for amount in 1..=9 {
        alice.recharge("USD", amount).await?.expect(201)?;
    }
    let whole = statement(&alice, "USD", "").await?;
    let lines = whole["lines"].as_array().context("no lines")?;
    let time = |position: usize| lines[position]["at"].as_str().context("no time");
    // Every cut into two periods: both add up, and the second opens with what the first closes with.
    for cut in 0..9 {
        let at = time(cut)?;
        let before = statement(&alice, "USD", &format!("to={at}")).await?;
        let after = statement(&alice, "USD", &format!("from={at}")).await?;
        ensure_eq!(before["lines"].as_array().map(Vec::len), Some(cut));
        ensure_eq!(after["lines"].as_array().map(Vec::len), Some(9 - cut));
        ensure_eq!(before["closing_balance"], after["opening_balance"]);
        ensure_eq!(after["closing_balance"], json!(45));
    }
    let middle = statement(&alice, "USD", &format!("from={}&to={}", time(3)?, time(6)?)).await?;
    ensure_eq!(middle["opening_balance"], json!(6));
    ensure_eq!(middle["closing_balance"], json!(21));
    // Before there was anything, after everything, and the wrong way round.
    let early = statement(&alice, "USD", "to=2020-01-01T00:00:00Z").await?;
    ensure_eq!(
        (early["opening_balance"].clone(), early["closing_balance"].clone()),
        (json!(0), json!(0))
    );
    let late = statement(&alice, "USD", "from=2099-01-01T00:00:00Z").await?;
    ensure_eq!(
        (late["opening_balance"].clone(), late["closing_balance"].clone()),
        (json!(45), json!(45))
    );
    let reversed = statement(&alice, "USD", &format!("from={}&to={}", time(6)?, time(3)?)).await?;
    ensure_eq!(reversed["lines"], json!([]));
    let unknown = alice.api.get(&alice.path("wallets/987654321/statement")).await?;
    unknown.expect_problem(404, "wallet-not-found")?;
    for query in [
        "limit=0",
        "limit=10001",
        "from=yesterday",
        "format=pdf",
        "cursor=x",
    ] {
        let answer = alice.api.get(&path(&alice, "USD", query)?).await?;
        answer.expect_problem(400, "malformed-request").context(query)?;
    }
    Ok(())
}

async fn statements_add_up_while_transfers_run(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 100_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 100_000)]).await?;
    let pay = async |from: &WalletClient, to: &WalletClient| {
        for amount in 1..=40 {
            from.transfer("USD", to, json!({ "amount": amount }))
                .await?
                .expect(201)?;
            if amount % 5 == 0 {
                let asked = from.withdraw("USD", amount).await?.expect(201)?;
                from.settle(&asked.body["transaction_id"], "failed")
                    .await?
                    .expect(200)?;
            }
        }
        Result::<()>::Ok(())
    };
    let read = async |client: &WalletClient| {
        for _ in 0..30 {
            statement(client, "USD", "").await?;
            let csv = client
                .api
                .get(&path(client, "USD", "format=csv")?)
                .await?
                .expect(200)?;
            let rows = rows(&csv)?;
            let lines = rows.iter().filter(|row| row["row"] == "line");
            let amounts = lines.map(|row| Ok(row["amount"].as_str().context("no amount")?.parse::<i64>()?));
            let sum = amounts.sum::<Result<i64>>()?;
            ensure_eq!(rows[rows.len() - 1]["balance"], json!(sum.to_string()));
        }
        Result::<()>::Ok(())
    };
    futures::try_join!(pay(&alice, &bob), pay(&bob, &alice), read(&alice), read(&bob))?;
    ensure_eq!(
        statement(&alice, "USD", "").await?["closing_balance"],
        json!(100_000)
    );
    Ok(())
}

async fn payments_are_listed_by_filter_and_page(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000), ("EUR", 500)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    alice
        .transfer("USD", &bob, json!({ "amount": 100 }))
        .await?
        .expect(201)?;
    alice.withdraw("EUR", 50).await?.expect(201)?;
    let all = alice.payments().await?;
    ensure_eq!(all.len(), 4);
    let times: Vec<&str> = all
        .iter()
        .filter_map(|payment| payment["created_at"].as_str())
        .collect();
    ensure!(
        times.is_sorted_by(|newer, older| newer >= older),
        "not newest first: {times:?}"
    );
    let usd = alice.wallet("USD")?;
    let filters = [
        ("type=transfer".to_owned(), 1),
        ("type=recharge".to_owned(), 2),
        ("status=pending".to_owned(), 1),
        ("status=failed".to_owned(), 0),
        (format!("wallet_id={usd}"), 2),
        (format!("wallet_id={usd}&type=recharge&status=done"), 1),
        (format!("from={}", times[1]), 2),
        (format!("to={}", times[1]), 2),
        (format!("from={}&to={}", times[3], times[0]), 3),
    ];
    for (query, expected) in filters {
        let answer = alice
            .api
            .get(&alice.path(&format!("payments?{query}")))
            .await?
            .expect(200)?;
        ensure_eq!(
            answer.body["items"].as_array().map(Vec::len),
            Some(expected),
            "{query}"
        );
    }
    let first = alice
        .api
        .get(&alice.path("payments?limit=3"))
        .await?
        .expect(200)?;
    let cursor = first.body["next_cursor"].as_str().context("no cursor")?;
    let second = alice
        .api
        .get(&alice.path(&format!("payments?limit=3&cursor={cursor}")))
        .await?
        .expect(200)?;
    ensure_eq!(second.body["next_cursor"], json!(null));
    let pages = [first, second].map(|page| page.body["items"].as_array().cloned().unwrap_or_default());
    ensure_eq!(pages.concat(), all);
    let unknown = try_join_all(
        [
            "type=gift",
            "status=maybe",
            "wallet_id=0",
            "limit=101",
            "colour=red",
        ]
        .map(|query| {
            let path = alice.path(&format!("payments?{query}"));
            let api = alice.api.clone();
            async move { api.get(&path).await }
        }),
    );
    for answer in unknown.await? {
        answer.expect_problem(400, "malformed-request")?;
    }
    Ok(())
}
