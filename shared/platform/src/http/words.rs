//! What serde found wrong with a document, in the words of whoever sent it: no type of Rust's, no variant, no struct.

/// A message of serde's about `field`, as a caller can understand it. Messages of our own types pass as they are.
pub(super) fn explain(message: &str, field: &str) -> String {
    if let Some(rest) = message
        .strip_prefix("invalid type: ")
        .or(message.strip_prefix("invalid value: "))
    {
        return mismatch(rest);
    }
    if let Some(expected) = message.strip_prefix("unknown field ").map(expected_names) {
        return format!("is not a field of this request{expected}");
    }
    if let Some(expected) = message.strip_prefix("unknown variant ").map(expected_names) {
        return format!("is not one of the values it may have{expected}");
    }
    if message.starts_with("missing field ") {
        return "is missing".to_owned();
    }
    if message.starts_with("duplicate field ") {
        return "is given twice".to_owned();
    }
    if message.starts_with("number out of range") || message.starts_with("number too large") {
        return "is a number that is too large".to_owned();
    }
    if message.starts_with("number too small") {
        return "is a number that is too small".to_owned();
    }
    if message.starts_with("invalid digit found in string") || message.starts_with("cannot parse integer") {
        return "has to be a whole number".to_owned();
    }
    if is_syntax(message) {
        return if field == "body" {
            "is not valid JSON".to_owned()
        } else {
            "is where the body stops being valid JSON".to_owned()
        };
    }
    message.to_owned()
}

/// `floating point `12.5`, expected i64`: what came, and what belongs there.
fn mismatch(rest: &str) -> String {
    let (came, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
    if let Some((least, most)) = limits(expected).filter(|_| came.starts_with("integer")) {
        return format!("has to be between {least} and {most}");
    }
    format!("has to be {}, not {}", belongs(expected), kind(came))
}

/// The limits of a whole number.
fn limits(expected: &str) -> Option<(i64, u64)> {
    let limits = match expected {
        "i8" => (i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        "i16" => (i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        "i32" => (i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "i64" => (i64::MIN, i64::MAX.unsigned_abs()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX),
        _ => return None,
    };
    Some(limits)
}

fn belongs(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "an integer" => {
            "a whole number"
        }
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "str" | "string" => "a text in quotes",
        "a sequence" => "a list",
        "unit" | "()" => "null",
        "an object" | "a map" => "an object",
        text if text.starts_with("struct ") || text.starts_with("internally tagged enum ") => "an object",
        text if text.starts_with("enum ") || text.starts_with("variant ") => {
            "one of the values in the description"
        }
        "" => "something else",
        text => text,
    }
}

fn kind(came: &str) -> &'static str {
    match came.split_whitespace().next().unwrap_or_default() {
        "floating" => "a number with a decimal point",
        "integer" => "this number",
        "boolean" => "true or false",
        "string" | "character" | "borrowed" => "this text",
        "null" | "unit" | "Option" => "null",
        "map" => "an object",
        "sequence" | "tuple" => "a list",
        _ => "this",
    }
}

/// `, expected one of `a`, `b`` after a name: the names that are known.
fn expected_names(rest: &str) -> String {
    let names: Vec<&str> = rest
        .split_once(", expected ")
        .map(|(_, expected)| expected.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    match names.as_slice() {
        [] => String::new(),
        [name] => format!("; there is {name}"),
        names => format!("; there are {}", names.join(", ")),
    }
}

fn is_syntax(message: &str) -> bool {
    const STARTS: [&str; 12] = [
        "EOF while parsing",
        "expected `",
        "expected ident",
        "expected value",
        "trailing comma",
        "trailing characters",
        "key must be a string",
        "control character",
        "invalid escape",
        "lone leading surrogate",
        "invalid number",
        "unexpected end of hex escape",
    ];
    STARTS.iter().any(|start| message.starts_with(start))
        || message.starts_with("invalid unicode code point")
        || message.starts_with("recursion limit exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_speak_no_rust() {
        for (message, expected) in [
            (
                "invalid type: floating point `12.5`, expected i64",
                "has to be a whole number, not a number with a decimal point",
            ),
            (
                "invalid type: string \"12\", expected i64",
                "has to be a whole number, not this text",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "has to be between 0 and 4294967295",
            ),
            (
                "invalid value: integer `9223372036854775808`, expected i64",
                "has to be between -9223372036854775808 and 9223372036854775807",
            ),
            (
                "invalid type: null, expected a string",
                "has to be a text in quotes, not null",
            ),
            (
                "invalid type: sequence, expected struct Item",
                "has to be an object, not a list",
            ),
            ("missing field `amount_cents`", "is missing"),
            ("duplicate field `amount_cents`", "is given twice"),
            (
                "unknown field `x`, expected `text` or `size`",
                "is not a field of this request; there are text, size",
            ),
            (
                "unknown field `x`, there are no fields",
                "is not a field of this request",
            ),
            (
                "unknown variant `x`, expected one of `setup`, `payment`",
                "is not one of the values it may have; there are setup, payment",
            ),
            ("trailing comma", "is where the body stops being valid JSON"),
            (
                "an id must be a whole number above zero",
                "an id must be a whole number above zero",
            ),
        ] {
            assert_eq!(explain(message, "field"), expected, "{message}");
        }
        assert_eq!(explain("EOF while parsing a list", "body"), "is not valid JSON");
    }
}
