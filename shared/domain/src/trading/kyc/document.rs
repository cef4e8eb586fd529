//! Documents that prove an identity: their types, their sides, and what a file really is.

use thiserror::Error;

use crate::stored::{named_enum, stored_as_text};

/// The largest document, in bytes. The broker takes 10 MB, but a request to a Lambda function ends at 6, and base64 makes
/// four bytes of three.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// The smallest file that can be an image or a PDF, in bytes.
const MIN_DOCUMENT_BYTES: usize = 16;

named_enum! {
    /// What a document is.
    pub enum DocumentType {
        /// A driver's licence.
        DriverLicense = "DRIVER_LICENSE",
        /// A passport.
        Passport = "PASSPORT",
        /// A national identity card.
        NationalIdCard = "NATIONAL_ID_CARD",
        /// A voter's card.
        VoterId = "VOTER_ID",
        /// A permission to work.
        WorkPermit = "WORK_PERMIT",
        /// A visa.
        Visa = "VISA",
        /// A permission to reside.
        ResidencePermit = "RESIDENCE_PERMIT",
    }
}

stored_as_text!(DocumentType);

named_enum! {
    /// A side of a document.
    pub enum DocumentSide {
        /// The front, or the page with the picture.
        Front = "FRONT",
        /// The back.
        Back = "BACK",
    }
}

stored_as_text!(DocumentSide);

named_enum! {
    /// What a file is, by its first bytes.
    pub enum FileKind {
        /// A JPEG.
        Jpeg = "image/jpeg",
        /// A PNG.
        Png = "image/png",
        /// A PDF.
        Pdf = "application/pdf",
    }
}

/// Why a document isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DocumentRefusal {
    /// Such a document has one side.
    #[error("a {0} has no back; send its front")]
    NoBack(DocumentType),
    /// The file is empty, or hardly there.
    #[error("the file is empty")]
    Empty,
    /// The file is too large.
    #[error("the file has {bytes} bytes; at most {MAX_DOCUMENT_BYTES} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Its first bytes are none of a kind that is taken.
    #[error("the file is no JPEG, PNG or PDF, whatever its name says")]
    UnknownKind,
}

/// Checks a document, and says what its file is.
///
/// # Errors
/// Why it isn't taken.
pub fn check(document: DocumentType, side: DocumentSide, file: &[u8]) -> Result<FileKind, DocumentRefusal> {
    let is_single = matches!(document, DocumentType::Passport | DocumentType::Visa);
    if is_single && side == DocumentSide::Back {
        return Err(DocumentRefusal::NoBack(document));
    }
    match file.len() {
        0..MIN_DOCUMENT_BYTES => Err(DocumentRefusal::Empty),
        bytes if bytes > MAX_DOCUMENT_BYTES => Err(DocumentRefusal::TooLarge { bytes }),
        _ => kind_of(file).ok_or(DocumentRefusal::UnknownKind),
    }
}

fn kind_of(file: &[u8]) -> Option<FileKind> {
    if file.starts_with(&[0xff, 0xd8, 0xff]) {
        return Some(FileKind::Jpeg);
    }
    if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(FileKind::Png);
    }
    file.starts_with(b"%PDF-").then_some(FileKind::Pdf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(start: &[u8]) -> Vec<u8> {
        [start, &[0; 32]].concat()
    }

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        let check = |start: &[u8]| check(DocumentType::DriverLicense, DocumentSide::Back, &padded(start));
        assert_eq!(check(&[0xff, 0xd8, 0xff, 0xe0]), Ok(FileKind::Jpeg));
        assert_eq!(check(b"\x89PNG\r\n\x1a\n"), Ok(FileKind::Png));
        assert_eq!(check(b"%PDF-1.7"), Ok(FileKind::Pdf));
        for other in [
            b"PK\x03\x04".as_slice(),
            b"<svg xmlns",
            b"<html>",
            b"GIF89a",
            b"12345678901234567890%PDF-1.7",
        ] {
            assert_eq!(check(other), Err(DocumentRefusal::UnknownKind));
        }
    }

    #[test]
    fn a_file_is_neither_empty_nor_too_large() {
        let check = |file: &[u8]| check(DocumentType::Passport, DocumentSide::Front, file);
        assert_eq!(check(b""), Err(DocumentRefusal::Empty));
        assert_eq!(check(b"%PDF-"), Err(DocumentRefusal::Empty));
        let mut large = padded(b"%PDF-1.7");
        large.resize(MAX_DOCUMENT_BYTES, 0);
        assert_eq!(check(&large), Ok(FileKind::Pdf));
        large.push(0);
        assert_eq!(
            check(&large),
            Err(DocumentRefusal::TooLarge {
                bytes: MAX_DOCUMENT_BYTES + 1
            })
        );
    }

    #[test]
    fn a_passport_has_no_back() {
        for document in DocumentType::ALL {
            let refused = check(document, DocumentSide::Back, &padded(b"%PDF-1.7")).is_err();
            assert_eq!(
                refused,
                matches!(document, DocumentType::Passport | DocumentType::Visa),
                "{document}"
            );
        }
    }
}
