//! Profiles, and the form of the identity check.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, newcomer::whole_form, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        profile_is_brought_in_once_and_kept_up_to_date,
        form_of_an_unknown_profile_is_not_found,
        form_is_filled_in_in_parts,
        form_names_everything_that_is_wrong_at_once,
        form_says_what_it_needs_and_proposes_what_is_known,
        tax_id_is_masked_sealed_and_in_no_log,
        form_of_an_approved_customer_is_locked,
    ]
}

/// The names of the fields that a problem is about.
fn named(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["field"].as_str()).collect()
}

async fn profile_is_brought_in_once_and_kept_up_to_date(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let service = fixture.api(Some(json!({ "scope": "internal" })))?;
    let path = format!("/profiles/{}", newcomer.profile_id);
    let language = json!({ "language": "de" });
    let set = newcomer
        .api
        .put("/profile/language", &language)
        .await?
        .expect(200)?;
    ensure_eq!(set.body["language"], "de");
    let person = json!({ "email": "new@example.com", "first_name": "Ada", "last_name": "Example" });
    for _ in 0..2 {
        let put = service.put(&path, &person).await?.expect(200)?;
        ensure_eq!(put.body["language"], "de", "what the person has chosen stays");
        ensure_eq!(put.body["email"], "new@example.com");
    }
    let wrong = json!({ "email": "nobody", "first_name": "Ada", "last_name": "Example" });
    let refused = service
        .put(&path, &wrong)
        .await?
        .expect_problem(422, "invalid-value")?;
    ensure_eq!(named(&refused.body), ["email"]);
    newcomer.api.put(&path, &person).await?.expect(403)?;
    Ok(())
}

async fn form_of_an_unknown_profile_is_not_found(fixture: Arc<Fixture>) -> Result {
    let nobody = fixture.api(Some(json!({ "profile_id": 999_999_999_i64 })))?;
    for path in ["/trading/kyc/form", "/trading/kyc/form-config"] {
        nobody.get(path).await?.expect_problem(404, "profile-not-found")?;
    }
    let given = json!({ "first_name": "Ada" });
    nobody
        .put("/trading/kyc/form", &given)
        .await?
        .expect_problem(404, "profile-not-found")?;
    Ok(())
}

async fn form_is_filled_in_in_parts(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let form = newcomer.form().await?;
    ensure_eq!(
        (&form["status"], &form["is_locked"]),
        (&json!("not_ready"), &json!(false))
    );
    let first = json!({ "first_name": " Grace ", "address_street2": "Apt 1", "is_us_tax_payer": false });
    newcomer.put_form(&first).await?.expect(200)?;
    let second = json!({ "last_name": "Example", "first_name": null, "address_street2": "" });
    let after = newcomer.put_form(&second).await?.expect(200)?;
    for form in [&after.body, &newcomer.form().await?] {
        let form = &form["form"];
        ensure_eq!(
            (&form["first_name"], &form["last_name"]),
            (&json!("Grace"), &json!("Example"))
        );
        ensure_eq!(
            (&form["is_us_tax_payer"], &form["address_street2"]),
            (&json!(false), &Value::Null)
        );
    }
    let whole = newcomer
        .put_form(&whole_form(&newcomer.phone, "Example"))
        .await?
        .expect(200)?;
    ensure_eq!(whole.body["missing"], json!([]));
    let working = json!({ "employment_status": "STUDENT" });
    newcomer.put_form(&working).await?.expect(200)?;
    Ok(())
}

async fn form_names_everything_that_is_wrong_at_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let wrong = json!({
        "first_name": "a".repeat(37), "country": "IRN", "birthdate": "2020-01-01", "address_street1": "P.O. Box 12",
        "tax_id_type": "other", "investor_profile_annual_income": -1, "email_address": "nobody", "last_name": "Example",
    });
    let refused = newcomer
        .put_form(&wrong)
        .await?
        .expect_problem(422, "invalid-kyc-form")?;
    let mut fields = named(&refused.body);
    fields.sort_unstable();
    let expected = [
        "address_street1",
        "birthdate",
        "country",
        "email_address",
        "first_name",
        "investor_profile_annual_income",
        "tax_id_type",
    ];
    ensure_eq!(fields, expected);
    ensure_eq!(
        newcomer.form().await?["form"]["last_name"],
        Value::Null,
        "nothing is saved"
    );
    Ok(())
}

async fn form_says_what_it_needs_and_proposes_what_is_known(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let config = newcomer.api.get("/trading/kyc/form-config").await?.expect(200)?;
    let fields = config.body["fields"].as_array().context("no fields")?;
    let field = |name: &str| {
        let found = fields.iter().find(|field| field["name"] == name);
        found.with_context(|| format!("no field {name}"))
    };
    let count = |name: &str| Ok::<_, anyhow::Error>(field(name)?["choices"].as_array().map_or(0, Vec::len));
    ensure_eq!(
        (
            count("country")?,
            count("employment_position")?,
            count("address_province")?
        ),
        (232, 89, 51)
    );
    for name in [
        "phone_number",
        "is_us_tax_payer",
        "tax_treaty_with_us",
        "politically_exposed_names",
        "disclosures_drivewealth_data_sharing",
    ] {
        ensure_eq!(field(name)?["required"], true, "{name}");
    }
    ensure_eq!(field("gender")?["required"], false);
    ensure_eq!(field("employment_company_name")?["required"], false);
    ensure_eq!(field("first_name")?["placeholder"], "Grace");
    let url = config.body["disclosures_url"].as_str().unwrap_or_default();
    ensure!(
        url.starts_with("https://apps.drivewealth.com/disclosures?citizenship=USA&"),
        "{url}"
    );
    newcomer
        .put_form(&json!({ "employment_status": "EMPLOYED" }))
        .await?
        .expect(200)?;
    let config = newcomer.api.get("/trading/kyc/form-config").await?.expect(200)?;
    let needed = config.body["fields"].as_array().into_iter().flatten();
    let needed = needed.filter(|field| field["required"] == true).count();
    ensure_eq!(
        needed,
        33 + 3,
        "those who work name their company, its kind and their position"
    );
    Ok(())
}

async fn tax_id_is_masked_sealed_and_in_no_log(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let given = json!({ "tax_id_type": "TIN", "tax_id_value": "987-65-4329" });
    let put = newcomer.put_form(&given).await?.expect(200)?;
    ensure_eq!(put.body["form"]["tax_id_type"], "US_TIN", "an older name is read");
    let form = newcomer.form().await?;
    ensure_eq!(form["form"]["tax_id_value"], "*****4329");
    let sealed = async || -> Result<Vec<u8>> {
        let sql = "SELECT tax_id_sealed FROM kyc_forms WHERE profile_id = $1";
        let sealed = sqlx::query_scalar(sql).bind(newcomer.profile_id);
        Ok(sealed.fetch_one(fixture.database.pool()).await?)
    };
    let before = sealed().await?;
    newcomer.put_form(&form["form"]).await?.expect(200)?;
    ensure_eq!(
        sealed().await?,
        before,
        "what is shown, sent back, changes nothing"
    );
    let other = json!({ "tax_id_value": "*****4321" });
    let refused = newcomer
        .put_form(&other)
        .await?
        .expect_problem(422, "invalid-kyc-form")?;
    ensure_eq!(named(&refused.body), ["tax_id_value"]);
    let whole: Vec<String> =
        sqlx::query_scalar("SELECT to_jsonb(kyc_forms)::TEXT FROM kyc_forms WHERE profile_id = $1")
            .bind(newcomer.profile_id)
            .fetch_all(fixture.database.pool())
            .await?;
    let logs = ["put_kyc_form", "get_kyc_form"]
        .map(|name| fixture.cloud.logs(name))
        .concat();
    for text in whole.iter().chain(&logs) {
        ensure!(
            !text.contains("987-65-4329") && !text.contains("987654329"),
            "a tax id in {text}"
        );
    }
    Ok(())
}

async fn form_of_an_approved_customer_is_locked(fixture: Arc<Fixture>) -> Result {
    let customer = fixture.customer().await?;
    let given = json!({ "first_name": "Another" });
    let put = customer.api.put("/trading/kyc/form", &given).await?;
    put.expect_problem(409, "kyc-form-locked")?;
    let form = customer.api.get("/trading/kyc/form").await?.expect(200)?;
    ensure_eq!(
        (&form.body["status"], &form.body["is_locked"]),
        (&json!("approved"), &json!(true))
    );
    Ok(())
}
