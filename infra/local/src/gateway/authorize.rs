//! The JWT authorizer of the HTTP API.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::routes::Route;
use crate::keys::LocalIssuer;

/// Who calls: what the function learns of the token.
#[derive(Debug)]
pub(super) struct Identity {
    /// The claims, all of them texts, as API Gateway hands them on.
    pub(super) claims: Map<String, Value>,
    /// The scopes that the route wants.
    pub(super) scopes: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There is no token, or it isn't good.
    Unauthorized,
    /// The token lacks the scope.
    Forbidden,
}

pub(super) fn check(
    route: &Route,
    headers: &HeaderMap,
    issuer: &LocalIssuer,
) -> Result<Option<Identity>, Denied> {
    if !route.definition.authorized {
        return Ok(None);
    }
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = header.map(bearer).ok_or(Denied::Unauthorized)?;
    let claims = issuer.verify(token).map_err(|_| Denied::Unauthorized)?;
    let wanted = &route.definition.scopes;
    if !wanted.is_empty() && !scopes(&claims).iter().any(|scope| wanted.contains(scope)) {
        return Err(Denied::Forbidden);
    }
    let claims = claims.as_object().into_iter().flatten();
    let claims = claims
        .map(|(name, value)| (name.clone(), Value::String(claim_text(value))))
        .collect();
    Ok(Some(Identity {
        claims,
        scopes: wanted.clone(),
    }))
}

/// The token with or without "Bearer" before it, both of which API Gateway takes.
pub(super) fn bearer(header: &str) -> &str {
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => header,
    }
}

fn scopes(claims: &Value) -> Vec<String> {
    let scopes = claims.get("scope").or_else(|| claims.get("scp"));
    match scopes {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A claim as API Gateway writes it: a list becomes `[a b]`.
fn claim_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!(
                "[{}]",
                values.iter().map(claim_text).collect::<Vec<_>>().join(" ")
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_become_texts() {
        assert_eq!(claim_text(&json!(["admin", "support"])), "[admin support]");
        assert_eq!(claim_text(&json!(7)), "7");
        assert_eq!(claim_text(&json!(true)), "true");
        assert_eq!(claim_text(&json!("a b")), "a b");
    }

    #[test]
    fn scopes_are_words_or_a_list() {
        assert_eq!(
            scopes(&json!({ "scope": "wallets dealers" })),
            ["wallets", "dealers"]
        );
        assert_eq!(scopes(&json!({ "scp": ["internal"] })), ["internal"]);
        assert!(scopes(&json!({})).is_empty());
    }

    #[test]
    fn the_word_bearer_may_be_missing() {
        assert_eq!(bearer("Bearer a.b.c"), "a.b.c");
        assert_eq!(bearer("bearer a.b.c"), "a.b.c");
        assert_eq!(bearer("a.b.c"), "a.b.c");
    }
}
