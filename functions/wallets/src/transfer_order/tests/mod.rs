//! Deferred transfers against PostgreSQL: once each, whatever is cut off, and the books right in the end.

mod bench;

use std::collections::BTreeMap;

use domain::wallets::payment::PaymentStatus;
use platform::config::FromEnvironment;
use platform::idempotency::Replayable;

use super::*;
use crate::payment::view::PaymentView;
use crate::placement::Slot;
use crate::transfer::BatchMode;
use bench::{Bench, STOCK, batch, caller, key, mover, order, pay};

#[tokio::test]
async fn deferred_transfer_waits_and_is_done_once() {
    let bench = Bench::with_clients(2).await;
    let transfers = bench.transfers();
    let made = pay(&transfers, "K", 1, 2, 300).await;
    assert_eq!(made.value.payment_status, PaymentStatus::Pending);
    assert_eq!((made.replayed, made.value.balance_after), (false, STOCK - 300));
    assert_eq!(bench.balances().await, [STOCK - 300, STOCK]);
    assert_eq!(bench.events().await, []);
    assert_eq!(
        bench.differences().await,
        [],
        "a transfer on its way is no difference"
    );
    let again = pay(&transfers, "K", 1, 2, 300).await;
    assert_eq!((again.replayed, again.value.id), (true, made.value.id));
    assert_eq!(again.value.payment_status, PaymentStatus::Pending);

    let report = bench.settle().await;
    assert_eq!((report.settled, report.refused, report.failed), (1, 0, 0));
    assert_eq!(bench.balances().await, [STOCK - 300, STOCK + 300]);
    let again = pay(&transfers, "K", 1, 2, 300).await;
    assert_eq!((again.replayed, again.value.id), (true, made.value.id));
    assert_eq!(again.value.payment_status, PaymentStatus::Done);
    assert!(again.value.updated_at >= again.value.created_at);
    let event = |kind: &str, client: i64| (kind.to_owned(), format!("client-{client}"));
    assert_eq!(
        bench.events().await,
        [event("transfer.received", 2), event("transfer.done", 1)]
    );
    assert_eq!(bench.settle().await, Report::default(), "nothing is left to do");
    bench.books_are_right().await;
}

#[tokio::test]
async fn refused_transfer_gives_the_money_back_and_stays_refused() {
    let bench = Bench::with_clients(3).await;
    let transfers = bench.transfers();
    // Two of three fit into what is left of the largest balance.
    bench.fill(2, 500).await;
    for (name, amount) in [("A", 200), ("B", 400), ("C", 300)] {
        pay(&transfers, name, 1, 2, amount).await;
    }
    let report = bench.settle().await;
    assert_eq!((report.settled, report.refused, report.failed), (3, 1, 0));
    assert_eq!(bench.balances().await, [STOCK - 500, i64::MAX, STOCK]);
    let failed = pay(&transfers, "B", 1, 2, 400).await;
    assert_eq!(
        (failed.replayed, failed.value.payment_status),
        (true, PaymentStatus::Failed)
    );
    let kinds: Vec<String> = bench.events().await.into_iter().map(|event| event.0).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "transfer.failed").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| *kind == "transfer.done").count(), 2);
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "transfer.received").count(),
        2
    );
    // There is room now; the order is delivered once more all the same.
    pay(&transfers, "D", 2, 3, 5_000).await;
    bench
        .execute(
            "INSERT INTO transfer_orders (client_id, payment_id, receiver_slot, created_at) \
             SELECT client_id, id, 0, created_at FROM payments WHERE payment_status = 3",
        )
        .await;
    let report = bench.settle().await;
    assert_eq!(
        (report.settled, report.failed),
        (1, 1),
        "a settled one is not settled again"
    );
    assert_eq!(
        bench.balances().await,
        [STOCK - 500, i64::MAX - 5_000, STOCK + 5_000]
    );
    bench.execute("DELETE FROM transfer_orders").await;
    bench.books_are_right().await;
}

/// Runs that were cut off between the receiver's half and the payer's.
#[tokio::test]
async fn credited_order_is_delivered_again_without_being_credited_again() {
    let bench = Bench::with_clients(4).await;
    let transfers = bench.transfers();
    for (name, receiver) in [("A", 2), ("B", 3)] {
        pay(&transfers, name, 1, receiver, 100).await;
    }
    let mut connection = bench.connect().await;
    let now = ClockHandle::system().now();
    let orders = store::waiting(&mut connection, Slot::FIRST, None, now, 500)
        .await
        .unwrap();
    assert_eq!(
        store::credit(&mut connection, &orders, now).await.unwrap(),
        [None, None]
    );
    // New ones come into the same batch, one of them for the same receiver.
    pay(&transfers, "C", 1, 2, 10).await;
    pay(&transfers, "D", 4, 3, 1).await;
    assert_eq!(bench.settle().await.settled, 4);
    assert_eq!(
        bench.balances().await,
        [STOCK - 210, STOCK + 110, STOCK + 101, STOCK - 1]
    );
    // The settlement of a run that was late comes to nothing.
    assert_eq!(
        store::settle(&mut connection, &orders, &[None, None], now)
            .await
            .unwrap(),
        0
    );
    let refused = [Some("late".to_owned()), Some("late".to_owned())];
    assert_eq!(
        store::settle(&mut connection, &orders, &refused, now)
            .await
            .unwrap(),
        0
    );
    bench.books_are_right().await;
}

#[tokio::test]
async fn order_that_cannot_be_settled_holds_up_no_other() {
    let bench = Bench::with_clients(3).await;
    let transfers = bench.transfers();
    for (name, payer, receiver) in [("A", 1, 2), ("B", 2, 3), ("C", 3, 1)] {
        pay(&transfers, name, payer, receiver, 50).await;
    }
    // Somebody has changed a payment behind its order.
    bench
        .execute("UPDATE payments SET payment_status = 2 WHERE client_id = 2 AND payment_type = 3")
        .await;
    let report = bench.settle().await;
    assert_eq!((report.settled, report.failed), (2, 1));
    assert_eq!(bench.number("SELECT count(*) FROM transfer_orders").await, 1);
    assert_eq!(bench.settle().await.failed, 0, "it waits for its time");
    let found = bench.differences().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "order-left-over");
    bench
        .execute("UPDATE transfer_orders SET created_at = created_at - INTERVAL '1 hour', retry_at = NULL")
        .await;
    let report = bench.settle().await;
    assert_eq!((report.stuck, report.failed), (1, 1));
}

#[tokio::test]
async fn late_orders_are_counted_up_to_a_limit() {
    let bench = Bench::with_clients(3).await;
    let transfers = bench.transfers();
    for name in ["A", "B", "C", "D"] {
        pay(&transfers, name, 1, 2, 10).await;
    }
    bench
        .execute(
            "UPDATE transfer_orders SET created_at = created_at - INTERVAL '1 hour' \
              WHERE payment_id < (SELECT max(payment_id) FROM transfer_orders); \
             UPDATE transfer_orders SET receiver_slot = 2 WHERE payment_id = (SELECT min(payment_id) FROM transfer_orders)",
        )
        .await;
    let mut connection = bench.connect().await;
    let time = ClockHandle::system().now() - chrono::TimeDelta::minutes(5);
    // Two late ones and one that isn't for the first slot, a late one for another.
    for (limit, counted) in [(1, 2), (2, 3), (10, 3)] {
        let late = store::older_than(&mut connection, time, limit).await.unwrap();
        assert_eq!(late, counted, "{limit} of a slot");
    }
}

#[tokio::test]
async fn what_is_known_of_a_receiver_is_read_anew_where_it_is_not_enough() {
    let bench = Bench::with_clients(2).await;
    let transfers = bench.transfers();
    bench
        .execute(
            "INSERT INTO clients (client_id) VALUES (9); \
             INSERT INTO wallets (client_id, id, currency) VALUES (9, 91, 978); \
             INSERT INTO exchange_rates (base, quote, rate, as_of, source) VALUES (840, 978, 0.5, now(), 'ecb')",
        )
        .await;
    let converted = pay(&transfers, "A", 1, 9, 100).await;
    assert_eq!(converted.value.partner_amount, 50);
    // Since it has a wallet in the payer's currency, money goes there.
    bench
        .execute("INSERT INTO wallets (client_id, id, currency) VALUES (9, 92, 840)")
        .await;
    let direct = pay(&transfers, "B", 1, 9, 100).await;
    assert_eq!(
        (direct.value.partner_amount, direct.value.currency),
        (100, direct.value.partner_currency)
    );
    let unknown = transfers.transfer(mover(1), &key("C"), order(1, 77, 1)).await;
    assert!(matches!(unknown, Err(Error::ReceiverNotFound)), "{unknown:?}");
    assert_eq!(bench.settle().await.settled, 2);
    assert_eq!(bench.differences().await, []);
}

#[tokio::test]
async fn refused_conversion_leaves_no_residue() {
    let bench = Bench::with_clients(1).await;
    let transfers = bench.transfers();
    bench
        .execute(
            "INSERT INTO clients (client_id) VALUES (9); \
             INSERT INTO wallets (client_id, id, currency, created_at) VALUES (9, 91, 978, '2020-01-01'); \
             INSERT INTO exchange_rates (base, quote, rate, as_of, source) VALUES (840, 978, 0.555, now(), 'ecb')",
        )
        .await;
    bench.fill(91, 60).await;
    // 56.055 each: 56 are received, and of the second, which doesn't fit, none.
    for name in ["A", "B"] {
        assert_eq!(pay(&transfers, name, 1, 9, 101).await.value.partner_amount, 56);
    }
    let residue = "SELECT (1000 * residue)::BIGINT FROM conversion_residues WHERE currency = 978";
    assert_eq!(bench.differences().await, []);
    assert_eq!(bench.number(residue).await, 110);
    let report = bench.settle().await;
    assert_eq!((report.settled, report.refused), (2, 1));
    assert_eq!(bench.differences().await, []);
    assert_eq!(bench.number(residue).await, 55);
}

#[tokio::test]
async fn deferred_batch_is_all_or_none_and_answers_as_things_are_now() {
    let bench = Bench::with_clients(4).await;
    let transfers = bench.transfers();
    let too_much = batch(BatchMode::Atomic, &[(1, 2, 100, None), (3, 4, STOCK + 1, None)]);
    let refused = transfers.batch(caller(), &key("K"), too_much).await;
    assert!(
        matches!(refused, Err(Error::Batch { position: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(bench.balances().await, [STOCK; 4]);
    assert_eq!(bench.number("SELECT count(*) FROM transfer_orders").await, 0);

    // The same key is free after that. An item sees what the ones before it have left.
    let items = [
        (3, 4, STOCK - 1, None),
        (3, 4, 2, None),
        (1, 2, 100, Some("own")),
        (1, 2, 100, Some("own")),
    ];
    let each = || batch(BatchMode::Each, &items);
    let made = transfers.batch(caller(), &key("K"), each()).await.unwrap();
    assert!(!made.replayed);
    let statuses = |results: &[Result<Replayable<PaymentView>, Error>]| {
        let status = |one: &Result<Replayable<PaymentView>, Error>| {
            one.as_ref()
                .ok()
                .map(|made| (made.replayed, made.value.payment_status))
        };
        results.iter().map(status).collect::<Vec<_>>()
    };
    use PaymentStatus::{Done, Pending};
    assert_eq!(
        statuses(&made.value),
        [
            Some((false, Pending)),
            None,
            Some((false, Pending)),
            Some((true, Pending))
        ]
    );
    assert!(matches!(made.value[1], Err(Error::InsufficientFunds { .. })));
    assert_eq!(bench.settle().await.settled, 2);
    let again = transfers.batch(caller(), &key("K"), each()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(
        statuses(&again.value),
        [Some((true, Done)), None, Some((true, Done)), Some((true, Done))]
    );
    let single = pay(&transfers, "own", 1, 2, 100).await;
    assert_eq!((single.replayed, single.value.payment_status), (true, Done));
    let mut other = items;
    other.swap(0, 1);
    let other = transfers
        .batch(caller(), &key("K"), batch(BatchMode::Each, &other))
        .await;
    assert!(other.is_err(), "another order is another batch");
    let empty = batch(BatchMode::Each, &[(1, 1, 5, None)]);
    let own = transfers.batch(caller(), &key("L"), empty).await.unwrap();
    assert!(matches!(own.value[0], Err(Error::SameWallet)));
    bench.books_are_right().await;
}

#[tokio::test]
async fn transfer_is_compared_with_its_other_side_after_it_was_settled() {
    let bench = Bench::with_clients(3).await;
    let transfers = bench.transfers();
    pay(&transfers, "A", 1, 2, 10).await;
    pay(&transfers, "B", 1, 3, 20).await;
    assert_eq!(bench.differences().await, []);
    assert_eq!(bench.settle().await.settled, 2);
    // Both sides of the first are right; of the second the receiver's is gone.
    bench
        .execute(
            "ALTER TABLE payments DISABLE TRIGGER payments_are_kept; \
             DELETE FROM payments WHERE client_id = 3 AND payment_type = 3; \
             UPDATE wallets SET balance = balance - 20, entries = 1 WHERE id = 3; \
             ALTER TABLE payments ENABLE TRIGGER payments_are_kept",
        )
        .await;
    let found = bench.differences().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "one-sided");
}

#[tokio::test]
async fn every_difference_of_transfers_in_halves_is_found() {
    let bench = Bench::with_clients(6).await;
    let transfers = bench.transfers();
    // Its order is gone.
    pay(&transfers, "A", 1, 2, 10).await;
    bench.execute("DELETE FROM transfer_orders").await;
    // The money is back, and the receiver has it too.
    pay(&transfers, "B", 3, 4, 20).await;
    let mut connection = bench.connect().await;
    let now = ClockHandle::system().now();
    let orders = store::waiting(&mut connection, Slot::FIRST, None, now, 500)
        .await
        .unwrap();
    store::credit(&mut connection, &orders, now).await.unwrap();
    let refused = [Some("balance-too-large".to_owned())];
    assert_eq!(
        store::settle(&mut connection, &orders, &refused, now)
            .await
            .unwrap(),
        1
    );
    // Done without the receiver.
    pay(&transfers, "C", 5, 6, 30).await;
    let orders = store::waiting(&mut connection, Slot::FIRST, None, now, 500)
        .await
        .unwrap();
    assert_eq!(
        store::settle(&mut connection, &orders, &[None], now)
            .await
            .unwrap(),
        1
    );
    let kinds: BTreeMap<String, usize> =
        bench
            .differences()
            .await
            .into_iter()
            .fold(BTreeMap::new(), |mut kinds, (kind, _)| {
                *kinds.entry(kind).or_default() += 1;
                kinds
            });
    let expected = [("one-sided", 1), ("order-missing", 1), ("sides-differ", 2)];
    let expected = BTreeMap::from(expected.map(|(kind, count)| (kind.to_owned(), count)));
    assert_eq!(kinds, expected);
}

/// Sessions are cut off at any time, those that pay and those that settle, of which three run at once; whoever pays asks again
/// under its key.
#[tokio::test]
async fn transfers_are_made_once_whatever_is_cut_off() {
    const CLIENTS: i64 = 40;
    const PAYERS: i64 = 8;
    const EACH: i64 = 60;
    let bench = Bench::with_clients(CLIENTS).await;
    // One receiver refuses: no more fits into its wallet.
    bench.fill(CLIENTS, 0).await;
    let paying = async |number: i64| {
        let transfers = bench.transfers();
        for turn in 0..EACH {
            let payer = 1 + (number * 7 + turn * 11) % (CLIENTS - 1);
            let receiver = 1 + (payer + 1 + turn * number) % CLIENTS;
            let order = order(payer, receiver, 1 + (turn * 13 + number) % 700);
            let name = key(&format!("{number}-{turn}"));
            loop {
                match transfers.transfer(mover(payer), &name, order).await {
                    Ok(_) | Err(Error::InsufficientFunds { .. } | Error::SameWallet) => break,
                    Err(Error::Platform(_) | Error::Contended) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    };
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let ordering = std::sync::atomic::Ordering::SeqCst;
    let settling = async || {
        while !is_over.load(ordering) {
            let orders = TransferOrders::read(&mut bench.environment()).unwrap();
            // A run that is cut off fails; the next one goes on.
            let _cut_off = orders.run(Deadline::after(Duration::from_mins(1))).await;
        }
    };
    let cutting = async {
        let mut connection = bench.connect().await;
        let mut cut = 0_i64;
        while !is_over.load(ordering) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let somebody = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() \
                 ORDER BY random() LIMIT 2) AS one";
            let count: i64 = sqlx::query_scalar(somebody)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            cut += count;
        }
        cut
    };
    let paid = async {
        join_all((0..PAYERS).map(paying)).await;
        is_over.store(true, ordering);
    };
    let ((), cut, (), (), ()) = tokio::join!(paid, cutting, settling(), settling(), settling());
    assert!(cut > 20, "only {cut} sessions were cut off");
    bench.execute("UPDATE transfer_orders SET retry_at = NULL").await;
    bench.settle().await;
    let twice = "SELECT count(*) FROM (SELECT FROM payments WHERE request IS NOT NULL GROUP BY request HAVING count(*) > 1) AS two";
    assert_eq!(bench.number(twice).await, 0);
    let unanswered = "SELECT count(*) FROM payments AS own LEFT JOIN transfer_answers AS answer \
                          ON answer.transaction_id = own.transaction_id \
                       WHERE own.payment_type = 3 AND own.amount < 0 \
                         AND (own.payment_status = 2) <> coalesce(answer.refusal IS NULL AND answer.payment_id IS NOT NULL, FALSE)";
    assert_eq!(bench.number(unanswered).await, 0);
    assert!(
        bench
            .number("SELECT count(*) FROM payments WHERE payment_status = 2 AND payment_type = 3")
            .await
            > 100
    );
    assert!(
        bench
            .number("SELECT count(*) FROM payments WHERE payment_status = 3")
            .await
            > 0
    );
    let events = "SELECT count(*) FROM outbox_messages";
    let told = "SELECT count(*) FROM payments WHERE payment_type = 3";
    assert_eq!(
        bench.number(events).await,
        bench.number(told).await,
        "each payment is told of once"
    );
    bench.books_are_right().await;
}
