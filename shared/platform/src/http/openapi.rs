//! An operation's part of the API's description (OpenAPI 3.1).
//!
//! Routes stand in the template alone; `moneta openapi` joins them with what each function prints here.

use std::io::Write;
use std::process::ExitCode;

use domain::currency::Currency;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::about::About;
use super::operation::HttpOperation;
use super::problem::Problem;
use crate::observability::correlation;

/// Prints the operation as JSON: `{"operation": …, "components": {"schemas": …}}`.
pub(crate) fn print<O: HttpOperation>() -> ExitCode {
    print_document(&describe::<O>())
}

/// Prints a webhook's route in the same way. What is in the body is the sender's business.
pub(crate) fn print_webhook(about: &About, body_limit_bytes: usize) -> ExitCode {
    print_document(&describe_webhook(about, body_limit_bytes))
}

fn print_document(document: &Value) -> ExitCode {
    match writeln!(std::io::stdout().lock(), "{document}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn describe_webhook(about: &About, body_limit_bytes: usize) -> Value {
    let mut responses = Map::new();
    let received =
        json!({"type": "object", "required": ["received"], "properties": {"received": {"type": "boolean"}}});
    for (status, when) in &about.responses {
        responses.insert(
            status.to_string(),
            response(when, "application/json", received.clone()),
        );
    }
    let too_large = format!("The body is larger than {body_limit_bytes} bytes.");
    let refusals = about.problems.iter().filter(|(status, _)| *status != 403);
    for (status, when) in refusals.chain([&(413, too_large.as_str())]) {
        responses.insert(
            status.to_string(),
            response(when, "application/problem+json", reference::<Problem>()),
        );
    }
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let schemas: Map<String, Value> = schemas
        .iter()
        .map(|(name, schema)| (name.clone(), to_json(schema)))
        .collect();
    let mut parameters = about.path.clone();
    parameters.extend(about.headers.clone());
    json!({
        "operation": {
            "summary": about.summary,
            "description": about.description,
            "parameters": parameters,
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": responses,
        },
        "components": {"schemas": schemas},
    })
}

fn describe<O: HttpOperation>() -> Value {
    let about = O::about();
    let mut parameters = about.path.clone();
    parameters.push(json!({
        "name": correlation::HEADER, "in": "header", "required": false,
        "description": "Names this request in the logs; one that can't be written there is replaced.",
        "schema": {"type": "string"},
    }));
    if about.needs_idempotency_key {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "A unique key of this request. The same key with the same body is done once and answered the same.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7E]+$"},
        }));
    }
    if let Some(when) = about.key_needed_when {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": format!("A unique key of this request. {when}"),
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7E]+$"},
        }));
    }
    if !about.takes_body() {
        parameters.extend(query_parameters(&to_json(&O::Input::schema())));
    }
    let mut operation = Map::new();
    operation.insert("summary".to_owned(), json!(about.summary));
    operation.insert("description".to_owned(), json!(about.description));
    operation.insert("parameters".to_owned(), json!(parameters));
    if about.takes_body() {
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {"application/json": {"schema": reference::<O::Input>()}}}),
        );
    }
    operation.insert("responses".to_owned(), responses::<O>(&about));
    json!({ "operation": operation, "components": {"schemas": schemas::<O>(&about)} })
}

fn responses<O: HttpOperation>(about: &About) -> Value {
    let mut responses = Map::new();
    for (status, when) in &about.responses {
        let mut answer = response(when, "application/json", reference::<O::Output>());
        if about.needs_idempotency_key || about.key_needed_when.is_some() {
            add_header(&mut answer, "idempotency-replayed", replayed());
        }
        if let Some(file) = about.file.filter(|_| *status == 200) {
            add(&mut answer, "content", file, json!({"schema": of_file(file)}));
            add_header(&mut answer, "content-disposition", attachment());
        }
        responses.insert(status.to_string(), answer);
    }
    let too_large = format!("The body is larger than {} bytes.", O::BODY_LIMIT_BYTES);
    let of_bodies = [(413, too_large.as_str()), (415, "The body is not JSON.")];
    let of_bodies = of_bodies.iter().filter(|_| about.takes_body());
    for (status, when) in about.problems.iter().chain(of_bodies) {
        let mut answer = response(when, "application/problem+json", reference::<Problem>());
        if about.needs_idempotency_key && *status == 422 {
            add_header(&mut answer, "idempotency-replayed", replayed());
        }
        if *status == 503 {
            add_header(&mut answer, "retry-after", retry_after());
        }
        responses.insert(status.to_string(), answer);
    }
    Value::Object(responses)
}

/// A text is a string. Of other files a generated client has to be told that they are bytes, or it decodes them as UTF-8.
fn of_file(media_type: &str) -> Value {
    match media_type.starts_with("text/") {
        true => json!({"type": "string"}),
        false => json!({"type": "string", "format": "binary"}),
    }
}

fn response(when: &str, content_type: &str, schema: Value) -> Value {
    let correlation_id = json!({
        "description": "Names this request in the logs: the caller's own, or a new one.",
        "schema": {"type": "string"},
    });
    json!({
        "description": when,
        "headers": {correlation::HEADER: correlation_id},
        "content": {content_type: {"schema": schema}},
    })
}

fn replayed() -> Value {
    json!({
        "description": "`true` when this answers a repetition; the request was done before.",
        "schema": {"type": "string", "enum": ["true"]},
    })
}

fn retry_after() -> Value {
    json!({
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    })
}

fn attachment() -> Value {
    json!({
        "description": "With a file: its name.",
        "schema": {"type": "string"},
    })
}

fn add_header(response: &mut Value, name: &str, header: Value) {
    add(response, "headers", name, header);
}

fn add(response: &mut Value, part: &str, name: &str, value: Value) {
    if let Some(part) = response.get_mut(part).and_then(Value::as_object_mut) {
        part.insert(name.to_owned(), value);
    }
}

fn schemas<O: HttpOperation>(about: &About) -> Value {
    let mut all: Vec<(String, RefOr<Schema>)> = vec![
        (O::Output::name().into_owned(), O::Output::schema()),
        (Problem::name().into_owned(), Problem::schema()),
    ];
    if about.takes_body() {
        all.push((O::Input::name().into_owned(), O::Input::schema()));
        O::Input::schemas(&mut all);
    }
    O::Output::schemas(&mut all);
    Problem::schemas(&mut all);
    let described = all.iter().map(|(name, schema)| {
        let mut schema = to_json(schema);
        let exclusive = about.exclusive.iter().filter(|(of, _)| of == name);
        for (_, fields) in exclusive {
            choose_one(&mut schema, fields);
        }
        (name.clone(), schema)
    });
    Value::Object(described.collect())
}

/// Says that exactly one of these fields is given; the others are null or left out.
fn choose_one(schema: &mut Value, fields: &[&str]) {
    let choice = |given: &&str| {
        let of_field = |name: &&str| {
            let kinds = schema.pointer(&format!("/properties/{name}/type"));
            let mut kind = json!({ "type": kinds });
            drop_null(&mut kind);
            match name == given {
                true => ((*name).to_owned(), kind),
                false => ((*name).to_owned(), json!({"type": "null"})),
            }
        };
        let properties: Map<String, Value> = fields.iter().map(of_field).collect();
        json!({"required": [given], "properties": properties})
    };
    let choices: Vec<Value> = fields.iter().map(choice).collect();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("oneOf".to_owned(), json!(choices));
    }
}

/// A field that holds a currency's code has one of those that there are.
fn name_currencies(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            if let Some(Value::Object(properties)) = parts.get_mut("properties") {
                let of_currencies = properties
                    .iter_mut()
                    .filter(|(name, _)| *name == "currency" || name.ends_with("_currency"));
                for (_, field) in of_currencies {
                    list_codes(field);
                }
            }
            parts.values_mut().for_each(name_currencies);
        }
        Value::Array(items) => items.iter_mut().for_each(name_currencies),
        _ => {}
    }
}

fn list_codes(field: &mut Value) {
    let (is_text, is_nullable) = match field.get("type") {
        Some(Value::Array(kinds)) => (kinds.contains(&json!("string")), kinds.contains(&json!("null"))),
        kind => (kind == Some(&json!("string")), false),
    };
    let Some(field) = field
        .as_object_mut()
        .filter(|field| is_text && !field.contains_key("enum"))
    else {
        return;
    };
    let codes = Currency::KNOWN.iter().map(|currency| json!(currency.code()));
    let codes: Vec<Value> = codes.chain(is_nullable.then_some(Value::Null)).collect();
    field.insert("enum".to_owned(), json!(codes));
    field.remove("pattern");
}

/// The fields of the input, as parameters of the query.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required = |name: &str| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|n| n == name))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let mut field = field.clone();
            let description = field
                .as_object_mut()
                .and_then(|field| field.remove("description"));
            drop_null(&mut field);
            json!({"name": name, "in": "query", "required": required(name),
                   "description": description, "schema": field})
        })
        .collect()
}

/// A parameter that may be left out is not one that may be null.
fn drop_null(schema: &mut Value) {
    let kinds = schema.get("type").and_then(Value::as_array);
    let remaining: Option<Value> = kinds
        .and_then(|kinds| kinds.iter().find(|kind| *kind != "null"))
        .cloned();
    if let (Some(remaining), Some(schema)) = (remaining, schema.as_object_mut()) {
        schema.insert("type".to_owned(), remaining);
    }
}

fn reference<T: ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}

fn to_json(schema: &RefOr<Schema>) -> Value {
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    name_currencies(&mut schema);
    schema
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::http::about::Method;
    use crate::http::operation::Call;
    use crate::http::reply::Reply;

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Period {
        /// The first moment.
        from: Option<String>,
    }

    struct Statement;

    impl HttpOperation for Statement {
        type UseCase = ();
        type Input = Period;
        type Output = String;

        fn about() -> About {
            About::new(Method::Get, "A statement", "What happened.")
                .path_id("client_id", "The client.")
                .path_uuid("transaction_id", "The transaction.")
                .path_currency("currency", "The currency.")
                .response(200, "The statement.")
                .also_csv()
        }

        async fn handle((): &(), _: Call<Period>) -> Result<Reply<String>, Problem> {
            Ok(Reply::csv("statement.csv", String::new()))
        }
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Exchange {
        currency: String,
        receiver_currency: Option<String>,
        /// What is paid.
        amount: Option<i64>,
        /// What arrives.
        receiver_amount: Option<i64>,
    }

    #[test]
    fn fields_that_exclude_each_other_are_a_choice() {
        let mut schema = to_json(&Exchange::schema());
        choose_one(&mut schema, &["amount", "receiver_amount"]);
        let expected = json!([
            {"required": ["amount"],
             "properties": {"amount": {"type": "integer"}, "receiver_amount": {"type": "null"}}},
            {"required": ["receiver_amount"],
             "properties": {"amount": {"type": "null"}, "receiver_amount": {"type": "integer"}}},
        ]);
        assert_eq!(schema["oneOf"], expected);
    }

    #[test]
    fn currencies_are_the_codes_that_there_are() {
        let schema = to_json(&Exchange::schema());
        let codes = |field: &str| schema["properties"][field]["enum"].as_array().unwrap();
        assert!(codes("currency").contains(&json!("JPY")) && !codes("currency").contains(&json!("XXX")));
        assert!(codes("receiver_currency").contains(&Value::Null));
        assert!(schema["properties"]["amount"].get("enum").is_none());
    }

    struct Upload;

    impl HttpOperation for Upload {
        type UseCase = ();
        type Input = Period;
        type Output = String;

        const BODY_LIMIT_BYTES: usize = 1_000_000;

        fn about() -> About {
            About::new(Method::Post, "Upload", "Takes much.").response(201, "Taken.")
        }

        async fn handle((): &(), _: Call<Period>) -> Result<Reply<String>, Problem> {
            Err(Problem::internal())
        }
    }

    #[test]
    fn parts_of_the_path_are_required_and_may_lead_nowhere() {
        let operation = &describe::<Statement>()["operation"];
        let parameter = |index: usize| {
            let parameter = &operation["parameters"][index];
            assert_eq!(
                (&parameter["in"], &parameter["required"]),
                (&json!("path"), &json!(true))
            );
            (parameter["name"].clone(), parameter["schema"].clone())
        };
        let id = json!({"type": "integer", "format": "int64", "minimum": 1});
        assert_eq!(parameter(0), (json!("client_id"), id));
        let uuid = json!({"type": "string", "format": "uuid"});
        assert_eq!(parameter(1), (json!("transaction_id"), uuid));
        let (name, code) = parameter(2);
        assert_eq!((&name, &code["type"]), (&json!("currency"), &json!("string")));
        let codes = code["enum"].as_array().unwrap();
        assert!(codes.contains(&json!("USD")) && !codes.contains(&json!("XXX")));
        assert_eq!(operation["parameters"][0]["description"], "The client.");
        assert_eq!(operation["parameters"][4]["in"], "query");
        assert!(operation["responses"]["404"].is_object());
        assert!(describe::<Upload>()["operation"]["responses"]["404"].is_null());
    }

    #[test]
    fn an_operation_says_of_404_what_it_wants() {
        let about = About::new(Method::Get, "", "").path_id("client_id", "");
        let after = about.clone().problem(404, "No such client.");
        let before = About::new(Method::Get, "", "").problem(404, "No such client.");
        for about in [after, before.path_id("client_id", "")] {
            let responses = responses::<Statement>(&about);
            assert_eq!(responses["404"]["description"], "No such client.");
        }
    }

    #[test]
    fn csv_is_described_beside_json() {
        let answer = &describe::<Statement>()["operation"]["responses"]["200"];
        assert_eq!(
            answer["content"]["text/csv"],
            json!({"schema": {"type": "string"}})
        );
        assert!(answer["content"]["application/json"].is_object());
        assert!(answer["headers"]["content-disposition"].is_object());
        let answer = &describe::<Upload>()["operation"]["responses"]["201"];
        assert!(answer["content"]["text/csv"].is_null());
    }

    #[test]
    fn the_limit_of_a_body_is_said() {
        let answer = &describe::<Upload>()["operation"]["responses"]["413"];
        assert_eq!(answer["description"], "The body is larger than 1000000 bytes.");
    }
}
