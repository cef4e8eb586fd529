//! Symbols of instruments, in one form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stored::stored_as;

/// The longest symbol.
pub const MAX_SYMBOL_CHARACTERS: usize = 12;

/// The symbol of an instrument as DriveWealth writes it: capital letters and digits, and a class of shares after a
/// point (`BRK.B`). In JSON a text; `brk-b` is read as the same symbol.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(String);

/// Why a text isn't a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a symbol is 1 to 12 letters and digits, with a class of shares after a point, such as \"BRK.B\"")]
pub struct InvalidSymbol;

impl Symbol {
    /// Reads a symbol in any case, its class after a point or a hyphen.
    ///
    /// # Errors
    /// [`InvalidSymbol`] for anything else.
    pub fn parse(text: &str) -> Result<Symbol, InvalidSymbol> {
        let (name, class) = match text.split_once(['.', '-']) {
            Some((name, class)) => (name, Some(class)),
            None => (text, None),
        };
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if text.len() > MAX_SYMBOL_CHARACTERS || !plain(name) || !class.is_none_or(plain) {
            return Err(InvalidSymbol);
        }
        let mut symbol = name.to_ascii_uppercase();
        if let Some(class) = class {
            symbol.push('.');
            symbol.push_str(&class.to_ascii_uppercase());
        }
        Ok(Symbol(symbol))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Symbol, InvalidSymbol> {
        Symbol::parse(text)
    }
}

impl TryFrom<String> for Symbol {
    type Error = InvalidSymbol;

    fn try_from(text: String) -> Result<Symbol, InvalidSymbol> {
        Symbol::parse(&text)
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> String {
        symbol.0
    }
}

stored_as!(
    Symbol,
    String,
    |symbol: &Symbol| symbol.0.clone(),
    Symbol::try_from
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_has_one_form() {
        for text in ["BRK.B", "brk-b", "Brk.b"] {
            assert_eq!(Symbol::parse(text).unwrap().as_str(), "BRK.B");
        }
        assert_eq!(Symbol::parse("aapl").unwrap().as_str(), "AAPL");
    }

    #[test]
    fn symbol_of_anything_else_is_refused() {
        for text in ["", ".", "A.", ".B", "A B", "A.B.C", "ÄPL", "ABCDEFGHIJKLM", "A-"] {
            assert_eq!(Symbol::parse(text), Err(InvalidSymbol), "{text}");
        }
    }
}
