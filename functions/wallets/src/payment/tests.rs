//! Lists of payments against PostgreSQL.

use local_cloud::backends::TestDatabase;
use platform::config::{Environment, FromEnvironment};

use super::*;

/// One withdrawal, and so many recharges after it, a minute apart.
const PAYMENTS: &str = "\
    INSERT INTO clients (client_id, created_at) VALUES (1, '2020-01-01'); \
    INSERT INTO wallets (client_id, id, currency, balance, entries, created_at) VALUES (1, 1, 840, 1, 25001, '2020-01-01'); \
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
        partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, created_at, \
        updated_at) \
    SELECT 1, n, gen_random_uuid(), CASE n WHEN 1 THEN 2 ELSE 1 END, 2, 1, 840, CASE n WHEN 1 THEN -1 ELSE 1 END, 0, 0, 840, \
           CASE n WHEN 1 THEN 1 ELSE -1 END, 1, n, 1, at, at \
    FROM (SELECT n, '2020-01-01'::TIMESTAMPTZ + n * interval '1 minute' AS at FROM generate_series(1, 25001) AS n) AS payment";

async fn page(payments: &Payments, query: PaymentsQuery) -> Page<PaymentView> {
    let page = query.page().unwrap();
    payments
        .list(ClientId::new(1).unwrap(), &query, page)
        .await
        .unwrap()
}

#[tokio::test]
async fn payments_that_few_pass_a_filter_of_are_found_some_pages_later() {
    let database = TestDatabase::start().await.unwrap();
    let mut connection = database.connection().await.unwrap();
    sqlx::raw_sql(PAYMENTS).execute(&mut connection).await.unwrap();
    let mut environment = Environment::of([("DATABASE_URL".to_owned(), database.url().to_owned())]);
    let payments = Payments::read(&mut environment).unwrap();

    let withdrawals = |cursor| PaymentsQuery {
        payment_type: Some(domain::wallets::payment::PaymentType::Withdraw),
        cursor,
        ..PaymentsQuery::default()
    };
    let mut found = Vec::new();
    let (mut cursor, mut pages) = (None, 0);
    loop {
        let page = page(&payments, withdrawals(cursor)).await;
        pages += 1;
        found.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (1, 3));

    // What was made before the period isn't read page by page.
    let recent = PaymentsQuery {
        from: Some("2020-01-18T00:00:00Z".parse().unwrap()),
        limit: Some(100),
        ..withdrawals(None)
    };
    let page = page(&payments, recent).await;
    assert_eq!((page.items.len(), page.next_cursor), (0, None));
}
