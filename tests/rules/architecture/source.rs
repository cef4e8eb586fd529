//! Rust sources as the rules read them: code without comments, strings and tests, and the strings by themselves.

/// What a comment, a string, a character or a raw string begins with.
const BEGINNINGS: [char; 4] = ['/', '"', '\'', 'r'];

/// A source file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// The code; each string is empty, each comment a space.
    pub(crate) code: String,
    /// The strings, in their order.
    pub(crate) strings: Vec<String>,
}

impl Source {
    /// Reads a file's text. What stands below `#[cfg(test)]` is left out.
    pub(crate) fn parse(text: &str) -> Self {
        Self::lex(&Self::lex(text).without_tests(text))
    }

    fn lex(text: &str) -> Self {
        let mut source = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match Token::first(rest) {
                Token::Comment(length) => {
                    source.code.push(' ');
                    &rest[length..]
                }
                Token::Text { length, content } => {
                    source.code.push_str("\"\"");
                    source.strings.push(content.to_owned());
                    &rest[length..]
                }
                Token::Code => {
                    let after = first.len_utf8();
                    let next = rest[after..].find(BEGINNINGS);
                    let length = next.map_or(rest.len(), |next| after + next);
                    source.code.push_str(&rest[..length]);
                    &rest[length..]
                }
            };
        }
        source
    }

    /// The text without the modules and functions that only tests are built with.
    fn without_tests(&self, text: &str) -> String {
        const ATTRIBUTE: &str = "#[cfg(test)]";
        if !self.code.contains(ATTRIBUTE) {
            return text.to_owned();
        }
        let mut kept = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(ATTRIBUTE) {
            kept.push_str(&rest[..at]);
            rest = &rest[at..];
            rest = &rest[item_length(rest)..];
        }
        kept + rest
    }
}

/// How long an item is: up to its first `;`, or the end of its first block.
fn item_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        match Token::first(&text[at..]) {
            Token::Comment(length) | Token::Text { length, .. } => {
                at += length;
                continue;
            }
            Token::Code => at += first.len_utf8(),
        }
        match first {
            '{' => depth += 1,
            '}' if depth <= 1 => return at,
            '}' => depth -= 1,
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

enum Token<'a> {
    Comment(usize),
    Text { length: usize, content: &'a str },
    Code,
}

impl<'a> Token<'a> {
    fn first(text: &'a str) -> Self {
        if text.starts_with("//") {
            return Self::Comment(text.find('\n').unwrap_or(text.len()));
        }
        if let Some(inside) = text.strip_prefix("/*") {
            return Self::Comment(inside.find("*/").map_or(text.len(), |end| end + 4));
        }
        if let Some(inside) = text.strip_prefix('"') {
            let length = string_length(inside);
            return Self::Text {
                length: length + 2,
                content: &inside[..length],
            };
        }
        if let Some(raw) = raw_string(text) {
            return raw;
        }
        // Not a lifetime: a quote or a backslash that is a character.
        for character in ["'\"'", "'\\\"'", "'\\''", "'\\\\'"] {
            if text.starts_with(character) {
                return Self::Text {
                    length: character.len(),
                    content: "",
                };
            }
        }
        Self::Code
    }
}

fn string_length(inside: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    inside.len()
}

fn raw_string(text: &str) -> Option<Token<'_>> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end)?;
    Some(Token::Text {
        length: 1 + hashes + 1 + length + end.len(),
        content: &inside[..length],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let source = Source::parse(
            "let a = \"now() \\\" x\"; // now() here\n/* \"b\" */ let c = r#\"SELECT \"now()\"\"#; let d = '\"';",
        );
        assert_eq!(
            source.code.split_whitespace().collect::<Vec<_>>().join(" "),
            "let a = \"\"; let c = \"\"; let d = \"\";"
        );
        assert_eq!(source.strings, ["now() \\\" x", "SELECT \"now()\"", ""]);
    }

    #[test]
    fn tests_are_left_out() {
        let source = Source::parse(
            "fn a() { \"one\" }\n#[cfg(test)]\nmod tests {\n fn b() { if x { \"}\" } }\n}\n#[cfg(test)]\nuse x;\nfn c() {}",
        );
        assert_eq!(source.strings, ["one"]);
        assert!(!source.code.contains("fn b") && !source.code.contains("use x"));
        assert!(source.code.contains("fn c"));
    }
}
