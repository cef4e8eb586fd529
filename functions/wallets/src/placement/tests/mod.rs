//! Clients on two nodes, each a PostgreSQL of its own: what is paid between them, and what goes on while one is out of reach.

mod cells;

use std::time::Duration;

use domain::currency::Currency;
use domain::wallets::payment::PaymentStatus;
use platform::deadline::Deadline;
use platform::security::identity::Caller;

use super::*;
use crate::client::access::Mover;
use crate::client::{Clients, RegisterClientRequest, Registration};
use crate::payment_request::name_of_client;
use crate::rate::copies;
use crate::reconciliation::Reconciler;
use crate::transfer::{BatchMode, TransferRequest};
use crate::transfer_order::TransferOrders;
use cells::{
    ALSO_HERE, ALSO_THERE, Cells, HERE, STOCK, THERE, Whose, batch, caller, key, order, pay, try_to_pay,
};

fn is_unreachable<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(is_out_of_reach)
}

#[tokio::test]
async fn transfers_between_nodes_are_done_or_given_back() {
    let cells = Cells::start().await;
    let transfers = cells.transfers(true);
    let ways = [
        (HERE, THERE, 100),
        (THERE, HERE, 30),
        (HERE, ALSO_HERE, 5),
        (THERE, ALSO_THERE, 7),
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let made = pay(&transfers, &format!("K{n}"), way).await;
        assert_eq!(made.value.payment_status, PaymentStatus::Pending);
    }
    assert_eq!(cells.balances().await, [STOCK - 105, STOCK, STOCK - 37, STOCK]);
    assert_eq!(
        cells.differences().await,
        [[""; 0], [""; 0]],
        "on its way is no difference"
    );
    // Somebody has no room any more when the money comes.
    let full = "UPDATE wallets SET balance = 9223372036854775807 WHERE client_id = (1::BIGINT << 40) + 1";
    cells.execute(1, full).await;
    let report = cells.settle(true).await;
    assert_eq!((report.settled, report.refused, report.failed), (4, 1, 0));
    cells
        .execute(
            1,
            "UPDATE wallets SET balance = 10000 - 37 WHERE client_id = (1::BIGINT << 40) + 1",
        )
        .await;
    assert_eq!(
        cells.balances().await,
        [STOCK - 5 + 30, STOCK + 5, STOCK - 37, STOCK + 7]
    );
    for (n, (way, status)) in ways
        .into_iter()
        .zip([
            PaymentStatus::Failed,
            PaymentStatus::Done,
            PaymentStatus::Done,
            PaymentStatus::Done,
        ])
        .enumerate()
    {
        let again = pay(&transfers, &format!("K{n}"), way).await;
        assert_eq!((again.replayed, again.value.payment_status), (true, status));
    }
    // Each side is told where it lives.
    let told = "SELECT count(*) FROM outbox_messages WHERE kind = 'transfer.received'";
    assert_eq!(cells.numbers(told).await, [2, 1]);
    let told = "SELECT count(*) FROM outbox_messages WHERE kind IN ('transfer.done', 'transfer.failed')";
    assert_eq!(cells.numbers(told).await, [2, 2]);
    cells.books_are_right().await;
}

#[tokio::test]
async fn node_out_of_reach_stops_its_own_clients_alone() {
    let cells = Cells::start().await;
    let both = cells.transfers(true);
    pay(&both, "known", (HERE, THERE, 1)).await;
    assert_eq!(cells.settle(true).await.settled, 1);

    let alone = cells.transfers(false);
    let unknown = try_to_pay(&alone, "unknown", (HERE, THERE, 10)).await;
    assert!(is_unreachable(&unknown), "{unknown:?}");
    let of_its_own = try_to_pay(&alone, "own", (THERE, HERE, 10)).await;
    assert!(is_unreachable(&of_its_own), "{of_its_own:?}");
    // What was made before is known here, and whoever lives here pays whoever lives here.
    let again = pay(&alone, "known", (HERE, THERE, 1)).await;
    assert_eq!(
        (again.replayed, again.value.payment_status),
        (true, PaymentStatus::Done)
    );
    pay(&alone, "here", (HERE, ALSO_HERE, 100)).await;
    // A receiver that was seen before is paid, and waits.
    pay(&both, "waits", (HERE, THERE, 20)).await;
    let report = cells.settle(false).await;
    assert_eq!((report.settled, report.failed), (1, 0));
    assert_eq!(report.nodes_out_of_reach, BTreeSet::from([1]));
    assert_eq!(
        cells.balances().await,
        [STOCK - 121, STOCK + 100, STOCK + 1, STOCK]
    );
    let waiting = "SELECT count(*) FROM transfer_orders WHERE retry_at IS NULL";
    assert_eq!(cells.numbers(waiting).await, [1, 0]);
    let reconciler = cells.read::<Reconciler>(false);
    let report = reconciler
        .run(Deadline::after(Duration::from_mins(2)))
        .await
        .unwrap();
    assert_eq!(
        (report.clients, report.differences, report.out_of_reach),
        (2, 0, 1)
    );
    assert_eq!(report.nodes_out_of_reach, BTreeSet::from([1]));

    // It is back.
    assert_eq!(cells.settle(true).await.settled, 1);
    pay(&alone, "here", (HERE, ALSO_HERE, 100)).await;
    cells.books_are_right().await;
}

#[tokio::test]
async fn money_is_not_given_back_where_the_nodes_are_listed_in_another_order() {
    let cells = Cells::start().await;
    let transfers = cells.transfers(true);
    pay(&transfers, "there", (HERE, THERE, 100)).await;
    pay(&transfers, "here", (ALSO_HERE, HERE, 7)).await;
    let on_their_way = cells.balances().await;
    let deadline = Deadline::after(Duration::from_mins(2));
    let swapped = cells
        .read_swapped::<TransferOrders>()
        .run(deadline)
        .await
        .unwrap();
    assert_eq!((swapped.settled, swapped.refused), (0, 0), "{swapped:?}");
    assert!(swapped.failed > 0, "{swapped:?}");
    assert_eq!(cells.balances().await, on_their_way);
    let answers = "SELECT count(*) FROM transfer_answers";
    assert_eq!(cells.numbers(answers).await, [0, 0]);

    // The list is right again, and a minute later the transfers are done.
    cells
        .execute(0, "UPDATE transfer_orders SET retry_at = NULL")
        .await;
    let report = cells.settle(true).await;
    assert_eq!((report.settled, report.refused, report.failed), (2, 0, 0));
    assert_eq!(
        cells.balances().await,
        [STOCK - 93, STOCK - 7, STOCK + 100, STOCK]
    );
    cells.books_are_right().await;
}

#[tokio::test]
async fn payments_that_never_cease_on_a_node_hold_up_no_other() {
    /// More than come while a run goes once round the nodes.
    const MOST: usize = 400;
    let cells = Cells::start().await;
    let transfers = cells.transfers(true);
    let is_done = async || {
        let left = "SELECT count(*) FROM transfer_orders";
        cells.numbers(left).await[1] == 0
    };
    pay(&transfers, "first", (HERE, ALSO_HERE, 1)).await;
    let paying = async {
        // Begun while the run is at work for the first node alone.
        tokio::time::sleep(Duration::from_millis(30)).await;
        pay(&transfers, "there", (THERE, ALSO_THERE, 1)).await;
        for n in 0..MOST {
            pay(&transfers, &format!("K{n}"), (HERE, ALSO_HERE, 1)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            if is_done().await {
                return n;
            }
        }
        MOST
    };
    let (report, paid) = futures::future::join(cells.settle(true), paying).await;
    assert!(
        paid < MOST,
        "nothing was settled at the second node while the first one was paid {MOST} times: {report:?}"
    );
    cells.settle(true).await;
    cells.books_are_right().await;
}

#[tokio::test]
async fn batch_over_nodes_is_made_once_in_each() {
    let cells = Cells::start().await;
    let transfers = cells.transfers(true);
    let items = [
        (HERE, THERE, 100),
        (THERE, HERE, STOCK + 1),
        (THERE, ALSO_HERE, 40),
        (ALSO_HERE, HERE, 3),
    ];
    let spans = batch(&transfers, "A", BatchMode::Atomic, &items).await;
    assert!(matches!(spans, Err(Error::BatchSpansNodes)), "{spans:?}");
    // One node is out of reach: the other's part is made.
    for receiver in [HERE, THERE, ALSO_HERE] {
        pay(
            &transfers,
            &format!("seen-{}", receiver.number()),
            (ALSO_THERE, receiver, 1),
        )
        .await;
    }
    assert_eq!(cells.settle(true).await.settled, 3);
    let before = [STOCK + 1, STOCK + 1, STOCK + 1, STOCK - 3];
    assert_eq!(cells.balances().await, before);
    let names = ["K0", "K1", "K2", "K3", "K4", "K5"];
    let alone = cells.transfers(false);
    let of_here = [(HERE, ALSO_HERE, 100), (THERE, HERE, 1)];
    let mut paid = 0;
    for name in names {
        let cut_off = batch(&alone, name, BatchMode::Each, &of_here).await;
        assert!(is_unreachable(&cut_off), "{cut_off:?}");
        // The key's node may be the one out of reach; then nothing is made.
        let made = batch(&transfers, name, BatchMode::Each, &of_here).await.unwrap();
        assert!(!made.replayed, "a part of it is new");
        assert!(made.value.iter().all(Result::is_ok));
        paid += 1;
        let again = batch(&transfers, name, BatchMode::Each, &of_here).await.unwrap();
        assert!(again.replayed);
        let other = batch(&transfers, name, BatchMode::Each, &[(ALSO_THERE, HERE, 1)]).await;
        assert!(
            matches!(other, Err(Error::Platform(PlatformError::KeyReused))),
            "{other:?}"
        );
    }
    let now = [STOCK + 1 - 100 * paid, STOCK + 1, STOCK + 1 - paid, STOCK - 3];
    assert_eq!(cells.balances().await, now, "each part once");
    let results = batch(&transfers, "B", BatchMode::Each, &items)
        .await
        .unwrap()
        .value;
    assert!(
        matches!(results[1], Err(Error::InsufficientFunds { .. })),
        "{results:?}"
    );
    let amounts = [0, 2, 3].map(|n| results[n].as_ref().unwrap().value.amount);
    assert_eq!(amounts, [-100, -40, -3]);
    // One node's payers are all or none, wherever the key is kept.
    for (name, payer) in [("C", THERE), ("D", THERE), ("E", HERE), ("F", HERE)] {
        let receiver = if payer.0 == 0 { THERE } else { HERE };
        let too_much = [(payer, receiver, 1), (payer, receiver, STOCK)];
        let refused = batch(&transfers, name, BatchMode::Atomic, &too_much).await;
        assert!(
            matches!(refused, Err(Error::Batch { position: 1, .. })),
            "{refused:?}"
        );
        let again = batch(&transfers, name, BatchMode::Atomic, &too_much).await;
        assert!(
            matches!(again, Err(Error::Batch { position: 1, .. })),
            "{again:?}"
        );
    }
    cells.settle(true).await;
    cells.books_are_right().await;
}

#[tokio::test]
async fn receiver_out_of_reach_is_refused_alone_in_a_batch() {
    let cells = Cells::start().await;
    let alone = cells.transfers(false);
    let nobody = Whose(0, 77);
    let items = [
        (HERE, ALSO_HERE, 100),
        (HERE, THERE, 10),
        (HERE, nobody, 1),
        (ALSO_HERE, HERE, 3),
    ];
    let mut made = Vec::new();
    for name in ["K0", "K1", "K2", "K3", "K4", "K5"] {
        match batch(&alone, name, BatchMode::Each, &items).await {
            Ok(results) => {
                assert!(!results.replayed);
                let results = results.value;
                assert!(results[0].is_ok() && results[3].is_ok(), "{results:?}");
                assert!(
                    matches!(results[1], Err(Error::ReceiverOutOfReach)),
                    "{results:?}"
                );
                assert!(matches!(results[2], Err(Error::ReceiverNotFound)), "{results:?}");
                made.push(name);
            }
            // The key is kept on the node out of reach; then nothing is made.
            cut_off => assert!(is_unreachable(&cut_off), "{cut_off:?}"),
        }
    }
    let batches = i64::try_from(made.len()).unwrap();
    assert!((1..6).contains(&batches), "{made:?}");
    let all_or_none = batch(&alone, "A", BatchMode::Atomic, &items[..2]).await;
    assert!(is_unreachable(&all_or_none), "{all_or_none:?}");
    // The batch's key keeps what it came to; the transfer is made under another one.
    let both = cells.transfers(true);
    let again = batch(&both, made[0], BatchMode::Each, &items).await.unwrap();
    assert!(again.replayed);
    assert!(matches!(again.value[1], Err(Error::ReceiverOutOfReach)));
    pay(&both, "again", (HERE, THERE, 10)).await;
    cells.settle(true).await;
    let (left, brought) = (100 * batches, 3 * batches);
    assert_eq!(
        cells.balances().await,
        [
            STOCK - left + brought - 10,
            STOCK + left - brought,
            STOCK + 10,
            STOCK
        ]
    );
    cells.books_are_right().await;
}

#[tokio::test]
async fn references_lead_to_one_client_from_wherever_they_are_kept() {
    let cells = Cells::start().await;
    let clients = cells.read::<Clients>(true);
    let request = |name: &str| RegisterClientRequest {
        external_ref: Some(name.to_owned()),
        currencies: vec![Currency::EUR],
    };
    let mut of_slot = [0, 0];
    for n in 0..12 {
        let name = format!("shop-{n}");
        let asked = request(&name);
        let registration = Registration::Named(&name);
        let made = clients.register(caller(), registration, &asked).await.unwrap();
        let again = clients.register(caller(), registration, &asked).await.unwrap();
        assert_eq!((made.replayed, again.replayed), (false, true));
        let id = made.value.client_id;
        assert_eq!(id, again.value.client_id);
        assert_eq!(clients.wallets(id).await.unwrap().len(), 1);
        of_slot[usize::try_from(id.get() >> BITS_BELOW_SLOT).unwrap()] += 1;
    }
    assert!(of_slot.iter().all(|clients| *clients > 0), "{of_slot:?}");
    assert_eq!(cells.numbers("SELECT count(*) - 2 FROM clients").await, of_slot);
    // Names are spread too, and a name isn't always where its client lives.
    let names = cells.numbers("SELECT count(*) FROM client_names").await;
    assert!(
        names.iter().all(|names| *names > 0) && names.iter().sum::<i64>() == 12,
        "{names:?}"
    );

    // Somebody was cut off when the name was kept, and before there was a client.
    let nodes = cells.read::<Nodes>(true);
    let name = name_of_client(caller(), "reference", "cut-off").id;
    let mut connection = cells.connect(nodes.slot_of_name(name).number()).await;
    let kept = Whose(1, 1_000).number();
    sqlx::query("INSERT INTO client_names (name, client_id) VALUES ($1, $2)")
        .bind(name)
        .bind(kept)
        .execute(&mut connection)
        .await
        .unwrap();
    let asked = request("cut-off");
    let made = clients.register(caller(), Registration::Named("cut-off"), &asked);
    let made = made.await.unwrap();
    assert_eq!((made.replayed, made.value.client_id.get()), (false, kept));
    // Nobody is registered where the nodes are listed in another order.
    let clients_before = cells.numbers("SELECT count(*) FROM clients").await;
    let swapped = cells.read_swapped::<Clients>();
    for n in 0..6 {
        let name = format!("swapped-{n}");
        let refused = swapped
            .register(caller(), Registration::Named(&name), &request(&name))
            .await;
        assert!(
            matches!(
                refused,
                Err(Error::Platform(PlatformError::Stored("client's slot")))
            ),
            "{refused:?}"
        );
    }
    assert_eq!(
        cells.numbers("SELECT count(*) FROM clients").await,
        clients_before
    );

    // A key leads to the client that was registered under it, and to no other request.
    let keyed = |currencies| RegisterClientRequest {
        external_ref: None,
        currencies,
    };
    let by_key = key("K");
    let registration = Registration::Keyed(&by_key);
    let made = clients
        .register(caller(), registration, &keyed(Vec::new()))
        .await
        .unwrap();
    let again = clients
        .register(caller(), registration, &keyed(Vec::new()))
        .await
        .unwrap();
    assert_eq!(
        (again.replayed, again.value.client_id),
        (true, made.value.client_id)
    );
    let other = request("other").currencies;
    let other = clients.register(caller(), registration, &keyed(other)).await;
    assert!(
        matches!(other, Err(Error::Platform(PlatformError::KeyReused))),
        "{other:?}"
    );
}

#[tokio::test]
async fn sides_on_two_nodes_are_compared() {
    let cells = Cells::start().await;
    let transfers = cells.transfers(true);
    for (name, way) in [
        ("A", (HERE, THERE, 100)),
        ("B", (THERE, HERE, 30)),
        ("C", (ALSO_HERE, ALSO_THERE, 2)),
    ] {
        pay(&transfers, name, way).await;
    }
    assert_eq!(cells.settle(true).await.settled, 3);
    assert_eq!(cells.differences().await, [[""; 0], [""; 0]]);
    // From the first entry on again.
    cells.execute(0, "DELETE FROM wallet_checkpoints").await;
    cells.execute(1, "DELETE FROM wallet_checkpoints").await;
    // A receiver's side is gone with its money, and a payer's has another amount than what was received.
    cells
        .execute(
            1,
            "ALTER TABLE payments DISABLE TRIGGER USER; \
             DELETE FROM payments WHERE amount = 100; \
             UPDATE payments SET partner_amount = 31 WHERE amount = -30; \
             UPDATE wallets SET balance = balance - 100, entries = entries - 1 WHERE client_id = (1::BIGINT << 40) + 1; \
             ALTER TABLE payments ENABLE TRIGGER USER",
        )
        .await;
    let [here, there] = cells.differences().await;
    assert_eq!(here, ["one-sided", "sides-differ"]);
    assert!(there.contains(&"sides-differ".to_owned()), "{there:?}");
}

#[tokio::test]
async fn rates_are_copied_to_every_node() {
    let cells = Cells::start().await;
    let rate = "INSERT INTO exchange_rates (base, quote, rate, as_of, source) VALUES (840, 978, 0.5, now() - INTERVAL '1 hour', 'admin')";
    cells.execute(0, rate).await;
    cells
        .execute(
            0,
            "INSERT INTO exchange_rates (base, quote, rate, as_of, source) VALUES (840, 978, 0.25, now(), 'admin'), \
                    (978, 840, 2, now(), 'ecb')",
        )
        .await;
    let nodes = cells.read::<Nodes>(false);
    let failures = copies::add_missing(&nodes).await;
    assert_eq!(failures.out_of_reach, BTreeSet::from([1]));
    let count = "SELECT count(*) FROM exchange_rates";
    assert_eq!(cells.numbers(count).await, [3, 0]);
    // Within a minute after it is back; again, nothing is added.
    for _ in 0..2 {
        cells.settle(true).await;
        assert_eq!(cells.numbers(count).await, [3, 2], "those that count");
    }
    let euros = "INSERT INTO wallets (client_id, currency) SELECT client_id, 978 FROM clients WHERE client_id & 3 = 2";
    cells.execute(0, euros).await;
    let transfers = cells.transfers(true);
    let mover = Mover::service(caller(), THERE.client());
    let to_euros = TransferRequest {
        receiver_currency: Some(Currency::EUR),
        ..order(THERE, ALSO_HERE, 100)
    };
    let made = transfers.transfer(mover, &key("K"), to_euros).await.unwrap();
    assert_eq!(made.value.partner_amount, 25);
    assert_eq!(cells.settle(true).await.settled, 1);
    assert_eq!(cells.differences().await, [[""; 0], [""; 0]]);
}

fn nodes(number: u16) -> Nodes {
    let database = |port: u16| Database::at(&format!("postgres://nobody@localhost:{port}/none")).unwrap();
    Nodes::of_databases((1..=number).map(database).collect()).unwrap()
}

fn client(slot: i64, number: i64) -> ClientId {
    ClientId::new((slot << BITS_BELOW_SLOT) + number).unwrap()
}

#[tokio::test]
async fn clients_live_where_their_id_says() {
    let three = nodes(3);
    assert_eq!(three.slot_of(client(0, 1)), Slot(0));
    assert_eq!(three.slot_of(client(0, (1 << 40) - 1)), Slot(0));
    assert_eq!(three.slot_of(client(1, 0)), Slot(1));
    assert_eq!(three.slot_of(client(2, 5)), Slot(2));
    for nowhere in [client(3, 0), client(8191, 1), ClientId::new(i64::MAX).unwrap()] {
        assert_eq!(three.slot_of(nowhere), Slot::FIRST);
        assert!(three.check(nowhere, three.slot_of(nowhere)).is_err());
    }
    three.check(client(2, 5), Slot(2)).unwrap();
    assert!(three.check(client(2, 5), Slot(1)).is_err());
    let one = nodes(1);
    assert!(one.is_one());
    one.check(ClientId::new(i64::MAX).unwrap(), Slot::FIRST).unwrap();
}

#[tokio::test]
async fn names_and_new_clients_are_spread_over_all_nodes() {
    let mut three = nodes(3);
    let caller = Caller::new("issuer", "shop");
    let spread = |slot: &dyn Fn(Uuid) -> Slot| {
        let mut counts = BTreeMap::new();
        for number in 0..3_000 {
            let name = name_of_client(caller, "reference", &number.to_string());
            *counts.entry(slot(name.id)).or_insert(0) += 1;
        }
        counts
    };
    for counts in [
        spread(&|name| three.slot_of_name(name)),
        spread(&|name| three.slot_of_new(name)),
    ] {
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|count| *count > 800), "{counts:?}");
    }
    // Nodes were added, and the names are where they were.
    three.with_names = 1;
    assert_eq!(spread(&|name| three.slot_of_name(name)).len(), 1);
    assert_eq!(spread(&|name| three.slot_of_new(name)).len(), 3);
}
