//! The command line: `moneta up` and everything that talks to what it started.

mod build;
mod client;
mod clock;
mod graphql;
mod inspect;
mod invoke;
mod openapi;
mod stop;
mod up;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};

pub use self::stop::StopSignal;
pub use self::up::URL_VARIABLE;

use self::client::Client;
use crate::{
    options::{DEFAULT_PORT, MAX_WALLET_NODES},
    ports::MAX_BASE,
    progress,
    runtime::Level,
};

const EXAMPLES: &str = "Examples:
  moneta up                                 build, start everything, stay until Ctrl-C
  moneta token --profile-id 1               a token for requests
  moneta invoke deposit_funds               call a function with events/deposit_funds.json
  moneta schedule reconcile_trading         run a schedule now
  moneta clock +1month                      live through a month, schedules included
  moneta queues redrive drivewealth-events  send back the messages of its dead-letter queue
  moneta logs deposit_funds --follow        watch a function
  moneta trace CORRELATION_ID               one request through all functions

A real service takes the place of a local one through the usual variable: DATABASE_URL, AWS_ENDPOINT_URL_DYNAMODB,
AWS_ENDPOINT_URL_SQS, KAFKA_BROKERS, DRIVEWEALTH_API_BASE, PLAID_API_BASE, FIREBASE_API_BASE, STRIPE_API_BASE,
RATES_FEED_URL.";

/// Moneta's local cloud: the deployed template and the deployed binaries, on this machine.
#[derive(Parser)]
#[command(name = "moneta", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Place {
    /// The folder of the workspace; found upwards from the current folder when not given.
    #[arg(long, global = true, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// The address of the running local cloud; known from .local/cloud/url when not given.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Build the functions, start the local cloud and stay until Ctrl-C.
    #[command(
        after_help = "Examples:\n  moneta up\n  moneta up --port 9500 --no-build\n  moneta up --fresh\n  \
                      moneta up --wallet-nodes 3\n  moneta up --on-ready target/debug/first_customer"
    )]
    Up(StartArguments),
    /// Invoke a function with an event.
    #[command(
        after_help = "Without a running local cloud, a temporary one is started for the call.\n\nExamples:\n  \
                      moneta invoke deposit_funds\n  moneta invoke migrate --event /dev/null"
    )]
    Invoke {
        /// The operation, like deposit_funds.
        operation: String,
        /// The event; events/OPERATION.json when not given. An empty file stands for {}.
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
    },
    /// Make a development token.
    #[command(after_help = "Examples:\n  moneta token --profile-id 1\n  \
                            moneta token --group admin --scope 'wallets internal' --expires-in 60")]
    Token(TokenArguments),
    /// Run a function's schedule now.
    #[command(after_help = "Example:\n  moneta schedule reconcile_trading --input '{\"scope\":\"all\"}'")]
    Schedule {
        /// The operation, like reconcile_trading.
        operation: String,
        /// The input, as JSON; that of its first schedule by name, when not given.
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
    },
    /// Show or move the clock: schedules, functions, tokens and sandboxes go by it.
    #[command(
        after_help = "It moves forward only; the schedules whose times are passed run in order, each at its own time. \
                      reset takes it back to the machine's time; what is dated later stays as it is.\n\nExamples:\n  \
                      moneta clock\n  moneta clock +1month\n  moneta clock +3days\n  moneta clock 2026-12-25T09:00\n  \
                      moneta clock reset"
    )]
    Clock {
        /// +3days (minutes, hours, days, weeks, months, years), a time (UTC unless it says otherwise), or reset.
        #[arg(value_name = "MOVE", allow_hyphen_values = true)]
        to: Option<String>,
        /// Run no schedule on the way.
        #[arg(long)]
        no_schedules: bool,
    },
    /// List or peek at the queues, send back the messages of a dead-letter queue, or delete messages.
    #[command(
        after_help = "Names may leave out the stage: drivewealth-events, portfolio-changes-dead.\n\nExamples:\n  \
                            moneta queues\n  moneta queues peek domain-events-dead\n  moneta queues redrive domain-events\n  \
                            moneta queues delete domain-events-dead --all"
    )]
    Queues {
        #[command(subcommand)]
        action: Option<QueueAction>,
    },
    /// Show what the functions wrote, the newest 2000 lines of each. All lines are in .local/cloud/logs.
    #[command(
        after_help = "Examples:\n  moneta logs --follow\n  moneta logs deposit_funds --since 10m --level warn\n  \
                            moneta logs --json | jq .line.message"
    )]
    Logs(LogArguments),
    /// Show what all functions wrote about one request and everything that came of it, by time.
    #[command(
        after_help = "Every response has its id in the header x-correlation-id, and `moneta up` prints it.\n\n\
                            Example:\n  moneta trace 01998d5e-7a4b-7c1d-9f0e-3b2a1c0d9e8f"
    )]
    Trace {
        /// The correlation id.
        correlation_id: String,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Write infra/openapi.yaml from the template's routes and what the functions say of themselves.
    Openapi {
        /// Write nothing; fail when the file isn't up to date.
        #[arg(long)]
        check: bool,
        /// Take the binaries as they are.
        #[arg(long)]
        no_build: bool,
    },
    /// Write the app's API in GraphQL from infra/openapi.yaml: schema.graphql, the resolver's table, the template's lists.
    Graphql {
        /// Write nothing; fail when a file isn't up to date.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Args)]
struct StartArguments {
    /// The first of its ports, that of the HTTP API; the others follow it: sandboxes, PostgreSQL, DynamoDB, SQS, SMTP,
    /// Lambda runtime API, the further nodes of the wallets.
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1024..=i64::from(MAX_BASE)))]
    port: u16,
    /// Take the binaries as they are.
    #[arg(long)]
    no_build: bool,
    /// Forget what .local/cloud holds from earlier runs.
    #[arg(long)]
    fresh: bool,
    /// Spread the wallets' clients over so many databases, each a PostgreSQL of its own; transfers are deferred then.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WALLET_NODES)), value_name = "NUMBER")]
    wallet_nodes: u16,
    /// When a message that failed comes back, instead of its queue's visibility timeout.
    #[arg(long, value_name = "SECONDS")]
    redelivery_after: Option<u64>,
    /// A program to run once everything is up, with the address in MONETA_URL and its database's in DATABASE_URL.
    #[arg(long, value_name = "PROGRAM")]
    on_ready: Option<PathBuf>,
}

#[derive(Args)]
struct LogArguments {
    /// The operation; all when not given.
    operation: Option<String>,
    /// Stay and show new lines.
    #[arg(long, short)]
    follow: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Lines of the last 30s, 10m, 2h or 1d, or since a time like 2026-11-28T13:00:00Z.
    #[arg(long, value_parser = inspect::parse_since)]
    since: Option<DateTime<Utc>>,
    /// Lines that are at least as serious.
    #[arg(long)]
    level: Option<Level>,
}

#[derive(Args)]
struct TokenArguments {
    /// The app user.
    #[arg(long)]
    profile_id: Option<i64>,
    /// The trader.
    #[arg(long)]
    user_id: Option<String>,
    /// The wallet client.
    #[arg(long)]
    wallet_client_id: Option<String>,
    /// A group, like admin; may be given more than once.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Scopes with spaces between.
    #[arg(long)]
    scope: Option<String>,
    /// Seconds until it expires.
    #[arg(
        long,
        default_value_t = 3600,
        allow_negative_numbers = true,
        value_name = "SECONDS"
    )]
    expires_in: i64,
}

#[derive(Subcommand)]
enum QueueAction {
    /// All queues with their counts.
    List,
    /// The messages that wait in a queue; looking counts as a receive, as on AWS.
    Peek {
        /// The queue.
        name: String,
    },
    /// Send the messages of a dead-letter queue back to the queue they came from.
    Redrive {
        /// The dead-letter queue, or the queue it belongs to.
        name: String,
    },
    /// Delete a message that waits, or all messages. Looking for it counts as a receive, as on AWS.
    Delete {
        /// The queue.
        name: String,
        /// The message, by the id that `peek` shows.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        message_id: Option<String>,
        /// All of them, those that are being worked on too.
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command that the arguments name.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    init_tracing();
    match dispatch(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress::warn(format_args!("moneta: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the command; false is a failure that has been printed already.
async fn dispatch(cli: Cli) -> anyhow::Result<bool> {
    let root = match cli.place.root {
        Some(root) => root,
        None => find_root(&std::env::current_dir()?)?,
    };
    let client = || Client::find(&root, cli.place.url.as_deref());
    match cli.command {
        Command::Up(arguments) => up::up(&root, &arguments).await,
        Command::Invoke { operation, event } => {
            invoke::invoke(&root, cli.place.url.as_deref(), &operation, event).await
        }
        Command::Token(arguments) => invoke::token(&root, cli.place.url.as_deref(), &arguments).await,
        Command::Schedule { operation, input } => invoke::schedule(&client()?, &operation, input).await,
        Command::Clock { to, no_schedules } => clock::run(&client()?, to.as_deref(), no_schedules).await,
        Command::Queues { action } => {
            inspect::queues(&client()?, action.as_ref().unwrap_or(&QueueAction::List)).await
        }
        Command::Logs(arguments) => inspect::logs(&client()?, &arguments).await,
        Command::Trace { correlation_id, json } => inspect::trace(&client()?, &correlation_id, json).await,
        Command::Openapi { check, no_build } => openapi::run(&root, check, no_build).await,
        Command::Graphql { check } => graphql::run(&root, check),
    }
}

/// The nearest folder upwards that has the template.
fn find_root(from: &Path) -> anyhow::Result<PathBuf> {
    match from
        .ancestors()
        .find(|folder| folder.join("infra/template.yaml").is_file())
    {
        Some(root) => Ok(root.to_owned()),
        None => bail!("no infra/template.yaml here or above; use --root"),
    }
}

/// Writes the local cloud's own log to the standard error, as `MONETA_LOG` filters it.
pub fn init_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MONETA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,local_cloud=info"));
    // A program that uses this as a library may have its own.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
