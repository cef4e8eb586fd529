//! What Stripe has and what our records say, side by side.

use std::collections::BTreeMap;

use domain::funded::withdrawal::WithdrawalStatus;
use domain::ids::{StripeAccountId, WithdrawalId};
use providers::stripe::connect::{Payout, Transfer};
use serde_json::json;

use super::store::Expected;
use crate::review::Discrepancy;

/// What Stripe has of one withdrawal.
#[derive(Debug, Default)]
struct AtStripe<'a> {
    /// What was moved and isn't back.
    transfers: Vec<&'a Transfer>,
    /// What went to a bank and didn't come back.
    payouts: Vec<&'a Payout>,
}

/// What differs.
pub(super) fn compare(
    expected: &[Expected],
    transfers: &[Transfer],
    payouts: &[(StripeAccountId, Payout)],
) -> Vec<Discrepancy> {
    let mut at_stripe: BTreeMap<WithdrawalId, AtStripe<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for transfer in transfers.iter().filter(|transfer| !transfer.is_reversed) {
        match transfer.withdrawal {
            Some(id) => at_stripe.entry(id).or_default().transfers.push(transfer),
            None => found.push(nobodys(
                "transfer",
                transfer.id.as_str(),
                transfer.amount.to_string(),
            )),
        }
    }
    for (_, payout) in payouts.iter().filter(|(_, payout)| !payout.state.has_come_back()) {
        match payout.withdrawal {
            Some(id) => at_stripe.entry(id).or_default().payouts.push(payout),
            None => found.push(nobodys("payout", payout.id.as_str(), payout.amount.to_string())),
        }
    }
    for withdrawal in expected {
        let theirs = at_stripe.remove(&withdrawal.id).unwrap_or_default();
        found.extend(difference(withdrawal, &theirs));
    }
    for (id, theirs) in at_stripe {
        let transfers = theirs
            .transfers
            .iter()
            .map(|one| (one.id.to_string(), one.amount.to_string()));
        let payouts = theirs
            .payouts
            .iter()
            .map(|one| (one.id.to_string(), one.amount.to_string()));
        for (sent, amount) in transfers.chain(payouts) {
            found.push(nobodys(&format!("money of withdrawal {id}"), &sent, amount));
        }
    }
    found
}

fn difference(withdrawal: &Expected, theirs: &AtStripe<'_>) -> Option<Discrepancy> {
    let amounts = |sum: Vec<i64>| sum.into_iter().all(|minor| minor == withdrawal.amount_cents);
    let same_transfer = theirs
        .transfers
        .iter()
        .all(|transfer| withdrawal.transfer.as_ref() == Some(&transfer.id));
    let same_payout = theirs
        .payouts
        .iter()
        .all(|payout| withdrawal.payout.as_ref() == Some(&payout.id));
    let same_account = theirs
        .transfers
        .iter()
        .all(|transfer| transfer.destination == withdrawal.account);
    let same_amounts = amounts(
        theirs
            .transfers
            .iter()
            .map(|transfer| transfer.amount.minor())
            .collect(),
    ) && amounts(
        theirs
            .payouts
            .iter()
            .map(|payout| payout.amount.minor())
            .collect(),
    ) && theirs
        .transfers
        .iter()
        .all(|transfer| transfer.amount_reversed.minor() == 0);
    let (transfers, payouts) = (theirs.transfers.len(), theirs.payouts.len());
    let what = match withdrawal.status {
        WithdrawalStatus::Completed if transfers != 1 || payouts != 1 => {
            "it is completed, and doesn't have one transfer and one payout"
        }
        // On its way it may have either, and is asked for in a moment.
        WithdrawalStatus::Approved if transfers > 1 || payouts > 1 => "more than one was sent for it",
        WithdrawalStatus::Approved => return None,
        WithdrawalStatus::Completed if !same_amounts => "the amounts differ",
        WithdrawalStatus::Completed if !(same_transfer && same_payout && same_account) => {
            "it has another transfer or payout than recorded"
        }
        WithdrawalStatus::Completed => return None,
        _ if transfers > 0 || payouts > 0 => "nothing should have been sent for it",
        _ => return None,
    };
    Some(Discrepancy {
        subject: format!("withdrawal-{}", withdrawal.id),
        summary: format!("Withdrawal {} and Stripe differ: {what}", withdrawal.id),
        ours: json!({
            "withdrawal_id": withdrawal.id, "status": withdrawal.status, "amount_cents": withdrawal.amount_cents,
            "transfer": withdrawal.transfer, "payout": withdrawal.payout, "account": withdrawal.account,
        }),
        theirs: json!({
            "transfers": theirs.transfers.iter().map(|one| json!({ "id": one.id, "amount": one.amount.to_string(),
                "account": one.destination })).collect::<Vec<_>>(),
            "payouts": theirs.payouts.iter().map(|one| json!({ "id": one.id, "amount": one.amount.to_string() }))
                .collect::<Vec<_>>(),
        }),
    })
}

fn nobodys(what: &str, id: &str, amount: String) -> Discrepancy {
    Discrepancy {
        subject: format!("{what} {id}"),
        summary: format!("The {what} {id} of {amount} at Stripe belongs to no withdrawal"),
        ours: json!(null),
        theirs: json!({ what: id, "amount": amount }),
    }
}

#[cfg(test)]
mod tests {
    use domain::currency::Currency;
    use domain::money::Money;
    use providers::stripe::connect::PayoutState;

    use super::*;

    fn expected(status: WithdrawalStatus) -> Expected {
        Expected {
            id: "1".parse().unwrap(),
            status,
            amount_cents: 50_000,
            account: Some("acct_1".parse().unwrap()),
            transfer: Some("tr_1".parse().unwrap()),
            payout: Some("po_1".parse().unwrap()),
        }
    }

    fn usd(cents: i64) -> Money {
        Money::new(cents, Currency::USD)
    }

    fn transfer(id: &str, cents: i64) -> Transfer {
        Transfer {
            id: id.parse().unwrap(),
            amount: usd(cents),
            amount_reversed: usd(0),
            is_reversed: false,
            destination: Some("acct_1".parse().unwrap()),
            withdrawal: Some("1".parse().unwrap()),
            attempt: Some(1),
        }
    }

    fn payout(id: &str, cents: i64, state: PayoutState) -> (StripeAccountId, Payout) {
        let payout = Payout {
            id: id.parse().unwrap(),
            amount: usd(cents),
            state,
            failure_code: None,
            withdrawal: Some("1".parse().unwrap()),
            attempt: Some(1),
            arrives_at: "2026-11-04T00:00:00Z".parse().unwrap(),
        };
        ("acct_1".parse().unwrap(), payout)
    }

    fn differences(
        status: WithdrawalStatus,
        transfers: &[Transfer],
        payouts: &[(StripeAccountId, Payout)],
    ) -> usize {
        compare(&[expected(status)], transfers, payouts).len()
    }

    #[test]
    fn a_completed_withdrawal_has_one_transfer_and_one_payout_of_its_amount() {
        use PayoutState::{Failed, OnItsWay, Paid};
        use WithdrawalStatus::Completed;
        let sent = [transfer("tr_1", 50_000)];
        assert_eq!(differences(Completed, &sent, &[payout("po_1", 50_000, Paid)]), 0);
        assert_eq!(
            differences(Completed, &sent, &[payout("po_1", 50_000, OnItsWay)]),
            0
        );
        // A payout of before that came back is none.
        assert_eq!(
            differences(
                Completed,
                &sent,
                &[payout("po_0", 50_000, Failed), payout("po_1", 50_000, Paid)]
            ),
            0
        );
        // A cent, nothing, twice, another one, another account, taken back.
        assert_eq!(differences(Completed, &sent, &[payout("po_1", 49_999, Paid)]), 1);
        assert_eq!(
            differences(
                Completed,
                &[transfer("tr_1", 50_001)],
                &[payout("po_1", 50_000, Paid)]
            ),
            1
        );
        assert_eq!(differences(Completed, &[], &[]), 1);
        assert_eq!(differences(Completed, &sent, &[]), 1);
        assert_eq!(
            differences(
                Completed,
                &[transfer("tr_1", 50_000), transfer("tr_2", 50_000)],
                &[payout("po_1", 50_000, Paid)]
            ),
            1
        );
        assert_eq!(differences(Completed, &sent, &[payout("po_2", 50_000, Paid)]), 1);
        let elsewhere = Transfer {
            destination: None,
            ..transfer("tr_1", 50_000)
        };
        assert_eq!(
            differences(Completed, &[elsewhere], &[payout("po_1", 50_000, Paid)]),
            1
        );
        let half = Transfer {
            amount_reversed: usd(1),
            ..transfer("tr_1", 50_000)
        };
        assert_eq!(
            differences(Completed, &[half], &[payout("po_1", 50_000, Paid)]),
            1
        );
    }

    #[test]
    fn nothing_is_sent_for_what_ended_otherwise_or_for_nobody() {
        use WithdrawalStatus::{Approved, Canceled, Failed, Pending, Rejected};
        let sent = [transfer("tr_1", 50_000)];
        for ended in [Rejected, Failed, Canceled, Pending] {
            assert_eq!(differences(ended, &[], &[]), 0, "{ended}");
            assert_eq!(differences(ended, &sent, &[]), 1, "{ended}");
            let reversed = Transfer {
                is_reversed: true,
                ..transfer("tr_1", 50_000)
            };
            assert_eq!(differences(ended, &[reversed], &[]), 0, "{ended}");
        }
        assert_eq!(differences(Approved, &sent, &[]), 0);
        assert_eq!(
            differences(
                Approved,
                &[transfer("tr_1", 50_000), transfer("tr_2", 50_000)],
                &[]
            ),
            1
        );
        let nobodys = Transfer {
            withdrawal: None,
            ..transfer("tr_9", 1)
        };
        assert_eq!(compare(&[], &[nobodys], &[]).len(), 1);
        assert_eq!(compare(&[], &sent, &[]).len(), 1, "there is no such withdrawal");
        let (account, mut automatic) = payout("po_9", 1, PayoutState::Paid);
        automatic.withdrawal = None;
        assert_eq!(
            compare(&[], &[], &[(account, automatic)]).len(),
            1,
            "Stripe paid out by itself"
        );
    }
}
