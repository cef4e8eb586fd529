//! A bank token that has died at the broker: the flow gets another one and goes on, once; then the account has to be linked
//! again.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use anyhow::Context;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use local_cloud::sandboxes::drivewealth::{BankAccount, Decline};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        token_that_has_died_is_renewed_and_the_deposit_goes_on,
        token_that_has_died_is_renewed_for_a_withdrawal_too,
        deposits_at_the_same_time_renew_a_token_once,
        alone(renewal_whose_answers_are_lost_makes_one_bank_account),
        alone(renewal_waits_for_a_bank_that_is_out_of_reach),
        alone(token_that_dies_again_has_to_be_linked_again),
    ]
}

/// A customer whose bank token has died.
async fn customer(fixture: &Fixture) -> Result<Tester> {
    let tester = fixture.customer().await?;
    fixture.cloud.drivewealth().decline_bank_account(
        &tester.customer.drivewealth_bank_account_id,
        Decline::TokenInvalid,
    );
    Ok(tester)
}

/// The one bank account that the broker has in the place of the first.
fn renewed(fixture: &Fixture, tester: &Tester) -> Result<BankAccount> {
    let drivewealth = fixture.cloud.drivewealth();
    let mut linked = drivewealth.bank_accounts_of(&tester.customer.drivewealth_user_id);
    ensure_eq!(linked.len(), 1, "the bank accounts that were linked anew");
    linked.pop().context("no bank account")
}

/// The bank account's id at the broker, as it is stored.
async fn stored(fixture: &Fixture, tester: &Tester) -> Result<String> {
    let sql = "SELECT ref_id FROM drivewealth_bank_accounts WHERE bank_account_id = $1";
    let id = sqlx::query_scalar(sql).bind(tester.customer.bank_account_id);
    Ok(id.fetch_one(fixture.database.pool()).await?)
}

async fn needs(tester: &Tester) -> Result<Value> {
    let listed = tester.api.get("/trading/bank-accounts").await?.expect(200)?;
    Ok(listed.body["items"][0]["needs"].clone())
}

async fn token_that_has_died_is_renewed_and_the_deposit_goes_on(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let flow = tester.deposit(1_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(flow, "success").await?;
    let new = renewed(&fixture, &tester)?;
    ensure_eq!(stored(&fixture, &tester).await?, new.id);
    let deposits = fixture.deposits_of(&tester);
    ensure_eq!(deposits.len(), 1, "deposits at the broker");
    ensure_eq!(deposits[0].bank_account_id.as_deref(), Some(new.id.as_str()));
    let drivewealth = fixture.cloud.drivewealth();
    let old = format!("/bank-accounts/{}", tester.customer.drivewealth_bank_account_id);
    let deletions = drivewealth.calls().into_iter();
    let deletions = deletions.filter(|call| call.method == "DELETE" && call.path == old);
    ensure_eq!(deletions.count(), 1, "the old one is deleted");
    ensure_eq!(needs(&tester).await?, Value::Null);
    // The next one goes straight through.
    tester.deposit(2_000).await?.expect(201)?;
    renewed(&fixture, &tester)?;
    let tokens = fixture
        .cloud
        .plaid()
        .processor_tokens(&tester.customer.plaid_account_id);
    ensure_eq!(tokens, 1, "tokens");
    Ok(())
}

async fn token_that_has_died_is_renewed_for_a_withdrawal_too(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let flow = tester.withdraw(1_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(flow, "success").await?;
    ensure_eq!(stored(&fixture, &tester).await?, renewed(&fixture, &tester)?.id);
    ensure_eq!(fixture.redemptions_of(&tester).len(), 1);
    Ok(())
}

async fn deposits_at_the_same_time_renew_a_token_once(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let (first, second, third) = tokio::try_join!(
        tester.deposit(1_000),
        tester.deposit(2_000),
        tester.deposit(3_000)
    )?;
    for answer in [first, second, third] {
        answer.expect(201)?;
    }
    ensure_eq!(stored(&fixture, &tester).await?, renewed(&fixture, &tester)?.id);
    ensure_eq!(fixture.deposits_of(&tester).len(), 3);
    Ok(())
}

async fn renewal_whose_answers_are_lost_makes_one_bank_account(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let drivewealth = fixture.cloud.drivewealth();
    let lost =
        |method: &str, path: &str| Fault::new(method, path, Effect::Reset { after_doing: true }).times(3);
    drivewealth.fault(lost("POST", "/bank-accounts"));
    let key = "lost-renewal";
    let waits = tester.deposit_under(key, 1_000).await?.expect(202)?;
    ensure_eq!(waits.body["status"], "pending");
    // The same request goes on from there, though the deletion's answers are lost.
    drivewealth.fault(lost("DELETE", "/bank-accounts"));
    tester.deposit_under(key, 1_000).await?.expect(201)?;
    let new = renewed(&fixture, &tester)?;
    ensure_eq!(stored(&fixture, &tester).await?, new.id);
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    Ok(())
}

async fn renewal_waits_for_a_bank_that_is_out_of_reach(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let plaid = fixture.cloud.plaid();
    let down = Effect::Refuse {
        status: 503,
        error_code: "INTERNAL_SERVER_ERROR".to_owned(),
        message: "down".to_owned(),
    };
    plaid.fault(Fault::new("POST", "/processor/token/create", down).times(9));
    let flow = tester.deposit(1_000).await?.expect(202)?.number("id")?;
    plaid.clear_faults();
    fixture.database.make_due(flow).await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    tester.flow_reaches(flow, "success").await?;
    renewed(&fixture, &tester)?;
    Ok(())
}

async fn token_that_dies_again_has_to_be_linked_again(fixture: Arc<Fixture>) -> Result {
    let tester = customer(&fixture).await?;
    let refuse = Effect::Refuse {
        status: 400,
        error_code: "K110".to_owned(),
        message: "Plaid processor token is not valid".to_owned(),
    };
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.fault(Fault::new("POST", "/funding/deposits", refuse).times(2));
    tester
        .deposit(1_000)
        .await?
        .expect_problem(422, "bank-account-needs-reauth")?;
    ensure_eq!(needs(&tester).await?, "link-again");
    // A good balance of Plaid's doesn't clear it.
    tester
        .deposit(1_000)
        .await?
        .expect_problem(409, "bank-account-needs-reauth")?;
    ensure_eq!(needs(&tester).await?, "link-again");
    ensure_eq!(fixture.deposits_of(&tester).len(), 0);
    Ok(())
}
