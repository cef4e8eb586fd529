//! Several databases, each a node of the wallets.

use domain::lane::Laned;
use local_cloud::backends::Postgres;
use platform::config::{Environment, FromEnvironment};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::super::*;

/// A node's ids are from its slot times this on.
const IDS_OF_SLOT: i64 = 1 << 40;

/// Migrates a database and the further nodes behind it.
async fn migrate(own: &Postgres, further: &[&Postgres]) -> Result<Report, Error> {
    let nodes: Vec<&str> = further.iter().map(|node| node.url()).collect();
    let variables = [
        ("DATABASE_URL".to_owned(), own.url().to_owned()),
        ("WALLET_NODES".to_owned(), json!(nodes).to_string()),
    ];
    Migrations::read(&mut Environment::of(variables))
        .unwrap()
        .apply()
        .await
}

/// The next ids of a client and a payment.
async fn next_ids(node: &Postgres) -> (i64, i64) {
    let mut connection = PgConnection::connect(node.url()).await.unwrap();
    let next = "SELECT nextval('client_ids'), nextval('payment_ids')";
    sqlx::query_as(next).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn node_gives_ids_of_its_slot_and_refuses_to_be_another() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [own, one, two] =
        futures::future::join_all(folders.iter().map(|folder| Postgres::start(folder.path())))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
    // One database alone, as ever; then it gets company, one by one.
    migrate(&own, &[]).await.unwrap();
    assert_eq!(next_ids(&own).await, (1, 1));
    migrate(&own, &[&one]).await.unwrap();
    migrate(&own, &[&one, &two]).await.unwrap();
    assert_eq!(next_ids(&own).await, (2, 3));
    assert_eq!(next_ids(&one).await, (IDS_OF_SLOT + 1, IDS_OF_SLOT + 1));
    assert_eq!(next_ids(&one).await, (IDS_OF_SLOT + 2, IDS_OF_SLOT + 3));
    assert_eq!(next_ids(&two).await, (2 * IDS_OF_SLOT + 1, 2 * IDS_OF_SLOT + 1));

    for (own, further) in [(&own, [&two, &one]), (&one, [&own, &two])] {
        let error = migrate(own, &further).await.unwrap_err();
        assert_eq!(error.code(), "another-node", "{error}");
    }
    assert_eq!(next_ids(&one).await, (IDS_OF_SLOT + 3, IDS_OF_SLOT + 5));
    for node in [own, one, two] {
        node.stop().await.unwrap();
    }
}
