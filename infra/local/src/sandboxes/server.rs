//! The one listener of all sandboxes.

use std::io;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Parties;
use super::call::{Call, CloseConnection, Reply, segments};
use super::gate::{Party, handle};
use super::sandbox::control;
use super::{plaid, sms};
use crate::guard;

/// A document in base64 is the largest of all.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

const INDEX: &str = "\
The sandboxes of Moneta's local cloud: stand-ins for the outside parties.

  /drivewealth   DriveWealth: users and their checks, accounts, deposits, redemptions, portfolios
  /plaid         Plaid: links with a page, balances of bank accounts, signed webhooks
  /firebase      Firebase: push messages (POST /firebase/token, POST /firebase/v1/projects/moneta-local/messages:send)
  /stripe        Stripe: customers, checkout sessions with a page, saved cards, payments, refunds, webhooks
  /billing       Billing: clients, payers, contracts, bills with their PDFs, and the payments that it tells on a topic
  /ecb           the European Central Bank: the euro's reference rates (GET /ecb/stats/eurofxref/eurofxref-daily.xml)
  /sms           the text messages that were sent (as SNS takes them)
  /mail          the mails that were sent (by SMTP, to a port of its own)

What they hold, and how to drive them or let them fail:

  GET  /control/drivewealth                      accounts, payments, counters, modes
  POST /control/drivewealth/payments/{id}/step   the payment takes its next status
  POST /control/drivewealth/payments/{id}/return the bank takes the deposit back
  POST /control/drivewealth/modes                {\"auto_advance_ms\": 300, \"hold\": false, \"duplicate\": false, \"shuffle\": false}
  GET  /control/plaid                            items and balances
  POST /control/plaid/items/balance              {\"access_token\", \"account_id\", \"available_cents\", \"current_cents\"}
  POST /control/plaid/link                       {\"link_token\": \"…\", \"accounts\": [{\"name\": \"Checking\", \"mask\": \"0000\", \"balance_cents\": 100000}]}
  POST /control/plaid/webhooks                   {\"item_id\", \"webhook_type\": \"ITEM\", \"webhook_code\": \"ERROR\", \"error_code\"}
  GET  /control/firebase/messages                messages that devices have got
  GET  /control/stripe                           everything it holds, and the operations' names
  POST /control/stripe/checkout/{id}/complete    {\"number\": \"4242424242424242\"}
  POST /control/stripe/intents/{id}/authenticate {\"succeeds\": true}
  POST /control/stripe/methods/{id}/decline      {\"decline_code\": \"insufficient_funds\"}
  POST /control/stripe/webhooks                  {\"endpoint\": \"http://…\", \"hold\": false, \"repeat\": 0, \"delay_ms\": 0}
  GET  /control/billing                          everything it holds
  POST /control/billing/payments                 {\"client_id\", \"bill_id\": null, \"amount\"}
  POST /control/billing/payments/{id}/reverse    {\"amount\": null}
  POST /control/billing/messages                 {\"hold\": false, \"repeat\": 0}
  GET  /control/ecb                              the day and its rates
  POST /control/ecb/rates                        {\"currency\": \"USD\", \"rate\": \"1.0845\"}
  POST /control/ecb/date                         {\"date\": \"2026-11-24\"}
  POST /control/mail/faults                      {\"step\": \"RCPT\", \"times\": 1, \"effect\": {\"kind\": \"refuse\", \"status\": 550}}, or kind close {after_doing}
  GET  /control/sms/messages                     the text messages, newest last
  GET  /control/{party}/calls                    what was called
  POST /control/{party}/faults                   {\"method\": \"POST\", \"path\": \"/funding/deposits\", \"times\": 1, \"effect\": {\"kind\": \"hang\", \"for_ms\": 20000, \"after_doing\": true}}
                                                 or {\"operation\": \"create_payment_intent\", …} at Stripe
                                                 kinds: refuse {status, error_code, message}, fail_after {status}, hang {for_ms, after_doing}, reset {after_doing},
                                                 slow {for_ms, done_first}, decline {decline_code} (Stripe),
                                                 truncate, rate_limit {retry_after_s}, expire_token, invalid_portfolio {defect: negative|sum|nulls},
                                                 invalid_feed {defect: truncated|empty|no_rates|zero_rate}
";

/// Accepts connections as long as the task lives; they end with it.
pub(super) async fn serve(listener: TcpListener, parties: Parties) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, parties.clone()));
                }
                Err(error) => tracing::warn!(%error, "accepting a connection of the sandboxes failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, parties: Parties) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let parties = parties.clone();
        async move {
            let response = respond(&parties, request).await;
            // An error instead of a response makes the server close the connection without a response.
            match response.extensions().get::<CloseConnection>() {
                Some(CloseConnection) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                None => Ok(response),
            }
        }
    });
    let io = hyper_util::rt::TokioIo::new(stream);
    // A client that goes away, and a connection closed on purpose, are no errors of the server.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(io, service)
        .await;
}

async fn respond(parties: &Parties, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(refusal) = guard::check(&parts.headers) {
        return guard::problem(refusal);
    }
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_BODY_BYTES).await else {
        return Reply::control_error(413, "the body is too large").into_response();
    };
    let whole_path = parts.uri.path().to_owned();
    let call = |path: &[&str]| Call {
        method: parts.method.clone(),
        path: format!("/{}", path.join("/")),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body: body.clone(),
    };
    let reply = match segments(&whole_path).as_slice() {
        [] => return Response::new(Body::from(INDEX)),
        ["drivewealth", path @ ..] => detached(&parties.drivewealth, call(path)).await,
        ["plaid", path @ ..] => match plaid::page::answer(&parties.plaid, &call(path)) {
            Some(page) => page,
            None => detached(&parties.plaid, call(path)).await,
        },
        ["firebase", path @ ..] => detached(&parties.firebase, call(path)).await,
        ["mail", path @ ..] => parties.mail.pages(&call(path)),
        ["billing", path @ ..] => detached(&parties.billing, call(path)).await,
        ["sms", path @ ..] => match sms::page(&parties.sms, &call(path)) {
            Some(page) => page,
            None => detached(&parties.sms, call(path)).await,
        },
        ["ecb", path @ ..] => detached(&parties.ecb, call(path)).await,
        ["stripe", "control", path @ ..] | ["control", "stripe", path @ ..] => {
            control(&parties.stripe, &call(path)).await
        }
        ["stripe", path @ ..] => detached(&parties.stripe, call(path)).await,
        ["control", "drivewealth", path @ ..] => control(&parties.drivewealth, &call(path)).await,
        ["control", "plaid", path @ ..] => control(&parties.plaid, &call(path)).await,
        ["control", "firebase", path @ ..] => control(&parties.firebase, &call(path)).await,
        ["control", "billing", path @ ..] => control(&parties.billing, &call(path)).await,
        ["control", "mail", path @ ..] => parties.mail.control(&call(path)),
        ["control", "sms", path @ ..] => control(&parties.sms, &call(path)).await,
        ["control", "ecb", path @ ..] => control(&parties.ecb, &call(path)).await,
        _ => Reply::control_error(404, "GET / lists what there is"),
    };
    reply.into_response()
}

/// Runs in a task of its own: a party goes on with what it does when the caller hangs up.
async fn detached<P: Party>(party: &P, call: Call) -> Reply {
    let party = party.clone();
    let done = tokio::spawn(async move { handle(&party, &call).await });
    done.await.unwrap_or_else(|_| Reply::nothing())
}
