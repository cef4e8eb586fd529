//! Requests that move money, killed at their points.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Answer, Fixture, Result, Tester, ensure_eq, send_until_answered, wire::Wire};
use local_cloud::sandboxes::drivewealth::status;
use serde_json::json;
use uuid::Uuid;

use crate::sweep::{Run, Start, sweep};
use crate::{CENTS, Kind, Payments, events_of_success, soon, sql};

/// A request whose function was killed; some went through.
struct Attempt {
    tester: Tester,
    key: String,
    point: String,
}

impl Attempt {
    /// Sends the request again, until it is answered.
    async fn repeat(&self, kind: Kind, when: &str) -> Result<Answer> {
        let what = format!("killed {}, then sent again{when}", self.point);
        let answer = send_until_answered(&what, async || kind.request(&self.tester, &self.key).await).await?;
        answer.expect(201).context(what)
    }
}

pub(crate) async fn killed_deposit_is_finished_by_its_repetition_or_the_reconciler(
    fixture: Arc<Fixture>,
) -> Result {
    // A process that has served before does the same without its beginning; that is shown for deposits alone.
    killed_flow_is_finished(&fixture, Kind::Deposit, &[Start::First, Start::Warm]).await
}

pub(crate) async fn killed_withdrawal_is_finished_by_its_repetition_or_the_reconciler(
    fixture: Arc<Fixture>,
) -> Result {
    killed_flow_is_finished(&fixture, Kind::Withdrawal, &[Start::Cold]).await
}

async fn killed_flow_is_finished(fixture: &Arc<Fixture>, kind: Kind, starts: &[Start]) -> Result {
    let wire = Wire::attach(fixture, kind.function(), kind.backends()).await?;
    let mut attempts = Vec::new();
    for start in starts {
        attempts.extend(kill_requests(fixture, &wire, kind, *start).await?);
    }
    wire.detach(fixture).await?;
    recover(fixture, kind, &attempts).await?;
    if kind == Kind::Withdrawal {
        approve(fixture, &attempts).await?;
    }
    succeed(fixture, kind, &attempts).await
}

async fn kill_requests(
    fixture: &Arc<Fixture>,
    wire: &Wire,
    kind: Kind,
    start: Start,
) -> Result<Vec<Attempt>> {
    let other = fixture.customer().await?;
    let prepare = async || {
        if start == Start::Warm {
            kind.request(&other, &Uuid::new_v4().to_string())
                .await?
                .expect(201)?;
        }
        Ok((fixture.customer().await?, Uuid::new_v4().to_string()))
    };
    let check = async |run: &Run<(Tester, String), Answer>| {
        let answer = &run.outcome;
        // 201 when what was held back came after all that matters.
        let fits = answer.status == 201 || (run.killed.is_some() && answer.status == 500);
        ensure!(fits, "killed {}: {} {}", run.point(), answer.status, answer.text);
        Ok(())
    };
    let ask = async |(tester, key): &(Tester, String)| kind.request(tester, key).await;
    let runs = sweep(fixture, wire, start, prepare, ask, check).await?;
    let attempt = |run: Run<(Tester, String), Answer>| {
        let point = run.point().to_owned();
        let (tester, key) = run.sample;
        Attempt { tester, key, point }
    };
    Ok(runs.into_iter().map(attempt).collect())
}

/// Half of the requests are sent again, the flows of the others are looked up by the reconciler.
async fn recover(fixture: &Fixture, kind: Kind, attempts: &[Attempt]) -> Result {
    let payments = kind.payments(fixture);
    let mut written = Vec::new();
    for (index, attempt) in attempts.iter().enumerate() {
        let Attempt { tester, point, .. } = attempt;
        let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
        let made = payments.of(tester);
        ensure!(
            flows.len() <= 1 && made.len() <= flows.len(),
            "killed {point}: {made:?} of {flows:?}"
        );
        written.push(flows.len());
        if index % 2 == 0 {
            attempt.repeat(kind, "").await?;
        } else if let Some(flow) = flows.first() {
            fixture.database.make_due(flow.id).await?;
        }
    }
    let both_sides = written.contains(&0) && written.contains(&1);
    ensure!(
        both_sides,
        "all points lie on one side of the intent: {written:?}"
    );
    let report = fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?
        .payload;
    ensure!(report["failed"] == 0, "the reconciler: {report}");
    let payments = kind.payments(fixture);
    for (index, (attempt, written)) in attempts.iter().zip(written).enumerate() {
        let expected = if index % 2 == 0 { 1 } else { written };
        finished(fixture, &payments, attempt, expected).await?;
    }
    repeat(fixture, kind, attempts).await
}

/// However late a request comes again, there is one flow, and it is its answer.
async fn repeat(fixture: &Fixture, kind: Kind, attempts: &[Attempt]) -> Result {
    let mut answered = Vec::new();
    for attempt in attempts {
        answered.push(attempt.repeat(kind, " at last").await?.number("id")?);
    }
    let payments = kind.payments(fixture);
    for (attempt, answered) in attempts.iter().zip(answered) {
        let flow = finished(fixture, &payments, attempt, 1).await?;
        ensure_eq!(flow, Some(answered), "killed {}", attempt.point);
    }
    Ok(())
}

/// There are as many flows as expected, all accepted, with one payment each; gives the flow.
async fn finished(
    fixture: &Fixture,
    payments: &Payments,
    attempt: &Attempt,
    expected: usize,
) -> Result<Option<i64>> {
    let Attempt { tester, point, .. } = attempt;
    let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
    let made = payments.of(tester);
    let sound = flows.len() == expected
        && made.len() == expected
        && flows
            .iter()
            .all(|flow| flow.provider_state == "accepted" && flow.amount_cents.abs() == CENTS)
        && made.iter().all(|payment| payment.amount_cents.abs() == CENTS);
    ensure!(
        sound,
        "killed {point}: expected {expected}, found {flows:?} with {made:?}"
    );
    Ok(flows.first().map(|flow| flow.id))
}

/// A redemption whose function died before it approved is approved by its look-up.
async fn approve(fixture: &Fixture, attempts: &[Attempt]) -> Result {
    sql(
        fixture,
        "UPDATE trading_money_flow SET next_lookup_at = now() WHERE next_lookup_at IS NOT NULL AND provider_state = 'accepted'",
    )
    .await?;
    let report = fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?
        .payload;
    ensure!(report["failed"] == 0, "the reconciler: {report}");
    let payments = Kind::Withdrawal.payments(fixture);
    for Attempt { tester, point, .. } in attempts {
        let payments = payments.of(tester);
        let approved = payments
            .iter()
            .all(|payment| payment.status == status::RIA_APPROVED);
        ensure!(approved, "killed {point}: not approved: {payments:?}");
    }
    Ok(())
}

/// The broker's word brings all flows to success, and tells of each once.
async fn succeed(fixture: &Fixture, kind: Kind, attempts: &[Attempt]) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    let payments = kind.payments(fixture);
    for Attempt { tester, .. } in attempts {
        for payment in payments.of(tester) {
            let payment = drivewealth.advance(&payment.id, status::SUCCESSFUL)?;
            let event = payment.events.last().context("no event")?;
            drivewealth.send_envelope(event).await;
        }
    }
    for Attempt { tester, point, .. } in attempts {
        let what = format!("success of the flow killed {point}");
        let flow = soon(&what, async || {
            let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
            ensure!(flows.iter().all(|flow| flow.status == "success"), "{flows:?}");
            Ok(flows.first().map(|flow| flow.id))
        });
        let flow = flow.await?.with_context(|| format!("no flow killed {point}"))?;
        ensure_eq!(
            fixture.database.events_of_flow(flow).await?,
            events_of_success(),
            "killed {point}"
        );
        let moved = if kind == Kind::Deposit { CENTS } else { -CENTS };
        let cash = drivewealth.cash_cents(&tester.customer.drivewealth_account_id);
        ensure_eq!(cash, Some(100_000 + moved), "cash after a flow killed {point}");
    }
    ensure_eq!(drivewealth.counters().replays_of_other_requests, 0);
    fixture.relay_outbox().await?;
    for Attempt { tester, .. } in attempts.iter().step_by(10) {
        tester.feed_reaches(1).await?;
    }
    fixture.queue_reaches("domain-events", 0).await?;
    fixture.queue_reaches("portfolio-changes.fifo", 0).await
}
