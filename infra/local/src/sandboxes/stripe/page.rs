//! The pages that a customer sees: that of a checkout session, and the bank's where a payment is authenticated.

use std::collections::BTreeMap;

use http::Method;

use super::StripeSandbox;
use super::checkout::{PageStep, TypedCard};
use super::state::{CheckoutSession, IntentStatus, PaymentIntent, SessionMode};
use crate::sandboxes::{
    call::{Call, Reply},
    html::{self, escape},
};

/// Answers a call for a page; none if it isn't one.
pub(super) fn answer(sandbox: &StripeSandbox, call: &Call) -> Option<Reply> {
    let path = call.segments();
    let reply = match (&call.method, path.as_slice()) {
        (&Method::GET, ["pay", id]) => match sandbox.work(|work| work.open_session(id)) {
            Ok(session) => checkout_page(200, &session, ""),
            Err(error) => message_page(404, &error.message()),
        },
        (&Method::POST, ["pay", id]) => pay(sandbox, id, &form(call)),
        (&Method::GET, ["authenticate", id]) => match sandbox.payment_intent(id) {
            Some(intent) => bank_page(&intent),
            None => message_page(404, "There is no such payment."),
        },
        (&Method::POST, ["authenticate", id]) => authenticate(sandbox, id, &form(call)),
        (&Method::GET, ["onboarding", token]) => onboarding(sandbox, token),
        (&Method::POST, ["onboarding", token]) => onboard(sandbox, token, field(&form(call), "number")),
        _ => return None,
    };
    Some(reply)
}

type Form = BTreeMap<String, String>;

fn form(call: &Call) -> Form {
    serde_urlencoded::from_bytes(&call.body).unwrap_or_default()
}

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn pay(sandbox: &StripeSandbox, id: &str, form: &Form) -> Reply {
    let session = match sandbox.work(|work| work.open_session(id)) {
        Ok(session) => session,
        Err(error) => return message_page(404, &error.message()),
    };
    let Some((exp_month, exp_year)) = expiry(field(form, "expiry")) else {
        return checkout_page(400, &session, "The expiry must be a month and a year: 12/34.");
    };
    let cvc = field(form, "cvc");
    if !(3..=4).contains(&cvc.len()) || !cvc.chars().all(|digit| digit.is_ascii_digit()) {
        return checkout_page(400, &session, "The CVC must have 3 digits, or 4.");
    }
    let typed = TypedCard {
        number: field(form, "number").to_owned(),
        exp_month,
        exp_year,
        authenticates: match field(form, "authentication") {
            "succeed" => Some(true),
            "fail" => Some(false),
            _ => None,
        },
    };
    match sandbox.work(|work| work.submit(id, &typed)) {
        Ok(PageStep::Done { success_url }) => see_other(success_url),
        Ok(PageStep::Authenticate) => authentication_step(form),
        Ok(PageStep::Declined(error)) => checkout_page(402, &session, &error.message()),
        Err(error) => message_page(400, &error.message()),
    }
}

/// Where Stripe collects who the person is, and where to pay.
fn onboarding(sandbox: &StripeSandbox, token: &str) -> Reply {
    match sandbox.work(|work| work.use_link(token)) {
        Ok(_) => onboarding_page(200, ""),
        Err(refresh_url) => {
            refresh_url.map_or_else(|| message_page(404, "There is no such link."), see_other)
        }
    }
}

fn onboarding_page(status: u16, problem: &str) -> Reply {
    page(
        status,
        "Where shall we send your money?",
        &format!(
            "{}<form method=\"post\">\
             <p><label>Account number <input name=\"number\" value=\"000123456789\" autocomplete=\"off\"></label></p>\
             <p><small>Stripe's test accounts: 000123456789 is paid, 000111111116 doesn't exist, 000111111113 is closed, \
             000222222227 lacks funds, 000333333335 doesn't authorize, 000444444440 has another currency.</small></p>\
             <p><button>Save</button></p></form>",
            alert(problem)
        ),
    )
}

fn onboard(sandbox: &StripeSandbox, token: &str, number: &str) -> Reply {
    match sandbox.work(|work| work.submit_link(token, number)) {
        Ok(return_url) => see_other(return_url),
        Err(error) => onboarding_page(400, &error.message()),
    }
}

fn authenticate(sandbox: &StripeSandbox, id: &str, form: &Form) -> Reply {
    let succeeds = field(form, "authentication") == "succeed";
    match sandbox.customer_confirms(id, succeeds) {
        Ok(intent) => match &intent.return_url {
            Some(back) => see_other(back.clone()),
            None => message_page(200, "Done. You can close this page."),
        },
        Err(error) => message_page(400, &format!("{error:#}")),
    }
}

/// `12/34` or `12/2034` as month and year.
fn expiry(text: &str) -> Option<(i64, i64)> {
    let (month, year) = text.split_once('/')?;
    let (month, year): (i64, i64) = (month.trim().parse().ok()?, year.trim().parse().ok()?);
    let year = match year {
        0..=99 => year.saturating_add(2000),
        _ => year,
    };
    ((1..=12).contains(&month) && (2000..=2999).contains(&year)).then_some((month, year))
}

fn see_other(location: String) -> Reply {
    Reply::text(303, String::new()).with_header("location", location)
}

fn checkout_page(status: u16, session: &CheckoutSession, problem: &str) -> Reply {
    let (title, button) = match (session.mode, session.amount) {
        (SessionMode::Payment, Some(amount)) => (
            format!(
                "Pay {}",
                money(amount, session.currency.as_deref().unwrap_or_default())
            ),
            "Pay",
        ),
        _ => ("Save a card".to_owned(), "Save"),
    };
    let cancel = session.cancel_url.as_ref().map_or_else(String::new, |url| {
        format!("<p><a href=\"{}\">Cancel</a></p>", escape(url))
    });
    page(
        status,
        &title,
        &format!(
            "{}<form method=\"post\">\
             <p><label>Card number <input name=\"number\" value=\"4242 4242 4242 4242\" inputmode=\"numeric\" \
             autocomplete=\"off\"></label></p>\
             <p><label>Expiry <input name=\"expiry\" value=\"12/34\" autocomplete=\"off\"></label></p>\
             <p><label>CVC <input name=\"cvc\" value=\"123\" inputmode=\"numeric\" autocomplete=\"off\"></label></p>\
             <p><button>{button}</button></p></form>{cancel}",
            alert(problem)
        ),
    )
}

/// Asks for the authentication, and carries what was typed in before.
fn authentication_step(form: &Form) -> Reply {
    let carried: String = ["number", "expiry", "cvc"]
        .iter()
        .map(|name| {
            format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escape(field(form, name))
            )
        })
        .collect();
    page(
        200,
        "Your bank wants to know whether it is you",
        &authentication_form(&carried),
    )
}

fn bank_page(intent: &PaymentIntent) -> Reply {
    let waits = matches!(
        intent.status,
        IntentStatus::RequiresAction | IntentStatus::RequiresPaymentMethod
    );
    if !waits {
        return message_page(200, "This payment waits for nothing.");
    }
    let title = format!("Pay {}", money(intent.amount, &intent.currency));
    page(200, &title, &authentication_form(""))
}

fn authentication_form(carried: &str) -> String {
    format!(
        "<form method=\"post\">{carried}\
         <p><button name=\"authentication\" value=\"succeed\">It is me</button> \
         <button name=\"authentication\" value=\"fail\">Fail</button></p></form>"
    )
}

fn message_page(status: u16, message: &str) -> Reply {
    page(status, "Stripe sandbox", &format!("<p>{}</p>", escape(message)))
}

fn alert(problem: &str) -> String {
    match problem {
        "" => String::new(),
        problem => format!("<p role=\"alert\">{}</p>", escape(problem)),
    }
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    html::page(
        status,
        title,
        &format!("{body}<p><small>A sandbox: no real money moves.</small></p>"),
    )
}

/// An amount as people write it.
fn money(amount: i64, currency: &str) -> String {
    let code = currency.to_ascii_uppercase();
    let exponent = domain::currency::Currency::parse(&code).map_or(2, |currency| currency.exponent());
    rust_decimal::Decimal::try_from_i128_with_scale(i128::from(amount), exponent)
        .map_or_else(|_| amount.to_string(), |amount| format!("{amount} {code}"))
}
