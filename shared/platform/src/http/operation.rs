//! An operation behind a route, and the request that it gets.

use std::collections::HashMap;
use std::future::Future;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::about::About;
use super::problem::Problem;
use super::reply::Reply;
use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::idempotency::IdempotencyKey;
use crate::security::identity::Identity;

/// A function behind a route.
pub trait HttpOperation: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// The JSON body of a POST, PUT or PATCH; the query of a GET or DELETE. Unknown fields have to be refused.
    type Input: DeserializeOwned + ToSchema;
    /// The body of the answer.
    type Output: Serialize + ToSchema;

    /// Largest body that is read. What takes many things at once has a limit of its own.
    const BODY_LIMIT_BYTES: usize = 64 * 1024;

    /// What the API's description says of this operation.
    fn about() -> About;

    /// Handles one request.
    fn handle(
        use_case: &Self::UseCase,
        call: Call<Self::Input>,
    ) -> impl Future<Output = Result<Reply<Self::Output>, Problem>>;
}

/// A request that has been read.
#[derive(Debug)]
pub struct Call<I> {
    /// Who is asking.
    pub identity: Identity,
    /// Body or query.
    pub input: I,
    /// When an answer has to be ready.
    pub deadline: Deadline,
    pub(crate) path: HashMap<String, String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) accept: Option<String>,
}

impl<I> Call<I> {
    /// The request's `Idempotency-Key`.
    ///
    /// # Errors
    /// 400 when it is missing or malformed.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, Problem> {
        IdempotencyKey::parse(self.idempotency_key.as_deref())
    }

    /// Whether `Accept` names this media type and wants it at least as much as JSON; a wildcard leaves the choice to the
    /// operation.
    pub fn prefers(&self, media_type: &str) -> bool {
        prefers(self.accept.as_deref().unwrap_or_default(), media_type)
    }

    /// A part of the path, for instance an id.
    ///
    /// # Errors
    /// 404 when it isn't one: nothing can be found under it.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let value = self.path.get(name).and_then(|text| text.parse().ok());
        value.ok_or_else(|| Problem::new(404, "not-found", "There is nothing here."))
    }
}

fn prefers(accept: &str, media_type: &str) -> bool {
    let quality = |wanted: &[&str]| {
        let of_ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_wanted = |range: &str| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(range));
            parts.next().filter(|range| is_wanted(range))?;
            Some(parts.find_map(thousandths).unwrap_or(1000))
        });
        of_ranges.max()
    };
    let json = quality(&["application/json"]).or_else(|| quality(&["application/*", "*/*"]));
    let wanted = quality(&[media_type]).unwrap_or_default();
    wanted > 0 && wanted >= json.unwrap_or_default()
}

/// The weight of a media range (`q=0.5`), in thousandths; one that can't be read is as good as none.
fn thousandths(parameter: &str) -> Option<u32> {
    let weight = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let decimals: u32 = format!("{decimals:0<3}").get(..3)?.parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_is_preferred_by_its_weight() {
        for (accept, preferred) in [
            ("application/pdf", true),
            ("application/PDF;q=0.5", true),
            ("application/json, application/pdf", true),
            ("text/html, application/pdf;q=0.9, */*;q=0.8", true),
            ("application/json;q=0.2, application/pdf;q=0.5", true),
            ("application/pdf;q=0", false),
            ("application/pdf;q=0.000", false),
            ("application/json, application/pdf;q=0.9", false),
            ("*/*, application/pdf;q=0.1", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(prefers(accept, "application/pdf"), preferred, "{accept}");
        }
    }
}
