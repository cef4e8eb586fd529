//! Who is asking: the claims of the JWT which API Gateway's authorizer has checked.
//!
//! What the claims are called depends on who mints the tokens: `JWT_CLAIMS` names them, as the parameter of the deployment
//! does (the README has a table of Cognito, Okta, Entra and Keycloak).

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use domain::ids::{ClientId, ProfileId, UserId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::{Environment, FromEnvironment};
use crate::error::PlatformError;

/// How the claims are called in the tokens of this deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    profile_id: String,
    user_id: String,
    wallet_client_id: String,
    groups: String,
    scope: String,
    /// What stands before each scope, for instance `moneta/` where scopes belong to a resource server.
    scope_prefix: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            profile_id: "profile_id".to_owned(),
            user_id: "user_id".to_owned(),
            wallet_client_id: "wallet_client_id".to_owned(),
            groups: "groups".to_owned(),
            scope: "scope".to_owned(),
            scope_prefix: String::new(),
        }
    }
}

impl FromEnvironment for ClaimNames {
    /// Reads `JWT_CLAIMS`, what is called differently (`profile_id=custom:profile_id,groups=cognito:groups`), and
    /// `JWT_SCOPE_PREFIX`. Both may be missing.
    fn read(environment: &mut Environment) -> Option<Self> {
        let mut names = Self {
            scope_prefix: environment.optional("JWT_SCOPE_PREFIX").unwrap_or_default(),
            ..Self::default()
        };
        let replaced: String = environment.optional("JWT_CLAIMS").unwrap_or_default();
        for pair in replaced.split(',').filter(|pair| !pair.is_empty()) {
            if !names.replace(pair) {
                environment.problem(format!(
                    "JWT_CLAIMS has {pair:?}; it takes OURS=THEIRS with commas between, of profile_id, user_id, \
                     wallet_client_id, groups and scope"
                ));
                return None;
            }
        }
        Some(names)
    }
}

impl ClaimNames {
    fn replace(&mut self, pair: &str) -> bool {
        let Some((ours, theirs)) = pair.split_once('=').filter(|(_, theirs)| !theirs.is_empty()) else {
            return false;
        };
        let name = match ours {
            "profile_id" => &mut self.profile_id,
            "user_id" => &mut self.user_id,
            "wallet_client_id" => &mut self.wallet_client_id,
            "groups" => &mut self.groups,
            "scope" => &mut self.scope,
            _ => return false,
        };
        theirs.clone_into(name);
        true
    }
}

/// A claim that says whom a token acts for. One that can't be read isn't the same as none: a token without it may do
/// more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Claim<T> {
    #[default]
    Absent,
    Unreadable,
    Is(T),
}

/// The longest subject of a token that is taken for an operator's name.
const MAX_SUBJECT_LENGTH: usize = 200;

/// An administrator by the subject of the token: whoever did something is found under it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    /// The token's subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who calls, whatever the token may: the issuer and the subject, as a hash. Idempotency keys and references that a caller
/// gives belong to it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(Uuid);

impl Caller {
    /// The caller of an issuer's subject.
    pub fn new(issuer: &str, subject: &str) -> Self {
        let mut digest = Sha256::new();
        // An address holds no line break, so that no two pairs are written the same.
        digest.update(issuer.as_bytes());
        digest.update(b"\n");
        digest.update(subject.as_bytes());
        let bytes = digest.finalize();
        Self(Uuid::from_u128(
            bytes
                .iter()
                .take(16)
                .fold(0, |number, byte| number << 8 | u128::from(*byte)),
        ))
    }

    /// The hash.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// The identity behind a request. Ids in a path or body never override it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    profile_id: Claim<ProfileId>,
    user_id: Claim<UserId>,
    wallet_client_id: Claim<ClientId>,
    subject: Option<String>,
    caller: Option<Caller>,
    groups: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

impl Identity {
    /// The identity in the authorizer's claims.
    pub fn from_claims(names: &ClaimNames, claims: &HashMap<String, String>) -> Self {
        let scopes = claims.get(&names.scope).map(|scopes| scopes_in(scopes));
        let own = |scope: String| scope.strip_prefix(names.scope_prefix.as_str()).map(str::to_owned);
        Self {
            profile_id: id(claims, &names.profile_id),
            user_id: id(claims, &names.user_id),
            wallet_client_id: id(claims, &names.wallet_client_id),
            subject: claims.get("sub").filter(|subject| is_name(subject)).cloned(),
            caller: caller_in(claims),
            groups: claims
                .get(&names.groups)
                .map(|groups| groups_in(groups))
                .unwrap_or_default(),
            scopes: scopes.into_iter().flatten().filter_map(own).collect(),
        }
    }

    /// The app user's profile.
    ///
    /// # Errors
    /// Denied (403) for a token that carries no profile.
    pub fn profile(&self) -> Result<ProfileId, PlatformError> {
        let Claim::Is(profile) = self.profile_id else {
            return Err(PlatformError::Denied("a token of an app user (claim profile_id)"));
        };
        crate::observability::telemetry::identify(profile.get());
        Ok(profile)
    }

    /// The trader.
    ///
    /// # Errors
    /// Denied (403) for a token that carries none.
    pub fn user(&self) -> Result<UserId, PlatformError> {
        match self.user_id {
            Claim::Is(user) => Ok(user),
            Claim::Absent | Claim::Unreadable => {
                Err(PlatformError::Denied("a token of a trader (claim user_id)"))
            }
        }
    }

    /// The wallet client, where the token belongs to one.
    ///
    /// # Errors
    /// Denied (403) where it belongs to one that can't be read: without the claim it might act for all of them.
    pub fn wallet_client(&self) -> Result<Option<ClientId>, PlatformError> {
        match self.wallet_client_id {
            Claim::Is(client) => Ok(Some(client)),
            Claim::Absent => Ok(None),
            Claim::Unreadable => Err(PlatformError::Denied(
                "a claim wallet_client_id that is a whole number above zero, or none",
            )),
        }
    }

    /// Who calls.
    ///
    /// # Errors
    /// Denied (403) for a token that says nothing about who that is.
    pub fn caller(&self) -> Result<Caller, PlatformError> {
        self.caller
            .ok_or(PlatformError::Denied("a token with the claims iss and sub"))
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

    /// The administrator who is asking, for what is recorded under a name.
    ///
    /// # Errors
    /// Denied (403) for everybody else, and for a token that doesn't say whose it is.
    pub fn operator(&self) -> Result<Operator, PlatformError> {
        self.require_admin()?;
        let subject = self.subject.clone();
        subject.map(Operator).ok_or(PlatformError::Denied(
            "a token that says whose it is (claim sub, at most 200 characters)",
        ))
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

fn caller_in(claims: &HashMap<String, String>) -> Option<Caller> {
    let claim = |name| claims.get(name).filter(|text| !text.is_empty());
    Some(Caller::new(claim("iss")?, claim("sub")?))
}

fn id<T: FromStr>(claims: &HashMap<String, String>, name: &str) -> Claim<T> {
    match claims.get(name) {
        None => Claim::Absent,
        Some(text) => text.parse().map_or(Claim::Unreadable, Claim::Is),
    }
}

fn is_name(subject: &str) -> bool {
    let length = subject.chars().count();
    (1..=MAX_SUBJECT_LENGTH).contains(&length) && !subject.chars().any(char::is_control)
}

/// The values of a list as API Gateway writes it, `[a b]`; none where the claim is no list.
fn list(claim: &str) -> Option<BTreeSet<String>> {
    let values = claim.strip_prefix('[')?.strip_suffix(']')?;
    Some(values.split_whitespace().map(str::to_owned).collect())
}

/// Groups are a list; a claim that is a text is one group, whatever stands in it.
fn groups_in(claim: &str) -> BTreeSet<String> {
    list(claim).unwrap_or_else(|| BTreeSet::from([claim.to_owned()]))
}

/// Scopes are a list, or a text with spaces between (RFC 8693, section 4.2).
fn scopes_in(claim: &str) -> BTreeSet<String> {
    list(claim).unwrap_or_else(|| {
        claim
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_claims(names: &ClaimNames, claims: &[(&str, &str)]) -> Identity {
        let claims = claims.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Identity::from_claims(names, &claims.collect())
    }

    fn identity(claims: &[(&str, &str)]) -> Identity {
        of_claims(&ClaimNames::default(), claims)
    }

    fn names(claims: &str, scope_prefix: &str) -> Option<ClaimNames> {
        let variables = [("JWT_CLAIMS", claims), ("JWT_SCOPE_PREFIX", scope_prefix)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ClaimNames::read(&mut Environment::of(variables))
    }

    #[test]
    fn lists_are_read_as_the_gateway_writes_them() {
        let admin = identity(&[("groups", "[traders admin]"), ("scope", "wallets internal")]);
        assert!(admin.require_admin().is_ok());
        assert!(admin.require_scope("wallets").is_ok());
        assert!(admin.require_scope("dealers").is_err());
        assert!(
            identity(&[("scope", "[wallets internal]")])
                .require_scope("internal")
                .is_ok()
        );
    }

    #[test]
    fn group_that_only_looks_like_admin_is_not_admin() {
        for groups in [
            "[administrator]",
            "x,admin",
            "[x,admin]",
            "x admin",
            "[admin",
            "admin]",
            "",
        ] {
            assert!(
                identity(&[("groups", groups)]).require_admin().is_err(),
                "{groups}"
            );
        }
        assert!(identity(&[]).require_admin().is_err());
        assert!(identity(&[("groups", "admin")]).require_admin().is_ok());
    }

    #[test]
    fn operator_is_an_administrator_with_a_name() {
        let operator = |claims: &[(&str, &str)]| identity(claims).operator();
        let ada = operator(&[("groups", "[admin]"), ("sub", "ada")]).unwrap();
        assert_eq!(ada.0, "ada");
        assert!(operator(&[("sub", "ada")]).is_err());
        let too_long = "x".repeat(201);
        for subject in ["", "a\nb", &too_long] {
            assert!(
                operator(&[("groups", "[admin]"), ("sub", subject)]).is_err(),
                "{subject}"
            );
        }
        assert!(operator(&[("groups", "[admin]")]).is_err());
    }

    #[test]
    fn profile_has_to_be_a_positive_number() {
        assert!(identity(&[("profile_id", "7")]).profile().is_ok());
        for wrong in ["-7", "7 or 8", "07", ""] {
            assert!(identity(&[("profile_id", wrong)]).profile().is_err(), "{wrong}");
        }
        assert!(identity(&[]).profile().is_err());
    }

    #[test]
    fn traders_and_wallet_clients_have_ids_of_their_own() {
        let trader = identity(&[("user_id", "12")]);
        assert_eq!(trader.user().unwrap().get(), 12);
        assert!(trader.profile().is_err());
        assert_eq!(trader.wallet_client().unwrap(), None);
        let client = identity(&[("wallet_client_id", "3")]).wallet_client().unwrap();
        assert_eq!(client.map(|client| client.get()), Some(3));
        assert!(identity(&[("user_id", "")]).user().is_err());
    }

    #[test]
    fn caller_is_the_issuers_subject() {
        let of = |claims: &[(&str, &str)]| identity(claims).caller();
        let one = of(&[("iss", "https://a"), ("sub", "shop")]).unwrap();
        assert_eq!(
            of(&[("iss", "https://a"), ("sub", "shop"), ("scope", "x")]).unwrap(),
            one
        );
        for other in [
            ("https://a", "shops"),
            ("https://b", "shop"),
            ("https://as", "hop"),
        ] {
            assert_ne!(of(&[("iss", other.0), ("sub", other.1)]).unwrap(), one);
        }
        for missing in [
            &[("iss", "https://a")][..],
            &[("sub", "shop")],
            &[("iss", ""), ("sub", "shop")],
        ] {
            assert!(of(missing).is_err(), "{missing:?}");
        }
    }

    #[test]
    fn wallet_client_that_cannot_be_read_is_not_a_service() {
        for wrong in ["01", "", "0", "-3", "3.0", "[3]", "null", "9223372036854775808"] {
            let identity = identity(&[("wallet_client_id", wrong), ("scope", "wallets")]);
            assert!(identity.wallet_client().is_err(), "{wrong}");
        }
        // The name of OAuth's own claim says nothing about wallets.
        assert_eq!(identity(&[("client_id", "3")]).wallet_client().unwrap(), None);
    }

    #[test]
    fn claims_have_the_names_that_the_deployment_gives_them() {
        let cognito = names("profile_id=custom:profile_id,groups=cognito:groups", "moneta/").unwrap();
        let claims = [
            ("custom:profile_id", "7"),
            ("cognito:groups", "[admin]"),
            ("scope", "moneta/wallets openid"),
            ("profile_id", "8"),
        ];
        let identity = of_claims(&cognito, &claims);
        assert_eq!(identity.profile().unwrap().get(), 7);
        assert!(identity.require_admin().is_ok() && identity.require_scope("wallets").is_ok());
        assert!(
            identity.require_scope("openid").is_err(),
            "a scope without the prefix is another's"
        );
        assert_eq!(names("", ""), Some(ClaimNames::default()));
    }

    #[test]
    fn unknown_claim_in_the_configuration_is_a_problem() {
        for wrong in ["profile=sub", "profile_id", "profile_id=", "groups=a,,scope"] {
            assert_eq!(names(wrong, ""), None, "{wrong}");
        }
    }
}
