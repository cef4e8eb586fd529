//! The session at the broker is shared by all instances and renewed once; what signs us in shows in no log.
use std::sync::Arc;

use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use local_cloud::keys::local_secrets;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::Value;

/// Functions that speak to outside parties.
const SPEAKERS: [&str; 4] = [
    "deposit_funds",
    "withdraw_funds",
    "on_cash_changed",
    "push_notification",
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(cold_instances_at_once_sign_in_once),
        alone(session_that_ends_is_renewed_and_the_request_repeated_whole),
        alone(stored_session_is_sealed),
        alone(logs_show_no_secret),
    ]
}

async fn cold_instances_at_once_sign_in_once(fixture: Arc<Fixture>) -> Result {
    let customers = try_join_all((0..8).map(|_| fixture.customer())).await?;
    // The new accounts' own events are out of the way: whoever takes them signs in too.
    fixture.rest().await?;
    fixture.cloud.drivewealth().clear_calls();
    fixture
        .database
        .change("DELETE FROM drivewealth_sessions WHERE $1 = $1", 0)
        .await?;
    fixture.cloud.kill("deposit_funds").await?;
    let answers = try_join_all(customers.iter().map(|customer| customer.deposit(1_000))).await?;
    for answer in answers {
        answer.expect(201)?;
    }
    ensure_eq!(sign_ins(&fixture), 1, "sign-ins of eight cold instances");
    Ok(())
}

async fn session_that_ends_is_renewed_and_the_request_repeated_whole(fixture: Arc<Fixture>) -> Result {
    let customer = fixture.customer().await?;
    customer.deposit(1_000).await?.expect(201)?;
    // The deposit's own events are out of the way: whoever takes them has a session too, and may renew it.
    fixture.rest().await?;
    // A new instance has the newest session. One from before may still have an older one, and would learn of both ends.
    fixture.cloud.kill("deposit_funds").await?;
    fixture.cloud.drivewealth().clear_calls();
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/funding/deposits", Effect::ExpireToken));
    customer.deposit(2_000).await?.expect(201)?;
    ensure_eq!(sign_ins(&fixture), 1, "sign-ins after the session ended");
    let calls = fixture.cloud.drivewealth().calls();
    let deposits: Vec<_> = calls
        .iter()
        .filter(|call| call.path == "/funding/deposits")
        .collect();
    ensure_eq!(deposits.len(), 2, "attempts of the deposit");
    ensure_eq!(
        deposits.first().map(|call| (&call.body, &call.idempotency_key)),
        deposits.last().map(|call| (&call.body, &call.idempotency_key)),
        "both attempts"
    );
    Ok(())
}

async fn stored_session_is_sealed(fixture: Arc<Fixture>) -> Result {
    fixture.customer().await?.deposit(1_000).await?.expect(201)?;
    let legible = "SELECT count(*) FROM drivewealth_sessions WHERE $1 = $1 AND (token_sealed IS NULL OR \
                   length(token_sealed) < 30 OR get_byte(token_sealed, 0) <> 1)";
    ensure_eq!(
        fixture.database.count(legible, 0).await?,
        0,
        "sessions that aren't sealed"
    );
    Ok(())
}

async fn logs_show_no_secret(fixture: Arc<Fixture>) -> Result {
    let customer = fixture.customer().await?;
    let id = customer.deposit(1_000).await?.expect(201)?.number("id")?;
    customer.flow_reaches(id, "success").await?;
    customer.withdraw(500).await?.expect(201)?;
    customer.feed_reaches(2).await?;
    eventually("the push is sent", async || {
        anyhow::ensure!(
            !fixture
                .cloud
                .firebase()
                .messages_to(&customer.customer.device_token)
                .is_empty()
        );
        Ok(())
    })
    .await?;
    let mut secrets = vec![
        customer.customer.plaid_access_token.clone(),
        customer.customer.device_token.clone(),
    ];
    for text in local_secrets().into_values() {
        let secret: Value = serde_json::from_str(&text)?;
        let fields = secret.as_object().cloned().unwrap_or_default();
        // A name is no secret.
        let fields = fields
            .into_iter()
            .filter(|(name, _)| name != "username" && name != "client_id");
        secrets.extend(fields.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
    }
    let sessions = fixture.cloud.drivewealth().session_tokens();
    let bearers = fixture.cloud.firebase().bearer_tokens();
    anyhow::ensure!(
        !sessions.is_empty() && !bearers.is_empty(),
        "nobody has signed in"
    );
    secrets.extend(sessions.into_iter().chain(bearers));
    for function in SPEAKERS {
        for line in fixture.cloud.logs(function) {
            for secret in &secrets {
                anyhow::ensure!(
                    !line.contains(secret.as_str()),
                    "{function} logged a secret: {line}"
                );
            }
        }
    }
    Ok(())
}

fn sign_ins(fixture: &Fixture) -> usize {
    fixture
        .cloud
        .drivewealth()
        .calls()
        .iter()
        .filter(|call| call.path == "/auth")
        .count()
}
