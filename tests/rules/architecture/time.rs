//! Times are parameters, so that a clock can be moved: neither SQL nor a use case looks at a clock of its own.

use crate::source::Source;

/// What SQL asks the database's clock with.
const OF_SQL: [&str; 5] = [
    "now()",
    "clock_timestamp()",
    "statement_timestamp()",
    "current_timestamp",
    "localtimestamp",
];
/// What Rust asks the machine's clock with.
const OF_RUST: [&str; 3] = ["SystemClock.now()", "Utc::now()", "SystemTime::now()"];

/// Statements that ask the database for the time.
pub(crate) fn clocks_in_sql(source: &Source) -> Vec<&str> {
    let is_sql = |text: &&String| {
        let text = text.to_uppercase();
        ["SELECT", "INSERT", "UPDATE", "DELETE", "WHERE"]
            .iter()
            .any(|word| text.contains(word))
    };
    let asks = |text: &&String| {
        let text = text.to_lowercase();
        OF_SQL.iter().any(|clock| text.contains(clock))
    };
    let found = source.strings.iter().filter(is_sql).filter(asks);
    found.map(String::as_str).collect()
}

/// Clocks that the code looks at by itself.
pub(crate) fn clocks_in_code(source: &Source) -> Vec<&'static str> {
    let code: String = source.code.split_whitespace().collect();
    OF_RUST.into_iter().filter(|clock| code.contains(clock)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_that_asks_for_the_time_is_found() {
        let source = Source::parse(
            "query!(\"UPDATE a SET at = NOW() WHERE id = $1\"); query!(r#\"SELECT CURRENT_TIMESTAMP\"#); \
             query!(\"UPDATE a SET at = $1\"); // SELECT now()\nlog(\"it is now() or never\");",
        );
        assert_eq!(
            clocks_in_sql(&source),
            [
                "UPDATE a SET at = NOW() WHERE id = $1",
                "SELECT CURRENT_TIMESTAMP"
            ]
        );
    }

    #[test]
    fn code_that_looks_at_a_clock_is_found() {
        let source = Source::parse(
            "let at = chrono::Utc::now(); let b = SystemClock\n    .now(); let c = clock.now(); // Utc::now()\n\
             #[cfg(test)]\nmod tests { fn a() { SystemTime::now() } }",
        );
        assert_eq!(clocks_in_code(&source), ["SystemClock.now()", "Utc::now()"]);
    }
}
