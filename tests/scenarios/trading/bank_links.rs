//! Linking bank accounts through Plaid's page, and what becomes of them.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, eventually, newcomer::Newcomer, scenarios};
use futures::future::{join_all, try_join};
use local_cloud::sandboxes::{
    Effect, Fault,
    plaid::{AccountDetails, ChosenAccount, LinkChoice, Linked, NewWebhook, checking},
};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        bank_is_linked_and_money_comes_from_it,
        bank_before_the_identity_check_is_refused,
        requests_at_once_link_an_account_once,
        accounts_of_one_visit_take_the_same_token,
        account_that_is_linked_already_is_refused_before_the_broker_is_asked,
        account_of_which_the_bank_says_nothing_is_linked,
        account_verified_by_small_deposits_is_linked_by_the_webhook,
        link_that_needs_its_customer_is_mended,
        warning_that_a_link_will_end_stays_until_its_customer_has_signed_in,
        alone(revoked_link_ends_calls),
        alone(link_that_plaid_has_no_more_has_to_be_made_again),
        unlinked_account_can_be_linked_again,
        account_linked_again_still_counts_what_was_taken_from_it,
        account_with_an_open_flow_stays,
        alone(account_unlinked_while_somebody_outside_is_asked_takes_no_flow),
        alone(lost_answer_of_the_exchange_asks_for_another_visit),
        alone(lost_answers_at_the_broker_link_an_account_once),
    ]
}

fn bank(accounts: Vec<ChosenAccount>) -> LinkChoice {
    LinkChoice {
        institution_id: "ins_109508".to_owned(),
        accounts,
    }
}

/// Somebody who has submitted the form.
async fn submitted(fixture: &Fixture) -> Result<Newcomer> {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(fixture, "Example").await?;
    newcomer.submit().await?.expect(202)?;
    Ok(newcomer)
}

async fn link_token(newcomer: &Newcomer, body: &Value) -> Result<String> {
    let path = "/trading/bank-accounts/link-token";
    let token = newcomer.api.post(path, "unused", body).await?.expect(201)?;
    Ok(token.body["link_token"]
        .as_str()
        .context("no link token")?
        .to_owned())
}

/// A visit to the page.
async fn visit(fixture: &Fixture, newcomer: &Newcomer, choice: &LinkChoice) -> Result<Linked> {
    let token = link_token(newcomer, &json!({})).await?;
    fixture.cloud.plaid().visit_link(&token, choice)
}

async fn link(newcomer: &Newcomer, linked: &Linked, account: usize) -> Result<Answer> {
    let body = json!({
        "public_token": linked.public_token, "account_id": linked.account_ids.get(account), "name": "Mine",
    });
    newcomer.api.post("/trading/bank-accounts", "unused", &body).await
}

async fn accounts(newcomer: &Newcomer) -> Result<Vec<Value>> {
    let list = newcomer.api.get("/trading/bank-accounts").await?.expect(200)?;
    Ok(list.body["items"].as_array().cloned().unwrap_or_default())
}

async fn at_broker(fixture: &Fixture, newcomer: &Newcomer) -> Result<usize> {
    let user = newcomer.broker_user(fixture).await?;
    Ok(fixture.cloud.drivewealth().bank_accounts_of(&user).len())
}

async fn bank_is_linked_and_money_comes_from_it(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let profile = newcomer.account_opens().await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 100_000)]),
    )
    .await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    ensure_eq!(
        (&linked.body["status"], &linked.body["mask"]),
        (&json!("linked"), &json!("0000"))
    );
    ensure_eq!(
        (&linked.body["name"], &linked.body["needs"]),
        (&json!("Mine"), &Value::Null)
    );
    ensure_eq!(linked.body["institution_name"], "First Platypus Bank");
    let again = link(&newcomer, &visited, 0).await?.expect(200)?;
    ensure_eq!(again.body, linked.body, "the same request again");
    ensure_eq!(accounts(&newcomer).await?, vec![linked.body.clone()]);
    let deposited = deposit(&newcomer, &profile, &linked.body["id"], 25_000).await?;
    succeeds(&newcomer, &deposited.expect(201)?).await
}

/// Asks for a deposit from a bank account under a key of its amount.
async fn deposit(newcomer: &Newcomer, profile: &Value, bank_account: &Value, cents: i64) -> Result<Answer> {
    let body = json!({
        "trading_account_id": profile["trading_account_id"], "bank_account_id": bank_account, "amount_cents": cents,
    });
    let key = format!("{bank_account}-{cents}");
    newcomer.api.post("/trading/deposits", &key, &body).await
}

/// The newest deposit comes to its end.
async fn succeeds(newcomer: &Newcomer, deposited: &Answer) -> Result {
    let id = deposited.number("id")?;
    eventually("the deposit succeeds", async || {
        let flows = newcomer
            .api
            .get("/trading/history/money-flow")
            .await?
            .expect(200)?;
        let flow = &flows.body["items"][0];
        ensure!(flow["id"] == id && flow["status"] == "success", "{flow}");
        Ok(())
    })
    .await
}

async fn bank_before_the_identity_check_is_refused(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 1)]),
    )
    .await?;
    link(&newcomer, &visited, 0)
        .await?
        .expect_problem(409, "kyc-not-submitted")?;
    let submitted = submitted(&fixture).await?;
    let unknown = Linked {
        public_token: "public-sandbox-none".to_owned(),
        ..visited.clone()
    };
    link(&submitted, &unknown, 0)
        .await?
        .expect_problem(422, "public-token-invalid")?;
    Ok(())
}

async fn requests_at_once_link_an_account_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 1)]),
    )
    .await?;
    let answers = join_all((0..6).map(|_| link(&newcomer, &visited, 0))).await;
    for answer in answers {
        let answer = answer?;
        ensure!(
            [200, 201, 409].contains(&answer.status),
            "{} {}",
            answer.status,
            answer.text
        );
    }
    link(&newcomer, &visited, 0).await?.expect(200)?;
    ensure_eq!(
        (
            accounts(&newcomer).await?.len(),
            at_broker(&fixture, &newcomer).await?
        ),
        (1, 1)
    );
    Ok(())
}

async fn accounts_of_one_visit_take_the_same_token(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let two = vec![
        checking("Plaid Checking", "0000", 1),
        checking("Plaid Saving", "1111", 2),
    ];
    let visited = visit(&fixture, &newcomer, &bank(two)).await?;
    link(&newcomer, &visited, 0).await?.expect(201)?;
    link(&newcomer, &visited, 1).await?.expect(201)?;
    ensure_eq!(accounts(&newcomer).await?.len(), 2);
    let mut other = visited.clone();
    other.account_ids = vec!["no-such-account".to_owned()];
    link(&newcomer, &other, 0)
        .await?
        .expect_problem(404, "bank-account-not-found")?;
    let stranger = submitted(&fixture).await?;
    link(&stranger, &visited, 0)
        .await?
        .expect_problem(422, "public-token-invalid")?;
    Ok(())
}

async fn account_that_is_linked_already_is_refused_before_the_broker_is_asked(
    fixture: Arc<Fixture>,
) -> Result {
    let newcomer = submitted(&fixture).await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 1)]);
    let first = visit(&fixture, &newcomer, &choice).await?;
    link(&newcomer, &first, 0).await?.expect(201)?;
    let second = visit(&fixture, &newcomer, &choice).await?;
    let refused = link(&newcomer, &second, 0).await?;
    refused.expect_problem(409, "bank-account-linked-already")?;
    let tokens = fixture.cloud.plaid().access_tokens();
    ensure!(
        !tokens.contains(&second.access_token),
        "the second link is removed"
    );
    ensure!(tokens.contains(&first.access_token), "the first one stands");
    ensure_eq!(at_broker(&fixture, &newcomer).await?, 1);
    Ok(())
}

async fn account_of_which_the_bank_says_nothing_is_linked(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let silent = ChosenAccount {
        details: AccountDetails {
            name: "Account".to_owned(),
            mask: None,
            is_pending: false,
        },
        balance_cents: None,
    };
    let visited = visit(&fixture, &newcomer, &bank(vec![silent])).await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    ensure_eq!(
        (&linked.body["mask"], &linked.body["balance_cents"]),
        (&Value::Null, &Value::Null)
    );
    ensure_eq!(accounts(&newcomer).await?.len(), 1);
    Ok(())
}

async fn account_verified_by_small_deposits_is_linked_by_the_webhook(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let mut pending = checking("Plaid Checking", "3333", 1);
    pending.details.is_pending = true;
    let visited = visit(&fixture, &newcomer, &bank(vec![pending])).await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    ensure_eq!(linked.body["status"], "verifying");
    ensure_eq!(at_broker(&fixture, &newcomer).await?, 0);
    let plaid = fixture.cloud.plaid();
    let account = visited.account_ids.first().context("no account")?;
    plaid.verify_account(&visited.access_token, account)?;
    let mut verified = NewWebhook::new(&visited.item_id, "AUTH", "AUTOMATICALLY_VERIFIED");
    verified.account_id = Some(account.clone());
    for _ in 0..2 {
        ensure_eq!(plaid.fire(&verified).await?, 200);
    }
    let items = accounts(&newcomer).await?;
    ensure_eq!(
        items.first().map(|item| item["status"].clone()),
        Some(json!("linked"))
    );
    ensure_eq!(at_broker(&fixture, &newcomer).await?, 1);
    Ok(())
}

async fn link_that_needs_its_customer_is_mended(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 1)]),
    )
    .await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    let plaid = fixture.cloud.plaid();
    let mut error = NewWebhook::new(&visited.item_id, "ITEM", "ERROR");
    error.error_code = Some("ITEM_LOGIN_REQUIRED".to_owned());
    let late = plaid.sign(&error.body(), chrono::Utc::now() - chrono::TimeDelta::seconds(60))?;
    ensure_eq!(plaid.fire(&error).await?, 200);
    let needs = async || -> Result<Value> { Ok(accounts(&newcomer).await?[0]["needs"].clone()) };
    ensure_eq!(needs().await?, "sign-in");
    let token = link_token(&newcomer, &json!({ "bank_account_id": linked.body["id"] })).await?;
    let mending = plaid.visit(&token).context("no visit")?;
    ensure_eq!(
        (mending.mends.as_deref(), mending.products.len()),
        (Some(visited.access_token.as_str()), 0)
    );
    let repaired = NewWebhook::new(&visited.item_id, "ITEM", "LOGIN_REPAIRED");
    ensure_eq!(plaid.fire(&repaired).await?, 200);
    ensure_eq!(needs().await?, Value::Null);
    // An error of before comes late.
    let request = fixture
        .api(None)?
        .request(reqwest::Method::POST, "/webhooks/plaid");
    let request = request
        .header("Content-Type", "application/json")
        .header("Plaid-Verification", late);
    fixture
        .api(None)?
        .send(request.body(error.body()))
        .await?
        .expect(200)?;
    ensure_eq!(needs().await?, Value::Null, "an older word changes nothing");
    Ok(())
}

/// The bank answers until it has ended: that says nothing.
async fn warning_that_a_link_will_end_stays_until_its_customer_has_signed_in(
    fixture: Arc<Fixture>,
) -> Result {
    let newcomer = submitted(&fixture).await?;
    let profile = newcomer.account_opens().await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 100_000)]);
    let visited = visit(&fixture, &newcomer, &choice).await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?.body["id"].clone();
    let plaid = fixture.cloud.plaid();
    let needs = async || -> Result<Value> { Ok(accounts(&newcomer).await?[0]["needs"].clone()) };
    for (code, is_repaired) in [("PENDING_EXPIRATION", true), ("PENDING_DISCONNECT", false)] {
        let warning = NewWebhook::new(&visited.item_id, "ITEM", code);
        ensure_eq!(plaid.fire(&warning).await?, 200);
        let cents = if is_repaired { 1_000 } else { 2_000 };
        deposit(&newcomer, &profile, &linked, cents).await?.expect(201)?;
        ensure_eq!(needs().await?, "sign-in", "{code}");
        if is_repaired {
            let repaired = NewWebhook::new(&visited.item_id, "ITEM", "LOGIN_REPAIRED");
            ensure_eq!(plaid.fire(&repaired).await?, 200);
        } else {
            // Had it come to that, the bank would answer no more.
            let later = "UPDATE plaid_items SET warned_until = warned_until - interval '7 days' WHERE profile_id = $1";
            ensure_eq!(fixture.database.change(later, newcomer.profile_id).await?, 1);
            deposit(&newcomer, &profile, &linked, 3_000).await?.expect(201)?;
        }
        ensure_eq!(needs().await?, Value::Null, "{code}");
    }
    Ok(())
}

async fn revoked_link_ends_calls(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 1)]),
    )
    .await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    let revoked = NewWebhook::new(&visited.item_id, "ITEM", "USER_PERMISSION_REVOKED");
    ensure_eq!(fixture.cloud.plaid().fire(&revoked).await?, 200);
    ensure_eq!(accounts(&newcomer).await?[0]["needs"], "link-again");
    let path = "/trading/bank-accounts/link-token";
    let body = json!({ "bank_account_id": linked.body["id"] });
    newcomer
        .api
        .post(path, "unused", &body)
        .await?
        .expect_problem(409, "link-ended")?;
    let asked = fixture.cloud.plaid().calls().len();
    let profile = newcomer.account_opens().await?;
    deposit_refused(&newcomer, &profile, &linked.body["id"]).await?;
    link(&newcomer, &visited, 0)
        .await?
        .expect_problem(409, "link-again")?;
    ensure_eq!(fixture.cloud.plaid().calls().len(), asked, "calls of Plaid");
    // Another link of the same account is none too many.
    let again = bank(vec![checking("Plaid Checking", "0000", 1)]);
    let again = visit(&fixture, &newcomer, &again).await?;
    link(&newcomer, &again, 0).await?.expect(201)?;
    ensure_eq!(accounts(&newcomer).await?.len(), 2);
    Ok(())
}

async fn deposit_refused(newcomer: &Newcomer, profile: &Value, bank_account: &Value) -> Result {
    deposit(newcomer, profile, bank_account, 100)
        .await?
        .expect_problem(409, "link-ended")?;
    Ok(())
}

async fn link_that_plaid_has_no_more_has_to_be_made_again(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 1_000)]);
    let visited = visit(&fixture, &newcomer, &choice).await?;
    let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
    let profile = newcomer.account_opens().await?;
    let plaid = fixture.cloud.plaid();
    plaid.set_item_error(&visited.access_token, Some("ITEM_NOT_FOUND"))?;
    deposit_refused(&newcomer, &profile, &linked.body["id"]).await?;
    ensure_eq!(accounts(&newcomer).await?[0]["needs"], "link-again");
    plaid.set_item_error(&visited.access_token, None)?;
    let asked = plaid.calls().len();
    deposit_refused(&newcomer, &profile, &linked.body["id"]).await?;
    ensure_eq!(plaid.calls().len(), asked, "calls of Plaid");
    Ok(())
}

async fn unlinked_account_can_be_linked_again(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 1)]);
    for round in 0..2 {
        let visited = visit(&fixture, &newcomer, &choice).await?;
        let linked = link(&newcomer, &visited, 0).await?.expect(201)?;
        let left = unlink(&newcomer, &linked.body["id"]).await?.expect(200)?;
        ensure_eq!(left.body["items"], json!([]), "round {round}");
        ensure_eq!(at_broker(&fixture, &newcomer).await?, 0);
        ensure!(
            !fixture
                .cloud
                .plaid()
                .access_tokens()
                .contains(&visited.access_token),
            "the link goes with its last account"
        );
        unlink(&newcomer, &linked.body["id"])
            .await?
            .expect_problem(404, "bank-account-not-found")?;
    }
    Ok(())
}

async fn unlink(newcomer: &Newcomer, bank_account: &Value) -> Result<Answer> {
    let path = format!("/trading/bank-accounts/{bank_account}");
    let request = newcomer.api.request(reqwest::Method::DELETE, &path);
    newcomer.api.send(request).await
}

/// The bank may not show yet what has left the account; nor is it asked by which link.
async fn account_linked_again_still_counts_what_was_taken_from_it(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let profile = newcomer.account_opens().await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 100_000)]);
    let visited = visit(&fixture, &newcomer, &choice).await?;
    let first = link(&newcomer, &visited, 0).await?.expect(201)?.body["id"].clone();
    let taken = deposit(&newcomer, &profile, &first, 90_000).await?.expect(201)?;
    succeeds(&newcomer, &taken).await?;
    unlink(&newcomer, &first).await?.expect(200)?;
    let visited = visit(&fixture, &newcomer, &choice).await?;
    let second = link(&newcomer, &visited, 0).await?.expect(201)?.body["id"].clone();
    let refused = deposit(&newcomer, &profile, &second, 90_000).await?;
    refused.expect_problem(409, "insufficient-funds")?;
    deposit(&newcomer, &profile, &second, 10_000).await?.expect(201)?;
    // Another account of the bank has its own money.
    let savings = bank(vec![checking("Plaid Saving", "1111", 100_000)]);
    let visited = visit(&fixture, &newcomer, &savings).await?;
    let savings = link(&newcomer, &visited, 0).await?.expect(201)?.body["id"].clone();
    deposit(&newcomer, &profile, &savings, 90_000)
        .await?
        .expect(201)?;
    Ok(())
}

async fn account_with_an_open_flow_stays(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    sqlx::query(
        "INSERT INTO trading_money_flow (profile_id, trading_account_id, bank_account_id, amount_cents, currency) \
         VALUES ($1, $2, $3, 100, 'USD')",
    )
    .bind(tester.customer.profile_id)
    .bind(tester.customer.trading_account_id)
    .bind(tester.customer.bank_account_id)
    .execute(fixture.database.pool())
    .await?;
    let path = format!("/trading/bank-accounts/{}", tester.customer.bank_account_id);
    let request = tester.api.request(reqwest::Method::DELETE, &path);
    tester
        .api
        .send(request)
        .await?
        .expect_problem(409, "bank-account-in-use")?;
    Ok(())
}

/// Plaid is asked for a deposit, DriveWealth for a withdrawal; meanwhile the account is unlinked.
async fn account_unlinked_while_somebody_outside_is_asked_takes_no_flow(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let profile = newcomer.account_opens().await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 100_000)]);
    let (plaid, drivewealth) = (fixture.cloud.plaid(), fixture.cloud.drivewealth());
    for path in ["/trading/deposits", "/trading/withdrawals"] {
        let visited = visit(&fixture, &newcomer, &choice).await?;
        let linked = link(&newcomer, &visited, 0).await?.expect(201)?.body["id"].clone();
        let late = Effect::Slow {
            for_ms: 3_000,
            done_first: true,
        };
        plaid.fault(Fault::new("POST", "/accounts/balance/get", late.clone()));
        drivewealth.fault(Fault::new("GET", "/accounts/*/summary/money", late));
        plaid.clear_calls();
        drivewealth.clear_calls();
        let body = json!({
            "trading_account_id": profile["trading_account_id"], "bank_account_id": linked, "amount_cents": 1_000,
        });
        let asked = || {
            let mut calls = plaid.calls().into_iter().chain(drivewealth.calls());
            calls.any(|call| call.path == "/accounts/balance/get" || call.path.ends_with("/summary/money"))
        };
        let unlinked = async {
            eventually("somebody outside is asked", async || {
                ensure!(asked(), "nobody is");
                Ok(())
            })
            .await?;
            unlink(&newcomer, &linked).await?.expect(200)
        };
        let (answer, _) = try_join(
            newcomer.api.post(path, &format!("late-{linked}"), &body),
            unlinked,
        )
        .await?;
        plaid.clear_faults();
        drivewealth.clear_faults();
        answer.expect_problem(404, "bank-account-not-found")?;
    }
    let flows = newcomer
        .api
        .get("/trading/history/money-flow")
        .await?
        .expect(200)?;
    ensure_eq!(flows.body["items"], json!([]));
    Ok(())
}

async fn lost_answer_of_the_exchange_asks_for_another_visit(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    let choice = bank(vec![checking("Plaid Checking", "0000", 1)]);
    let visited = visit(&fixture, &newcomer, &choice).await?;
    let path = "/item/public_token/exchange";
    let effect = Effect::Reset { after_doing: true };
    let plaid = fixture.cloud.plaid();
    plaid.fault(Fault::new("POST", path, effect));
    plaid.clear_calls();
    for _ in 0..2 {
        link(&newcomer, &visited, 0)
            .await?
            .expect_problem(409, "link-again")?;
    }
    let exchanges = plaid.calls().into_iter().filter(|call| call.path == path).count();
    ensure_eq!(exchanges, 1, "exchanges of a token that works once");
    let visited = visit(&fixture, &newcomer, &choice).await?;
    link(&newcomer, &visited, 0).await?.expect(201)?;
    Ok(())
}

async fn lost_answers_at_the_broker_link_an_account_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = submitted(&fixture).await?;
    newcomer.account_opens().await?;
    let visited = visit(
        &fixture,
        &newcomer,
        &bank(vec![checking("Plaid Checking", "0000", 1)]),
    )
    .await?;
    let effect = Effect::Reset { after_doing: true };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/bank-accounts", effect).times(3));
    link(&newcomer, &visited, 0).await?.expect(503)?;
    let linked = link(&newcomer, &visited, 0).await?.expect(200)?;
    ensure_eq!(linked.body["status"], "linked");
    ensure_eq!(at_broker(&fixture, &newcomer).await?, 1);
    Ok(())
}
