//! Billing fails: it hangs, loses answers, refuses, or is down for a day. Nothing is made twice there, and nothing is
//! forgotten.

use std::sync::Arc;

use anyhow::ensure;
use chrono::Utc;
use end_to_end::dealers::{Dealer, company, new_deal};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(account_is_made_once_whichever_answer_is_lost),
        alone(bill_is_made_once_when_its_answer_is_lost),
        alone(bill_is_made_once_when_billing_answers_late),
        alone(account_and_bill_are_made_once_when_billing_hangs),
        alone(bill_that_is_voided_while_billing_makes_it_is_taken_back),
        alone(outage_of_a_day_is_made_up_for_by_the_reconciliation),
        alone(refused_account_goes_on_after_a_decision),
        alone(refused_account_goes_on_with_another_requisite),
        alone(refused_bill_is_issued_after_a_decision),
        alone(bill_that_billing_has_differently_is_left_to_a_person),
    ]
}

async fn external_id(dealer: &Dealer) -> Result<String> {
    Ok(format!("moneta-dealer-{}-", dealer.shown().await?["dealer_id"]))
}

fn lost() -> [Effect; 4] {
    [
        Effect::Reset { after_doing: true },
        Effect::Truncate,
        Effect::FailAfter { status: 502 },
        Effect::Gateway {
            status: 504,
            after_doing: true,
        },
    ]
}

async fn account_is_made_once_whichever_answer_is_lost(fixture: Arc<Fixture>) -> Result {
    let billing = fixture.cloud.billing();
    for path in ["/clients", "/clients/*/payers", "/clients/*/contracts"] {
        for effect in lost() {
            let dealer = fixture.stranger()?;
            // More often than the client repeats a call by itself.
            billing.fault(Fault::new("POST", path, effect).times(4));
            dealer.register(&company()).await?.expect(201)?;
            dealer.account_reaches("COMMISSION", "ready").await?;
            billing.clear_faults();
            ensure_eq!(
                billing.count(&external_id(&dealer).await?),
                [1, 1, 1, 0],
                "{path}"
            );
            // Of a payer that is found it isn't known which requisite it has: it is given the newest once the account is ready.
            eventually("the payer has the newest requisite", async || {
                let shown = dealer.account("COMMISSION").await?;
                ensure_eq!(shown["has_newest_requisite"], json!(true), "{path}");
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

async fn bill_is_made_once_when_its_answer_is_lost(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    for (number, effect) in (1..).zip(lost()) {
        let lose = Fault::new("POST", "/clients/*/bills", effect);
        fixture.cloud.billing().fault(lose.times(4));
        dealer.owes_issued(100).await?;
        fixture.cloud.billing().clear_faults();
        ensure_eq!(fixture.cloud.billing().bills(&client).len(), number);
    }
    Ok(())
}

async fn bill_is_made_once_when_billing_answers_late(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    // Later than the client waits for it.
    let late = Effect::Slow {
        for_ms: 5_500,
        done_first: false,
    };
    fixture
        .cloud
        .billing()
        .fault(Fault::new("POST", "/clients/*/bills", late));
    let bill = dealer.owes_issued(100).await?;
    let made = fixture.cloud.billing().bills(&client);
    ensure_eq!(made.iter().map(|made| made.amount).collect::<Vec<_>>(), [100]);
    ensure_eq!(fixture.billing_bill(bill).await?, made[0].id);
    Ok(())
}

async fn account_and_bill_are_made_once_when_billing_hangs(fixture: Arc<Fixture>) -> Result {
    let billing = fixture.cloud.billing();
    // It does what it is asked for, and never answers: for longer than the client waits.
    let hang = Effect::Hang {
        for_ms: 8_000,
        after_doing: true,
    };
    for path in ["/clients/*/payers", "/clients/*/bills"] {
        billing.fault(Fault::new("POST", path, hang.clone()));
    }
    let dealer = fixture.stranger()?;
    dealer.register(&company()).await?.expect(201)?;
    let bill = dealer.owes(100).await?;
    dealer.bill_reaches(bill, "issued").await?;
    ensure_eq!(billing.count(&external_id(&dealer).await?), [1, 1, 1, 0]);
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    ensure_eq!(billing.bills(&client).len(), 1);
    Ok(())
}

async fn bill_that_is_voided_while_billing_makes_it_is_taken_back(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let late = Effect::Slow {
        for_ms: 1_500,
        done_first: false,
    };
    fixture.cloud.billing().clear_calls();
    fixture
        .cloud
        .billing()
        .fault(Fault::new("POST", "/clients/*/bills", late));
    let bill = dealer.owes(100).await?;
    eventually("Billing is asked", async || {
        let calls = fixture.cloud.billing().calls();
        ensure!(calls.iter().any(|call| call.path.ends_with("/bills")), "it isn't");
        Ok(())
    })
    .await?;
    dealer.void(bill).await?.expect(200)?;
    fixture.issuing_reaches(bill, "withdrawn").await?;
    let made = fixture.cloud.billing().bills(&client);
    ensure_eq!(
        made.iter().map(|made| made.status.as_str()).collect::<Vec<_>>(),
        ["voided"]
    );
    ensure_eq!(dealer.bill(bill).await?["status"], json!("voided"));
    Ok(())
}

async fn outage_of_a_day_is_made_up_for_by_the_reconciliation(fixture: Arc<Fixture>) -> Result {
    let old = fixture.dealer().await?;
    // Answers that were lost for long may have left some before.
    let mut given_up = Vec::new();
    for queue in ["account-provisioning-dead", "bill-issuing-dead"] {
        given_up.push((queue, fixture.held_by(queue).await? + 1));
    }
    let down = Effect::Refuse {
        status: 503,
        error_code: "down".to_owned(),
        message: "Billing is down".to_owned(),
    };
    for method in ["GET", "POST", "PUT"] {
        fixture
            .cloud
            .billing()
            .fault(Fault::new(method, "/", down.clone()).times(100_000));
    }
    let new = fixture.stranger()?;
    new.register(&company()).await?.expect(201)?;
    // The API takes bills all the same.
    let bills = [(&old, old.owes(100).await?), (&new, new.owes(200).await?)];
    // Messages are given up long before a day is over.
    for (queue, count) in &given_up {
        fixture.queue_reaches(queue, *count).await?;
    }
    ensure_eq!(
        new.account("COMMISSION").await?["provisioning_status"],
        json!("pending")
    );
    let failed = fixture
        .cloud
        .invoke("reconcile_dealers", json!({ "scheduled_time": Utc::now() }))
        .await?;
    ensure!(
        failed.function_error.is_some(),
        "it compared with nobody: {}",
        failed.payload
    );
    fixture.cloud.billing().clear_faults();
    let report = fixture.reconcile_dealers(Utc::now()).await?;
    ensure!(report["accounts_taken_up"].as_i64() >= Some(1), "{report}");
    for (dealer, bill) in bills {
        dealer.bill_reaches(bill, "issued").await?;
        let client = fixture.billing_client(dealer, "COMMISSION").await?;
        ensure_eq!(fixture.cloud.billing().bills(&client).len(), 1);
    }
    ensure_eq!(
        fixture.cloud.billing().count(&external_id(&new).await?),
        [1, 1, 1, 0]
    );
    // What waits among the dead letters does no harm when it is sent back.
    for (queue, _) in given_up {
        fixture.cloud.redrive(queue).await?;
        fixture.queue_reaches(queue, 0).await?;
    }
    fixture.rest().await?;
    ensure_eq!(
        fixture.cloud.billing().count(&external_id(&new).await?),
        [1, 1, 1, 0]
    );
    Ok(())
}

fn refusal(status: u16) -> Effect {
    Effect::Refuse {
        status,
        error_code: "client_blocked".to_owned(),
        message: "the INN 9909123454 of «Пример» is blocked".to_owned(),
    }
}

async fn refused(fixture: &Fixture) -> Result<(Dealer, String, Value)> {
    let dealer = fixture.stranger()?;
    fixture
        .cloud
        .billing()
        .fault(Fault::new("POST", "/clients/*/payers", refusal(422)));
    dealer.register(&company()).await?.expect(201)?;
    dealer.account_reaches("COMMISSION", "parked").await?;
    let subject = format!("account-{}-COMMISSION", dealer.shown().await?["dealer_id"]);
    let review = fixture
        .review_reaches("account-refused", &subject, "open")
        .await?;
    // Billing has repeated what it was sent, and a review isn't sealed.
    ensure_eq!(
        (&review["theirs"]["code"], &review["theirs"]["message"]),
        (
            &json!("client_blocked"),
            &json!("the INN *** of «Пример» is blocked")
        )
    );
    Ok((dealer, subject, review))
}

async fn refused_account_goes_on_after_a_decision(fixture: Arc<Fixture>) -> Result {
    let (dealer, subject, review) = refused(&fixture).await?;
    let bill = dealer.owes(100).await?;
    fixture
        .decide("ada", &review, "provision-again", json!({}))
        .await?
        .expect(202)?;
    dealer.account_reaches("COMMISSION", "ready").await?;
    fixture
        .review_reaches("account-refused", &subject, "applied")
        .await?;
    ensure_eq!(
        fixture.cloud.billing().count(&external_id(&dealer).await?),
        [1, 1, 1, 0]
    );
    dealer.bill_reaches(bill, "issued").await?;
    Ok(())
}

async fn refused_account_goes_on_with_another_requisite(fixture: Arc<Fixture>) -> Result {
    let (dealer, subject, _) = refused(&fixture).await?;
    let mut changed = company();
    changed["legal_address"] = json!("101000, Москва, улица Новая, дом 2");
    dealer.update_requisite(&changed).await?.expect(200)?;
    dealer.account_reaches("COMMISSION", "ready").await?;
    let review = fixture
        .review_reaches("account-refused", &subject, "applied")
        .await?;
    ensure_eq!(review["decided_by"], Value::Null);
    Ok(())
}

async fn refused_bill_is_issued_after_a_decision(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    fixture
        .cloud
        .billing()
        .fault(Fault::new("POST", "/clients/*/bills", refusal(422)));
    let bill = dealer.owes(100).await?;
    let subject = format!("bill-{bill}");
    let review = fixture.review_reaches("bill-refused", &subject, "open").await?;
    ensure_eq!(fixture.issuing_status(bill).await?, "parked");
    fixture
        .decide("ada", &review, "issue-again", json!({}))
        .await?
        .expect(202)?;
    dealer.bill_reaches(bill, "issued").await?;
    fixture
        .review_reaches("bill-refused", &subject, "applied")
        .await?;
    Ok(())
}

async fn bill_that_billing_has_differently_is_left_to_a_person(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let billing = fixture.cloud.billing();
    // Its answers are lost until somebody has changed it.
    fixture.cloud.pause_event_source("bill-issuing", true).await?;
    let bill = dealer
        .bill_reward(&new_deal(), 5_000)
        .await?
        .expect(201)?
        .number("bill_id")?;
    billing.fault(Fault::new("POST", "/clients/*/bills", Effect::Reset { after_doing: true }).times(100));
    billing.fault(Fault::new("GET", "/bills", Effect::RateLimit { retry_after_s: 0 }).times(100));
    fixture.cloud.pause_event_source("bill-issuing", false).await?;
    eventually("Billing has made it", async || {
        ensure_eq!(billing.bills(&client).len(), 1);
        Ok(())
    })
    .await?;
    billing.change_bill(&billing.bills(&client)[0].id, 99)?;
    billing.clear_faults();
    fixture.queue_reaches("bill-issuing", 0).await?;
    let status = fixture.issuing_status(bill).await?;
    if status == "unknown" {
        // Its message was given up meanwhile.
        fixture.cloud.redrive("bill-issuing-dead").await?;
    }
    let review = fixture
        .review_reaches("bill-refused", &format!("bill-{bill}"), "open")
        .await?;
    ensure_eq!(review["theirs"]["code"], json!("bill-differs"));
    ensure_eq!(dealer.bill(bill).await?["url"], Value::Null);
    Ok(())
}
