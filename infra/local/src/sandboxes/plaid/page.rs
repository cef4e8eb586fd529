//! The page on which somebody links a bank, as an app would show it.

use std::collections::BTreeMap;

use http::Method;

use super::PlaidSandbox;
use super::link::{AccountDetails, ChosenAccount, INSTITUTIONS, LinkChoice, checking};
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::html::{self, escape};

/// Answers a call for the page; none if it isn't one.
pub(in crate::sandboxes) fn answer(sandbox: &PlaidSandbox, call: &Call) -> Option<Reply> {
    let path = call.segments();
    match (&call.method, path.as_slice()) {
        (&Method::GET, ["link", token]) => Some(form(sandbox, token, "")),
        (&Method::POST, ["link", token]) => Some(link(sandbox, token, call)),
        _ => None,
    }
}

/// The accounts that every bank of the page has.
fn accounts(names: &BTreeMap<String, String>) -> Vec<ChosenAccount> {
    let mut chosen = Vec::new();
    if names.contains_key("checking") {
        chosen.push(checking("Plaid Checking", "0000", 1_000_000));
    }
    if names.contains_key("savings") {
        chosen.push(checking("Plaid Saving", "1111", 250_000));
    }
    if names.contains_key("nameless") {
        chosen.push(ChosenAccount {
            details: AccountDetails {
                name: "Account".to_owned(),
                mask: None,
                is_pending: false,
            },
            balance_cents: None,
        });
    }
    if names.contains_key("pending") {
        let mut pending = checking("Plaid Checking by small deposits", "2222", 100_000);
        pending.details.is_pending = true;
        chosen.push(pending);
    }
    chosen
}

fn link(sandbox: &PlaidSandbox, token: &str, call: &Call) -> Reply {
    let fields: BTreeMap<String, String> = serde_urlencoded::from_bytes(&call.body).unwrap_or_default();
    let choice = LinkChoice {
        institution_id: fields.get("institution_id").cloned().unwrap_or_default(),
        accounts: accounts(&fields),
    };
    let linked = match sandbox.visit_link(token, &choice) {
        Ok(linked) => linked,
        Err(problem) => return form(sandbox, token, &format!("{problem:#}")),
    };
    if let Some(back) = sandbox.visit(token).and_then(|visit| visit.redirect_uri) {
        let separator = if back.contains('?') { '&' } else { '?' };
        let location = format!("{back}{separator}public_token={}", linked.public_token);
        return Reply::text(303, String::new()).with_header("location", location);
    }
    let items: String = linked
        .account_ids
        .iter()
        .map(|id| format!("<li><code>{}</code></li>", escape(id)))
        .collect();
    let body = format!(
        "<p>The app gets this public token, which is good once and for half an hour, and the ids of the accounts.</p>\
         <pre>{}</pre><ul class=\"list\">{items}</ul>",
        escape(&linked.public_token)
    );
    html::page(200, "The bank is linked", &body)
}

fn form(sandbox: &PlaidSandbox, token: &str, problem: &str) -> Reply {
    if sandbox.visit(token).is_none() {
        return html::page(404, "Plaid sandbox", "<p>There is no such link token.</p>");
    }
    let banks: String = INSTITUTIONS
        .iter()
        .map(|(id, name)| format!("<option value=\"{id}\">{}</option>", escape(name)))
        .collect();
    let boxes: String = [
        ("checking", "Plaid Checking ••0000", " checked"),
        ("savings", "Plaid Saving ••1111", ""),
        ("nameless", "An account of which the bank says nothing", ""),
        ("pending", "An account that is verified by small deposits", ""),
    ]
    .iter()
    .map(|(name, text, checked)| {
        format!("<label><input type=\"checkbox\" style=\"width:auto\" name=\"{name}\" value=\"on\"{checked}> {text}</label>")
    })
    .collect();
    let alert = match problem {
        "" => String::new(),
        problem => format!("<p role=\"alert\">{}</p>", escape(problem)),
    };
    let body = format!(
        "{alert}<form method=\"post\"><p><label>Bank <select name=\"institution_id\">{banks}</select></label></p>\
         <p>{boxes}</p><p><button>Link</button></p></form><p><small>A sandbox: no bank is asked.</small></p>"
    );
    html::page(
        if problem.is_empty() { 200 } else { 400 },
        "Link your bank",
        &body,
    )
}
