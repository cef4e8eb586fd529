//! Hostile values for the fields of collections and of orders of them.

use serde_json::Value;

use super::texts::{NO_DECIMALS, NO_KEYS, NO_NUMBERS, NO_TEXTS};
use super::{ConcatAll, Hostile, plain, quoted, refused};

/// Texts that are no instrument's symbol.
const NO_SYMBOLS: &[&str] = &[
    "",
    " ",
    ".",
    "A B",
    "A.B.C",
    "A-",
    "ÄPL",
    "ＡＡＰＬ",
    "ABCDEFGHIJKLM",
    "AAPL\\u0000",
    "\\u202eAAPL",
    "' OR 1=1 --",
    "../../etc/passwd",
];

/// Decimals that are read as a weight, and refused for what they say.
const NO_WEIGHTS: &[&str] = &["0", "0.0", "-0", "-1", "-0.000000000001"];

const WEIGHT: &str = "{\"symbol\":\"AAPL\",\"weight\":\"0.002\"}";

/// The hostile values for a field of a collection or an order; `None` for any other.
pub(super) fn hostile(kind: &str, field: &str, schema: &Value) -> Option<Vec<Hostile>> {
    let no_texts = || plain(NO_TEXTS, &[400]);
    Some(match (kind, field) {
        ("integer", "absolute_amount_delta_cents") => numbers(
            &["0", "-9223372036854775808"],
            &["-1", "-100", "9223372036854775807"],
        ),
        ("integer", "relative_amount_delta_percent") => numbers(
            &["0", "101", "-101", "-9223372036854775808", "9223372036854775807"],
            &["-1", "-100"],
        ),
        ("array", "weights") => {
            let wrong = ["12", "\"\"", "{}", "true", "[12]", "[null]", "[[]]", "[\"\"]"];
            let many = format!("[{}]", vec![WEIGHT; 501].join(","));
            [plain(&wrong, &[400]), vec![(many, refused(&[422]))]].concat_all()
        }
        ("string", "symbol") => [no_texts(), quoted(NO_SYMBOLS, &[400])].concat_all(),
        ("string", "weight") => {
            let no_decimals = NO_DECIMALS.iter().filter(|text| !NO_WEIGHTS.contains(text));
            let no_decimals: Vec<&str> = no_decimals.copied().collect();
            [
                no_texts(),
                quoted(&no_decimals, &[400]),
                quoted(NO_WEIGHTS, &[422]),
            ]
            .concat_all()
        }
        // A tier's is shorter.
        ("string", "name") if schema["maxLength"] == 100 => {
            let long = format!("\"{}\"", "n".repeat(101));
            let texts = ["", " ", " a", "a ", "a\\u0000", "a\\n"];
            [no_texts(), quoted(&texts, &[422]), vec![(long, refused(&[422]))]].concat_all()
        }
        ("string", "uniq_id") => {
            let long = format!("\"{}\"", "u".repeat(65));
            [no_texts(), quoted(NO_KEYS, &[422]), vec![(long, refused(&[422]))]].concat_all()
        }
        _ => return None,
    })
}

/// Numbers that an order is refused for: for what they say, or because nothing is held and there isn't so much.
fn numbers(impossible: &[&str], too_much: &[&str]) -> Vec<Hostile> {
    [
        plain(NO_NUMBERS, &[400]),
        plain(impossible, &[422]),
        plain(too_much, &[409]),
    ]
    .concat_all()
}
