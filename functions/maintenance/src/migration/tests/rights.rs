//! What each area's user may do, and may not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use local_cloud::backends::Postgres;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::super::store;

const AREAS: [&str; 7] = [
    "trading",
    "commissions",
    "wallets",
    "dealers",
    "funded-accounts",
    "notifications",
    "maintenance",
];
/// So many characters of a statement, and more, have to stand in the code that it is of.
const MIN_FOUND: usize = 20;
/// Of SQLSTATE.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A migrated database with its rights.
struct Bench {
    postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(folder.path()).await.unwrap();
        let bench = Self {
            postgres,
            _folder: folder,
        };
        let mut owner = bench.owner().await;
        store::apply(&mut owner).await.unwrap();
        store::give_rights(&mut owner).await.unwrap();
        // The users that this has made sign in with IAM; here they get a password.
        let users: BTreeSet<String> = AREAS.iter().map(|area| user_of(area)).collect();
        bench.postgres.create_users(&users).await.unwrap();
        bench
    }

    async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.postgres.url()).await.unwrap()
    }

    async fn user(&self, area: &str) -> PgConnection {
        let options = PgConnectOptions::from_str(self.postgres.url()).unwrap();
        let options = options.username(&user_of(area)).disable_statement_logging();
        options.connect().await.unwrap()
    }
}

fn user_of(area: &str) -> String {
    format!("moneta_{}", area.replace('-', "_"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A text with one space wherever there are any, and quotes as in SQL.
fn plain(text: &str) -> String {
    let text = text.replace("\\\n", " ").replace("\\\"", "\"");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All code below a folder.
fn code(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// How much of a statement's beginning stands in a code; one that is put together stands there in parts. Nothing when it is
/// too little to tell by: it isn't looked for any shorter, so that a code is searched once.
fn length_found(statement: &str, code: &str) -> usize {
    let shortest = statement.char_indices().nth(MIN_FOUND);
    let shortest = shortest.map_or(statement, |(end, _)| &statement[..end]);
    let lengths = code.match_indices(shortest).map(|(at, _)| {
        let both = statement.chars().zip(code[at..].chars());
        let same = both.take_while(|(one, other)| one == other);
        same.map(|(one, _)| one.len_utf8()).sum()
    });
    lengths.max().unwrap_or_default()
}

/// The statements of each area, with how many parameters each has; the platform's run in every scenario.
fn statements() -> BTreeMap<&'static str, Vec<(String, usize)>> {
    let mut codes = Vec::new();
    for area in AREAS {
        codes.push((Some(area), root().join("functions").join(area).join("src")));
    }
    codes.push((None, root().join("shared/platform/src")));
    let codes: Vec<(Option<&str>, String)> = codes
        .into_iter()
        .map(|(area, folder)| {
            let mut text = String::new();
            code(&folder, &mut text);
            (area, plain(&text))
        })
        .collect();
    let mut statements: BTreeMap<&str, Vec<(String, usize)>> = BTreeMap::new();
    for entry in std::fs::read_dir(root().join(".sqlx")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let statement = file["query"].as_str().unwrap();
        let parameters = file["describe"]["parameters"]["Left"].as_array();
        let parameters = parameters.map_or(0, Vec::len);
        let searched = plain(statement);
        let lengths = codes.iter().map(|(_, code)| length_found(&searched, code));
        let lengths: Vec<usize> = lengths.collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        assert!(longest > MIN_FOUND, "in no code: {statement}");
        for ((area, _), length) in codes.iter().zip(lengths) {
            if let Some(area) = area.filter(|_| length == longest) {
                let of_area = statements.entry(area).or_default();
                of_area.push((statement.to_owned(), parameters));
            }
        }
    }
    statements
}

#[tokio::test]
async fn every_statement_may_be_run_by_its_area() {
    let bench = Bench::start().await;
    let statements = statements();
    let mut refused = Vec::new();
    let mut tried = 0;
    for area in AREAS {
        let mut connection = bench.user(area).await;
        // A plan of values that aren't known: rights are checked when it would begin, and nothing is done.
        let generic = "SET plan_cache_mode = force_generic_plan";
        sqlx::raw_sql(generic).execute(&mut connection).await.unwrap();
        for (statement, parameters) in statements.get(area).unwrap() {
            let nothing = vec!["NULL"; *parameters].join(", ");
            let values = if nothing.is_empty() {
                String::new()
            } else {
                format!("({nothing})")
            };
            let explained =
                format!("PREPARE one AS {statement}; EXPLAIN EXECUTE one{values}; DEALLOCATE one");
            let explained = sqlx::raw_sql(AssertSqlSafe(explained));
            if let Err(error) = explained.execute(&mut connection).await {
                refused.push(format!("{area}: {error}: {statement}"));
                sqlx::raw_sql("DEALLOCATE ALL")
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            tried += 1;
        }
    }
    assert_eq!(refused, Vec::<String>::new());
    assert!(tried > 300, "{tried} statements were tried");
}

#[tokio::test]
async fn users_may_do_no_more_than_their_area_does() {
    let bench = Bench::start().await;
    let forbidden = [
        ("wallets", "UPDATE payments SET amount = amount"),
        ("wallets", "UPDATE payments SET created_at = created_at"),
        ("wallets", "DELETE FROM payments"),
        ("wallets", "TRUNCATE payments"),
        ("wallets", "ALTER TABLE payments DISABLE TRIGGER ALL"),
        ("wallets", "DELETE FROM outbox_messages"),
        ("wallets", "SELECT FROM profiles"),
        ("trading", "SELECT FROM payments"),
        ("trading", "UPDATE trading_money_flow SET amount_cents = 1"),
        ("trading", "DELETE FROM trading_money_flow"),
        ("trading", "UPDATE invoices SET status = 'paid'"),
        ("commissions", "UPDATE invoices SET amount_cents = 1"),
        ("commissions", "TRUNCATE invoice_payments"),
        ("commissions", "DELETE FROM idempotency_keys"),
        ("dealers", "UPDATE bill_payments SET bill_id = bill_id"),
        ("funded-accounts", "DELETE FROM withdrawals"),
        ("notifications", "SELECT FROM profiles"),
        ("notifications", "SELECT FROM plaid_items"),
        ("maintenance", "UPDATE outbox_messages SET payload = payload"),
        ("maintenance", "SELECT FROM profiles"),
        ("trading", "SELECT thin_funded_equity_history('2026-11-01', 1)"),
        ("trading", "CREATE TABLE mine ()"),
        ("maintenance", "SET ROLE moneta"),
    ];
    for (area, statement) in forbidden {
        let mut connection = bench.user(area).await;
        let outcome = sqlx::raw_sql(statement).execute(&mut connection).await;
        let error = outcome.map(|_| "done").unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.as_deref().unwrap_or_default();
        assert_eq!(code, INSUFFICIENT_PRIVILEGE, "{area}: {statement}: {error}");
    }
}

#[tokio::test]
async fn a_right_that_is_not_in_the_file_is_gone_after_the_next_migration() {
    let bench = Bench::start().await;
    let mut owner = bench.owner().await;
    let by_hand = "GRANT DELETE ON payments TO moneta_wallets";
    sqlx::raw_sql(by_hand).execute(&mut owner).await.unwrap();
    let mut wallets = bench.user("wallets").await;
    let delete = "DELETE FROM payments WHERE false";
    sqlx::raw_sql(delete).execute(&mut wallets).await.unwrap();
    let mut other = bench.owner().await;
    let (one, another) = tokio::join!(store::give_rights(&mut owner), store::give_rights(&mut other));
    one.unwrap();
    another.unwrap();
    sqlx::raw_sql(delete).execute(&mut wallets).await.unwrap_err();
    let limit: String = sqlx::query_scalar("SELECT current_setting('statement_timeout')")
        .fetch_one(&mut bench.user("wallets").await)
        .await
        .unwrap();
    assert_eq!(limit, "10s", "its sessions have the owner's limits");
}
