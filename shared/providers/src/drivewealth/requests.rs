//! The calls that Moneta makes.

use domain::ids::{DriveWealthAccountId, DriveWealthPaymentId, DriveWealthUserId};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::call::{DriveWealth, Request};
use super::session::SessionStore;
use super::{
    BrokerAccount, BrokerPositions, CashBalance, Freshness, Listed, Payment, PaymentOrder, PortfolioResponse,
    wire,
};
use crate::outcome::Outcome;

impl<S: SessionStore> DriveWealth<S> {
    /// Requests money from the bank (`POST /funding/deposits`).
    pub async fn create_deposit(&self, order: &PaymentOrder, deadline: Instant) -> Outcome<Payment> {
        self.create("/funding/deposits", order, deadline).await
    }

    /// Sends money to the bank (`POST /funding/redemptions`).
    pub async fn create_redemption(&self, order: &PaymentOrder, deadline: Instant) -> Outcome<Payment> {
        self.create("/funding/redemptions", order, deadline).await
    }

    async fn create(&self, path: &str, order: &PaymentOrder, deadline: Instant) -> Outcome<Payment> {
        let body = json!({
            "accountNo": order.account_no,
            "amount": order.amount.to_decimal().to_string(),
            "currency": order.amount.currency().code(),
            "type": "ACH",
            "bankAccountID": order.bank_account,
        });
        let request = Request {
            method: Method::POST,
            path: path.to_owned(),
            body: Some(body),
            idempotency_key: Some(order.idempotency_key),
            moves_money: true,
        };
        let created = self.call(request, deadline).await;
        created.read(|body| {
            let payment = wire::payment(&body)?;
            Ok(Payment {
                freshness: Freshness::Snapshot,
                ..payment
            })
        })
    }

    /// A deposit as it is now.
    pub async fn deposit(&self, id: &DriveWealthPaymentId, deadline: Instant) -> Outcome<Payment> {
        let request = Request::get(format!("/funding/deposits/{}", segment(id.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::payment(&body))
    }

    /// A redemption as it is now.
    pub async fn redemption(&self, id: &DriveWealthPaymentId, deadline: Instant) -> Outcome<Payment> {
        let request = Request::get(format!("/funding/redemptions/{}", segment(id.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::payment(&body))
    }

    /// All deposits of a user.
    pub async fn deposits_of(&self, user: &DriveWealthUserId, deadline: Instant) -> Outcome<Listed> {
        let request = Request::get(format!("/users/{}/funding/deposits", segment(user.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::payments(&body))
    }

    /// All redemptions of a user.
    pub async fn redemptions_of(&self, user: &DriveWealthUserId, deadline: Instant) -> Outcome<Listed> {
        let request = Request::get(format!("/users/{}/funding/redemptions", segment(user.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::payments(&body))
    }

    /// Approves a redemption that waits for us (RIA_Pending). Repeating it is refused with
    /// [`BAD_BODY`](super::BAD_BODY) and does no harm.
    pub async fn approve_redemption(&self, id: &DriveWealthPaymentId, deadline: Instant) -> Outcome<Payment> {
        let path = format!("/funding/redemptions/{}", segment(id.as_str()));
        let request = Request::change(
            path,
            json!({"status": "RIA_Approved", "statusComment": "approved by Moneta"}),
        );
        self.call(request, deadline)
            .await
            .read(|body| wire::payment(&body))
    }

    /// An account.
    pub async fn account(&self, id: &DriveWealthAccountId, deadline: Instant) -> Outcome<BrokerAccount> {
        let request = Request::get(format!("/accounts/{}", segment(id.as_str())));
        let asked_at = self.clock.now();
        self.call(request, deadline)
            .await
            .read(|body| wire::account(&body, asked_at))
    }

    /// The cash of an account.
    pub async fn cash(&self, id: &DriveWealthAccountId, deadline: Instant) -> Outcome<CashBalance> {
        let request = Request::get(format!("/accounts/{}/summary/money", segment(id.as_str())));
        self.call(request, deadline).await.read(|body| wire::cash(&body))
    }

    /// What an account holds beside its cash. Its portfolio's status says the same for managed accounts alone, and less
    /// reliably.
    pub async fn positions(&self, id: &DriveWealthAccountId, deadline: Instant) -> Outcome<BrokerPositions> {
        let request = Request::get(format!("/accounts/{}/summary/positions", segment(id.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::positions(&body))
    }

    /// The portfolio of an account.
    pub async fn portfolio(
        &self,
        id: &DriveWealthAccountId,
        deadline: Instant,
    ) -> Outcome<PortfolioResponse> {
        let request = Request::get(format!("/accounts/{}/portfolio", segment(id.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| wire::portfolio(&body))
    }
}

/// An id as a segment of a path: what isn't a letter, digit, `-`, `.` or `_` is escaped.
pub(super) fn segment(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_not_leave_its_segment() {
        assert_eq!(segment("GYEK000001-1665-D8XDS"), "GYEK000001-1665-D8XDS");
        assert_eq!(segment("../x?y"), "..%2Fx%3Fy");
    }
}
