//! An invoice as a PDF: one US Letter page, tagged for screen readers (PDF/UA-1), its text selectable.
//!
//! [`render`] is a pure function: the same invoice gives the same bytes, at any time and in any process. It costs a
//! few milliseconds and no I/O. The font, Noto Sans, is in the binary; a PDF carries only the letters it uses, about
//! 20 KB. It has Latin, Greek and Cyrillic; a layer may bring fonts of more scripts in `/opt/fonts`. A recipient's name that no
//! font has is left out, and the mail address stands alone; elsewhere such a letter is drawn as U+FFFD. A text that is
//! too long wraps and ends in an ellipsis; an amount never does, it is drawn smaller.

mod format;
mod layout;
mod model;
mod page;
mod text;

#[cfg(test)]
mod tests;

pub use model::{Calculation, DocumentError, DocumentStatus, InvoiceDocument, Issuer, Recipient};

/// Whether a recipient's name can be written on an invoice.
pub fn can_write(name: &str) -> bool {
    text::faces().is_ok_and(|faces| faces.of_name(name).is_some())
}

/// The invoice as a PDF, for `application/pdf`.
///
/// # Errors
///
/// [`DocumentError`]: the font or the layout is broken, whatever the invoice says. It is fatal: another attempt ends
/// in the same way.
pub fn render(document: &InvoiceDocument) -> Result<Vec<u8>, DocumentError> {
    page::write(document, layout::draw)
}
