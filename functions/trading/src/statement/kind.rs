//! The kinds of documents, and their days.

use chrono::{DateTime, NaiveDate, Utc};
use domain::market::MarketCalendar;
use providers::drivewealth::{Statement, StatementKind};

/// How many characters of a file's name are its day.
const DAY_LENGTH: usize = 8;
/// The names under which kinds are stored, and which callers see.
pub(super) const MONTHLY: &str = "monthly";
pub(super) const TRADE_CONFIRMATION: &str = "trade_confirmation";
pub(super) const TAX: &str = "tax";

/// The name of a kind.
pub(super) fn name(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Monthly => MONTHLY,
        StatementKind::TradeConfirmation => TRADE_CONFIRMATION,
        StatementKind::Tax => TAX,
    }
}

/// The day of a document: its file's name begins with it. One whose name doesn't has that at which it was told of.
pub(super) fn day_of(statement: &Statement, told_at: DateTime<Utc>) -> NaiveDate {
    let day = statement.file_key.get(..DAY_LENGTH);
    let day = day.and_then(|day| NaiveDate::parse_from_str(day, "%Y%m%d").ok());
    day.unwrap_or_else(|| MarketCalendar::business_date(told_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_that_of_the_files_name_or_else_new_yorks() {
        let told_at = "2026-11-02T03:00:00Z".parse().unwrap();
        let day = |file_key: &str| {
            let statement = Statement {
                kind: StatementKind::Monthly,
                file_key: file_key.to_owned(),
                display_name: String::new(),
            };
            day_of(&statement, told_at).to_string()
        };
        assert_eq!(day("2026103101"), "2026-10-31");
        for unreadable in ["2026133101", "october", "ümlaute und so"] {
            assert_eq!(day(unreadable), "2026-11-01");
        }
    }
}
