//! The API's operations as its description has them, each with a body that it would take; and the webhooks.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use end_to_end::wallets::new_key;
use end_to_end::{
    Answer, Api, Fixture, Result, Tester,
    billing::{VISA, setup_request},
    dealers::{Dealer, company, registration},
    ensure_eq,
    newcomer::{phone_of, whole_form},
    traces::routes,
};
use local_cloud::sandboxes::drivewealth::DocumentKind;
use serde_json::{Value, json};

use crate::values;

pub(crate) const JSON: &str = "application/json";
/// Fields that stand in the place of another, which a good body has.
const INSTEAD: [(&str, &str); 4] = [
    ("receiver_amount", "amount"),
    ("up_to", "ids"),
    ("deal_price", "amount"),
    ("relative_amount_delta_percent", "absolute_amount_delta_cents"),
];

/// An operation.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// As the template has it.
    pub(crate) route: String,
    /// With ids in it that lead somewhere.
    pub(crate) path: String,
    /// The parts of the path, with their schemas.
    pub(crate) parts: Vec<(String, Value)>,
    /// The parameters of its query, with their schemas.
    pub(crate) parameters: Vec<(String, Value)>,
    /// Those of them that it needs, with good values.
    pub(crate) needed: Vec<(String, String)>,
    /// A body that it would take were nothing changed in it, or none when it takes none.
    pub(crate) body: Option<Value>,
    /// The places in that body where a value stands.
    pub(crate) spots: Vec<Spot>,
    /// The largest body that it reads.
    pub(crate) limit: usize,
    /// Whether it asks for an Idempotency-Key.
    pub(crate) keyed: bool,
}

/// A place for a value in a body.
pub(crate) struct Spot {
    /// The list whose first item it is in, if it is in one.
    list: Option<String>,
    field: String,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

impl Operation {
    /// A query of the parameters that it needs, but for one, which another query follows.
    pub(crate) fn query_around(&self, parameter: &str) -> String {
        let others = self.needed.iter().filter(|(name, _)| *name != parameter);
        others.map(|(name, value)| format!("{name}={value}&")).collect()
    }

    /// A query that it takes: of amounts, where there are any, it needs one.
    pub(crate) fn good_query(&self) -> String {
        let takes_amount = self.parameters.iter().any(|(name, _)| name == "amount");
        self.query_around("") + if takes_amount { "amount=1" } else { "" }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.route)
    }
}

/// Somebody who may use every operation, and what there is to use it on.
pub(crate) struct Caller {
    pub(crate) api: Api,
    tester: Tester,
    client: i64,
    wallet: i64,
    payee: i64,
    withdrawal: String,
    session: String,
    method: i64,
    invoice: i64,
    account: i64,
    review: i64,
    dealer: Dealer,
    bill: i64,
    collection: i64,
    version: i64,
    statement: i64,
}

impl Caller {
    /// A customer, an administrator and a service in one. Stripe's webhooks stay away, so that nothing comes of them later.
    pub(crate) async fn new(fixture: &Fixture) -> Result<Self> {
        fixture.cloud.stripe().limit_webhooks(Some(&[]));
        let tester = fixture.customer().await?;
        let trader = fixture.trader().await?;
        let api = fixture.api(Some(json!({
            "profile_id": tester.customer.profile_id, "user_id": trader.user_id, "scope": "wallets dealers internal",
            "groups": ["admin"], "sub": "operator",
        })))?;
        let (client, wallet) = new_client(&api).await?;
        let (payee, _) = new_client(&api).await?;
        let post = async |what: &str, amount: i64| {
            let body = json!({ "wallet_id": wallet, "amount": amount });
            let path = format!("/clients/{client}/{what}");
            api.post(&path, "good", &body).await?.expect(201)
        };
        post("recharges", 10_000).await?;
        let withdrawn = post("withdrawals", 1_000).await?;
        let withdrawal = withdrawn.body["transaction_id"]
            .as_str()
            .context("no transaction")?;
        let dealer = fixture.dealer_with_fast_buyout().await?;
        let bill = dealer.owes_issued(100).await?;
        let session = tester.checkout().await?;
        fixture.cloud.stripe().complete_checkout(&session, VISA)?;
        let method = tester.add_method(&session).await?.expect(201)?.number("id")?;
        let invoice = fixture.invoice(&tester, 800).await?;
        fixture.list_instruments().await?;
        let collection = fixture.collection(&[("AAPL", 10_000)]).await?;
        let version = fixture.ended_order(&tester, collection, "cancelled").await?;
        let statement = fixture
            .statement(&tester, DocumentKind::TaxForm, "1099 of 2025")
            .await?;
        Ok(Self {
            collection,
            version,
            statement,
            withdrawal: withdrawal.to_owned(),
            dealer,
            bill,
            session,
            method,
            invoice,
            account: trader.account,
            review: fixture
                .review(&format!("profile-{}", tester.customer.profile_id))
                .await?,
            api,
            tester,
            client,
            wallet,
            payee,
        })
    }

    /// A body that the operation would take.
    fn good_body(&self, operation: &str) -> Result<Value> {
        let (client, wallet, payee) = (self.client, self.wallet, self.payee);
        Ok(match operation {
            "deposit_funds" | "withdraw_funds" => self.tester.request(100),
            "put_profile" => json!({
                "email": "ada@example.com", "first_name": "Ada", "last_name": "Example", "language": "en",
            }),
            "set_language" => json!({ "language": "en" }),
            "put_kyc_form" => whole_kyc_form(&self.phone()),
            "create_plaid_link_token" => json!({ "bank_account_id": self.tester.customer.bank_account_id }),
            "link_bank_account" => json!({
                "public_token": "public-sandbox-1", "account_id": "account-1", "name": "Checking",
            }),
            "send_kyc_form" => json!({}),
            "add_kyc_document" => json!({
                "type": "PASSPORT", "side": "FRONT", "content": "JVBERi0xLjcKJcOkw7zDtsOfCjIgMCBvYmoK",
            }),
            "send_phone_code" => json!({ "phone_number": self.phone() }),
            "verify_phone_code" => json!({ "phone_number": self.phone(), "code": "123456" }),
            "reconfigure_ttf_holdings" => json!({
                "weights": [{ "symbol": "AAPL", "weight": "1" }], "absolute_amount_delta_cents": 1_000,
                "account_id": self.tester.customer.trading_account_id,
            }),
            "put_collection" => json!({
                "name": "Good", "uniq_id": "ttf-good", "weights": [{ "symbol": "AAPL", "weight": "1" }],
            }),
            "register_client" => json!({ "external_ref": "good", "currencies": ["USD"] }),
            "open_wallet" => json!({ "currency": "JPY" }),
            "recharge_wallet" | "withdraw_from_wallet" => json!({ "wallet_id": wallet, "amount": 100 }),
            "settle_withdrawal" => json!({ "outcome": "done" }),
            "transfer" => json!({
                "wallet_id": wallet, "receiver_client_id": payee, "receiver_currency": "USD", "amount": 100,
            }),
            // Where one refusal is that of the whole.
            "transfer_batch" => json!({ "mode": "atomic", "transfers": [{
                "client_id": client, "wallet_id": wallet, "receiver_client_id": payee, "receiver_currency": "USD",
                "amount": 100, "idempotency_key": "good",
            }] }),
            "create_checkout_session" => {
                let mut body = setup_request();
                body["mode"] = json!("payment");
                body["price_id"] = json!("price_basic");
                body
            }
            "add_payment_method" => json!({ "stripe_session_id": self.session }),
            "set_active_payment_method" | "create_payout_account_link" => json!({}),
            "mark_notifications_read" => json!({ "ids": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"] }),
            "register_device" => json!({ "platform": "ios" }),
            "set_notification_preferences" => json!({ "items": [{
                "kind": "trading.resumed", "feed": true, "push": true, "mail": true,
            }] }),
            "decide_review" => json!({ "action": "keep-owed", "reason": "good", "parameters": {} }),
            "register_dealer" => registration("CME-good", &company()),
            "update_requisite" => company(),
            "add_fast_buyout" => json!({}),
            "create_bill" => json!({ "operation": "GET_SETTLEMENT", "deal_id": "good", "amount": 100 }),
            "void_bill" => json!({ "reason": "good" }),
            "set_exchange_rate" => json!({ "rate": "0.9", "as_of": "2026-01-01T00:00:00Z" }),
            "put_tier" => json!({
                "name": "Good", "starting_balance_cents": 10_000_000, "profit_split": "0.8", "max_drawdown": "0.05",
                "max_risk_per_trade": "0.02", "min_trades": 10, "drawdown_kind": "trailing", "daily_loss_limit_cents": 400_000,
                "daily_reset_zone": "America/New_York", "payout_cycle_days": 14, "payout_cap_cents": 5_000_000,
                "min_winning_days": 5, "winning_day_min_profit_cents": 15_000, "max_best_day_share": "0.3",
            }),
            "cancel_withdrawal" | "approve_withdrawal" => json!({}),
            "reject_withdrawal" => json!({ "reason": "Good" }),
            "request_withdrawal" => json!({ "amount_cents": 10_000 }),
            "restore_funded_account" => json!({ "reason": "Good", "sequences": [1] }),
            _ => anyhow::bail!("{operation} needs a good body of its own here"),
        })
    }

    fn phone(&self) -> String {
        phone_of(self.tester.customer.profile_id)
    }

    /// The parameters without which the operation's query is no good, with values that lead somewhere.
    fn needed(&self, described: &Value) -> Vec<(String, String)> {
        let all = described["parameters"].as_array().into_iter().flatten();
        let needed = all.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
        needed
            .map(|parameter| {
                let name = parameter["name"].as_str().unwrap_or_default();
                let value = match name {
                    "wallet_id" => self.wallet.to_string(),
                    _ => values::good_in_query(&parameter["schema"]).to_owned(),
                };
                (name.to_owned(), value)
            })
            .collect()
    }

    /// The route's path, with ids that lead somewhere.
    fn path(&self, route: &str) -> String {
        route
            .replace("{client_id}", &self.client.to_string())
            .replace("{wallet_id}", &self.wallet.to_string())
            .replace("{transaction_id}", &self.withdrawal)
            .replace("{payment_method_id}", &self.method.to_string())
            .replace("{invoice_id}", &self.invoice.to_string())
            .replace("{review_id}", &self.review.to_string())
            .replace("{cme_client_id}", &self.dealer.name)
            .replace("{bill_id}", &self.bill.to_string())
            .replace(
                "{bank_account_id}",
                &self.tester.customer.bank_account_id.to_string(),
            )
            .replace("{profile_id}", &self.tester.customer.profile_id.to_string())
            .replace("{collection_id}", &self.collection.to_string())
            .replace("{version_id}", &self.version.to_string())
            .replace("{statement_id}", &self.statement.to_string())
            .replace("{token}", &self.tester.customer.device_token)
            .replace("{tier_id}", "good")
            .replace("{funded_account_id}", &self.account.to_string())
            .replace("{withdrawal_id}", "1")
            .replace("{base}", "USD")
            .replace("{quote}", "EUR")
    }

    /// The path of the wallet's statement.
    pub(crate) fn statement(&self) -> String {
        self.path("/clients/{client_id}/wallets/{wallet_id}/statement")
    }

    /// Sends a body to an operation.
    pub(crate) async fn send(&self, operation: &Operation, body: impl Into<Vec<u8>>) -> Result<Answer> {
        let headers: [(&str, &[u8]); 2] =
            [("Content-Type", JSON.as_bytes()), ("Idempotency-Key", b"hostile")];
        self.send_with(operation, &headers, body).await
    }

    /// Sends a body with these headers and no others.
    pub(crate) async fn send_with(
        &self,
        operation: &Operation,
        headers: &[(&str, &[u8])],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer> {
        let request = self.api.request(operation.method.parse()?, &operation.path);
        let request = headers
            .iter()
            .fold(request.body(body.into()), |request, (name, value)| {
                request.header(*name, *value)
            });
        self.api.send(request).await
    }
}

/// A form in which every field is filled in.
fn whole_kyc_form(phone: &str) -> Value {
    let mut form = whole_form(phone, "Example");
    for (field, answer) in [
        ("address_street2", json!("Apt 1")),
        ("gender", json!("Female")),
        ("irs_backup_withholdings_notified", json!(false)),
        ("employment_affiliated_with_a_broker", json!(false)),
        ("employment_is_director_of_a_public_company", json!("Acme")),
        ("disclosures_drivewealth_ira_agreement", json!(true)),
    ] {
        form[field] = answer;
    }
    form
}

async fn new_client(service: &Api) -> Result<(i64, i64)> {
    let body = json!({ "currencies": ["USD"] });
    let answer = service.post("/clients", &new_key(), &body).await?.expect(201)?;
    let wallet = answer.body["wallets"][0]["wallet_id"].as_i64();
    Ok((answer.number("client_id")?, wallet.context("no wallet")?))
}

/// Whether every request of the operation needs a key.
fn needs_key(described: &Value) -> bool {
    let parameters = described["parameters"].as_array();
    parameters
        .into_iter()
        .flatten()
        .any(|one| one["name"] == "Idempotency-Key" && one["required"] == true)
}

/// All operations, which with the webhooks are those of the template.
pub(crate) async fn operations(fixture: &Fixture, caller: &Caller) -> Result<Vec<Operation>> {
    let document = fixture.api(None)?.get("/openapi.json").await?.expect(200)?.body;
    let paths = document["paths"].as_object().context("no paths")?;
    let mut operations = Vec::new();
    let mut described = BTreeSet::new();
    for (route, methods) in paths {
        for (method, about) in methods.as_object().into_iter().flatten() {
            described.insert(format!("{} {route}", method.to_uppercase()));
            if !is_webhook(about) {
                operations.push(operation(&document, caller, (method, route), about)?);
            }
        }
    }
    let template: BTreeSet<String> = routes(fixture).into_iter().map(|(name, ..)| name).collect();
    ensure_eq!(
        described,
        template,
        "the described operations and the template's routes"
    );
    Ok(operations)
}

/// A route that an outside party calls.
pub(crate) struct Webhook {
    pub(crate) path: String,
    /// The header with the signature.
    pub(crate) signature: String,
    /// The largest body that it reads.
    pub(crate) limit: usize,
}

/// All webhooks.
pub(crate) async fn webhooks(fixture: &Fixture) -> Result<Vec<Webhook>> {
    let document = fixture.api(None)?.get("/openapi.json").await?.expect(200)?.body;
    let mut webhooks = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, described) in methods.as_object().into_iter().flatten() {
            if !is_webhook(described) {
                continue;
            }
            ensure_eq!(method, "post", "the method of {path}");
            let signature = parameters(described, "header");
            let (signature, _) = signature.first().context("no signature")?;
            webhooks.push(Webhook {
                path: path.clone(),
                signature: signature.clone(),
                limit: limit(described).context("no limit")?,
            });
        }
    }
    Ok(webhooks)
}

/// Nobody shows a token there.
fn is_webhook(described: &Value) -> bool {
    described["security"].as_array().is_some_and(Vec::is_empty)
}

fn operation(
    document: &Value,
    caller: &Caller,
    (method, route): (&str, &str),
    described: &Value,
) -> Result<Operation> {
    let id = described["operationId"].as_str().context("no operationId")?;
    let schema = &described["requestBody"]["content"][JSON]["schema"];
    let takes_body = schema.is_object();
    let spots = spots(document, None, referred(document, schema));
    let body = takes_body.then(|| caller.good_body(id)).transpose()?;
    for spot in &spots {
        let has_place = body.as_ref().is_some_and(|body| spot.is_in(body)) || spot.instead_of().is_some();
        ensure!(has_place, "{id}: its good body here lacks {}", spot.name());
    }
    let limit = limit(described);
    ensure!(limit.is_some() == takes_body, "{id} says no limit");
    Ok(Operation {
        method: method.to_uppercase(),
        route: route.to_owned(),
        path: caller.path(route),
        parts: parameters(described, "path"),
        parameters: parameters(described, "query"),
        needed: caller.needed(described),
        keyed: needs_key(described),
        limit: limit.unwrap_or_default(),
        body,
        spots,
    })
}

/// The parameters in a place, with their schemas.
fn parameters(described: &Value, place: &str) -> Vec<(String, Value)> {
    let all = described["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == place)
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default();
            (name.to_owned(), parameter["schema"].clone())
        })
        .collect()
}

/// The largest body in bytes, as the description says it in words.
fn limit(described: &Value) -> Option<usize> {
    let too_large = described["responses"]["413"]["description"].as_str()?;
    too_large.split(' ').find_map(|word| word.parse().ok())
}

/// What a schema refers to, or itself.
fn referred<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"]
        .as_str()
        .and_then(|target| target.rsplit('/').next());
    name.map_or(schema, |name| &document["components"]["schemas"][name])
}

/// The places of an object's values, and those in the items of its lists.
fn spots(document: &Value, list: Option<&str>, schema: &Value) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (field, own) in schema["properties"].as_object().into_iter().flatten() {
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.contains(&json!(field)));
        spots.push(Spot {
            list: list.map(str::to_owned),
            field: field.clone(),
            schema: own.clone(),
            required,
        });
        if list.is_none() && own["items"].is_object() {
            spots.extend(self::spots(
                document,
                Some(field),
                referred(document, &own["items"]),
            ));
        }
    }
    spots
}

impl Spot {
    /// How a problem names it.
    pub(crate) fn name(&self) -> String {
        self.named(&self.field)
    }

    /// How a problem names the field beside it.
    pub(crate) fn named(&self, field: &str) -> String {
        match &self.list {
            Some(list) => format!("{list}[0].{field}"),
            None => field.to_owned(),
        }
    }

    /// How a problem names what it is a part of.
    pub(crate) fn around(&self) -> String {
        let list = self.list.as_ref();
        list.map_or_else(|| "body".to_owned(), |list| format!("{list}[0]"))
    }

    /// The field in whose place it stands, if it is one of two.
    fn instead_of(&self) -> Option<&'static str> {
        let found = INSTEAD.iter().find(|(field, _)| *field == self.field);
        found.map(|(_, other)| *other)
    }

    /// The field's own name.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The object that it is a part of.
    fn object<'a>(&self, body: &'a Value) -> &'a Value {
        match &self.list {
            Some(list) => &body[list][0],
            None => body,
        }
    }

    fn is_in(&self, body: &Value) -> bool {
        self.object(body).get(&self.field).is_some()
    }

    /// The body's text with one value replaced by a text that may be no JSON.
    pub(crate) fn with(&self, body: &Value, text: &str) -> String {
        self.rewritten(body, |object| {
            let kept = without(object, &self.field, self.instead_of());
            format!("{{{}\"{}\":{text}}}", kept, self.field)
        })
    }

    /// The body's text with another value of the same name before it.
    pub(crate) fn doubled(&self, body: &Value) -> String {
        let once = self.with(body, "1");
        once.replacen(
            &format!("\"{}\":1", self.field),
            &format!("\"{0}\":1,\"{0}\":1", self.field),
            1,
        )
    }

    /// The body's text without it.
    pub(crate) fn missing(&self, body: &Value) -> String {
        self.rewritten(body, |object| {
            format!("{{{}}}", without(object, &self.field, None).trim_end_matches(','))
        })
    }

    fn rewritten(&self, body: &Value, write: impl FnOnce(&Value) -> String) -> String {
        let object = write(self.object(body));
        match &self.list {
            None => object,
            Some(list) => format!("{{{}\"{list}\":[{object}]}}", without(body, list, None)),
        }
    }
}

/// The fields of an object but one or two, each with a comma behind it.
fn without(object: &Value, field: &str, other: Option<&str>) -> String {
    let fields = object.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| *name != field && Some(name.as_str()) != other);
    kept.map(|(name, value)| format!("\"{name}\":{value},")).collect()
}
