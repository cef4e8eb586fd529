//! Mails: one per notification, under whatever the mail server does.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{CaughtMail, MailEffect, MailFault};
use serde_json::{Value, json};

use crate::kinds::event;
use crate::{pushes_reach, record, stream_passes};

const FAILURES: &str = "mail-failures";
const KIND: &str = "commission.charge-failed";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        event_delivered_ten_times_makes_one_mail_and_one_push,
        mail_has_text_and_html_and_names_its_sender,
        name_of_a_person_never_becomes_a_header_or_markup,
        alone(address_that_is_invalid_stops_no_other_mail),
        alone(mail_waits_for_a_server_that_accepts_nothing),
        alone(recipient_who_is_refused_stops_no_other_mail),
        alone(mail_whose_response_was_lost_is_sent_again_as_the_same),
        alone(mail_waits_while_the_sign_in_is_wrong),
    ]
}

/// Waits until an address has this many mails, and gives them.
pub(crate) async fn mails_reach(fixture: &Fixture, address: &str, count: usize) -> Result<Vec<CaughtMail>> {
    eventually(&format!("{address} has {count} mails"), async || {
        let mails = fixture.cloud.mail().mails_to(address);
        ensure!(mails.len() == count, "it has {mails:?}");
        Ok(mails)
    })
    .await
}

/// Waits until a mail that is recorded now has come. One that was recorded before is nearly always there by then: the
/// stream's lanes keep the order of an item, and take about as long.
pub(crate) async fn mails_pass(fixture: &Fixture) -> Result {
    let witness = fixture.customer().await?;
    record(fixture, &[event(&witness, KIND)]).await?;
    mails_reach(fixture, &witness.customer.email, 1).await?;
    Ok(())
}

async fn event_delivered_ten_times_makes_one_mail_and_one_push(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let event = event(&tester, KIND);
    record(&fixture, &vec![event.clone(); 5]).await?;
    for _ in 0..5 {
        fixture.send("domain-events", &event.to_string()).await?;
    }
    fixture.queue_reaches("domain-events", 0).await?;
    ensure_eq!((tester.feed().await?.len(), tester.unread().await?), (1, 1));
    for _ in 0..2 {
        mails_reach(&fixture, &tester.customer.email, 1).await?;
        pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
        mails_pass(&fixture).await?;
        stream_passes(&fixture).await?;
    }
    // Even when the stream itself gives the item again.
    let item = tester.feed().await?.pop().context("the feed is empty")?;
    let record = stream_record(tester.customer.profile_id, &item["id"]);
    for function in ["mail_notification", "push_notification"] {
        for _ in 0..3 {
            let result = fixture.cloud.invoke(function, record.clone()).await?;
            ensure_eq!(result.payload, json!({ "batchItemFailures": [] }), "{function}");
        }
    }
    ensure_eq!(fixture.cloud.mail().mails_to(&tester.customer.email).len(), 1);
    pushes_reach(&fixture, &tester.customer.device_token, 1).await
}

fn stream_record(profile: i64, id: &Value) -> Value {
    let key = json!({
        "pk": { "S": format!("profile#{profile}") },
        "sk": { "S": format!("feed#{}", id.as_str().unwrap_or_default()) },
    });
    json!({ "Records": [{
        "eventID": "1", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1", "eventSourceARN": "arn",
        "dynamodb": {
            "Keys": key, "NewImage": key, "SequenceNumber": "1", "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES", "ApproximateCreationDateTime": 1,
        },
    }] })
}

async fn mail_has_text_and_html_and_names_its_sender(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    record(&fixture, &[event(&tester, KIND)]).await?;
    let mails = mails_reach(&fixture, &tester.customer.email, 1).await?;
    let mail = mails.first().context("no mail")?;
    let item = tester.feed().await?.pop().context("the feed is empty")?;
    let id = item["id"].as_str().unwrap_or_default();
    ensure_eq!(mail.message_id, format!("{id}@moneta.example"));
    ensure_eq!(mail.from, "notifications@moneta.example");
    let address = std::slice::from_ref(&tester.customer.email);
    ensure_eq!(
        (mail.to.as_slice(), mail.recipients.as_slice()),
        (address, address)
    );
    ensure_eq!(mail.subject, "Your commission of $12.50 could not be charged");
    for part in [&mail.text, &mail.html] {
        for told in [
            "Hello Ada,",
            "October 1, 2026",
            "the card has expired.",
            "Change the payment method",
        ] {
            ensure!(part.contains(told), "{told} is not in {part}");
        }
    }
    ensure!(mail.text.contains("https://app.example.com/pay"), "{}", mail.text);
    // Nor address nor name is in the log.
    for line in fixture.cloud.logs("mail_notification") {
        // As words: a long number, a sequence number's for instance, has such digits by chance.
        let mut words = line.split(|character: char| !character.is_alphanumeric());
        let is_told = words.any(|word| word == "Ada" || word == "4242");
        ensure!(!is_told && !line.contains(&tester.customer.email), "{line}");
    }
    // A person can look at it.
    let shown = reqwest::get(format!("{}/mail", fixture.cloud.sandboxes_url())).await?;
    ensure!(shown.text().await?.contains(id), "the list lacks it");
    Ok(())
}

async fn rename(fixture: &Fixture, profile: i64, first_name: &str, email: &str) -> Result {
    sqlx::query("UPDATE profiles SET first_name = $2, email = $3 WHERE id = $1")
        .bind(profile)
        .bind(first_name)
        .bind(email)
        .execute(fixture.database.pool())
        .await?;
    Ok(())
}

async fn name_of_a_person_never_becomes_a_header_or_markup(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let (profile, email) = (tester.customer.profile_id, &tester.customer.email);
    let name = "Eve\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>";
    rename(&fixture, profile, name, email).await?;
    let mut reauth = event(&tester, "bank-account.needs-reauth");
    reauth["data"]["name"] = json!("x\r\nBcc: eve@example.com <img src=x>");
    record(&fixture, &[reauth]).await?;
    let mails = mails_reach(&fixture, email, 1).await?;
    let mail = mails.first().context("no mail")?;
    ensure!(
        !mail.headers.iter().any(|name| name.eq_ignore_ascii_case("bcc")),
        "{mail:?}"
    );
    ensure_eq!(mail.recipients, std::slice::from_ref(email));
    for markup in ["<script", "<img"] {
        ensure!(!mail.html.contains(markup), "{}", mail.html);
    }
    ensure!(mail.html.contains("&lt;script&gt;"), "{}", mail.html);
    ensure_eq!(fixture.cloud.mail().mails_to("eve@example.com").len(), 0);
    Ok(())
}

async fn address_that_is_invalid_stops_no_other_mail(fixture: Arc<Fixture>) -> Result {
    let before = fixture.held_by(FAILURES).await?;
    for (place, email) in (1..).zip(["nobody", "a@b.example\r\nRCPT TO:<eve@example.com>"]) {
        let tester = fixture.customer().await?;
        rename(&fixture, tester.customer.profile_id, "Ada", email).await?;
        record(&fixture, &[event(&tester, KIND)]).await?;
        fixture.queue_reaches(FAILURES, before + place).await?;
    }
    mails_pass(&fixture).await?;
    ensure_eq!(fixture.cloud.mail().mails_to("eve@example.com").len(), 0);
    Ok(())
}

/// Refusals for now, at every step, and more often than one run asks.
async fn mail_waits_for_a_server_that_accepts_nothing(fixture: Arc<Fixture>) -> Result {
    let before = fixture.held_by(FAILURES).await?;
    for step in ["CONNECT", "AUTH", "MAIL", "RCPT", "DATA", "MESSAGE"] {
        let tester = fixture.customer().await?;
        let fault = MailFault::new(step, MailEffect::Refuse { status: 451 });
        fixture.cloud.mail().fault(fault.times(3));
        record(&fixture, &[event(&tester, KIND)]).await?;
        mails_reach(&fixture, &tester.customer.email, 1).await?;
        mails_pass(&fixture).await?;
        mails_reach(&fixture, &tester.customer.email, 1).await?;
    }
    ensure_eq!(fixture.held_by(FAILURES).await?, before);
    Ok(())
}

async fn recipient_who_is_refused_stops_no_other_mail(fixture: Arc<Fixture>) -> Result {
    let before = fixture.held_by(FAILURES).await?;
    for (place, step, code) in [
        (1, "RCPT", "recipient-refused"),
        (2, "MESSAGE", "message-refused"),
    ] {
        let tester = fixture.customer().await?;
        fixture
            .cloud
            .mail()
            .fault(MailFault::new(step, MailEffect::Refuse { status: 550 }));
        record(&fixture, &[event(&tester, KIND)]).await?;
        fixture.queue_reaches(FAILURES, before + place).await?;
        mails_pass(&fixture).await?;
        ensure_eq!(fixture.cloud.mail().mails_to(&tester.customer.email).len(), 0);
        let item = tester.feed().await?.pop().context("the feed is empty")?;
        let given_up = fixture.waiting_in(FAILURES).await?;
        let expected = json!({
            "profile_id": tester.customer.profile_id,
            "notification_id": item["id"],
            "reason": format!("the mail server refused: {code} (550)"),
        });
        ensure!(given_up.contains(&expected), "given up are {given_up:?}");
    }
    Ok(())
}

async fn mail_whose_response_was_lost_is_sent_again_as_the_same(fixture: Arc<Fixture>) -> Result {
    let before = fixture.held_by(FAILURES).await?;
    for (after_doing, expected) in [(false, 1), (true, 2)] {
        let tester = fixture.customer().await?;
        fixture
            .cloud
            .mail()
            .fault(MailFault::new("MESSAGE", MailEffect::Close { after_doing }));
        record(&fixture, &[event(&tester, KIND)]).await?;
        let mails = mails_reach(&fixture, &tester.customer.email, expected).await?;
        let mut ids: Vec<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
        ids.dedup();
        ensure_eq!(ids.len(), 1, "a mail program shows it once");
        mails_pass(&fixture).await?;
        mails_reach(&fixture, &tester.customer.email, expected).await?;
    }
    ensure_eq!(fixture.held_by(FAILURES).await?, before);
    Ok(())
}

/// More refusals than any number of tries: the mail goes out in the end, and once.
async fn mail_waits_while_the_sign_in_is_wrong(fixture: Arc<Fixture>) -> Result {
    let before = fixture.held_by(FAILURES).await?;
    for (step, status) in [("AUTH", 535), ("MAIL", 530)] {
        let tester = fixture.customer().await?;
        let fault = MailFault::new(step, MailEffect::Refuse { status });
        fixture.cloud.mail().fault(fault.times(12));
        record(&fixture, &[event(&tester, KIND)]).await?;
        mails_reach(&fixture, &tester.customer.email, 1).await?;
        mails_pass(&fixture).await?;
        mails_reach(&fixture, &tester.customer.email, 1).await?;
    }
    ensure_eq!(fixture.held_by(FAILURES).await?, before);
    Ok(())
}
