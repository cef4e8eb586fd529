//! Lists of values that are of the wrong kind, or say what nothing takes.

/// Values of every wrong kind, for a field of a text.
pub(super) const NO_TEXTS: &[&str] = &[
    "12",
    "0.5",
    "true",
    "false",
    "[]",
    "[\"USD\"]",
    "{}",
    "{\"a\":\"USD\"}",
];

/// Values that no field of whole numbers takes.
pub(super) const NO_NUMBERS: &[&str] = &[
    "\"12\"",
    "\"\"",
    "\"twelve\"",
    "\"\\u0000\"",
    "\"\\u202e\\u0665\"",
    "\"' OR 1=1 --\"",
    "true",
    "false",
    "[]",
    "[12]",
    "{}",
    "{\"amount\":12}",
    "12.5",
    "12.0",
    "0.1",
    "-0.5",
    "1e3",
    "1E400",
    "-1e400",
    "1e-400",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
];

/// Texts that are neither a word of a list nor the code of a currency.
pub(super) const NO_WORDS: &[&str] = &[
    "",
    " ",
    "usd",
    "US",
    "USDD",
    "USD ",
    "XXX",
    "XAU",
    "840",
    "DONE",
    "Atomic",
    "pending",
    "ÄÖÜ",
    "ＵＳＤ",
    "USD\\u0000",
    "\\u202eUSD",
    "' OR 1=1 --",
    "../../etc/passwd",
];

pub(super) const NO_DECIMALS: &[&str] = &[
    "",
    " ",
    "rate",
    "NaN",
    "inf",
    "-inf",
    "1e3",
    "1E-3",
    "+1",
    "1,5",
    "1_000",
    "0x10",
    ".5",
    "5.",
    "1.2.3",
    " 1",
    "1 ",
    "٣",
    "1\\u0000",
    "--1",
    "0",
    "0.0",
    "-0",
    "-1",
    "-0.000000000001",
    "99999999999999999999999999999999999999",
];

/// Texts that are no share from 0 to 1.
pub(super) const NO_SHARES: &[&str] = &[
    "", " ", "share", "NaN", "1e-1", "+0.5", "0,5", ".5", "1.", " 0.5", "80", "80%", "1.0001", "0.00001",
    "-0.1",
];

/// More digits than are stored.
pub(super) const LONG_DECIMALS: &[&str] = &[
    "12345678901234567",
    "0.0000000000001",
    "9999999999999999999999999999",
    "1.1234567890123",
];

pub(super) const NO_TIMES: &[&str] = &[
    "",
    "now",
    "2026-11-24",
    "2026-11-24T09:30:00",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-24T25:00:00Z",
    "2026-11-24T09:30:00+99:00",
    "1795512600",
    "-5000-01-01T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "２０２６-11-24T09:30:00Z",
    "2026-11-24T09:30:00Z\\u0000",
];

pub(super) const NO_BOOLEANS: &[&str] = &[
    "0", "1", "-1", "1.0", "\"true\"", "\"\"", "\"yes\"", "[]", "[true]", "{}",
];

/// One of too many.
pub(super) const NOTIFICATION: &str = "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"";
pub(super) const CHOICE: &str = "{\"kind\":\"trading.resumed\",\"feed\":true,\"push\":true,\"mail\":true}";
pub(super) const TRANSFER: &str = "{\"client_id\":1,\"wallet_id\":1,\"receiver_client_id\":1,\"amount\":1}";

/// Texts that are no address on one of the app's hosts.
pub(super) const NO_ADDRESSES: &[&str] = &[
    "",
    " ",
    "/billing",
    "app.example.com",
    "//app.example.com/",
    "http://app.example.com/",
    "https:app.example.com@evil.example/",
    "https://app.example.com.evil.example/",
    "https://evil.example/?https://app.example.com/",
    "https://evil.example\\\\@app.example.com/",
    "https://app.example.com\\\\.evil.example/",
    "https://app.example.com:secret@evil.example/",
    "https://user:secret@app.example.com/",
    "https://app.example.com:99999/",
    "https://аpp.example.com/",
    "https://app.example.com/\\u0000",
    "https://app.example.com/\\r\\nSet-Cookie: a=b",
    "https://app.example.com/a b",
    "https://app.example.com/ключ",
    "\\u202ehttps://app.example.com/",
    " https://app.example.com/",
    "javascript:alert(1)//app.example.com",
    "data:text/html,app.example.com",
    "file:///etc/passwd",
];

/// Texts that Stripe might have given as an id, and hasn't.
pub(super) const UNKNOWN_IDS: &[&str] = &[
    "cs_test_none",
    "../../etc/passwd",
    "../customers",
    "cs_test_a1b2/expire",
    "cs_test_a1b2?expand[]=customer",
    "%2e%2e",
    "'OR/**/1=1--",
    "null",
];

pub(super) const NO_KEYS: &[&str] = &["", " ", "a b", "a\\tb", "ключ", "\\u0000", "k\\u202e"];
