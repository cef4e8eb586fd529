//! Clients that aren't ours, or that are generated: the TypeScript client of the HTTP API, and one of GraphQL from npm.

use std::{process::Stdio, sync::Arc};

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, root, scenarios};
use serde_json::json;
use tokio::process::Command;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![clients_of_others_work_as_the_readme_says]
}

/// Where npm has put what the lines of the README import.
const READMES_LINES: &str = "clients/typescript/dist/readme.mjs";

/// The client loses answers and deposits once; the README's lines deposit as well.
async fn clients_of_others_work_as_the_readme_says(fixture: Arc<Fixture>) -> Result {
    run(Command::new(root().join("infra/tools/clients.sh"))).await?;
    let tester = fixture.customer().await?;
    readmes_lines(&fixture, &tester)?;
    let token = fixture
        .cloud
        .mint_token(json!({ "profile_id": tester.customer.profile_id }))?;
    let customer = json!({
        "trading_account_id": tester.customer.trading_account_id,
        "bank_account_id": tester.customer.bank_account_id,
    });
    let node = |script: &str| {
        let mut node = Command::new("node");
        node.arg(root().join(script))
            .env("MONETA_URL", fixture.cloud.url())
            .env("MONETA_TOKEN", &token)
            .env("TOKEN", &token)
            .env("CUSTOMER", customer.to_string());
        node
    };
    run(node("clients/typescript/test/end-to-end.mjs")).await?;
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    run(node(READMES_LINES)).await?;
    ensure_eq!(fixture.deposits_of(&tester).len(), 2);
    Ok(())
}

/// Takes the lines out of the README, for this customer instead of the first one.
fn readmes_lines(fixture: &Fixture, tester: &Tester) -> Result {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let (_, rest) = readme
        .split_once("```js\n")
        .context("the README has no lines to paste")?;
    let lines = rest.split("```").next().unwrap_or_default();
    // Debian 12 has Node.js 18, which lacks it.
    let mut script =
        "import { webcrypto } from 'node:crypto';\nglobalThis.crypto ??= webcrypto;\n".to_owned();
    script.push_str(lines);
    let (account, bank) = (
        tester.customer.trading_account_id,
        tester.customer.bank_account_id,
    );
    for (written, own) in [
        ("http://localhost:9400", fixture.cloud.url()),
        ("account: '1'", format!("account: '{account}'")),
        ("bank: '1'", format!("bank: '{bank}'")),
    ] {
        ensure!(script.contains(written), "the README's lines lack {written}");
        script = script.replace(written, &own);
    }
    Ok(std::fs::write(root().join(READMES_LINES), script)?)
}

/// Runs a program that has to succeed.
async fn run(mut program: Command) -> Result {
    let program = program.stdin(Stdio::null()).kill_on_drop(true);
    let output = program.output().await.context("Node.js and npm are needed")?;
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}
