//! Funded accounts, killed at the points of an activation, of a snapshot, of a closure, of an approval and of a payment: each is
//! done once when its record or request comes again.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::funded::{TIER, Trader, flat, next_user, passed, tier};
use end_to_end::withdrawals::PAYS;
use end_to_end::{Fixture, Result, ensure_eq, new_domain_event};
use futures::future::try_join_all;
use serde_json::json;

use crate::soon;
use crate::sweep::{Start, sweep_all};

/// Traders who have asked for a withdrawal of all their profit. They are made so many at once, since most of that is waiting.
struct Asking<'a> {
    fixture: &'a Fixture,
    made: RefCell<Vec<Trader>>,
}

impl<'a> Asking<'a> {
    const AT_ONCE: usize = 4;

    fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            made: RefCell::default(),
        }
    }

    async fn next(&self) -> Result<Trader> {
        let made = self.made.borrow_mut().pop();
        if let Some(trader) = made {
            return Ok(trader);
        }
        let made = try_join_all((0..Self::AT_ONCE).map(|_| self.make())).await?;
        self.made.borrow_mut().extend(made);
        self.made.borrow_mut().pop().context("nobody was made")
    }

    async fn make(&self) -> Result<Trader> {
        let mut trader = self.fixture.trader_with_profit(100_000, PAYS).await?;
        trader.withdrawal = trader.withdrawal(80_000).await?;
        Ok(trader)
    }
}

pub(crate) async fn killed_activation_makes_one_account_when_its_record_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    fixture.put_tier(TIER, &tier()).await?;
    let accounts = async |user: i64| {
        let api = fixture.api(Some(json!({ "user_id": user })))?;
        Ok::<_, anyhow::Error>(api.get("/funded-accounts").await?.expect(200)?.body["items"].clone())
    };
    let users = sweep_all(
        &fixture,
        "activate_funded_account",
        Start::Cold,
        &[
            "DATABASE_URL",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_SQS",
        ],
        async || Ok(next_user()),
        async |user: &i64| {
            fixture.assessment_ends(&passed(*user, TIER)).await?;
            soon("the account is activated", async || {
                let accounts = accounts(*user).await?;
                ensure!(accounts[0]["status"] == "active", "{accounts}");
                Ok(())
            })
            .await
        },
    );
    for user in users.await? {
        let found = accounts(user).await?;
        let all = "SELECT count(*) FROM funded_accounts WHERE user_id = $1";
        ensure_eq!(fixture.database.count(all, user).await?, 1, "{found}");
        let account = found[0]["id"].as_i64().unwrap_or_default();
        ensure_eq!(
            fixture.told_of_account(account).await?,
            ["funded-account.created", "funded-account.activated"]
        );
        let trader = Trader {
            user_id: user,
            api: fixture.api(Some(json!({ "user_id": user })))?,
            account,
            withdrawal: 0,
        };
        ensure_eq!(trader.see().await?["source"], "live");
    }
    Ok(())
}

pub(crate) async fn killed_snapshot_is_applied_when_its_record_comes_again(fixture: Arc<Fixture>) -> Result {
    let traders = sweep_all(
        &fixture,
        "apply_position_update",
        Start::Cold,
        &["AWS_ENDPOINT_URL_DYNAMODB"],
        async || fixture.trader().await,
        async |trader: &Trader| {
            fixture
                .engine_says(&[flat(trader.account, 1, 10_234_567)])
                .await?;
            soon("the snapshot is applied", async || {
                let seen = trader.see().await?;
                ensure!(seen["account"]["current_balance_cents"] == 10_234_567, "{seen}");
                Ok(())
            })
            .await
        },
    );
    for trader in traders.await? {
        let is_so = |record: &serde_json::Value| record["current_balance_cents"] == 10_234_567;
        trader.is_recorded("the snapshot is recorded", is_so).await?;
    }
    Ok(())
}

pub(crate) async fn killed_closure_is_told_once_when_its_record_comes_again(fixture: Arc<Fixture>) -> Result {
    let traders = sweep_all(
        &fixture,
        "monitor_rules",
        Start::Cold,
        &["DATABASE_URL", "AWS_ENDPOINT_URL_SQS"],
        async || fixture.trader().await,
        async |trader: &Trader| {
            fixture.engine_says(&[flat(trader.account, 1, 100)]).await?;
            soon("the record is closed", async || {
                let accounts = trader.api.get("/funded-accounts").await?.expect(200)?.body;
                ensure!(accounts["items"][0]["status"] == "closed", "{accounts}");
                Ok(())
            })
            .await
        },
    );
    for trader in traders.await? {
        ensure_eq!(
            fixture.told_of_account(trader.account).await?,
            [
                "funded-account.created",
                "funded-account.activated",
                "rules.violation-detected",
                "funded-account.closed"
            ]
        );
    }
    Ok(())
}

/// A request for a link that dies at any point leaves one account at Stripe, which its repetition finds.
pub(crate) async fn killed_payout_account_is_made_once_by_its_repetition(fixture: Arc<Fixture>) -> Result {
    let traders = sweep_all(
        &fixture,
        "create_payout_account_link",
        Start::Cold,
        &["DATABASE_URL", "STRIPE_API_BASE"],
        async || fixture.trader().await,
        async |trader: &Trader| {
            soon("there is a link", async || {
                let asked = trader
                    .api
                    .post("/payout-account/link", "unused", &json!({}))
                    .await?;
                ensure!(asked.status == 201, "{} {}", asked.status, asked.text);
                Ok(())
            })
            .await
        },
    );
    for trader in traders.await? {
        let user = trader.user_id.to_string();
        let made = fixture.cloud.stripe().connected_accounts().into_iter();
        let theirs = made.filter(|account| account.metadata.get("user_id") == Some(&user));
        ensure_eq!(theirs.count(), 1, "accounts of trader {user}");
    }
    Ok(())
}

/// A withdrawal whose worker dies at any point is paid once. Its lease has passed by then, which nobody waits for here.
pub(crate) async fn killed_withdrawal_is_paid_once_when_it_goes_on(fixture: Arc<Fixture>) -> Result {
    let asking = Asking::new(&fixture);
    let traders = sweep_all(
        &fixture,
        "process_withdrawal",
        Start::Cold,
        &[
            "DATABASE_URL",
            "STRIPE_API_BASE",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_SQS",
        ],
        async || {
            let trader = asking.next().await?;
            fixture
                .approve("operator", trader.withdrawal)
                .await?
                .expect(200)?;
            Ok(trader)
        },
        async |trader: &Trader| {
            // Nothing is relayed here: its steps are sent by hand, again once a dead worker's lease has passed.
            let step = new_domain_event(
                "withdrawal.step-due",
                &format!("withdrawal-{}", trader.withdrawal),
                json!({ "withdrawal_id": trader.withdrawal }),
            )
            .to_string();
            fixture.send("withdrawal-steps", &step).await?;
            let over = "UPDATE withdrawals SET leased_until = NULL WHERE id = $1 AND leased_until < now() + interval '55 seconds'";
            let is_paid = "SELECT count(*) FROM withdrawals WHERE id = $1 AND status = 'completed'";
            soon("the withdrawal is completed", async || {
                if fixture.database.count(is_paid, trader.withdrawal).await? == 1 {
                    return Ok(());
                }
                if fixture.database.change(over, trader.withdrawal).await? == 1 {
                    fixture.send("withdrawal-steps", &step).await?;
                }
                anyhow::bail!("it isn't completed")
            })
            .await
        },
    );
    for trader in traders.await? {
        trader.is_paid(trader.withdrawal).await?;
        ensure_eq!(fixture.sent_for(trader.withdrawal), (80_000, 80_000));
        let completed = fixture.told_of_account(trader.account).await?;
        let times = completed
            .iter()
            .filter(|kind| *kind == "withdrawal.completed")
            .count();
        ensure_eq!(times, 1, "{completed:?}");
    }
    Ok(())
}

/// An approval that dies at any point is given whole or not at all, and once; the withdrawal that it sets off is paid once.
pub(crate) async fn killed_approval_is_given_once_by_its_repetition(fixture: Arc<Fixture>) -> Result {
    let asking = Asking::new(&fixture);
    let traders = sweep_all(
        &fixture,
        "approve_withdrawal",
        Start::Cold,
        &[
            "DATABASE_URL",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_SQS",
        ],
        async || asking.next().await,
        async |trader: &Trader| {
            soon("the approval is answered", async || {
                let answer = fixture.approve("operator", trader.withdrawal).await?;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
                ensure_eq!(answer.body["status"], "approved");
                Ok(())
            })
            .await
        },
    );
    let completed = "SELECT count(*) FROM withdrawals WHERE id = $1 AND status = 'completed'";
    let told = [
        "funded-account.created",
        "funded-account.activated",
        "withdrawal.requested",
        "withdrawal.approved",
        "withdrawal.completed",
    ];
    for trader in traders.await? {
        // The approval has written its first step, and nobody sends it by hand here.
        soon("the withdrawal is completed", async || {
            if fixture.database.count(completed, trader.withdrawal).await? == 1 {
                return Ok(());
            }
            fixture.relay_outbox().await?;
            anyhow::bail!("it isn't completed")
        })
        .await?;
        ensure_eq!(fixture.sent_for(trader.withdrawal), (80_000, 80_000));
        ensure_eq!(fixture.told_of_account(trader.account).await?, told);
    }
    Ok(())
}
