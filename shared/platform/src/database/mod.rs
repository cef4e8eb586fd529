//! PostgreSQL: one connection per instance, made when it starts. In AWS through RDS Proxy with a short-lived IAM
//! token as password; elsewhere by `DATABASE_URL`.
//!
//! A use case gets the connection for as long as a closure runs ([`Database::with`], [`Database::transaction`]) and can't
//! hold on to it, so none is held while somebody outside is called.
//!
//! A session's limits (a statement 10 s, a lock 5 s, an idle transaction 10 s) are settings of the role in the database,
//! made by its migrations: a `SET` would pin the connection at the proxy, and start-up options it refuses.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::timeout;

use crate::config::{Environment, FromEnvironment};
use crate::error::PlatformError;

mod sign_in;

/// IAM tokens live for 15 minutes; a new one is made before that.
const TOKEN_RENEWAL: Duration = Duration::from_secs(10 * 60);
/// How long a request waits for the connection before it fails as transient.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is pinged before its next use: the instance may have been frozen meanwhile. One
/// that was just used isn't, which saves every statement of a busy instance a round trip.
const ASSUMED_ALIVE: Duration = Duration::from_secs(5);

/// The database of this instance. A clone is the same database, and has the same connection.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sign_in: SignIn,
    idle: AsyncMutex<Option<Idle>>,
}

/// The connection between two uses.
#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    used_at: Instant,
    /// The last work with it failed, for a reason that may lie in the connection.
    is_suspect: bool,
}

#[derive(Debug)]
enum SignIn {
    Password(Box<PgConnectOptions>),
    Iam(Box<IamSignIn>),
}

#[derive(Debug)]
struct IamSignIn {
    options: PgConnectOptions,
    host: String,
    port: u16,
    user: String,
    token: Mutex<Option<(String, Instant)>>,
}

impl FromEnvironment for Database {
    /// Reads `DATABASE_URL`, or `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_NAME` and `DATABASE_USER` for IAM; once,
    /// whoever needs it.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| {
            let database = Self::new(SignIn::read(environment)?);
            let ahead = database.clone();
            environment.ahead(async move { ahead.connect().await });
            Some(database)
        })
    }
}

impl Database {
    fn new(sign_in: SignIn) -> Self {
        Self(Arc::new(Inner {
            sign_in,
            idle: AsyncMutex::default(),
        }))
    }

    /// The database, and behind it the further ones that the variable `name` lists, each with a connection of its own: a JSON
    /// list, in which one is a URL, or a `host` or `host:port` with all else as the main one, signed in to with IAM as that is.
    pub fn read_nodes(environment: &mut Environment, name: &str) -> Option<Vec<Self>> {
        let own = Self::read(environment);
        let addresses = addresses(environment, name);
        let others: Vec<Option<SignIn>> = addresses
            .iter()
            .flatten()
            .map(|address| SignIn::read_node(environment, name, address))
            .collect();
        let mut nodes = vec![own?];
        for sign_in in others {
            nodes.push(Self::new(sign_in?));
        }
        addresses.map(|_| nodes)
    }

    /// A database at `url`, for tests and tools.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn at(url: &str) -> Result<Self, PlatformError> {
        Ok(Self::new(SignIn::Password(Box::new(PgConnectOptions::from_str(
            url,
        )?))))
    }

    /// Does work whose every statement is a transaction of its own. It costs no round trip beyond the statements.
    ///
    /// # Errors
    /// The work's, and transient when the database can't be reached.
    pub async fn with<T, E>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<PlatformError>,
    {
        let mut place = self.place().await?;
        // Taken out while it is in use: work that is given up half-way drops the connection with its open statement.
        let mut connection = self.ready(place.take()).await?;
        let outcome = work(&mut connection).await;
        *place = Some(Idle {
            connection,
            used_at: Instant::now(),
            is_suspect: outcome.is_err(),
        });
        outcome
    }

    /// Does work in one transaction: committed when the work succeeds, rolled back when it fails.
    ///
    /// # Errors
    /// The work's, and transient when the database can't be reached.
    pub async fn transaction<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<PlatformError>,
    {
        self.with(async move |connection| {
            let mut transaction = connection.begin().await.map_err(PlatformError::from)?;
            let outcome = work(&mut transaction).await;
            let ended = match &outcome {
                Ok(_) => transaction.commit().await,
                Err(_) => transaction.rollback().await,
            };
            match outcome {
                Ok(value) => ended
                    .map(|()| value)
                    .map_err(|error| PlatformError::from(error).into()),
                // A rollback that failed shows when the connection is pinged before its next use.
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// A connection of its own, for what lasts as long as a session (an advisory lock, a setting). Dropping it, whatever
    /// the reason, ends the session and all that hangs on it.
    ///
    /// # Errors
    /// Transient when the database can't be reached.
    pub async fn dedicated(&self) -> Result<PgConnection, PlatformError> {
        let options = self.0.sign_in.options().await?;
        let connecting = options.connect();
        Ok(timeout(ACQUIRE_TIMEOUT, connecting)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??)
    }

    /// Connects before somebody needs it. When that fails, whoever needs it tries again, and says why.
    async fn connect(&self) {
        let mut place = self.0.idle.lock().await;
        if place.is_none()
            && let Ok(connection) = self.dedicated().await
        {
            *place = Some(Idle {
                connection,
                used_at: Instant::now(),
                is_suspect: false,
            });
        }
    }

    async fn place(&self) -> Result<MutexGuard<'_, Option<Idle>>, PlatformError> {
        let waiting = timeout(ACQUIRE_TIMEOUT, self.0.idle.lock()).await;
        Ok(waiting.map_err(|_| sqlx::Error::PoolTimedOut)?)
    }

    /// The connection that was used before, or a new one when that lives no more.
    async fn ready(&self, idle: Option<Idle>) -> Result<PgConnection, PlatformError> {
        let Some(mut idle) = idle else {
            return self.dedicated().await;
        };
        let is_fresh = !idle.is_suspect && idle.used_at.elapsed() <= ASSUMED_ALIVE;
        if is_fresh || can_write(&mut idle.connection).await {
            return Ok(idle.connection);
        }
        self.dedicated().await
    }
}

/// The addresses of a list, of which none is there twice.
fn addresses(environment: &mut Environment, name: &str) -> Option<Vec<String>> {
    let Some(text) = environment.optional::<String>(name) else {
        return Some(Vec::new());
    };
    // What is wrong is told without the value, here and below: it may have a password.
    let Ok(addresses) = serde_json::from_str::<Vec<String>>(&text) else {
        environment.problem(format!("{name} is no JSON list of addresses"));
        return None;
    };
    let distinct: BTreeSet<&String> = addresses.iter().collect();
    if distinct.len() < addresses.len() {
        environment.problem(format!("{name} has an address twice"));
    }
    Some(addresses)
}

/// Whether a session is alive and may write: after a failover it goes on with what was the writer before, and answers every
/// write with an error.
async fn can_write(connection: &mut PgConnection) -> bool {
    let reads_only = "SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()";
    let answer = sqlx::query_scalar::<_, bool>(reads_only).fetch_one(connection);
    matches!(answer.await, Ok(false))
}

impl SignIn {
    fn read(environment: &mut Environment) -> Option<Self> {
        if environment.has("DATABASE_URL") {
            return environment
                .required("DATABASE_URL")
                .map(Box::new)
                .map(Self::Password);
        }
        let host = environment.required::<String>("DATABASE_HOST");
        let port = environment.required::<u16>("DATABASE_PORT");
        Self::with_iam(environment, host, port)
    }

    fn read_node(environment: &mut Environment, variable: &str, address: &str) -> Option<Self> {
        if address.contains("://") {
            let options = PgConnectOptions::from_str(address);
            if options.is_err() {
                environment.problem(format!("{variable} has a URL that can't be read"));
            }
            return options.ok().map(Box::new).map(Self::Password);
        }
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (address, environment.required("DATABASE_PORT")),
        };
        let host = Some(host).filter(|host| !host.is_empty());
        if host.is_none() || port.is_none() {
            environment.problem(format!("{variable} has an address that is no host or host:port"));
        }
        Self::with_iam(environment, host.map(str::to_owned), port)
    }

    /// As the user and to the database that the environment names.
    fn with_iam(environment: &mut Environment, host: Option<String>, port: Option<u16>) -> Option<Self> {
        let name = environment.required::<String>("DATABASE_NAME");
        let user = environment.required::<String>("DATABASE_USER");
        let (host, port, name, user) = (host?, port?, name?, user?);
        let options = PgConnectOptions::new_without_pgpass()
            .host(&host)
            .port(port)
            .database(&name)
            .username(&user)
            .ssl_mode(PgSslMode::VerifyFull);
        Some(Self::Iam(Box::new(IamSignIn {
            options,
            host,
            port,
            user,
            token: Mutex::new(None),
        })))
    }

    async fn options(&self) -> Result<PgConnectOptions, PlatformError> {
        let iam = match self {
            Self::Password(options) => return Ok((**options).clone()),
            Self::Iam(iam) => iam,
        };
        if let Some(token) = iam.fresh_token() {
            return Ok(iam.options.clone().password(&token));
        }
        let token = sign_in::iam_token(&iam.host, iam.port, &iam.user).await?;
        let options = iam.options.clone().password(&token);
        if let Ok(mut slot) = iam.token.lock() {
            *slot = Some((token, Instant::now()));
        }
        Ok(options)
    }
}

impl IamSignIn {
    fn fresh_token(&self) -> Option<String> {
        let slot = self.token.lock().ok()?;
        let (token, made_at) = slot.as_ref()?;
        (made_at.elapsed() < TOKEN_RENEWAL).then(|| token.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nodes behind the main one.
    fn read(nodes: &str, main: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables = main.iter().copied().chain([("NODES", nodes)]);
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(owned);
        let nodes = Database::read_nodes(&mut environment, "NODES");
        let nodes = environment.finish(nodes).map_err(|error| error.to_string())?;
        let address = |database: &Database| match &database.0.sign_in {
            SignIn::Password(options) => format!("{} as {}", options.get_host(), options.get_username()),
            SignIn::Iam(iam) => format!("{}:{} as {} with IAM", iam.host, iam.port, iam.user),
        };
        Ok(nodes.iter().skip(1).map(address).collect())
    }

    const BY_URL: [(&str, &str); 1] = [("DATABASE_URL", "postgres://me@main/moneta")];

    #[test]
    fn further_databases_are_signed_in_to_as_the_main_one_is() {
        for none in ["", " ", "[]"] {
            assert_eq!(read(none, &BY_URL).unwrap(), [""; 0]);
        }
        let urls = r#"["postgres://me:secret@here:1/moneta", "postgres://me:secret@there:2/moneta"]"#;
        assert_eq!(read(urls, &BY_URL).unwrap(), ["here as me", "there as me"]);
        let with_iam = [
            ("DATABASE_HOST", "main.proxy"),
            ("DATABASE_PORT", "5432"),
            ("DATABASE_NAME", "moneta"),
            ("DATABASE_USER", "wallets"),
        ];
        assert_eq!(
            read(r#"["one.proxy", "two.proxy:6432"]"#, &with_iam).unwrap(),
            [
                "one.proxy:5432 as wallets with IAM",
                "two.proxy:6432 as wallets with IAM"
            ]
        );
    }

    #[test]
    fn addresses_that_cannot_be_read_are_told_without_what_they_hold() {
        let told_of = |nodes: &str, told: &str| {
            let error = read(nodes, &BY_URL).unwrap_err();
            assert!(error.contains(told) && !error.contains("secret"), "{error}");
        };
        told_of("one.secret.proxy", "NODES is no JSON list");
        told_of(
            r#"["secret:x"]"#,
            "NODES has an address that is no host or host:port",
        );
        told_of(r#"["secret"]"#, "DATABASE_USER is not set");
        told_of(
            r#"["postgres://me:secret@ here"]"#,
            "NODES has a URL that can't be read",
        );
        told_of(
            r#"["postgres://secret/a", "postgres://secret/a"]"#,
            "NODES has an address twice",
        );
    }
}
