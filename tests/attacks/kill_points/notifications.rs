//! Notifications, killed at their points on their way into the feed, out by mail, and while they are marked as read.

use std::sync::Arc;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Fixture, Result, Tester, ensure_eq, eventually, new_domain_event, send_until_answered};
use serde_json::json;

use crate::messages::succeeded;
use crate::soon;
use crate::sweep::{Start, sweep_all};

pub(crate) async fn killed_notification_is_recorded_once_when_its_message_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let prepare = async || fixture.customer().await;
    let samples = sweep_all(
        &fixture,
        "record_notification",
        Start::Cold,
        &["AWS_ENDPOINT_URL_DYNAMODB", "DATABASE_URL"],
        prepare,
        async |tester: &Tester| {
            fixture
                .send("domain-events", &succeeded(tester, 1).to_string())
                .await?;
            soon("the notification is listed", async || {
                let (unread, held) = (tester.unread().await?, fixture.held_by("domain-events").await?);
                ensure!(unread > 0 && held == 0, "{unread} unread, {held} messages held");
                Ok(())
            })
            .await
        },
    );
    for tester in samples.await? {
        ensure_eq!((tester.feed().await?.len(), tester.unread().await?), (1, 1));
        let phone = &tester.customer.device_token;
        eventually("the phone has it once", async || {
            ensure_eq!(fixture.cloud.firebase().messages_to(phone).len(), 1);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Whether the tester's one notification is noted as mailed.
async fn is_settled(fixture: &Fixture, tester: &Tester) -> Result<bool> {
    let query = fixture
        .cloud
        .dynamodb()
        .query()
        .table_name(fixture.cloud.table("notifications")?);
    let profile = AttributeValue::S(format!("profile#{}", tester.customer.profile_id));
    let answer = query
        .key_condition_expression("pk = :pk AND begins_with(sk, :feed)")
        .expression_attribute_values(":pk", profile)
        .expression_attribute_values(":feed", AttributeValue::S("feed#".to_owned()))
        .send()
        .await?;
    let item = answer
        .items
        .and_then(|mut items| items.pop())
        .context("no item")?;
    Ok(item.contains_key("mail_settled_at"))
}

pub(crate) async fn killed_mail_is_sent_under_one_id_when_its_record_comes_again(
    fixture: Arc<Fixture>,
) -> Result {
    let prepare = async || fixture.customer().await;
    let samples = sweep_all(
        &fixture,
        "mail_notification",
        Start::Cold,
        &["AWS_ENDPOINT_URL_DYNAMODB", "DATABASE_URL", "SMTP_PORT"],
        prepare,
        async |tester: &Tester| {
            let profile = tester.customer.profile_id;
            let data = json!({ "profile_id": profile, "status": "approved" });
            let event = new_domain_event("kyc.status-changed", &format!("profile-{profile}"), data);
            fixture.send("domain-events", &event.to_string()).await?;
            soon("the mail is noted as sent", async || {
                ensure!(is_settled(&fixture, tester).await?, "it is not");
                Ok(())
            })
            .await
        },
    );
    let mut twice = 0;
    for tester in samples.await? {
        let mails = fixture.cloud.mail().mails_to(&tester.customer.email);
        let first = mails.first().context("a mail is lost")?;
        ensure!(
            mails.iter().all(|mail| mail.message_id == first.message_id),
            "one mail has several ids: {mails:?}"
        );
        ensure!(mails.len() <= 2, "one death is one repetition: {mails:?}");
        twice += usize::from(mails.len() == 2);
    }
    ensure!(twice > 0, "no death was between sending and noting it");
    Ok(())
}

pub(crate) async fn killed_marks_are_counted_once_when_they_are_repeated(fixture: Arc<Fixture>) -> Result {
    let prepare = async || {
        let tester = fixture.customer().await?;
        let events = [
            succeeded(&tester, 1),
            succeeded(&tester, 2),
            succeeded(&tester, 3),
        ];
        ensure_eq!(
            fixture.deliver("record_notification", &events).await?,
            Vec::<usize>::new()
        );
        let feed = tester.feed().await?;
        let older = feed.get(1).context("no second one")?["id"].clone();
        Ok((tester, older))
    };
    let samples = sweep_all(
        &fixture,
        "mark_notifications_read",
        Start::Cold,
        &["AWS_ENDPOINT_URL_DYNAMODB"],
        prepare,
        async |(tester, older)| {
            let body = json!({ "up_to": older });
            let mark = async || tester.api.post("/notifications/read", "unused", &body).await;
            if mark().await?.status != 200 {
                let again = send_until_answered("marks, killed before", mark).await?;
                ensure_eq!(again.expect(200)?.body, json!({ "unread": 1, "complete": true }));
            }
            Ok(())
        },
    );
    for (tester, _) in samples.await? {
        let unread = tester
            .feed()
            .await?
            .iter()
            .filter(|item| item["read"] == false)
            .count();
        ensure_eq!((unread, tester.unread().await?), (1, 1));
    }
    Ok(())
}
