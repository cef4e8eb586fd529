//! The server as others see it.

use super::*;

async fn connect(postgres: &Postgres) -> sqlx::PgConnection {
    options(postgres.url()).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn data_outlives_a_restart_and_the_role_is_no_superuser() {
    let state = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(state.path()).await.unwrap();
    let mut connection = connect(&postgres).await;
    sqlx::query("create table kept as select 7 as value")
        .execute(&mut connection)
        .await
        .unwrap();
    postgres.stop().await.unwrap();

    let postgres = Postgres::start(state.path()).await.unwrap();
    let mut connection = connect(&postgres).await;
    let value: i32 = sqlx::query_scalar("select value from kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(value, 7);
    let superuser: String = sqlx::query_scalar("select current_setting('is_superuser')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(superuser, "off");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_committed_outlives_a_crash_of_the_server() {
    let state = tempfile::tempdir().unwrap();
    let start = async |port| Postgres::start_with(state.path(), port, Durability::OutlivesServer).await;
    let postgres = start(None).await.unwrap();
    let (port, mut connection) = (postgres.port(), connect(&postgres).await);
    sqlx::query("create table kept as select 7 as value")
        .execute(&mut connection)
        .await
        .unwrap();
    postgres.crash().await.unwrap();
    assert!(sqlx::query("select 1").execute(&mut connection).await.is_err());

    let postgres = start(Some(port)).await.unwrap();
    let mut connection = connect(&postgres).await;
    let value: i32 = sqlx::query_scalar("select value from kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(value, 7);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_of_a_killed_run_is_taken_over() {
    let state = tempfile::tempdir().unwrap();
    let (server, lock) = prepare(state.path()).unwrap();
    let mut orphan = server.spawn(free_port().unwrap()).unwrap();
    server.wait_until_listening(&mut orphan).unwrap();
    drop(lock);

    let reaper = std::thread::spawn(move || orphan.wait().unwrap());
    let postgres = Postgres::start(state.path()).await.unwrap();
    assert!(reaper.join().unwrap().success());
    connect(&postgres).await;
    postgres.stop().await.unwrap();
}

/// The state directory for `a_server_until_killed`.
const STATE: &str = "MONETA_TEST_STATE";

/// Runs in the process that the next test kills; does nothing otherwise.
#[tokio::test]
async fn a_server_until_killed() {
    let Ok(state) = std::env::var(STATE) else {
        return;
    };
    let _postgres = Postgres::start(Path::new(&state)).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_server_ends_when_its_process_is_killed() {
    if setpriv().is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backends::postgres::tests::a_server_until_killed"])
        .env(STATE, state.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid_file = state.path().join("postgres/data/postmaster.pid");
    let ready = || std::fs::read_to_string(&pid_file).is_ok_and(|content| content.contains("ready"));
    assert!(wait_until(READY_WITHIN, ready));
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(wait_until(STOPPED_WITHIN, || !pid_file.exists()));
}

#[test]
fn data_moves_where_the_servers_user_can_reach_it() {
    let private = tempfile::tempdir().unwrap();
    let state = private.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(private.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(base_for(NOBODY, &state).unwrap().starts_with("/var/tmp"));
    std::fs::set_permissions(private.path(), PermissionsExt::from_mode(0o711)).unwrap();
    assert_eq!(base_for(NOBODY, &state).unwrap(), state.join("postgres"));
}

#[tokio::test]
async fn a_state_directory_has_one_local_cloud() {
    let state = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(state.path()).await.unwrap();
    let error = Postgres::start(state.path()).await.unwrap_err();
    assert!(error.to_string().contains("another local cloud"), "{error}");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let state = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(state.path()).await.unwrap();
    let url = postgres.url().to_owned();
    drop(postgres);
    let end = Instant::now() + STOPPED_WITHIN;
    while options(&url).unwrap().connect().await.is_ok() {
        assert!(Instant::now() < end, "the server still answers");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The URL without its password.
fn bare(url: &str) -> String {
    let (start, rest) = url.rsplit_once('@').unwrap();
    let (user, _) = start.rsplit_once(':').unwrap();
    format!("{user}@{rest}")
}

#[tokio::test]
async fn nobody_signs_in_without_the_password() {
    let state = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(state.path()).await.unwrap();
    for url in [postgres.url(), postgres.superuser_url()] {
        options(url).unwrap().connect().await.unwrap();
        let error = options(&bare(url)).unwrap().connect().await.unwrap_err();
        assert!(error.to_string().contains("password"), "{error}");
        let wrong = options(&bare(url)).unwrap().password("wrong");
        assert!(wrong.connect().await.is_err());
    }
    let kept = state.path().join("keys/postgres-superuser");
    let mode = std::fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn data_whose_password_nobody_knows_any_more_gets_new_ones() {
    let state = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(state.path()).await.unwrap();
    let before = postgres.superuser_url().to_owned();
    postgres.stop().await.unwrap();
    std::fs::remove_dir_all(state.path().join("keys")).unwrap();

    let postgres = Postgres::start(state.path()).await.unwrap();
    assert_ne!(before, postgres.superuser_url());
    for url in [postgres.url(), postgres.superuser_url()] {
        options(url).unwrap().connect().await.unwrap();
    }
    postgres.stop().await.unwrap();
}
