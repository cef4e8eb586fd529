//! The status of an invoice.

use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// State of an invoice.
    pub enum InvoiceStatus {
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Not to be had: all retries failed. It is still owed, and a new payment method is charged.
        Uncollectible = "uncollectible",
        /// Taken back; nothing is owed.
        Void = "void",
    }
}

stored_as_text!(InvoiceStatus);

/// The invoice was taken back; money that comes for it has to be looked at by a person.
pub const INVOICE_IS_VOID: Code = Code::new("invoice_is_void");
/// The invoice is paid; whatever else comes for it is too much.
pub const INVOICE_IS_PAID: Code = Code::new("invoice_is_paid");

impl InvoiceStatus {
    /// Whether its amount is owed.
    pub const fn is_owed(self) -> bool {
        matches!(self, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
    }

    /// What a successful charge makes of it.
    pub const fn after_payment(self) -> Transition<InvoiceStatus> {
        match self {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => Transition::Applied(InvoiceStatus::Paid),
            InvoiceStatus::Paid => Transition::rejected(INVOICE_IS_PAID),
            InvoiceStatus::Void => Transition::rejected(INVOICE_IS_VOID),
        }
    }

    /// What giving up makes of it.
    pub const fn after_giving_up(self) -> Transition<InvoiceStatus> {
        match self {
            InvoiceStatus::Open => Transition::Applied(InvoiceStatus::Uncollectible),
            InvoiceStatus::Uncollectible => Transition::AlreadyApplied,
            InvoiceStatus::Paid => Transition::rejected(INVOICE_IS_PAID),
            InvoiceStatus::Void => Transition::rejected(INVOICE_IS_VOID),
        }
    }

    /// What taking it back makes of it.
    pub const fn after_voiding(self) -> Transition<InvoiceStatus> {
        match self {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => Transition::Applied(InvoiceStatus::Void),
            InvoiceStatus::Void => Transition::AlreadyApplied,
            InvoiceStatus::Paid => Transition::rejected(INVOICE_IS_PAID),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_can_be_taken_back_and_what_is_paid_cannot() {
        for status in InvoiceStatus::ALL {
            let after = status.after_voiding();
            assert_eq!(after.is_applied(), status.is_owed(), "{status}");
        }
        assert_eq!(InvoiceStatus::Void.after_voiding(), Transition::AlreadyApplied);
        assert_eq!(
            InvoiceStatus::Paid.after_voiding(),
            Transition::rejected(INVOICE_IS_PAID)
        );
    }

    #[test]
    fn names_are_read_back() {
        for status in InvoiceStatus::ALL {
            assert_eq!(InvoiceStatus::parse(status.name()), Some(status));
        }
        assert_eq!(InvoiceStatus::parse("draft"), None);
    }
}
