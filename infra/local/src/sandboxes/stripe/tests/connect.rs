//! Connect: accounts with onboarding, transfers, payouts and their banks.

use std::time::Duration;

use super::*;
use crate::sandboxes::stripe::PayoutStatus;

const ACCOUNT: Pairs<'static> = &[
    ("country", "US"),
    ("business_type", "individual"),
    ("capabilities[transfers][requested]", "true"),
    ("controller[fees][payer]", "application"),
    ("controller[losses][payments]", "application"),
    ("controller[requirement_collection]", "stripe"),
    ("controller[stripe_dashboard][type]", "express"),
    ("settings[payouts][schedule][interval]", "manual"),
    ("metadata[user_id]", "7"),
];

impl Shop {
    /// An account whose bank has this number.
    async fn payee(&self, number: &str) -> String {
        let account = self.post("/v1/accounts", ACCOUNT).await.id();
        self.stripe.onboard(&account, number).unwrap();
        account
    }

    async fn transfer(&self, account: &str, amount: &str, key: &str) -> Answer {
        let form = [
            ("amount", amount),
            ("currency", "usd"),
            ("destination", account),
            ("transfer_group", "withdrawal-1"),
        ];
        self.post_with_key("/v1/transfers", &form, key).await
    }

    async fn for_account(&self, account: &str, request: reqwest::RequestBuilder) -> Answer {
        self.send(request.header("stripe-account", account)).await
    }

    async fn pay_out(&self, account: &str, amount: &str) -> Answer {
        let form = [
            ("amount", amount),
            ("currency", "usd"),
            ("metadata[withdrawal_id]", "1"),
        ];
        let request = self.http.post(self.url("/v1/payouts")).form(&form);
        self.for_account(account, request).await
    }

    async fn balance(&self, account: &str) -> (i64, i64) {
        let request = self.http.get(self.url("/v1/balance"));
        let body = self.for_account(account, request).await.body;
        let of = |name: &str| body[name][0]["amount"].as_i64().unwrap();
        (of("available"), of("pending"))
    }

    async fn ends(&self, payout: &str) -> PayoutStatus {
        loop {
            let found = self.stripe.payouts().into_iter().find(|one| one.id == payout);
            match found.unwrap().status {
                PayoutStatus::Pending | PayoutStatus::InTransit => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                status => return status,
            }
        }
    }
}

#[tokio::test]
async fn an_account_is_enabled_by_its_onboarding() {
    let shop = Shop::open().await;
    let account = shop.post("/v1/accounts", ACCOUNT).await;
    assert_eq!(account.body["payouts_enabled"], false);
    assert_eq!(account.body["capabilities"]["transfers"], "inactive");
    assert_eq!(
        account.body["settings"]["payouts"]["schedule"]["interval"],
        "manual"
    );
    let id = account.id();
    let link = [
        ("account", id.as_str()),
        ("type", "account_onboarding"),
        ("return_url", "https://app.example/back"),
        ("refresh_url", "https://app.example/again"),
    ];
    let link = shop.post("/v1/account_links", &link).await;
    let page = link.body["url"].as_str().unwrap();
    assert!(shop.http.get(page).send().await.unwrap().status().is_success());
    let real = shop
        .http
        .post(page)
        .form(&[("number", "12345678")])
        .send()
        .await
        .unwrap();
    assert_eq!(real.status().as_u16(), 400);
    assert!(shop.stripe.onboard("acct_none", "000123456789").is_err());
    shop.stripe.onboard(&id, "000123456789").unwrap();
    let enabled = shop.get(&format!("/v1/accounts/{id}")).await.body;
    assert_eq!(enabled["payouts_enabled"], true);
    assert_eq!(enabled["external_accounts"]["data"][0]["last4"], "6789");
    let events = shop.stripe.events();
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| event.account.as_deref() == Some(&id))
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds, ["account.external_account.created", "account.updated"]);
    shop.close().await;
}

#[tokio::test]
async fn money_goes_from_our_balance_over_theirs_to_their_bank() {
    let shop = Shop::open().await;
    let ours = shop.stripe.available();
    let account = shop.payee("000123456789").await;
    shop.stripe.transfers_arrive_after(3_600);
    let transfer = shop.transfer(&account, "48000", "a").await;
    assert_eq!(transfer.body["destination"], account.as_str());
    assert_eq!(shop.stripe.available(), ours - 48_000);
    assert_eq!(shop.balance(&account).await, (0, 48_000));
    assert_eq!(
        shop.pay_out(&account, "48000").await.code(),
        "balance_insufficient"
    );
    shop.stripe.transfers_arrive_after(0);
    shop.transfer(&account, "10000", "b").await;
    assert_eq!(shop.balance(&account).await, (10_000, 48_000));
    let payout = shop.pay_out(&account, "10000").await;
    assert_eq!(payout.body["status"], "pending");
    assert_eq!(shop.ends(&payout.id()).await, PayoutStatus::Paid);
    assert_eq!(shop.balance(&account).await, (0, 48_000));
    let group = shop.get("/v1/transfers?transfer_group=withdrawal-1").await.body;
    assert_eq!(group["data"].as_array().unwrap().len(), 2);
    shop.close().await;
}

#[tokio::test]
async fn a_payout_without_the_header_goes_to_our_own_bank() {
    let shop = Shop::open().await;
    let ours = shop.stripe.available();
    let form = [("amount", "10000"), ("currency", "usd")];
    let payout = shop.post("/v1/payouts", &form).await;
    assert_eq!(payout.status, 200);
    assert_eq!(payout.body["destination"], Value::Null);
    assert_eq!(shop.stripe.available(), ours - 10_000);
    assert!(shop.stripe.events().iter().all(|event| event.account.is_none()));
    // And theirs aren't ours.
    let account = shop.payee("000123456789").await;
    shop.transfer(&account, "10000", "a").await;
    let theirs = shop.pay_out(&account, "10000").await.id();
    assert_eq!(shop.get(&format!("/v1/payouts/{theirs}")).await.status, 404);
    shop.close().await;
}

#[tokio::test]
async fn a_payout_that_comes_back_leaves_the_money_with_the_account_and_the_bank_unusable() {
    let shop = Shop::open().await;
    let account = shop.payee("000111111113").await;
    shop.transfer(&account, "10000", "a").await;
    let payout = shop.pay_out(&account, "10000").await.id();
    assert_eq!(shop.ends(&payout).await, PayoutStatus::Failed);
    let failed = shop.stripe.payouts().pop().unwrap();
    assert_eq!(failed.failure_code.as_deref(), Some("account_closed"));
    assert_eq!(shop.balance(&account).await, (10_000, 0));
    assert_eq!(
        shop.pay_out(&account, "10000").await.code(),
        "bank_account_unusable"
    );
    shop.stripe.onboard(&account, "000123456789").unwrap();
    let again = shop.pay_out(&account, "10000").await.id();
    assert_eq!(shop.ends(&again).await, PayoutStatus::Paid);
    // Days later.
    shop.stripe.fail_payout(&again, "account_frozen").unwrap();
    assert_eq!(shop.balance(&account).await, (10_000, 0));
    let transfer = shop.stripe.transfers().pop().unwrap().id;
    let path = format!("/v1/transfers/{transfer}/reversals");
    assert_eq!(shop.post(&path, &[]).await.status, 200);
    assert_eq!(
        shop.post(&path, &[]).await.status,
        400,
        "there is nothing left to reverse"
    );
    assert_eq!(shop.balance(&account).await, (0, 0));
    shop.close().await;
}

#[tokio::test]
async fn a_held_payout_can_be_called_back_until_the_bank_has_it() {
    let shop = Shop::open().await;
    shop.stripe.hold_payouts(true);
    let account = shop.payee("000123456789").await;
    shop.transfer(&account, "20000", "a").await;
    let cancel = async |id: &str| {
        let request = shop.http.post(shop.url(&format!("/v1/payouts/{id}/cancel")));
        shop.for_account(&account, request).await
    };
    let first = shop.pay_out(&account, "10000").await.id();
    assert_eq!(cancel(&first).await.body["status"], "canceled");
    assert_eq!(shop.balance(&account).await, (20_000, 0));
    let second = shop.pay_out(&account, "10000").await.id();
    assert_eq!(
        shop.stripe.advance_payout(&second).unwrap(),
        PayoutStatus::InTransit
    );
    assert_eq!(cancel(&second).await.status, 400);
    assert_eq!(shop.stripe.advance_payout(&second).unwrap(), PayoutStatus::Paid);
    shop.close().await;
}

#[tokio::test]
async fn what_we_do_not_have_and_who_is_not_ready_is_not_paid() {
    let shop = Shop::open().await;
    let account = shop.payee("000123456789").await;
    shop.stripe.set_available(9_999);
    assert_eq!(
        shop.transfer(&account, "10000", "a").await.code(),
        "balance_insufficient"
    );
    shop.stripe.set_available(10_000);
    assert_eq!(shop.transfer(&account, "10000", "b").await.status, 200);
    assert_eq!(
        shop.transfer("acct_none", "100", "c").await.code(),
        "resource_missing"
    );
    shop.stripe.restrict(&account, Some("under_review"), &[]).unwrap();
    assert_eq!(
        shop.pay_out(&account, "10000").await.code(),
        "payouts_not_allowed"
    );
    assert_eq!(
        shop.transfer(&account, "100", "d").await.code(),
        "insufficient_capabilities_for_transfer"
    );
    shop.stripe.revoke(&account).unwrap();
    let revoked = shop.pay_out(&account, "10000").await;
    assert_eq!((revoked.status, revoked.code()), (403, "account_invalid"));
    shop.close().await;
}
