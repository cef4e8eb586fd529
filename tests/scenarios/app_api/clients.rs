//! Clients that aren't ours, or that are generated: the TypeScript client of the HTTP API, and one of GraphQL from npm.

use std::{process::Stdio, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, root, scenarios};
use serde_json::json;
use tokio::process::Command;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![typescript_client_loses_answers_and_deposits_once]
}

async fn typescript_client_loses_answers_and_deposits_once(fixture: Arc<Fixture>) -> Result {
    run(Command::new(root().join("infra/tools/clients.sh"))).await?;
    let tester = fixture.customer().await?;
    let token = fixture
        .cloud
        .mint_token(json!({ "profile_id": tester.customer.profile_id }))?;
    let customer = json!({
        "trading_account_id": tester.customer.trading_account_id,
        "bank_account_id": tester.customer.bank_account_id,
    });
    let mut node = Command::new("node");
    node.arg(root().join("clients/typescript/test/end-to-end.mjs"))
        .env("MONETA_URL", fixture.cloud.url())
        .env("MONETA_TOKEN", token)
        .env("CUSTOMER", customer.to_string());
    run(node).await?;
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    Ok(())
}

/// Runs a program that has to succeed.
async fn run(mut program: Command) -> Result {
    let program = program.stdin(Stdio::null()).kill_on_drop(true);
    let output = program.output().await.context("Node.js and npm are needed")?;
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}
