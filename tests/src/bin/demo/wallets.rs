//! Wallets: Alice and Bob hold dollars, Clara holds euros, and they pay each other.

use end_to_end::{Answer, Api, Fixture, Result, wallets::WalletClient};
use local_cloud::progress::say;
use serde_json::{Value, json};

use super::checks::{Checks, events, quote};

/// What happens, in the order in which it does; all amounts are in minor units.
const RECHARGE: i64 = 50_000;
const TO_BOB: i64 = 12_000;
const CLARA_GETS: i64 = 5_000;
const BATCH_TO_BOB: i64 = 1_000;
const BATCH_TO_ALICE: i64 = 500;
const BATCH_TOO_MUCH: i64 = 100_000_000;
const WITHDRAWAL: i64 = 2_000;
const TOO_MUCH: i64 = 100_000;

/// What the topic has in the end, sorted.
const EVENTS: [&str; 11] = [
    "recharge.done",
    "transfer.done",
    "transfer.done",
    "transfer.done",
    "transfer.done",
    "transfer.received",
    "transfer.received",
    "transfer.received",
    "transfer.received",
    "withdrawal.failed",
    "withdrawal.requested",
];

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    let story = Story::begin(fixture, checks).await?;
    story.rates(checks).await?;
    story.recharge(checks).await?;
    story.pay_bob(checks).await?;
    story.too_much(checks).await?;
    let paid = story.pay_clara(checks).await?;
    story.batch(checks).await?;
    story.withdraw(checks).await?;
    story.compare_books(checks, paid).await?;
    story.events(checks).await
}

/// A client with one wallet.
struct Person {
    client: WalletClient,
    currency: &'static str,
    wallet: i64,
}

struct Story<'a> {
    fixture: &'a Fixture,
    /// The service whose clients they are.
    service: Api,
    alice: Person,
    bob: Person,
    clara: Person,
}

impl Person {
    /// Registers somebody; gives the status of the answer, too.
    async fn register(fixture: &Fixture, name: &str, currency: &'static str) -> Result<(Self, u16)> {
        let (client, status) = fixture.register_client(name, &[currency]).await?;
        let person = Self {
            wallet: client.wallet(currency)?,
            client,
            currency,
        };
        Ok((person, status))
    }

    async fn balance(&self) -> Result<i64> {
        self.client.balance(self.currency).await
    }

    /// Pays to somebody; `fixed` is the field of the amount that is fixed.
    async fn pay(&self, to: &Self, key: &str, fixed: &str, amount: i64) -> Result<Answer> {
        let amount = json!({ fixed: amount });
        self.client
            .pay_under(key, self.currency, &to.client, amount)
            .await
    }

    /// The newest of the client's transfers, as the client sees it.
    async fn newest_transfer(&self) -> Result<Value> {
        let path = self.client.path("payments?type=transfer&limit=1");
        Ok(self.client.api.get(&path).await?.body["items"][0].clone())
    }
}

impl<'a> Story<'a> {
    async fn begin(fixture: &'a Fixture, checks: &mut Checks) -> Result<Self> {
        say("\n5. Wallets: Alice and Bob hold dollars, Clara only euros");
        let service = fixture.wallets_service()?;
        let (alice, alice_is_new) = Person::register(fixture, "alice", "USD").await?;
        let (bob, bob_is_new) = Person::register(fixture, "bob", "USD").await?;
        let (clara, clara_is_new) = Person::register(fixture, "clara", "EUR").await?;
        checks.that(
            "a service registers the three: 201",
            [alice_is_new, bob_is_new, clara_is_new] == [201; 3],
        );
        let (again, status) = Person::register(fixture, "alice", "USD").await?;
        checks.that(
            "registering Alice again finds her: 200",
            status == 200 && (again.client.id, again.wallet) == (alice.client.id, alice.wallet),
        );
        let strangers = bob.client.api.get(&alice.client.path("wallets")).await?;
        checks.that("Bob finds nothing of Alice's: 404", strangers.status == 404);
        Ok(Self {
            fixture,
            service,
            alice,
            bob,
            clara,
        })
    }

    async fn rates(&self, checks: &mut Checks) -> Result {
        let report = self
            .fixture
            .cloud
            .run_schedule("refresh_exchange_rates", None)
            .await?;
        let date = self.fixture.cloud.ecb().date();
        checks.that(
            "the schedule refresh_exchange_rates takes the European Central Bank's rates over",
            report.payload["date"] == json!(date) && report.payload["not_refreshed"].is_null(),
        );
        say(format_args!("     (the rates of {date})"));
        Ok(())
    }

    async fn recharge(&self, checks: &mut Checks) -> Result {
        let money = json!({ "wallet_id": self.alice.wallet, "amount": RECHARGE });
        let path = self.alice.client.path("recharges");
        let answer = self.service.post(&path, "recharge", &money).await?;
        checks.that(
            "the service brings in $500.00 for Alice: 201, done",
            answer.status == 201 && answer.body["payment_status"] == "done",
        );
        let by_herself = self.alice.client.api.post(&path, "by-herself", &money).await?;
        checks.that("Alice can't do that herself: 403", by_herself.status == 403);
        Ok(())
    }

    async fn pay_bob(&self, checks: &mut Checks) -> Result {
        say("\n6. Alice pays Bob $120.00");
        let answer = self.alice.pay(&self.bob, "to-bob", "amount", TO_BOB).await?;
        checks.that(
            "it is done when the API answers: 201",
            answer.status == 201 && answer.body["payment_status"] == "done",
        );
        let again = self.alice.pay(&self.bob, "to-bob", "amount", TO_BOB).await?;
        checks.that(
            "the same request again gets the same answer",
            again.status == 201 && again.body == answer.body,
        );
        checks.that(
            "and pays once: Alice has $380.00, Bob $120.00",
            self.alice.balance().await? == RECHARGE - TO_BOB && self.bob.balance().await? == TO_BOB,
        );
        Ok(())
    }

    async fn too_much(&self, checks: &mut Checks) -> Result {
        let answer = self.alice.pay(&self.bob, "too-much", "amount", TOO_MUCH).await?;
        checks.that(
            "more than Alice has gets 402 with the balance",
            answer.status == 402,
        );
        quote(Some(&answer.body), "detail");
        Ok(())
    }

    /// Gives what Alice has paid, in cents.
    async fn pay_clara(&self, checks: &mut Checks) -> Result<i64> {
        say("\n7. Alice pays Clara €50.00 out of her dollars");
        let answer = self
            .alice
            .pay(&self.clara, "to-clara", "receiver_amount", CLARA_GETS);
        let answer = answer.await?;
        checks.that("the API takes it: 201", answer.status == 201);
        let debit = self.alice.newest_transfer().await?;
        let credit = self.clara.newest_transfer().await?;
        checks.that(
            "both sides carry one transaction and one rate",
            debit["transaction_id"].is_string()
                && debit["transaction_id"] == credit["transaction_id"]
                && debit["exchange_rate"] == credit["exchange_rate"],
        );
        let paid = credit["partner_amount"].as_i64().unwrap_or_default();
        checks.that(
            "Clara's side: +€50.00 from Alice; Alice's side: the dollars, below zero",
            credit["amount"] == CLARA_GETS
                && credit["partner_client_id"] == self.alice.client.id
                && debit["partner_amount"] == CLARA_GETS
                && debit["amount"] == paid
                && paid < 0,
        );
        say(format_args!(
            "     (${}.{:02} at {} euros for a dollar)",
            -paid / 100,
            -paid % 100,
            debit["exchange_rate"].as_str().unwrap_or_default()
        ));
        checks.that("Clara has €50.00", self.clara.balance().await? == CLARA_GETS);
        Ok(-paid)
    }

    async fn batch(&self, checks: &mut Checks) -> Result {
        say("\n8. Three transfers in a batch, each by itself; Bob doesn't have the million of the second");
        let transfer = |from: &Person, to: &Person, amount: i64| {
            json!({
                "client_id": from.client.id,
                "wallet_id": from.wallet,
                "receiver_client_id": to.client.id,
                "amount": amount,
            })
        };
        let batch = json!({ "mode": "each", "transfers": [
            transfer(&self.alice, &self.bob, BATCH_TO_BOB),
            transfer(&self.bob, &self.clara, BATCH_TOO_MUCH),
            transfer(&self.bob, &self.alice, BATCH_TO_ALICE),
        ] });
        let answer = self.service.post("/transfers/batch", "batch", &batch).await?;
        let items = &answer.body["items"];
        checks.that(
            "the first and the third are done",
            answer.status == 200
                && items[0]["payment"]["payment_status"] == "done"
                && items[2]["payment"]["payment_status"] == "done",
        );
        let refusal = &items[1]["problem"];
        checks.that(
            "the second is refused in its place: 402",
            items[1]["payment"].is_null() && refusal["status"] == 402,
        );
        quote(Some(refusal), "detail");
        let again = self.service.post("/transfers/batch", "batch", &batch).await?;
        let again = &again.body["items"];
        checks.that(
            "the same batch again does nothing anew",
            [0, 2].iter().all(|item| {
                again[*item]["replayed"] == true && again[*item]["payment"] == items[*item]["payment"]
            }),
        );
        Ok(())
    }

    async fn withdraw(&self, checks: &mut Checks) -> Result {
        say("\n9. Bob withdraws $20.00, which doesn't get through");
        let before = self.bob.balance().await?;
        let answer = self.bob.client.withdraw("USD", WITHDRAWAL).await?;
        checks.that(
            "the API takes it: 201, pending, and the money is out of the balance",
            answer.status == 201
                && answer.body["payment_status"] == "pending"
                && self.bob.balance().await? == before - WITHDRAWAL,
        );
        let transaction = &answer.body["transaction_id"];
        let settled = self.bob.client.settle(transaction, "failed").await?;
        checks.that(
            "the service settles it as failed, and the money is back",
            settled.body["payment_status"] == "failed" && self.bob.balance().await? == before,
        );
        let otherwise = self.bob.client.settle(transaction, "done").await?;
        checks.that("it can't be done any more: 409", otherwise.status == 409);
        Ok(())
    }

    async fn compare_books(&self, checks: &mut Checks, paid_to_clara: i64) -> Result {
        say("\n10. The wallets' books");
        let path = self
            .alice
            .client
            .path(&format!("wallets/{}/statement", self.alice.wallet));
        let statement = self.alice.client.api.get(&path).await?.body;
        let lines = statement["lines"].as_array().cloned().unwrap_or_default();
        let amounts: Vec<i64> = lines.iter().filter_map(|line| line["amount"].as_i64()).collect();
        let expected = [RECHARGE, -TO_BOB, -paid_to_clara, -BATCH_TO_BOB, BATCH_TO_ALICE];
        checks.that(
            "Alice's statement has her five payments in their order",
            amounts == expected,
        );
        let sum: i64 = expected.iter().sum();
        let turnovers = [&statement["credit_turnover"], &statement["debit_turnover"]];
        let turnovers: i64 = turnovers.iter().filter_map(|turnover| turnover.as_i64()).sum();
        checks.that(
            "they add up, from nothing to her balance",
            statement["opening_balance"] == 0
                && statement["closing_balance"] == sum
                && turnovers == sum
                && self.alice.balance().await? == sum,
        );
        let running = lines.iter().try_fold(0, |balance, line| {
            let next = balance + line["amount"].as_i64()?;
            (line["balance"] == next).then_some(next)
        });
        checks.that("and so does every line", running == Some(sum));
        let report = self
            .fixture
            .cloud
            .invoke("reconcile_wallets", json!({}))
            .await?
            .payload;
        checks.that(
            "the reconciliation compares all wallets and finds nothing",
            report["clients"] == 3 && report["differences"] == 0 && report["clients_left"] == 0,
        );
        Ok(())
    }

    async fn events(&self, checks: &mut Checks) -> Result {
        self.fixture.rest().await?;
        let events = events(self.fixture, "wallets.events").await?;
        let mut types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        // Only what is of one client comes in order.
        types.sort_unstable();
        checks.that(
            "the topic wallets.events has all that happened, and nothing that was refused",
            types == EVENTS,
        );
        Ok(())
    }
}
