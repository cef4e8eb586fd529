//! PostgreSQL: one connection per instance, made on first use. In AWS through RDS Proxy with a short-lived IAM
//! token as password; elsewhere by `DATABASE_URL`.
//!
//! A session's limits (a statement 10 s, a lock 5 s, an idle transaction 10 s) are settings of the role in the database,
//! made by its migrations: a `SET` would pin the connection at the proxy, and start-up options it refuses.

use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::aws;
use crate::config::Environment;
use crate::error::PlatformError;

/// IAM tokens live for 15 minutes; a new one is made before that.
const TOKEN_RENEWAL: Duration = Duration::from_secs(10 * 60);
/// How long a request waits for a connection before it is told to come again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it still lives: an instance may have been frozen meanwhile. One
/// that was just used isn't, which saves every statement of a busy instance a round trip.
const ASSUMED_ALIVE: Duration = Duration::from_secs(5);

/// The database of this instance.
#[derive(Debug)]
pub struct Database {
    pool: PgPool,
    sign_in: SignIn,
    kept: tokio::sync::Mutex<Option<Kept>>,
}

/// The connection of [`Database::lend`], between two uses.
#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    used_at: Instant,
}

#[derive(Debug)]
enum SignIn {
    Password,
    Iam(Box<IamSignIn>),
}

#[derive(Debug)]
struct IamSignIn {
    options: PgConnectOptions,
    host: String,
    port: u16,
    user: String,
    signed_at: Mutex<Option<Instant>>,
}

impl Database {
    /// Reads `DATABASE_URL`, or `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_NAME` and `DATABASE_USER` for IAM.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        if environment.has("DATABASE_URL") {
            let options: PgConnectOptions = environment.required("DATABASE_URL")?;
            return Some(Self {
                pool: pool(options),
                sign_in: SignIn::Password,
                kept: tokio::sync::Mutex::default(),
            });
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
        let pool = pool(options.clone());
        let signed_at = Mutex::new(None);
        Some(Self {
            pool,
            sign_in: SignIn::Iam(Box::new(IamSignIn {
                options,
                host,
                port,
                user,
                signed_at,
            })),
            kept: tokio::sync::Mutex::default(),
        })
    }

    /// A database at `url`, for tests and tools.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn at(url: &str) -> Result<Self, PlatformError> {
        Ok(Self {
            pool: pool(PgConnectOptions::from_str(url)?),
            sign_in: SignIn::Password,
            kept: tokio::sync::Mutex::default(),
        })
    }

    /// The pool, for reads of a single statement.
    ///
    /// # Errors
    /// When no IAM token can be made.
    pub async fn pool(&self) -> Result<&PgPool, PlatformError> {
        self.renew_token().await?;
        Ok(&self.pool)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, PlatformError> {
        Ok(self.pool().await?.begin().await?)
    }

    /// A connection outside of the pool, for what lasts as long as a session (an advisory lock, a setting). Dropping
    /// it, whatever the reason, ends the session and all that hangs on it.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn dedicated(&self) -> Result<PgConnection, PlatformError> {
        Ok(self.pool().await?.acquire().await?.detach())
    }

    /// Lends a connection for work whose every statement is a transaction of its own, one borrower at a time. It costs no
    /// round trip beyond the statements themselves, while the pool asks a connection whether it lives whenever it comes
    /// back. After a failure, or work that was given up, the connection isn't used again.
    ///
    /// # Errors
    /// The work's, and when the database can't be reached.
    pub async fn lend<T, E>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<PlatformError>,
    {
        let mut place = self.kept.lock().await;
        let mut connection = match place.take() {
            Some(kept) => self.alive(kept).await?,
            None => self.dedicated().await?,
        };
        let outcome = work(&mut connection).await;
        if outcome.is_ok() {
            let used_at = Instant::now();
            *place = Some(Kept { connection, used_at });
        }
        outcome
    }

    /// The connection that was kept, or a new one when it lives no more.
    async fn alive(&self, kept: Kept) -> Result<PgConnection, PlatformError> {
        let Kept {
            mut connection,
            used_at,
        } = kept;
        if used_at.elapsed() <= ASSUMED_ALIVE || connection.ping().await.is_ok() {
            return Ok(connection);
        }
        self.dedicated().await
    }

    async fn renew_token(&self) -> Result<(), PlatformError> {
        let SignIn::Iam(iam) = &self.sign_in else {
            return Ok(());
        };
        if is_fresh(&iam.signed_at) {
            return Ok(());
        }
        let token = iam_token(&iam.host, iam.port, &iam.user).await?;
        self.pool
            .set_connect_options(iam.options.clone().password(&token));
        if let Ok(mut at) = iam.signed_at.lock() {
            *at = Some(Instant::now());
        }
        Ok(())
    }
}

fn is_fresh(signed_at: &Mutex<Option<Instant>>) -> bool {
    signed_at
        .lock()
        .is_ok_and(|at| at.is_some_and(|at| at.elapsed() < TOKEN_RENEWAL))
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > ASSUMED_ALIVE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// A token that RDS takes as password: a presigned request, as AWS documents it.
async fn iam_token(host: &str, port: u16, user: &str) -> Result<String, PlatformError> {
    let failure = |reason: String| PlatformError::Secret {
        name: "DATABASE_USER".to_owned(),
        reason,
    };
    let config = aws::config().await;
    let region = config
        .region()
        .ok_or_else(|| failure("no region is set".to_owned()))?;
    let provider = config
        .credentials_provider()
        .ok_or_else(|| failure("no credentials".to_owned()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| failure(crate::error::chain(&error)))?;

    let mut settings = SigningSettings::default();
    settings.expires_in = Some(Duration::from_secs(15 * 60));
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("rds-db")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| failure(error.to_string()))?;
    let query = serde_urlencoded::to_string([("Action", "connect"), ("DBUser", user)])
        .map_err(|error| failure(error.to_string()))?;
    let mut address = format!("https://{host}:{port}/?{query}");
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| failure(error.to_string()))?;
    let (instructions, _) = sign(request, &parameters.into())
        .map_err(|error| failure(error.to_string()))?
        .into_parts();
    let signature =
        serde_urlencoded::to_string(instructions.params()).map_err(|error| failure(error.to_string()))?;
    address.push('&');
    address.push_str(&signature);
    Ok(address.trim_start_matches("https://").to_owned())
}
