//! Requests that move money, killed at every point.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use end_to_end::{
    Fixture, Result, Tester, ensure_eq,
    wire::{Played, Wire},
};
use local_cloud::sandboxes::drivewealth::status;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{CENTS, Kind, MOST, Payments, Start, THROUGH, soon, sql, tell, told_of_success};

/// A request whose function was killed; the last ones of a round went through.
struct Attempt {
    tester: Tester,
    key: String,
    point: String,
}

pub(crate) async fn all(fixture: Arc<Fixture>, kind: Kind) -> Result {
    let fixture = fixture.as_ref();
    let wire = Wire::attach(fixture, kind.function(), kind.backends()).await?;
    let mut attempts = Vec::new();
    // A process that has served before does the same without its beginning; that is shown for deposits alone.
    let starts: &[Start] = match kind {
        Kind::Deposit => &[Start::First, Start::Warm],
        Kind::Withdrawal => &[Start::Cold],
    };
    for start in starts.iter().copied() {
        let begun = Instant::now();
        let played = kill_requests(fixture, &wire, kind, start).await?;
        tell(kind.function(), start, played.len() - THROUGH, begun);
        attempts.extend(played);
    }
    wire.detach(fixture)?;
    recover(fixture, kind, &attempts).await?;
    if kind == Kind::Withdrawal {
        approve(fixture, &attempts).await?;
    }
    succeed(fixture, kind, &attempts).await
}

async fn kill_requests(fixture: &Fixture, wire: &Wire, kind: Kind, start: Start) -> Result<Vec<Attempt>> {
    let other = fixture.customer().await?;
    let mut attempts = Vec::new();
    let mut through = 0;
    for step in 1..=MOST {
        let (tester, key) = (fixture.customer().await?, Uuid::new_v4().to_string());
        start.prepare(fixture, kind.function()).await?;
        if start == Start::Warm {
            kind.ask(&other, &Uuid::new_v4().to_string()).await?.expect(201)?;
        }
        match wire.play(fixture, step, kind.ask(&tester, &key)).await? {
            Played::Through(answer) => {
                answer.expect(201)?;
                let point = format!("nowhere ({start:?})");
                attempts.push(Attempt { tester, key, point });
                through += 1;
                if through == THROUGH {
                    return Ok(attempts);
                }
            }
            Played::Killed { point, outcome } => {
                // 201 when what was held back came after all that matters.
                let fits = [500, 201].contains(&outcome.status);
                ensure!(fits, "killed {point}: {} {}", outcome.status, outcome.text);
                let point = format!("{point} ({start:?})");
                attempts.push(Attempt { tester, key, point });
                through = 0;
            }
        }
    }
    bail!("{} did not come to its end in {MOST} steps", kind.function())
}

/// Half of the requests are sent again, the flows of the others are looked up by the reconciler.
async fn recover(fixture: &Fixture, kind: Kind, attempts: &[Attempt]) -> Result {
    let payments = kind.payments(fixture);
    let mut written = Vec::new();
    for (index, attempt) in attempts.iter().enumerate() {
        let Attempt { tester, key, point } = attempt;
        let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
        let made = payments.of(tester);
        ensure!(
            flows.len() <= 1 && made.len() <= flows.len(),
            "killed {point}: {made:?} of {flows:?}"
        );
        written.push(flows.len());
        if index % 2 == 0 {
            let answer = kind.ask(tester, key).await?.expect(201);
            answer.with_context(|| format!("killed {point}, then sent again"))?;
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
    for Attempt { tester, key, point } in attempts {
        let answer = kind.ask(tester, key).await?.expect(201);
        let answer = answer.with_context(|| format!("killed {point}, then sent again at last"))?;
        answered.push(answer.number("id")?);
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
            fixture.database.told_of_flow(flow).await?,
            told_of_success(),
            "killed {point}"
        );
        let moved = if kind == Kind::Deposit { CENTS } else { -CENTS };
        let cash = drivewealth.cash_cents(&tester.customer.drivewealth_account_id);
        ensure_eq!(cash, Some(100_000 + moved), "cash after a flow killed {point}");
    }
    ensure_eq!(drivewealth.counters().replays_of_other_requests, 0);
    fixture.run("relay_outbox", json!({})).await?;
    for Attempt { tester, .. } in attempts.iter().step_by(10) {
        tester.feed_reaches(1).await?;
    }
    fixture.queue_reaches("domain-events", 0).await?;
    fixture.queue_reaches("portfolio-changes.fifo", 0).await
}
