//! A statement as CSV.

use std::fmt::Write;

use chrono::SecondsFormat;

use super::view::StatementView;

impl StatementView {
    /// The page as CSV: a row for the opening balance, one for each line, one for the closing balance. Amounts are in minor
    /// units as everywhere; where there is another page, the last row has the cursor that leads to it.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(
            "row,entry,at,payment_id,transaction_id,payment_type,is_return,partner_client_id,partner_currency,\
             partner_amount,exchange_rate,currency,amount,balance,next_cursor\r\n",
        );
        let currency = &self.currency;
        // No field holds a comma, a quote or a line break: numbers, codes, times and ids. Writing to a string can't fail.
        let _ = write!(csv, "opening,,,,,,,,,,,{currency},,{},\r\n", self.opening_balance);
        for line in &self.lines {
            let partner = line
                .partner_client_id
                .map(|client| client.to_string())
                .unwrap_or_default();
            let _ = write!(
                csv,
                "line,{},{},{},{},{},{},{partner},{},{},{},{currency},{},{},\r\n",
                line.entry,
                line.at.to_rfc3339_opts(SecondsFormat::Micros, true),
                line.payment_id,
                line.transaction_id,
                line.payment_type,
                line.is_return,
                line.partner_currency,
                line.partner_amount,
                line.exchange_rate,
                line.amount,
                line.balance,
            );
        }
        let next = self.next_cursor.as_deref().unwrap_or_default();
        let _ = write!(
            csv,
            "closing,,,,,,,,,,,{currency},,{},{next}\r\n",
            self.closing_balance
        );
        csv
    }

    /// The name of the CSV file.
    pub fn file_name(&self) -> String {
        format!("statement-{}-{}.csv", self.client_id, self.wallet_id)
    }
}
