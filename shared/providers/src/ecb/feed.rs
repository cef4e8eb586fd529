//! The file of the reference rates: an envelope, in it a cube of days (one, in the daily file), in that the day's cube,
//! and in that a cube for each currency.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::currency::Currency;
use domain::rate::{Rate, RateError};
use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

/// Largest feed that is read, in bytes; a feed has less than 2 KiB.
const MAX_FEED_BYTES: usize = 64 * 1024;
/// Most elements and texts of a feed; one of thirty currencies has about eighty.
const MAX_NODES: u32 = 1_000;

const ENVELOPE: &str = "http://www.gesmes.org/xml/2002-08-01";
const RATES: &str = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref";

/// The reference rates of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRates {
    /// The working day on which they were set.
    pub date: NaiveDate,
    /// Major units of each currency for one euro, in the feed's order. At least one; none is the euro.
    pub rates: Vec<(Currency, Rate)>,
}

/// Why a feed is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeedError {
    /// It has more than 64 KiB.
    #[error("the feed is too large")]
    TooLarge,
    /// It isn't UTF-8.
    #[error("the feed isn't text")]
    NotText,
    /// It isn't well-formed (cut off, for instance), or has a DTD, or far too many elements.
    #[error("the feed isn't well-formed XML: {0}")]
    NotXml(roxmltree::Error),
    /// It is XML, but not the bank's envelope.
    #[error("the feed isn't an envelope of reference rates")]
    NotEnvelope,
    /// An element or attribute that we don't know: it may change what the rates mean.
    #[error("the feed has something unexpected beside the rates")]
    Unexpected,
    /// It has the rates of more than one day.
    #[error("the feed has more than one day")]
    ManyDays,
    /// The rates have no date.
    #[error("the rates have no date")]
    NoDate,
    /// The date isn't in the form 2026-11-24.
    #[error("the date of the rates is invalid")]
    BadDate,
    /// There is no rate of a currency that we know.
    #[error("the feed has no rates")]
    NoRates,
    /// A rate without its currency, or of one that isn't named by three capitals.
    #[error("a rate has no currency")]
    NoCurrency,
    /// The euro itself.
    #[error("the feed has a rate of the euro to itself")]
    Euro,
    /// A currency has more than one rate.
    #[error("{code} has two rates")]
    Repeated {
        /// The currency's code.
        code: String,
    },
    /// A currency without its rate.
    #[error("{code} has no rate")]
    NoRate {
        /// The currency's code.
        code: String,
    },
    /// The rate isn't a plain decimal of more than zero.
    #[error("the rate of {code}: {error}")]
    BadRate {
        /// The currency's code.
        code: String,
        /// What is wrong with it.
        error: RateError,
    },
}

/// Reads a feed.
///
/// A currency that isn't in our table is skipped with a warning: the bank may list one that is newer than the table.
///
/// # Errors
/// When anything else in it isn't as expected.
pub fn parse(text: &str) -> Result<ReferenceRates, FeedError> {
    if text.len() > MAX_FEED_BYTES {
        return Err(FeedError::TooLarge);
    }
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(FeedError::NotXml)?;
    let envelope = document.root_element();
    if !envelope.has_tag_name((ENVELOPE, "Envelope")) {
        return Err(FeedError::NotEnvelope);
    }
    let mut days = Vec::new();
    for cube in envelope.children().filter(is_cube) {
        days.extend(cubes_in(cube)?);
    }
    let day = match days.as_slice() {
        [] => return Err(FeedError::NoRates),
        [day] => *day,
        _ => return Err(FeedError::ManyDays),
    };
    let date = date_of(day)?;
    let rates = rates_of(day)?;
    Ok(ReferenceRates { date, rates })
}

fn date_of(day: Node<'_, '_>) -> Result<NaiveDate, FeedError> {
    has_only(day, &["time"])?;
    let text = day.attribute("time").ok_or(FeedError::NoDate)?;
    let date: NaiveDate = text.parse().map_err(|_| FeedError::BadDate)?;
    // chrono takes some other ways of writing a date.
    if date.to_string() == text {
        Ok(date)
    } else {
        Err(FeedError::BadDate)
    }
}

fn rates_of(day: Node<'_, '_>) -> Result<Vec<(Currency, Rate)>, FeedError> {
    let mut seen = BTreeSet::new();
    let mut rates = Vec::new();
    for cube in cubes_in(day)? {
        has_only(cube, &["currency", "rate"])?;
        if cube.has_children() {
            return Err(FeedError::Unexpected);
        }
        let code = cube
            .attribute("currency")
            .filter(|code| is_code(code))
            .ok_or(FeedError::NoCurrency)?;
        if !seen.insert(code) {
            return Err(FeedError::Repeated {
                code: code.to_owned(),
            });
        }
        let rate = rate_of(cube, code)?;
        match Currency::parse(code) {
            Ok(Currency::EUR) => return Err(FeedError::Euro),
            Ok(currency) => rates.push((currency, rate)),
            Err(_) => tracing::warn!(code, "skipping the rate of a currency that is not in our table"),
        }
    }
    if rates.is_empty() {
        return Err(FeedError::NoRates);
    }
    Ok(rates)
}

fn rate_of(cube: Node<'_, '_>, code: &str) -> Result<Rate, FeedError> {
    let text = cube.attribute("rate").ok_or_else(|| FeedError::NoRate {
        code: code.to_owned(),
    })?;
    Rate::parse(text).map_err(|error| FeedError::BadRate {
        code: code.to_owned(),
        error,
    })
}

/// The form of a currency's code. One in another form might be one that we know.
fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_cube(node: &Node<'_, '_>) -> bool {
    node.has_tag_name((RATES, "Cube"))
}

/// The cubes directly inside a cube, which holds no other elements.
fn cubes_in<'a, 'input>(cube: Node<'a, 'input>) -> Result<Vec<Node<'a, 'input>>, FeedError> {
    let inside: Vec<Node<'a, 'input>> = cube.children().filter(Node::is_element).collect();
    if inside.iter().all(is_cube) {
        Ok(inside)
    } else {
        Err(FeedError::Unexpected)
    }
}

/// That a cube has no other attributes: one that we don't know may change what the rate means, as other banks' feeds
/// have it that give rates for 100 units.
fn has_only(cube: Node<'_, '_>, names: &[&str]) -> Result<(), FeedError> {
    let known = |attribute: roxmltree::Attribute<'_, '_>| {
        attribute.namespace().is_none() && names.contains(&attribute.name())
    };
    if cube.attributes().all(known) {
        Ok(())
    } else {
        Err(FeedError::Unexpected)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::ecb) const FEED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
\t\t<Cube time='2026-11-24'>
\t\t\t<Cube currency='USD' rate='1.0845'/>
\t\t\t<Cube currency='JPY' rate='163.12'/>
\t\t\t<Cube currency='CZK' rate='25.214'/>
\t\t\t<Cube currency='DKK' rate='7.4603'/>
\t\t\t<Cube currency='GBP' rate='0.83405'/>
\t\t\t<Cube currency='HUF' rate='408.60'/>
\t\t\t<Cube currency='PLN' rate='4.3120'/>
\t\t\t<Cube currency='RON' rate='4.9768'/>
\t\t\t<Cube currency='SEK' rate='11.5210'/>
\t\t\t<Cube currency='CHF' rate='0.9372'/>
\t\t\t<Cube currency='ISK' rate='149.10'/>
\t\t\t<Cube currency='NOK' rate='11.7325'/>
\t\t\t<Cube currency='TRY' rate='37.1894'/>
\t\t\t<Cube currency='AUD' rate='1.6391'/>
\t\t\t<Cube currency='BRL' rate='6.2158'/>
\t\t\t<Cube currency='CAD' rate='1.5114'/>
\t\t\t<Cube currency='CNY' rate='7.7283'/>
\t\t\t<Cube currency='HKD' rate='8.4317'/>
\t\t\t<Cube currency='IDR' rate='17098.20'/>
\t\t\t<Cube currency='ILS' rate='4.0216'/>
\t\t\t<Cube currency='INR' rate='91.1960'/>
\t\t\t<Cube currency='KRW' rate='1497.35'/>
\t\t\t<Cube currency='MXN' rate='21.6544'/>
\t\t\t<Cube currency='MYR' rate='4.7148'/>
\t\t\t<Cube currency='NZD' rate='1.8127'/>
\t\t\t<Cube currency='PHP' rate='63.286'/>
\t\t\t<Cube currency='SGD' rate='1.4309'/>
\t\t\t<Cube currency='THB' rate='36.825'/>
\t\t\t<Cube currency='ZAR' rate='19.2380'/>
\t\t</Cube>
\t</Cube>
</gesmes:Envelope>";

    const USD: &str = "<Cube currency='USD' rate='1.0845'/>";

    /// The feed with one part of it replaced.
    fn with(part: &str, replacement: &str) -> String {
        assert_eq!(FEED.matches(part).count(), 1, "{part}");
        FEED.replace(part, replacement)
    }

    /// The feed with this instead of the dollar's rate, parsed.
    fn with_usd(replacement: &str) -> Result<ReferenceRates, FeedError> {
        parse(&with(USD, replacement))
    }

    fn with_rate(rate: &str) -> Result<ReferenceRates, FeedError> {
        with_usd(&format!("<Cube currency='USD' rate='{rate}'/>"))
    }

    /// A feed of these cubes.
    pub(in crate::ecb) fn cubes(cubes: &str) -> String {
        format!("<e:Envelope xmlns:e='{ENVELOPE}' xmlns='{RATES}'>{cubes}</e:Envelope>")
    }

    #[test]
    fn the_feed_is_read_whole() {
        let read = parse(FEED).unwrap();
        assert_eq!(read.date, NaiveDate::from_ymd_opt(2026, 11, 24).unwrap());
        assert_eq!(read.rates.len(), 29);
        let first: Vec<(Currency, String)> = read
            .rates
            .iter()
            .take(3)
            .map(|(currency, rate)| (*currency, rate.to_string()))
            .collect();
        let expected = [
            (Currency::USD, "1.0845"),
            (Currency::JPY, "163.12"),
            (Currency::CZK, "25.214"),
        ];
        assert_eq!(
            first,
            expected.map(|(currency, rate)| (currency, rate.to_owned()))
        );
        let last = (Currency::ZAR, Rate::parse("19.238").unwrap());
        assert_eq!(read.rates.last(), Some(&last));
    }

    #[test]
    fn a_feed_that_is_cut_off_is_refused_wherever_that_is() {
        for end in 0..FEED.len() {
            let refused = parse(&FEED[..end]);
            assert!(matches!(refused, Err(FeedError::NotXml(_))), "{end}: {refused:?}");
        }
        assert!(parse(&format!("{FEED}\n")).is_ok());
    }

    #[test]
    fn a_feed_without_rates_is_refused() {
        assert_eq!(parse(&cubes("")), Err(FeedError::NoRates));
        assert_eq!(parse(&cubes("<Cube/>")), Err(FeedError::NoRates));
        assert_eq!(
            parse(&cubes("<Cube><Cube time='2026-11-24'/></Cube>")),
            Err(FeedError::NoRates)
        );
        assert_eq!(
            parse(&cubes("<Cube><Cube time='2026-11-24'> </Cube></Cube>")),
            Err(FeedError::NoRates)
        );
    }

    #[test]
    fn another_document_is_refused() {
        for text in [
            "<html><body>Maintenance</body></html>".to_owned(),
            with(ENVELOPE, "http://example.com/").replace("time=", "date="),
            with("<gesmes:Envelope", "<Envelope").replace("</gesmes:Envelope", "</Envelope"),
        ] {
            assert_eq!(parse(&text), Err(FeedError::NotEnvelope), "{text}");
        }
        // The cubes are of another vocabulary.
        assert_eq!(
            parse(&with(RATES, "http://example.com/")),
            Err(FeedError::NoRates)
        );
        assert!(matches!(parse("{\"rates\": {}}"), Err(FeedError::NotXml(_))));
    }

    #[test]
    fn a_rate_is_a_plain_decimal_of_more_than_zero() {
        let refused = |error| {
            Err(FeedError::BadRate {
                code: "USD".to_owned(),
                error,
            })
        };
        for rate in ["0", "0.0000", "-1.0845", "-0"] {
            assert_eq!(with_rate(rate), refused(RateError::NotPositive), "{rate}");
        }
        for rate in [
            "", "N/A", "1e5", "1E5", "+1.0845", " 1.0845", "1.0845 ", "1,0845", "1_0", ".5", "1.", "NaN",
            "inf", "0x1",
        ] {
            assert_eq!(with_rate(rate), refused(RateError::Malformed), "{rate}");
        }
        assert_eq!(
            with_usd("<Cube currency='USD'/>"),
            Err(FeedError::NoRate {
                code: "USD".to_owned()
            })
        );
    }

    #[test]
    fn every_rate_has_one_currency_which_is_not_the_euro() {
        let repeated = |code: &str| {
            Err(FeedError::Repeated {
                code: code.to_owned(),
            })
        };
        assert_eq!(with_usd(&USD.repeat(2)), repeated("USD"));
        assert_eq!(with_usd("<Cube currency='JPY' rate='163.13'/>"), repeated("JPY"));
        assert_eq!(with_usd("<Cube currency='EUR' rate='1'/>"), Err(FeedError::Euro));
        for cube in [
            "<Cube rate='1.0845'/>",
            "<Cube/>",
            "<Cube currency='' rate='1.0845'/>",
            "<Cube currency='usd' rate='1.0845'/>",
            "<Cube currency='USD ' rate='1.0845'/>",
            "<Cube currency='ΑΒ' rate='1.0845'/>",
        ] {
            assert_eq!(with_usd(cube), Err(FeedError::NoCurrency), "{cube}");
        }
    }

    #[test]
    fn a_currency_that_is_not_in_the_table_is_skipped() {
        let read = with_usd("<Cube currency='ZZZ' rate='2.5'/>").unwrap();
        assert_eq!(read.rates.len(), 28);
        assert!(read.rates.iter().all(|(currency, _)| *currency != Currency::USD));
        // Its rate is invalid, so something is wrong with the feed.
        assert!(with_usd("<Cube currency='ZZZ' rate='0'/>").is_err());
        let alone = cubes("<Cube><Cube time='2026-11-24'><Cube currency='ZZZ' rate='2.5'/></Cube></Cube>");
        assert_eq!(parse(&alone), Err(FeedError::NoRates));
    }

    #[test]
    fn a_feed_has_one_day_with_a_date() {
        assert_eq!(parse(&with(" time='2026-11-24'", "")), Err(FeedError::NoDate));
        for date in [
            "",
            "today",
            "2026-11-31",
            "2026-13-01",
            "2026-1-4",
            "26-11-24",
            " 2026-11-24",
            "2026-11-24T16:00:00Z",
            "24.11.2026",
            "+2026-11-24",
        ] {
            assert_eq!(
                parse(&with("2026-11-24", date)),
                Err(FeedError::BadDate),
                "{date}"
            );
        }
        let day = |date: &str| format!("<Cube time='{date}'>{USD}</Cube>");
        let (monday, tuesday) = (day("2026-11-23"), day("2026-11-24"));
        assert!(parse(&cubes(&format!("<Cube>{tuesday}</Cube>"))).is_ok());
        for two in [
            format!("<Cube>{tuesday}{monday}</Cube>"),
            format!("<Cube>{tuesday}{tuesday}</Cube>"),
            format!("<Cube>{tuesday}</Cube><Cube>{monday}</Cube>"),
        ] {
            assert_eq!(parse(&cubes(&two)), Err(FeedError::ManyDays), "{two}");
        }
    }

    #[test]
    fn a_feed_with_unknown_attributes_or_elements_is_refused() {
        for cube in [
            "<Cube currency='USD' rate='1.0845' multiplier='100'/>",
            "<Cube currency='USD' rate='1.0845' xmlns:x='urn:x' x:rate='2'/>",
            "<cube currency='USD' rate='1.0845'/>",
            "<Cube currency='USD' rate='1.0845'>1.0845</Cube>",
            "<Cube currency='USD' rate='1.0845'><Cube currency='XYZ' rate='1'/></Cube>",
        ] {
            assert_eq!(with_usd(cube), Err(FeedError::Unexpected), "{cube}");
        }
        assert_eq!(
            parse(&with(
                "time='2026-11-24'",
                "time='2026-11-24' state='provisional'"
            )),
            Err(FeedError::Unexpected)
        );
    }

    #[test]
    fn a_feed_can_not_use_up_the_memory_or_the_stack() {
        let laughs = with(
            "<gesmes:Envelope",
            "<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
             <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]>\n<gesmes:Envelope",
        );
        assert_eq!(
            parse(&laughs.replace("Reference rates", "&c;")),
            Err(FeedError::NotXml(roxmltree::Error::DtdDetected))
        );
        let outside = with(
            "<gesmes:Envelope",
            "<!DOCTYPE e SYSTEM \"file:///etc/passwd\"><gesmes:Envelope",
        );
        assert_eq!(
            parse(&outside),
            Err(FeedError::NotXml(roxmltree::Error::DtdDetected))
        );
        assert!(matches!(parse(&"<a>".repeat(20_000)), Err(FeedError::NotXml(_))));
        assert_eq!(
            parse(&cubes(&"<Cube/>".repeat(2_000))),
            Err(FeedError::NotXml(roxmltree::Error::NodesLimitReached))
        );
        assert_eq!(
            parse(&format!("{FEED}{}", " ".repeat(MAX_FEED_BYTES))),
            Err(FeedError::TooLarge)
        );
    }
}
