//! Somebody who has what the app's routes are about.

use anyhow::ensure;
use chrono::Utc;
use end_to_end::{Fixture, Result, Tester, billing::VISA};
use local_cloud::sandboxes::drivewealth::DocumentKind;
use serde_json::json;

/// Somebody with what the routes are about: a trading account, a card and an invoice that was charged to it.
pub(crate) struct Owner {
    pub(crate) tester: Tester,
    pub(crate) session: String,
    pub(crate) method: i64,
    pub(crate) invoice: i64,
    pub(crate) collection: i64,
    pub(crate) version: i64,
    pub(crate) statement: i64,
}

impl Owner {
    /// A customer who has a commission paid. Stripe's webhooks stay away, so that nothing comes of them later.
    pub(crate) async fn register(fixture: &Fixture) -> Result<Self> {
        fixture.cloud.stripe().limit_webhooks(Some(&[]));
        let tester = fixture.customer().await?;
        let session = tester.checkout().await?;
        fixture.cloud.stripe().complete_checkout(&session, VISA)?;
        let method = tester.add_method(&session).await?.expect(201)?.number("id")?;
        let invoice = fixture.invoice(&tester, 800).await?;
        ensure!(
            fixture.pay(invoice, Utc::now()).await?,
            "the invoice was not charged"
        );
        fixture.invoice_reaches(invoice, "paid").await?;
        tester.feed_reaches(1).await?;
        add_form(fixture, tester.customer.profile_id).await?;
        // Its balance is fresh from here on, so that the bank isn't asked later.
        tester.api.get("/trading/bank-accounts").await?.expect(200)?;
        let collection = fixture.collection(&[("AAPL", 10_000)]).await?;
        let version = fixture.ended_order(&tester, collection, "complete").await?;
        let statement = fixture
            .statement(&tester, DocumentKind::Statement, "October 2026")
            .await?;
        Ok(Self {
            collection,
            version,
            statement,
            tester,
            session,
            method,
            invoice,
        })
    }

    /// Its card's id at Stripe.
    pub(crate) async fn stripe_method(&self, fixture: &Fixture) -> Result<String> {
        let sql = "SELECT stripe_ref_id FROM payment_methods WHERE id = $1";
        let id = sqlx::query_scalar(sql).bind(self.method);
        Ok(id.fetch_one(fixture.database.pool()).await?)
    }

    /// How many cards it has.
    pub(crate) async fn methods(&self) -> Result<usize> {
        Ok(self.tester.methods().await?.len())
    }

    pub(crate) fn profile(&self) -> i64 {
        self.tester.customer.profile_id
    }
}

/// A street that nobody else lives in.
pub(crate) fn street_of(profile: i64) -> String {
    format!("{profile} Secret Lane")
}

/// A verdict that nobody else has got.
pub(crate) fn document_of(profile: i64) -> String {
    format!("PENDING_{profile}_SECRET")
}

/// What an approved customer has once filled in and sent.
async fn add_form(fixture: &Fixture, profile: i64) -> Result {
    let sql =
        "INSERT INTO kyc_forms (profile_id, answers, created_at, updated_at) VALUES ($1, $2, now(), now())";
    let answers = json!({ "address_street1": street_of(profile) });
    sqlx::query(sql)
        .bind(profile)
        .bind(answers)
        .execute(fixture.database.pool())
        .await?;
    let sql = "INSERT INTO kyc_documents (profile_id, type, side, media_type, status, created_at, updated_at) \
               VALUES ($1, 'VISA', 'FRONT', 'application/pdf', $2, now(), now())";
    sqlx::query(sql)
        .bind(profile)
        .bind(document_of(profile))
        .execute(fixture.database.pool())
        .await?;
    Ok(())
}
