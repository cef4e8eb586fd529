//! Documents that prove an identity.

use std::sync::Arc;

use anyhow::ensure;
use base64::{Engine, engine::general_purpose::STANDARD};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, newcomer::Newcomer, scenarios};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        document_that_is_wanted_leads_to_the_approval,
        file_that_is_not_what_it_says_is_refused_with_words,
        document_before_the_form_is_refused,
        alone(document_whose_answer_is_lost_is_sent_once),
    ]
}

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj";

async fn send(newcomer: &Newcomer, key: &str, kind: &str, side: &str, file: &[u8]) -> Result<Answer> {
    let body = json!({ "type": kind, "side": side, "content": STANDARD.encode(file) });
    newcomer.api.post("/trading/kyc/documents", key, &body).await
}

/// Somebody who is asked for a document.
async fn asked(fixture: &Fixture) -> Result<Newcomer> {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(fixture, "POOR_PHOTO_QUALITY").await?;
    newcomer.submit().await?.expect(202)?;
    newcomer.status_reaches("doc_required").await?;
    Ok(newcomer)
}

async fn document_that_is_wanted_leads_to_the_approval(fixture: Arc<Fixture>) -> Result {
    let newcomer = asked(&fixture).await?;
    ensure_eq!(newcomer.check().await?["errors"][0]["remedy"], "upload");
    let sent = send(&newcomer, "a", "PASSPORT", "FRONT", PDF)
        .await?
        .expect(201)?;
    let again = send(&newcomer, "a", "PASSPORT", "FRONT", PDF)
        .await?
        .expect(201)?;
    ensure_eq!(again.body, sent.body, "the same request again");
    send(&newcomer, "a", "VISA", "FRONT", PDF)
        .await?
        .expect_problem(422, "idempotency-key-reused")?;
    newcomer.account_opens().await?;
    let check = newcomer.check().await?;
    let documents = check["documents"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ensure_eq!(documents.len(), 1);
    ensure_eq!(
        (&documents[0]["type"], &documents[0]["status"]),
        (&json!("PASSPORT"), &json!("APPROVED"))
    );
    Ok(())
}

async fn file_that_is_not_what_it_says_is_refused_with_words(fixture: Arc<Fixture>) -> Result {
    let newcomer = asked(&fixture).await?;
    let zip = [b"PK\x03\x04".as_slice(), &[0; 64]].concat();
    for (file, words) in [
        (b"".as_slice(), "empty"),
        (&zip, "no JPEG, PNG or PDF"),
        (
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>",
            "no JPEG, PNG or PDF",
        ),
        (
            b"01234567890123456789%PDF-1.7 and more of it",
            "no JPEG, PNG or PDF",
        ),
    ] {
        let refused = send(&newcomer, "b", "PASSPORT", "FRONT", file).await?;
        let refused = refused.expect_problem(422, "document-not-taken")?;
        ensure!(refused.text.contains(words), "{}", refused.text);
    }
    let large = [PDF, &vec![0; 4 * 1024 * 1024]].concat();
    let refused = send(&newcomer, "b", "PASSPORT", "FRONT", &large).await?;
    ensure!([413, 422].contains(&refused.status), "{}", refused.text);
    let back = send(&newcomer, "b", "PASSPORT", "BACK", PDF).await?;
    back.expect_problem(422, "document-has-no-back")?;
    let body = json!({ "type": "PASSPORT", "side": "FRONT", "content": "%%%" });
    let refused = newcomer.api.post("/trading/kyc/documents", "b", &body).await?;
    refused.expect_problem(422, "invalid-value")?;
    ensure_eq!(
        newcomer.check().await?["documents"],
        json!([]),
        "nothing was sent"
    );
    Ok(())
}

async fn document_before_the_form_is_refused(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let refused = send(&newcomer, "c", "PASSPORT", "FRONT", PDF).await?;
    refused.expect_problem(409, "kyc-not-submitted")?;
    Ok(())
}

async fn document_whose_answer_is_lost_is_sent_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = asked(&fixture).await?;
    let effect = Effect::Reset { after_doing: true };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/documents", effect).times(3));
    send(&newcomer, "d", "VOTER_ID", "BACK", PDF).await?.expect(503)?;
    send(&newcomer, "d", "VOTER_ID", "BACK", PDF).await?.expect(201)?;
    let user = newcomer.broker_user(&fixture).await?;
    let uploads = fixture
        .cloud
        .drivewealth()
        .user(&user)
        .map_or(0, |user| user.uploads.len());
    ensure_eq!(uploads, 1, "files at the broker");
    newcomer.account_opens().await?;
    Ok(())
}
