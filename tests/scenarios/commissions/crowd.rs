//! Many at once, with everything twice and half of it failing: each invoice is charged once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use chrono::Utc;
use end_to_end::billing::{VISA, payment_due};
use end_to_end::points::seed;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, is_soak, scenarios};
use futures::future::{join_all, try_join_all};
use local_cloud::sandboxes::{Effect, Fault};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// How many there are: fewer in `make test` than in `make soak`.
struct Extent {
    invoices: usize,
    profiles: usize,
    /// Callers at once.
    callers: usize,
    /// Calls that go wrong in each way.
    faults: u32,
}

fn extent() -> Extent {
    if is_soak() {
        Extent {
            invoices: 200,
            profiles: 20,
            callers: 64,
            faults: 8,
        }
    } else {
        Extent {
            invoices: 40,
            profiles: 8,
            callers: 16,
            faults: 3,
        }
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![alone(copies_of_many_invoices_charge_each_once)]
}

/// A process that died while it asked Stripe is waited for until its lease ends, half a minute later; in a usual run less.
const SHORTEN_LEASES: &str = "\
    CREATE FUNCTION shorten_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        NEW.asked_until = LEAST(NEW.asked_until, now() + interval '5 s'); RETURN NEW; END $$; \
    CREATE TRIGGER shorten_lease BEFORE INSERT OR UPDATE ON invoice_payments \
        FOR EACH ROW EXECUTE FUNCTION shorten_lease()";
const LEASES_AS_THEY_ARE: &str = "DROP FUNCTION shorten_lease() CASCADE";

async fn copies_of_many_invoices_charge_each_once(fixture: Arc<Fixture>) -> Result {
    if is_soak() {
        return charge_each_once(fixture).await;
    }
    let pool = fixture.database.pool().clone();
    sqlx::raw_sql(SHORTEN_LEASES).execute(&pool).await?;
    let outcome = charge_each_once(fixture).await;
    sqlx::raw_sql(LEASES_AS_THEY_ARE).execute(&pool).await?;
    outcome
}

async fn charge_each_once(fixture: Arc<Fixture>) -> Result {
    let extent = extent();
    let stripe = fixture.cloud.stripe();
    let testers = try_join_all((0..extent.profiles).map(|_| async {
        let tester = fixture.customer().await?;
        tester.save_card(&fixture, VISA).await?;
        anyhow::Ok(tester)
    }))
    .await?;
    let mut invoices = Vec::new();
    for number in 0..extent.invoices {
        let amount = 1_000 + i64::try_from(number)?;
        invoices.push(
            fixture
                .invoice(&testers[number % extent.profiles], amount)
                .await?,
        );
    }
    // Every webhook twice, and some of the calls go wrong in each way.
    stripe.repeat_webhooks(1);
    let create = |effect| Fault::on("create_payment_intent", effect);
    for effect in [
        Effect::Reset { after_doing: true },
        Effect::Reset { after_doing: false },
        Effect::Gateway {
            status: 502,
            after_doing: true,
        },
        Effect::FailAfter { status: 500 },
        Effect::Slow {
            for_ms: 300,
            done_first: true,
        },
    ] {
        stripe.fault(create(effect).times(extent.faults));
    }
    // Every message 3 times in any order, by many callers at once, while processes are killed; and the schedule beside them.
    let mut messages: Vec<i64> = invoices.iter().flat_map(|invoice| [*invoice; 3]).collect();
    messages.shuffle(&mut StdRng::seed_from_u64(seed()?));
    let share = messages.len().div_ceil(extent.callers);
    let fixture = &fixture;
    let callers = messages.chunks(share).map(|mine| async move {
        for invoice in mine {
            // A killed process fails its invocation; its message comes again, below.
            let _ = fixture
                .deliver("pay_invoice", &[payment_due(*invoice, Utc::now())])
                .await;
        }
    });
    let killer = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let _ = fixture.cloud.kill("pay_invoice").await;
            let _ = fixture.cloud.kill("stripe_webhook").await;
        }
    };
    tokio::join!(join_all(callers), killer);
    stripe.clear_faults();
    fixture.bill("pay_invoices", Utc::now()).await?;
    let unpaid = "SELECT count(*) FROM invoices WHERE status <> 'paid' AND id >= $1";
    eventually("all invoices are paid", async || {
        // Turns of killed processes end by themselves; the schedule's next run finds them.
        let left = fixture.database.count(unpaid, invoices[0]).await?;
        if left > 0 {
            fixture.bill("pay_invoices", Utc::now()).await?;
        }
        ensure_eq!(left, 0);
        Ok(())
    })
    .await?;
    stripe.webhooks_settled().await;
    fixture.bill("reconcile_billing", Utc::now()).await?;
    let mut charged: BTreeMap<String, usize> = BTreeMap::new();
    for intent in stripe.succeeded_intents() {
        if let Some(invoice) = intent.metadata.get("invoice_id") {
            *charged.entry(invoice.clone()).or_default() += 1;
        }
    }
    for invoice in &invoices {
        ensure_eq!(
            charged.get(&invoice.to_string()),
            Some(&1),
            "charges of invoice {invoice}"
        );
        let attempts = fixture.attempts(*invoice).await?;
        let succeeded: Vec<_> = attempts
            .iter()
            .filter(|attempt| attempt.status == "succeeded")
            .collect();
        ensure!(
            succeeded.len() == 1 && attempts.len() == 1,
            "invoice {invoice}: {attempts:?}"
        );
    }
    let told = "SELECT count(DISTINCT event_id) FROM outbox_messages WHERE kind = 'commission.charged' \
                AND (payload->'data'->>'invoice_id')::BIGINT >= $1";
    ensure_eq!(
        fixture.database.count(told, invoices[0]).await?,
        i64::try_from(extent.invoices)?
    );
    let about_ours: Vec<_> = fixture.discrepancies().await?;
    ensure!(
        about_ours
            .iter()
            .all(|(kind, _)| kind != "paid-twice" && kind != "paid-too-much"),
        "{about_ours:?}"
    );
    Ok(())
}
