//! Whether a trader can be paid: what Stripe says of his account, and what he is told of it.

use super::withdrawal::NotAllowed;
use crate::ids::StripeBankAccountId;
use crate::stored::named_enum;

/// What Stripe says of the account to which a trader's money goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payability {
    /// Whether money can be transferred to it.
    pub transfers_active: bool,
    /// Whether it can pay out to a bank.
    pub payouts_enabled: bool,
    /// Whether it pays out when we say so. Otherwise Stripe would, several withdrawals at once.
    pub is_paid_by_hand: bool,
    /// Whether it has a bank account.
    pub has_bank_account: bool,
    /// Why Stripe has stopped it.
    pub disabled_reason: Option<String>,
}

named_enum! {
    /// How far a trader is with the account to which his money goes.
    pub enum PayeeStatus {
        /// There is none.
        NotStarted = "not-started",
        /// Something is wanted of the trader.
        Incomplete = "incomplete",
        /// Stripe is looking at it, or has stopped it.
        Waiting = "waiting",
        /// Money can be sent to it.
        Ready = "ready",
    }
}

impl Payability {
    /// Whether money can be sent to it.
    pub fn is_ready(&self) -> bool {
        self.transfers_active
            && self.payouts_enabled
            && self.is_paid_by_hand
            && self.has_bank_account
            && self.disabled_reason.is_none()
    }

    /// How far its trader is, where so many things are wanted of him.
    pub fn status(&self, due: usize) -> PayeeStatus {
        match self.is_ready() {
            true => PayeeStatus::Ready,
            false if due > 0 || !self.has_bank_account => PayeeStatus::Incomplete,
            false => PayeeStatus::Waiting,
        }
    }
}

/// Why an approved withdrawal isn't sent to the trader's present bank account: nobody has judged that, and nothing was paid to it
/// before. One that isn't there yet is waited for.
pub fn reason_against_bank(
    present: Option<&StripeBankAccountId>,
    judged: Option<&StripeBankAccountId>,
    is_known: bool,
) -> Option<NotAllowed> {
    let is_judged = is_known || present.is_none() || present == judged;
    (!is_judged).then_some(NotAllowed::BankAccountChanged)
}

/// What Stripe wants to know, in words; the same words once, in the order in which they come.
pub fn in_words(due: &[String]) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = Vec::new();
    for words in due.iter().map(|requirement| words_of(requirement)) {
        if !all.contains(&words) {
            all.push(words);
        }
    }
    all
}

fn words_of(requirement: &str) -> &'static str {
    let of_person = requirement.split_once('.').map_or(requirement, |(_, rest)| rest);
    match requirement {
        "external_account" => return "a bank account",
        _ if requirement.starts_with("tos_acceptance") => return "your agreement to Stripe's terms",
        _ if requirement.starts_with("business_profile") => return "what you do",
        _ => {}
    }
    match of_person.split('.').next().unwrap_or_default() {
        "first_name" | "last_name" => "your name",
        "dob" => "your date of birth",
        "address" => "your address",
        "email" | "phone" => "how to reach you",
        "id_number" | "ssn_last_4" => "your tax number",
        "verification" => "a document that shows who you are",
        _ => "something that Stripe's page says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Payability {
        Payability {
            transfers_active: true,
            payouts_enabled: true,
            is_paid_by_hand: true,
            has_bank_account: true,
            disabled_reason: None,
        }
    }

    #[test]
    fn an_account_is_ready_when_nothing_is_missing() {
        assert_eq!(ready().status(0), PayeeStatus::Ready);
        // A requirement with a deadline doesn't stop it before the deadline.
        assert_eq!(ready().status(1), PayeeStatus::Ready);
        let missing = [
            Payability {
                transfers_active: false,
                ..ready()
            },
            Payability {
                payouts_enabled: false,
                ..ready()
            },
            Payability {
                is_paid_by_hand: false,
                ..ready()
            },
            Payability {
                disabled_reason: Some("under_review".to_owned()),
                ..ready()
            },
        ];
        for payability in missing {
            assert_eq!(payability.status(0), PayeeStatus::Waiting, "{payability:?}");
            assert_eq!(payability.status(2), PayeeStatus::Incomplete, "{payability:?}");
        }
        let without_bank = Payability {
            has_bank_account: false,
            ..ready()
        };
        assert_eq!(without_bank.status(0), PayeeStatus::Incomplete);
    }

    #[test]
    fn a_bank_account_is_judged_or_known_before_it_is_paid() {
        let bank = |id: &str| -> StripeBankAccountId { id.parse().unwrap() };
        let (approved, other) = (bank("ba_1"), bank("ba_2"));
        let changed = Some(NotAllowed::BankAccountChanged);
        assert_eq!(reason_against_bank(Some(&approved), Some(&approved), false), None);
        assert_eq!(reason_against_bank(Some(&other), Some(&approved), false), changed);
        assert_eq!(reason_against_bank(Some(&other), Some(&approved), true), None);
        assert_eq!(reason_against_bank(Some(&other), None, false), changed);
        assert_eq!(reason_against_bank(None, Some(&approved), false), None);
        assert!(!NotAllowed::BankAccountChanged.passes());
    }

    #[test]
    fn what_is_due_is_told_in_words_and_once() {
        let due = [
            "external_account",
            "individual.dob.day",
            "individual.dob.month",
            "individual.first_name",
            "individual.last_name",
            "individual.address.line1",
            "individual.verification.document",
            "individual.ssn_last_4",
            "tos_acceptance.date",
            "business_profile.url",
            "individual.email",
            "individual.nationality",
            "something",
        ];
        assert_eq!(
            in_words(&due.map(str::to_owned)),
            [
                "a bank account",
                "your date of birth",
                "your name",
                "your address",
                "a document that shows who you are",
                "your tax number",
                "your agreement to Stripe's terms",
                "what you do",
                "how to reach you",
                "something that Stripe's page says",
            ]
        );
    }
}
