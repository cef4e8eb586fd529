//! Requests under an `Idempotency-Key`, stored with the payments they make. They stand in tables of their own and not in the
//! platform's, because they are split by client as the payments are. A key belongs to its caller, the operation and the
//! client whose money it moves; a transfer's stands in the payer's payment.

mod store;

use chrono::{DateTime, Utc};
use domain::ids::ClientId;
use platform::idempotency::request_hash;
use platform::security::identity::Caller;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Error;
use crate::client::access::Mover;

/// The operation of a request. The numbers are the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `recharge_wallet`
    Recharge,
    /// `withdraw_from_wallet`
    Withdraw,
    /// `transfer` and an item of `transfer_batch` with a key of its own: they share their keys.
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

/// A key among all keys of all callers, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    /// What it is stored by.
    pub(crate) id: Uuid,
    /// The number of the lock that whoever works on its request holds, so that another copy learns at once that it is in
    /// flight.
    pub(crate) lock: i64,
}

impl Name {
    fn of(scope: &str, caller: Caller, key: &str) -> Self {
        let digest = Sha256::digest(format!("{scope}:{}:{key}", caller.as_uuid()).as_bytes());
        let (lock, rest) = digest.split_at(8);
        Self {
            id: id_of(rest),
            lock: lock
                .iter()
                .fold(0, |number: i64, byte| number.wrapping_shl(8) | i64::from(*byte)),
        }
    }
}

/// The first half of a hash.
fn id_of(hash: &[u8]) -> Uuid {
    let bytes = hash.iter().take(16);
    Uuid::from_u128(bytes.fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// What a client is known by to a caller: its reference, or the key that it was registered under.
pub(crate) fn name_of_client(caller: Caller, kind: &str, text: &str) -> Name {
    Name::of(kind, caller, text)
}

/// The digest of a request, by which another one under the same key is known.
pub(crate) fn digest_of<T: Serialize>(input: &T) -> Result<Uuid, Error> {
    Ok(id_of(&request_hash(input)?))
}

/// A batch of transfers under its key, which covers the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchKey {
    pub(crate) name: Name,
    pub(crate) digest: Uuid,
    /// Of the part of it that one of several nodes makes.
    part: Name,
}

impl BatchKey {
    /// `input` is everything that the batch is about.
    pub(crate) fn new<T: Serialize>(caller: Caller, key: &str, input: &T) -> Result<Self, Error> {
        Ok(Self {
            name: Name::of("transfer_batch", caller, key),
            digest: digest_of(input)?,
            part: Name::of("transfer_batch:part", caller, key),
        })
    }

    /// The key of a node's part of the batch. It covers the whole batch too.
    pub(crate) const fn of_part(self) -> Self {
        Self {
            name: self.part,
            ..self
        }
    }
}

/// A request of or for a client.
#[derive(Debug, Clone)]
pub(crate) struct PaymentRequest {
    pub(crate) client_id: ClientId,
    caller: Caller,
    operation: Operation,
    pub(crate) key: String,
    hash: Vec<u8>,
    asked_at: DateTime<Utc>,
}

impl PaymentRequest {
    /// `input` is the validated input: what means the same hashes the same.
    pub(crate) fn new<T: Serialize>(
        mover: Mover,
        operation: Operation,
        key: &str,
        input: &T,
        asked_at: DateTime<Utc>,
    ) -> Result<Self, Error> {
        Ok(Self {
            client_id: mover.client_id,
            caller: mover.caller,
            operation,
            key: key.to_owned(),
            hash: request_hash(input)?,
            asked_at,
        })
    }

    pub(crate) fn name(&self) -> Name {
        let scope = format!("{}:{}", self.operation.number(), self.client_id);
        Name::of(&scope, self.caller, &self.key)
    }

    pub(crate) fn digest(&self) -> Uuid {
        id_of(&self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_name_of_its_own() {
        let request = |subject, client, operation, key: &str| {
            let mover = Mover::service(Caller::new("issuer", subject), ClientId::new(client).unwrap());
            PaymentRequest::new(mover, operation, key, &(), DateTime::UNIX_EPOCH).unwrap()
        };
        let one = request("shop", 1, Operation::Transfer, "key").name();
        assert_eq!(one, request("shop", 1, Operation::Transfer, "key").name());
        for other in [
            request("other", 1, Operation::Transfer, "key"),
            request("shop", 2, Operation::Transfer, "key"),
            request("shop", 1, Operation::Recharge, "key"),
            request("shop", 1, Operation::Transfer, "yek"),
        ] {
            assert_ne!(one.id, other.name().id);
            assert_ne!(one.lock, other.name().lock);
        }
    }
}
