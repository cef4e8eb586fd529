//! Lines of text as a PDF, a bill's for instance: one page in a font that every reader has. It is written by hand, as text, since it has to open and be
//! read, and nothing more.

use rust_decimal::Decimal;

use super::state::BillObject;

/// The PDF of a bill.
pub(super) fn of_bill(bill: &BillObject) -> String {
    of_lines(&[
        format!("Bill {}", bill.number),
        format!("For: {}", bill.purpose),
        format!("Amount: {} {}", Decimal::new(bill.amount, 2), bill.currency),
        format!("Due: {}", bill.due_at.format("%Y-%m-%d %H:%M UTC")),
        format!("Status: {}", bill.status),
    ])
}

/// A page with these lines.
pub(in crate::sandboxes) fn of_lines(lines: &[String]) -> String {
    let shown: Vec<String> = lines
        .iter()
        .map(|line| format!("({}) Tj T*", escaped(line)))
        .collect();
    let content = format!("BT /F1 14 Tf 20 TL 60 780 Td {} ET", shown.join(" "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let begin = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1));
    for offset in &offsets {
        file.push_str(&format!("{offset:010} 00000 n \n"));
    }
    file.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{begin}\n%%EOF\n",
        offsets.len() + 1
    ));
    file
}

/// The text inside of a string of a PDF; what the font doesn't have becomes a question mark.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            '(' | ')' | '\\' => vec!['\\', character],
            ' '..='~' => vec![character],
            _ => vec!['?'],
        })
        .collect()
}
