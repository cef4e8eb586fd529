//! The check digits of Russian legal and bank numbers.
//!
//! Only ASCII digits are digits here: others that look like them are refused.

/// Weights of the last digit of an INN of ten digits.
const INN_WEIGHTS: [u32; 9] = [2, 4, 10, 3, 5, 9, 4, 6, 8];
/// Weights of the last but one digit of an INN of twelve digits.
const INN_WEIGHTS_FIRST: [u32; 10] = [7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
/// Weights of its last digit.
const INN_WEIGHTS_SECOND: [u32; 11] = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
/// Weights of a bank account's digits, over and over.
const ACCOUNT_WEIGHTS: [u32; 3] = [7, 1, 3];

/// The digits of a text of exactly `length` ASCII digits.
pub(super) fn digits(text: &str, length: usize) -> Option<Vec<u32>> {
    let digits: Option<Vec<u32>> = text
        .chars()
        .map(|character| {
            let digit = character.to_digit(10);
            digit.filter(|_| character.is_ascii_digit())
        })
        .collect();
    digits.filter(|digits| digits.len() == length)
}

fn weighed(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

/// Whether the digits are an INN by its check digits: one at the end of ten, two at the end of twelve.
pub(super) fn is_inn(inn: &[u32]) -> bool {
    let checks = |weights: &[u32]| inn.get(weights.len()) == Some(&(weighed(inn, weights) % 11 % 10));
    // No tax office has the number 00.
    let has_office = inn.iter().take(2).any(|digit| *digit != 0);
    has_office
        && match inn.len() {
            10 => checks(&INN_WEIGHTS),
            12 => checks(&INN_WEIGHTS_FIRST) && checks(&INN_WEIGHTS_SECOND),
            _ => false,
        }
}

/// Whether the last digit is what remains of the number before it, by `divisor`: 11 for an OGRN, 13 for an OGRNIP.
pub(super) fn ends_in_remainder(number: &[u32], divisor: u64) -> bool {
    let Some((last, before)) = number.split_last() else {
        return false;
    };
    let remainder = before.iter().fold(0, |remainder, digit| {
        (remainder * 10 + u64::from(*digit)) % divisor
    });
    u64::from(*last) == remainder % 10
}

/// Whether an account's key fits the bank: the weighed sum of the bank's three digits and the account's ends in zero.
fn has_key(of_bank: [u32; 3], account: &[u32]) -> bool {
    let digits = of_bank.iter().chain(account);
    let sum: u32 = digits
        .zip(ACCOUNT_WEIGHTS.iter().cycle())
        .map(|(digit, weight)| digit * weight % 10)
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a settlement account is one of the bank: its key is made with the last three digits of the BIK.
pub(super) fn is_settlement_account(account: &[u32], bik: &[u32]) -> bool {
    matches!(bik, [.., a, b, c] if has_key([*a, *b, *c], account))
}

/// Whether a correspondent account is the bank's: its key is made with a zero and the fifth and sixth digit of the BIK.
pub(super) fn is_correspondent_account(account: &[u32], bik: &[u32]) -> bool {
    matches!(bik, [_, _, _, _, fifth, sixth, ..] if has_key([0, *fifth, *sixth], account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<u32> {
        digits(text, text.len()).unwrap()
    }

    #[test]
    fn digits_are_ascii_and_as_many_as_asked_for() {
        assert_eq!(digits("0123", 4), Some(vec![0, 1, 2, 3]));
        for text in ["", "012", "01234", "012O", "01२3", "012\u{ff13}", "0 12", "-123"] {
            assert_eq!(digits(text, 4), None, "{text}");
        }
    }

    /// Public examples: the numbers of Sberbank, Yandex and the Bank of Russia, which each prints on its own pages; and one of
    /// twelve digits that is made by the rule, of a tax office that gives none.
    #[test]
    fn an_inn_has_its_check_digits() {
        for inn in ["7707083893", "7736207543", "7702235133", "990912345685"] {
            assert!(is_inn(&read(inn)), "{inn}");
        }
        for wrong in [
            "7707083894",
            "7707083983",
            "0000000000",
            "990912345686",
            "990912345695",
            "77070838931",
        ] {
            assert!(!is_inn(&read(wrong)), "{wrong}");
        }
    }

    #[test]
    fn an_ogrn_ends_in_its_remainder() {
        for ogrn in ["1027700132195", "1027700229193"] {
            assert!(ends_in_remainder(&read(ogrn), 11), "{ogrn}");
        }
        assert!(ends_in_remainder(&read("326990000123454"), 13));
        assert!(!ends_in_remainder(&read("1027700132196"), 11));
        assert!(!ends_in_remainder(&read("326990000123455"), 13));
        assert!(!ends_in_remainder(&[], 11));
    }

    #[test]
    fn accounts_have_the_key_of_their_bank() {
        // Sberbank's BIK and correspondent account.
        let bik = read("044525225");
        assert!(is_correspondent_account(&read("30101810400000000225"), &bik));
        assert!(!is_correspondent_account(&read("30101810500000000225"), &bik));
        let made = |key: u32| read(&format!("40702810{key}38000000001"));
        let fitting: Vec<u32> = (0..10)
            .filter(|key| is_settlement_account(&made(*key), &bik))
            .collect();
        assert_eq!(fitting.len(), 1, "one key of ten fits: {fitting:?}");
        let other_bank = read("044525974");
        assert!(!is_settlement_account(&made(fitting[0]), &other_bank));
    }
}
