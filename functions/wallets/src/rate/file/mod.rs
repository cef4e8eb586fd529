//! What of the bank's file counts: the rates of every two of its currencies, and what is left out of it and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::rate::Rate;
use domain::wallets::held_rate::HeldRateStatus;
use domain::wallets::rates::{ExchangeRate, RateMaxJump};
use serde::{Serialize, Serializer};

use super::store::{Pair, Source, StoredRate};
use crate::held_rate::store::{HeldRate, NewHeldRate};

/// The rates of a file that can be used, with the time as of which they are.
#[derive(Debug, Clone)]
pub(super) struct FileRates {
    pub(super) as_of: DateTime<Utc>,
    /// So many of each currency for one euro, which is among them.
    listed: BTreeMap<Currency, ExchangeRate>,
    /// What an earlier file said of a currency, and when. It counts for what this one has nothing of that does.
    earlier: BTreeMap<Currency, (ExchangeRate, DateTime<Utc>)>,
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
            earlier: BTreeMap::new(),
            left_out,
        }
    }

    /// Of a file the one rate that was held, and is accepted.
    pub(super) fn of_accepted(held: &StoredRate) -> Self {
        Self {
            as_of: held.as_of,
            listed: BTreeMap::from([(Currency::EUR, ExchangeRate::ONE), (held.quote, held.rate)]),
            earlier: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// Lets what earlier files gave for one euro count for the currencies that this one has nothing of that does: all
    /// rates between two currencies come from one rate to the euro of each, so that no way round gains.
    pub(super) fn carry(&mut self, earlier: &[StoredRate]) {
        let earlier = earlier.iter();
        self.earlier = earlier
            .map(|stored| (stored.quote, (stored.rate, stored.as_of)))
            .collect();
    }

    /// Whether this file has what counts of both currencies.
    pub(super) fn has(&self, (base, quote): Pair) -> bool {
        self.listed.contains_key(&base) && self.listed.contains_key(&quote)
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

    /// Every two currencies of the file and of those before, in both orders.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let currencies: BTreeSet<Currency> = self.listed.keys().chain(self.earlier.keys()).copied().collect();
        let currencies = || currencies.iter().copied();
        currencies()
            .flat_map(|base| currencies().map(move |quote| (base, quote)))
            .filter(|(base, quote)| base != quote)
            .collect()
    }

    /// The rates of the pairs that fit and gain nothing with what counts besides; names the others.
    pub(super) fn rates(&mut self, newest: &[StoredRate]) -> Vec<StoredRate> {
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

    fn rate(&self, (base, quote): Pair, newest: &BTreeMap<Pair, &StoredRate>) -> Result<StoredRate, LeftOut> {
        let across = self.across((base, quote), newest);
        let own = across.ok_or(LeftOut::PairDoesNotFit { base, quote })?;
        let newer = |own: &StoredRate| {
            let counting = newest.get(&own.pair());
            counting.filter(|counting| counting.as_of > own.as_of)
        };
        // One of the file's own rates gains nothing with another: only what it doesn't replace can be in its way.
        let reverse = match self.across((quote, base), newest) {
            Some(reverse) => newer(&reverse),
            None => newest.get(&(quote, base)),
        };
        match reverse {
            Some(reverse) if newer(&own).is_none() && own.rate.gains_with(reverse.rate) => {
                Err(LeftOut::Gains {
                    base,
                    quote,
                    rate: own.rate,
                    reverse: reverse.rate,
                    as_of: reverse.as_of,
                })
            }
            _ => Ok(own),
        }
    }

    /// The file's own rate where one of the two is the euro, as it is written; otherwise by way of the euro. It is as old as
    /// the older of the two, but takes the place of what the files gave for the pair before.
    fn across(&self, (base, quote): Pair, newest: &BTreeMap<Pair, &StoredRate>) -> Option<StoredRate> {
        let ((of_base, base_as_of), (of_quote, quote_as_of)) = (self.to_euro(base)?, self.to_euro(quote)?);
        let older = base_as_of.min(quote_as_of);
        let before = newest
            .get(&(base, quote))
            .filter(|stored| stored.source == Source::Ecb);
        Some(StoredRate {
            base,
            quote,
            rate: ExchangeRate::across(of_base, of_quote)?,
            as_of: before.map_or(older, |before| before.as_of.max(older)),
            source: Source::Ecb,
        })
    }

    /// How many of a currency one euro is, and as of when.
    fn to_euro(&self, currency: Currency) -> Option<(ExchangeRate, DateTime<Utc>)> {
        let listed = self.listed.get(&currency).map(|rate| (*rate, self.as_of));
        listed.or_else(|| self.earlier.get(&currency).copied())
    }
}

#[cfg(test)]
mod tests;
