//! Requests under an `Idempotency-Key`, stored with the payments they make. They stand in a table of their own and not in the
//! platform's, because they are split by client as the payments are.

mod store;

use domain::ids::ClientId;
use platform::idempotency::request_hash;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Error;

/// The operation of a request. The numbers are the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `recharge_wallet`
    Recharge,
    /// `withdraw_from_wallet`
    Withdraw,
    /// `transfer` and each item of `transfer_batch`: they share their keys.
    Transfer,
    /// `settle_withdrawal`
    Settle,
}

impl Operation {
    const fn number(self) -> i16 {
        match self {
            Self::Recharge => 1,
            Self::Withdraw => 2,
            Self::Transfer => 3,
            Self::Settle => 4,
        }
    }
}

/// A request of or for a client.
#[derive(Debug, Clone)]
pub(crate) struct PaymentRequest {
    pub(crate) client_id: ClientId,
    operation: Operation,
    pub(crate) key: String,
    pub(crate) hash: Vec<u8>,
}

impl PaymentRequest {
    /// `input` is the validated input: what means the same hashes the same.
    pub(crate) fn new<T: Serialize>(
        client_id: ClientId,
        operation: Operation,
        key: &str,
        input: &T,
    ) -> Result<Self, Error> {
        Ok(Self {
            client_id,
            operation,
            key: key.to_owned(),
            hash: request_hash(input)?,
        })
    }

    /// The number of the lock that whoever works on this request holds, so that another copy of it learns at once that
    /// it is in flight.
    pub(crate) fn lock_number(&self) -> i64 {
        let name = format!(
            "payment_requests:{}:{}:{}",
            self.client_id,
            self.operation.number(),
            self.key
        );
        let digest = Sha256::digest(name.as_bytes());
        digest
            .iter()
            .take(8)
            .fold(0_i64, |number, byte| number.wrapping_shl(8) | i64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_lock_of_its_own() {
        let request = |client, operation, key: &str| {
            PaymentRequest::new(ClientId::new(client).unwrap(), operation, key, &()).unwrap()
        };
        let one = request(1, Operation::Transfer, "key");
        assert_eq!(
            one.lock_number(),
            request(1, Operation::Transfer, "key").lock_number()
        );
        for other in [
            request(2, Operation::Transfer, "key"),
            request(1, Operation::Recharge, "key"),
            request(1, Operation::Transfer, "yek"),
        ] {
            assert_ne!(one.lock_number(), other.lock_number());
        }
    }
}
