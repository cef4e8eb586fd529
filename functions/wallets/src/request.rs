//! Requests under an `Idempotency-Key`, kept with the payments they make.

use domain::ids::ClientId;
use platform::idempotency::{IdempotencyKey, request_hash};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Error;

/// What is asked for. The numbers are the stored ones.
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
    pub(crate) const fn number(self) -> i16 {
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
pub(crate) struct Request {
    pub(crate) client: ClientId,
    pub(crate) operation: Operation,
    pub(crate) key: String,
    pub(crate) hash: Vec<u8>,
}

impl Request {
    /// `input` is the validated input: what means the same hashes the same.
    pub(crate) fn new<T: Serialize>(
        client: ClientId,
        operation: Operation,
        key: &IdempotencyKey,
        input: &T,
    ) -> Result<Self, Error> {
        Ok(Self {
            client,
            operation,
            key: key.as_str().to_owned(),
            hash: request_hash(input)?,
        })
    }

    /// The number of the lock that whoever works on this request holds, so that another copy of it is told at once that
    /// it is in flight.
    pub(crate) fn lock_number(&self) -> i64 {
        let name = format!(
            "payment_requests:{}:{}:{}",
            self.client,
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
        let request = |client, operation, key: &str| Request {
            client: ClientId::new(client).unwrap(),
            operation,
            key: key.to_owned(),
            hash: Vec::new(),
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
