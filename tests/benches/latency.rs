//! Cold starts, warm latency and memory of two operations beside a hello-world function, on one local cloud with the
//! artifacts that are deployed. `make bench`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use end_to_end::customers::{Backends, NewCustomer};
use local_cloud::{LocalCloud, Options};
use serde_json::{Value, json};

const COLD_STARTS: usize = 20;
const WARM_CALLS: usize = 500;
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
    options.binaries = artifacts(&root, lab.path())?;
    options.template = template(&root, lab.path())?;
    options.event_sources = false;
    let cloud = LocalCloud::start(options).await?;
    let outcome = measure_all(&cloud, &root).await;
    cloud.stop().await;
    print(&outcome?);
    Ok(())
}

/// The artifacts under their operations' names, as the local cloud looks for them.
fn artifacts(root: &Path, lab: &Path) -> anyhow::Result<PathBuf> {
    let folder = lab.join("binaries");
    std::fs::create_dir(&folder)?;
    for entry in std::fs::read_dir(root.join("target/lambda")).context("run `make build` first")? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path().join("bootstrap"), folder.join(entry.file_name()))?;
    }
    Ok(folder)
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

async fn measure_all(cloud: &LocalCloud, root: &Path) -> anyhow::Result<Vec<Measured>> {
    cloud.drivewealth().auto_advance(None);
    let balance = i64::MAX / 4;
    let new = NewCustomer {
        bank_balance_cents: balance,
        ..NewCustomer::default()
    };
    let customer = Backends::of(cloud)?.add_customer(&new).await?;
    let token = cloud.mint_token(json!({ "profile_id": customer.profile_id }))?;
    let deposit = json!({
        "trading_account_id": customer.trading_account_id,
        "bank_account_id": customer.bank_account_id,
        "amount_cents": 100,
    });
    let calls = [
        ("hello_world", "/hello", None),
        ("get_trading_profile", "/trading/profile", None),
        ("deposit_funds", "/trading/deposits", Some(deposit)),
    ];
    let mut measured = Vec::new();
    for (operation, path, body) in calls {
        measured.push(measure(cloud, root, operation, path, body.as_ref(), &token).await?);
    }
    Ok(measured)
}

async fn measure(
    cloud: &LocalCloud,
    root: &Path,
    operation: &'static str,
    path: &str,
    body: Option<&Value>,
    token: &str,
) -> anyhow::Result<Measured> {
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
        ensure!(status < 300, "{operation} answered {status}: {text}");
        Ok(begun.elapsed())
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
    let artifact_bytes =
        std::fs::metadata(root.join("target/lambda").join(operation).join("bootstrap"))?.len();
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
