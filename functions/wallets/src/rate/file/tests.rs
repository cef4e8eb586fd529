use domain::ids::HeldRateId;

use super::*;

const AS_OF: &str = "2026-11-24T13:10:00Z";

fn file(rates: &[(Currency, &str)]) -> FileRates {
    let rates: Vec<(Currency, Rate)> = rates
        .iter()
        .map(|(currency, rate)| (*currency, Rate::parse(rate).unwrap()))
        .collect();
    FileRates::new(AS_OF.parse().unwrap(), &rates)
}

fn stored(base: Currency, quote: Currency, rate: &str, as_of: &str) -> StoredRate {
    StoredRate {
        base,
        quote,
        rate: ExchangeRate::new(Rate::parse(rate).unwrap()).unwrap(),
        as_of: as_of.parse().unwrap(),
        source: Source::Admin,
    }
}

fn rate_of(rates: &[PairRate], base: Currency, quote: Currency) -> String {
    let pair = rates
        .iter()
        .find(|pair| pair.base == base && pair.quote == quote)
        .unwrap();
    pair.rate.to_string()
}

#[test]
fn every_pair_of_the_file_has_a_rate() {
    let mut file = file(&[(Currency::USD, "1.0850"), (Currency::JPY, "163.22")]);
    let rates = file.rates(&[]);
    assert_eq!(rates.len(), 6);
    assert!(file.left_out.is_empty());
    assert_eq!(rate_of(&rates, Currency::EUR, Currency::USD), "1.085");
    // 1 / 1.085 = 0.92165898617511…
    assert_eq!(rate_of(&rates, Currency::USD, Currency::EUR), "0.921658986175");
    // 163.22 / 1.085 = 150.43317972350230…
    assert_eq!(rate_of(&rates, Currency::USD, Currency::JPY), "150.433179723502");
    // 1.085 / 163.22 = 0.00664746967283…, down
    assert_eq!(rate_of(&rates, Currency::JPY, Currency::USD), "0.006647469672");
}

#[test]
fn what_does_not_fit_is_named_and_the_rest_counts() {
    let (large, small) = ("100000000000000000000", "0.0000000000001");
    let mut file = file(&[
        (Currency::USD, "1.0850"),
        (Currency::JPY, large),
        (Currency::IDR, small),
        (Currency::VND, "9999999999999999"),
    ]);
    let rates = file.rates(&[]);
    assert_eq!(rate_of(&rates, Currency::EUR, Currency::VND), "9999999999999999");
    assert_eq!(rates.len(), 4);
    let pair = |base, quote| LeftOut::PairDoesNotFit { base, quote };
    let unfit = |currency, rate: &str| LeftOut::DoesNotFit {
        currency,
        rate: rate.to_owned(),
    };
    assert_eq!(
        file.left_out,
        [
            unfit(Currency::JPY, large),
            unfit(Currency::IDR, small),
            pair(Currency::VND, Currency::EUR),
            pair(Currency::VND, Currency::USD),
        ]
    );
}

fn held(rate: &str, as_of: &str) -> HeldRate {
    HeldRate {
        id: HeldRateId::new(1).unwrap(),
        rate: stored(Currency::EUR, Currency::USD, rate, as_of),
        set_by: None,
        before: ExchangeRate::ONE,
        status: HeldRateStatus::Held,
    }
}

#[test]
fn jump_is_taken_out_with_all_its_pairs_unless_an_earlier_file_had_it() {
    let before = "2026-11-23T13:10:00Z";
    let newest = [
        stored(Currency::EUR, Currency::USD, "1.1", before),
        stored(Currency::EUR, Currency::JPY, "160", before),
    ];
    let jumps = |dollars: &str, waiting: &[HeldRate]| {
        let mut file = file(&[(Currency::USD, dollars), (Currency::JPY, "163.22")]);
        let jumps = file.take_jumps(&newest, waiting, "10".parse().unwrap());
        assert!(
            jumps
                .iter()
                .all(|jump| jump.rate.pair() == (Currency::EUR, Currency::USD))
        );
        (jumps.len(), file.rates(&newest).len())
    };
    assert_eq!(jumps("1.21", &[]), (0, 6));
    assert_eq!(jumps("1.2101", &[]), (1, 2));
    assert_eq!(jumps("0.9899", &[]), (1, 2));
    assert_eq!(jumps("11", &[held("11.5", before)]), (0, 6));
    assert_eq!(jumps("11", &[held("13", before)]), (1, 2));
    // The same file once more.
    assert_eq!(jumps("11", &[held("11", AS_OF)]), (1, 2));
}

#[test]
fn currency_that_has_left_the_file_is_named() {
    let before = [Currency::USD, Currency::RUB, Currency::JPY]
        .map(|quote| stored(Currency::EUR, quote, "1", "2026-11-23T13:10:00Z"));
    let mut file = file(&[
        (Currency::USD, "1.0850"),
        (Currency::JPY, "100000000000000000000"),
    ]);
    file.compare_with(before.iter());
    // The yen is there, though its rate can't be used.
    assert!(matches!(
        file.left_out.as_slice(),
        [
            LeftOut::DoesNotFit {
                currency: Currency::JPY,
                ..
            },
            LeftOut::LeftTheFile {
                currency: Currency::RUB
            },
        ]
    ));
}

#[test]
fn rate_that_would_gain_with_a_newer_opposite_one_is_left_out() {
    let (before, later) = ("2026-11-23T13:10:00Z", "2026-11-24T15:00:00Z");
    let gains = |newest: &[StoredRate]| {
        let mut file = file(&[(Currency::USD, "1.0850")]);
        let rates = file.rates(newest);
        (rates.len(), file.left_out)
    };
    let dear = |as_of| stored(Currency::USD, Currency::EUR, "0.95", as_of);
    // 1.085 × 0.95 = 1.03
    let expected = LeftOut::Gains {
        base: Currency::EUR,
        quote: Currency::USD,
        rate: ExchangeRate::new(Rate::parse("1.085").unwrap()).unwrap(),
        reverse: ExchangeRate::new(Rate::parse("0.95").unwrap()).unwrap(),
        as_of: later.parse().unwrap(),
    };
    assert_eq!(gains(&[dear(later)]), (1, vec![expected]));
    // An older one is replaced by the file's, and behind a newer one the file's is history.
    assert_eq!(gains(&[dear(before)]), (2, Vec::new()));
    let newer = stored(Currency::EUR, Currency::USD, "1.05", later);
    assert_eq!(gains(&[dear(later), newer]), (2, Vec::new()));
    // The file has no rate from VND to EUR that fits, so the old one goes on to count.
    let mut file = file(&[(Currency::VND, "9999999999999999")]);
    assert!(
        file.rates(&[stored(Currency::VND, Currency::EUR, "0.000000001", before)])
            .is_empty()
    );
    assert!(matches!(
        file.left_out.as_slice(),
        [LeftOut::Gains { .. }, LeftOut::PairDoesNotFit { .. }]
            | [LeftOut::PairDoesNotFit { .. }, LeftOut::Gains { .. }]
    ));
    let cheap = stored(Currency::USD, Currency::EUR, "0.9", later);
    assert_eq!(gains(&[cheap]), (2, Vec::new()));
}
