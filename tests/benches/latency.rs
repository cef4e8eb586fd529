//! Cold starts, warm latency and memory of some operations beside a hello-world function, on one local cloud with the
//! artifacts that are deployed. `make bench`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use end_to_end::Fixture;
use end_to_end::collections::Investor;
use end_to_end::measured::{binaries, machine};
use local_cloud::Options;
use serde_json::{Value, json};

const COLD_STARTS: usize = 20;
const WARM_CALLS: usize = 500;
const MEASURED: [&str; 5] = [
    "hello_world",
    "get_trading_profile",
    "get_actual_holdings",
    "reconfigure_ttf_holdings",
    "deposit_funds",
];
/// Nobody has hundreds of orders that wait.
const NO_ORDERS: &str = "UPDATE trading_collection_versions SET status = 'cancelled', settled_at = created_at \
                         WHERE status = 'pending' AND $1 = 0";
/// Nor is a bank asked hundreds of times a day: there is a limit.
const NO_CALLS: &str = "DELETE FROM paid_calls WHERE $1 = 0";
const HELLO: &str = "
  HelloWorld:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/hello_world/
      Timeout: 20
      Environment: {Variables: {STAGE: !Ref Stage, RUST_LOG: info}}
  HelloWorldIntegration: {Type: 'AWS::ApiGatewayV2::Integration', Properties: {IntegrationUri: !GetAtt HelloWorld.Arn}}
  HelloWorldRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      RouteKey: GET /hello
      Target: integrations/HelloWorldIntegration
      AuthorizationType: JWT
      AuthorizerId: !Ref JwtAuthorizer
";

struct Measured {
    operation: &'static str,
    cold: Vec<Duration>,
    warm: Vec<Duration>,
    memory_kib: u64,
    artifact_bytes: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?
        .to_owned();
    let lab = tempfile::tempdir()?;
    let mut options = Options::for_tests(&root);
    let binaries = binaries(&root, lab.path(), &MEASURED)?;
    options.binaries.clone_from(&binaries);
    options.template = template(&root, lab.path())?;
    options.event_sources = false;
    let fixture = Fixture::start(options).await?;
    let outcome = measure_all(&fixture, &binaries).await;
    fixture.stop().await;
    println!("{}", machine());
    print(&outcome?);
    Ok(())
}

/// The deployed template with a hello-world function more.
fn template(root: &Path, lab: &Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(root.join("infra/template.yaml"))?;
    let text = text.replacen("\nResources:\n", &format!("\nResources:\n{HELLO}"), 1);
    let areas = format!("TemplateURL: {}/infra/areas/", root.display());
    let text = text.replace("TemplateURL: areas/", &areas);
    let file = lab.join("template.yaml");
    std::fs::write(&file, text)?;
    Ok(file)
}

async fn measure_all(fixture: &Fixture, binaries: &Path) -> anyhow::Result<Vec<Measured>> {
    fixture.cloud.drivewealth().auto_advance(None);
    fixture.list_instruments().await?;
    let Investor { tester, first, .. } = fixture.investor().await?;
    let customer = &tester.customer;
    let token = fixture
        .cloud
        .mint_token(json!({ "profile_id": customer.profile_id }))?;
    let deposit = json!({
        "trading_account_id": customer.trading_account_id,
        "bank_account_id": customer.bank_account_id,
        "amount_cents": 100,
    });
    let order = json!({ "absolute_amount_delta_cents": 100 });
    let (holdings, orders) = (
        format!("/trading/collections/{first}/holdings"),
        format!("/trading/collections/{first}/versions"),
    );
    let calls = [
        ("hello_world", "/hello", None),
        ("get_trading_profile", "/trading/profile", None),
        ("get_actual_holdings", &holdings, None),
        ("reconfigure_ttf_holdings", &orders, Some(order)),
        ("deposit_funds", "/trading/deposits", Some(deposit)),
    ];
    let mut measured = Vec::new();
    for (operation, path, body) in calls {
        measured.push(measure(fixture, binaries, operation, path, body.as_ref(), &token).await?);
    }
    Ok(measured)
}

async fn measure(
    fixture: &Fixture,
    binaries: &Path,
    operation: &'static str,
    path: &str,
    body: Option<&Value>,
    token: &str,
) -> anyhow::Result<Measured> {
    let cloud = &fixture.cloud;
    let http = local_cloud::http_client()?;
    let url = format!("{}{path}", cloud.url());
    let call = || async {
        let key = format!("{operation}-{:?}-{}", Instant::now(), std::process::id()).replace(' ', "");
        let request = match body {
            Some(body) => http.post(&url).json(body).header("Idempotency-Key", key),
            None => http.get(&url),
        };
        let begun = Instant::now();
        let response = request.bearer_auth(token).send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let took = begun.elapsed();
        ensure!(status < 300, "{operation} answered {status}: {text}");
        for afresh in [NO_ORDERS, NO_CALLS] {
            fixture.database.change(afresh, 0).await?;
        }
        Ok(took)
    };
    call().await?;
    let mut cold = Vec::new();
    for _ in 0..COLD_STARTS {
        cloud.kill(operation).await?;
        cold.push(call().await?);
    }
    let mut warm = Vec::new();
    for _ in 0..WARM_CALLS {
        warm.push(call().await?);
    }
    let memory_kib = memory_of(operation)?;
    let artifact_bytes = std::fs::metadata(binaries.join(operation))?.len();
    cold.sort();
    warm.sort();
    Ok(Measured {
        operation,
        cold,
        warm,
        memory_kib,
        artifact_bytes,
    })
}

/// Resident memory of the idle process that runs the operation's artifact.
fn memory_of(operation: &str) -> anyhow::Result<u64> {
    for entry in std::fs::read_dir("/proc")? {
        let folder = entry?.path();
        let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let program = String::from_utf8_lossy(&command);
        let program = program.split('\0').next().unwrap_or_default();
        if !program.ends_with(&format!("/{operation}")) {
            continue;
        }
        let status = std::fs::read_to_string(folder.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?;
        return Ok(kib.parse()?);
    }
    Ok(0)
}

fn print(measured: &[Measured]) {
    println!("| operation | cold p50 | cold max | warm p50 | warm p99 | idle memory | artifact |");
    println!("|---|---|---|---|---|---|---|");
    for row in measured {
        println!(
            "| {} | {} | {} | {} | {} | {}.{} MB | {}.{} MB |",
            row.operation,
            milliseconds(percentile(&row.cold, 50)),
            milliseconds(percentile(&row.cold, 100)),
            milliseconds(percentile(&row.warm, 50)),
            milliseconds(percentile(&row.warm, 99)),
            row.memory_kib / 1024,
            row.memory_kib % 1024 * 10 / 1024,
            row.artifact_bytes / 1_000_000,
            row.artifact_bytes % 1_000_000 / 100_000,
        );
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last * percent).div_ceil(100))
        .copied()
        .unwrap_or_default()
}

fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}
