//! What comes of a charge.

use chrono::DateTime;
use domain::commissions::decline::DeclineKind;
use domain::currency::Currency;
use domain::ids::{InvoiceId, ProfileId, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
use domain::money::Money;
use serde_json::{Value, json};

use super::super::{
    CURRENCY_NOT_SUPPORTED, ChargeRequest, INTENT_UNEXPECTED_STATE, IntentStatus, PaymentIntent,
};
use super::server::{Reply, Server, soon};
use super::{error, intent, list, refused_intent, with};
use crate::outcome::Outcome;

fn charge() -> ChargeRequest {
    ChargeRequest {
        customer: StripeCustomerId::parse("cus_1").unwrap(),
        payment_method: StripePaymentMethodId::parse("pm_1").unwrap(),
        amount: Money::new(1234, Currency::USD),
        description: "Commission for 2026-09".to_owned(),
        invoice_id: InvoiceId::new(11).unwrap(),
        attempt_key: "invoice-11-1".to_owned(),
        profile_id: ProfileId::new(7).unwrap(),
    }
}

/// The lane and what stands in it.
fn shown(outcome: &Outcome<PaymentIntent>) -> String {
    match outcome {
        Outcome::Done(reading) => format!("done {:?}", reading.status),
        Outcome::Declined(decline) => format!("declined {}", decline.code),
        Outcome::Retryable(_) => "retryable".to_owned(),
        Outcome::Unknown(_) => "unknown".to_owned(),
    }
}

fn card_error(intent: Value) -> Value {
    let mut body = error("card_error", Some("card_declined"));
    body["error"]["payment_intent"] = intent;
    body
}

#[tokio::test]
async fn a_charge_is_one_request_with_its_key_and_its_version() {
    let server = Server::start(vec![Reply::Json(200, intent("succeeded"))]).await;
    let Outcome::Done(reading) = server.stripe.charge(&charge(), soon()).await else {
        panic!("it isn't done");
    };
    assert_eq!(reading.status, IntentStatus::Succeeded);
    assert_eq!(reading.amount, Money::new(1234, Currency::USD));
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\n\n").unwrap();
    for line in [
        "POST /v1/payment_intents HTTP/1.1",
        "authorization: Bearer sk_test_1",
        "stripe-version: 2026-09-30.endive",
        "idempotency-key: invoice-11-1",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    let mut fields: Vec<&str> = body.split('&').collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "amount=1234",
            "automatic_payment_methods[allow_redirects]=never",
            "automatic_payment_methods[enabled]=true",
            "confirm=true",
            "currency=usd",
            "customer=cus_1",
            "description=Commission for 2026-09",
            "metadata[invoice_id]=11",
            "metadata[moneta_attempt]=invoice-11-1",
            "metadata[profile_id]=7",
            "off_session=true",
            "payment_method=pm_1",
        ]
    );
}

#[tokio::test]
async fn a_response_gives_the_outcome_of_its_status_and_code() {
    let authentication = card_error(refused_intent("authentication_required"));
    let without_form = json!({"message": "forbidden"});
    for (reply, expected, attempts) in [
        (Reply::Json(200, intent("succeeded")), "done Succeeded", 1),
        (Reply::Json(200, intent("processing")), "done Processing", 1),
        (
            Reply::Json(200, intent("requires_action")),
            "done RequiresAction",
            1,
        ),
        (
            Reply::Json(402, card_error(refused_intent("insufficient_funds"))),
            "done Failed",
            1,
        ),
        (Reply::Json(402, authentication), "done RequiresAction", 1),
        (
            Reply::Json(402, error("card_error", Some("expired_card"))),
            "declined expired_card",
            1,
        ),
        (
            Reply::Json(400, error("invalid_request_error", Some("resource_missing"))),
            "declined resource_missing",
            1,
        ),
        (
            Reply::Json(
                400,
                error("invalid_request_error", Some("payment_method_unexpected_state")),
            ),
            "declined payment_method_unexpected_state",
            1,
        ),
        (
            Reply::Json(400, error("invalid_request_error", None)),
            "declined invalid_request_error",
            1,
        ),
        (
            Reply::Json(400, error("idempotency_error", None)),
            "declined idempotency_error",
            1,
        ),
        (
            Reply::Json(401, error("invalid_request_error", None)),
            "retryable",
            1,
        ),
        (
            Reply::Json(403, error("invalid_request_error", None)),
            "retryable",
            1,
        ),
        (
            Reply::Header(
                429,
                "Retry-After: 9",
                error("invalid_request_error", Some("rate_limit")),
            ),
            "retryable",
            1,
        ),
        (Reply::Json(403, without_form), "unknown", 1),
        (Reply::Json(404, Value::Null), "unknown", 1),
        (Reply::Json(408, error("api_error", None)), "unknown", 1),
        (Reply::Json(424, error("api_error", None)), "unknown", 1),
        (Reply::Json(500, error("api_error", None)), "unknown", 1),
        (
            Reply::Header(500, "Idempotent-Replayed: true", error("api_error", None)),
            "unknown",
            1,
        ),
        (Reply::Text(502, "<html>"), "unknown", 1),
        (Reply::Text(200, "<html>"), "unknown", 1),
        (Reply::Json(200, json!({"id": "pi_1"})), "unknown", 1),
        (
            Reply::Json(200, with(intent("succeeded"), json!({"amount": 12.5}))),
            "unknown",
            1,
        ),
        (Reply::Json(402, card_error(json!({"id": "pi_1"}))), "unknown", 1),
        (Reply::Json(301, Value::Null), "unknown", 1),
        (Reply::Reset, "unknown", 1),
        (Reply::Silence, "unknown", 1),
    ] {
        let server = Server::start(vec![reply]).await;
        let outcome = server.stripe.charge(&charge(), soon()).await;
        assert_eq!(shown(&outcome), expected, "{outcome:?}");
        assert_eq!(server.requests().len(), attempts, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_charge_that_was_never_sent_is_retryable() {
    let server = Server::start(Vec::new()).await;
    tokio::task::yield_now().await;
    let outcome = server.stripe.charge(&charge(), soon()).await;
    assert_eq!(shown(&outcome), "retryable");
}

#[tokio::test]
async fn a_charge_that_is_not_done_yet_is_sent_again_with_the_same_key() {
    let rate_limit = || error("invalid_request_error", Some("rate_limit"));
    let in_use = || error("idempotency_error", Some("idempotency_key_in_use"));
    for first in [Reply::Json(429, rate_limit()), Reply::Json(409, in_use())] {
        let server = Server::start(vec![first, Reply::Json(200, intent("succeeded"))]).await;
        let outcome = server.stripe.charge(&charge(), soon()).await;
        assert_eq!(shown(&outcome), "done Succeeded");
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert!(
            requests
                .iter()
                .all(|request| request.contains("idempotency-key: invoice-11-1\n"))
        );
    }
}

#[tokio::test]
async fn a_charge_whose_key_is_in_use_is_unknown() {
    let in_use = || Reply::Json(409, error("idempotency_error", Some("idempotency_key_in_use")));
    // The second time there is no response at all: the first response stands.
    for replies in [vec![in_use(), in_use(), in_use()], vec![in_use()]] {
        let server = Server::start(replies).await;
        let outcome = server.stripe.charge(&charge(), soon()).await;
        assert_eq!(shown(&outcome), "unknown", "{outcome:?}");
    }
}

#[tokio::test]
async fn a_replayed_response_is_fetched_anew_unless_it_is_final() {
    const REPLAYED: &str = "Idempotent-Replayed: true";
    let failed = || card_error(refused_intent("authentication_required"));
    for (replies, expected) in [
        (
            vec![Reply::Header(200, REPLAYED, intent("succeeded"))],
            "done Succeeded",
        ),
        (
            vec![
                Reply::Header(402, REPLAYED, failed()),
                Reply::Json(200, intent("succeeded")),
            ],
            "done Succeeded",
        ),
        (
            vec![
                Reply::Header(200, REPLAYED, intent("processing")),
                Reply::Json(200, refused_intent("insufficient_funds")),
            ],
            "done Failed",
        ),
        (vec![Reply::Header(402, REPLAYED, failed())], "unknown"),
        (
            vec![
                Reply::Header(402, REPLAYED, failed()),
                Reply::Json(404, error("invalid_request_error", Some("resource_missing"))),
            ],
            "unknown",
        ),
    ] {
        let server = Server::start(replies).await;
        let outcome = server.stripe.charge(&charge(), soon()).await;
        assert_eq!(shown(&outcome), expected, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_charge_that_stripe_can_not_express_is_not_sent() {
    let server = Server::start(vec![Reply::Json(200, intent("succeeded"))]).await;
    let amount = Money::new(100, Currency::UGX);
    let outcome = server
        .stripe
        .charge(&ChargeRequest { amount, ..charge() }, soon())
        .await;
    assert_eq!(shown(&outcome), format!("declined {CURRENCY_NOT_SUPPORTED}"));
    for attempt_key in ["", "two words", "é", &"x".repeat(256)] {
        let attempt_key = attempt_key.to_owned();
        let outcome = server
            .stripe
            .charge(
                &ChargeRequest {
                    attempt_key,
                    ..charge()
                },
                soon(),
            )
            .await;
        assert_eq!(shown(&outcome), "declined idempotency_key_invalid");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn why_a_charge_was_refused() {
    let final_word = |mut intent: Value| {
        intent["last_payment_error"]["advice_code"] = json!("do_not_try_again");
        intent
    };
    let without_decline = |mut intent: Value| {
        intent["last_payment_error"]["decline_code"] = Value::Null;
        intent
    };
    for (intent, code, decline_kind) in [
        (
            refused_intent("insufficient_funds"),
            "insufficient_funds",
            DeclineKind::Soft,
        ),
        (refused_intent("stolen_card"), "stolen_card", DeclineKind::Hard),
        (
            final_word(refused_intent("generic_decline")),
            "generic_decline",
            DeclineKind::Hard,
        ),
        (
            without_decline(refused_intent("")),
            "card_declined",
            DeclineKind::Soft,
        ),
    ] {
        let server = Server::start(vec![Reply::Json(402, card_error(intent))]).await;
        let Outcome::Done(reading) = server.stripe.charge(&charge(), soon()).await else {
            panic!("it isn't done");
        };
        let failure = reading.failure.unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.decline_kind),
            (code, decline_kind)
        );
        assert_eq!(failure.message.as_deref(), Some("Your card was declined."));
    }
}

#[tokio::test]
async fn a_payment_that_is_in_is_not_given_up() {
    let id = StripePaymentIntentId::parse("pi_1").unwrap();
    let refusal = error("invalid_request_error", Some(INTENT_UNEXPECTED_STATE));
    let server = Server::start(vec![
        Reply::Json(200, intent("canceled")),
        Reply::Json(400, refusal),
    ])
    .await;
    let canceled = server.stripe.cancel_payment_intent(&id, "cancel-1", soon()).await;
    assert_eq!(shown(&canceled), "done Canceled");
    let request = server.requests().remove(0);
    assert!(
        request.starts_with("POST /v1/payment_intents/pi_1/cancel "),
        "{request}"
    );
    assert!(
        request.ends_with("\n\ncancellation_reason=abandoned"),
        "{request}"
    );
    let refused = server.stripe.cancel_payment_intent(&id, "cancel-2", soon()).await;
    assert_eq!(shown(&refused), "declined payment_intent_unexpected_state");
}

fn of_attempt(id: &str, attempt: &str, status: &str) -> Value {
    with(
        intent(status),
        json!({"id": id, "metadata": {"moneta_attempt": attempt}}),
    )
}

async fn find(replies: Vec<Reply>) -> (Outcome<Option<PaymentIntent>>, Vec<String>) {
    let server = Server::start(replies).await;
    let customer = StripeCustomerId::parse("cus_1").unwrap();
    let since = DateTime::from_timestamp(1_790_000_300, 0).unwrap();
    let found = server
        .stripe
        .find_payment_intent(&customer, "invoice-11-1", since, soon())
        .await;
    (found, server.requests())
}

#[tokio::test]
async fn a_payment_is_found_on_whichever_page_it_is() {
    let first = list(vec![of_attempt("pi_3", "invoice-11-10", "succeeded")], true);
    let second = list(vec![of_attempt("pi_2", "invoice-11-1", "processing")], false);
    let (found, requests) = find(vec![Reply::Json(200, first), Reply::Json(200, second)]).await;
    let Outcome::Done(Some(reading)) = found else {
        panic!("it isn't found: {found:?}");
    };
    assert_eq!(reading.id.as_str(), "pi_2");
    assert!(reading.kept.get().contains("\"pi_2\""));
    assert!(!reading.kept.get().contains("secret"));
    assert!(
        requests[0].starts_with("GET /v1/payment_intents?"),
        "{}",
        requests[0]
    );
    for part in ["customer=cus_1", "created[gte]=1790000000", "limit=100"] {
        let request = requests[0].replace("%5B", "[").replace("%5D", "]");
        assert!(request.contains(part), "{part} in {request}");
    }
    assert!(requests[1].contains("starting_after=pi_3"), "{}", requests[1]);
    assert!(!requests[0].contains("idempotency-key"));
}

#[tokio::test]
async fn that_there_is_no_payment_is_only_said_of_a_whole_list() {
    let none = || list(vec![of_attempt("pi_3", "invoice-12-1", "succeeded")], false);
    let (found, _) = find(vec![Reply::Json(200, none())]).await;
    assert!(matches!(found, Outcome::Done(None)), "{found:?}");
    let more = || {
        Reply::Json(
            200,
            list(vec![of_attempt("pi_3", "invoice-12-1", "succeeded")], true),
        )
    };
    let (found, requests) = find((0..10).map(|_| more()).collect()).await;
    assert!(matches!(found, Outcome::Unknown(_)), "{found:?}");
    assert_eq!(requests.len(), 10);
    let (found, _) = find(vec![more()]).await;
    assert!(matches!(found, Outcome::Retryable(_)), "{found:?}");
    let (found, _) = find(vec![Reply::Json(200, list(vec![json!({"id": "pi_3"})], false))]).await;
    assert!(matches!(found, Outcome::Unknown(_)), "{found:?}");
}

#[tokio::test]
async fn of_several_payments_of_an_attempt_the_one_with_the_money_is_told() {
    let data = ["canceled", "requires_action", "succeeded", "processing"]
        .map(|status| of_attempt(&format!("pi_{status}"), "invoice-11-1", status));
    let (found, _) = find(vec![Reply::Json(200, list(data.to_vec(), false))]).await;
    let Outcome::Done(Some(reading)) = found else {
        panic!("it isn't found: {found:?}");
    };
    assert_eq!(reading.id.as_str(), "pi_succeeded");
}
