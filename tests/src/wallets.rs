//! Clients with wallets, as services and the clients themselves see them.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Answer, Api, Fixture, Result, eventually};

/// A client with its wallets and its own token.
#[derive(Debug, Clone)]
pub struct WalletClient {
    /// Its id.
    pub id: i64,
    /// Its wallets: currency and id, in the order in which they were opened.
    pub wallets: Vec<(String, i64)>,
    /// With the client's own token.
    pub api: Api,
    /// With a service's token.
    pub service: Api,
}

impl Fixture {
    /// A client of the API with a service's token.
    ///
    /// # Errors
    /// When there is none.
    pub fn wallets_service(&self) -> Result<Api> {
        self.api(Some(json!({ "scope": "wallets" })))
    }

    /// A new client with wallets in these currencies, each with so much in it.
    ///
    /// # Errors
    /// When it can't be registered or recharged.
    pub async fn wallet_client(&self, wallets: &[(&str, i64)]) -> Result<WalletClient> {
        let currencies: Vec<&str> = wallets.iter().map(|(currency, _)| *currency).collect();
        let (client, status) = self.register_client(&new_key(), &currencies).await?;
        crate::ensure_eq!(status, 201);
        for (currency, amount) in wallets.iter().filter(|(_, amount)| *amount > 0) {
            client.recharge(currency, *amount).await?.expect(201)?;
        }
        Ok(client)
    }

    /// Registers a client by the name that the service has for it; gives the client and the answer's status.
    ///
    /// # Errors
    /// When it can't be registered.
    pub async fn register_client(&self, name: &str, currencies: &[&str]) -> Result<(WalletClient, u16)> {
        let service = self.wallets_service()?;
        let body = json!({ "external_ref": name, "currencies": currencies });
        let answer = service.post("/clients", &new_key(), &body).await?;
        let id = answer.number("client_id")?;
        let opened = answer.body["wallets"].as_array().context("no wallets")?;
        let opened = opened.iter().map(|wallet| {
            let currency = wallet["currency"].as_str()?.to_owned();
            Some((currency, wallet["wallet_id"].as_i64()?))
        });
        let client = WalletClient {
            id,
            wallets: opened.collect::<Option<_>>().context("a wallet without an id")?,
            api: self.api(Some(json!({ "wallet_client_id": id })))?,
            service,
        };
        Ok((client, answer.status))
    }

    /// Sets a rate as of now.
    ///
    /// # Errors
    /// When it isn't taken.
    pub async fn set_rate(&self, base: &str, quote: &str, rate: &str) -> Result {
        let admin = self.operator("treasurer")?;
        let request = admin.request(reqwest::Method::PUT, &format!("/exchange-rates/{base}/{quote}"));
        admin
            .send(request.json(&json!({ "rate": rate })))
            .await?
            .expect(201)?;
        Ok(())
    }
}

impl WalletClient {
    /// The wallet in a currency.
    ///
    /// # Errors
    /// When there is none.
    pub fn wallet(&self, currency: &str) -> Result<i64> {
        let found = self.wallets.iter().find(|(of, _)| of == currency);
        found
            .map(|(_, id)| *id)
            .with_context(|| format!("no wallet in {currency}"))
    }

    /// Brings money into a wallet.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn recharge(&self, currency: &str, amount: i64) -> Result<Answer> {
        let body = json!({ "wallet_id": self.wallet(currency)?, "amount": amount });
        self.service
            .post(&self.path("recharges"), &new_key(), &body)
            .await
    }

    /// Takes money out of a wallet, under a new key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn withdraw(&self, currency: &str, amount: i64) -> Result<Answer> {
        let body = json!({ "wallet_id": self.wallet(currency)?, "amount": amount });
        self.api.post(&self.path("withdrawals"), &new_key(), &body).await
    }

    /// Settles a withdrawal.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn settle(&self, transaction: &Value, outcome: &str) -> Result<Answer> {
        let transaction = transaction.as_str().context("no transaction")?;
        let path = self.path(&format!("withdrawals/{transaction}/settlement"));
        self.service
            .post(&path, &new_key(), &json!({ "outcome": outcome }))
            .await
    }

    /// The body of a transfer to another client.
    ///
    /// # Errors
    /// When this client has no such wallet.
    pub fn order(&self, currency: &str, receiver: &WalletClient, more: Value) -> Result<Value> {
        let mut body = json!({ "wallet_id": self.wallet(currency)?, "receiver_client_id": receiver.id });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        Ok(body)
    }

    /// Pays another client, under a new key; `more` are the other fields of the transfer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn pay(&self, currency: &str, receiver: &WalletClient, more: Value) -> Result<Answer> {
        self.pay_under(&new_key(), currency, receiver, more).await
    }

    /// Pays another client under a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn pay_under(
        &self,
        key: &str,
        currency: &str,
        receiver: &WalletClient,
        more: Value,
    ) -> Result<Answer> {
        let body = self.order(currency, receiver, more)?;
        self.api.post(&self.path("transfers"), key, &body).await
    }

    /// Pays another client, under a new key, and gives what has come of it: of a transfer that is deferred, once it is settled.
    ///
    /// # Errors
    /// When there is no answer, or it stays pending.
    pub async fn transfer(&self, currency: &str, receiver: &WalletClient, more: Value) -> Result<Answer> {
        self.transfer_under(&new_key(), currency, receiver, more).await
    }

    /// As [`transfer`](Self::transfer), under a key.
    ///
    /// # Errors
    /// When there is no answer, or it stays pending.
    pub async fn transfer_under(
        &self,
        key: &str,
        currency: &str,
        receiver: &WalletClient,
        more: Value,
    ) -> Result<Answer> {
        let asked = self.pay_under(key, currency, receiver, more).await?;
        self.settled(asked).await
    }

    /// The answer to a transfer of this client's as it is when it is settled: 201 with the payment as it is then.
    ///
    /// # Errors
    /// When it stays pending.
    pub async fn settled(&self, asked: Answer) -> Result<Answer> {
        if asked.status != 202 {
            return Ok(asked);
        }
        let payment = settled_payment(&self.service, &asked.body).await?;
        Ok(Answer {
            status: 201,
            headers: asked.headers,
            ..payment
        })
    }

    /// What is in a wallet.
    ///
    /// # Errors
    /// When there is no such wallet.
    pub async fn balance(&self, currency: &str) -> Result<i64> {
        let answer = self.api.get(&self.path("wallets")).await?.expect(200)?;
        let wallets = answer.body["items"].as_array().context("no items")?;
        let wallet = wallets.iter().find(|wallet| wallet["currency"] == currency);
        wallet
            .and_then(|wallet| wallet["balance"].as_i64())
            .context("no such wallet")
    }

    /// The client's payments, newest first.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn payments(&self) -> Result<Vec<Value>> {
        let answer = self
            .api
            .get(&self.path("payments?limit=100"))
            .await?
            .expect(200)?;
        Ok(answer.body["items"].as_array().context("no items")?.clone())
    }

    /// A path below the client's.
    pub fn path(&self, rest: &str) -> String {
        format!("/clients/{}/{rest}", self.id)
    }
}

/// The answer to a batch with its payments as they are when they are settled.
///
/// # Errors
/// When one stays pending.
pub async fn settled_batch(service: &Api, mut answer: Answer) -> Result<Answer> {
    let items = answer.body.get_mut("items").and_then(Value::as_array_mut);
    let payments = items.into_iter().flatten();
    for payment in payments.filter_map(|item| item.get_mut("payment")) {
        if payment["payment_status"] == "pending" {
            *payment = settled_payment(service, payment).await?.body;
        }
    }
    Ok(answer)
}

async fn settled_payment(service: &Api, payment: &Value) -> Result<Answer> {
    let path = format!("/clients/{}/payments/{}", payment["client_id"], payment["id"]);
    eventually("the transfer is settled", async || {
        let payment = service.get(&path).await?.expect(200)?;
        ensure!(payment.body["payment_status"] != "pending", "{}", payment.text);
        Ok(payment)
    })
    .await
}

/// How many rows the wallets' tables hold, to see that nothing is written.
///
/// # Errors
/// When the database fails.
pub async fn wallet_rows(pool: &PgPool) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM payments UNION ALL SELECT count(*) FROM payment_requests \
         UNION ALL SELECT count(*) FROM batch_requests \
         UNION ALL SELECT count(*) FROM transfer_orders \
         UNION ALL SELECT count(*) FROM outbox_messages UNION ALL SELECT sum(entries)::BIGINT FROM wallets",
    )
    .fetch_all(pool)
    .await?)
}

/// A new key.
pub fn new_key() -> String {
    Uuid::new_v4().to_string()
}
