//! PostgreSQL: one connection per instance, made when it starts. In AWS through RDS Proxy with a short-lived IAM
//! token as password; elsewhere by `DATABASE_URL`.
//!
//! A use case gets the connection for as long as a closure runs ([`Database::with`], [`Database::transaction`]) and can't
//! hold on to it, so none is held while somebody outside is called.
//!
//! A session's limits (a statement 10 s, a lock 5 s, an idle transaction 10 s) are settings of the role in the database,
//! made by its migrations: a `SET` would pin the connection at the proxy, and start-up options it refuses.

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
