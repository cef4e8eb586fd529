//! What a migration's statements do to tables that are there before it.

use std::collections::BTreeSet;

/// A statement: its words and signs in capitals, with comments left out; texts and bodies of functions are one word each.
pub(crate) struct Statement {
    pub(crate) words: Vec<String>,
}

impl Statement {
    /// The statements of a file.
    pub(crate) fn all(text: &str) -> Vec<Statement> {
        let mut all = Vec::new();
        let mut words = Vec::new();
        let mut rest = text;
        while let Some(token) = token(rest) {
            let (length, kept) = token;
            let word = &rest[..length];
            if word == ";" {
                all.push(Statement {
                    words: std::mem::take(&mut words),
                });
            } else if kept {
                words.push(if word.starts_with(['\'', '$', '"']) {
                    word.to_owned()
                } else {
                    word.to_uppercase()
                });
            }
            rest = &rest[length..];
        }
        all.push(Statement { words });
        all.retain(|statement| !statement.words.is_empty());
        all
    }

    fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len()
            && self
                .words
                .iter()
                .zip(words)
                .all(|(word, expected)| word == expected)
    }

    fn has(&self, words: &[&str]) -> bool {
        self.words.windows(words.len()).any(|window| window == words)
    }

    fn after(&self, words: &[&str]) -> Option<&str> {
        let at = self
            .words
            .windows(words.len())
            .position(|window| window == words)?;
        let skipped = ["IF", "NOT", "EXISTS", "ONLY", "CONCURRENTLY"];
        let mut following = self.words[at + words.len()..].iter().map(String::as_str);
        following.find(|word| !skipped.contains(word))
    }
}

/// The length of the first token, and whether it is kept; none at the end.
fn token(text: &str) -> Option<(usize, bool)> {
    let first = text.chars().next()?;
    let until = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    Some(match first {
        _ if text.starts_with("--") => (until("\n", 2), false),
        _ if text.starts_with("/*") => (until("*/", 2), false),
        '\'' | '"' => (until(&first.to_string(), 1), true),
        '$' => match text[1..].find('$') {
            Some(at) => (until(&text[..at + 2], at + 2), true),
            None => (1, true),
        },
        _ if first.is_whitespace() => (first.len_utf8(), false),
        _ if first.is_alphanumeric() || first == '_' => {
            let end = text
                .find(|character: char| !character.is_alphanumeric() && character != '_' && character != '.');
            (end.unwrap_or(text.len()), true)
        }
        _ => (first.len_utf8(), true),
    })
}

/// What in a migration holds a table that is there before it, each with what to do instead.
pub(crate) fn hazards(text: &str) -> Vec<String> {
    let statements = Statement::all(text);
    let new: BTreeSet<&str> = statements
        .iter()
        .filter_map(|one| one.after(&["CREATE", "TABLE"]))
        .collect();
    let is_alone = text.starts_with("-- no-transaction");
    let contracts = text.lines().any(|line| line.starts_with("-- contract: "));
    let mut found = Vec::new();
    for statement in &statements {
        let name = statement
            .words
            .iter()
            .take(6)
            .cloned()
            .collect::<Vec<_>>()
            .join(" ");
        let hazard = hazard(statement, &new, is_alone, contracts);
        found.extend(hazard.map(|instead| format!("{name} …: {instead}")));
    }
    let has = |words: &[&str]| statements.iter().any(|statement| statement.has(words));
    if has(&["NOT", "VALID"]) && has(&["VALIDATE", "CONSTRAINT"]) {
        found.push(
            "VALIDATE CONSTRAINT: in a migration of its own, or it holds what NOT VALID has locked"
                .to_owned(),
        );
    }
    found
}

fn hazard(
    statement: &Statement,
    new: &BTreeSet<&str>,
    is_alone: bool,
    contracts: bool,
) -> Option<&'static str> {
    let is_new = |table: Option<&str>| table.is_some_and(|table| new.contains(table));
    if statement.begins(&["CREATE", "INDEX"]) || statement.begins(&["CREATE", "UNIQUE", "INDEX"]) {
        let is_concurrent = statement.has(&["INDEX", "CONCURRENTLY"]);
        return match (is_new(statement.after(&["ON"])), is_concurrent, is_alone) {
            (true, ..) | (_, true, true) => None,
            (_, true, false) => Some("alone in a file whose first line is -- no-transaction"),
            _ => Some("CREATE INDEX CONCURRENTLY, alone in a file whose first line is -- no-transaction"),
        };
    }
    if statement.begins(&["DROP", "INDEX"]) {
        return (!statement.has(&["INDEX", "CONCURRENTLY"]))
            .then_some("DROP INDEX CONCURRENTLY, without a transaction");
    }
    if statement.begins(&["DROP", "TABLE"]) {
        return (!contracts).then_some("a line -- contract: with the release since which nobody uses it");
    }
    if statement.begins(&["UPDATE"]) || statement.begins(&["DELETE", "FROM"]) {
        let first = if statement.begins(&["UPDATE"]) {
            &["UPDATE"][..]
        } else {
            &["DELETE", "FROM"]
        };
        return (!is_new(statement.after(first)))
            .then_some("rows that are there are filled in portions, by code");
    }
    if statement.begins(&["LOCK"]) || statement.begins(&["CLUSTER"]) {
        return Some("without LOCK, CLUSTER");
    }
    if statement.begins(&["ALTER", "TABLE"]) && !is_new(statement.after(&["ALTER", "TABLE"])) {
        return alteration(statement, contracts);
    }
    None
}

fn alteration(statement: &Statement, contracts: bool) -> Option<&'static str> {
    let has = |words: &[&str]| statement.has(words);
    if (has(&["DROP", "COLUMN"]) || has(&["RENAME"])) && !contracts {
        return Some("a line -- contract: with the release since which nobody uses it");
    }
    let adds_column = has(&["ADD", "COLUMN"]);
    if !adds_column {
        let checks = has(&["CHECK"]) || has(&["FOREIGN", "KEY"]);
        if has(&["ADD"]) && checks && !has(&["NOT", "VALID"]) {
            return Some("NOT VALID, and VALIDATE CONSTRAINT in a migration of its own");
        }
        let indexes = has(&["UNIQUE"]) || has(&["PRIMARY", "KEY"]);
        if has(&["ADD"]) && indexes && !has(&["USING", "INDEX"]) {
            return Some("USING INDEX, of an index that was built CONCURRENTLY before");
        }
        if has(&["TYPE"]) {
            return Some("no other TYPE: a new column, filled in portions");
        }
        return has(&["SET", "NOT", "NULL"]).then_some(
            "not SET NOT NULL, which reads all rows: a CHECK that is NOT VALID and validated later",
        );
    }
    if has(&["REFERENCES"]) || has(&["CHECK"]) || has(&["UNIQUE"]) {
        return Some(
            "the column without CHECK, UNIQUE and REFERENCES; a constraint that is NOT VALID beside it",
        );
    }
    if has(&["GENERATED"]) {
        return Some("no GENERATED column, which writes all rows anew");
    }
    let columns = statement.words.split(|word| word == ",");
    let is_bad = |column: &[String]| {
        let has = |word: &str| column.iter().any(|one| one == word);
        has("NOT") && !has("DEFAULT")
    };
    if columns.into_iter().any(is_bad) {
        return Some("a DEFAULT beside NOT NULL");
    }
    let volatile = ["GEN_RANDOM_UUID", "CLOCK_TIMESTAMP", "RANDOM", "NEXTVAL"];
    volatile
        .iter()
        .any(|function| has(&[function]))
        .then_some("a DEFAULT that is constant, or all rows are written anew")
}
