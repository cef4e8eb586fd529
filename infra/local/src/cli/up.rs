//! `moneta up`.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::{StartArguments, StopSignal, build};
use crate::{
    cloud::LocalCloud,
    options::Options,
    progress::{self, in_words, say},
    template::{Locals, Template},
    util::database_url::DATABASE_URL,
};

/// The variable with the address of the local cloud, for the program that runs once it is up. `DATABASE_URL` has that of
/// its database.
pub const URL_VARIABLE: &str = "MONETA_URL";
/// The program that adds the first customer.
const SEED: &str = "first_customer";

pub(super) async fn up(root: &Path, arguments: &StartArguments) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let mut options = Options::for_development(root);
    options.port = Some(arguments.port);
    options.fresh = arguments.fresh;
    options.wallet_nodes = arguments.wallet_nodes;
    options.redelivery_after = arguments.redelivery_after.map(Duration::from_secs);
    prepare(&options, arguments.no_build).await?;
    say("Starting the local cloud");
    let mut stop = StopSignal::new()?;
    let cloud = tokio::select! {
        cloud = LocalCloud::start(options) => cloud?,
        () = stop.wait() => return Ok(true),
    };
    introduce(&cloud, begun);
    let introduced = tokio::select! {
        introduced = run_on_ready(&cloud, arguments.on_ready.as_deref()) => introduced,
        () = stop.wait() => return finish(cloud, &mut stop).await,
    };
    if let Err(error) = introduced {
        progress::warn(format_args!("{error:#}"));
    }
    say("\nCtrl-C stops everything. In another terminal: target/debug/moneta --help");
    stop.wait().await;
    finish(cloud, &mut stop).await
}

async fn finish(cloud: LocalCloud, stop: &mut StopSignal) -> anyhow::Result<bool> {
    say("\nStopping");
    let begun = Instant::now();
    tokio::select! {
        () = cloud.stop() => say(format_args!("Stopped ({})", in_words(begun.elapsed()))),
        // A second signal ends at once.
        () = stop.wait() => {}
    }
    Ok(true)
}

/// Builds the functions, or at least makes sure that they are there.
pub(super) async fn prepare(options: &Options, no_build: bool) -> anyhow::Result<()> {
    if !no_build {
        build::build(&options.root).await?;
    }
    let template = Template::load(&options.template, &Locals::default())?;
    build::check(
        options,
        template.functions.into_iter().map(|function| function.binary),
    )
}

fn introduce(cloud: &LocalCloud, begun: Instant) {
    let url = cloud.url();
    let took = in_words(begun.elapsed());
    say(format_args!("\nThe local cloud is up ({took}).\n"));
    say(format_args!("  API            {url}"));
    say(format_args!("  Documentation  {url}/docs"));
    say(format_args!(
        "  Tokens' issuer {url}/.well-known/openid-configuration"
    ));
    say(format_args!(
        "  Lambda         aws lambda invoke --endpoint-url {url}"
    ));
    say(format_args!("  Status         {url}/local/status"));
    say(format_args!("  Sandboxes      {}", cloud.sandboxes_url()));
    say(format_args!("  Mails          {}/mail", cloud.sandboxes_url()));
    say("  Database       psql \"$(cat .local/cloud/database-url)\"");
    for node in 1..cloud.wallet_node_urls().len() {
        say(format_args!(
            "  Wallets' node {node} psql \"$(cat .local/cloud/wallet-node-{node}/database-url)\""
        ));
    }
}

/// Runs the program that prepares and shows the first calls.
async fn run_on_ready(cloud: &LocalCloud, program: Option<&Path>) -> anyhow::Result<()> {
    match program {
        Some(program) => run_program(cloud, program, Stdio::inherit()).await,
        None => Ok(()),
    }
}

async fn run_program(cloud: &LocalCloud, program: &Path, output: Stdio) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let run = command
        .env(URL_VARIABLE, cloud.url())
        .env(DATABASE_URL, cloud.database_url())
        .stdout(output)
        .kill_on_drop(true)
        .status();
    let status = run
        .await
        .with_context(|| format!("{} can't be started", program.display()))?;
    ensure!(status.success(), "{} failed: {status}", program.display());
    Ok(())
}

/// Starts a local cloud for one call, with the first customer in it, whom the events of `events/` are about.
pub(super) async fn temporary(root: &Path) -> anyhow::Result<LocalCloud> {
    let options = Options::for_tests(root);
    prepare(&options, true).await?;
    progress::warn("No local cloud runs here: starting a temporary one, with a first customer");
    let seed = options.binaries.join(SEED);
    let cloud = LocalCloud::start(options).await?;
    if let Err(error) = run_program(&cloud, &seed, Stdio::null()).await {
        cloud.stop().await;
        return Err(error.context("the first customer can't be added"));
    }
    Ok(cloud)
}
