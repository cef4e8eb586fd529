//! `events/OPERATION.json` is what its function really gets: each is handed to the running function. What an app can ask for
//! in GraphQL is then asked for again, there and over HTTP, and has the same answer.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use end_to_end::{
    Fixture, Result, Suite, Tester,
    billing::VISA,
    dealers::{Dealer, company, dealers_service},
    ensure_eq, graphql,
    newcomer::whole_form,
    options, root, run_suites, scenarios,
};
use local_cloud::sandboxes::drivewealth::DocumentKind;
use local_cloud::sandboxes::plaid::{LinkChoice, Linked, checking};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let scenarios = scenarios![alone(every_function_accepts_its_event_file)];
    run_suites([Suite::new("event_files", options(), [scenarios])])
}

/// The account and the redemption of the files, which the broker here knows under ids of its own.
const ACCOUNT: &str = "cc07f91b-7ee1-4868-b8fc-823c70a1b932.1407775317759";
const REDEMPTION: &str = "MNTA000001-1795184890777-R2KQP";
/// The session whose card the files take over.
const SESSION: &str = "cs_test_a1b2c3d4";
/// The phone of the files, and the code that it gets there.
const PHONE: &str = "+12025550123";
const CODE: &str = "042137";
/// What Plaid's page gives in the files.
const PUBLIC_TOKEN: &str = "public-sandbox-b0e2c4ee-a763-4df5-bfe9-46a46bce993d";
const PLAID_ACCOUNT: &str = "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp";
/// The withdrawal from a wallet that the files settle.
const WITHDRAWAL: &str = "01a1f95d-46ff-75c1-9a2b-3c4d5e6f7081";

/// What somebody new does, in this order, and what opens positions, with which no profit is paid out; the other functions
/// come before.
const ONE_AFTER_THE_OTHER: [&str; 7] = [
    "send_phone_code",
    "verify_phone_code",
    "send_kyc_form",
    "add_kyc_document",
    "link_bank_account",
    "delete_bank_account",
    "apply_position_update",
];

async fn every_function_accepts_its_event_file(fixture: Arc<Fixture>) -> Result {
    // The files speak of the profile, account and bank account with id 1.
    let customer = fixture.customer().await?;
    customer.withdraw(1_000).await?.expect(201)?;
    let redemption = fixture
        .cloud
        .drivewealth()
        .redemptions()
        .first()
        .context("there is no redemption")?
        .id
        .clone();
    fixture.review("invoice-1").await?;
    let withdrawal = wallets(&fixture).await?;
    let session = billing(&fixture, &customer).await?;
    traders(&fixture).await?;
    dealers(&fixture).await?;
    let linked = newcomer(&fixture).await?;
    collections(&fixture, &customer).await?;
    let statement = fixture.statement(&customer, DocumentKind::Statement, "October");
    ensure_eq!(statement.await?, 1, "the document that the files speak of");
    let mut refused = Vec::new();
    let mut functions: Vec<_> = fixture.cloud.template().functions.iter().collect();
    functions.sort_by_key(|function| {
        ONE_AFTER_THE_OTHER
            .iter()
            .position(|name| *name == function.binary)
    });
    for function in functions {
        let file = root().join("events").join(format!("{}.json", function.binary));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("{} has no event file", function.binary))?;
        let text = text
            .replace(ACCOUNT, &customer.customer.drivewealth_account_id)
            .replace(REDEMPTION, &redemption)
            .replace(SESSION, &session)
            .replace(WITHDRAWAL, &withdrawal)
            .replace(CODE, &fixture.code_of(PHONE).unwrap_or_default())
            .replace(PUBLIC_TOKEN, &linked.public_token)
            .replace(
                PLAID_ACCOUNT,
                linked.account_ids.first().map_or("", String::as_str),
            );
        let mut event: Value = serde_json::from_str(&text)?;
        // The signature of the file is too old to be taken.
        if let (Some(body), Some(signature)) = (
            event["body"].as_str().map(str::to_owned),
            event.pointer_mut("/headers/stripe-signature"),
        ) {
            let stripe = fixture.cloud.stripe();
            *signature = json!(match function.binary.as_str() {
                "stripe_connect_webhook" => stripe.sign_now_for_connect(&body),
                _ => stripe.sign_now(&body),
            });
        }
        if let (Some(body), Some(token)) = (
            event["body"].as_str().map(str::to_owned),
            event.pointer_mut("/headers/plaid-verification"),
        ) {
            *token = json!(fixture.cloud.plaid().sign(&body, chrono::Utc::now())?);
        }
        let mut result = fixture.cloud.invoke(&function.binary, event.clone()).await?;
        // Somebody couldn't be reached at the moment: it is sent again once, when the answer says.
        if let Some(pause) = result.payload.pointer("/headers/retry-after") {
            let seconds = pause.as_str().context("retry-after is no text")?.parse()?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            result = fixture.cloud.invoke(&function.binary, event.clone()).await?;
        }
        let status = result.payload["statusCode"].as_i64().unwrap_or(200);
        let failures = result.payload["batchItemFailures"].as_array().map_or(0, Vec::len);
        if result.function_error.is_some() || status >= 300 || failures > 0 {
            refused.push(format!(
                "{}: {:?} {}",
                function.binary, result.function_error, result.payload
            ));
        }
        refused.extend(graphql::difference(&fixture, &function.binary, &event).await?);
    }
    ensure!(
        refused.is_empty(),
        "these functions did not take their event file:\n{}",
        refused.join("\n")
    );
    Ok(())
}

/// The profile with id 2, who goes through the identity check and links a bank in the files: the form is filled in, and the
/// bank chosen on Plaid's page.
async fn newcomer(fixture: &Fixture) -> Result<Linked> {
    let service = fixture.api(Some(json!({ "scope": "internal" })))?;
    let person = json!({ "email": "grace@example.com", "first_name": "Grace", "last_name": "Example" });
    service.put("/profiles/2", &person).await?.expect(201)?;
    let newcomer = fixture.api(Some(json!({ "profile_id": 2 })))?;
    let form = whole_form(PHONE, "Example");
    newcomer.put("/trading/kyc/form", &form).await?.expect(200)?;
    let path = "/trading/bank-accounts/link-token";
    let token = newcomer.post(path, "unused", &json!({})).await?.expect(201)?;
    let token = token.body["link_token"]
        .as_str()
        .context("no link token")?
        .to_owned();
    let choice = LinkChoice {
        institution_id: "ins_109508".to_owned(),
        accounts: vec![checking("Plaid Checking", "0000", 100_000)],
    };
    fixture.cloud.plaid().visit_link(&token, &choice)
}

/// The collection of the files, and an order of it that can be taken back again and again.
async fn collections(fixture: &Fixture, customer: &Tester) -> Result {
    fixture.list_instruments().await?;
    let service = fixture.api(Some(json!({ "scope": "internal" })))?;
    let weights = json!([{ "symbol": "ENPH", "weight": "1" }]);
    let body = json!({ "name": "Clean energy", "uniq_id": "ttf-clean-energy", "weights": weights });
    service.put("/trading/collections/1", &body).await?.expect(201)?;
    let order = fixture.ended_order(customer, 1, "cancelled").await?;
    ensure_eq!(order, 1, "the id that the files speak of");
    Ok(())
}

/// The cards and the invoice of the files; one card is deleted, and the other is chosen. Gives a session whose card has not
/// been taken over.
async fn billing(fixture: &Fixture, customer: &Tester) -> Result<String> {
    fixture.cloud.stripe().limit_webhooks(Some(&[]));
    let saved = customer.save_card(fixture, VISA).await?;
    let to_delete = customer.save_card(fixture, VISA).await?;
    let invoice = fixture.invoice(customer, 800).await?;
    ensure_eq!(
        (saved, to_delete, invoice),
        (1, 2, 1),
        "the ids that the files speak of"
    );
    let session = customer.checkout().await?;
    fixture.cloud.stripe().complete_checkout(&session, VISA)?;
    Ok(session)
}

/// The accounts of the files: one that is traded, with withdrawals, and one that a rule has closed.
async fn traders(fixture: &Fixture) -> Result {
    let trader = fixture.trader().await?;
    let closed = fixture.trader().await?;
    ensure_eq!(
        (trader.user_id, trader.account, closed.account),
        (1, 1, 2),
        "the ids that the files speak of"
    );
    fixture.earn(&trader, 1, 100_000).await?;
    fixture
        .can_be_paid(&trader, end_to_end::withdrawals::PAYS)
        .await?;
    for id in 1..=3 {
        ensure_eq!(
            trader.withdrawal(10_000).await?,
            id,
            "the withdrawals that the files speak of: one to call back, to approve, to reject"
        );
    }
    fixture
        .engine_says(&[end_to_end::funded::flat(closed.account, 1, 100)])
        .await?;
    closed
        .is_recorded("the record is closed", |record| record["status"] == "closed")
        .await?;
    Ok(())
}

/// The dealer of the files, whose COMMISSION account is the first client that Billing has, and their bills: one that is paid
/// on, and one that is voided.
async fn dealers(fixture: &Fixture) -> Result {
    let dealer = Dealer {
        name: "CME-1001".to_owned(),
        api: fixture.api(Some(dealers_service()))?,
    };
    dealer.register(&company()).await?.expect(201)?;
    dealer.account_reaches("COMMISSION", "ready").await?;
    ensure_eq!(fixture.billing_client(&dealer, "COMMISSION").await?, "C-00000001");
    for (bill, deal) in [(1, "deal-1001"), (2, "deal-1003")] {
        let billed = dealer.bill_reward(deal, 150_000_000).await?.expect(201)?;
        ensure_eq!(
            billed.number("bill_id")?,
            bill,
            "the bill that the files speak of"
        );
        dealer.bill_reaches(bill, "issued").await?;
    }
    Ok(())
}

/// The clients and wallets of the files, with money and a withdrawal that is not settled; gives its transaction.
async fn wallets(fixture: &Fixture) -> Result<String> {
    let service = fixture.api(Some(json!({ "scope": "wallets" })))?;
    let first = json!({ "external_ref": "shop-1001", "currencies": ["USD", "EUR"] });
    let second = json!({ "external_ref": "shop-1002", "currencies": ["USD"] });
    let registered = [
        service.post("/clients", "unused", &first).await?.expect(201)?,
        service.post("/clients", "unused", &second).await?.expect(201)?,
    ];
    let ids = registered
        .iter()
        .map(|answer| (&answer.body["client_id"], &answer.body["wallets"][0]["wallet_id"]));
    ensure_eq!(
        ids.collect::<Vec<_>>(),
        [(&json!(1), &json!(1)), (&json!(2), &json!(3))],
        "the ids that the files speak of"
    );
    // The rate of the files; what they set is newer.
    fixture.set_rate("USD", "EUR", "0.9217").await?;
    let recharge = json!({ "wallet_id": 1, "amount": 10_000 });
    let recharged = service.post("/clients/1/recharges", "first", &recharge).await?;
    recharged.expect(201)?;
    let withdrawal = json!({ "wallet_id": 1, "amount": 1_000 });
    let withdrawn = service
        .post("/clients/1/withdrawals", "first", &withdrawal)
        .await?
        .expect(201)?;
    let transaction = withdrawn.body["transaction_id"].as_str();
    Ok(transaction.context("no transaction")?.to_owned())
}
