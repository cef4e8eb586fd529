//! Reading a request; whatever doesn't fit is named by its field.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::words;

/// The most of a caller's own text that an answer repeats, in characters.
const MAX_REFLECTED_LENGTH: usize = 300;

/// Reads the JSON body, which has at most `limit_bytes`.
pub(crate) fn body<T: DeserializeOwned>(
    request: &ApiGatewayV2httpRequest,
    limit_bytes: usize,
) -> Result<T, Problem> {
    check_content_type(request)?;
    let bytes = bytes(request, limit_bytes)?;
    if bytes.is_empty() {
        return Err(Problem::malformed("body", "is empty; a JSON object is expected"));
    }
    // An array would be read as the fields' values in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::malformed("body", "has to be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| misfit(&error.path().to_string(), &error.inner().to_string(), "body"))?;
    deserializer
        .end()
        .map_err(|_| Problem::malformed("body", "has something after the JSON object"))?;
    Ok(value)
}

/// The body as it was sent, of at most `limit_bytes`.
pub(crate) fn bytes(request: &ApiGatewayV2httpRequest, limit_bytes: usize) -> Result<Vec<u8>, Problem> {
    let text = request.body.as_deref().unwrap_or_default();
    let body = if request.is_base64_encoded {
        STANDARD
            .decode(text)
            .map_err(|_| Problem::malformed("body", "is not valid base64"))?
    } else {
        text.as_bytes().to_vec()
    };
    // The limit is on what was sent, not on how the gateway writes it.
    if body.len() > limit_bytes {
        let message = format!("is {} bytes long; at most {limit_bytes} are read", body.len());
        return Err(Problem::new(413, "body-too-large", format!("The body {message}.")).at("body", message));
    }
    Ok(body)
}

/// Reads the query string.
pub(crate) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| misfit(&error.path().to_string(), &error.inner().to_string(), "query"))
}

fn check_content_type(request: &ApiGatewayV2httpRequest) -> Result<(), Problem> {
    let Some(value) = request.headers.get("content-type") else {
        return Ok(());
    };
    let kind = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if kind == "application/json" {
        return Ok(());
    }
    let message = "has to be application/json";
    Err(
        Problem::new(415, "unsupported-media-type", format!("Content-Type {message}."))
            .at("Content-Type", message),
    )
}

/// The problem of a document that doesn't fit. serde names unknown and missing fields in its message only, not in the path.
fn misfit(path: &str, message: &str, whole: &str) -> Problem {
    let message = without_position(message);
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    // Where the document breaks off, the name of the field isn't known.
    let path = path.trim_end_matches(".?");
    let parent = if path == "." || path == "?" { "" } else { path };
    let field = match named {
        Some(name) if parent.is_empty() || parent == name || parent.ends_with(&format!(".{name}")) => {
            if parent.is_empty() {
                name.to_owned()
            } else {
                parent.to_owned()
            }
        }
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => whole.to_owned(),
        None => parent.to_owned(),
    };
    let field = shortened(&field);
    Problem::malformed(&field, &shortened(&words::explain(message, &field)))
}

/// A text with something of the caller's in it, of which no more is given back than helps to find the place.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_REFLECTED_LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// serde_json ends its messages with ` at line 1 column 5`, which says nothing to a program's developer.
fn without_position(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(position) => message.get(..position).unwrap_or(message),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::TradingAccountId;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only decoding is tested")]
    struct Input {
        trading_account_id: TradingAccountId,
        amount_cents: i64,
        note: Option<Nested>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only decoding is tested")]
    struct Nested {
        text: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Query {
        limit: Option<u32>,
        cursor: Option<String>,
    }

    const LIMIT: usize = 1000;

    fn request(body: &str) -> ApiGatewayV2httpRequest {
        serde_json::from_value(json!({
            "version": "2.0", "headers": {"content-type": "application/json"}, "body": body,
            "isBase64Encoded": false, "requestContext": {"http": {"method": "POST"}},
        }))
        .unwrap()
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = body::<Input>(&request(text), LIMIT).unwrap_err();
        (problem.status, problem.errors[0].field.clone())
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let field = |body| {
            let (status, field) = refused(body);
            assert_eq!(status, 400, "{body}");
            field
        };
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":12.5}"#),
            "amount_cents"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":"12"}"#),
            "amount_cents"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":9223372036854775808}"#),
            "amount_cents"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1e3}"#),
            "amount_cents"
        );
        assert_eq!(
            field(r#"{"trading_account_id":0,"amount_cents":1}"#),
            "trading_account_id"
        );
        assert_eq!(field(r#"{"trading_account_id":1}"#), "amount_cents");
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1,"profile_id":2}"#),
            "profile_id"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1,"amount_cents":2}"#),
            "amount_cents"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1,"note":{"text":5}}"#),
            "note.text"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1,"note":{"x":5}}"#),
            "note.x"
        );
        assert_eq!(
            field(r#"{"trading_account_id":1,"amount_cents":1,"note":{"text":"a",}}"#),
            "note"
        );
        assert_eq!(field(r#"{"trading_account_id":1,"amount_cents":1} {}"#), "body");
        assert_eq!(field("[1,2"), "body");
        assert_eq!(field("[1,2,null]"), "body");
        assert_eq!(field(""), "body");
    }

    #[test]
    fn a_body_in_base64_may_be_as_large_as_any_other() {
        let sent = |length: usize| {
            let mut request = request("");
            request.body = Some(STANDARD.encode(vec![b'x'; length]));
            request.is_base64_encoded = true;
            bytes(&request, LIMIT).map(|body| body.len())
        };
        assert_eq!(sent(LIMIT).ok(), Some(LIMIT));
        assert_eq!(sent(LIMIT + 1).err().map(|problem| problem.status), Some(413));
        let mut broken = request("not base64");
        broken.is_base64_encoded = true;
        assert_eq!(
            bytes(&broken, LIMIT).err().map(|problem| problem.status),
            Some(400)
        );
    }

    #[test]
    fn a_large_body_is_refused() {
        let (status, field) = refused(&" ".repeat(LIMIT + 1));
        assert_eq!((status, field.as_str()), (413, "body"));
    }

    #[test]
    fn the_limit_that_holds_is_named() {
        let long = request(&" ".repeat(2001));
        let problem = body::<Input>(&long, 2000).unwrap_err();
        assert_eq!(
            problem.errors[0].message,
            "is 2001 bytes long; at most 2000 are read"
        );
        assert_eq!(body::<Input>(&long, 2001).unwrap_err().status, 400);
    }

    #[test]
    fn a_query_is_read_by_its_types() {
        let read: Query = query("limit=5&cursor=a%20b").unwrap();
        assert_eq!((read.limit, read.cursor.as_deref()), (Some(5), Some("a b")));
        assert_eq!(query::<Query>("limit=many").unwrap_err().errors[0].field, "limit");
        assert_eq!(query::<Query>("page=2").unwrap_err().errors[0].field, "page");
        assert_eq!(
            query::<Query>("limit=1&limit=2").unwrap_err().errors[0].field,
            "limit"
        );
    }
}
