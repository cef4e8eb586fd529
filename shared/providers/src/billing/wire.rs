//! Billing's JSON. What can't be read says where, and not what: the value may be somebody's data.

use domain::currency::Currency;
use domain::dealers::account::AccountType;
use domain::ids::{BillingBillId, BillingClientId, BillingContractId, BillingPayerId};
use domain::money::Money;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{FoundBill, FoundClient, FoundContract, FoundPayer, PaymentPage};

#[derive(Deserialize)]
pub(super) struct ClientObject {
    id: BillingClientId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayerObject {
    id: BillingPayerId,
    client_id: BillingClientId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContractObject {
    id: BillingContractId,
    client_id: BillingClientId,
    payer_id: BillingPayerId,
    kind: AccountType,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillObject {
    id: BillingBillId,
    client_id: BillingClientId,
    amount: i64,
    currency: Currency,
    url: String,
    status: String,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PaymentsObject {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

pub(super) fn client(object: ClientObject) -> Result<FoundClient, String> {
    Ok(FoundClient { id: object.id })
}

pub(super) fn payer(object: PayerObject) -> Result<FoundPayer, String> {
    Ok(FoundPayer {
        id: object.id,
        client: object.client_id,
    })
}

pub(super) fn contract(object: ContractObject) -> Result<FoundContract, String> {
    Ok(FoundContract {
        id: object.id,
        client: object.client_id,
        payer: object.payer_id,
        kind: object.kind,
    })
}

pub(super) fn bill(object: BillObject) -> Result<FoundBill, String> {
    let is_voided = match object.status.as_str() {
        "open" => false,
        "voided" => true,
        _ => return Err("its status is none that we know".to_owned()),
    };
    Ok(FoundBill {
        id: object.id,
        client: object.client_id,
        amount: Money::new(object.amount, object.currency),
        url: object.url,
        is_voided,
    })
}

/// The object that a call gives.
pub(super) fn one<W: DeserializeOwned, T>(
    body: &[u8],
    read: fn(W) -> Result<T, String>,
) -> Result<T, String> {
    read(parsed(body)?)
}

/// The object of an `externalId`, of which there is one at most.
pub(super) fn found<W: DeserializeOwned, T>(
    body: &[u8],
    read: fn(W) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let Items { mut items } = parsed::<Items<W>>(body)?;
    if items.len() > 1 {
        return Err("several objects have the same externalId".to_owned());
    }
    items.pop().map(read).transpose()
}

pub(super) fn payments(body: &[u8]) -> Result<PaymentPage, String> {
    let PaymentsObject { items, next_cursor } = parsed(body)?;
    let mut page = PaymentPage {
        items: Vec::new(),
        unreadable: 0,
        next_cursor,
    };
    for item in items {
        match serde_json::from_str(item.get()) {
            Ok(payment) => page.items.push(payment),
            Err(_) => page.unreadable = page.unreadable.saturating_add(1),
        }
    }
    Ok(page)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("{:?} at column {}", error.classify(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_leads_to_one_object_or_none() {
        let client = |body: &str| found(body.as_bytes(), client);
        assert_eq!(client(r#"{"items":[]}"#), Ok(None));
        let id = BillingClientId::parse("BC-1").unwrap();
        assert_eq!(
            client(r#"{"items":[{"id":"BC-1","name":"x"}]}"#),
            Ok(Some(FoundClient { id }))
        );
        assert!(client(r#"{"items":[{"id":"BC-1"},{"id":"BC-2"}]}"#).is_err());
        assert!(client("[]").is_err());
    }

    #[test]
    fn a_bill_has_amount_owner_and_a_known_status() {
        let body = |status: &str| {
            format!(
                r#"{{"id":"B-1","clientId":"BC-1","amount":150,"currency":"RUB","url":"https://b/1.pdf","status":"{status}"}}"#
            )
        };
        let read = one(body("open").as_bytes(), bill).unwrap();
        assert_eq!((read.amount.minor(), read.is_voided), (150, false));
        assert!(one(body("voided").as_bytes(), bill).unwrap().is_voided);
        assert!(one(body("melted").as_bytes(), bill).is_err());
        assert!(one(body("open").replace("150", "1.5").as_bytes(), bill).is_err());
    }

    #[test]
    fn a_payment_that_can_not_be_read_is_counted_and_keeps_no_other_away() {
        let good = r#"{"paymentId":"p","billingClientId":"BC-1","billId":null,"amount":5,"currency":"RUB",
            "paidAt":"2026-11-28T10:00:00Z","reversalOf":null}"#;
        let body = format!(r#"{{"items":[{{"paymentId":7}},{good},{{}}],"nextCursor":null}}"#);
        let page = payments(body.as_bytes()).unwrap();
        assert_eq!(
            (page.items.len(), page.unreadable, page.next_cursor),
            (1, 2, None)
        );
        let written = serde_json::to_value(&page.items[0]).unwrap();
        assert_eq!(written["billingClientId"], "BC-1");
    }
}
