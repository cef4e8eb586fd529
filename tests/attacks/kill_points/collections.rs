//! Orders of collections, whose function is killed on their way to the broker.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::collections::{CONSUMER, Investor, QUEUE, due};
use end_to_end::{Fixture, Result, ensure_eq};

use crate::sweep::{Start, sweep_all};
use crate::{soon, sql};

/// The lease of a process that was killed ends by itself, half a minute later; here that time is over at once. It stays with
/// whoever has it as long as nobody else takes it.
pub(crate) async fn let_leases_end(fixture: &Fixture) -> Result {
    sql(
        fixture,
        "UPDATE drivewealth_account_leases SET leased_until = NULL",
    )
    .await
}

pub(crate) async fn killed_order_is_carried_out_once_when_its_message_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    fixture.open_market().await?;
    let collection = fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?;
    let prepare = async || {
        let investor = fixture.investor().await?;
        // Written without its message, so that the function has nothing to do before it is watched.
        let order = fixture
            .waiting_order(&investor.tester, collection, 50_000)
            .await?;
        Ok((investor, order))
    };
    let samples = sweep_all(
        &fixture,
        CONSUMER,
        Start::Cold,
        &["DATABASE_URL", "DRIVEWEALTH_API_BASE", "AWS_ENDPOINT_URL_SQS"],
        prepare,
        async |(investor, order)| {
            let account = &investor.tester.customer.drivewealth_account_id;
            let message = due(&investor.tester).to_string();
            fixture.send_in_group(QUEUE, account, &message).await?;
            soon("the run is made", async || {
                let_leases_end(&fixture).await?;
                let order = investor.tester.order(*order).await?;
                ensure!(order["status"] != "pending", "the history has {order}");
                let sql = "SELECT count(*) FROM drivewealth_autopilot_runs WHERE ref_id IS NOT NULL AND \
                           drivewealth_account_id = (SELECT ref_id FROM drivewealth_accounts WHERE trading_account_id = $1)";
                let runs = fixture.database.count(sql, investor.tester.customer.trading_account_id).await?;
                ensure!(runs == 1, "{runs} runs are open");
                let held = fixture.held_by(QUEUE).await?;
                ensure!(held == 0, "{held} messages are held");
                Ok(())
            })
            .await
        },
    );
    for (Investor { tester, .. }, order) in samples.await? {
        let account = &tester.customer.drivewealth_account_id;
        let drivewealth = fixture.cloud.drivewealth();
        ensure_eq!(drivewealth.runs_of(account).len(), 1, "runs at the broker");
        let name = format!("{}_{collection}", tester.customer.profile_id);
        ensure_eq!(drivewealth.funds_named(&name), 1, "funds at the broker");
        let done = fixture.order_reaches(&tester, order, "complete").await?;
        ensure_eq!(done["actual_amount_cents"], 50_000, "{done}");
        let state = fixture.account_of(&tester)?;
        let new = state.funds.iter().find(|fund| fund.value_cents == 50_000);
        ensure_eq!(new.context("nothing was bought")?.target, 500);
    }
    Ok(())
}
