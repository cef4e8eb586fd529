//! Which payment pays which part of which bill.
//!
//! Money that isn't needed yet stays with the payment that it came by, so that each part of a bill has its payment; the
//! balance of an account is the sum of these rests. Rests are spent as soon as there is something to pay: there is never a
//! balance beside an open bill.

use crate::ids::{BillId, BillingPaymentId};
use crate::money::{Money, MoneyError};

use super::kopecks;

/// A bill with something left to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBill {
    /// The bill.
    pub id: BillId,
    /// What is left to pay; above zero.
    pub owed: Money,
}

/// A payment with something left to spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// The payment.
    pub payment: BillingPaymentId,
    /// What is left of it; above zero.
    pub amount: Money,
}

/// A part of a payment that pays a part of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The payment.
    pub payment: BillingPaymentId,
    /// The bill.
    pub bill: BillId,
    /// How much; above zero.
    pub amount: Money,
}

/// Spends rests on bills, both in the order in which they are given.
///
/// # Errors
/// When amounts are of another currency.
pub fn spend(rests: &[Unspent], bills: &[OpenBill]) -> Result<Vec<Part>, MoneyError> {
    let mut parts = Vec::new();
    let mut open = bills.iter().copied();
    let mut bill = open.next();
    for rest in rests {
        let mut left = rest.amount;
        while let Some(current) = bill.filter(|_| left.is_positive()) {
            let amount = smaller(left, current.owed)?;
            if amount.is_positive() {
                parts.push(Part {
                    payment: rest.payment.clone(),
                    bill: current.id,
                    amount,
                });
            }
            left = left.checked_sub(amount)?;
            let owed = current.owed.checked_sub(amount)?;
            bill = if owed.is_positive() {
                Some(OpenBill { owed, ..current })
            } else {
                open.next()
            };
        }
    }
    Ok(parts)
}

/// The order in which a payment pays bills: the one that it names, then the others as they are.
pub fn named_first(named: Option<BillId>, bills: &[OpenBill]) -> Vec<OpenBill> {
    let is_named = |bill: &&OpenBill| Some(bill.id) == named;
    let first = bills.iter().filter(is_named);
    let others = bills.iter().filter(|bill| !is_named(bill));
    first.chain(others).copied().collect()
}

/// What a reversal takes back of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// Of the rest that wasn't spent.
    pub from_rest: Money,
    /// Of the bills that it had paid.
    pub parts: Vec<(BillId, Money)>,
    /// What the payment never had, or what was taken back before: nobody can take it back.
    pub uncovered: Money,
}

impl TakenBack {
    /// All that is taken back.
    ///
    /// # Errors
    /// When amounts are of another currency.
    pub fn total(&self) -> Result<Money, MoneyError> {
        let parts = self.parts.iter().map(|(_, amount)| *amount);
        Money::checked_sum(super::CURRENCY, parts.chain([self.from_rest]))
    }
}

/// Takes an amount back from a payment: first what it hasn't spent, then its parts, which are given with the newest first.
///
/// # Errors
/// When amounts are of another currency.
pub fn take_back(
    amount: Money,
    rest: Money,
    parts_newest_first: &[(BillId, Money)],
) -> Result<TakenBack, MoneyError> {
    let from_rest = smaller(amount, rest)?;
    let mut left = amount.checked_sub(from_rest)?;
    let mut parts = Vec::new();
    for (bill, paid) in parts_newest_first {
        let taken = smaller(left, *paid)?;
        if taken.is_positive() {
            parts.push((*bill, taken));
        }
        left = left.checked_sub(taken)?;
    }
    Ok(TakenBack {
        from_rest,
        parts,
        uncovered: left,
    })
}

/// The smaller of two amounts, and nothing below zero.
fn smaller(left: Money, right: Money) -> Result<Money, MoneyError> {
    let smaller = if left.cmp_same(&right)?.is_le() {
        left
    } else {
        right
    };
    Ok(if smaller.is_negative() {
        kopecks(0)
    } else {
        smaller
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bill(id: i64, owed: i64) -> OpenBill {
        OpenBill {
            id: BillId::new(id).unwrap(),
            owed: kopecks(owed),
        }
    }

    fn unspent(payment: &str, amount: i64) -> Unspent {
        Unspent {
            payment: BillingPaymentId::parse(payment).unwrap(),
            amount: kopecks(amount),
        }
    }

    fn shown(parts: &[Part]) -> Vec<(&str, i64, i64)> {
        let shown = |part: &Part| (part.bill.get(), part.amount.minor());
        parts
            .iter()
            .map(|part| (part.payment.as_str(), shown(part).0, shown(part).1))
            .collect()
    }

    #[test]
    fn one_payment_pays_several_bills_oldest_first_and_the_rest_stays() {
        let bills = [bill(1, 100), bill(2, 50), bill(3, 70)];
        let parts = spend(&[unspent("p", 160)], &bills).unwrap();
        assert_eq!(shown(&parts), [("p", 1, 100), ("p", 2, 50), ("p", 3, 10)]);
        let parts = spend(&[unspent("p", 500)], &bills).unwrap();
        assert_eq!(parts.iter().map(|part| part.amount.minor()).sum::<i64>(), 220);
    }

    #[test]
    fn a_named_bill_is_paid_first() {
        let bills = [bill(1, 100), bill(2, 50)];
        let parts = spend(&[unspent("p", 60)], &named_first(BillId::new(2), &bills)).unwrap();
        assert_eq!(shown(&parts), [("p", 2, 50), ("p", 1, 10)]);
        assert_eq!(named_first(BillId::new(9), &bills), bills);
    }

    #[test]
    fn a_new_bill_is_paid_from_the_oldest_rests() {
        let rests = [unspent("a", 30), unspent("b", 80)];
        let parts = spend(&rests, &[bill(7, 100)]).unwrap();
        assert_eq!(shown(&parts), [("a", 7, 30), ("b", 7, 70)]);
    }

    #[test]
    fn a_reversal_takes_the_rest_first_and_then_the_newest_parts() {
        let parts = [
            (BillId::new(2).unwrap(), kopecks(50)),
            (BillId::new(1).unwrap(), kopecks(100)),
        ];
        let taken = take_back(kopecks(90), kopecks(20), &parts).unwrap();
        assert_eq!(taken.from_rest, kopecks(20));
        assert_eq!(taken.parts, [parts[0], (parts[1].0, kopecks(20))]);
        assert_eq!((taken.uncovered, taken.total()), (kopecks(0), Ok(kopecks(90))));
        let taken = take_back(kopecks(200), kopecks(20), &parts).unwrap();
        assert_eq!((taken.uncovered, taken.total()), (kopecks(30), Ok(kopecks(170))));
    }

    proptest! {
        #[test]
        fn no_kopeck_is_lost_and_no_bill_gets_more_than_it_needs(
            rests in prop::collection::vec(1_i64..1_000, 0..8),
            owed in prop::collection::vec(1_i64..1_000, 0..8),
        ) {
            let named: Vec<Unspent> =
                rests.iter().enumerate().map(|(index, rest)| unspent(&format!("p{index}"), *rest)).collect();
            let bills: Vec<OpenBill> = (1..).zip(&owed).map(|(id, owed)| bill(id, *owed)).collect();
            let parts = spend(&named, &bills).unwrap();
            let (mut by_bill, mut by_payment) = (BTreeMap::new(), BTreeMap::new());
            for part in &parts {
                prop_assert!(part.amount.is_positive());
                *by_bill.entry(part.bill).or_insert(0) += part.amount.minor();
                *by_payment.entry(part.payment.clone()).or_insert(0) += part.amount.minor();
            }
            prop_assert!(bills.iter().all(|bill| by_bill.get(&bill.id).copied().unwrap_or(0) <= bill.owed.minor()));
            prop_assert!(named.iter().all(|rest| by_payment.get(&rest.payment).copied().unwrap_or(0) <= rest.amount.minor()));
            let spent: i64 = by_bill.values().sum();
            prop_assert_eq!(spent, rests.iter().sum::<i64>().min(owed.iter().sum()));
        }

        #[test]
        fn what_is_taken_back_and_what_is_not_is_all(
            amount in 0_i64..3_000, rest in 0_i64..1_000, parts in prop::collection::vec(1_i64..500, 0..6),
        ) {
            let parts: Vec<(BillId, Money)> =
                (1..).zip(&parts).map(|(id, part)| (BillId::new(id).unwrap(), kopecks(*part))).collect();
            let taken = take_back(kopecks(amount), kopecks(rest), &parts).unwrap();
            let total = taken.total().unwrap();
            prop_assert_eq!(total.checked_add(taken.uncovered), Ok(kopecks(amount)));
            prop_assert!(taken.from_rest.minor() <= rest);
            for (bill, amount) in &taken.parts {
                prop_assert!(parts.iter().any(|(id, paid)| id == bill && paid.minor() >= amount.minor()));
            }
        }
    }
}
