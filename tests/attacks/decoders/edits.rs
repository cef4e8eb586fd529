//! Foreign bytes: a real example with some edits in it. Most edits leave it readable, so that what stands behind the first
//! check is reached too.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The most edits in an example.
const MAX_EDITS: usize = 4;
/// How long a text or how deep a nesting is that an edit puts in.
const LONG: usize = 4_096;

/// What stands in the place of a number, a word or a text: limits of types, and what others read differently.
const WORDS: [&str; 21] = [
    "null",
    "true",
    "0",
    "-0",
    "1",
    "-1",
    "7",
    "0.1",
    "1e2",
    "1E400",
    "-1e-400",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "79228162514264337593543950336",
    "0.00000000000000000000000000001",
    "9007199254740993",
    "NaN",
    "[]",
    "{\"\":{\"\":[null]}}",
];
/// The same, in quotes.
const TEXTS: [&str; 24] = [
    "\"\"",
    "\" \"",
    "\"0\"",
    "\"-1\"",
    "\"1e3\"",
    "\"9223372036854775807\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u202e\"",
    "\"a\\nb\\tc\"",
    "\"'; DROP TABLE profiles; --\"",
    "\"../../x\"",
    "\"%00%ff\"",
    "\"ﷺ💸\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999999Z\"",
    "\"-262143-01-01T00:00:00Z\"",
    "\"+262142-12-31T23:59:59Z\"",
    "\"2026-02-30T00:00:00Z\"",
    "\"2026-11-20T14:30:02+23:59\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"unknown\"",
    "\"01a1f95d-46ff-7c21-8d10-5f3e0c6a9b72\"",
];

/// A change of a document.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
    /// Something else instead of a number, a word or a text in quotes.
    Token(Index, &'static str),
    /// Something of the same kind instead.
    Alike(Index, Index),
    /// The token of another place instead.
    Swap(Index, Index),
    Long(Index),
    Deep(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        1 => (at(), vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        1 => (at(), 1..40_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (at(), 1..200_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        1 => at().prop_map(Edit::Cut),
        4 => (at(), select(&WORDS[..])).prop_map(|(at, token)| Edit::Token(at, token)),
        2 => (at(), select(&TEXTS[..])).prop_map(|(at, token)| Edit::Token(at, token)),
        12 => (at(), at()).prop_map(|(at, which)| Edit::Alike(at, which)),
        4 => (at(), at()).prop_map(|(at, from)| Edit::Swap(at, from)),
        1 => at().prop_map(Edit::Long),
        1 => at().prop_map(Edit::Deep),
    ]
}

/// Edits for an example.
pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![1 => Just(Vec::new()), 20 => vec(edit(), 1), 10 => vec(edit(), 2..=MAX_EDITS)]
}

/// The example with the edits in it.
pub(crate) fn edited(example: &[u8], edits: &[Edit]) -> Vec<u8> {
    edits.iter().fold(example.to_vec(), |mut bytes, edit| {
        apply(&mut bytes, edit);
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let place = |index: &Index| index.index(bytes.len() + 1);
    match edit {
        Edit::Set(at, byte) => {
            let at = place(at);
            bytes.get_mut(at).map(|old| *old = *byte).unwrap_or_default();
        }
        Edit::Flip(at, bit) => {
            let at = place(at);
            bytes.get_mut(at).map(|old| *old ^= 1 << bit).unwrap_or_default();
        }
        Edit::Insert(at, more) => {
            let at = place(at);
            drop(bytes.splice(at..at, more.iter().copied()));
        }
        Edit::Remove(at, length) => {
            let at = place(at);
            bytes.drain(at..bytes.len().min(at + length));
        }
        Edit::Repeat(at, length) => {
            let at = place(at);
            let part = bytes[at..bytes.len().min(at + length)].to_vec();
            drop(bytes.splice(at..at, part));
        }
        Edit::Cut(at) => {
            let at = place(at);
            bytes.truncate(at);
        }
        Edit::Token(at, token) => replace(bytes, at, token.as_bytes()),
        Edit::Alike(at, which) => {
            let tokens = tokens(bytes);
            if !tokens.is_empty() {
                let range = at.get(&tokens).clone();
                let token = match bytes[range.start] {
                    b'"' | b'\'' => which.get(&TEXTS),
                    _ => which.get(&WORDS),
                };
                drop(bytes.splice(range, token.bytes()));
            }
        }
        Edit::Swap(at, from) => {
            let tokens = tokens(bytes);
            if let Some(from) = (!tokens.is_empty()).then(|| from.get(&tokens).clone()) {
                let token = bytes[from].to_vec();
                replace(bytes, at, &token);
            }
        }
        Edit::Long(at) => replace(bytes, at, format!("\"{}\"", "л".repeat(LONG)).as_bytes()),
        Edit::Deep(at) => {
            let deep = [vec![b'['; LONG], vec![b']'; LONG]].concat();
            replace(bytes, at, &deep);
        }
    }
}

/// Puts something in the place of a token; a text stays in quotes, and loses them where the token had none.
fn replace(bytes: &mut Vec<u8>, at: &Index, token: &[u8]) {
    let tokens = tokens(bytes);
    if !tokens.is_empty() {
        let range = at.get(&tokens).clone();
        drop(bytes.splice(range, token.iter().copied()));
    }
}

/// The texts in quotes, quotes included, and what else stands between punctuation.
fn tokens(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            quote @ (b'"' | b'\'') => end_of_text(bytes, at, quote),
            byte if is_word(byte) => at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count(),
            _ => {
                at += 1;
                continue;
            }
        };
        tokens.push(at..end);
        at = end;
    }
    tokens
}

fn end_of_text(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    bytes.len().min(at + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_')
}

/// A source of edits; the same seed gives the same ones.
pub(crate) struct Source {
    runner: TestRunner,
}

impl Source {
    pub(crate) fn of(seed: u64, target: &str) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        // A target has its own, whichever of them are played.
        for (position, byte) in target.bytes().enumerate() {
            bytes[8 + position % 24] ^= byte;
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), rng),
        }
    }

    pub(crate) fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Tree {
        let tree = strategy.new_tree(&mut self.runner);
        tree.expect("no strategy here rejects what it has drawn")
    }

    /// One of the examples with edits.
    pub(crate) fn edit_one_of(&mut self, examples: &[Vec<u8>]) -> Vec<u8> {
        let (which, edits) = self.draw(&(any::<Index>(), edits())).current();
        edited(which.get::<Vec<u8>>(examples), &edits)
    }
}
