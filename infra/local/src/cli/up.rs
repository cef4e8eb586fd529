//! `moneta up` and `moneta demo`.

use std::{path::Path, time::Instant};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{DemoArguments, StartArguments, build};
use crate::{
    cloud::LocalCloud,
    customers::NewCustomer,
    options::Options,
    progress::{self, in_words, say},
    template::{Locals, Template},
};

pub(super) async fn up(root: &Path, arguments: &StartArguments) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let mut options = Options::for_development(root);
    options.port = Some(arguments.port);
    options.fresh = arguments.fresh;
    prepare(&options, arguments.no_build).await?;
    say("Starting the local cloud");
    let mut stop = StopSignal::new()?;
    let cloud = tokio::select! {
        cloud = LocalCloud::start(options) => cloud?,
        () = stop.wait() => return Ok(true),
    };
    let customer = somebody(&cloud).await?;
    introduce(&cloud, customer, begun)?;
    stop.wait().await;
    say("\nStopping");
    let begun = Instant::now();
    tokio::select! {
        () = cloud.stop() => say(format_args!("Stopped ({})", in_words(begun.elapsed()))),
        // Asked twice: whoever asks doesn't want to wait.
        () = stop.wait() => {}
    }
    Ok(true)
}

pub(super) async fn demo(root: &Path, arguments: &DemoArguments) -> anyhow::Result<bool> {
    let mut options = Options::for_tests(root);
    options.port = arguments.port;
    options.progress = true;
    options.schedules = true;
    prepare(&options, arguments.no_build).await?;
    let mut stop = StopSignal::new()?;
    let cloud = tokio::select! {
        cloud = LocalCloud::start(options) => cloud?,
        () = stop.wait() => return Ok(false),
    };
    let played = tokio::select! {
        played = crate::demo::play(&cloud) => played,
        () = stop.wait() => Ok(false),
    };
    cloud.stop().await;
    played
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

/// Somebody to try things as: the first customer, or a new one. Their profile, trading account and bank account.
async fn somebody(cloud: &LocalCloud) -> anyhow::Result<(i64, i64, i64)> {
    if let Some(found) = cloud.first_customer().await? {
        return Ok(found);
    }
    let customer = cloud.add_customer(&NewCustomer::default()).await?;
    Ok((
        customer.profile_id,
        customer.trading_account_id,
        customer.bank_account_id,
    ))
}

fn introduce(
    cloud: &LocalCloud,
    (profile, account, bank): (i64, i64, i64),
    begun: Instant,
) -> anyhow::Result<()> {
    let url = cloud.url();
    let token = cloud.mint_token(json!({ "profile_id": profile }))?;
    let took = in_words(begun.elapsed());
    say(format_args!("\nThe local cloud is up ({took}).\n"));
    say(format_args!("  API            {url}"));
    say(format_args!("  Documentation  {url}/docs"));
    say(format_args!("  Status         {url}/local/status"));
    say(format_args!("  Sandboxes      {}", cloud.sandboxes_url()));
    say(format_args!("  Mails          {}/mail", cloud.sandboxes_url()));
    say(format_args!(
        "\nTry it, as the customer with profile {profile}:\n"
    ));
    say(format_args!("  TOKEN={token}"));
    say(format_args!(
        "  curl {url}/trading/profile -H \"Authorization: Bearer $TOKEN\""
    ));
    say(format_args!(
        "  curl {url}/trading/deposits -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s)\" \\\n    \
         --json '{{\"trading_account_id\":{account},\"bank_account_id\":{bank},\"amount_cents\":25000}}'"
    ));
    // Customers are sent back to localhost, not to an address.
    let back = format!("{}/docs", url.replace("127.0.0.1", "localhost"));
    say(format_args!(
        "  curl {url}/billing/checkout-sessions -H \"Authorization: Bearer $TOKEN\" -H \"Idempotency-Key: $(date +%s)\" \\\n    \
         --json '{{\"mode\":\"setup\",\"success_url\":\"{back}\",\"cancel_url\":\"{back}\"}}'   # open its url"
    ));
    let service = cloud.mint_token(json!({ "scope": "wallets" }))?;
    say("\nOr as a service whose clients have wallets:\n");
    say(format_args!("  SERVICE={service}"));
    say(format_args!(
        "  curl {url}/clients -H \"Authorization: Bearer $SERVICE\" \\\n    \
         --json '{{\"external_ref\":\"shop-1001\",\"currencies\":[\"USD\",\"EUR\"]}}'"
    ));
    say("\nCtrl-C stops everything. In another terminal: target/debug/moneta --help");
    Ok(())
}

/// Ctrl-C, or the signal to terminate.
struct StopSignal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Starts a local cloud for one call.
pub(super) async fn temporary(root: &Path) -> anyhow::Result<LocalCloud> {
    let options = Options::for_tests(root);
    prepare(&options, true).await?;
    progress::warn("No local cloud runs here: starting a temporary one");
    LocalCloud::start(options).await
}
