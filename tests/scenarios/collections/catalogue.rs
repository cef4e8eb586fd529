//! Collections come from the company's catalogue service; what can be traded comes from the broker.

use std::sync::Arc;

use anyhow::Context;
use end_to_end::collections::weight;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        collection_is_put_once_and_its_models_are_kept,
        collection_with_bad_weights_or_names_is_refused,
        collections_are_listed_by_id,
        alone(recommended_weights_are_those_of_what_can_be_traded),
    ]
}

fn put_body(id: i64, weights: &[(&str, i64)]) -> Value {
    let weights: Vec<Value> = weights.iter().map(weight).collect();
    json!({ "name": "Clean energy", "uniq_id": format!("ttf-put-{id}"), "weights": weights })
}

async fn models(fixture: &Fixture, id: i64) -> Result<i64> {
    let sql = "SELECT count(DISTINCT model) FROM collection_weights WHERE collection_id = $1";
    fixture.database.count(sql, id).await
}

async fn collection_is_put_once_and_its_models_are_kept(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let service = fixture.api(Some(json!({ "scope": "internal" })))?;
    let id = 101;
    let path = format!("/trading/collections/{id}");
    let first = put_body(id, &[("ENPH", 5_000), ("FSLR", 5_000)]);
    let put = service.put(&path, &first).await?.expect(201)?;
    ensure_eq!(put.body["weights"], first["weights"]);
    let again = service.put(&path, &first).await?.expect(200)?;
    ensure_eq!(again.body, put.body, "the same again changes nothing");
    ensure_eq!(models(&fixture, id).await?, 1);

    // In sum 1.01, and in other letters.
    let weights = json!([{ "symbol": "brk-b", "weight": "0.51" }, { "symbol": "fslr", "weight": "0.5" }]);
    let mut second = first.clone();
    second["weights"] = weights;
    second["name"] = json!("Value");
    let put = service.put(&path, &second).await?.expect(200)?;
    let expected = json!([{ "symbol": "BRK.B", "weight": "0.505" }, { "symbol": "FSLR", "weight": "0.495" }]);
    ensure_eq!(put.body["weights"], expected);
    ensure_eq!(put.body["name"], "Value");
    ensure_eq!(models(&fixture, id).await?, 2, "the model of before is kept");

    let other = "/trading/collections/102";
    let taken = service.put(other, &first).await?;
    taken.expect_problem(409, "uniq-id-taken")?;
    Ok(())
}

async fn collection_with_bad_weights_or_names_is_refused(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let service = fixture.api(Some(json!({ "scope": "internal" })))?;
    let one = |symbol: &str, weight: &str| json!({ "symbol": symbol, "weight": weight });
    let cases = [
        (json!([]), "weights"),
        (json!([one("ENPH", "0.9899")]), "weights"),
        (json!([one("ENPH", "1.0101")]), "weights"),
        (json!([one("ENPH", "0"), one("NEE", "1")]), "weights[0].weight"),
        (
            json!([one("ENPH", "-0.5"), one("NEE", "1.5")]),
            "weights[0].weight",
        ),
        (
            json!([one("AAPL", "0.5"), one("aapl", "0.5")]),
            "weights[1].symbol",
        ),
        (
            json!([one("BRK.B", "0.5"), one("BRK-B", "0.5")]),
            "weights[1].symbol",
        ),
        (
            json!([one("ENPH", "0.99996"), one("NEE", "0.00004")]),
            "weights[1].weight",
        ),
    ];
    for (weights, field) in cases {
        let body = json!({ "name": "A", "uniq_id": "ttf-bad", "weights": weights });
        let refused = service.put("/trading/collections/103", &body).await?;
        let refused = refused.expect_problem(422, "invalid-weights")?;
        ensure_eq!(refused.body["errors"][0]["field"], field, "{weights}");
    }
    for (name, uniq_id) in [("", "a"), (" a", "a"), ("a", ""), ("a", "a b"), ("a", "ä")] {
        let body = json!({ "name": name, "uniq_id": uniq_id, "weights": [one("ENPH", "1")] });
        service
            .put("/trading/collections/103", &body)
            .await?
            .expect(422)?;
    }
    let sql = "SELECT count(*) FROM collections WHERE id = $1";
    ensure_eq!(fixture.database.count(sql, 103).await?, 0);
    Ok(())
}

async fn collections_are_listed_by_id(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let tester = fixture.customer().await?;
    let (first, second) = (
        fixture.collection(&[("ENPH", 10_000)]).await?,
        fixture.collection(&[("NEE", 4_000), ("AAPL", 6_000)]).await?,
    );
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let path = format!("/trading/collections?limit=1{cursor}");
        let page = tester.api.get(&path).await?.expect(200)?.body;
        seen.extend(page["items"].as_array().cloned().context("no items")?);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let ids: Vec<i64> = seen.iter().filter_map(|item| item["id"].as_i64()).collect();
    anyhow::ensure!(
        ids.is_sorted() && ids.contains(&first) && ids.contains(&second),
        "{ids:?}"
    );
    let second = seen
        .iter()
        .find(|item| item["id"] == second)
        .context("it isn't listed")?;
    ensure_eq!(
        second["weights"],
        json!([weight(&("NEE", 4_000)), weight(&("AAPL", 6_000))]).clone()
    );
    Ok(())
}

async fn recommended_weights_are_those_of_what_can_be_traded(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let tester = fixture.customer().await?;
    // TWTR isn't traded any more, BRK.A only in whole shares.
    let parts = [("ENPH", 2_500), ("TWTR", 2_500), ("BRK.A", 2_500), ("NEE", 2_500)];
    let id = fixture.collection(&parts).await?;
    let path = format!("/trading/collections/{id}/recommended-weights");
    let recommended =
        async || Ok::<_, anyhow::Error>(tester.api.get(&path).await?.expect(200)?.body["weights"].clone());
    ensure_eq!(
        recommended().await?,
        json!([{ "symbol": "ENPH", "weight": "0.5" }, { "symbol": "NEE", "weight": "0.5" }])
    );

    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.set_instrument_status("NEE", "INACTIVE");
    eventually("the event takes NEE out", async || {
        ensure_eq!(recommended().await?, json!([{ "symbol": "ENPH", "weight": "1" }]));
        Ok(())
    })
    .await?;
    drivewealth.set_instrument_status("ENPH", "INACTIVE");
    eventually("nothing is left", async || {
        ensure_eq!(recommended().await?, json!([]));
        Ok(())
    })
    .await?;
    // The events are lost; the daily list tells the same.
    drivewealth.hold_events(true);
    for symbol in ["NEE", "ENPH"] {
        drivewealth.set_instrument_status(symbol, "ACTIVE");
    }
    drivewealth.drop_held_events();
    drivewealth.hold_events(false);
    let report = fixture.run("refresh_instruments", json!({})).await?.payload;
    ensure_eq!(report["skipped"], 0, "{report}");
    ensure_eq!(
        recommended().await?,
        json!([{ "symbol": "ENPH", "weight": "0.5" }, { "symbol": "NEE", "weight": "0.5" }])
    );
    let unknown = tester
        .api
        .get("/trading/collections/999999/recommended-weights")
        .await?;
    unknown.expect_problem(404, "collection-not-found")?;
    Ok(())
}
