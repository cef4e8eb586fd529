//! JSON of others, as PostgreSQL takes it.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// U+FFFD, which stands for what can't be represented.
const REPLACEMENT: &str = "\\ufffd";
/// `\u` and four digits.
const ESCAPE_LENGTH: usize = 6;

/// The document with what PostgreSQL's JSONB refuses replaced by U+FFFD: a NUL, and half of a surrogate pair. JSON allows both,
/// and one of them in a name must not stop an event about money.
pub fn storable(document: &RawValue) -> Cow<'_, RawValue> {
    let text = document.get();
    let Some(replaced) = replaced(text) else {
        return Cow::Borrowed(document);
    };
    match RawValue::from_string(replaced) {
        Ok(replaced) => Cow::Owned(replaced),
        // An escape was replaced by an escape, so this doesn't happen.
        Err(_) => Cow::Borrowed(document),
    }
}

/// The same of a body whose JSON is yet to be read: half of a surrogate pair can't be read into a text at all, and a NUL in
/// one can't be stored. What isn't UTF-8 stays as it is.
pub fn storable_body(body: &[u8]) -> Cow<'_, [u8]> {
    let replaced = std::str::from_utf8(body).ok().and_then(replaced);
    replaced.map_or(Cow::Borrowed(body), |text| Cow::Owned(text.into_bytes()))
}

/// The text with its unstorable escapes replaced; none when it has none.
fn replaced(text: &str) -> Option<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        result.push_str(before);
        let escape = rest.get(before.len()..)?;
        let taken = match unit(escape) {
            None => escape.chars().take(2).map(char::len_utf8).sum(),
            Some(0xD800..=0xDBFF) if matches!(unit(escape.get(ESCAPE_LENGTH..)?), Some(0xDC00..=0xDFFF)) => {
                2 * ESCAPE_LENGTH
            }
            Some(0 | 0xD800..=0xDFFF) => {
                result.push_str(REPLACEMENT);
                rest = escape.get(ESCAPE_LENGTH..)?;
                continue;
            }
            Some(_) => ESCAPE_LENGTH,
        };
        result.push_str(escape.get(..taken).unwrap_or(after));
        rest = escape.get(taken..)?;
    }
    result.push_str(rest);
    (result != text).then_some(result)
}

/// The number that an escape `\uXXXX` at the start of a text stands for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> String {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        storable(&raw).get().to_owned()
    }

    #[test]
    fn what_postgres_refuses_is_replaced() {
        assert_eq!(stored(r#"{"name":"A\u0000da"}"#), r#"{"name":"A\ufffdda"}"#);
        assert_eq!(stored(r#""\ud83d""#), r#""\ufffd""#);
        assert_eq!(stored(r#""\ude00x\uD83D\u0041""#), r#""\ufffdx\ufffd\u0041""#);
        assert_eq!(stored(r#""\ud83d\ud83d\ude00""#), r#""\ufffd\ud83d\ude00""#);
    }

    #[test]
    fn a_body_is_read_and_stored_whatever_it_escapes() {
        let body = br#"{"name":"A\u0000da \ud83d"}"#;
        let read: serde_json::Value = serde_json::from_slice(&storable_body(body)).unwrap();
        assert_eq!(read["name"], "A\u{fffd}da \u{fffd}");
        for body in [&b"%PDF \xff\\u0000"[..], b"{}", b"\\", b"\\u00"] {
            assert_eq!(&*storable_body(body), body);
        }
    }

    #[test]
    fn what_postgres_takes_stays() {
        for text in [
            r#"{"name":"Ada \ud83d\ude00 \\u0000 \"\\\" 😀","n":1.10}"#,
            r#""\u00e9\n\\""#,
            "null",
            "1.0",
        ] {
            assert_eq!(stored(text), text);
        }
    }
}
