//! The local cloud as a whole: starts everything in order, and stops it.

mod connections;
mod databases;
mod environment;
mod state;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::{anyhow, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;

use self::{
    connections::{BackendPorts, Connections},
    state::State,
};
use crate::{
    backends::{prerequisites, region},
    clock::{ClockMove, LocalClock, OFFSET_VARIABLE},
    gateway::Gateway,
    graphql::Graphql,
    keys::{LocalIssuer, TokenOptions},
    options::Options,
    ports::Listeners,
    progress::{Console, Progress},
    running::Running,
    runtime::{InvocationResult, Level, LogFilter, Logs, Runtime, Settings},
    sandboxes::{
        BillingSandbox, DriveWealthSandbox, EcbSandbox, FirebaseSandbox, MailSandbox, PlaidSandbox,
        Sandboxes, SmsSandbox, StripeSandbox,
    },
    sources::{
        self, Sources,
        kept::{self, Counts},
        playing::ClockMoved,
        queues::Queues,
    },
    template::{Locals, NAME_PREFIX, Template},
};

pub(crate) use self::state::URL_FILE;

/// What is said after a kill.
const LOST_BY_KILL: &str = "The last local cloud was killed: what was in its queues and topics is lost, also what the \
                            table outbox_messages calls published. `moneta up --fresh` begins anew.";

/// A running local cloud.
pub struct LocalCloud {
    running: Arc<Running>,
    gateway: Gateway,
    sandboxes: Sandboxes,
    connections: Connections,
    state: State,
}

impl LocalCloud {
    /// Starts everything and brings the database up to date. The functions' binaries have to be built.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let progress = Progress::new(options.progress);
        let begun = Instant::now();
        // The ports first: when one is taken, nothing else needs to start.
        let ports = Listeners::bind(options.port, &options.external, options.wallet_nodes).await?;
        let url = format!("http://{}", ports.api.local_addr()?);
        let state = State::open(&options)?;
        let clock = LocalClock::open(&options.state)?;
        let issuer = LocalIssuer::load_or_create(&options.key_pairs, &url, clock.clone())?;
        let mut locals = locals(&options, &issuer)?;
        let template = Template::load(&options.template, &locals)?;
        let graphql = template.app_api.as_ref().map(Graphql::load).transpose()?;
        progress.ready(
            begun,
            "template",
            format_args!("{} functions", template.functions.len()),
        );

        if options.external.database_url.is_none() {
            prerequisites::ensure_postgres(progress).await?;
        }
        let backends = BackendPorts {
            postgres: ports.postgres,
            wallet_nodes: ports.wallet_nodes,
            dynamodb: ports.dynamodb,
            sqs: ports.sqs,
        };
        let connections = Connections::start(&options, &template, backends, progress).await?;
        locals.queue_urls.clone_from(&connections.queue_urls);
        let template = Template::load(&options.template, &locals)?;

        let begun = Instant::now();
        let sandboxes =
            connections::start_sandboxes(&options, &connections, ports.sandboxes, ports.smtp, &clock).await?;
        progress.ready(
            begun,
            "sandboxes",
            format_args!("{}, mails to {}", sandboxes.url(), sandboxes.smtp_url()),
        );

        let begun = Instant::now();
        let console = Console::new(options.progress);
        let logs = Arc::new(Logs::new(options.state.join("logs"), console));
        let replacements = environment::Replacements::new(&connections, sandboxes.environment(), &url);
        let settings = Settings {
            binaries: options.binaries.clone(),
            region: locals.region.clone(),
            account: locals.account.clone(),
            max_instances: options.max_instances,
            environment: environment::of_functions(&template, &replacements, &options),
        };
        let runtime = Arc::new(Runtime::start(
            &template.functions,
            settings,
            Arc::clone(&logs),
            ports.runtime,
        )?);
        runtime.set_environment_of_all(OFFSET_VARIABLE, &clock.variable());
        progress.ready(begun, "functions", "started on their first call");

        let queues = Queues::new(
            connections.sqs.clone(),
            connections.queue_urls.clone(),
            &template.queues,
        );
        let mut addresses = connections.addresses();
        addresses.extend(
            sandboxes
                .environment()
                .into_iter()
                .filter(|(name, _)| name.ends_with("_API_BASE")),
        );
        addresses.insert("SANDBOXES".to_owned(), sandboxes.url().to_owned());
        addresses.insert("SMTP_PORT".to_owned(), sandboxes.smtp_url());
        let running = Arc::new(Running {
            url,
            clock,
            template,
            issuer,
            graphql,
            runtime,
            queues,
            logs,
            console,
            addresses,
            sources: Mutex::new(None),
            options,
        });
        let cloud = Self {
            gateway: Gateway::start(ports.api, Arc::clone(&running)),
            running,
            sandboxes,
            connections,
            state,
        };
        match cloud.finish_start(&locals, progress).await {
            Ok(()) => Ok(cloud),
            Err(error) => {
                cloud.stop().await;
                Err(error)
            }
        }
    }

    /// The database's schema, then whatever calls functions.
    async fn finish_start(&self, locals: &Locals, progress: Progress) -> anyhow::Result<()> {
        let running = &self.running;
        if running.migrates() {
            let begun = Instant::now();
            running.migrate().await?;
            progress.ready(begun, "database schema", "up to date");
        }
        self.restore_queues(progress).await?;
        let begun = Instant::now();
        let context = Arc::new(sources::Context {
            clock: running.clock.clone(),
            stripe: self.sandboxes.stripe(),
            runtime: Arc::clone(&running.runtime),
            queues: running.queues.clone(),
            streams: self.connections.streams.clone(),
            tables: self.connections.dynamodb.clone(),
            tables_answered: self.connections.tables_answered.clone(),
            kafka_brokers: self.connections.kafka_brokers.clone(),
            redelivery_after: running.options.redelivery_after,
            region: locals.region.clone(),
            account: locals.account.clone(),
            max_instances: running.options.max_instances,
            state: running.options.state.clone(),
        });
        let (events, schedules) = (running.options.event_sources, running.options.schedules);
        let sources = Sources::start(&running.template, &context, events, schedules);
        *crate::util::lock(&running.sources) = Some(Arc::new(sources));
        progress.ready(begun, "queues and schedules", "calling their functions");
        let webhooks = format!("{}/webhooks/stripe", running.url);
        self.sandboxes.stripe().set_webhook_endpoint(&webhooks);
        self.sandboxes
            .plaid()
            .set_webhook_endpoint(&format!("{}/webhooks/plaid", running.url));
        let of_accounts = format!("{webhooks}/connect");
        self.sandboxes.stripe().set_connect_webhook_endpoint(&of_accounts);
        running.issuer.announce(&running.options.state)?;
        let Connections { database_url, .. } = &self.connections;
        let further = self.connections.further_node_urls();
        self.state.announce(&running.url, database_url, &further)?;
        Ok(())
    }

    /// Brings back what was in the queues when the last local cloud stopped, or says that it is lost.
    async fn restore_queues(&self, progress: Progress) -> anyhow::Result<()> {
        let Running { queues, options, .. } = &*self.running;
        if self.state.was_killed() {
            progress.note(LOST_BY_KILL);
        }
        if self.keeps_queues() {
            let restored = kept::put_back(queues, &options.state).await?;
            if !restored.is_empty() {
                progress.note(format_args!(
                    "In the queues again from the last run: {}",
                    listed(&restored)
                ));
            }
        }
        Ok(())
    }

    /// Whether messages in queues would be gone without its doing.
    fn keeps_queues(&self) -> bool {
        let options = &self.running.options;
        options.keep_state && options.external.sqs_endpoint.is_none()
    }

    /// The address of the HTTP API.
    pub fn url(&self) -> String {
        self.running.url.clone()
    }

    /// The template as it runs.
    pub fn template(&self) -> &Template {
        &self.running.template
    }

    /// A token with these claims, good for `expires_in` seconds (an hour, when the claims don't say).
    ///
    /// # Errors
    /// When the claims aren't a JSON object, or `expires_in` is no number.
    pub fn mint_token(&self, claims: Value) -> anyhow::Result<String> {
        self.running.mint(claims)
    }

    /// A token with these claims that may be of another key, issuer or audience.
    pub fn mint_token_with(&self, claims: Value, options: TokenOptions) -> anyhow::Result<String> {
        self.running.issuer.mint(claims, options)
    }

    /// The time that the local cloud's clock shows.
    pub fn now(&self) -> DateTime<Utc> {
        self.running.clock.now()
    }

    /// Moves the clock, and runs the schedules whose times are passed, each at its own time.
    ///
    /// # Errors
    /// When it would go back, or is being moved by somebody else.
    pub async fn move_clock(&self, to: &ClockMove) -> anyhow::Result<ClockMoved> {
        self.running.move_clock(to).await
    }

    /// The database that the functions use.
    pub fn database_url(&self) -> &str {
        &self.connections.database_url
    }

    /// The databases that the wallets' clients are spread over, by their slots; the first is the one of everything else.
    pub fn wallet_node_urls(&self) -> Vec<String> {
        let own = std::iter::once(self.connections.database_url.clone());
        own.chain(self.connections.further_node_urls()).collect()
    }

    /// Ends a node of the wallets at once, as a crash of its server would (`pg_ctl stop -m immediate`).
    ///
    /// # Errors
    /// When there is none, or it doesn't end.
    pub async fn crash_wallet_node(&self, node: usize) -> anyhow::Result<()> {
        self.connections.databases.crash(node).await
    }

    /// Starts a node of the wallets again, with what it had committed.
    ///
    /// # Errors
    /// When there is none, or it doesn't start.
    pub async fn start_wallet_node(&self, node: usize) -> anyhow::Result<()> {
        self.connections.databases.start_again(node).await
    }

    /// The URL of a queue, which may be named without the prefix of the stage.
    pub fn queue_url(&self, name: &str) -> anyhow::Result<String> {
        self.running.queues.url(name).map(str::to_owned)
    }

    /// A client of the queues.
    pub fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.connections.sqs
    }

    /// The full name of a table, which may be named without the prefix of the stage.
    pub fn table(&self, name: &str) -> anyhow::Result<String> {
        let full = format!("{NAME_PREFIX}{name}");
        let mut tables = self.running.template.tables.iter().map(|table| &table.name);
        let found = tables.find(|table| **table == name || **table == full);
        found.cloned().ok_or_else(|| anyhow!("no table is named {name}"))
    }

    /// A client of the tables.
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.connections.dynamodb
    }

    /// The addresses of the Kafka brokers.
    pub fn kafka_brokers(&self) -> &str {
        &self.connections.kafka_brokers
    }

    /// The address of the sandboxes; `GET /` on it lists what they offer.
    pub fn sandboxes_url(&self) -> &str {
        self.sandboxes.url()
    }

    /// The sandbox of DriveWealth.
    pub fn drivewealth(&self) -> DriveWealthSandbox {
        self.sandboxes.drivewealth()
    }

    /// The catcher of text messages.
    pub fn sms(&self) -> SmsSandbox {
        self.sandboxes.sms()
    }

    /// The sandbox of Plaid.
    pub fn plaid(&self) -> PlaidSandbox {
        self.sandboxes.plaid()
    }

    /// The sandbox of Firebase.
    pub fn firebase(&self) -> FirebaseSandbox {
        self.sandboxes.firebase()
    }

    /// The sandbox of the European Central Bank.
    pub fn ecb(&self) -> EcbSandbox {
        self.sandboxes.ecb()
    }

    /// The sandbox of Stripe.
    pub fn stripe(&self) -> StripeSandbox {
        self.sandboxes.stripe()
    }

    /// The sandbox of Billing.
    pub fn billing(&self) -> BillingSandbox {
        self.sandboxes.billing()
    }

    /// The mails that were sent.
    pub fn mail(&self) -> MailSandbox {
        self.sandboxes.mail()
    }

    /// Invokes a function with an event.
    pub async fn invoke(&self, function: &str, event: Value) -> anyhow::Result<InvocationResult> {
        self.running.runtime.invoke(function, &event).await
    }

    /// Runs a function's schedule now, with this input or that of its first schedule, by name, in the template.
    pub async fn run_schedule(
        &self,
        function: &str,
        input: Option<Value>,
    ) -> anyhow::Result<InvocationResult> {
        self.running.run_schedule(function, input).await
    }

    /// Kills all processes of a function and says how many there were; what they worked on ends as a function error.
    pub async fn kill(&self, function: &str) -> anyhow::Result<usize> {
        self.running.runtime.kill(function).await
    }

    /// Sets a variable for the processes of a function that start from now on; running ones take no new invocation.
    pub fn set_function_environment(&self, function: &str, name: &str, value: &str) -> anyhow::Result<()> {
        self.running.runtime.set_environment(function, name, value)
    }

    /// A variable of a function, with what stands in it here.
    ///
    /// # Errors
    /// When there is no such function.
    pub fn function_variable(&self, function: &str, name: &str) -> anyhow::Result<Option<String>> {
        Ok(self.running.runtime.environment(function)?.remove(name))
    }

    /// What is worked on, by name: functions that run and, while none does, queues with messages for one. What a paused
    /// source holds back isn't.
    pub async fn at_work(&self) -> anyhow::Result<Vec<String>> {
        match self.running.sources() {
            Some(sources) => sources.at_work().await,
            None => Ok(self.running.runtime.at_work()),
        }
    }

    /// How many invocations there were, of all functions.
    pub fn invocations(&self) -> u64 {
        let functions = self.running.runtime.status();
        functions.iter().map(|function| function.invocations).sum()
    }

    /// Whether queues and tables call their functions.
    pub fn has_event_sources(&self) -> bool {
        let sources = self.running.sources();
        sources.is_some_and(|sources| !sources.status().is_empty())
    }

    /// Holds back, or lets through, what a queue or a table has for its functions. When it returns, nothing more is
    /// taken; what was taken before is still worked on.
    pub async fn pause_event_source(&self, source: &str, paused: bool) -> anyhow::Result<()> {
        let name = match self.running.queues.full_name(source) {
            Ok(name) => name.to_owned(),
            Err(_) => self
                .table(source)
                .map_err(|_| anyhow!("no queue or table is named {source}"))?,
        };
        let sources = self.running.sources();
        let Some(sources) = sources else {
            bail!("the event sources don't run")
        };
        sources.pause(&name, paused).await
    }

    /// Sends the messages of a dead-letter queue back to their queue and says how many there were.
    pub async fn redrive(&self, queue: &str) -> anyhow::Result<u64> {
        self.running.queues.redrive(queue).await
    }

    /// The newest lines that a function wrote, the runtime's report of each invocation among them.
    pub fn logs(&self, function: &str) -> Vec<String> {
        self.running.logs.lines(function)
    }

    /// What functions have logged since then as a warning or an error, with their names.
    pub fn warnings(&self, since: DateTime<Utc>) -> Vec<String> {
        let filter = LogFilter {
            since: Some(since),
            level: Some(Level::Warn),
            ..LogFilter::default()
        };
        let lines = self.running.logs.find(&filter).into_iter();
        lines
            .map(|line| format!("{}: {}", line.function, line.line))
            .collect()
    }

    /// Stops everything, and removes the state unless it is kept.
    pub async fn stop(self) {
        let keeps_queues = self.keeps_queues();
        let Self {
            running,
            gateway,
            sandboxes,
            connections,
            state,
        } = self;
        gateway.stop().await;
        let sources = crate::util::lock(&running.sources).take();
        let was_up = sources.is_some();
        if let Some(sources) = sources {
            sources.stop();
        }
        running.runtime.stop().await;
        sandboxes.stop().await;
        // A start that failed leaves the file of the run before it.
        if keeps_queues && was_up {
            keep_queues(&running).await;
        }
        let progress = Progress::new(running.options.progress);
        // The clients go first, so that the servers have no connection left to wait for.
        drop(running);
        connections.say_what_is_lost(progress).await;
        connections.stop().await;
        drop(state);
    }
}

/// Keeps the queues' messages for the next start, and says so, or that it can't.
async fn keep_queues(running: &Running) {
    let progress = Progress::new(running.options.progress);
    match kept::save(&running.queues, &running.options.state).await {
        Ok(kept) if kept.is_empty() => {}
        Ok(kept) => progress.note(format_args!("Kept for the next start: {}", listed(&kept))),
        Err(error) => tracing::error!("what was in the queues is lost: {error:#}"),
    }
    let delayed = running.queues.status().await.unwrap_or_default();
    let delayed: Counts = delayed
        .into_iter()
        .filter(|queue| queue.messages() > 0)
        .map(|queue| {
            (
                queue.name.clone(),
                usize::try_from(queue.messages()).unwrap_or(usize::MAX),
            )
        })
        .collect();
    if !delayed.is_empty() {
        progress.note(format_args!(
            "Lost, because nobody could receive them yet: {}",
            listed(&delayed)
        ));
    }
}

/// Counts as people read them.
fn listed(counts: &Counts) -> String {
    let part = |(name, count): (&String, &usize)| match count {
        1 => format!("1 message of {name}"),
        count => format!("{count} messages of {name}"),
    };
    counts.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The template's parameters: those of the local cloud itself, and the ones in the options' file.
fn locals(options: &Options, issuer: &LocalIssuer) -> anyhow::Result<Locals> {
    let mut parameters = options.read_parameters()?;
    let own = [
        ("Stage", "local"),
        ("JwtIssuer", issuer.issuer()),
        ("JwtAudience", issuer.audience()),
    ];
    parameters.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if options.wallet_nodes > 1 {
        // Between two nodes there is no other way.
        parameters.insert("WalletTransferMode".to_owned(), "deferred".to_owned());
    }
    Ok(Locals {
        region: region().to_owned(),
        parameters,
        ..Locals::default()
    })
}
