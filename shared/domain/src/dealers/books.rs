//! The books of one account: its bills, and what its payments have left. Each change is decided here as a whole, and written
//! down by whoever asked.
//!
//! After each change no rest stands beside an open bill, so that a rest is always more than the dealer owes.

use std::collections::BTreeMap;

use super::bill::{BillChange, BillStatus};
use super::distribution::{self, OpenBill, TakenBack, Unspent};
use super::kopecks;
use crate::ids::{BillId, BillingPaymentId};
use crate::money::{Money, MoneyError};
use crate::transition::Transition;

/// A bill of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookedBill {
    /// The bill.
    pub id: BillId,
    /// The whole.
    pub common: Money,
    /// The part that is paid.
    pub paid: Money,
    /// Where it stands.
    pub status: BillStatus,
    /// Whether Billing has made it.
    pub is_issued: bool,
}

/// A bill that a change has moved, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedBill {
    /// As it was.
    pub before: BookedBill,
    /// As it is now.
    pub after: BookedBill,
}

impl ChangedBill {
    /// Whether it is paid now and wasn't before.
    pub fn is_paid_now(&self) -> bool {
        self.before.status != BillStatus::Paid && self.after.status == BillStatus::Paid
    }

    /// Whether it was paid and isn't any more.
    pub fn is_reopened(&self) -> bool {
        self.before.status == BillStatus::Paid && self.after.status != BillStatus::Paid
    }
}

/// Why a change can't be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BooksError {
    /// Amounts that don't fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A bill of which a payment has paid a part isn't among the bills, or takes no payment.
    #[error("bill {0} takes no payment")]
    Bill(BillId),
}

/// The books of one account.
#[derive(Clone, Debug)]
pub struct Books {
    before: BTreeMap<BillId, BookedBill>,
    bills: BTreeMap<BillId, BookedBill>,
    rests: Vec<Unspent>,
    parts: BTreeMap<(BillingPaymentId, BillId), ChangedPart>,
}

/// By how much a payment's part of a bill has changed, and as which one of all.
#[derive(Clone, Copy, Debug)]
struct ChangedPart {
    place: usize,
    by: Money,
}

impl Books {
    /// The books with these bills (all open ones, and those that are to be changed) and these rests, the oldest first.
    pub fn new(bills: impl IntoIterator<Item = BookedBill>, rests: Vec<Unspent>) -> Self {
        let bills: BTreeMap<BillId, BookedBill> = bills.into_iter().map(|bill| (bill.id, bill)).collect();
        Self {
            before: bills.clone(),
            bills,
            rests,
            parts: BTreeMap::new(),
        }
    }

    /// Spends rests on whatever is open: a payment that has come pays the bill that it names, then the oldest ones, and what
    /// is left of it stays; a bill that was added is paid by what was left before.
    ///
    /// # Errors
    /// When amounts don't fit.
    pub fn spend(&mut self, named: Option<BillId>) -> Result<(), BooksError> {
        let open = self.open_bills()?;
        let parts = distribution::spend(&self.rests, &distribution::named_first(named, &open))?;
        for part in parts {
            self.move_part(&part.payment, part.bill, part.amount)?;
        }
        Ok(())
    }

    /// Takes an amount back from a payment, whose parts are given with the newest first. Bills that it had paid are open
    /// again, and other payments' rests go to them.
    ///
    /// # Errors
    /// When amounts don't fit, or a bill isn't in the books.
    pub fn take_back(
        &mut self,
        payment: &BillingPaymentId,
        amount: Money,
        parts_newest_first: &[(BillId, Money)],
    ) -> Result<TakenBack, BooksError> {
        let place = self.rests.iter().position(|rest| rest.payment == *payment);
        let rest = place
            .and_then(|place| self.rests.get(place))
            .map(|rest| rest.amount);
        let taken = distribution::take_back(amount, rest.unwrap_or(kopecks(0)), parts_newest_first)?;
        self.change_rest(payment, taken.from_rest.checked_neg()?)?;
        for (bill, amount) in &taken.parts {
            let back = amount.checked_neg()?;
            self.change_bill(*bill, back)?;
            self.note_part(payment, *bill, back)?;
        }
        self.spend(None)?;
        Ok(taken)
    }

    /// The bills that are different now.
    pub fn changed_bills(&self) -> Vec<ChangedBill> {
        let changed = self.bills.values().filter_map(|after| {
            let before = *self.before.get(&after.id)?;
            (before != *after).then_some(ChangedBill {
                before,
                after: *after,
            })
        });
        changed.collect()
    }

    /// What is left of each payment, and nothing of those that are spent.
    pub fn rests(&self) -> &[Unspent] {
        &self.rests
    }

    /// By how much each payment's part of a bill has changed, in the order in which it did: above zero where it pays more,
    /// below where less.
    pub fn changed_parts(&self) -> Vec<(&BillingPaymentId, BillId, Money)> {
        let changed = self.parts.iter().filter(|(_, part)| !part.by.is_zero());
        let mut changed: Vec<_> = changed.collect();
        changed.sort_by_key(|(_, part)| part.place);
        let parts = changed.into_iter();
        parts
            .map(|((payment, bill), part)| (payment, *bill, part.by))
            .collect()
    }

    fn open_bills(&self) -> Result<Vec<OpenBill>, BooksError> {
        let open = self.bills.values().filter(|bill| bill.status.is_open());
        let owed = open.map(|bill| {
            Ok(OpenBill {
                id: bill.id,
                owed: bill.common.checked_sub(bill.paid)?,
            })
        });
        owed.collect()
    }

    fn move_part(
        &mut self,
        payment: &BillingPaymentId,
        bill: BillId,
        amount: Money,
    ) -> Result<(), BooksError> {
        self.change_rest(payment, amount.checked_neg()?)?;
        self.change_bill(bill, amount)?;
        self.note_part(payment, bill, amount)
    }

    fn change_rest(&mut self, payment: &BillingPaymentId, by: Money) -> Result<(), BooksError> {
        if let Some(rest) = self.rests.iter_mut().find(|rest| rest.payment == *payment) {
            rest.amount = rest.amount.checked_add(by)?;
        }
        self.rests.retain(|rest| rest.amount.is_positive());
        Ok(())
    }

    fn change_bill(&mut self, id: BillId, by: Money) -> Result<(), BooksError> {
        let bill = self.bills.get_mut(&id).ok_or(BooksError::Bill(id))?;
        let paid = bill.paid.checked_add(by)?;
        let change = BillChange::PaidUpTo {
            paid,
            common: bill.common,
            is_issued: bill.is_issued,
        };
        match bill.status.after(change) {
            Transition::Applied(status) => bill.status = status,
            Transition::AlreadyApplied => {}
            Transition::Rejected(_) => return Err(BooksError::Bill(id)),
        }
        bill.paid = paid;
        Ok(())
    }

    fn note_part(&mut self, payment: &BillingPaymentId, bill: BillId, by: Money) -> Result<(), BooksError> {
        let place = self.parts.len();
        let none = ChangedPart {
            place,
            by: kopecks(0),
        };
        let part = self.parts.entry((payment.clone(), bill)).or_insert(none);
        part.by = part.by.checked_add(by)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(id: i64, common: i64, paid: i64) -> BookedBill {
        let change = BillChange::PaidUpTo {
            paid: kopecks(paid),
            common: kopecks(common),
            is_issued: true,
        };
        BookedBill {
            id: BillId::new(id).unwrap(),
            common: kopecks(common),
            paid: kopecks(paid),
            status: BillStatus::Issued
                .after(change)
                .or_current(BillStatus::Issued)
                .unwrap(),
            is_issued: true,
        }
    }

    fn rest(payment: &str, amount: i64) -> Unspent {
        Unspent {
            payment: payment_id(payment),
            amount: kopecks(amount),
        }
    }

    fn payment_id(payment: &str) -> BillingPaymentId {
        BillingPaymentId::parse(payment).unwrap()
    }

    fn moved(books: &Books) -> Vec<(String, i64, i64)> {
        let parts = books.changed_parts().into_iter();
        parts
            .map(|(payment, bill, by)| (payment.to_string(), bill.get(), by.minor()))
            .collect()
    }

    #[test]
    fn a_monthly_payment_pays_several_bills_and_the_rest_pays_the_next() {
        let mut books = Books::new([bill(1, 100, 40), bill(2, 50, 0)], vec![rest("p", 150)]);
        books.spend(None).unwrap();
        assert_eq!(moved(&books), [("p".to_owned(), 1, 60), ("p".to_owned(), 2, 50)]);
        assert!(books.changed_bills().iter().all(ChangedBill::is_paid_now));
        assert_eq!(books.rests(), [rest("p", 40)]);
        let mut next = Books::new([bill(3, 70, 0)], books.rests().to_vec());
        next.spend(None).unwrap();
        assert_eq!(moved(&next), [("p".to_owned(), 3, 40)]);
        assert_eq!(next.changed_bills()[0].after.status, BillStatus::PartiallyPaid);
        assert!(next.rests().is_empty());
    }

    #[test]
    fn parts_are_in_the_order_in_which_they_were_paid() {
        let mut books = Books::new([bill(1, 100, 0), bill(2, 50, 0)], vec![rest("p", 60)]);
        books.spend(BillId::new(2)).unwrap();
        assert_eq!(moved(&books), [("p".to_owned(), 2, 50), ("p".to_owned(), 1, 10)]);
    }

    #[test]
    fn a_reversal_opens_bills_and_other_rests_go_to_them() {
        let mut books = Books::new([bill(1, 100, 100), bill(2, 50, 50)], vec![rest("q", 30)]);
        let parts = [
            (BillId::new(2).unwrap(), kopecks(50)),
            (BillId::new(1).unwrap(), kopecks(100)),
        ];
        let taken = books.take_back(&payment_id("p"), kopecks(150), &parts).unwrap();
        assert_eq!((taken.uncovered, taken.total()), (kopecks(0), Ok(kopecks(150))));
        assert_eq!(
            moved(&books),
            [
                ("p".to_owned(), 2, -50),
                ("p".to_owned(), 1, -100),
                ("q".to_owned(), 1, 30)
            ]
        );
        let changed = books.changed_bills();
        assert!(changed.iter().all(ChangedBill::is_reopened));
        assert_eq!(changed[0].after.paid, kopecks(30));
        assert!(books.rests().is_empty());
    }

    #[test]
    fn a_bill_that_another_rest_pays_again_was_never_open() {
        let mut books = Books::new([bill(1, 20, 20)], vec![rest("q", 30)]);
        let parts = [(BillId::new(1).unwrap(), kopecks(20))];
        books.take_back(&payment_id("p"), kopecks(20), &parts).unwrap();
        assert_eq!(books.changed_bills(), []);
        assert_eq!(moved(&books), [("p".to_owned(), 1, -20), ("q".to_owned(), 1, 20)]);
        assert_eq!(books.rests(), [rest("q", 10)]);
    }

    #[test]
    fn a_part_of_an_unknown_bill_is_an_error_and_no_panic() {
        let mut books = Books::new([], Vec::new());
        let parts = [(BillId::new(9).unwrap(), kopecks(5))];
        let error = books.take_back(&payment_id("p"), kopecks(5), &parts).unwrap_err();
        assert_eq!(error, BooksError::Bill(BillId::new(9).unwrap()));
    }
}
