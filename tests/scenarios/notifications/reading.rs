//! Reading: what was read, what is left, and a count that is right whatever comes meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Answer, Fixture, Result, Scenario, Tester, ensure_eq, scenarios, send_until_answered};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::{arrival, record};

const DAY_SECONDS: i64 = 86_400;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        notification_marked_twice_is_counted_once,
        ids_of_others_and_unknown_ids_are_skipped,
        older_notifications_are_marked_all_at_once,
        request_that_names_ids_and_a_bound_is_refused,
        unread_count_is_right_under_a_thousand_arrivals_and_marks,
        notification_that_expires_unread_leaves_the_count,
    ]
}

async fn mark(tester: &Tester, body: &Value) -> Result<Answer> {
    tester.api.post("/notifications/read", "unused", body).await
}

fn ids<'a>(feed: impl IntoIterator<Item = &'a Value>) -> Vec<&'a Value> {
    feed.into_iter().map(|item| &item["id"]).collect()
}

async fn recorded(fixture: &Fixture, tester: &Tester, count: usize) -> Result<Vec<Value>> {
    let events: Vec<Value> = (0..count).map(|_| arrival(tester)).collect();
    record(fixture, &events).await?;
    tester.feed_reaches(count).await
}

async fn notification_marked_twice_is_counted_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let feed = recorded(&fixture, &tester, 5).await?;
    let some = json!({ "ids": ids(&feed[1..3]) });
    for _ in 0..3 {
        let answer = mark(&tester, &some).await?.expect(200)?;
        ensure_eq!(answer.body, json!({ "unread": 3, "complete": true }));
        ensure_eq!(tester.unread().await?, 3);
    }
    // The same one several times in one request is one.
    let twice = json!({ "ids": [feed[0]["id"], feed[0]["id"], feed[1]["id"]] });
    ensure_eq!(mark(&tester, &twice).await?.expect(200)?.body["unread"], json!(2));
    let read: Vec<bool> = tester
        .feed()
        .await?
        .iter()
        .filter_map(|item| item["read"].as_bool())
        .collect();
    ensure_eq!(read, [true, true, true, false, false]);
    Ok(())
}

async fn ids_of_others_and_unknown_ids_are_skipped(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let feed = recorded(&fixture, &tester, 2).await?;
    let foreign = recorded(&fixture, &other, 2).await?;
    let body =
        json!({ "ids": [foreign[0]["id"], "01ARZ3NDEKTSV4RRFFQ69G5FAV", feed[0]["id"], foreign[1]["id"]] });
    let answer = mark(&tester, &body).await?.expect(200)?;
    ensure_eq!(answer.body, json!({ "unread": 1, "complete": true }));
    ensure_eq!(other.unread().await?, 2);
    ensure!(
        other.feed().await?.iter().all(|item| item["read"] == false),
        "another's is read"
    );
    let unknown = json!({ "up_to": "00000000000000000000000000" });
    ensure_eq!(
        mark(&tester, &unknown).await?.expect(200)?.body["unread"],
        json!(1)
    );
    Ok(())
}

async fn older_notifications_are_marked_all_at_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let feed = recorded(&fixture, &tester, 60).await?;
    mark(&tester, &json!({ "ids": [feed[30]["id"]] }))
        .await?
        .expect(200)?;
    let body = json!({ "up_to": feed[9]["id"] });
    for _ in 0..2 {
        let answer = mark(&tester, &body).await?.expect(200)?;
        ensure_eq!(answer.body, json!({ "unread": 9, "complete": true }));
    }
    let feed = tester.feed().await?;
    let unread = feed.iter().take_while(|item| item["read"] == false).count();
    ensure_eq!(unread, 9);
    let newest = json!({ "up_to": feed[0]["id"] });
    ensure_eq!(
        mark(&tester, &newest).await?.expect(200)?.body["unread"],
        json!(0)
    );
    Ok(())
}

async fn request_that_names_ids_and_a_bound_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for body in [
        json!({}),
        json!({ "ids": null, "up_to": null }),
        json!({ "ids": [id], "up_to": id }),
        json!({ "ids": [] }),
        json!({ "ids": vec![id; 101] }),
    ] {
        let answer = mark(&tester, &body).await?.expect_problem(422, "invalid-value")?;
        ensure_eq!(answer.body["errors"][0]["field"], json!("ids"), "{body}");
    }
    for (body, field) in [
        (json!({ "ids": ["no ulid"] }), "ids[0]"),
        (json!({ "up_to": "01arz3ndektsv4rrffq69g5fav" }), "up_to"),
        (json!({ "ids": id }), "ids"),
        (json!({ "up_to": id, "profile_id": 1 }), "profile_id"),
    ] {
        let answer = mark(&tester, &body)
            .await?
            .expect_problem(400, "malformed-request")?;
        ensure_eq!(answer.body["errors"][0]["field"], json!(field), "{body}");
    }
    Ok(())
}

/// All unread ones that the list has, page by page.
async fn listed_unread(tester: &Tester) -> Result<usize> {
    let (mut count, mut path) = (0, "/notifications?unread=true&limit=100".to_owned());
    for _ in 0..200 {
        let page = tester.api.get(&path).await?.expect(200)?.body;
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/notifications?unread=true&limit=100&cursor={cursor}"),
            None => return Ok(count),
        }
    }
    anyhow::bail!("the list has no end")
}

async fn unread_count_is_right_under_a_thousand_arrivals_and_marks(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let over = AtomicBool::new(false);
    let arrivals = async {
        let batches = (0..100).map(|_| (0..10).map(|_| arrival(&tester)).collect::<Vec<_>>());
        let fixture = &fixture;
        let recorded = futures::stream::iter(batches)
            .map(|batch| async move { record(fixture, &batch).await })
            .buffer_unordered(8)
            .try_collect::<Vec<()>>()
            .await;
        over.store(true, Ordering::Relaxed);
        recorded.map(|_| ())
    };
    // Several phones of one person mark the same ones at the same time.
    let marks = (0..4).map(async |phone| {
        let mut rounds = 0;
        while !over.load(Ordering::Relaxed) {
            let page = tester
                .api
                .get("/notifications?unread=true&limit=30")
                .await?
                .expect(200)?;
            let items = page.body["items"].as_array().cloned().unwrap_or_default();
            let Some(newest) = items.first() else { continue };
            let body = if phone == 0 && rounds % 5 == 4 {
                json!({ "up_to": newest["id"] })
            } else {
                json!({ "ids": ids(items.iter().skip(phone)) })
            };
            let answer = send_until_answered("marks", async || mark(&tester, &body).await).await?;
            ensure!([200, 422].contains(&answer.status), "{}", answer.text);
            rounds += 1;
        }
        Ok(rounds)
    });
    let (recorded, rounds) = futures::join!(arrivals, futures::future::try_join_all(marks));
    recorded?;
    let rounds: i32 = rounds?.into_iter().sum();
    ensure!(rounds > 10, "only {rounds} marks beside the arrivals");
    let unread = usize::try_from(tester.unread().await?)?;
    ensure_eq!(unread, listed_unread(&tester).await?, "after {rounds} marks");
    ensure!(unread < 1_000, "nothing was marked");

    // What is left is marked to its end.
    let newest = tester.feed().await?.first().context("no feed")?["id"].clone();
    let answer = mark(&tester, &json!({ "up_to": newest })).await?.expect(200)?;
    ensure_eq!(answer.body, json!({ "unread": 0, "complete": true }));
    ensure_eq!(listed_unread(&tester).await?, 0);
    Ok(())
}

/// Lets an item be of a day that is over, as it is a year later: its time to live and its place in the counter.
async fn age(fixture: &Fixture, tester: &Tester, id: &Value) -> Result<String> {
    let table = fixture.cloud.table("notifications")?;
    let profile = AttributeValue::S(format!("profile#{}", tester.customer.profile_id));
    let sort = AttributeValue::S(format!("feed#{}", id.as_str().context("no id")?));
    let dynamodb = fixture.cloud.dynamodb();
    let get = dynamodb.get_item().table_name(&table).key("pk", profile.clone());
    let item = get
        .key("sk", sort.clone())
        .send()
        .await?
        .item
        .context("no item")?;
    let expires_at = item
        .get("expires_at")
        .and_then(|at| at.as_n().ok())
        .context("no expiry")?;
    let expires_at: i64 = expires_at.parse()?;
    ensure_eq!(expires_at % DAY_SECONDS, 0, "it expires at midnight");
    let today = chrono::Utc::now().timestamp() / DAY_SECONDS;
    let update = dynamodb
        .update_item()
        .table_name(&table)
        .key("pk", profile.clone());
    update
        .key("sk", sort)
        .update_expression("SET expires_at = :at")
        .expression_attribute_values(":at", AttributeValue::N((today * DAY_SECONDS).to_string()))
        .send()
        .await?;
    let past = format!("d{today}");
    let update = dynamodb.update_item().table_name(&table).key("pk", profile);
    update
        .key("sk", AttributeValue::S("counter".to_owned()))
        .update_expression("ADD #then :less, #past :more")
        .expression_attribute_names("#then", format!("d{}", expires_at / DAY_SECONDS))
        .expression_attribute_names("#past", &past)
        .expression_attribute_values(":less", AttributeValue::N("-1".to_owned()))
        .expression_attribute_values(":more", AttributeValue::N("1".to_owned()))
        .send()
        .await?;
    Ok(past)
}

async fn notification_that_expires_unread_leaves_the_count(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let feed = recorded(&fixture, &tester, 3).await?;
    let past = age(&fixture, &tester, &feed[2]["id"]).await?;
    // It is out of both at the same moment, while the table still has it.
    ensure_eq!(tester.unread().await?, 2);
    ensure_eq!(tester.feed().await?.len(), 2);
    let answer = mark(&tester, &json!({ "ids": [feed[2]["id"]] }))
        .await?
        .expect(200)?;
    ensure_eq!(answer.body["unread"], json!(2));
    let answer = mark(&tester, &json!({ "up_to": feed[0]["id"] }))
        .await?
        .expect(200)?;
    ensure_eq!(answer.body["unread"], json!(0));
    let get = fixture
        .cloud
        .dynamodb()
        .get_item()
        .table_name(fixture.cloud.table("notifications")?);
    let profile = format!("profile#{}", tester.customer.profile_id);
    let counter = get
        .key("pk", AttributeValue::S(profile))
        .key("sk", AttributeValue::S("counter".to_owned()))
        .send()
        .await?;
    let counter = counter.item.context("no counter")?;
    ensure!(
        !counter.contains_key(&past),
        "the day that is over is still counted: {counter:?}"
    );
    Ok(())
}
