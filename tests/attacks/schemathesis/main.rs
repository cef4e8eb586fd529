//! Schemathesis reads the API's description and looks for answers that differ from it.
//!
//! It gets a copy that is narrowed to one customer's accounts, one client's wallets and their cursors, so that requests
//! which fit succeed too.
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
use chrono::Utc;
use end_to_end::wallets::new_key;
use end_to_end::{
    Api, Fixture, Result, Scenario, Suite, Tester,
    billing::VISA,
    dealers::{company, dealers_service},
    ensure_eq, is_soak, options, root, run_suites, scenarios,
    traces::{Traces, no_function_has_died},
};
use local_cloud::sandboxes::drivewealth::{DocumentKind, status};
use serde_json::{Value, json};
use tokio::process::Command;

/// What is checked of every answer, and why the others aren't.
///
/// Not checked: `unsupported_method`, because API Gateway answers 404, not 405, to a method without a route;
/// `allow_header_conformance`, which goes with it; `use_after_free` and `ensure_resource_availability`, because what can
/// be deleted (a device, a card), or was made by a request, is read by no id; `object_level_authorization`, which needs
/// two users' objects behind ids in paths (tests/attacks/access does that). Webhooks aren't tried at all: without a signature
/// there is one answer to everything (tests/attacks/hostile_input has it).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,positive_data_acceptance,\
                      missing_required_header,ignored_auth";

/// A request that fits the description may still be refused for what it asks for, but never as malformed (400).
const SETTINGS: &str = r#"
hooks = "hooks.py"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "402", "404", "409", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "409", "413", "415", "422"]

[checks.missing_required_header]
expected-statuses = ["400"]
"#;

/// To JSON Schema `100.0` is an integer, so no description can exclude it; the operations take whole numbers only as such.
/// In a path there are only texts: what was meant as a number may name a dealer who was registered before.
const HOOKS: &str = r#"
import schemathesis

def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, float) else []

@schemathesis.hook
def filter_body(context, body):
    return not any(number.is_integer() for number in numbers(body))

def is_word(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return value not in (True, False, None, "true", "false", "null")
    return False

@schemathesis.hook
def filter_case(context, case):
    return is_word((case.path_parameters or {}).get("cme_client_id", "word"))
"#;

/// Where the paths of each scenario begin.
const OPERATORS: &[&str] = &["admin/reviews"];
const DEALERS: &[&str] = &["dealers"];
const TRADERS: &[&str] = &[
    "tiers",
    "funded-accounts",
    "payout-account",
    "withdrawals",
    "admin/funded-accounts",
    "admin/withdrawals",
];
const APP: &[&str] = &["trading", "notifications", "billing", "profile/"];
const WALLETS: &[&str] = &["clients", "transfers", "exchange-rates", "profiles"];

fn main() -> ExitCode {
    run_suites([Suite::new("schemathesis", options(), [scenarios()])])
}

fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(api_of_the_app_answers_as_described),
        api_of_the_wallets_answers_as_described,
        api_of_funded_accounts_answers_as_described,
        api_of_operators_answers_as_described,
        api_of_dealers_answers_as_described,
    ]
}

async fn api_of_the_app_answers_as_described(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let document = of_customer(&fixture, &tester).await?;
    let claims = json!({ "profile_id": tester.customer.profile_id, "scope": "internal" });
    let visits = fixture.cloud.stripe().checkout_sessions().len();
    let report = run(&fixture, &document, claims, APP).await?;
    let made = tester.flows().await?.len();
    ensure!(made > 2, "no request of schemathesis came through: {report}");
    let made = fixture.cloud.stripe().checkout_sessions().len();
    ensure!(
        made > visits,
        "no checkout session of schemathesis came through: {report}"
    );
    // Everything it made is sound in the end.
    Traces::take(&fixture).await?;
    Ok(())
}

async fn api_of_the_wallets_answers_as_described(fixture: Arc<Fixture>) -> Result {
    let claims = json!({ "scope": "wallets internal", "groups": ["admin"], "sub": "operator" });
    let service = fixture.api(Some(claims.clone()))?;
    let document = of_client(&fixture, &service).await?;
    let before = payments(&fixture).await?;
    let report = run(&fixture, &document, claims, WALLETS).await?;
    let made: Vec<i64> = payments(&fixture)
        .await?
        .into_iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    ensure!(
        made.iter().all(|made| *made > 0),
        "not all came through, {made:?} recharges, withdrawals, transfers: {report}"
    );
    // Everything it made is sound in the end.
    let reconciled = fixture.run("reconcile_wallets", json!({})).await?;
    ensure_eq!(reconciled.payload["differences"], 0, "{}", reconciled.payload);
    Ok(())
}

async fn api_of_funded_accounts_answers_as_described(fixture: Arc<Fixture>) -> Result {
    let trader = fixture
        .trader_with_profit(10_000_000, end_to_end::withdrawals::PAYS)
        .await?;
    let withdrawal = trader.withdrawal(10_000).await?;
    fixture
        .put_tier("behind-the-first", &end_to_end::funded::tier())
        .await?;
    let mut document = described(&fixture).await?;
    in_paths(
        &mut document,
        TRADERS,
        &[
            ("tier_id", json!(["made-by-schemathesis", "another"])),
            ("funded_account_id", json!([trader.account])),
            ("withdrawal_id", json!([withdrawal, withdrawal + 1])),
        ],
    )?;
    narrow(
        &mut document,
        "TierRequest",
        "daily_reset_zone",
        json!(["America/New_York", "Europe/Prague", null]),
    )?;
    second_page(&mut document, "/tiers", "/tiers", &trader.api).await?;
    for list in [
        "/funded-accounts",
        "/funded-accounts/{funded_account_id}/withdrawals",
        "/admin/withdrawals/pending",
    ] {
        without_cursor(&mut document, list)?;
    }
    let claims =
        json!({ "user_id": trader.user_id, "scope": "internal", "groups": ["admin"], "sub": "operator" });
    let report = run(&fixture, &document, claims, TRADERS).await?;
    let made = "SELECT count(*) FROM tiers WHERE id IN ('made-by-schemathesis', 'another') AND starting_balance_cents > $1";
    ensure!(
        fixture.database.count(made, 0).await? > 0,
        "no tier of schemathesis came through: {report}"
    );
    Ok(())
}

async fn api_of_operators_answers_as_described(fixture: Arc<Fixture>) -> Result {
    let mut document = described(&fixture).await?;
    let reviews = [
        fixture.review("invoice-9000001").await?,
        fixture.review("invoice-9000002").await?,
    ];
    narrow(&mut document, "DecisionRequest", "action", json!(["keep-owed"]))?;
    narrow(&mut document, "DecisionRequest", "parameters", json!([{}]))?;
    in_paths(&mut document, OPERATORS, &[("review_id", json!(reviews))])?;
    let operator = fixture.operator("operator")?;
    second_page(&mut document, "/admin/reviews", "/admin/reviews", &operator).await?;
    let claims = json!({ "groups": ["admin"], "sub": "operator" });
    let report = run(&fixture, &document, claims, OPERATORS).await?;
    let decided = "SELECT count(*) FROM reviews WHERE decisions > 0 AND id <= $1";
    ensure!(
        fixture.database.count(decided, i64::MAX).await? > 0,
        "no decision of schemathesis came through: {report}"
    );
    Ok(())
}

async fn api_of_dealers_answers_as_described(fixture: Arc<Fixture>) -> Result {
    let mut document = described(&fixture).await?;
    let dealer = fixture.dealer_with_fast_buyout().await?;
    let bills = [dealer.owes_issued(100).await?, dealer.owes_issued(200).await?];
    // Numbers that fit each other: those that are made by chance never do. Any text is a name or an address.
    let is_free = |field: &str| ["name", "legal_address", "signatory"].contains(&field);
    let company = company();
    let fields = company.as_object().context("no fields")?.iter();
    for (field, value) in fields.filter(|(field, _)| !is_free(field)) {
        narrow(&mut document, "RequisiteRequest", field, json!([value]))?;
    }
    narrow(
        &mut document,
        "CreateBillRequest",
        "operation",
        json!(["GET_REWARD"]),
    )?;
    narrow(&mut document, "CreateBillRequest", "amount", json!([null]))?;
    in_paths(
        &mut document,
        DEALERS,
        &[("cme_client_id", json!([dealer.name])), ("bill_id", json!(bills))],
    )?;
    let route = "/dealers/{cme_client_id}/bills";
    second_page(&mut document, route, &dealer.path("/bills"), &dealer.api).await?;
    let report = run(&fixture, &document, dealers_service(), DEALERS).await?;
    for made in [
        "SELECT count(*) - 1 FROM dealers WHERE id > $1",
        "SELECT count(*) - 2 FROM bills WHERE id > $1",
    ] {
        ensure!(
            fixture.database.count(made, 0).await? > 0,
            "{made}: none of schemathesis: {report}"
        );
    }
    fixture.dealer_books_agree().await
}

/// How many payments there are of each type.
async fn payments(fixture: &Fixture) -> Result<Vec<i64>> {
    let mut counts = Vec::new();
    for kind in 1..=3 {
        let count = "SELECT count(*) FROM payments WHERE payment_type = $1";
        counts.push(fixture.database.count(count, kind).await?);
    }
    Ok(counts)
}

/// Lets it loose on the routes under these paths, and gives its report when it has found nothing.
async fn run(fixture: &Fixture, document: &Value, claims: Value, paths: &[&str]) -> Result<String> {
    let program = installed().await?;
    let folder = tempfile::tempdir()?;
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, document.to_string())?;
    let settings = folder.path().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS)?;
    std::fs::write(folder.path().join("hooks.py"), HOOKS)?;
    let token = fixture.cloud.mint_token(claims)?;
    let max_examples = if is_soak() { "200" } else { "12" };
    let output = Command::new(program)
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(&settings)
        .arg("run")
        .arg(&description)
        .args(["--url", &fixture.cloud.url()])
        .args(["--include-path-regex", &format!("^/({})", paths.join("|"))])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing"])
        // Two workers stumble over each other inside schemathesis now and then (KeyError in its own sources).
        .args(["--max-examples", max_examples, "--seed", "1", "--workers", "1"])
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
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}\n{errors}");
    no_function_has_died(fixture).await?;
    Ok(report)
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
async fn of_customer(fixture: &Fixture, tester: &Tester) -> Result<Value> {
    let mut document = described(fixture).await?;
    fixture.list_instruments().await?;
    let collections = [
        fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?,
        fixture.collection(&[("ENPH", 10_000)]).await?,
    ];
    let mut versions = Vec::new();
    for collection in collections {
        versions.push(fixture.ended_order(tester, collection, "complete").await?);
    }
    let mut statements = Vec::new();
    for kind in [DocumentKind::Statement, DocumentKind::TradeConfirm] {
        statements.push(fixture.statement(tester, kind, "October 2026").await?);
    }
    narrow(
        &mut document,
        "ReconfigureRequest",
        "account_id",
        json!([tester.customer.trading_account_id, null]),
    )?;
    narrow(
        &mut document,
        "MoneyFlowRequest",
        "trading_account_id",
        json!([tester.customer.trading_account_id]),
    )?;
    narrow(
        &mut document,
        "MoneyFlowRequest",
        "bank_account_id",
        json!([tester.customer.bank_account_id]),
    )?;
    let bank_accounts = json!([tester.customer.bank_account_id, null]);
    narrow(
        &mut document,
        "LinkTokenRequest",
        "bank_account_id",
        bank_accounts,
    )?;
    settled_deposits(fixture, tester).await?;
    let (methods, invoices, session) = billed(fixture, tester).await?;
    for address in ["success_url", "cancel_url"] {
        let addresses = json!(["https://app.example.com/billing", "http://localhost:3000/"]);
        narrow(&mut document, "CheckoutSessionRequest", address, addresses)?;
    }
    let prices = json!(["price_basic", null]);
    narrow(&mut document, "CheckoutSessionRequest", "price_id", prices)?;
    narrow(
        &mut document,
        "PaymentMethodRequest",
        "stripe_session_id",
        json!([session]),
    )?;
    in_paths(
        &mut document,
        APP,
        &[
            ("token", json!([tester.customer.device_token])),
            // Without its bank account nothing could be deposited any more.
            ("bank_account_id", json!([999_999])),
            ("payment_method_id", methods),
            ("invoice_id", invoices),
            ("collection_id", json!(collections)),
            ("version_id", json!(versions)),
            ("statement_id", json!(statements)),
        ],
    )?;
    for path in [
        "/trading/history/money-flow",
        "/trading/history/rebalancings",
        "/trading/history",
        "/trading/statements",
        "/trading/collections",
        "/notifications",
        "/billing/invoices",
        "/billing/commissions",
    ] {
        second_page(&mut document, path, path, &tester.api).await?;
    }
    Ok(document)
}

/// The description with the ids and cursors of a client in the place of all possible ones.
async fn of_client(fixture: &Fixture, service: &Api) -> Result<Value> {
    let mut document = described(fixture).await?;
    let body = json!({ "currencies": ["USD", "EUR"] });
    let payer = service.post("/clients", &new_key(), &body).await?.expect(201)?;
    let receiver = service.post("/clients", &new_key(), &body).await?.expect(201)?;
    let (client, wallet) = (&payer.body["client_id"], &payer.body["wallets"][0]["wallet_id"]);
    let money = json!({ "wallet_id": wallet, "amount": 1_000_000 });
    let path = format!("/clients/{client}/recharges");
    service.post(&path, "first", &money).await?.expect(201)?;
    let path = format!("/clients/{client}/withdrawals");
    let money = json!({ "wallet_id": wallet, "amount": 1_000 });
    let withdrawal = service.post(&path, "first", &money).await?.expect(201)?;
    let rate = json!({ "rate": "0.9217" });
    service
        .send(
            service
                .request(reqwest::Method::PUT, "/exchange-rates/USD/EUR")
                .json(&rate),
        )
        .await?
        .expect(201)?;

    let (clients, wallets) = (json!([client]), json!([wallet]));
    for schema in ["MovementRequest", "TransferRequest", "BatchTransfer"] {
        narrow(&mut document, schema, "wallet_id", wallets.clone())?;
    }
    narrow(&mut document, "BatchTransfer", "client_id", clients.clone())?;
    for schema in ["TransferRequest", "BatchTransfer"] {
        narrow(
            &mut document,
            schema,
            "receiver_client_id",
            json!([receiver.body["client_id"]]),
        )?;
        narrow(
            &mut document,
            schema,
            "receiver_currency",
            json!(["USD", "EUR", "JPY", null]),
        )?;
    }
    // Where each transfer counts by itself, a batch is answered with 200 and the refusals in their places.
    narrow(&mut document, "TransferBatchRequest", "mode", json!(["atomic"]))?;
    // Most codes of three letters are no currency's, and refused.
    narrow(
        &mut document,
        "OpenWalletRequest",
        "currency",
        json!(["USD", "JPY", "KWD"]),
    )?;
    let currencies = "/components/schemas/RegisterClientRequest/properties/currencies/items";
    let currencies = document
        .pointer_mut(currencies)
        .context("no list of currencies")?;
    currencies["enum"] = json!(["USD", "EUR", "KWD"]);
    in_paths(
        &mut document,
        WALLETS,
        &[
            ("client_id", clients),
            ("wallet_id", wallets),
            ("profile_id", json!([900_000_002])),
            ("transaction_id", json!([withdrawal.body["transaction_id"]])),
            ("payment_id", json!([withdrawal.body["id"]])),
            ("base", json!(["USD", "EUR"])),
            ("quote", json!(["EUR", "JPY"])),
        ],
    )?;
    // With an external_ref the key is ignored, whatever it holds; a description can't say that of a header.
    let headers = document["paths"]["/clients"]["post"]["parameters"].as_array_mut();
    let key = headers.context("no key of a registration")?;
    for header in key
        .iter_mut()
        .filter(|header| header["name"] == "Idempotency-Key")
    {
        header["schema"] = json!({ "type": "string" });
    }
    let known = json!(["USD", "EUR", "JPY"]);
    in_query(
        &mut document,
        "/clients/{client_id}/quotes",
        "receiver_currency",
        known,
    )?;
    let path = format!("/clients/{client}/payments");
    second_page(&mut document, "/clients/{client_id}/payments", &path, service).await?;
    let path = format!("/clients/{client}/wallets/{wallet}/statement");
    let route = "/clients/{client_id}/wallets/{wallet_id}/statement";
    second_page(&mut document, route, &path, service).await?;
    Ok(document)
}

async fn described(fixture: &Fixture) -> Result<Value> {
    Ok(fixture.api(None)?.get("/openapi.json").await?.expect(200)?.body)
}

/// Lets the parts of these routes' paths have these values alone.
fn in_paths(document: &mut Value, begin: &[&str], known: &[(&str, Value)]) -> Result {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let is_below = |path: &str, begin: &str| {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(begin));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let paths = paths.filter(|(path, _)| begin.iter().any(|begin| is_below(path, begin)));
    for (_, operation) in paths.flat_map(|(_, methods)| methods.as_object_mut().into_iter().flatten()) {
        let parameters = operation["parameters"].as_array_mut().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
            let known = known.iter().find(|(name, _)| parameter["name"] == *name);
            let (_, values) = known.with_context(|| format!("what is {}?", parameter["name"]))?;
            parameter["schema"]["enum"] = values.clone();
        }
    }
    Ok(())
}

/// Lets a property have these values alone.
fn narrow(document: &mut Value, schema: &str, property: &str, values: Value) -> Result {
    let property = &mut document["components"]["schemas"][schema]["properties"][property];
    ensure!(property.is_object(), "{schema} has no such property");
    property["enum"] = values;
    Ok(())
}

/// Lets the route's cursor be the one of its second page alone.
async fn second_page(document: &mut Value, route: &str, path: &str, api: &Api) -> Result {
    let page = api.get(&format!("{path}?limit=1")).await?.expect(200)?;
    let cursor = page.body["next_cursor"]
        .as_str()
        .with_context(|| format!("{path} has one page"))?;
    let cursor = json!([cursor]);
    in_query(document, route, "cursor", cursor)
}

/// Lets a parameter of a route that reads have these values alone.
fn in_query(document: &mut Value, route: &str, name: &str, values: Value) -> Result {
    let parameters = document["paths"][route]["get"]["parameters"].as_array_mut();
    let mut parameters = parameters.into_iter().flatten();
    let parameter = parameters.find(|parameter| parameter["name"] == name);
    parameter.with_context(|| format!("no {name}"))?["schema"]["enum"] = values;
    Ok(())
}

/// Leaves the cursor out of a list that has one page.
fn without_cursor(document: &mut Value, route: &str) -> Result {
    let parameters = document["paths"][route]["get"]["parameters"].as_array_mut();
    parameters
        .context("no parameters")?
        .retain(|parameter| parameter["name"] != "cursor");
    Ok(())
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

/// Cards, invoices of which two are paid, so that each list has a second page, and the session that saved the first card.
async fn billed(fixture: &Fixture, tester: &Tester) -> Result<(Value, Value, String)> {
    let session = tester.checkout().await?;
    fixture.cloud.stripe().complete_checkout(&session, VISA)?;
    let first = tester.add_method(&session).await?.body["id"].clone();
    let second = tester.save_card(fixture, VISA).await?;
    let mut invoices = Vec::new();
    for cents in [800, 900] {
        let invoice = fixture.invoice(tester, cents).await?;
        fixture.pay(invoice, Utc::now()).await?;
        fixture.invoice_reaches(invoice, "paid").await?;
        invoices.push(invoice);
    }
    invoices.push(fixture.invoice(tester, 1_000).await?);
    Ok((json!([first, second]), json!(invoices), session))
}
