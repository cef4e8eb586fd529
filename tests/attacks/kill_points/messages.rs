//! Consumers of queues and the relay, killed at their points.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::Arc,
};

use anyhow::{Context, ensure};
use chrono::Utc;
use domain::market::MarketCalendar;
use end_to_end::{Fixture, Result, Tester, ensure_eq, new_domain_event, topic_messages};
use local_cloud::sandboxes::drivewealth::status;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::collections::let_leases_end;
use crate::sweep::{Start, sweep_all};
use crate::{CENTS, Kind, events_of_success, soon};

/// A flow and its payment, before an event comes.
struct Expected {
    tester: Tester,
    flow: i64,
    payment: String,
}

pub(crate) async fn killed_drivewealth_event_is_applied_once_when_it_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let prepare = async |kind: Kind| {
        let tester = fixture.customer().await?;
        let flow = kind
            .request(&tester, &Uuid::new_v4().to_string())
            .await?
            .expect(201)?
            .number("id")?;
        let payments = kind.payments(&fixture);
        let payment = payments.of(&tester).first().context("no payment")?.id.clone();
        Ok(Expected {
            tester,
            flow,
            payment,
        })
    };
    let backends = ["DATABASE_URL", "DRIVEWEALTH_API_BASE", "AWS_ENDPOINT_URL_SQS"];
    let arrive = async |expected: &Expected, code: i32, flow_status: &str, payment_status: i32| {
        let drivewealth = fixture.cloud.drivewealth();
        let payment = drivewealth.advance(&expected.payment, code)?;
        drivewealth
            .send_envelope(payment.events.last().context("no event")?)
            .await;
        soon("the event is applied", async || {
            let flow = fixture.database.flow(expected.flow).await?;
            ensure!(flow.status == flow_status, "{flow:?}");
            let payment = drivewealth
                .payment(&expected.payment)
                .context("the payment is gone")?;
            ensure!(payment.status == payment_status, "{payment:?}");
            let held = fixture.held_by("drivewealth-events").await?;
            ensure!(held == 0, "{held} messages are held");
            Ok(())
        })
        .await
    };

    let deposits = sweep_all(
        &fixture,
        "apply_drivewealth_event",
        Start::Cold,
        &backends,
        async || prepare(Kind::Deposit).await,
        async |sample| arrive(sample, status::SUCCESSFUL, "success", status::SUCCESSFUL).await,
    );
    for Expected { flow, tester, .. } in deposits.await? {
        ensure_eq!(
            fixture.database.events_of_flow(flow).await?,
            events_of_success(),
            "{:?}",
            tester.customer
        );
    }

    // DriveWealth puts an approved redemption back, and asks for the approval once more.
    let redemptions = sweep_all(
        &fixture,
        "apply_drivewealth_event",
        Start::Cold,
        &backends,
        async || prepare(Kind::Withdrawal).await,
        async |sample| arrive(sample, status::RIA_PENDING, "approved", status::RIA_APPROVED).await,
    );
    for expected in redemptions.await? {
        arrive(&expected, status::SUCCESSFUL, "success", status::SUCCESSFUL).await?;
        ensure_eq!(
            fixture.database.events_of_flow(expected.flow).await?,
            events_of_success()
        );
    }
    Ok(())
}

pub(crate) async fn killed_change_of_targets_is_made_when_its_message_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let prepare = async || {
        let tester = fixture.customer().await?;
        let account = tester.customer.drivewealth_account_id.clone();
        fixture.cloud.drivewealth().set_cash(&account, 150_000, 150_000)?;
        Ok((account, tester.customer.profile_id))
    };
    let backends = ["DATABASE_URL", "DRIVEWEALTH_API_BASE"];
    let samples = sweep_all(
        &fixture,
        "on_cash_changed",
        Start::First,
        &backends,
        prepare,
        async |(account, profile)| {
            let data =
                json!({ "drivewealth_account_id": account, "money_flow_id": profile, "profile_id": profile });
            let event = new_domain_event("portfolio.cash-changed", account, data);
            fixture
                .send_in_group("portfolio-changes.fifo", account, &event.to_string())
                .await?;
            let id = event["id"].as_str().unwrap_or_default();
            soon("the targets follow the cash", async || {
                let_leases_end(&fixture).await?;
                let taken = fixture.database.inbox(id).await?;
                ensure!(taken.is_some(), "the message is not taken");
                let held = fixture.held_by("portfolio-changes.fifo").await?;
                ensure!(held == 0, "{held} messages are held");
                Ok(())
            })
            .await
        },
    );
    for (account, _) in samples.await? {
        let state = fixture
            .cloud
            .drivewealth()
            .account(&account)
            .context("the account is gone")?;
        let target = state.cash_cents * 10_000 / state.equity_cents;
        ensure!(
            (state.cash_target - target).abs() <= 1,
            "the cash's target is not its share {target}: {state:?}"
        );
        let kept = fixture.database.pool();
        let kept: i64 = sqlx::query_scalar(
            "SELECT cash_value_cents FROM drivewealth_portfolios WHERE drivewealth_account_id = $1 AND cash_target = cash_actual",
        )
        .bind(&account)
        .fetch_one(kept)
        .await?;
        ensure_eq!(kept, 150_000);
    }
    Ok(())
}

pub(crate) fn succeeded(tester: &Tester, flow: i64) -> Value {
    let customer = &tester.customer;
    let data = json!({
        "money_flow_id": flow,
        "profile_id": customer.profile_id,
        "trading_account_id": customer.trading_account_id,
        "direction": "deposit",
        "amount_cents": CENTS,
        "currency": "USD",
        "reason": null,
    });
    new_domain_event(
        "money-flow.succeeded",
        &format!("profile-{}", customer.profile_id),
        data,
    )
}

pub(crate) async fn killed_balance_is_recorded_once_when_its_message_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let business_date = MarketCalendar::business_date(Utc::now());
    let kept = async |account: i64| {
        let rows = "SELECT equity_cents FROM trading_account_balances WHERE trading_account_id = $1";
        let rows = sqlx::query_scalar::<_, i64>(rows).bind(account);
        anyhow::Ok(rows.fetch_all(fixture.database.pool()).await?)
    };
    let samples = sweep_all(
        &fixture,
        "update_account_balance",
        Start::First,
        &["DATABASE_URL", "DRIVEWEALTH_API_BASE"],
        async || Ok(fixture.customer().await?.customer.trading_account_id),
        async |account| {
            let due = json!({ "trading_account_id": account, "business_date": business_date });
            fixture.send("account-balances", &due.to_string()).await?;
            soon("the balance is taken", async || {
                let kept = kept(*account).await?;
                ensure!(kept == [500_000], "the balances are {kept:?}");
                let held = fixture.held_by("account-balances").await?;
                ensure!(held == 0, "{held} messages are held");
                Ok(())
            })
            .await
        },
    );
    for account in samples.await? {
        ensure_eq!(kept(account).await?, [500_000]);
    }
    Ok(())
}

pub(crate) async fn killed_relay_loses_nothing_and_keeps_the_order(fixture: Arc<Fixture>) -> Result {
    fixture.relay_outbox().await?;
    let prepare = async || {
        let tester = fixture.customer().await?;
        let events = [succeeded(&tester, 1), succeeded(&tester, 2)];
        for event in &events {
            write(&fixture, event).await?;
        }
        Ok((tester, events))
    };
    let backends = ["DATABASE_URL", "AWS_ENDPOINT_URL_SQS"];
    let samples = sweep_all(
        &fixture,
        "relay_outbox",
        Start::Cold,
        &backends,
        prepare,
        async |_| {
            let first = fixture.cloud.run_schedule("relay_outbox", None).await?;
            let is_dead = first.function_error.is_some();
            // The lock of a dead relay lasts until its session has ended.
            if is_dead || first.payload["left_to_another"] == true {
                let report = fixture.relay_outbox().await?;
                ensure!(report["failed"] == 0, "the relay after its death: {report}");
            }
            Ok(())
        },
    );
    let samples = samples.await?;
    let told = topic_messages(fixture.cloud.kafka_brokers(), "trading.events").await?;
    let mut by_key: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for message in told {
        by_key
            .entry(message.key)
            .or_default()
            .push(message.payload["id"].clone());
    }
    for (tester, [first, second]) in &samples {
        let key = format!("profile-{}", tester.customer.profile_id);
        let rows = fixture.database.outbox_of_key(&key).await?;
        ensure!(
            rows.iter().all(|row| row.published_at.is_some()),
            "not all are published: {rows:?}"
        );
        let ids = by_key.get(&key).cloned().unwrap_or_default();
        let (first, second) = (&first["id"], &second["id"]);
        // A relay that died between sending and recording has its successor send both again: whoever takes each event once,
        // as consumers do, or goes by the last, has them in order.
        let in_order = ids.first() == Some(first)
            && ids.last() == Some(second)
            && ids.iter().all(|id| id == first || id == second);
        ensure!(in_order, "the topic has {ids:?} instead of {first}, {second}");
    }
    let doubled = by_key
        .values()
        .filter(|ids| ids.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() < ids.len());
    let _ = writeln!(
        std::io::stdout(),
        "  relay_outbox: {} keys got an event twice on the topic",
        doubled.count()
    );
    fixture.queue_reaches("domain-events", 0).await?;
    for (tester, _) in &samples {
        ensure_eq!(
            (tester.feed_reaches(2).await?.len(), tester.unread().await?),
            (2, 2)
        );
    }
    Ok(())
}

/// Writes an event to the outbox as trading does.
async fn write(fixture: &Fixture, event: &Value) -> Result {
    sqlx::query(
        "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
         SELECT ($1 ->> 'id')::UUID, $1 ->> 'type', $1 ->> 'key', $1, kind, name \
         FROM (VALUES ('topic', 'trading.events'), ('queue', 'domain-events')) AS destination (kind, name)",
    )
    .bind(event)
    .execute(fixture.database.pool())
    .await?;
    Ok(())
}
