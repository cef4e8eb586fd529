//! The form's submission, the way to an account, and the linking of a bank, killed at their points: nobody has a second user,
//! account, portfolio or bank account.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::Utc;
use end_to_end::{Fixture, Result, ensure_eq, newcomer::Newcomer, send_until_answered};
use local_cloud::sandboxes::plaid::{LinkChoice, Linked, checking};
use serde_json::json;
use uuid::Uuid;

use crate::sweep::{Start, sweep_all};
use crate::{soon, sql};

/// A process that died while it submitted a form is waited for as long as its lease lasts: half a minute, and here less.
async fn shorten_lease(fixture: &Fixture) -> Result {
    for statement in [
        "CREATE OR REPLACE FUNCTION shorten_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.asked_until = LEAST(NEW.asked_until, now() + interval '200 ms'); RETURN NEW; END $$",
        "CREATE OR REPLACE TRIGGER shorten_lease BEFORE UPDATE ON kyc_forms \
         FOR EACH ROW EXECUTE FUNCTION shorten_lease()",
    ] {
        sql(fixture, statement).await?;
    }
    Ok(())
}

async fn filled_in(fixture: &Fixture) -> Result<Newcomer> {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(fixture, "Example").await?;
    Ok(newcomer)
}

/// Submits the form again and again, until the broker has it.
async fn submitted(newcomer: &Newcomer) -> Result {
    soon("the form is submitted", async || {
        let answer = newcomer.submit().await?;
        let is_sent = answer.status == 202 || answer.body["code"] == "kyc-form-locked";
        ensure!(is_sent, "{} {}", answer.status, answer.text);
        let form = newcomer.form().await?;
        ensure!(form["status"] != "not_ready", "{form}");
        Ok(())
    })
    .await
}

pub(crate) async fn killed_submission_makes_one_user(fixture: Arc<Fixture>) -> Result {
    shorten_lease(&fixture).await?;
    let backends = ["DATABASE_URL", "DRIVEWEALTH_API_BASE", "AWS_ENDPOINT_URL_SQS"];
    let newcomers = sweep_all(
        &fixture,
        "send_kyc_form",
        Start::Cold,
        &backends,
        async || filled_in(&fixture).await,
        async |newcomer| submitted(newcomer).await,
    );
    for newcomer in newcomers.await? {
        newcomer.broker_user(&fixture).await?;
    }
    Ok(())
}

pub(crate) async fn killed_way_to_an_account_makes_one_of_each(fixture: Arc<Fixture>) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    let prepare = async || {
        let newcomer = filled_in(&fixture).await?;
        newcomer.submit().await?.expect(202)?;
        let user = newcomer.broker_user(&fixture).await?;
        drivewealth.decide(&user)?;
        Ok((newcomer, user))
    };
    let arrive = async |(newcomer, user): &(Newcomer, String)| {
        let event = || {
            json!({
                "id": format!("event_{}", Uuid::now_v7()), "type": "users.updated", "timestamp": Utc::now(),
                "payload": { "userID": user },
            })
        };
        drivewealth.send_envelope(&event()).await;
        soon("the account is known", async || {
            let profile = newcomer.api.get("/trading/profile").await?;
            ensure!(profile.status == 200, "{}", profile.text);
            Ok(())
        })
        .await?;
        let accounts = drivewealth.accounts_of(user);
        let account = accounts.first().context("no account")?;
        if drivewealth
            .account(account)
            .is_some_and(|account| account.status != "OPEN")
        {
            drivewealth.set_account_status(account, "OPEN")?;
        }
        drivewealth.send_envelope(&event()).await;
        soon("the account follows its portfolio", async || {
            let known: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM drivewealth_portfolios WHERE is_assigned AND drivewealth_account_id = $1",
            )
            .bind(account)
            .fetch_one(fixture.database.pool())
            .await?;
            ensure!(known == 1, "{known} portfolios");
            let held = fixture.held_by("drivewealth-events").await?;
            ensure!(held == 0, "{held} messages are held");
            Ok(())
        })
        .await
    };
    let backends = ["DATABASE_URL", "DRIVEWEALTH_API_BASE", "AWS_ENDPOINT_URL_SQS"];
    let all = sweep_all(
        &fixture,
        "apply_drivewealth_event",
        Start::Cold,
        &backends,
        prepare,
        arrive,
    );
    for (newcomer, user) in all.await? {
        let name = newcomer.profile_id.to_string();
        let portfolios = drivewealth
            .portfolios()
            .into_iter()
            .filter(|portfolio| portfolio.client_id == name);
        ensure_eq!((drivewealth.accounts_of(&user).len(), portfolios.count()), (1, 1));
    }
    Ok(())
}

pub(crate) async fn killed_link_makes_one_bank_account(fixture: Arc<Fixture>) -> Result {
    let plaid = fixture.cloud.plaid();
    let visit = async |newcomer: &Newcomer| -> Result<Linked> {
        let path = "/trading/bank-accounts/link-token";
        let token = newcomer.api.post(path, "unused", &json!({})).await?.expect(201)?;
        let token = token.body["link_token"]
            .as_str()
            .context("no link token")?
            .to_owned();
        let choice = LinkChoice {
            institution_id: "ins_109508".to_owned(),
            accounts: vec![checking("Plaid Checking", "0000", 100_000)],
        };
        plaid.visit_link(&token, &choice)
    };
    let prepare = async || {
        let newcomer = filled_in(&fixture).await?;
        newcomer.submit().await?.expect(202)?;
        let linked = visit(&newcomer).await?;
        Ok((newcomer, linked))
    };
    // Where the answer of the exchange was lost, the person visits the page again.
    let work = async |(newcomer, linked): &(Newcomer, Linked)| {
        let mut linked = linked.clone();
        loop {
            let body =
                json!({ "public_token": linked.public_token, "account_id": linked.account_ids.first() });
            let send = async || newcomer.api.post("/trading/bank-accounts", "unused", &body).await;
            let answer = send_until_answered("a bank is linked", send).await?;
            if answer.body["code"] == "link-again" {
                linked = visit(newcomer).await?;
                continue;
            }
            let is_done =
                [200, 201].contains(&answer.status) || answer.body["code"] == "bank-account-linked-already";
            if is_done {
                return Ok(());
            }
            ensure!(
                answer.status == 500 || answer.status == 502,
                "{} {}",
                answer.status,
                answer.text
            );
        }
    };
    let backends = ["DATABASE_URL", "DRIVEWEALTH_API_BASE", "PLAID_API_BASE"];
    let all = sweep_all(
        &fixture,
        "link_bank_account",
        Start::Cold,
        &backends,
        prepare,
        work,
    );
    for (newcomer, _) in all.await? {
        let user = newcomer.broker_user(&fixture).await?;
        ensure_eq!(fixture.cloud.drivewealth().bank_accounts_of(&user).len(), 1);
    }
    Ok(())
}
