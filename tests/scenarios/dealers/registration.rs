//! Registering dealers: once, with a requisite that can't be wrong, sealed at rest and shown in no log.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::dealers::{Dealer, company, proprietor, registration};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        registered_dealer_gets_his_commission_account_in_three_steps,
        repeated_registration_is_the_same_dealer,
        registration_at_once_makes_one_dealer,
        wrong_fields_of_a_requisite_are_named_at_once,
        requisite_is_sealed_masked_and_in_no_log_or_event,
        changed_requisite_is_sent_on_to_billing,
        fast_buyout_opens_two_accounts_once,
        unknown_dealer_is_not_found,
    ]
}

/// Billing's external ids of a dealer's account begin like this.
async fn external_id(dealer: &Dealer, account: &str) -> Result<String> {
    let id = dealer.shown().await?["dealer_id"].as_i64().context("no id")?;
    Ok(format!("moneta-dealer-{id}-{account}"))
}

async fn registered_dealer_gets_his_commission_account_in_three_steps(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.stranger()?;
    let answer = dealer.register(&company()).await?.expect(201)?;
    let account = &answer.body["accounts"][0];
    ensure_eq!(
        answer.body["accounts"].as_array().map(Vec::len),
        Some(1),
        "{}",
        answer.text
    );
    ensure_eq!(
        (
            &account["account_type"],
            &account["balance"],
            &account["currency"]
        ),
        (&json!("COMMISSION"), &json!(0), &json!("RUB"))
    );
    let ready = dealer.account_reaches("COMMISSION", "ready").await?;
    ensure_eq!(ready["has_newest_requisite"], json!(true));
    let id = external_id(&dealer, "COMMISSION").await?;
    ensure_eq!(fixture.cloud.billing().count(&id), [1, 1, 1, 0]);
    let told = fixture.dealer_events(&dealer).await?;
    ensure_eq!(told, ["dealer.registered", "dealer.account.opened"]);
    let sole = fixture.stranger()?;
    sole.register(&proprietor()).await?.expect(201)?;
    sole.account_reaches("COMMISSION", "ready").await?;
    Ok(())
}

async fn repeated_registration_is_the_same_dealer(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let first = dealer.shown().await?;
    let again = dealer.register(&company()).await?.expect(200)?;
    ensure_eq!(again.body["dealer_id"], first["dealer_id"]);
    dealer
        .register(&proprietor())
        .await?
        .expect_problem(409, "another-requisite")?;
    // A late copy of the first request is still the same dealer after the requisite was changed.
    let mut changed = company();
    changed["email"] = json!("new@example.com");
    dealer.update_requisite(&changed).await?.expect(200)?;
    for requisite in [company(), changed] {
        dealer.register(&requisite).await?.expect(200)?;
    }
    ensure_eq!(dealer.shown().await?["requisite_version"], json!(2));
    ensure_eq!(fixture.dealer_events(&dealer).await?.len(), 2);
    Ok(())
}

async fn registration_at_once_makes_one_dealer(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.stranger()?;
    let requisite = company();
    let answers = try_join_all((0..6).map(|_| dealer.register(&requisite))).await?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    ensure_eq!(statuses, [200, 200, 200, 200, 200, 201]);
    dealer.account_reaches("COMMISSION", "ready").await?;
    let id = external_id(&dealer, "COMMISSION").await?;
    ensure_eq!(fixture.cloud.billing().count(&id), [1, 1, 1, 0]);
    Ok(())
}

fn fields(body: &Value) -> Vec<&str> {
    let errors = body["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["field"].as_str()).collect()
}

async fn wrong_fields_of_a_requisite_are_named_at_once(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.stranger()?;
    let mut requisite = company();
    requisite["inn"] = json!("9909123455");
    requisite["kpp"] = json!("99090100");
    requisite["ogrn"] = json!("1269900012349");
    requisite["settlement_account"] = json!("40702810838000000001");
    requisite["correspondent_account"] = json!("30101810500000000225");
    requisite["phone"] = json!("8 495 500 55 50");
    // A Cyrillic а.
    requisite["email"] = json!("bills@exаmple.com");
    let refused = dealer
        .register(&requisite)
        .await?
        .expect_problem(422, "invalid-requisite")?;
    ensure_eq!(
        fields(&refused.body),
        [
            "requisite.inn",
            "requisite.kpp",
            "requisite.ogrn",
            "requisite.settlement_account",
            "requisite.correspondent_account",
            "requisite.email",
            "requisite.phone",
        ]
    );
    for value in ["9909123455", "bills@ex"] {
        ensure!(
            !refused.text.contains(value),
            "the problem shows what was sent: {}",
            refused.text
        );
    }
    // Letters that only look like digits.
    let mut requisite = company();
    requisite["inn"] = json!("99О9123454");
    requisite["bik"] = json!("04452522\u{0665}");
    let refused = dealer
        .register(&requisite)
        .await?
        .expect_problem(422, "invalid-requisite")?;
    ensure_eq!(fields(&refused.body), ["requisite.inn", "requisite.bik"]);
    dealer
        .api
        .get(&dealer.path(""))
        .await?
        .expect_problem(404, "dealer-not-found")?;
    let mut early = registration(&dealer.name, &company());
    early["offer_accepted_at"] = json!("2999-01-01T00:00:00Z");
    let refused = dealer.api.post("/dealers", "unused", &early).await?;
    let refused = refused.expect_problem(422, "invalid-value")?;
    ensure_eq!(fields(&refused.body), ["offer_accepted_at"]);
    Ok(())
}

/// What of a requisite must not be found anywhere.
const SECRETS: [&str; 6] = [
    "9909123454",
    "1269900012348",
    "40702810938000000001",
    "bills@example.com",
    "74955005550",
    "Примерная",
];

async fn requisite_is_sealed_masked_and_in_no_log_or_event(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let shown = dealer.shown().await?;
    ensure_eq!(
        (&shown["requisite"]["inn"], &shown["requisite"]["email"]),
        (&json!("99***54"), &json!("b***"))
    );
    let stored: Vec<u8> = sqlx::query_scalar("SELECT requisite FROM dealers WHERE cme_client_id = $1")
        .bind(&dealer.name)
        .fetch_one(fixture.database.pool())
        .await?;
    let stored = String::from_utf8_lossy(&stored).into_owned();
    let told: Vec<Value> =
        sqlx::query_scalar("SELECT payload FROM outbox_messages WHERE ordering_key = 'dealer-' || $1")
            .bind(shown["dealer_id"].as_i64().context("no id")?)
            .fetch_all(fixture.database.pool())
            .await?;
    ensure!(!told.is_empty(), "nothing was told");
    let told: String = told.iter().map(Value::to_string).collect();
    let logs: String = [
        "register_dealer",
        "provision_account",
        "get_dealer",
        "update_requisite",
    ]
    .iter()
    .map(|function| fixture.cloud.logs(function).join("\n"))
    .collect();
    ensure!(!logs.is_empty(), "nothing was logged");
    for secret in SECRETS {
        for (place, text) in [
            ("the answer", shown.to_string()),
            ("the table", stored.clone()),
            ("an event", told.clone()),
            ("a log", logs.clone()),
        ] {
            ensure!(!text.contains(secret), "{secret} stands in {place}");
        }
    }
    Ok(())
}

async fn changed_requisite_is_sent_on_to_billing(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer_with_fast_buyout().await?;
    let mut changed = company();
    changed["settlement_account"] = json!("40702810838000000001");
    let refused = dealer
        .update_requisite(&changed)
        .await?
        .expect_problem(422, "invalid-requisite")?;
    ensure_eq!(fields(&refused.body), ["settlement_account"]);
    let mut changed = company();
    changed["legal_address"] = json!("101000, Москва, улица Новая, дом 2");
    let answer = dealer.update_requisite(&changed).await?.expect(200)?;
    ensure_eq!(answer.body["requisite_version"], json!(2));
    // The same again is no version of its own.
    dealer.update_requisite(&changed).await?.expect(200)?;
    for account in ["COMMISSION", "DEPOSIT", "SETTLEMENT"] {
        eventually(&format!("Billing has the address of {account}"), async || {
            let shown = dealer.account(account).await?;
            ensure_eq!(shown["has_newest_requisite"], json!(true));
            Ok(())
        })
        .await?;
        let client = fixture.billing_client(&dealer, account).await?;
        let payer = fixture
            .cloud
            .billing()
            .payer_details(&client)
            .context("no payer")?;
        ensure_eq!(payer["address"], changed["legal_address"]);
        let id = external_id(&dealer, account).await?;
        ensure_eq!(fixture.cloud.billing().count(&id), [1, 1, 1, 0]);
    }
    ensure_eq!(dealer.shown().await?["requisite_version"], json!(2));
    Ok(())
}

async fn fast_buyout_opens_two_accounts_once(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let answers = try_join_all((0..3).map(|_| dealer.add_fast_buyout())).await?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    ensure_eq!(statuses, [200, 200, 201]);
    for account in ["DEPOSIT", "SETTLEMENT"] {
        dealer.account_reaches(account, "ready").await?;
        let id = external_id(&dealer, account).await?;
        ensure_eq!(fixture.cloud.billing().count(&id), [1, 1, 1, 0]);
    }
    let told = fixture.dealer_events(&dealer).await?;
    let opened = told.iter().filter(|kind| *kind == "dealer.account.opened");
    ensure_eq!(opened.count(), 3);
    Ok(())
}

async fn unknown_dealer_is_not_found(fixture: Arc<Fixture>) -> Result {
    let stranger = fixture.stranger()?;
    let answers = [
        stranger.api.get(&stranger.path("")).await?,
        stranger.add_fast_buyout().await?,
        stranger.update_requisite(&company()).await?,
        stranger.fast_buyout(100).await?,
        stranger.bill_reward("deal-1", 1_000).await?,
        stranger.void(1).await?,
        stranger.api.get(&stranger.path("/bills")).await?,
        stranger.api.get(&stranger.path("/bills/1")).await?,
    ];
    for answer in answers {
        answer.expect_problem(404, "dealer-not-found")?;
    }
    Ok(())
}
