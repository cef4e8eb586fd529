//! Accounts, bills and payments of dealers, killed at their points: nothing is made twice at Billing, and no payment is lost
//! or counted twice.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::dealers::{Dealer, company};
use end_to_end::wire::Wire;
use end_to_end::{Fixture, Result, ensure_eq};
use serde_json::json;

use crate::sweep::{Start, sweep, sweep_all};
use crate::{soon, sql};

/// A process that died while it asked Billing is waited for until its turn ends, half a minute later; and here less.
async fn shorten_turns(fixture: &Fixture) -> Result {
    for statement in [
        "CREATE OR REPLACE TRIGGER shorten_turn BEFORE UPDATE ON dealer_accounts \
         FOR EACH ROW EXECUTE FUNCTION shorten_turn()",
        "CREATE OR REPLACE TRIGGER shorten_turn BEFORE UPDATE ON bills \
         FOR EACH ROW EXECUTE FUNCTION shorten_turn()",
    ] {
        sql(fixture, statement).await?;
    }
    Ok(())
}

/// What waits in the outbox goes out now: the queues' own wake-ups are held back here.
async fn relayed<T>(fixture: &Fixture, what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    soon(what, async || match look().await {
        Ok(seen) => Ok(seen),
        Err(error) => {
            fixture.relay_outbox().await?;
            Err(error)
        }
    })
    .await
}

async fn with_account(fixture: &Fixture) -> Result<Dealer> {
    let dealer = fixture.stranger()?;
    dealer.register(&company()).await?.expect(201)?;
    relayed(fixture, "the account is ready", async || {
        let shown = dealer.account("COMMISSION").await?;
        ensure_eq!(shown["provisioning_status"], json!("ready"));
        Ok(())
    })
    .await?;
    Ok(dealer)
}

pub(crate) async fn killed_account_is_made_once_when_its_message_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    shorten_turns(&fixture).await?;
    let samples = sweep_all(
        &fixture,
        "provision_account",
        Start::Cold,
        &["DATABASE_URL", "BILLING_API_BASE", "AWS_ENDPOINT_URL_SQS"],
        async || {
            let dealer = fixture.stranger()?;
            dealer.register(&company()).await?.expect(201)?;
            Ok(dealer)
        },
        async |dealer: &Dealer| {
            let id = dealer.shown().await?["dealer_id"].clone();
            let message = json!({
                "id": uuid::Uuid::now_v7(), "type": "dealer.account.to-provision", "occurred_at": chrono::Utc::now(),
                "key": format!("dealer-{id}"), "correlation_id": "kill-points",
                "data": { "dealer_id": id, "account_type": "COMMISSION" },
            });
            fixture.send("account-provisioning", &message.to_string()).await?;
            soon("the account is ready", async || {
                let shown = dealer.account("COMMISSION").await?;
                ensure_eq!(shown["provisioning_status"], json!("ready"));
                ensure_eq!(shown["has_newest_requisite"], json!(true));
                let held = fixture.held_by("account-provisioning").await?;
                ensure!(held == 0, "{held} messages held");
                Ok(())
            })
            .await
        },
    );
    for dealer in samples.await? {
        let id = format!("moneta-dealer-{}-", dealer.shown().await?["dealer_id"]);
        ensure_eq!(
            fixture.cloud.billing().count(&id),
            [1, 1, 1, 0],
            "{}",
            dealer.name
        );
    }
    Ok(())
}

pub(crate) async fn killed_bill_is_made_once_when_its_message_comes_again(fixture: Arc<Fixture>) -> Result {
    shorten_turns(&fixture).await?;
    let dealer = with_account(&fixture).await?;
    let issue = async |bill: i64, status: &'static str| {
        let message = json!({
            "id": uuid::Uuid::now_v7(), "type": "dealer.bill.to-issue", "occurred_at": chrono::Utc::now(),
            "key": format!("bill-{bill}"), "correlation_id": "kill-points", "data": { "bill_id": bill },
        });
        fixture.send("bill-issuing", &message.to_string()).await?;
        soon("Billing has done it", async || {
            ensure_eq!(fixture.issuing_status(bill).await?, status);
            let held = fixture.held_by("bill-issuing").await?;
            ensure!(held == 0, "{held} messages held");
            Ok(())
        })
        .await
    };
    let backends = ["DATABASE_URL", "BILLING_API_BASE"];
    let samples = sweep_all(
        &fixture,
        "issue_bill",
        Start::Cold,
        &backends,
        async || dealer.owes(100).await,
        async |bill: &i64| issue(*bill, "issued").await,
    );
    let samples = samples.await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    ensure_eq!(
        fixture.cloud.billing().bills(&client).len(),
        samples.len(),
        "bills at Billing"
    );
    // And taken back again, some of them.
    let voided = sweep_all(
        &fixture,
        "issue_bill",
        Start::Cold,
        &backends,
        async || {
            let bill = dealer.owes(200).await?;
            issue(bill, "issued").await?;
            dealer.void(bill).await?.expect(200)?;
            Ok(bill)
        },
        async |bill: &i64| issue(*bill, "withdrawn").await,
    );
    let voided = voided.await?;
    let bills = fixture.cloud.billing().bills(&client);
    let taken_back = bills.iter().filter(|bill| bill.status == "voided").count();
    ensure_eq!(
        (taken_back, bills.len()),
        (voided.len(), samples.len() + voided.len())
    );
    Ok(())
}

pub(crate) async fn killed_payment_of_a_dealer_is_applied_once_when_it_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let wire = Wire::attach(
        &fixture,
        "apply_bill_payment",
        &["DATABASE_URL", "AWS_ENDPOINT_URL_SQS"],
    )
    .await?;
    let prepare = async || {
        let dealer = with_account(&fixture).await?;
        let bill = dealer.owes(100).await?;
        Ok((dealer, bill))
    };
    let work = async |(dealer, bill): &(Dealer, i64)| {
        fixture.dealer_pays(dealer, "COMMISSION", None, 130).await?;
        soon("the payment is applied", async || {
            let shown = dealer.bill(*bill).await?;
            ensure!(shown["status"] == "paid", "{shown}");
            ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(30));
            Ok(())
        })
        .await
    };
    let runs = sweep(&fixture, &wire, Start::Cold, prepare, work, async |_| Ok(())).await?;
    wire.detach(&fixture).await?;
    // A last message of each, behind everything that comes again: nothing was counted twice.
    for run in runs {
        let (dealer, bill) = &run.sample;
        let last = fixture.dealer_pays(dealer, "COMMISSION", None, 1).await?;
        fixture
            .booked(&last)
            .await
            .with_context(|| format!("killed {}", run.point()))?;
        ensure_eq!(
            dealer.account("COMMISSION").await?["balance"],
            json!(31),
            "killed {}",
            run.point()
        );
        ensure_eq!(dealer.bill(*bill).await?["paid_sum"], json!(100));
        let told = fixture.dealer_events(dealer).await?;
        ensure_eq!(told.iter().filter(|kind| *kind == "dealer.bill.paid").count(), 1);
    }
    fixture.dealer_books_agree().await
}
