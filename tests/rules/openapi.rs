//! `infra/openapi.yaml` says what the functions and the template say. `make openapi` writes it anew.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};
use end_to_end::{Result, ensure_eq, options, root};
use libtest_mimic::{Arguments, Failed, Trial};
use local_cloud::template::{Event, Locals, Template};
use serde_json::Value;

fn main() -> ExitCode {
    let trial = |name: &str, test: fn() -> Result| {
        Trial::test(name, move || {
            test().map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let trials = vec![
        trial("the_file_is_what_the_functions_say", up_to_date),
        trial("its_operations_are_the_routes_of_the_template", routes),
        trial("every_operation_is_described_in_full", complete),
        trial(
            "every_reference_leads_somewhere_and_every_schema_is_used",
            references,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn path() -> PathBuf {
    root().join("infra/openapi.yaml")
}

fn document() -> Result<Value> {
    let text = std::fs::read_to_string(path()).with_context(|| path().display().to_string())?;
    Ok(serde_yaml_ng::from_str(&text)?)
}

fn up_to_date() -> Result {
    let output = Command::new(options().binaries.join("moneta"))
        .args(["openapi", "--no-build", "--check", "--root"])
        .arg(root())
        .output()
        .context("moneta can't be started; is it built?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}`make openapi` writes it");
    Ok(())
}

/// The operations as `METHOD /path`.
fn operations(document: &Value) -> BTreeMap<String, Value> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods
            .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation.clone()))
    });
    operations.collect()
}

fn routes() -> Result {
    let template = Template::load(&root().join("infra/template.yaml"), &Locals::default())?;
    let mut routes = BTreeMap::new();
    for function in &template.functions {
        for event in &function.events {
            if let Event::Http(route) = event {
                routes.insert(
                    format!("{} {}", route.method, route.path),
                    (function.binary.clone(), route.authorized),
                );
            }
        }
    }
    let document = document()?;
    let described = operations(&document).into_iter().map(|(name, operation)| {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let needs_token = operation["security"]
            .as_array()
            .is_some_and(|schemes| !schemes.is_empty());
        (name, (id, needs_token))
    });
    ensure_eq!(
        described.collect::<BTreeMap<_, _>>(),
        routes,
        "described operations and routes (function, needs a token)"
    );
    Ok(())
}

/// Asking again finds what was made the first time, by what it is: such an operation takes no Idempotency-Key.
const FOUND_AGAIN: [(&str, &str); 21] = [
    (
        "POST /admin/reviews/{review_id}/decision",
        "the same decision of the same operator",
    ),
    ("POST /billing/payment-methods", "the card that the session saved"),
    ("POST /webhooks/stripe", "the event's id"),
    ("POST /webhooks/plaid", "the token that signs it"),
    ("POST /trading/bank-accounts", "the account of the visit"),
    (
        "POST /trading/bank-accounts/link-token",
        "a token costs nothing, and another one does no harm",
    ),
    ("POST /trading/kyc/submissions", "the form's last submission"),
    ("POST /trading/kyc/phone-codes", "the code that was just sent"),
    (
        "POST /trading/kyc/phone-codes/verifications",
        "a code is good once",
    ),
    ("POST /webhooks/stripe/connect", "the event's id"),
    (
        "POST /payout-account/link",
        "the account is made once; a link is kept by nobody",
    ),
    (
        "POST /withdrawals/{withdrawal_id}/cancel",
        "a canceled withdrawal stays so",
    ),
    (
        "POST /admin/withdrawals/{withdrawal_id}/approve",
        "the same decision of the same operator",
    ),
    (
        "POST /admin/withdrawals/{withdrawal_id}/reject",
        "the same decision of the same operator",
    ),
    ("POST /notifications/read", "what is read stays read"),
    ("POST /dealers", "the dealer's cme_client_id"),
    (
        "POST /dealers/{cme_client_id}/fast-buyout",
        "the dealer's accounts",
    ),
    (
        "POST /dealers/{cme_client_id}/bills",
        "the deal's one live bill of the operation",
    ),
    (
        "POST /dealers/{cme_client_id}/bills/{bill_id}/void",
        "what is voided stays voided",
    ),
    (
        "POST /clients/{client_id}/wallets",
        "the client's one wallet in the currency",
    ),
    (
        "POST /admin/funded-accounts/{funded_account_id}/restore",
        "an account that is open isn't closed",
    ),
];

fn complete() -> Result {
    let document = document()?;
    ensure_eq!(document["openapi"], "3.1.0");
    let tags: BTreeSet<&str> = names(&document["tags"], "name");
    for (name, operation) in operations(&document) {
        for part in ["summary", "description"] {
            ensure!(
                operation[part].as_str().is_some_and(|text| !text.is_empty()),
                "{name} has no {part}"
            );
        }
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        ensure!(
            tags.contains(tag),
            "{name}: the tag {tag:?} is not among {tags:?}"
        );
        let responses = operation["responses"]
            .as_object()
            .with_context(|| format!("{name} has no responses"))?;
        ensure!(
            responses.keys().any(|status| status.starts_with('2')),
            "{name} never succeeds"
        );
        let mut expected = vec!["400", "429", "500", "503"];
        if operation["requestBody"].is_object() {
            expected.push("413");
        }
        // A webhook is asked for no token, and its body is only read once its signature is found good.
        let needs_token = operation["security"] != serde_json::json!([]);
        if needs_token {
            expected.push("401");
        }
        if needs_token && operation["requestBody"].is_object() {
            expected.push("415");
        }
        for status in expected {
            ensure!(responses.contains_key(status), "{name} says nothing of {status}");
        }
        for (status, response) in responses {
            let of_function = response["content"]["application/problem+json"].is_object();
            let is_error = !status.starts_with('2');
            let of_gateway_alone = ["401", "429"].contains(&status.as_str());
            ensure!(
                of_function == (is_error && !of_gateway_alone),
                "{name}: {status} is a problem: {of_function}"
            );
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            ensure!(
                !text.is_empty(),
                "{name}: the parameter {} is not described",
                parameter["name"]
            );
        }
        let found_again = FOUND_AGAIN.iter().any(|(known, _)| *known == name);
        let makes_anew = operation["requestBody"].is_object() && name.starts_with("POST") && !found_again;
        let keyed = names(&operation["parameters"], "name").contains("Idempotency-Key");
        ensure_eq!(keyed, makes_anew, "{name} has an Idempotency-Key");
        let has_scope = operation["security"][0]["token"]
            .as_array()
            .is_some_and(|scopes| !scopes.is_empty());
        let forbidden = &operation["responses"]["403"]["content"];
        ensure!(
            forbidden["application/json"].is_object() == has_scope,
            "{name}: the gateway stops at 403 what lacks the scope, and nothing else"
        );
    }
    Ok(())
}

fn names<'a>(list: &'a Value, part: &str) -> BTreeSet<&'a str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|entry| entry[part].as_str()).collect()
}

fn references() -> Result {
    let document = document()?;
    let schemas = document["components"]["schemas"]
        .as_object()
        .context("no schemas")?;
    let mut used = BTreeSet::new();
    collect(&document, &mut used);
    let schemas: BTreeSet<String> = schemas
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    ensure_eq!(schemas, used, "the schemas and those that are referred to");
    let plain = |name: &String| {
        let name = name.rsplit('/').next().unwrap_or_default();
        name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase)
    };
    let odd: Vec<&String> = schemas.iter().filter(|name| !plain(name)).collect();
    ensure!(odd.is_empty(), "odd names: {odd:?}");
    Ok(())
}

fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, used)),
        Value::Object(entries) => {
            for (name, value) in entries {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(target) => {
                        used.insert(target.to_owned());
                    }
                    None => collect(value, used),
                }
            }
        }
        _ => {}
    }
}
