//! Schemathesis reads the API's description and looks for answers that differ from it.
//!
//! It gets a copy that is narrowed to one customer's accounts and cursors, so that requests which fit succeed too.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::Arc,
};

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Scenario, Tester, options, root, run_scenarios,
    traces::{Traces, no_function_has_died},
};
use local_cloud::sandboxes::drivewealth::status;
use serde_json::{Value, json};
use tokio::process::Command;

/// What is checked of every answer, and why the others aren't.
///
/// Not checked: `unsupported_method`, because API Gateway answers 404, not 405, to a method without a route;
/// `allow_header_conformance`, which goes with it; `use_after_free` and `ensure_resource_availability`, because nothing can
/// be deleted, or read by an id, yet; `object_level_authorization`, which needs two users' objects behind ids in paths
/// (tests/access.rs does that).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,positive_data_acceptance,\
                      missing_required_header,ignored_auth";

/// A request that fits the description may still be refused for what it asks for, but never as malformed (400).
const SETTINGS: &str = r#"
hooks = "hooks.py"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "409", "413", "415", "422"]

[checks.missing_required_header]
expected-statuses = ["400"]
"#;

/// To JSON Schema `100.0` is an integer, so no description can exclude it; the operations take whole numbers only as such.
const HOOKS: &str = r#"
import schemathesis

@schemathesis.hook
def filter_body(context, body):
    values = body.values() if isinstance(body, dict) else []
    return not any(isinstance(value, float) and value.is_integer() for value in values)
"#;

fn main() -> ExitCode {
    let scenarios = vec![Scenario::alone("the_api_is_as_described", run)];
    run_scenarios("schemathesis", options(), scenarios)
}

async fn run(fixture: Arc<Fixture>) -> Result {
    let program = installed().await?;
    let tester = fixture.customer().await?;
    let folder = tempfile::tempdir()?;
    let document = narrowed(&fixture, &tester).await?;
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, document.to_string())?;
    let settings = folder.path().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS)?;
    std::fs::write(folder.path().join("hooks.py"), HOOKS)?;
    let token = fixture
        .cloud
        .mint_token(json!({ "profile_id": tester.customer.profile_id }))?;
    let output = Command::new(program)
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(&settings)
        .arg("run")
        .arg(&description)
        .args(["--url", &fixture.cloud.url()])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing"])
        // Two workers stumble over each other inside schemathesis now and then (KeyError in its own sources).
        .args(["--max-examples", "50", "--seed", "1", "--workers", "1"])
        .args([
            "--generation-database",
            "none",
            "--no-color",
            "--continue-on-failure",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}\n{errors}");
    no_function_has_died(&fixture).await?;
    let made = tester.flows().await?.len();
    ensure!(made > 2, "no request of schemathesis came through: {report}");
    // Everything it made is sound in the end.
    Traces::take(&fixture).await?;
    Ok(())
}

/// The program, installed if it is missing.
async fn installed() -> Result<PathBuf> {
    let program = root().join(".local/tools/schemathesis/bin/schemathesis");
    if !program.exists() {
        let script = root().join("infra/tools/python-tools.sh");
        let status = Command::new(&script).arg("schemathesis").status().await;
        let status = status.with_context(|| script.display().to_string())?;
        ensure!(status.success(), "{} schemathesis failed", shown(&script));
    }
    Ok(program.canonicalize()?)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The description with the accounts and cursors of a customer in the place of all possible ones.
async fn narrowed(fixture: &Fixture, tester: &Tester) -> Result<Value> {
    let mut document = fixture.api(None)?.get("/openapi.json").await?.expect(200)?.body;
    for schema in ["DepositRequest", "WithdrawalRequest"] {
        let properties = &mut document["components"]["schemas"][schema]["properties"];
        ensure!(properties.is_object(), "no schema {schema}");
        properties["trading_account_id"]["enum"] = json!([tester.customer.trading_account_id]);
        properties["bank_account_id"]["enum"] = json!([tester.customer.bank_account_id]);
    }
    settled_deposits(fixture, tester).await?;
    for path in ["/trading/history/money-flow", "/notifications"] {
        let page = tester.api.get(&format!("{path}?limit=1")).await?.expect(200)?;
        let cursor = page.body["next_cursor"]
            .as_str()
            .with_context(|| format!("{path} has one page"))?;
        let parameters = document["paths"][path]["get"]["parameters"].as_array_mut();
        let parameter = parameters
            .into_iter()
            .flatten()
            .find(|parameter| parameter["name"] == "cursor");
        parameter.context("no cursor")?["schema"]["enum"] = json!([cursor]);
    }
    Ok(document)
}

/// Two deposits that have come to their end, so that each list has a second page.
async fn settled_deposits(fixture: &Fixture, tester: &Tester) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    for cents in [100, 200] {
        tester.deposit(cents).await?.expect(201)?;
    }
    for deposit in drivewealth.deposits() {
        drivewealth.advance(&deposit.id, status::SUCCESSFUL)?;
    }
    tester.feed_reaches(2).await?;
    Ok(())
}
