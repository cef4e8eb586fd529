//! A database of a test's own, on a server that all tests of a process share: to make a server and to migrate it takes more
//! than a second and a half of computing, to copy a database that is migrated a small part of that.

use std::path::Path;
use std::sync::{Arc, Weak};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{DATABASE, Ending, Postgres, ROLE, elsewhere, options};

/// Read when a test runs: what is built in here would be in the local cloud's programs too.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");

/// What tests have begun. Each of them has a runtime of its own, and neither the lock nor the server belongs to one.
static SHARED: Mutex<Shared> = Mutex::const_new(Shared {
    server: Weak::new(),
    databases: 0,
});

struct Shared {
    /// The tests hold it, because nothing that is static is ever dropped.
    server: Weak<Server>,
    /// How many databases were made.
    databases: u64,
}

/// A database with all migrations, which no other test sees. Roles, locks and statistics are the server's: what looks at
/// them has to look at its own database alone, or needs a [`Postgres`] of its own.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    // The last test that has it ends it.
    _server: Arc<Server>,
}

impl TestDatabase {
    /// Makes a database; the first test makes the server too.
    ///
    /// # Errors
    /// When PostgreSQL doesn't start, or a migration fails.
    pub async fn start() -> anyhow::Result<Self> {
        // Held until the database is there: nobody else may use the template meanwhile.
        let mut shared = SHARED.lock().await;
        let server = if let Some(server) = shared.server.upgrade() {
            server
        } else {
            let server = Arc::new(Server::start().await?);
            shared.server = Arc::downgrade(&server);
            server
        };
        shared.databases += 1;
        let name = format!("test_{}", shared.databases);
        server.copy_template(&name).await?;
        Ok(Self {
            url: format!("{}{name}", server.url.trim_end_matches(DATABASE)),
            _server: server,
        })
    }

    /// The URL of the database for the role that owns it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new session of the owner's.
    ///
    /// # Errors
    /// When the server takes no more.
    pub async fn connection(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }
}

/// A server whose own database is the template of the tests': it has the migrations, and nobody stays signed in there.
#[derive(Debug)]
struct Server {
    url: String,
    superuser_url: String,
    /// Taken when it ends.
    postgres: Option<Postgres>,
    folder: TempDir,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let postgres = Postgres::start(folder.path()).await?;
        let server = Self {
            url: postgres.url().to_owned(),
            superuser_url: postgres.superuser_url().to_owned(),
            postgres: Some(postgres),
            folder,
        };
        let mut connection = options(&server.url)?.connect().await?;
        let migrations = Migrator::new(Path::new(MIGRATIONS)).await?;
        migrations.run(&mut connection).await?;
        connection.close().await?;
        Ok(server)
    }

    async fn copy_template(&self, name: &str) -> anyhow::Result<()> {
        let superuser = options(&self.superuser_url)?.database("postgres");
        let mut connection = superuser.connect().await?;
        // As files: a copy by way of the log, the default, takes twice as long, and all of it is written into the log.
        let copy = format!("create database {name} template {DATABASE} owner {ROLE} strategy file_copy");
        sqlx::query(AssertSqlSafe(copy)).execute(&mut connection).await?;
        // What the migrations have set for sessions, such as their limits, isn't in the database, and no copy has it.
        let settings = "insert into pg_db_role_setting (setdatabase, setrole, setconfig) \
                        select copy.oid, setrole, setconfig from pg_db_role_setting \
                          join pg_database as template on template.oid = setdatabase and template.datname = $1 \
                          join pg_database as copy on copy.datname = $2";
        sqlx::query(settings)
            .bind(DATABASE)
            .bind(name)
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}

impl Drop for Server {
    /// Waits for the server, which otherwise writes into its folder while that is deleted, or is still there when the
    /// process has ended.
    fn drop(&mut self) {
        let Some(postgres) = self.postgres.take() else {
            return;
        };
        // Nobody wants what it holds in memory.
        if let Err(error) = postgres.end_and_wait(Ending::Crash) {
            tracing::warn!(%error, "the tests' PostgreSQL didn't end as it should");
        }
        if let Ok(state) = self.folder.path().canonicalize() {
            let _ = std::fs::remove_dir_all(elsewhere(&state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn value<T>(database: &TestDatabase, statement: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = database.connection().await.unwrap();
        let value = sqlx::query_scalar(statement).fetch_one(&mut connection);
        value.await.unwrap()
    }

    /// One test, because the last of its process ends the server.
    #[tokio::test]
    async fn tests_have_databases_of_their_own_on_a_server_that_ends_with_the_last() {
        let (one, other) = tokio::join!(TestDatabase::start(), TestDatabase::start());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(&one._server, &other._server));
        let of_one =
            "create table mine (); insert into clients (client_id, created_at) values (1, '2020-01-01')";
        let mut connection = one.connection().await.unwrap();
        sqlx::raw_sql(of_one).execute(&mut connection).await.unwrap();
        let has_it = "select to_regclass('mine') is not null";
        assert!(value::<bool>(&one, has_it).await && !value::<bool>(&other, has_it).await);
        assert_eq!(value::<i64>(&other, "select count(*) from clients").await, 0);
        for (setting, expected) in [
            ("select current_setting('statement_timeout')", "10s"),
            ("select current_setting('is_superuser')", "off"),
        ] {
            assert_eq!(value::<String>(&other, setting).await, expected, "{setting}");
        }

        let folder = one._server.folder.path().to_owned();
        drop(one);
        assert!(value::<bool>(&other, "select true").await && folder.exists());
        let url = other.url().to_owned();
        drop(other);
        assert!(!folder.exists());
        assert!(PgConnection::connect(&url).await.is_err());
        assert!(connection.ping().await.is_err());
    }
}
