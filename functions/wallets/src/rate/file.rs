//! What of the bank's file counts: the rates of every two of its currencies, and what is left out of it and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::held_rate::HeldRateStatus;
use domain::wallets::rates::{ExchangeRate, RateMaxJump};
use serde::{Serialize, Serializer};

use super::store::{Pair, PairRate, Source, StoredRate};
use crate::held_rate::store::{HeldRate, NewHeldRate};

/// The rates of a file that can be used, with the time as of which they are.
#[derive(Debug, Clone)]
pub(super) struct FileRates {
    pub(super) as_of: DateTime<Utc>,
    /// So many of each currency for one euro, which is among them.
    listed: BTreeMap<Currency, ExchangeRate>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Something of a file that doesn't count: the rates there were go on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum LeftOut {
    /// The file before had a rate of the currency, this one has none.
    LeftTheFile {
        /// The currency.
        currency: Currency,
    },
    /// The currency's rate has too many digits.
    DoesNotFit {
        /// The currency.
        currency: Currency,
        /// Its rate, as the file has it.
        rate: String,
    },
    /// The rate between two currencies has too many digits, or would be nothing.
    PairDoesNotFit {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
    },
    /// With the opposite rate that counts, money would grow on its way there and back.
    Gains {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
        /// The file's rate.
        #[serde(serialize_with = "text")]
        rate: ExchangeRate,
        /// The rate of the opposite direction that counts.
        #[serde(serialize_with = "text")]
        reverse: ExchangeRate,
        /// As of when that is.
        as_of: DateTime<Utc>,
    },
    /// It changes too much at once, and waits for a person or the next file.
    UnderReview {
        /// The currency.
        currency: Currency,
        /// Its rate in the file.
        #[serde(serialize_with = "text")]
        rate: ExchangeRate,
        /// What counts.
        #[serde(serialize_with = "text")]
        before: ExchangeRate,
    },
    /// It changes too much at once, and a person has refused it.
    Refused {
        /// The currency.
        currency: Currency,
        /// Its rate in the file.
        #[serde(serialize_with = "text")]
        rate: ExchangeRate,
    },
}

impl LeftOut {
    /// A rate of a file that was held, or had been refused.
    pub(super) fn held(held: &HeldRate) -> Self {
        let (currency, rate) = (held.rate.quote, held.rate.rate);
        if held.status == HeldRateStatus::Refused {
            Self::Refused { currency, rate }
        } else {
            Self::UnderReview {
                currency,
                rate,
                before: held.before,
            }
        }
    }
}

fn text<S: Serializer>(rate: &ExchangeRate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rate)
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftTheFile { currency } => write!(formatter, "{currency} has left the file"),
            Self::DoesNotFit { currency, rate } => {
                write!(formatter, "{currency}'s rate of {rate} has too many digits")
            }
            Self::PairDoesNotFit { base, quote } => {
                write!(
                    formatter,
                    "{base}/{quote} would have too many digits, or be nothing"
                )
            }
            Self::Gains {
                base,
                quote,
                rate,
                reverse,
                ..
            } => write!(
                formatter,
                "{base}/{quote} of {rate} would gain with {quote}/{base} of {reverse}, which goes on to count"
            ),
            Self::UnderReview {
                currency,
                rate,
                before,
            } => write!(
                formatter,
                "{currency}'s rate would change from {before} to {rate}, and is under review"
            ),
            Self::Refused { currency, rate } => write!(formatter, "{currency}'s rate of {rate} was refused"),
        }
    }
}

impl FileRates {
    /// The rates that fit, of those that the file lists for one euro.
    pub(super) fn new(as_of: DateTime<Utc>, rates: &[(Currency, Rate)]) -> Self {
        let mut listed = BTreeMap::from([(Currency::EUR, ExchangeRate::ONE)]);
        let mut left_out = Vec::new();
        for (currency, rate) in rates {
            match ExchangeRate::new(*rate) {
                Ok(rate) => {
                    listed.insert(*currency, rate);
                }
                Err(_) => left_out.push(LeftOut::DoesNotFit {
                    currency: *currency,
                    rate: rate.to_string(),
                }),
            }
        }
        Self {
            as_of,
            listed,
            left_out,
        }
    }

    /// What of a file is stored, with a rate of it that was accepted.
    pub(super) fn of_stored(as_of: DateTime<Utc>, listed: &[StoredRate]) -> Self {
        let listed = listed.iter().map(|stored| (stored.quote, stored.rate));
        Self {
            as_of,
            listed: listed.chain([(Currency::EUR, ExchangeRate::ONE)]).collect(),
            left_out: Vec::new(),
        }
    }

    /// Takes out what changes too much at once, unless one that waits says the same since an earlier file.
    pub(super) fn take_jumps(
        &mut self,
        newest: &[StoredRate],
        waiting: &[HeldRate],
        max_jump: RateMaxJump,
    ) -> Vec<NewHeldRate> {
        let as_of = self.as_of;
        let jump = |(quote, rate): (&Currency, &ExchangeRate)| {
            let pair = (Currency::EUR, *quote);
            let before = newest.iter().find(|stored| stored.pair() == pair)?.rate;
            let repeats = waiting.iter().any(|held| {
                held.rate.pair() == pair
                    && held.rate.as_of < as_of
                    && !max_jump.is_exceeded(held.rate.rate, *rate)
            });
            if repeats || !max_jump.is_exceeded(before, *rate) {
                return None;
            }
            Some(NewHeldRate {
                rate: StoredRate {
                    base: Currency::EUR,
                    quote: *quote,
                    rate: *rate,
                    as_of,
                    source: Source::Ecb,
                },
                set_by: None,
                before,
            })
        };
        let jumps: Vec<NewHeldRate> = self.listed.iter().filter_map(jump).collect();
        for jump in &jumps {
            self.listed.remove(&jump.rate.quote);
        }
        jumps
    }

    /// Names the currencies that the file before had and this one hasn't.
    pub(super) fn compare_with<'a>(&mut self, before: impl Iterator<Item = &'a StoredRate>) {
        let unfit: BTreeSet<Currency> = self
            .left_out
            .iter()
            .filter_map(|left_out| match left_out {
                LeftOut::DoesNotFit { currency, .. } => Some(*currency),
                _ => None,
            })
            .collect();
        let missing: BTreeSet<Currency> = before
            .map(|stored| stored.quote)
            .filter(|currency| !self.listed.contains_key(currency) && !unfit.contains(currency))
            .collect();
        let missing = missing.into_iter();
        self.left_out
            .extend(missing.map(|currency| LeftOut::LeftTheFile { currency }));
    }

    /// Every two currencies of the file, in both orders.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let currencies = || self.listed.keys().copied();
        currencies()
            .flat_map(|base| currencies().map(move |quote| (base, quote)))
            .filter(|(base, quote)| base != quote)
            .collect()
    }

    /// The rates of the pairs that fit and gain nothing with what counts besides; names the others.
    pub(super) fn rates(&mut self, newest: &[StoredRate]) -> Vec<PairRate> {
        let newest: BTreeMap<Pair, &StoredRate> =
            newest.iter().map(|stored| (stored.pair(), stored)).collect();
        let (rates, left_out): (Vec<_>, Vec<_>) = self
            .pairs()
            .into_iter()
            .map(|pair| self.rate(pair, &newest))
            .partition(Result::is_ok);
        self.left_out.extend(left_out.into_iter().filter_map(Result::err));
        rates.into_iter().filter_map(Result::ok).collect()
    }

    fn rate(&self, (base, quote): Pair, newest: &BTreeMap<Pair, &StoredRate>) -> Result<PairRate, LeftOut> {
        let does_not_fit = LeftOut::PairDoesNotFit { base, quote };
        let rate = self.across(base, quote).ok_or(does_not_fit)?;
        let newer = |pair: Pair| newest.get(&pair).filter(|stored| stored.as_of > self.as_of);
        // One of the file's own rates gains nothing with another: only what it doesn't replace can be in its way.
        let reverse = match self.across(quote, base) {
            Some(_) => newer((quote, base)),
            None => newest.get(&(quote, base)),
        };
        match reverse {
            Some(reverse) if newer((base, quote)).is_none() && rate.gains_with(reverse.rate) => {
                Err(LeftOut::Gains {
                    base,
                    quote,
                    rate,
                    reverse: reverse.rate,
                    as_of: reverse.as_of,
                })
            }
            _ => Ok(PairRate { base, quote, rate }),
        }
    }

    /// The file's own rate where one of the two is the euro, as it is written; otherwise by way of the euro.
    fn across(&self, base: Currency, quote: Currency) -> Option<ExchangeRate> {
        ExchangeRate::across(*self.listed.get(&base)?, *self.listed.get(&quote)?)
    }
}

#[cfg(test)]
mod tests {
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
}
