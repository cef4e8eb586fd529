//! The wire between one function and its backends, cut at any point.
//!
//! Proxies stand before the backends of a function. Every chunk of bytes that passes them is a step: what the function
//! sends can be stopped before it leaves or just after it has left, and what comes back can be stopped before it
//! arrives. [`Wire::play`] lets a piece of work run up to a given step, freezes the wire there, kills the function's
//! processes (SIGKILL) and drops their connections. Playing step 1, 2, 3 … until the work goes through is the list of all
//! points at which the function can die.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{Fixture, Result, TIMEOUT, eventually};

const CHUNK: usize = 64 * 1024;
/// The variable with the address of the database.
const DATABASE: &str = "DATABASE_URL";
/// How long a backend may take over what it was sent just before the function died.
const AFTERLIFE: Duration = Duration::from_secs(2);
/// How much of a chunk is told of it.
const SHOWN: usize = 90;

/// The proxies before the backends of one function.
pub struct Wire {
    function: &'static str,
    shared: Arc<Shared>,
    /// The addresses of the backends themselves.
    backends: Vec<(&'static str, String)>,
    _proxies: JoinSet<()>,
}

/// How a piece of work ended.
#[derive(Debug)]
pub enum Played<T> {
    /// It came to its end before the step.
    Through {
        /// What it came to.
        outcome: T,
        /// How many steps it has.
        steps: u64,
    },
    /// The function was killed.
    Killed {
        /// Where.
        point: String,
        /// What the work came to nevertheless.
        outcome: T,
    },
}

struct Shared {
    state: Mutex<State>,
    /// Counts up with each cut; a connection belongs to the time before the next.
    cuts: watch::Sender<u64>,
    frozen: watch::Sender<bool>,
    /// Connections that pass the proxies at present.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    step: u64,
    /// The step at which the wire freezes.
    target: Option<u64>,
    point: String,
    /// How often something was sent behind an answer.
    round_trips: u64,
    was_answered: bool,
    /// The ports from which the proxies have opened sessions at the database.
    sessions: Vec<i32>,
}

/// What to do with a chunk.
enum Verdict {
    Pass,
    /// Neither this nor anything after it passes.
    Hold,
    /// It passes, but nothing after it.
    PassAndHold,
}

#[derive(Clone, Copy)]
enum Way {
    Out,
    Back,
}

impl Wire {
    /// Puts proxies before the backends that a function finds by these variables; its processes use them from now on.
    ///
    /// # Errors
    /// When the local cloud doesn't know a variable, or a proxy has no port.
    pub async fn attach(
        fixture: &Fixture,
        function: &'static str,
        variables: &[&'static str],
    ) -> Result<Self> {
        let status = fixture.api(None)?.get("/local/status").await?.expect(200)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            cuts: watch::Sender::new(0),
            frozen: watch::Sender::new(false),
            open: watch::Sender::new(0),
        });
        let mut proxies = JoinSet::new();
        let mut backends = Vec::new();
        for variable in variables {
            // The status doesn't show the database's password, and each area signs in as itself.
            let url = match *variable {
                DATABASE => fixture.cloud.function_variable(function, DATABASE)?,
                _ => status.body["addresses"][variable].as_str().map(str::to_owned),
            };
            let url =
                url.with_context(|| format!("the local cloud has no address {variable}: {}", status.text))?;
            let url = url.as_str();
            let server = address_in(url).with_context(|| format!("{variable}={url} has no address"))?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let proxy = listener.local_addr()?.to_string();
            // A variable may hold the port alone.
            let (url, replaced) = match variable.ends_with("_PORT") {
                true => (port_of(&server), port_of(&proxy)),
                false => (url.to_owned(), url.replacen(&server, &proxy, 1)),
            };
            let server: SocketAddr = server.replace("localhost", "127.0.0.1").parse()?;
            proxies.spawn(accept(listener, server, variable, Arc::clone(&shared)));
            fixture
                .cloud
                .set_function_environment(function, variable, &replaced)?;
            backends.push((*variable, url));
        }
        Ok(Self {
            function,
            shared,
            backends,
            _proxies: proxies,
        })
    }

    /// The function that is killed.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// Takes the proxies away again and ends the function's processes; the next find their backends themselves. Then the
    /// backends have done what the dead had sent, and the database holds no lock for them any more.
    ///
    /// # Errors
    /// When there is no such function, or the database's sessions don't end.
    pub async fn detach(self, fixture: &Fixture) -> Result {
        for (variable, url) in &self.backends {
            fixture
                .cloud
                .set_function_environment(self.function, variable, url)?;
        }
        fixture.cloud.kill(self.function).await?;
        let mut open = self.shared.open.subscribe();
        let closed = tokio::time::timeout(TIMEOUT, open.wait_for(|open| *open == 0)).await;
        closed.with_context(|| format!("connections of the dead {} stay open", self.function))??;
        let sessions = std::mem::take(&mut self.shared.state().sessions);
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ($1)";
        eventually("the sessions of the dead have ended", async || {
            let query = sqlx::query_scalar(sql).bind(&sessions);
            let left: i64 = query.fetch_one(fixture.database.pool()).await?;
            ensure!(left == 0, "{left} sessions of {} are open", self.function);
            Ok(())
        })
        .await
    }

    /// Does the work; gives how often the function waited for an answer of a backend. What it has at the same time on several
    /// connections counts as one.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn round_trips<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(T, u64)> {
        self.shared.begin(u64::MAX);
        let outcome = work.await?;
        Ok((outcome, self.shared.state().round_trips))
    }

    /// Does the work, and kills the function when the wire comes to the step; the work goes on until it ends.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn play<T>(
        &self,
        fixture: &Fixture,
        step: u64,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Played<T>> {
        self.shared.begin(step);
        let mut work = pin!(work);
        let mut frozen = self.shared.frozen.subscribe();
        let mut ended = tokio::select! {
            biased;
            _ = frozen.wait_for(|frozen| *frozen) => None,
            outcome = &mut work => Some(outcome?),
        };
        if let Some(outcome) = ended {
            if let Some(steps) = self.shared.steps_when_past() {
                return Ok(Played::Through { outcome, steps });
            }
            // What is held back is nothing that the work waits for, so that it has ended nevertheless.
            let _ = frozen.wait_for(|frozen| *frozen).await;
            ended = Some(outcome);
        }
        let killed = fixture.cloud.kill(self.function).await?;
        let point = self.shared.end();
        ensure!(
            killed > 0,
            "{}: no process was there to kill {point}",
            self.function
        );
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
        self.shared.frozen.send_replace(false);
        let outcome = match ended {
            Some(outcome) => outcome,
            None => work.await.with_context(|| format!("killed {point}"))?,
        };
        Ok(Played::Killed { point, outcome })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on chunks are counted, up to this step.
    fn begin(&self, step: u64) {
        let mut state = self.state();
        state.step = 0;
        state.target = Some(step);
        state.point.clear();
        (state.round_trips, state.was_answered) = (0, true);
    }

    /// From now on everything passes; gives the point at which the wire froze.
    fn end(&self) -> String {
        let mut state = self.state();
        state.target = None;
        std::mem::take(&mut state.point)
    }

    /// How many steps there were, if no chunk has come to the target; none will any more.
    fn steps_when_past(&self) -> Option<u64> {
        let mut state = self.state();
        if !state.point.is_empty() {
            return None;
        }
        state.target = None;
        Some(state.step)
    }

    /// Counts a chunk: one that goes out has two steps, before and after it leaves; one that comes back has one.
    fn judge(&self, way: Way, party: &str, chunk: &[u8]) -> Verdict {
        if *self.frozen.borrow() {
            return Verdict::Hold;
        }
        if party == DATABASE && proves_password(way, chunk) {
            return Verdict::Pass;
        }
        let mut state = self.state();
        let before = state.step;
        state.step += match way {
            Way::Out => 2,
            Way::Back => 1,
        };
        state.round_trips += u64::from(state.was_answered && matches!(way, Way::Out));
        state.was_answered = matches!(way, Way::Back);
        let Some(target) = state.target.filter(|target| *target <= state.step) else {
            return Verdict::Pass;
        };
        let (verdict, when) = match way {
            Way::Out if target == before + 1 => (Verdict::Hold, "before it sent"),
            Way::Out => (Verdict::PassAndHold, "when it had sent"),
            Way::Back => (Verdict::Hold, "before it got the answer"),
        };
        state.point = format!("at step {target}, {when} ({party}): {}", shown(chunk));
        drop(state);
        if matches!(verdict, Verdict::Hold) {
            self.frozen.send_replace(true);
        }
        verdict
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, party: &'static str, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((function, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.open.send_modify(|open| *open += 1);
            // A connection that breaks is part of the play.
            let _ = connect(function, server, party, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(
    mut function: TcpStream,
    server: SocketAddr,
    party: &str,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut cuts = shared.cuts.subscribe();
    let mut server = TcpStream::connect(server).await?;
    function.set_nodelay(true)?;
    server.set_nodelay(true)?;
    if party == DATABASE {
        shared.state().sessions.push(server.local_addr()?.port().into());
    }
    let (mut out, mut back) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        tokio::select! {
            read = function.read(&mut out) => {
                let chunk = out.get(..read?).unwrap_or_default();
                if chunk.is_empty() {
                    return Ok(());
                }
                match shared.judge(Way::Out, party, chunk) {
                    Verdict::Pass => server.write_all(chunk).await?,
                    Verdict::Hold => break,
                    Verdict::PassAndHold => {
                        let written = server.write_all(chunk).await;
                        shared.frozen.send_replace(true);
                        written?;
                        // The other side does what it was asked, with nobody there to hear of it.
                        let _ = tokio::time::timeout(AFTERLIFE, server.read(&mut back)).await;
                        break;
                    }
                }
            }
            read = server.read(&mut back) => {
                let chunk = back.get(..read?).unwrap_or_default();
                if chunk.is_empty() {
                    return Ok(());
                }
                match shared.judge(Way::Back, party, chunk) {
                    Verdict::Pass => function.write_all(chunk).await?,
                    Verdict::Hold | Verdict::PassAndHold => break,
                }
            }
            _ = cuts.changed() => return Ok(()),
        }
    }
    // Still open until the function is dead, so that nothing can be done about it.
    let _ = cuts.changed().await;
    Ok(())
}

fn port_of(address: &str) -> String {
    let port = address.rsplit(':').next();
    port.unwrap_or_default().to_owned()
}

/// `host:port` of a URL.
fn address_in(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let address = authority.rsplit('@').next()?;
    address.contains(':').then(|| address.to_owned())
}

/// Whether the chunk is only a part of the proof that PostgreSQL wants of a connection (SASL). It changes nothing, so no step
/// is spent on it.
fn proves_password(way: Way, chunk: &[u8]) -> bool {
    const GOES_ON: [[u8; 4]; 2] = [[0, 0, 0, 10], [0, 0, 0, 11]];
    match way {
        Way::Out => chunk.first() == Some(&b'p'),
        Way::Back => {
            chunk.first() == Some(&b'R')
                && chunk
                    .get(5..9)
                    .is_some_and(|code| GOES_ON.iter().any(|known| known == code))
        }
    }
}

/// The longest readable part of a chunk: a statement, or the first line of a request.
fn shown(chunk: &[u8]) -> String {
    let parts = chunk.split(|byte| !(byte.is_ascii_graphic() || *byte == b' '));
    let longest = parts.max_by_key(|part| part.len().min(SHOWN)).unwrap_or_default();
    let shown = longest.get(..SHOWN).unwrap_or(longest);
    String::from_utf8_lossy(shown).into_owned()
}
