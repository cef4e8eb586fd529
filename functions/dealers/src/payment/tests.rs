//! Random histories of bills, payments, reversals and voids against PostgreSQL, compared with a model that is as simple as can
//! be. The database's own constraints hold after each step: Σ payments = Σ parts + balance, `0 ≤ paid ≤ common`.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::dealers::bill::{BillOperation, BillStatus};
use domain::ids::{BillingBillId, BillingClientId, CmeClientId, DealId};
use local_cloud::backends::TestDatabase;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::Connection;

use super::*;
use crate::bill::{self, Charge, CreateBillRequest};

/// Histories of a usual run, and of a long one.
const HISTORIES: u64 = 120;
const HISTORIES_IN_SOAK: u64 = 10_000;
const STEPS: usize = 16;

/// What the model knows of a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelBill {
    id: BillId,
    common: i64,
    paid: i64,
    is_voided: bool,
}

/// What it knows of a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ModelPayment {
    left: i64,
    /// In the order in which they were paid.
    parts: Vec<(BillId, i64)>,
}

/// One account, in as few words as possible.
#[derive(Debug, Default)]
struct Model {
    bills: Vec<ModelBill>,
    /// By (time, id), the order in which rests are spent.
    payments: BTreeMap<(usize, String), ModelPayment>,
    /// Reversals that came before their payment, by its id, in their order.
    waiting: Vec<(String, i64)>,
}

impl Model {
    fn spend(&mut self, named: Option<BillId>) {
        let mut order: Vec<usize> = (0..self.bills.len()).collect();
        order.sort_by_key(|place| (Some(self.bills[*place].id) != named, *place));
        for payment in self.payments.values_mut() {
            for place in &order {
                let bill = &mut self.bills[*place];
                let part = payment.left.min(bill.common - bill.paid);
                if bill.is_voided || part == 0 {
                    continue;
                }
                payment.left -= part;
                bill.paid += part;
                match payment.parts.iter_mut().find(|(id, _)| *id == bill.id) {
                    Some((_, paid)) => *paid += part,
                    None => payment.parts.push((bill.id, part)),
                }
            }
        }
    }

    fn pay(&mut self, step: usize, id: &str, amount: i64, named: Option<BillId>) {
        let payment = ModelPayment {
            left: amount,
            ..ModelPayment::default()
        };
        self.payments.insert((step, id.to_owned()), payment);
        self.spend(named);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (mine, others): (Vec<_>, Vec<_>) = waiting.partition(|(payment, _)| payment == id);
        self.waiting = others;
        for (_, amount) in mine {
            self.reverse(id, amount);
        }
    }

    fn reverse(&mut self, id: &str, amount: i64) {
        let Some((_, payment)) = self.payments.iter_mut().find(|((_, known), _)| known == id) else {
            self.waiting.push((id.to_owned(), amount));
            return;
        };
        let mut amount = amount;
        let from_rest = payment.left.min(amount);
        payment.left -= from_rest;
        amount -= from_rest;
        for (bill, paid) in payment.parts.iter_mut().rev() {
            let taken = amount.min(*paid);
            *paid -= taken;
            amount -= taken;
            let bill = self.bills.iter_mut().find(|known| known.id == *bill).unwrap();
            bill.paid -= taken;
        }
        payment.parts.retain(|(_, paid)| *paid > 0);
        self.spend(None);
    }

    fn balance(&self) -> i64 {
        self.payments.values().map(|payment| payment.left).sum()
    }
}

/// One account in the database, beside its model.
struct History {
    random: StdRng,
    dealer: CmeClientId,
    client: BillingClientId,
    model: Model,
    messages: Vec<PaymentMessage>,
    step: usize,
    seed: u64,
}

impl History {
    async fn begin(connection: &mut PgConnection, seed: u64) -> Self {
        let (dealer, client) = (format!("CME-{seed}"), format!("C-{seed}"));
        sqlx::query(
            "WITH dealer AS (
                 INSERT INTO dealers (cme_client_id, requisite, requisite_version, registered_requisite, offer_accepted_at,
                     created_at, updated_at)
                 VALUES ($1, '', 1, '', $3, $3, $3) RETURNING id)
             INSERT INTO dealer_accounts (dealer_id, account_type, billing_client_id, billing_payer_id, billing_contract_id,
                 provisioning_status, created_at, updated_at)
             SELECT id, 'COMMISSION', $2, $2, $2, 'ready', $3, $3 FROM dealer",
        )
        .bind(&dealer)
        .bind(&client)
        .bind(time(0))
        .execute(connection)
        .await
        .unwrap();
        Self {
            random: StdRng::seed_from_u64(seed),
            dealer: CmeClientId::parse(&dealer).unwrap(),
            client: BillingClientId::parse(&client).unwrap(),
            model: Model::default(),
            messages: Vec::new(),
            step: 0,
            seed,
        }
    }

    async fn step(&mut self, connection: &mut PgConnection) {
        self.step += 1;
        match self.random.random_range(0..10) {
            0..=2 => self.bill(connection).await,
            3 => self.void(connection).await,
            4..=6 => self.pay(connection).await,
            7..=8 => self.reverse(connection).await,
            _ => self.repeat(connection).await,
        }
    }

    async fn bill(&mut self, connection: &mut PgConnection) {
        let common = self.random.random_range(1..60);
        let request = CreateBillRequest {
            operation: BillOperation::GetReward,
            deal_id: DealId::parse(&format!("deal-{}-{}", self.seed, self.step)).unwrap(),
            deal_price: Some(common * 10),
            amount: None,
        };
        let charge = Charge {
            given: kopecks(common * 10),
            common: kopecks(common),
            rate: Some(rust_decimal::Decimal::new(1, 1)),
            due_at: time(self.step),
        };
        let mut transaction = connection.begin().await.unwrap();
        let made = bill::create_in(&mut transaction, &self.dealer, &request, &charge, time(self.step)).await;
        let id = made.unwrap().value.id;
        let issued = "UPDATE bills SET billing_bill_id = 'B-' || id, url = '', issuing_status = 'issued',
                          status = CASE WHEN status = 'created' THEN 'issued' ELSE status END
                      WHERE id = $1";
        sqlx::query(issued)
            .bind(id.get())
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        self.model.bills.push(ModelBill {
            id,
            common,
            paid: 0,
            is_voided: false,
        });
        self.model.spend(None);
    }

    async fn void(&mut self, connection: &mut PgConnection) {
        if self.model.bills.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.model.bills.len());
        let bill = &mut self.model.bills[place];
        let mut transaction = connection.begin().await.unwrap();
        let voided = bill::void_in(
            &mut transaction,
            &self.dealer,
            bill.id,
            "history",
            time(self.step),
        )
        .await;
        if bill.paid > 0 {
            assert!(matches!(voided, Err(Error::BillPaidOn { .. })), "{voided:?}");
            transaction.rollback().await.unwrap();
        } else {
            voided.unwrap();
            transaction.commit().await.unwrap();
            bill.is_voided = true;
        }
    }

    async fn pay(&mut self, connection: &mut PgConnection) {
        let amount = self.random.random_range(1..120);
        let named = if self.model.bills.is_empty() || self.random.random_bool(0.5) {
            None
        } else {
            let place = self.random.random_range(0..self.model.bills.len());
            Some(self.model.bills[place].clone())
        };
        let id = format!("P-{}-{}", self.seed, self.step);
        let message = self.message(&id, amount, named.as_ref().map(|bill| bill.id), None);
        assert_eq!(self.apply(connection, &message).await, Applied::Now);
        let named = named.filter(|bill| !bill.is_voided).map(|bill| bill.id);
        self.model.pay(self.step, &id, amount, named);
        self.messages.push(message);
    }

    /// Of a payment that came, or of one that comes in the next step.
    async fn reverse(&mut self, connection: &mut PgConnection) {
        let payments: Vec<String> = self.model.payments.keys().map(|(_, id)| id.clone()).collect();
        let of = match payments.len() {
            0 => format!("P-{}-{}", self.seed, self.step + 1),
            _ if self.random.random_bool(0.2) => format!("P-{}-{}", self.seed, self.step + 1),
            length => payments[self.random.random_range(0..length)].clone(),
        };
        let amount = self.random.random_range(1..140);
        let id = format!("R-{}-{}", self.seed, self.step);
        let message = self.message(&id, amount, None, Some(&of));
        assert_eq!(self.apply(connection, &message).await, Applied::Now);
        self.model.reverse(&of, amount);
        self.messages.push(message);
    }

    /// A message comes once more, as it was or with another amount: nothing changes.
    async fn repeat(&mut self, connection: &mut PgConnection) {
        if self.messages.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.messages.len());
        let mut message = self.messages[place].clone();
        assert_eq!(self.apply(connection, &message).await, Applied::Before);
        message.amount += 1;
        assert_eq!(self.apply(connection, &message).await, Applied::Conflicts);
    }

    fn message(&self, id: &str, amount: i64, bill: Option<BillId>, of: Option<&str>) -> PaymentMessage {
        PaymentMessage {
            payment_id: BillingPaymentId::parse(id).unwrap(),
            billing_client_id: self.client.clone(),
            bill_id: bill.map(|id| BillingBillId::parse(&format!("B-{id}")).unwrap()),
            amount,
            currency: "RUB".to_owned(),
            paid_at: time(self.step),
            reversal_of: of.map(|id| BillingPaymentId::parse(id).unwrap()),
        }
    }

    async fn apply(&self, connection: &mut PgConnection, message: &PaymentMessage) -> Applied {
        check(message).unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let applied = apply_in(&mut transaction, message, time(self.step))
            .await
            .unwrap();
        // The constraints of the books are checked here.
        transaction.commit().await.unwrap();
        applied
    }

    /// Holds the database against the model.
    async fn compare(&self, connection: &mut PgConnection) {
        let place = format!("seed {}, step {}", self.seed, self.step);
        let bills: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT bills.id, paid_sum, status FROM bills JOIN dealers ON dealers.id = dealer_id
             WHERE cme_client_id = $1 ORDER BY bills.id",
        )
        .bind(self.dealer.as_str())
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let expected: Vec<(i64, i64, String)> = self
            .model
            .bills
            .iter()
            .map(|bill| {
                let status = match bill {
                    ModelBill { is_voided: true, .. } => BillStatus::Voided,
                    ModelBill { paid: 0, .. } => BillStatus::Issued,
                    ModelBill { paid, common, .. } if paid == common => BillStatus::Paid,
                    _ => BillStatus::PartiallyPaid,
                };
                (bill.id.get(), bill.paid, status.to_string())
            })
            .collect();
        assert_eq!(bills, expected, "{place}");
        let parts: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT payment_id, bill_id, part.amount FROM bill_payments AS part JOIN dealer_payments USING (payment_id)
             JOIN dealers ON dealers.id = dealer_id WHERE cme_client_id = $1 ORDER BY payment_id, bill_id",
        )
        .bind(self.dealer.as_str())
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let mut expected = Vec::new();
        for ((_, id), payment) in &self.model.payments {
            expected.extend(
                payment
                    .parts
                    .iter()
                    .map(|(bill, part)| (id.clone(), bill.get(), *part)),
            );
        }
        expected.sort();
        assert_eq!(parts, expected, "{place}");
        let balance: i64 = sqlx::query_scalar(
            "SELECT current_balance FROM dealer_accounts JOIN dealers ON dealers.id = dealer_id WHERE cme_client_id = $1",
        )
        .bind(self.dealer.as_str())
        .fetch_one(connection)
        .await
        .unwrap();
        assert_eq!(balance, self.model.balance(), "{place}");
    }
}

fn time(step: usize) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-12-01T09:00:00Z".parse().unwrap();
    begin + TimeDelta::seconds(i64::try_from(step).unwrap())
}

fn histories() -> u64 {
    let is_soak = std::env::var_os("MONETA_SOAK").is_some_and(|value| !value.is_empty() && value != "0");
    if is_soak { HISTORIES_IN_SOAK } else { HISTORIES }
}

#[tokio::test]
async fn random_histories_agree_with_a_simple_model() {
    let database = TestDatabase::start().await.unwrap();
    let mut connection = database.connection().await.unwrap();
    let only: Option<u64> = std::env::var("MONETA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(1..=histories(), |seed| seed..=seed);
    for seed in seeds {
        let mut history = History::begin(&mut connection, seed).await;
        for _ in 0..STEPS {
            history.step(&mut connection).await;
            if only.is_some() {
                history.compare(&mut connection).await;
            }
        }
        history.compare(&mut connection).await;
    }
}
