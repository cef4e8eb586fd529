//! What nobody should send of a dealer: his names, his numbers, his requisite as a whole.

use super::{ConcatAll, Hostile, NO_KEYS, NO_TEXTS, plain, quoted, refused};

/// Texts that are none of the numbers of a requisite.
const NO_LEGAL_NUMBERS: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "0000000000",
    "77O7083893",
    "７７０７０８３８９３",
    "\\u0667\\u0667",
    "7707083893 ",
    "1\\u0000",
    "\\u202e7707083893",
    "' OR 1=1 --",
    "../../etc/passwd",
];

/// Texts that are no names or addresses.
const NO_NAMES: &[&str] = &[
    "",
    " ",
    " a",
    "a ",
    "a\\u0000b",
    "a\\nb",
    "\\u202ea",
    "a\\u200bb",
    "\\ufeffa",
];

/// Texts that are no mail addresses.
const NO_MAILBOXES: &[&str] = &[
    "",
    "a",
    "@",
    "a@",
    "@example.com",
    "a@b",
    "a b@example.com",
    "a@exаmple.com",
    "a@example..com",
    "a@example.com\\r\\nBcc: b@example.com",
    "a@example.com,b@example.com",
    "<a@example.com>",
];

/// The hostile values for a field of a dealer, if it is one.
pub(super) fn hostile(field: &str) -> Option<Vec<Hostile>> {
    let texts = |texts: &[&str]| [plain(NO_TEXTS, &[400]), quoted(texts, &[422])].concat_all();
    let too_long = |text: String, status: &'static [u16]| vec![(format!("\"{text}\""), refused(status))];
    Some(match field {
        "requisite" => plain(
            &[
                "12",
                "\"\"",
                "true",
                "[]",
                "[1]",
                "{}",
                "{\"inn\":\"7707083893\"}",
                "[{}]",
            ],
            &[400],
        ),
        "cme_client_id" | "deal_id" => [
            plain(NO_TEXTS, &[400]),
            quoted(NO_KEYS, &[400]),
            too_long("d".repeat(65), &[400]),
        ]
        .concat_all(),
        "inn" | "kpp" | "ogrn" | "bik" | "settlement_account" | "correspondent_account" | "phone" => {
            [texts(NO_LEGAL_NUMBERS), too_long("1".repeat(10_000), &[422])].concat_all()
        }
        "legal_address" | "signatory" => [texts(NO_NAMES), too_long("n".repeat(501), &[422])].concat_all(),
        "email" => [
            texts(NO_MAILBOXES),
            too_long(format!("{}@example.com", "m".repeat(250)), &[422]),
        ]
        .concat_all(),
        _ => return None,
    })
}
