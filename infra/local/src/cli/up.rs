//! `moneta up` and `moneta demo`.

use std::{path::Path, time::Instant};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{DemoArguments, StartArguments, build};
use crate::{
    cloud::LocalCloud,
    options::Options,
    progress::{self, in_words, say},
    template::{Event, Locals, Template},
};

/// Claims of the token that a new user can try things with.
const PROFILE_ID: i64 = 1;

pub(super) async fn up(root: &Path, arguments: &StartArguments) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let mut options = Options::for_development(root);
    options.port = Some(arguments.port);
    prepare(&options, arguments.no_build).await?;
    if arguments.fresh {
        forget(&options)?;
    }
    say("Starting the local cloud");
    let mut stop = StopSignal::new()?;
    let cloud = tokio::select! {
        cloud = LocalCloud::start(options) => cloud?,
        () = stop.wait() => return Ok(true),
    };
    introduce(&cloud, begun);
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

/// Removes what earlier runs left, but not the state of a local cloud that runs now.
fn forget(options: &Options) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(&options.state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn introduce(cloud: &LocalCloud, begun: Instant) {
    let url = cloud.url();
    let token = cloud.mint_token(json!({ "profile_id": PROFILE_ID }));
    say(format_args!(
        "\nThe local cloud is up ({}).\n",
        in_words(begun.elapsed())
    ));
    say(format_args!("  API            {url}"));
    say(format_args!("  Documentation  {url}/docs"));
    say(format_args!("  Status         {url}/local/status"));
    say(format_args!("  Sandboxes      {}", cloud.sandboxes_url()));
    say(format_args!("  Token          {token}"));
    if let Some(path) = cloud.a_readable_path() {
        say("\nTry it:");
        say(format_args!(
            "  curl -i {url}{path} -H 'Authorization: Bearer {token}'"
        ));
    }
    say("\nCtrl-C stops everything. In another terminal: moneta --help");
}

impl LocalCloud {
    /// A route that only reads and has no parameters.
    fn a_readable_path(&self) -> Option<String> {
        let events = self
            .template()
            .functions
            .iter()
            .flat_map(|function| &function.events);
        events.into_iter().find_map(|event| match event {
            Event::Http(route) if route.method == "GET" && !route.path.contains('{') => {
                Some(route.path.clone())
            }
            _ => None,
        })
    }
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
