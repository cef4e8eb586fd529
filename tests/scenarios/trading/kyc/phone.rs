//! Phones, and the codes that prove them.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::join_all;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        phone_is_proved_by_its_newest_code_once,
        code_is_worth_five_tries,
        codes_asked_for_at_once_are_one,
        code_of_somebody_else_proves_nothing,
        number_that_can_not_be_one_gets_no_code,
        alone(code_that_can_not_be_sent_may_be_asked_for_again_at_once),
        alone(number_that_is_refused_is_told),
    ]
}

async fn phone_is_proved_by_its_newest_code_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer
        .verify("123456")
        .await?
        .expect_problem(422, "phone-code-not-sent")?;
    let given = json!({ "phone_number": newcomer.phone });
    let form = newcomer.put_form(&given).await?.expect(200)?;
    ensure_eq!(form.body["phone_is_verified"], false);
    newcomer.send_code().await?.expect(201)?;
    let refused = newcomer
        .send_code()
        .await?
        .expect_problem(409, "phone-code-too-soon")?;
    ensure!(refused.text.contains("seconds"), "{}", refused.text);
    let code = fixture.code_of(&newcomer.phone)?;
    newcomer.verify(&code).await?.expect(201)?;
    ensure_eq!(newcomer.form().await?["phone_is_verified"], true);
    newcomer
        .verify(&code)
        .await?
        .expect_problem(422, "phone-code-used")?;
    ensure_eq!(fixture.cloud.sms().messages_to(&newcomer.phone).len(), 1);
    Ok(())
}

async fn code_is_worth_five_tries(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.send_code().await?.expect(201)?;
    let code = fixture.code_of(&newcomer.phone)?;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let tries = join_all((0..7).map(|_| newcomer.verify(wrong))).await;
    let mut codes = Vec::new();
    for answer in tries {
        codes.push(
            answer?.expect(422)?.body["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    codes.sort();
    let expected = [["phone-code-exhausted"; 2].as_slice(), &["phone-code-wrong"; 5]].concat();
    ensure_eq!(codes, expected, "seven tries at once");
    newcomer
        .verify(&code)
        .await?
        .expect_problem(422, "phone-code-exhausted")?;
    Ok(())
}

async fn codes_asked_for_at_once_are_one(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let answers = join_all((0..4).map(|_| newcomer.send_code())).await;
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer?.status);
    }
    statuses.sort_unstable();
    ensure_eq!(statuses, [201, 409, 409, 409]);
    ensure_eq!(fixture.cloud.sms().messages_to(&newcomer.phone).len(), 1);
    Ok(())
}

async fn code_of_somebody_else_proves_nothing(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.send_code().await?.expect(201)?;
    let code = fixture.code_of(&newcomer.phone)?;
    let mut other = fixture.newcomer().await?;
    other.phone.clone_from(&newcomer.phone);
    other
        .verify(&code)
        .await?
        .expect_problem(422, "phone-code-not-sent")?;
    Ok(())
}

async fn number_that_can_not_be_one_gets_no_code(fixture: Arc<Fixture>) -> Result {
    let mut newcomer = fixture.newcomer().await?;
    for number in [
        "",
        "2025550123",
        "+442071838750",
        "+1202555012",
        "+10025550123",
        "+1202555012x",
    ] {
        number.clone_into(&mut newcomer.phone);
        let refused = newcomer.send_code().await?.expect_problem(422, "invalid-value")?;
        ensure_eq!(refused.body["errors"][0]["field"], "phone_number", "{number}");
    }
    Ok(())
}

async fn code_that_can_not_be_sent_may_be_asked_for_again_at_once(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let effect = Effect::Refuse {
        status: 500,
        error_code: "InternalError".to_owned(),
        message: "not now".to_owned(),
    };
    // As often as the SDK tries.
    fixture
        .cloud
        .sms()
        .fault(Fault::new("POST", "/", effect).times(3));
    newcomer.send_code().await?.expect(503)?;
    fixture.cloud.sms().clear_faults();
    newcomer.prove_phone(&fixture).await
}

async fn number_that_is_refused_is_told(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let effect = Effect::Refuse {
        status: 400,
        error_code: "InvalidParameter".to_owned(),
        message: "Invalid parameter: PhoneNumber".to_owned(),
    };
    fixture.cloud.sms().fault(Fault::new("POST", "/", effect));
    newcomer
        .send_code()
        .await?
        .expect_problem(422, "phone-not-reachable")?;
    Ok(())
}
