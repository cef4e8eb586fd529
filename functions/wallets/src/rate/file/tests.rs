use chrono::TimeDelta;
use domain::ids::HeldRateId;
use proptest::prelude::*;
use rust_decimal::Decimal;

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

fn rate_of(rates: &[StoredRate], base: Currency, quote: Currency) -> String {
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

#[test]
fn currency_that_is_held_goes_on_with_its_old_rate_to_the_euro_and_the_new_ones_of_others() {
    let before = "2026-11-23T13:10:00Z";
    let of_files = |dollars: &str, liras: &str| {
        [(Currency::USD, dollars), (Currency::TRY, liras)].map(|(quote, rate)| StoredRate {
            source: Source::Ecb,
            ..stored(Currency::EUR, quote, rate, before)
        })
    };
    let earlier = of_files("1.10", "40");
    let mut day_two = file(&[(Currency::USD, "1.12"), (Currency::TRY, "45")]);
    day_two.carry(&earlier);
    assert_eq!(day_two.take_jumps(&earlier, &[], "10".parse().unwrap()).len(), 1);
    let rates = day_two.rates(&earlier);
    assert_eq!(rate_of(&rates, Currency::EUR, Currency::USD), "1.12");
    assert_eq!(rate_of(&rates, Currency::EUR, Currency::TRY), "40");
    // 40 / 1.12 = 35.71428571428571…; with 1.12 and 0.025 that is less than one.
    assert_eq!(rate_of(&rates, Currency::USD, Currency::TRY), "35.714285714285");
    assert_eq!(rate_of(&rates, Currency::TRY, Currency::USD), "0.028");
    // It is as old as the older of the two, so that it is too old when that is.
    for rate in &rates {
        let is_old = [rate.base, rate.quote].contains(&Currency::TRY);
        let as_of: DateTime<Utc> = if is_old { before } else { AS_OF }.parse().unwrap();
        assert_eq!(rate.as_of, as_of, "{rate:?}");
    }
}

/// What counts and what waits, as files and decisions make it.
#[derive(Debug, Default)]
struct Rates {
    counting: BTreeMap<Pair, StoredRate>,
    waiting: Vec<HeldRate>,
}

const CURRENCIES: [(Currency, i64); 4] = [
    (Currency::USD, 1),
    (Currency::JPY, 163),
    (Currency::TRY, 40),
    (Currency::IDR, 17_204),
];

/// What a file has of a currency: its rate in percent of the usual one, if any.
type Listed = Option<i64>;

/// What becomes of the rate of a currency that waits, before the next file: accepted, refused or left.
type Decided = Option<bool>;

impl Rates {
    fn newest(&self) -> Vec<StoredRate> {
        self.counting.values().copied().collect()
    }

    fn of_files(&self) -> Vec<StoredRate> {
        let newest = self.newest().into_iter();
        newest.filter(|rate| rate.base == Currency::EUR).collect()
    }

    fn add(&mut self, rates: &[StoredRate]) {
        for rate in rates {
            let counting = self.counting.get(&rate.pair());
            if counting.is_none_or(|counting| counting.as_of <= rate.as_of) {
                self.counting.insert(rate.pair(), *rate);
            }
        }
    }

    fn replace(&mut self, rates: &[StoredRate]) {
        for rate in rates {
            self.waiting
                .retain(|held| held.rate.pair() != rate.pair() || held.rate.as_of > rate.as_of);
        }
    }

    fn read(&mut self, as_of: DateTime<Utc>, listed: &[Listed; 4]) {
        let listed = CURRENCIES
            .iter()
            .zip(listed)
            .filter_map(|((currency, usual), percent)| {
                let rate = Decimal::new(usual * (*percent)?, 2);
                Some((*currency, Rate::new(rate).unwrap()))
            });
        let mut file = FileRates::new(as_of, &listed.collect::<Vec<_>>());
        file.carry(&self.of_files());
        let newest = self.newest();
        for jump in file.take_jumps(&newest, &self.waiting, "10".parse().unwrap()) {
            self.waiting.retain(|held| held.rate.pair() != jump.rate.pair());
            self.waiting.push(HeldRate {
                id: HeldRateId::new(1).unwrap(),
                rate: jump.rate,
                set_by: None,
                before: jump.before,
                status: HeldRateStatus::Held,
            });
        }
        let rates = file.rates(&newest);
        self.add(&rates);
        let own = rates.into_iter().filter(|rate| file.has(rate.pair()));
        self.replace(&own.collect::<Vec<_>>());
    }

    fn decide(&mut self, currency: Currency, accepted: bool) {
        let Some(index) = self.waiting.iter().position(|held| held.rate.quote == currency) else {
            return;
        };
        let held = self.waiting.remove(index).rate;
        if accepted {
            let mut file = FileRates::of_accepted(&held);
            file.carry(&self.of_files());
            let mut rates = file.rates(&self.newest());
            rates.retain(|pair| [pair.base, pair.quote].contains(&currency));
            self.add(&rates);
            self.replace(&rates);
        }
    }

    /// The way round three currencies that brings more than a millionth, if there is one.
    fn gain(&self) -> Option<(Currency, Currency, Currency, Decimal)> {
        let rate = |base, quote| Some(self.counting.get(&(base, quote))?.rate.rate().as_decimal());
        let all = || {
            CURRENCIES
                .map(|(currency, _)| currency)
                .into_iter()
                .chain([Currency::EUR])
        };
        let ways = all().flat_map(|one| all().flat_map(move |two| all().map(move |three| (one, two, three))));
        let brings = ways.filter_map(|(one, two, three)| {
            let back = if one == three {
                Decimal::ONE
            } else {
                rate(three, one)?
            };
            Some((one, two, three, rate(one, two)? * rate(two, three)? * back))
        });
        brings
            .into_iter()
            .find(|(.., brings)| *brings > Decimal::new(1_000_001, 6))
    }
}

fn percent() -> impl Strategy<Value = Listed> {
    prop_oneof![
        4 => (95_i64..=105).prop_map(Some),
        2 => (60_i64..=170).prop_map(Some),
        1 => Just(None),
    ]
}

fn decision() -> impl Strategy<Value = Decided> {
    prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)]
}

proptest! {
    #[test]
    fn rates_of_the_files_gain_on_no_way_round_whatever_of_them_is_held_refused_or_lost(
        days in proptest::collection::vec(
            (0_i64..=1, proptest::array::uniform4(percent()), proptest::array::uniform4(decision())),
            1..12,
        ),
    ) {
        let mut rates = Rates::default();
        let mut as_of: DateTime<Utc> = AS_OF.parse().unwrap();
        for (later, listed, decided) in days {
            // A second file of the day is a correction.
            as_of += TimeDelta::days(later);
            rates.read(as_of, &listed);
            prop_assert_eq!(rates.gain(), None, "after the file {:?}", listed);
            for ((currency, _), decided) in CURRENCIES.into_iter().zip(decided) {
                if let Some(accepted) = decided {
                    rates.decide(currency, accepted);
                    prop_assert_eq!(rates.gain(), None, "{} decided: {}", currency, accepted);
                }
            }
        }
    }
}
