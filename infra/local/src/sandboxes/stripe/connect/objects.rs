//! Connect's objects as JSON.

use serde_json::{Value, json};

use super::state::{
    BankAccount, Connect, ConnectedAccount, Payout, PayoutStatus, Transfer, TransferReversal,
};

/// The object with the id.
pub(in crate::sandboxes::stripe) fn object(connect: &Connect, id: &str) -> Option<Value> {
    let (prefix, _) = id.split_once('_')?;
    match prefix {
        "acct" => connect.accounts.get(id).map(account),
        "tr" => connect.transfers.get(id).map(|one| transfer(connect, one)),
        "trr" => connect.reversals.get(id).map(reversal),
        "po" => connect.payouts.get(id).map(payout),
        "ba" => {
            let banks = connect
                .accounts
                .values()
                .filter_map(|account| account.bank.as_ref());
            banks.into_iter().find(|bank| bank.id == id).map(bank_account)
        }
        _ => None,
    }
}

fn account(account: &ConnectedAccount) -> Value {
    let is_enabled = account.is_enabled();
    let banks: Vec<Value> = account.bank.iter().map(bank_account).collect();
    let url = format!("/v1/accounts/{}/external_accounts", account.id);
    json!({
        "id": account.id,
        "object": "account",
        "business_type": "individual",
        "capabilities": { "transfers": if is_enabled { "active" } else { "inactive" } },
        "charges_enabled": false,
        "controller": {
            "fees": { "payer": "application_express" },
            "is_controller": true,
            "losses": { "payments": "application" },
            "requirement_collection": "stripe",
            "stripe_dashboard": { "type": "express" },
            "type": "application",
        },
        "country": account.country,
        "created": account.created,
        "default_currency": "usd",
        "details_submitted": account.details_submitted,
        "email": account.email,
        "external_accounts": { "object": "list", "data": banks, "has_more": false, "url": url },
        "metadata": account.metadata,
        "payouts_enabled": is_enabled,
        "requirements": {
            "alternatives": [],
            "current_deadline": null,
            "currently_due": account.currently_due,
            "disabled_reason": account.disabled_reason,
            "errors": [],
            "eventually_due": account.currently_due,
            "past_due": [],
            "pending_verification": [],
        },
        "settings": {
            "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
            "card_payments": { "statement_descriptor_prefix": null },
            "dashboard": { "display_name": null, "timezone": "Etc/UTC" },
            "payments": { "statement_descriptor": null },
            "payouts": {
                "debit_negative_balances": true,
                "schedule": { "delay_days": 2, "interval": account.payout_interval },
                "statement_descriptor": null,
            },
        },
        "tos_acceptance": { "date": null },
        "type": "none",
    })
}

fn bank_account(bank: &BankAccount) -> Value {
    let country = if bank.number.starts_with("DE") { "DE" } else { "US" };
    let last4: String = bank
        .number
        .chars()
        .skip(bank.number.chars().count().saturating_sub(4))
        .collect();
    json!({
        "id": bank.id,
        "object": "bank_account",
        "account_holder_name": null,
        "account_holder_type": null,
        "account_type": null,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": country,
        "currency": "usd",
        "default_for_currency": true,
        "fingerprint": format!("fp_{}", bank.number),
        "last4": last4,
        "metadata": {},
        "routing_number": "110000000",
        "status": if bank.is_errored { "errored" } else { "new" },
    })
}

fn transfer(connect: &Connect, transfer: &Transfer) -> Value {
    let reversals = connect
        .reversals
        .values()
        .filter(|one| one.transfer == transfer.id);
    let data: Vec<Value> = reversals.map(reversal).collect();
    json!({
        "id": transfer.id,
        "object": "transfer",
        "amount": transfer.amount,
        "amount_reversed": transfer.amount_reversed,
        "balance_transaction": null,
        "created": transfer.created,
        "currency": "usd",
        "description": null,
        "destination": transfer.destination,
        "destination_payment": null,
        "livemode": false,
        "metadata": transfer.metadata,
        "reversals": { "object": "list", "data": data, "has_more": false, "url": format!("/v1/transfers/{}/reversals", transfer.id) },
        "reversed": transfer.amount_reversed == transfer.amount,
        "source_transaction": null,
        "source_type": "card",
        "transfer_group": transfer.transfer_group,
    })
}

fn reversal(reversal: &TransferReversal) -> Value {
    json!({
        "id": reversal.id,
        "object": "transfer_reversal",
        "amount": reversal.amount,
        "balance_transaction": null,
        "created": reversal.created,
        "currency": "usd",
        "destination_payment_refund": null,
        "metadata": reversal.metadata,
        "source_refund": null,
        "transfer": reversal.transfer,
    })
}

fn payout(payout: &Payout) -> Value {
    /// When a bank has it, after it was made.
    const DAYS_S: i64 = 2 * 24 * 3600;
    json!({
        "id": payout.id,
        "object": "payout",
        "amount": payout.amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": payout.created.saturating_add(DAYS_S),
        "automatic": false,
        "balance_transaction": null,
        "created": payout.created,
        "currency": "usd",
        "description": null,
        "destination": payout.destination,
        "failure_balance_transaction": null,
        "failure_code": payout.failure_code,
        "failure_message": payout.failure_code.as_ref().map(|code| format!("The bank gave it back: {code}.")),
        "livemode": false,
        "metadata": payout.metadata,
        "method": "standard",
        "original_payout": null,
        "payout_method": null,
        "reconciliation_status": if payout.status == PayoutStatus::Paid { "completed" } else { "in_progress" },
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": payout.status.name(),
        "trace_id": null,
        "type": "bank_account",
    })
}

pub(super) fn balance(available: i64, pending: i64) -> Value {
    let amount =
        |amount: i64| json!([{ "amount": amount, "currency": "usd", "source_types": { "card": amount } }]);
    json!({
        "object": "balance",
        "available": amount(available),
        "connect_reserved": amount(0),
        "livemode": false,
        "pending": amount(pending),
    })
}
