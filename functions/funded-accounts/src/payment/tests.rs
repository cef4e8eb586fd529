//! The saga of a withdrawal against PostgreSQL, with a bank in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use domain::clock::ManualClock;
use domain::currency::Currency;
use domain::ids::{
    FundedAccountId, StripeAccountId, StripePayoutId, StripeTransferId, StripeTransferReversalId,
};
use domain::money::Money;
use local_cloud::backends::TestDatabase;
use providers::outcome::{Decline, Outcome};
use providers::stripe::connect::{NewPayout, NewTransfer, Payout, PayoutState, Transfer};
use sqlx::{Connection, PgConnection};

use super::bank::Bank;
use super::steps::LiveReader;
use super::*;
use crate::saga::tests::{World, passes};
use crate::withdrawal::facts::LiveFacts;

const TRADER: &str = r#"
    INSERT INTO tiers (id, name, starting_balance_cents, profit_split, max_drawdown, max_risk_per_trade, min_trades,
                       drawdown_kind, updated_at)
    VALUES ('standard', 'Standard', 10000000, 0.8, 0.05, 0.02, 10, 'trailing', '2026-11-01T00:00:00Z');
    INSERT INTO traders (user_id, email, first_name, last_name, country, as_of)
    VALUES (7, 'a@example.com', 'Ada', 'Byron', 'US', '2026-11-01T00:00:00Z');
    INSERT INTO assessments (id, user_id, tier_id, status, completed_at)
    VALUES ('a-1', 7, 'standard', 'passed', '2026-11-01T00:00:00Z');
    INSERT INTO funded_accounts (user_id, assessment_id, tier_id, profit_split, rules, status, activated_at)
    VALUES (7, 'a-1', 'standard', 0.8, '{"starting_balance_cents":10000000,"drawdown_kind":"trailing","max_drawdown":"0.1",
            "max_risk_per_trade":"0.05","min_trades":0,"daily_loss_limit_cents":null,"daily_reset_zone":null,
            "payout_cycle_days":null,"payout_cap_cents":null,"min_winning_days":null,"winning_day_min_profit_cents":null,
            "max_best_day_share":null}', 'active', '2026-11-01T00:00:00Z');
    INSERT INTO funded_virtual_accounts (funded_account_id, starting_balance_cents, current_balance_cents, peak_balance_cents,
        realized_pnl_cents, unrealized_pnl_cents, live_version, evaluations, updated_at)
    VALUES (1, 10000000, 10200000, 10200000, 200000, 0, 1, '[]', '2026-11-02T00:00:00Z');
    INSERT INTO payees (user_id, country, requested_at, stripe_account_id, transfers_active, payouts_enabled, is_paid_by_hand,
        bank_account_id, bank_last4, bank_since, as_of)
    VALUES (7, 'US', '2026-11-01T00:00:00Z', 'acct_1', TRUE, TRUE, TRUE, 'ba_1', '6789', '2026-11-01T00:00:00Z',
            '2026-11-01T00:00:00Z');"#;
const EMPTY: &str = "
    DELETE FROM outbox_messages; DELETE FROM withdrawals; DELETE FROM funded_sagas;
    UPDATE funded_virtual_accounts SET total_withdrawals_cents = 0;
    INSERT INTO withdrawals (id, funded_account_id, user_id, amount_cents, gross_cents, profit_split, status, review_reasons,
        requested_at, approved_at, next_step_at, judged_bank_account_id)
    OVERRIDING SYSTEM VALUE
    VALUES (1, 1, 7, 50000, 62500, 0.8, 'approved', '[]', '2026-11-02T00:00:00Z', '2026-11-02T00:00:00Z',
            '2026-11-02T00:00:00Z', 'ba_1');";
const SEEN: &str = "
    SELECT concat_ws(' ', status, released_at IS NOT NULL, stripe_transfer_id IS NOT NULL, stripe_payout_id IS NOT NULL,
        (SELECT total_withdrawals_cents FROM funded_virtual_accounts),
        (SELECT count(*) FROM outbox_messages)) FROM withdrawals";

/// What the bank has.
#[derive(Debug, Default)]
struct Books {
    transfers: Vec<(String, Transfer)>,
    payouts: Vec<(String, Payout)>,
}

/// A bank that does what it is asked once for a key, and then as often as it wants loses its answer.
#[derive(Debug, Default)]
struct InMemory {
    books: Mutex<Books>,
    /// How many answers to what was done are lost from now on.
    loses: Mutex<u32>,
    /// The refusal of the next payouts.
    refuses: Mutex<Option<&'static str>>,
    /// The refusal of the next transfers.
    refuses_transfers: Mutex<Option<&'static str>>,
    /// The refusal of whatever takes something back, and the keys under which it is repeated.
    refuses_undoing: Mutex<Option<&'static str>>,
    refused_keys: Mutex<BTreeMap<String, &'static str>>,
}

impl InMemory {
    fn answer<T>(&self, done: T) -> Result<Outcome<T>, Error> {
        let mut loses = self.loses.lock().unwrap();
        if *loses > 0 {
            *loses -= 1;
            return Ok(Outcome::Unknown(providers::outcome::Reason("lost".to_owned())));
        }
        Ok(Outcome::Done(done))
    }

    /// The refusal to take something back under a key, now or when it was asked before.
    fn refusal(&self, key: &str) -> Option<Decline> {
        let mut refused = self.refused_keys.lock().unwrap();
        if let Some(code) = *self.refuses_undoing.lock().unwrap() {
            refused.entry(key.to_owned()).or_insert(code);
        }
        refused.get(key).map(|code| Decline::new(*code, "no", 400))
    }

    /// What is with the trader's account, and with his bank.
    fn money(&self) -> (i64, i64) {
        let books = self.books.lock().unwrap();
        let moved = books.transfers.iter().filter(|(_, one)| !one.is_reversed);
        let moved: i64 = moved.map(|(_, one)| one.amount.minor()).sum();
        let paid = books.payouts.iter().filter(|(_, one)| !one.state.has_come_back());
        let paid: i64 = paid.map(|(_, one)| one.amount.minor()).sum();
        (moved - paid, paid)
    }
}

impl Bank for InMemory {
    async fn transfers(&self, _: WithdrawalId) -> Result<Outcome<Vec<Transfer>>, Error> {
        let books = self.books.lock().unwrap();
        Ok(Outcome::Done(
            books.transfers.iter().map(|(_, one)| one.clone()).collect(),
        ))
    }

    async fn transfer(&self, new: &NewTransfer, key: &str) -> Result<Outcome<Transfer>, Error> {
        if let Some(code) = *self.refuses_transfers.lock().unwrap() {
            return Ok(Outcome::Declined(Decline::new(code, "no", 400)));
        }
        let transfer = {
            let mut books = self.books.lock().unwrap();
            let known = books.transfers.iter().find(|(known, _)| known == key).cloned();
            let made = known.unwrap_or_else(|| {
                let made = Transfer {
                    id: format!("tr_{}", books.transfers.len()).parse().unwrap(),
                    amount: new.amount,
                    amount_reversed: Money::new(0, Currency::USD),
                    is_reversed: false,
                    destination: Some(new.destination.clone()),
                    withdrawal: Some(new.withdrawal),
                    attempt: Some(new.attempt),
                };
                books.transfers.push((key.to_owned(), made.clone()));
                (key.to_owned(), made)
            });
            made.1
        };
        self.answer(transfer)
    }

    async fn reverse(
        &self,
        id: &StripeTransferId,
        key: &str,
    ) -> Result<Outcome<StripeTransferReversalId>, Error> {
        if let Some(refusal) = self.refusal(key) {
            return Ok(Outcome::Declined(refusal));
        }
        {
            let mut books = self.books.lock().unwrap();
            let transfer = books.transfers.iter_mut().find(|(_, one)| one.id == *id).unwrap();
            transfer.1.is_reversed = true;
        }
        self.answer(format!("trr_{id}").parse().unwrap())
    }

    async fn ours(&self) -> Result<Outcome<i64>, Error> {
        Ok(Outcome::Done(0))
    }

    async fn available(&self, _: &StripeAccountId) -> Result<Outcome<i64>, Error> {
        Ok(Outcome::Done(self.money().0))
    }

    async fn payouts(&self, _: &StripeAccountId, _: DateTime<Utc>) -> Result<Outcome<Vec<Payout>>, Error> {
        let books = self.books.lock().unwrap();
        Ok(Outcome::Done(
            books.payouts.iter().map(|(_, one)| one.clone()).collect(),
        ))
    }

    async fn pay_out(
        &self,
        _: &StripeAccountId,
        new: &NewPayout,
        key: &str,
    ) -> Result<Outcome<Payout>, Error> {
        if let Some(code) = *self.refuses.lock().unwrap() {
            return Ok(Outcome::Declined(Decline::new(code, "no", 400)));
        }
        let payout = {
            let mut books = self.books.lock().unwrap();
            let known = books.payouts.iter().find(|(known, _)| known == key).cloned();
            let made = known.unwrap_or_else(|| {
                let made = Payout {
                    id: format!("po_{}", books.payouts.len()).parse().unwrap(),
                    amount: new.amount,
                    state: PayoutState::OnItsWay,
                    failure_code: None,
                    withdrawal: Some(new.withdrawal),
                    attempt: Some(new.attempt),
                    arrives_at: "2026-11-04T00:00:00Z".parse().unwrap(),
                };
                books.payouts.push((key.to_owned(), made.clone()));
                (key.to_owned(), made)
            });
            made.1
        };
        self.answer(payout)
    }

    async fn cancel(
        &self,
        _: &StripeAccountId,
        id: &StripePayoutId,
        key: &str,
    ) -> Result<Outcome<Payout>, Error> {
        if let Some(refusal) = self.refusal(key) {
            return Ok(Outcome::Declined(refusal));
        }
        let canceled = {
            let mut books = self.books.lock().unwrap();
            let payout = books.payouts.iter_mut().find(|(_, one)| one.id == *id).unwrap();
            payout.1.state = PayoutState::Canceled;
            payout.1.clone()
        };
        self.answer(canceled)
    }
}

struct Flat;

impl LiveReader for Flat {
    async fn read(&self, _: FundedAccountId) -> Result<LiveFacts, Error> {
        Ok(LiveFacts {
            is_active: true,
            open_positions: Some(0),
            balance_cents: 10_200_000,
            at: "2026-11-02T00:00:00Z".parse().unwrap(),
        })
    }
}

/// What lasts as long as the test, so that a world can borrow it.
struct Ground {
    database: Database,
    clock: ClockHandle,
    url: String,
}

struct OneWithdrawal {
    steps: Paying<'static, InMemory, Flat>,
    bank: &'static InMemory,
    ground: &'static Ground,
}

impl World for OneWithdrawal {
    type Steps = Paying<'static, InMemory, Flat>;

    fn steps(&self) -> &Self::Steps {
        &self.steps
    }

    async fn seen(&self) -> String {
        let mut connection = PgConnection::connect(&self.ground.url).await.unwrap();
        let stored: String = sqlx::query_scalar(SEEN).fetch_one(&mut connection).await.unwrap();
        format!("{stored} {:?}", self.bank.money())
    }
}

async fn ground(database: &TestDatabase) -> &'static Ground {
    let mut connection = database.connection().await.unwrap();
    sqlx::raw_sql(TRADER).execute(&mut connection).await.unwrap();
    let now = "2026-11-02T00:00:00Z".parse().unwrap();
    Box::leak(Box::new(Ground {
        database: Database::at(database.url()).unwrap(),
        clock: Arc::new(ManualClock::new(now)).into(),
        url: database.url().to_owned(),
    }))
}

async fn world(ground: &'static Ground) -> OneWithdrawal {
    let mut connection = PgConnection::connect(&ground.url).await.unwrap();
    sqlx::raw_sql(EMPTY).execute(&mut connection).await.unwrap();
    let bank: &'static InMemory = Box::leak(Box::default());
    OneWithdrawal {
        steps: Paying {
            database: &ground.database,
            bank,
            live: &Flat,
            clock: &ground.clock,
            id: "1".parse().unwrap(),
        },
        bank,
        ground,
    }
}

#[tokio::test]
async fn a_withdrawal_passes_what_every_saga_has_to_pass_and_pays_once() {
    let database = TestDatabase::start().await.unwrap();
    let ground = ground(&database).await;
    passes(async || world(ground).await).await;
    lost_answers_never_pay_twice(ground).await;
    a_refusal_takes_the_money_back(ground).await;
    another_attempts_payout_is_not_taken_for_the_present_one(ground).await;
    a_refused_transfer_takes_the_release_back(ground).await;
    what_was_refused_is_taken_back_under_another_key(ground).await;
    a_payout_that_came_back_unseen_completes_nothing(ground).await;
}

/// Its answer was lost, and then the event that it has come back.
async fn a_payout_that_came_back_unseen_completes_nothing(ground: &'static Ground) {
    use steps::Step::{Payout, Release, Transfer};
    let world = world(ground).await;
    for step in [Release, Transfer] {
        world.steps.run(step).await.unwrap();
    }
    *world.bank.loses.lock().unwrap() = 1;
    world.steps.run(Payout).await.unwrap_err();
    {
        let mut books = world.bank.books.lock().unwrap();
        let (_, made) = books.payouts.first_mut().unwrap();
        made.state = PayoutState::Failed;
        made.failure_code = Some("account_closed".to_owned());
    }
    assert!(matches!(
        world.steps.run(Payout).await,
        Err(Error::WithdrawalWaits(_))
    ));
    let mut connection = PgConnection::connect(&ground.url).await.unwrap();
    let returned = "SELECT concat_ws(' ', status, failure_code, returned_at IS NOT NULL, attempt, stripe_payout_id) FROM withdrawals";
    let returned: String = sqlx::query_scalar(returned)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(returned, "approved account_closed t 2");
}

/// A refusal is repeated under its key, also when its cause is mended; after an answer that was lost the key stays.
async fn what_was_refused_is_taken_back_under_another_key(ground: &'static Ground) {
    use steps::Step::{Payout, Release, Transfer};
    const REFUSALS: &str = "SELECT undo_refusals FROM withdrawals";
    let world = world(ground).await;
    for step in [Release, Transfer, Payout] {
        world.steps.run(step).await.unwrap();
    }
    for (step, money) in [(Payout, (50_000, 0)), (Transfer, (0, 0))] {
        let before = world.bank.money();
        *world.bank.refuses_undoing.lock().unwrap() = Some("something_new");
        let refused = world.steps.undo(step).await.unwrap_err();
        assert!(matches!(refused, Error::RefusedByStripe(code) if code == "something_new"));
        assert_eq!(world.bank.money(), before);
        *world.bank.refuses_undoing.lock().unwrap() = None;
        *world.bank.loses.lock().unwrap() = 1;
        world.steps.undo(step).await.unwrap_err();
        world.steps.undo(step).await.unwrap();
        assert_eq!(world.bank.money(), money, "{step:?}");
    }
    let mut connection = PgConnection::connect(&ground.url).await.unwrap();
    let refusals: i64 = sqlx::query_scalar(REFUSALS)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(refusals, 2);
}

/// What wasn't sent is judged once more before it is; an answer that was lost says nothing of that.
async fn a_refused_transfer_takes_the_release_back(ground: &'static Ground) {
    let refused = world(ground).await;
    let journal = journal(ground);
    *refused.bank.refuses_transfers.lock().unwrap() = Some("balance_insufficient");
    execute(&refused.steps, &journal).await.unwrap_err();
    assert_eq!(refused.seen().await, "approved f f f 0 0 (0, 0)");
    *refused.bank.refuses_transfers.lock().unwrap() = None;
    resume(ground, &journal).await;
    execute(&refused.steps, &journal).await.unwrap();
    assert_eq!(refused.bank.money(), (0, 50_000));
    assert_eq!(refused.bank.books.lock().unwrap().transfers.len(), 1);

    let lost = world(ground).await;
    *lost.bank.loses.lock().unwrap() = 1;
    execute(&lost.steps, &journal).await.unwrap_err();
    assert_eq!(lost.seen().await, "approved t f f 0 0 (50000, 0)");
    resume(ground, &journal).await;
    execute(&lost.steps, &journal).await.unwrap();
    assert_eq!(lost.bank.books.lock().unwrap().transfers.len(), 1);
}

fn journal(ground: &'static Ground) -> StoredJournal<'static> {
    StoredJournal {
        database: &ground.database,
        clock: &ground.clock,
        saga: "withdrawal",
        subject: "1",
    }
}

/// The journal follows the record, as before each turn.
async fn resume(ground: &'static Ground, journal: &StoredJournal<'static>) {
    let id = "1".parse().unwrap();
    let payment = ground
        .database
        .with(async |connection| store::load(connection, id).await);
    let progress = journal.progress().await.unwrap();
    let resumed = payment.await.unwrap().resumed(progress);
    journal.note(resumed).await.unwrap();
}

/// Neither one of the tenth attempt for the first, nor that of withdrawal 11 for that of 1.
async fn another_attempts_payout_is_not_taken_for_the_present_one(ground: &'static Ground) {
    let world = world(ground).await;
    let intended = "UPDATE withdrawals SET released_at = now(), stripe_account_id = 'acct_1', bank_account_id = 'ba_1', \
                    transfer_intended_at = now(), payout_intended_at = now()";
    let mut connection = PgConnection::connect(&ground.url).await.unwrap();
    sqlx::raw_sql(intended).execute(&mut connection).await.unwrap();
    for (withdrawal, attempt) in [("1", 10), ("11", 1)] {
        let new = NewPayout {
            withdrawal: withdrawal.parse().unwrap(),
            attempt,
            amount: Money::new(50_000, Currency::USD),
            destination: "ba_1".parse().unwrap(),
        };
        let account = "acct_1".parse().unwrap();
        let key = format!("withdrawal-{withdrawal}-payout-{attempt}");
        world.bank.pay_out(&account, &new, &key).await.unwrap();
    }
    world.steps.run(steps::Step::Payout).await.unwrap();
    let books = world.bank.books.lock().unwrap();
    let made: Vec<_> = books.payouts.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        made,
        [
            "withdrawal-1-payout-10",
            "withdrawal-11-payout-1",
            "withdrawal-1-payout-1"
        ]
    );
}

/// However often an answer is lost, what was done is found.
async fn lost_answers_never_pay_twice(ground: &'static Ground) {
    for lost in 1..=3 {
        let world = world(ground).await;
        let journal = journal(ground);
        *world.bank.loses.lock().unwrap() = lost;
        let mut tries = 0;
        while execute(&world.steps, &journal).await.is_err() {
            tries += 1;
            assert!(tries < 10, "it never ends");
        }
        assert!(tries > 0, "no answer was lost");
        assert_eq!(world.bank.money(), (0, 50_000));
        assert_eq!(world.bank.books.lock().unwrap().payouts.len(), 1);
        assert_eq!(world.bank.books.lock().unwrap().transfers.len(), 1);
    }
}

/// What the trader alone can mend ends it, and only after its money is back; what is ours to mend leaves it where it lies.
async fn a_refusal_takes_the_money_back(ground: &'static Ground) {
    for (code, is_traders) in [("bank_account_unusable", true), ("amount_too_large", false)] {
        let world = world(ground).await;
        let journal = journal(ground);
        *world.bank.refuses.lock().unwrap() = Some(code);
        let failed = execute(&world.steps, &journal).await.unwrap_err();
        match is_traders {
            true => {
                assert!(matches!(failed, Error::Unpayable(refused) if refused == code));
                assert_eq!(world.bank.money(), (0, 0));
            }
            false => {
                assert!(matches!(failed, Error::RefusedByStripe(refused) if refused == code));
                assert_eq!(world.bank.money(), (50_000, 0));
                *world.bank.refuses.lock().unwrap() = None;
                execute(&world.steps, &journal).await.unwrap();
                assert_eq!(world.bank.money(), (0, 50_000));
            }
        }
    }
}
