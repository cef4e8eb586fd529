//! Who is asking: the claims of the JWT which API Gateway's authorizer has checked.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use domain::ids::{ClientId, ProfileId, UserId};

use crate::error::PlatformError;

/// The identity behind a request. Ids in a path or body never override it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    profile_id: Option<ProfileId>,
    user_id: Option<UserId>,
    client_id: Option<ClientId>,
    groups: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

impl Identity {
    /// The identity in the authorizer's claims. API Gateway writes lists as `[a b]`.
    pub fn from_claims(claims: &HashMap<String, String>) -> Self {
        Self {
            profile_id: id(claims, "profile_id"),
            user_id: id(claims, "user_id"),
            client_id: id(claims, "client_id"),
            groups: words(claims.get("groups")),
            scopes: words(claims.get("scope")),
        }
    }

    /// The app user's profile.
    ///
    /// # Errors
    /// Denied (403) for a token that carries no profile.
    pub fn profile(&self) -> Result<ProfileId, PlatformError> {
        let profile = self
            .profile_id
            .ok_or(PlatformError::Denied("a token of an app user (claim profile_id)"))?;
        crate::observability::telemetry::identify(profile.get());
        Ok(profile)
    }

    /// The trader.
    ///
    /// # Errors
    /// Denied (403) for a token that carries none.
    pub fn user(&self) -> Result<UserId, PlatformError> {
        self.user_id
            .ok_or(PlatformError::Denied("a token of a trader (claim user_id)"))
    }

    /// The wallet client, where the token belongs to one.
    pub fn client(&self) -> Option<ClientId> {
        self.client_id
    }

    /// Passes administrators only.
    ///
    /// # Errors
    /// Denied (403) for everybody else.
    pub fn require_admin(&self) -> Result<(), PlatformError> {
        if self.groups.contains("admin") {
            Ok(())
        } else {
            Err(PlatformError::Denied("membership of group admin"))
        }
    }

    /// Passes tokens with the given scope only.
    ///
    /// # Errors
    /// Denied (403) for all others.
    pub fn require_scope(&self, scope: &'static str) -> Result<(), PlatformError> {
        if self.scopes.contains(scope) {
            Ok(())
        } else {
            Err(PlatformError::Denied(scope))
        }
    }
}

fn id<T: FromStr>(claims: &HashMap<String, String>, name: &str) -> Option<T> {
    claims.get(name)?.parse().ok()
}

fn words(value: Option<&String>) -> BTreeSet<String> {
    value
        .map(|text| text.trim_start_matches('[').trim_end_matches(']'))
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(claims: &[(&str, &str)]) -> Identity {
        Identity::from_claims(
            &claims
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn lists_are_read_as_the_gateway_writes_them() {
        let admin = identity(&[("groups", "[traders admin]"), ("scope", "wallets internal")]);
        assert!(admin.require_admin().is_ok());
        assert!(admin.require_scope("wallets").is_ok());
        assert!(admin.require_scope("dealers").is_err());
    }

    #[test]
    fn a_group_that_only_looks_like_admin_is_not_admin() {
        assert!(
            identity(&[("groups", "[administrator]")])
                .require_admin()
                .is_err()
        );
        assert!(identity(&[]).require_admin().is_err());
    }

    #[test]
    fn a_profile_has_to_be_a_positive_number() {
        assert!(identity(&[("profile_id", "7")]).profile().is_ok());
        assert!(identity(&[("profile_id", "-7")]).profile().is_err());
        assert!(identity(&[("profile_id", "7 or 8")]).profile().is_err());
        assert!(identity(&[]).profile().is_err());
    }

    #[test]
    fn traders_and_wallet_clients_have_ids_of_their_own() {
        let trader = identity(&[("user_id", "12")]);
        assert_eq!(trader.user().unwrap().get(), 12);
        assert!(trader.profile().is_err() && trader.client().is_none());
        let client = identity(&[("client_id", "3")]).client();
        assert_eq!(client.map(|client| client.get()), Some(3));
        assert!(identity(&[("user_id", "")]).user().is_err());
    }
}
