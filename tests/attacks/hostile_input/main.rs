//! Input that nobody should send: every operation refuses it with a problem that names the field, writes nothing, and
//! lives on.
//!
//! The operations, their fields and parameters come from the API's description, so that a new operation is tried too.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod addresses;
mod bodies;
mod headers;
mod operations;
mod values;

use std::process::ExitCode;

use anyhow::{Context, ensure};
use end_to_end::{Answer, Result, Scenario, Suite, ensure_eq, options, run_suites, scenarios};

use self::addresses::{
    cursor_of_another_list_is_refused, path_that_does_not_fit_is_not_found,
    query_that_does_not_fit_is_refused_and_named,
};
use self::bodies::{
    body_that_is_no_object_of_the_operation_is_refused, body_that_is_too_large_is_refused_with_413,
    field_of_another_type_is_refused_and_named,
};
use self::headers::{hostile_headers_are_refused_or_without_effect, webhook_without_a_signature_is_not_read};

fn main() -> ExitCode {
    run_suites([Suite::new("hostile_input", options(), [scenarios()])])
}

fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(field_of_another_type_is_refused_and_named),
        alone(body_that_is_no_object_of_the_operation_is_refused),
        alone(body_that_is_too_large_is_refused_with_413),
        alone(hostile_headers_are_refused_or_without_effect),
        alone(path_that_does_not_fit_is_not_found),
        alone(query_that_does_not_fit_is_refused_and_named),
        alone(cursor_of_another_list_is_refused),
        alone(webhook_without_a_signature_is_not_read),
    ]
}

/// The answer is a problem of the status, and names the field.
fn refused(answer: &Answer, status: u16, field: &str, sent: &str) -> Result {
    let sent: String = sent.chars().take(120).collect();
    ensure_eq!(answer.status, status, "{sent}: {}", answer.text);
    let kind = answer.header("content-type");
    ensure!(
        kind.starts_with("application/problem+json"),
        "{sent}: content-type {kind}"
    );
    ensure_eq!(answer.body["status"], status, "{sent}: {}", answer.text);
    for part in ["type", "title", "code", "detail"] {
        ensure!(
            answer.body[part].is_string(),
            "{sent}: no {part} in {}",
            answer.text
        );
    }
    let errors = answer.body["errors"].as_array().context("no errors");
    let errors = errors.with_context(|| format!("{sent}: {}", answer.text))?;
    let named: Vec<&str> = errors
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    ensure!(
        named.iter().any(|named| is_of(named, field)),
        "{sent}: names {named:?} instead of {field}: {}",
        answer.text
    );
    ensure!(
        !answer.text.contains(" at line "),
        "{sent}: shows the parser: {}",
        answer.text
    );
    Ok(())
}

/// Whether a problem's place is the field, or inside of it. A long name ends after 300 characters.
fn is_of(named: &str, field: &str) -> bool {
    let head = named.strip_suffix('…').filter(|head| head.chars().count() == 300);
    let rest = head.map_or(named.strip_prefix(field), |head| {
        field.starts_with(head).then_some("")
    });
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}
