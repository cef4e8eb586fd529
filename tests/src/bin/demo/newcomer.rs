//! Somebody comes from nothing to an open account and a linked bank, through the API alone.

use end_to_end::{Fixture, Result, newcomer::whole_form};
use local_cloud::{
    progress::say,
    sandboxes::plaid::{LinkChoice, checking},
};
use serde_json::json;

use super::checks::{Checks, until};

/// Plays the chapter.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    say("\nSomebody new: a profile from the user service, and nothing else.");
    let newcomer = fixture.newcomer().await?;
    let form = whole_form(&newcomer.phone, "POOR_PHOTO_QUALITY");
    let first = newcomer
        .put_form(&json!({ "first_name": "Grace", "country": "IRN" }))
        .await?;
    checks.that(
        "a form with a country that can't be is refused",
        first.status == 422,
    );
    newcomer.put_form(&form).await?.expect(200)?;
    checks.that(
        "the tax id is shown by its last four characters",
        newcomer.form().await?["form"]["tax_id_value"] == "*****6789",
    );
    let refused = newcomer.submit().await?;
    checks.that(
        "without a proved phone the form isn't submitted",
        refused.status == 422,
    );
    newcomer.prove_phone(fixture).await?;
    newcomer.submit().await?.expect(202)?;
    let check = newcomer.status_reaches("doc_required").await?;
    checks.that("the broker wants a document", check["status"] == "doc_required");
    let document =
        json!({ "type": "PASSPORT", "side": "FRONT", "content": "JVBERi0xLjcKJcOkw7zDtsOfCjIgMCBvYmoK" });
    let sent = newcomer
        .api
        .post("/trading/kyc/documents", "passport", &document)
        .await?;
    checks.that("it gets one", sent.status == 201);
    let profile = newcomer.account_opens().await?;
    let user = newcomer.broker_user(fixture).await?;
    let drivewealth = fixture.cloud.drivewealth();
    checks.that(
        "the check is approved; the broker has one user and one open account",
        drivewealth.accounts_of(&user).len() == 1,
    );
    let token = newcomer
        .api
        .post("/trading/bank-accounts/link-token", "unused", &json!({}))
        .await?;
    let token = token.expect(201)?.body["link_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let choice = LinkChoice {
        institution_id: "ins_109508".to_owned(),
        accounts: vec![checking("Plaid Checking", "0000", 100_000)],
    };
    let linked = fixture.cloud.plaid().visit_link(&token, &choice)?;
    let chosen = json!({ "public_token": linked.public_token, "account_id": linked.account_ids[0] });
    let bank = newcomer
        .api
        .post("/trading/bank-accounts", "unused", &chosen)
        .await?;
    checks.that(
        "a bank is linked on Plaid's page",
        bank.status == 201 && bank.body["status"] == "linked",
    );
    let deposit = json!({
        "trading_account_id": profile["trading_account_id"], "bank_account_id": bank.body["id"], "amount_cents": 25_000,
    });
    let deposited = newcomer.api.post("/trading/deposits", "first", &deposit).await?;
    checks.that("a first deposit is on its way", deposited.status == 201);
    let id = deposited.number("id")?;
    let arrives = until(async || {
        let history = newcomer
            .api
            .get("/trading/history/money-flow")
            .await?
            .expect(200)?;
        let flow = &history.body["items"][0];
        Ok(flow["id"] == id && flow["status"] == "success")
    });
    checks.that("and arrives", arrives.await);
    Ok(())
}
