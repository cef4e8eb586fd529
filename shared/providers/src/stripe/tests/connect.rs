//! Connected accounts: what is sent, and how the answers are read.

use domain::currency::Currency;
use domain::funded::payee::Payability;
use domain::money::Money;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::server::{Reply, Server, soon};
use super::{error, list, with};
use crate::outcome::Outcome;
use crate::stripe::connect::webhook::{ConnectChange, parse};
use crate::stripe::connect::{
    ACCOUNT_INVALID, BALANCE_INSUFFICIENT, NewPayee, NewPayout, NewTransfer, OnboardingPages, PayoutState,
};

fn account(fields: Value) -> Value {
    let account = json!({
        "id": "acct_1", "object": "account", "capabilities": {"transfers": "active"}, "country": "US",
        "created": 1_790_000_000, "details_submitted": true, "metadata": {"user_id": "7"}, "payouts_enabled": true,
        "requirements": {"currently_due": [], "disabled_reason": null},
        "external_accounts": {"object": "list", "has_more": false, "url": "/v1/accounts/acct_1/external_accounts", "data": [
            {"id": "ba_1", "object": "bank_account", "country": "US", "currency": "usd", "last4": "1113", "status": "errored"},
            {"id": "ba_2", "object": "bank_account", "country": "US", "currency": "usd", "default_for_currency": true,
             "last4": "6789", "status": "new"},
        ]},
        "settings": {"branding": {}, "card_payments": {}, "dashboard": {}, "payments": {},
            "payouts": {"debit_negative_balances": true, "schedule": {"delay_days": 2, "interval": "manual"}}},
        "type": "none",
    });
    with(account, fields)
}

#[tokio::test]
async fn an_account_is_made_with_payouts_by_hand_and_read_whole() {
    let server = Server::start(vec![Reply::Json(200, account(json!({})))]).await;
    let new = NewPayee {
        user_id: "7".parse().unwrap(),
        country: "US".to_owned(),
    };
    let made = server.stripe.create_payee(&new, "payee-7-1-0", soon()).await;
    let Outcome::Done(payee) = made else {
        panic!("{made:?}");
    };
    assert!(payee.payability.is_ready(), "{payee:?}");
    assert_eq!(payee.user_id, Some("7".parse().unwrap()));
    assert_eq!(payee.bank.unwrap().last4, "6789", "the one that is paid");
    let sent = server.requests().remove(0);
    for part in [
        "POST /v1/accounts",
        "idempotency-key: payee-7-1-0",
        "settings[payouts][schedule][interval]=manual",
        "controller[losses][payments]=application",
        "controller[stripe_dashboard][type]=express",
        "capabilities[transfers][requested]=true",
        "metadata[user_id]=7",
    ] {
        assert!(sent.contains(part), "no {part} in {sent}");
    }
}

#[tokio::test]
async fn what_an_account_lacks_is_read() {
    let lacking = [
        json!({"capabilities": {"transfers": "pending"}}),
        json!({"payouts_enabled": false}),
        json!({"requirements": {"currently_due": ["external_account"], "disabled_reason": "requirements.past_due"}}),
        json!({"external_accounts": null}),
        json!({"settings": null}),
    ];
    for fields in lacking {
        let server = Server::start(vec![Reply::Json(200, account(fields.clone()))]).await;
        let payee = server.stripe.payee(&"acct_1".parse().unwrap(), soon()).await;
        let Outcome::Done(payee) = payee else {
            panic!("{payee:?}");
        };
        assert!(!payee.payability.is_ready(), "{fields}");
        let reason = fields["requirements"]["disabled_reason"].as_str();
        let Payability { disabled_reason, .. } = payee.payability;
        assert_eq!(disabled_reason.as_deref(), reason);
    }
}

#[tokio::test]
async fn an_account_that_is_ours_no_more_is_declined_and_our_key_is_not_blamed() {
    let refused = error("invalid_request_error", Some(ACCOUNT_INVALID));
    let server = Server::start(vec![Reply::Json(403, refused)]).await;
    let payee = server.stripe.payee(&"acct_1".parse().unwrap(), soon()).await;
    assert!(matches!(payee, Outcome::Declined(decline) if decline.code == ACCOUNT_INVALID));
}

#[tokio::test]
async fn an_account_is_found_by_its_user_over_pages() {
    let others = account(json!({"metadata": {"user_id": "8"}, "id": "acct_2"}));
    let pages = vec![
        Reply::Json(200, list(vec![others.clone()], true)),
        Reply::Json(200, list(vec![account(json!({}))], false)),
        Reply::Json(200, list(vec![others], false)),
    ];
    let server = Server::start(pages).await;
    let from = "2026-11-02T14:00:00Z".parse().unwrap();
    let until = "2026-11-03T14:00:00Z".parse().unwrap();
    let find = async || {
        server
            .stripe
            .find_payee("7".parse().unwrap(), from, until, soon())
            .await
    };
    assert!(matches!(find().await, Outcome::Done(Some(payee)) if payee.id.as_str() == "acct_1"));
    assert!(matches!(find().await, Outcome::Done(None)));
    assert!(server.requests()[1].contains("starting_after=acct_2"));
    // Our clock and Stripe's may be five minutes apart.
    for bound in ["gte", "lt"].map(|bound| format!("created[{bound}]=")) {
        let seconds = match bound.contains("gte") {
            true => 1_793_627_700,
            false => 1_793_714_700,
        };
        let asked = server.requests()[0].replace("%5B", "[").replace("%5D", "]");
        assert!(asked.contains(&format!("{bound}{seconds}")), "{asked}");
    }
}

#[tokio::test]
async fn a_days_transfers_are_read_to_their_end() {
    let transfer = json!({"object": "transfer", "id": "tr_1", "amount": 100, "amount_reversed": 0, "currency": "usd",
        "reversed": false, "destination": "acct_1", "metadata": {}});
    let page = |has_more: bool| Reply::Json(200, list(vec![transfer.clone()], has_more));
    let pages = (1..=12).map(|number| page(number < 12)).collect();
    let server = Server::start(pages).await;
    let from = "2026-11-02T00:00:00Z".parse().unwrap();
    let until = "2026-11-03T00:00:00Z".parse().unwrap();
    let all = server.stripe.transfers_between(from, until, soon()).await;
    assert!(matches!(all, Outcome::Done(all) if all.len() == 12));
    let last = server.requests()[11].replace("%5B", "[").replace("%5D", "]");
    for part in [
        "created[gte]=1793577600",
        "created[lt]=1793664000",
        "starting_after=tr_1",
    ] {
        assert!(last.contains(part), "{last}");
    }
}

#[tokio::test]
async fn the_way_to_the_onboarding_is_a_secret() {
    let link = json!({"object": "account_link", "created": 1_790_000_000, "expires_at": 1_790_000_300,
        "url": "https://connect.example.com/setup/s3cret"});
    let server = Server::start(vec![Reply::Json(200, link)]).await;
    let pages = OnboardingPages {
        return_url: "https://app.example.com/back",
        refresh_url: "https://app.example.com/again",
    };
    let link = server
        .stripe
        .onboarding_link(&"acct_1".parse().unwrap(), pages, "k", soon())
        .await;
    let Outcome::Done(link) = link else {
        panic!("{link:?}");
    };
    assert_eq!(
        link.url.expose_secret(),
        "https://connect.example.com/setup/s3cret"
    );
    assert!(!format!("{link:?}").contains("s3cret"));
    assert_eq!(link.expires_at.timestamp(), 1_790_000_300);
}

#[test]
fn an_event_of_an_account_says_whose_it_is() {
    let event = |kind: &str, account: Option<&str>| {
        let event = json!({"id": "evt_1", "type": kind, "created": 1_790_000_000, "livemode": true, "account": account,
            "data": {"object": {}}});
        parse(event.to_string().as_bytes()).unwrap()
    };
    for kind in [
        "account.updated",
        "account.external_account.updated",
        "account.application.deauthorized",
        "capability.updated",
    ] {
        let event = event(kind, Some("acct_1"));
        assert_eq!(event.change, ConnectChange::Account, "{kind}");
        assert_eq!(event.account.unwrap().as_str(), "acct_1");
        assert!(event.livemode);
    }
    assert_eq!(event("topup.created", None).change, ConnectChange::Other);
    assert_eq!(event("topup.created", None).account, None);
    assert!(parse(b"{}").is_err());
}

fn transfer(reversed: bool) -> Value {
    json!({
        "id": "tr_1", "object": "transfer", "amount": 48_000, "amount_reversed": if reversed { 48_000 } else { 0 },
        "created": 1_790_000_000, "currency": "usd", "destination": "acct_1", "livemode": false,
        "metadata": {"withdrawal_id": "7", "attempt": "2"}, "reversed": reversed, "transfer_group": "withdrawal-7",
        "reversals": {"object": "list", "data": [], "has_more": false, "url": "/v1/transfers/tr_1/reversals"},
    })
}

fn payout(status: &str) -> Value {
    json!({
        "id": "po_1", "object": "payout", "amount": 48_000, "arrival_date": 1_790_200_000, "automatic": false,
        "created": 1_790_000_000, "currency": "usd", "destination": "ba_2", "failure_code": null, "livemode": false,
        "metadata": {"withdrawal_id": "7", "attempt": "1"}, "method": "standard", "reconciliation_status": "in_progress",
        "source_type": "card", "status": status, "type": "bank_account",
    })
}

fn usd(cents: i64) -> Money {
    Money::new(cents, Currency::USD)
}

#[tokio::test]
async fn money_is_moved_from_our_balance_and_found_by_its_withdrawal() {
    let reversal = json!({"id": "trr_1", "object": "transfer_reversal", "amount": 48_000, "created": 1_790_000_000,
        "currency": "usd", "transfer": "tr_1"});
    let replies = vec![
        Reply::Json(200, transfer(false)),
        Reply::Json(200, list(vec![transfer(true)], false)),
        Reply::Json(200, reversal),
        Reply::Json(400, error("invalid_request_error", Some(BALANCE_INSUFFICIENT))),
    ];
    let server = Server::start(replies).await;
    let withdrawal = "7".parse().unwrap();
    let new = NewTransfer {
        withdrawal,
        attempt: 2,
        amount: usd(48_000),
        destination: "acct_1".parse().unwrap(),
    };
    let moved = server
        .stripe
        .transfer(&new, "withdrawal-7-transfer-2", soon())
        .await;
    let Outcome::Done(moved) = moved else {
        panic!("{moved:?}");
    };
    assert_eq!(
        (moved.amount, moved.withdrawal, moved.attempt),
        (usd(48_000), Some(withdrawal), Some(2))
    );
    let found = server.stripe.transfers_of(withdrawal, soon()).await;
    assert!(matches!(found, Outcome::Done(found) if found.len() == 1 && found[0].is_reversed));
    let reversed = server
        .stripe
        .reverse_transfer(&moved.id, "withdrawal-7-reversal-2", soon())
        .await;
    assert!(matches!(reversed, Outcome::Done(id) if id.as_str() == "trr_1"));
    let short = server
        .stripe
        .transfer(&new, "withdrawal-7-transfer-3", soon())
        .await;
    assert!(matches!(short, Outcome::Declined(decline) if decline.code == BALANCE_INSUFFICIENT));
    let requests = server.requests();
    assert!(
        requests[0].contains("transfer_group=withdrawal-7") && requests[0].contains("destination=acct_1")
    );
    assert!(requests[1].contains("transfer_group=withdrawal-7"));
    assert!(
        requests.iter().all(|request| !request.contains("stripe-account")),
        "transfers are ours"
    );
}

#[tokio::test]
async fn whatever_pays_a_person_names_the_account_that_it_is_of() {
    let balance = json!({"object": "balance", "livemode": false, "pending": [],
        "available": [{"amount": 48_000, "currency": "usd"}, {"amount": 5, "currency": "eur"}]});
    let replies = vec![
        Reply::Json(200, balance),
        Reply::Json(200, payout("pending")),
        Reply::Json(200, payout("failed")),
        Reply::Json(200, list(vec![payout("in_transit"), payout("paid")], false)),
        Reply::Json(200, payout("canceled")),
    ];
    let server = Server::start(replies).await;
    let account = "acct_1".parse().unwrap();
    let theirs = server.stripe.on_behalf_of(&account);
    assert_eq!(
        theirs.available(Currency::USD, soon()).await,
        Outcome::Done(usd(48_000))
    );
    let new = NewPayout {
        withdrawal: "7".parse().unwrap(),
        attempt: 1,
        amount: usd(48_000),
        destination: "ba_2".parse().unwrap(),
    };
    let made = theirs.pay_out(&new, "withdrawal-7-payout-1", soon()).await;
    let Outcome::Done(made) = made else {
        panic!("{made:?}");
    };
    assert_eq!(made.state, PayoutState::OnItsWay);
    assert_eq!(made.withdrawal, Some("7".parse().unwrap()));
    let failed = theirs.payout(&made.id, soon()).await;
    assert!(matches!(failed, Outcome::Done(payout) if payout.state.has_come_back()));
    let all = theirs.payouts_since(made.arrives_at, soon()).await;
    assert!(matches!(all, Outcome::Done(all) if all.len() == 2 && all[1].state == PayoutState::Paid));
    let canceled = theirs
        .cancel_payout(&made.id, "withdrawal-7-cancel-1", soon())
        .await;
    assert!(matches!(canceled, Outcome::Done(payout) if payout.state == PayoutState::Canceled));
    for request in server.requests() {
        assert!(request.contains("stripe-account: acct_1"), "{request}");
    }
    assert!(server.requests()[1].contains("idempotency-key: withdrawal-7-payout-1"));
}

#[tokio::test]
async fn our_balance_is_asked_for_without_an_account() {
    let of = |amount: i64, currency: &str| json!({"amount": amount, "currency": currency, "source_types": {"card": amount}});
    let balance = json!({"object": "balance", "available": [of(30_000, "usd"), of(7, "eur")], "pending": [], "livemode": false});
    let server = Server::start(vec![Reply::Json(200, balance)]).await;
    let ours = server.stripe.available(Currency::USD, soon()).await;
    assert_eq!(ours, Outcome::Done(usd(30_000)));
    assert!(!server.requests()[0].contains("stripe-account"));
}
