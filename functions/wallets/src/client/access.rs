//! Who may do what: a service with scope `wallets` acts for every client, a client's own token for that client alone.
//!
//! A client's token has the claim `wallet_client_id`. One that can't be read is refused, whatever else the token may: as if
//! it weren't there, the token would act for every client.

use domain::ids::ClientId;
use platform::error::PlatformError;
use platform::security::identity::{Caller, Identity};

use crate::Error;

/// The scope of services that work with wallets.
pub const SCOPE: &str = "wallets";

/// Who moves a client's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mover {
    /// Whose money it is.
    pub client_id: ClientId,
    /// Who calls: its keys are its own.
    pub caller: Caller,
    /// Whether it is a service, which may know of every client; a client isn't told who else there is.
    pub is_service: bool,
}

impl Mover {
    /// A service that acts for a client.
    pub const fn service(caller: Caller, client_id: ClientId) -> Self {
        Self {
            client_id,
            caller,
            is_service: true,
        }
    }
}

/// Passes whoever may move the client's money.
///
/// # Errors
/// As [`acting_for`]; denied (403) for a token that doesn't say who calls.
pub fn moving_for(identity: &Identity, client: ClientId) -> Result<Mover, Error> {
    Ok(Mover {
        client_id: acting_for(identity, client)?,
        caller: identity.caller()?,
        is_service: identity.wallet_client()?.is_none(),
    })
}

/// Passes services that move money of clients.
///
/// # Errors
/// As [`service`]; denied (403) for a token that doesn't say who calls.
pub fn calling_service(identity: &Identity) -> Result<Caller, Error> {
    service(identity)?;
    Ok(identity.caller()?)
}

/// Passes whoever may read and move the client's money.
///
/// # Errors
/// Another client's is not found (404), as if it didn't exist; a token that is neither a client's nor a service's is
/// denied (403).
pub fn acting_for(identity: &Identity, client: ClientId) -> Result<ClientId, Error> {
    match identity.wallet_client()? {
        Some(own) if own == client => Ok(client),
        Some(_) => Err(Error::ClientNotFound),
        None => {
            identity.require_scope(SCOPE)?;
            Ok(client)
        }
    }
}

/// Passes services only: a client doesn't bring in money, settle withdrawals or register others by itself.
///
/// # Errors
/// Denied (403) for all others.
pub fn service(identity: &Identity) -> Result<(), Error> {
    if identity.wallet_client()?.is_some() {
        return Err(PlatformError::Denied(
            "a service's token; this one is a client's (claim wallet_client_id)",
        )
        .into());
    }
    Ok(identity.require_scope(SCOPE)?)
}

/// Passes whoever has to do with wallets at all, for what is everybody's: clients, services, administrators.
///
/// # Errors
/// Denied (403) for all others.
pub fn anybody_with_wallets(identity: &Identity) -> Result<(), Error> {
    if identity.wallet_client()?.is_some() || identity.require_admin().is_ok() {
        return Ok(());
    }
    Ok(identity.require_scope(SCOPE)?)
}
