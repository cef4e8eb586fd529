//! Billing's API, as its callers see it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::state::{BillObject, ClientObject, ContractObject, PayerObject, State};
use super::{BillingSandbox, TOKEN, pdf};
use crate::sandboxes::call::{Call, Reply};

/// Payments of one page.
const PAGE: usize = 100;

/// An error in Billing's form.
pub(super) fn error(status: u16, code: &str, message: &str, field: Option<&str>) -> Reply {
    Reply::json(
        status,
        &json!({ "code": code, "message": message, "field": field }),
    )
}

fn not_found(what: &str) -> Reply {
    error(404, "not_found", &format!("there is no such {what}"), None)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewClient {
    external_id: String,
    name: String,
    legal_form: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewContract {
    external_id: String,
    payer_id: String,
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewBill {
    external_id: String,
    contract_id: String,
    amount: i64,
    currency: String,
    due_at: DateTime<Utc>,
    purpose: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Details {
    external_id: Option<String>,
    inn: String,
    #[serde(rename = "kpp")]
    _kpp: Option<String>,
    ogrn: String,
    bank: Bank,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bank {
    bik: String,
    account: String,
    correspondent_account: String,
}

#[derive(Deserialize)]
struct Void {
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lookup {
    external_id: String,
}

#[derive(Deserialize)]
struct Span {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    cursor: Option<usize>,
}

impl BillingSandbox {
    pub(super) fn answer(&self, call: &Call) -> Reply {
        let segments = call.segments();
        // A link for the dealer, who has no token.
        if let ("GET", ["bills", id, "pdf"]) = (call.method.as_str(), segments.as_slice()) {
            return self.pdf(id);
        }
        if call.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return error(401, "unauthorized", "the token is not valid", None);
        }
        let mut state = self.lock();
        let reply = match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["clients"]) => make_client(&mut state, call),
            ("POST", ["clients", client, "payers"]) => make_payer(&mut state, client, call),
            ("PUT", ["payers", payer]) => update_payer(&mut state, payer, call),
            ("POST", ["clients", client, "contracts"]) => make_contract(&mut state, client, call),
            ("POST", ["clients", client, "bills"]) => make_bill(&mut state, client, call, &self.extra().url),
            ("POST", ["bills", bill, "void"]) => void_bill(&mut state, bill, call),
            ("GET", ["clients"]) => find(call, state.clients.values(), |one| &one.external_id),
            ("GET", ["payers"]) => find(call, state.payers.values(), |one| &one.external_id),
            ("GET", ["contracts"]) => find(call, state.contracts.values(), |one| &one.external_id),
            ("GET", ["bills"]) => find(call, state.bills.values(), |one| &one.external_id),
            ("GET", ["payments"]) => payments(&state, call),
            _ => not_found("route"),
        };
        self.changed();
        reply
    }

    fn pdf(&self, id: &str) -> Reply {
        match self.lock().bills.get(id) {
            Some(bill) => Reply::text(200, pdf::of_bill(bill)).with_header("content-type", "application/pdf"),
            None => not_found("bill"),
        }
    }
}

/// The body, with what it was; or why it can't be read.
fn read<T: DeserializeOwned>(call: &Call) -> Result<(T, Value), Box<Reply>> {
    let body: Value = call.json().map_err(|message| Box::new(invalid(&message)))?;
    let typed = T::deserialize(&body).map_err(|error| Box::new(invalid(&error.to_string())))?;
    Ok((typed, body))
}

fn invalid(message: &str) -> Reply {
    error(422, "invalid", message, None)
}

/// The object that was made with this `externalId` before: the same again gives it, another body is refused.
fn made_before<T: Serialize>(
    objects: impl Iterator<Item = T>,
    external_id: &str,
    body: &Value,
    known: fn(&T) -> (&str, &Value),
) -> Option<Reply> {
    for object in objects {
        let (id, made_of) = known(&object);
        if id == external_id {
            return Some(match made_of == body {
                true => Reply::ok(&shown(&object)),
                false => error(
                    409,
                    "external_id_taken",
                    "the externalId belongs to another object",
                    Some("externalId"),
                ),
            });
        }
    }
    None
}

/// An object without what only the sandbox knows of it.
fn shown<T: Serialize>(object: &T) -> Value {
    let mut shown = json!(object);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("madeOf");
        fields.remove("details");
    }
    shown
}

fn find<'a, T: Serialize + 'a>(
    call: &Call,
    objects: impl Iterator<Item = &'a T>,
    external_id: fn(&T) -> &String,
) -> Reply {
    let Ok(lookup) = serde_urlencoded::from_str::<Lookup>(&call.query) else {
        return error(400, "invalid", "externalId is missing", Some("externalId"));
    };
    let found = objects.filter(|object| *external_id(object) == lookup.external_id);
    Reply::ok(&json!({ "items": found.map(shown).collect::<Vec<_>>() }))
}

fn make_client(state: &mut State, call: &Call) -> Reply {
    let (new, body) = match read::<NewClient>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if let Some(reply) = made_before(state.clients.values().cloned(), &new.external_id, &body, |one| {
        (&one.external_id, &one.made_of)
    }) {
        return reply;
    }
    let client = ClientObject {
        id: state.next_id("C"),
        external_id: new.external_id,
        made_of: body,
        name: new.name,
        legal_form: new.legal_form,
    };
    let reply = Reply::json(201, &shown(&client));
    state.clients.insert(client.id.clone(), client);
    reply
}

fn make_payer(state: &mut State, client: &str, call: &Call) -> Reply {
    if !state.clients.contains_key(client) {
        return not_found("client");
    }
    let (new, body) = match read::<Details>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if let Some(refusal) = incomplete(&new) {
        return refusal;
    }
    let Some(external_id) = new.external_id else {
        return error(422, "invalid", "is missing", Some("externalId"));
    };
    if let Some(reply) = made_before(state.payers.values().cloned(), &external_id, &body, |one| {
        (&one.external_id, &one.made_of)
    }) {
        return reply;
    }
    let payer = PayerObject {
        id: state.next_id("Y"),
        external_id,
        details: body.clone(),
        made_of: body,
        client_id: client.to_owned(),
    };
    let reply = Reply::json(201, &shown(&payer));
    state.payers.insert(payer.id.clone(), payer);
    reply
}

fn update_payer(state: &mut State, id: &str, call: &Call) -> Reply {
    let (new, body) = match read::<Details>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if let Some(refusal) = incomplete(&new) {
        return refusal;
    }
    match state.payers.get_mut(id) {
        Some(payer) => {
            payer.details = body;
            Reply::ok(&shown(payer))
        }
        None => not_found("payer"),
    }
}

/// The refusal of a payer without one of its numbers.
fn incomplete(details: &Details) -> Option<Reply> {
    let fields = [
        ("inn", &details.inn),
        ("ogrn", &details.ogrn),
        ("bank.bik", &details.bank.bik),
        ("bank.account", &details.bank.account),
        ("bank.correspondentAccount", &details.bank.correspondent_account),
        ("address", &details.address),
    ];
    let (field, _) = fields.into_iter().find(|(_, value)| value.is_empty())?;
    Some(error(422, "invalid", "is empty", Some(field)))
}

fn make_contract(state: &mut State, client: &str, call: &Call) -> Reply {
    let (new, body) = match read::<NewContract>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if state
        .payers
        .get(&new.payer_id)
        .is_none_or(|payer| payer.client_id != client)
    {
        return error(422, "invalid", "is no payer of the client", Some("payerId"));
    }
    if let Some(reply) = made_before(
        state.contracts.values().cloned(),
        &new.external_id,
        &body,
        |one| (&one.external_id, &one.made_of),
    ) {
        return reply;
    }
    let id = state.next_id("K");
    let contract = ContractObject {
        number: format!("{id}/26"),
        id,
        external_id: new.external_id,
        made_of: body,
        client_id: client.to_owned(),
        payer_id: new.payer_id,
        kind: new.kind,
    };
    let reply = Reply::json(201, &shown(&contract));
    state.contracts.insert(contract.id.clone(), contract);
    reply
}

fn make_bill(state: &mut State, client: &str, call: &Call, url: &str) -> Reply {
    let (new, body) = match read::<NewBill>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if state
        .contracts
        .get(&new.contract_id)
        .is_none_or(|contract| contract.client_id != client)
    {
        return error(422, "invalid", "is no contract of the client", Some("contractId"));
    }
    if new.amount <= 0 || new.currency != "RUB" {
        return error(422, "invalid", "has to be above zero, in RUB", Some("amount"));
    }
    if let Some(reply) = made_before(state.bills.values().cloned(), &new.external_id, &body, |one| {
        (&one.external_id, &one.made_of)
    }) {
        return reply;
    }
    let id = state.next_id("B");
    let bill = BillObject {
        number: id.clone(),
        url: format!("{url}/bills/{id}/pdf"),
        id,
        external_id: new.external_id,
        made_of: body,
        client_id: client.to_owned(),
        contract_id: new.contract_id,
        amount: new.amount,
        currency: new.currency,
        due_at: new.due_at,
        purpose: new.purpose,
        status: "open".to_owned(),
    };
    let reply = Reply::json(201, &shown(&bill));
    state.bills.insert(bill.id.clone(), bill);
    reply
}

fn void_bill(state: &mut State, id: &str, call: &Call) -> Reply {
    let (void, _) = match read::<Void>(call) {
        Ok(read) => read,
        Err(reply) => return *reply,
    };
    if void.reason.is_empty() {
        return error(422, "invalid", "is empty", Some("reason"));
    }
    match state.bills.get_mut(id) {
        Some(bill) => {
            "voided".clone_into(&mut bill.status);
            Reply::ok(&shown(bill))
        }
        None => not_found("bill"),
    }
}

fn payments(state: &State, call: &Call) -> Reply {
    let Ok(span) = serde_urlencoded::from_str::<Span>(&call.query) else {
        return error(400, "invalid", "from, to and cursor can't be read", None);
    };
    let begin = span.cursor.unwrap_or_default();
    let in_span = state
        .payments
        .iter()
        .filter(|payment| span.from <= payment.paid_at && payment.paid_at < span.to);
    let rest: Vec<_> = in_span.skip(begin).collect();
    let next = (rest.len() > PAGE).then(|| (begin + PAGE).to_string());
    let items: Vec<_> = rest.into_iter().take(PAGE).collect();
    Reply::ok(&json!({ "items": items, "nextCursor": next }))
}
