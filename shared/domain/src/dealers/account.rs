//! A dealer's account: a client of its own in Billing, made there in three steps.

use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// What an account is for.
    pub enum AccountType {
        /// Our commission for each car that the dealer buys.
        Commission = "COMMISSION",
        /// Money that lies there and opens fast buyout up to some price; it isn't spent.
        Deposit = "DEPOSIT",
        /// What the dealer owes for cars that were bought for him.
        Settlement = "SETTLEMENT",
    }
}

stored_as_text!(AccountType);

named_enum! {
    /// How far Billing knows an account.
    pub enum ProvisioningStatus {
        /// Nothing is known to be there.
        Pending = "pending",
        /// The client is there.
        ClientMade = "client_made",
        /// The client and its payer are there.
        PayerMade = "payer_made",
        /// All three are there: bills can be put on the account.
        Ready = "ready",
        /// Billing refuses a step, or has something else in its place: a person has to look.
        Parked = "parked",
    }
}

stored_as_text!(ProvisioningStatus);

/// What became of a step in Billing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisioningEvent {
    /// The client is there.
    ClientFound,
    /// The payer is there.
    PayerFound,
    /// The contract is there.
    ContractFound,
    /// Billing refused.
    Refused,
    /// A person, or a new requisite, has it tried again. What is there already decides where it goes on.
    Resumed {
        /// Whether the client is known.
        has_client: bool,
        /// Whether the payer is known.
        has_payer: bool,
        /// Whether the contract is known.
        has_contract: bool,
    },
}

/// A step can't come before the one that it needs.
pub const STEP_OUT_OF_ORDER: Code = Code::new("step_out_of_order");

impl ProvisioningStatus {
    /// What an event makes of the status. A step that is behind it changes nothing.
    pub fn after(self, event: ProvisioningEvent) -> Transition<Self> {
        use ProvisioningEvent::{ClientFound, ContractFound, PayerFound, Refused, Resumed};
        match (self, event) {
            (Self::Pending, ClientFound) => Transition::Applied(Self::ClientMade),
            (Self::ClientMade, PayerFound) => Transition::Applied(Self::PayerMade),
            (Self::PayerMade, ContractFound) => Transition::Applied(Self::Ready),
            (
                Self::Parked,
                Resumed {
                    has_client,
                    has_payer,
                    has_contract,
                },
            ) => Transition::Applied(match (has_client, has_payer, has_contract) {
                (true, true, true) => Self::Ready,
                (true, true, false) => Self::PayerMade,
                (true, false, _) => Self::ClientMade,
                (false, ..) => Self::Pending,
            }),
            (Self::Parked, Refused) | (_, Resumed { .. }) => Transition::AlreadyApplied,
            (_, Refused) => Transition::Applied(Self::Parked),
            (Self::ClientMade | Self::PayerMade | Self::Ready, ClientFound)
            | (Self::PayerMade | Self::Ready, PayerFound)
            | (Self::Ready, ContractFound) => Transition::AlreadyApplied,
            _ => Transition::rejected(STEP_OUT_OF_ORDER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESUMED: ProvisioningEvent = ProvisioningEvent::Resumed {
        has_client: true,
        has_payer: false,
        has_contract: false,
    };

    #[test]
    fn an_account_is_ready_after_its_three_steps_however_often_each_is_found() {
        use ProvisioningEvent::{ClientFound, ContractFound, PayerFound};
        let mut status = ProvisioningStatus::Pending;
        for (event, next) in [
            (ClientFound, ProvisioningStatus::ClientMade),
            (PayerFound, ProvisioningStatus::PayerMade),
            (ContractFound, ProvisioningStatus::Ready),
        ] {
            status = status.after(event).or_current(status).unwrap();
            assert_eq!(status, next);
            assert_eq!(status.after(event), Transition::AlreadyApplied);
        }
    }

    #[test]
    fn a_step_needs_the_one_before_it() {
        for (status, event) in [
            (ProvisioningStatus::Pending, ProvisioningEvent::PayerFound),
            (ProvisioningStatus::Pending, ProvisioningEvent::ContractFound),
            (ProvisioningStatus::ClientMade, ProvisioningEvent::ContractFound),
            (ProvisioningStatus::Parked, ProvisioningEvent::ClientFound),
        ] {
            assert_eq!(status.after(event), Transition::rejected(STEP_OUT_OF_ORDER));
        }
    }

    #[test]
    fn what_was_refused_goes_on_where_it_stopped() {
        let parked = ProvisioningStatus::ClientMade.after(ProvisioningEvent::Refused);
        assert_eq!(parked, Transition::Applied(ProvisioningStatus::Parked));
        assert_eq!(
            ProvisioningStatus::Parked.after(RESUMED),
            Transition::Applied(ProvisioningStatus::ClientMade)
        );
        assert_eq!(
            ProvisioningStatus::Ready.after(RESUMED),
            Transition::AlreadyApplied
        );
    }
}
