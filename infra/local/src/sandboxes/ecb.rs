//! A sandbox of the European Central Bank: the daily file of the euro's reference rates.
//!
//! The rates are always the same until they are set. Their day is the newest on which the bank has published: today
//! from 16:00 in Frankfurt on, and never a Saturday or a Sunday; the bank's holidays aren't known here.
//!
//! # By curl
//!
//! Under `/control/ecb`, with JSON bodies: `GET /` shows the day and the rates; `POST rates`
//! (`{"currency":"USD","rate":"1.0845"}`) sets a rate, as the text that the file will have, valid or not;
//! `DELETE rates/USD` takes a currency off the list; `POST date` (`{"date":"2026-11-24"}`) sets the day, null lets it
//! follow the clock again; `DELETE /` brings the first rates and the clock's day back; `GET`, `POST`, `DELETE faults`,
//! among them the kind `invalid_feed` for a file that arrives whole but is broken
//! (`{"times":1,"effect":{"kind":"invalid_feed","defect":"truncated"}}`, or `empty`, `no_rates`, `zero_rate`);
//! `GET`, `DELETE calls`.

use std::path::PathBuf;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};
use chrono_tz::Europe::Berlin;
use domain::currency::Currency;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::gate::{Effect, Fault, FeedDefect, Party};
use super::sandbox::Sandbox;
use crate::clock::LocalClock;

/// Where the file is, from the sandbox's own address on.
pub const FEED_PATH: &str = "/stats/eurofxref/eurofxref-daily.xml";

/// The hour in Frankfurt from which on the day's rates are published.
const PUBLISHED_FROM_HOUR: u32 = 16;

/// The rates until they are set, in the bank's order.
const FIRST_RATES: [(Currency, &str); 29] = [
    (Currency::USD, "1.0845"),
    (Currency::JPY, "163.12"),
    (Currency::CZK, "25.214"),
    (Currency::DKK, "7.4603"),
    (Currency::GBP, "0.83405"),
    (Currency::HUF, "408.60"),
    (Currency::PLN, "4.3120"),
    (Currency::RON, "4.9768"),
    (Currency::SEK, "11.5210"),
    (Currency::CHF, "0.9372"),
    (Currency::ISK, "149.10"),
    (Currency::NOK, "11.7325"),
    (Currency::TRY, "37.1894"),
    (Currency::AUD, "1.6391"),
    (Currency::BRL, "6.2158"),
    (Currency::CAD, "1.5114"),
    (Currency::CNY, "7.7283"),
    (Currency::HKD, "8.4317"),
    (Currency::IDR, "17098.20"),
    (Currency::ILS, "4.0216"),
    (Currency::INR, "91.1960"),
    (Currency::KRW, "1497.35"),
    (Currency::MXN, "21.6544"),
    (Currency::MYR, "4.7148"),
    (Currency::NZD, "1.8127"),
    (Currency::PHP, "63.286"),
    (Currency::SGD, "1.4309"),
    (Currency::THB, "36.825"),
    (Currency::ZAR, "19.2380"),
];

/// A handle of the ECB sandbox.
pub type EcbSandbox = Sandbox<State>;

/// The day and the rates.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// The day of the rates; the clock's when missing.
    date: Option<NaiveDate>,
    /// The rates, in the file's order.
    rates: Vec<ListedRate>,
}

/// A rate as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRate {
    /// The currency.
    pub currency: Currency,
    /// Major units of it for one euro, as written.
    pub rate: String,
}

impl Default for State {
    fn default() -> Self {
        let listed = |(currency, rate): (Currency, &str)| ListedRate {
            currency,
            rate: rate.to_owned(),
        };
        Self {
            date: None,
            rates: FIRST_RATES.map(listed).into(),
        }
    }
}

impl State {
    fn date(&self, now: DateTime<Utc>) -> NaiveDate {
        self.date.unwrap_or_else(|| newest_day(now))
    }
}

impl EcbSandbox {
    pub(super) fn start(file: Option<PathBuf>, clock: LocalClock) -> anyhow::Result<Self> {
        Self::open(file, clock, ())
    }

    /// The day of the rates.
    pub fn date(&self) -> NaiveDate {
        self.lock().date(self.time())
    }

    /// Sets the day of the rates; `None` lets it follow the clock again.
    pub fn set_date(&self, date: impl Into<Option<NaiveDate>>) {
        self.lock().date = date.into();
        self.changed();
    }

    /// The rates, in the file's order.
    pub fn rates(&self) -> Vec<ListedRate> {
        self.lock().rates.clone()
    }

    /// Sets a rate, as the text that the file will have, valid or not. A currency that wasn't listed comes last.
    pub fn set_rate(&self, currency: Currency, rate: &str) {
        let mut state = self.lock();
        let rate = rate.to_owned();
        match state.rates.iter_mut().find(|listed| listed.currency == currency) {
            Some(listed) => listed.rate = rate,
            None => state.rates.push(ListedRate { currency, rate }),
        }
        self.changed();
    }

    /// Takes a currency off the list.
    pub fn remove_rate(&self, currency: Currency) {
        self.lock().rates.retain(|listed| listed.currency != currency);
        self.changed();
    }

    /// Brings the first rates and the clock's day back.
    pub fn reset(&self) {
        *self.lock() = State::default();
        self.changed();
    }

    /// Publishes a broken file to the next calls.
    pub fn break_feed(&self, defect: FeedDefect, times: u32) {
        self.fault(Fault::new("GET", FEED_PATH, Effect::InvalidFeed { defect }).times(times));
    }

    fn feed(&self) -> String {
        let state = self.lock();
        feed(state.date(self.time()), &state.rates)
    }

    fn broken_feed(&self, defect: FeedDefect) -> String {
        match defect {
            FeedDefect::Truncated => {
                let whole = self.feed();
                whole.chars().take(whole.chars().count() / 2).collect()
            }
            FeedDefect::Empty => String::new(),
            FeedDefect::NoRates => feed(self.date(), &[]),
            FeedDefect::ZeroRate => {
                let mut rates = self.rates();
                if let Some(first) = rates.first_mut() {
                    first.rate = "0".to_owned();
                }
                feed(self.date(), &rates)
            }
        }
    }
}

impl Party for EcbSandbox {
    fn respond(&self, call: &Call) -> Reply {
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", FEED_PATH) => xml(self.feed()),
            _ => page(404, "The page you are looking for could not be found."),
        }
    }

    /// A web server has no codes of its own.
    fn error(&self, status: u16, _code: &str, message: &str) -> Reply {
        page(status, message)
    }

    /// The file is for everybody.
    fn expire_sessions(&self) {}

    fn respond_with_broken_feed(&self, call: &Call, defect: FeedDefect) -> Reply {
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", FEED_PATH) => xml(self.broken_feed(defect)),
            _ => self.respond(call),
        }
    }

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        self.control_route(call)
    }
}

#[derive(Deserialize)]
struct DateSetting {
    date: Option<NaiveDate>,
}

impl EcbSandbox {
    fn control_route(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", []) => {}
            ("DELETE", []) => self.reset(),
            ("POST", ["rates"]) => {
                let listed: ListedRate = call.read()?;
                self.set_rate(listed.currency, &listed.rate);
            }
            ("DELETE", ["rates", code]) => self.remove_rate(Currency::parse(code)?),
            ("POST", ["date"]) => {
                let DateSetting { date } = call.read()?;
                self.set_date(date);
            }
            _ => return Ok(None),
        }
        let state = self.lock();
        Ok(Some(
            json!({ "date": state.date(self.time()), "items": state.rates }),
        ))
    }
}

/// The newest day whose rates are published.
fn newest_day(now: DateTime<Utc>) -> NaiveDate {
    let now = now.with_timezone(&Berlin);
    let today = now.date_naive();
    let unpublished = usize::from(now.hour() < PUBLISHED_FROM_HOUR);
    let mut days = today.iter_days().rev().skip(unpublished);
    days.find(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .unwrap_or(today)
}

/// The file as the bank writes it, to the last tab and quotation mark.
fn feed(date: NaiveDate, rates: &[ListedRate]) -> String {
    let cube = |listed: &ListedRate| {
        let rate = escaped(&listed.rate);
        format!("\t\t\t<Cube currency='{}' rate='{rate}'/>\n", listed.currency)
    };
    let cubes: String = rates.iter().map(cube).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" \
         xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">\n\
         \t<gesmes:subject>Reference rates</gesmes:subject>\n\
         \t<gesmes:Sender>\n\
         \t\t<gesmes:name>European Central Bank</gesmes:name>\n\
         \t</gesmes:Sender>\n\
         \t<Cube>\n\
         \t\t<Cube time='{date}'>\n\
         {cubes}\
         \t\t</Cube>\n\
         \t</Cube>\n\
         </gesmes:Envelope>"
    )
}

/// A text inside an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('\'', "&apos;")
}

fn xml(body: String) -> Reply {
    Reply::text(200, body).with_header("content-type", "text/xml")
}

fn page(status: u16, message: &str) -> Reply {
    Reply::text(status, format!("<html><body>{message}</body></html>"))
        .with_header("content-type", "text/html")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, client, sandboxes};
    use super::super::{SandboxOptions, Sandboxes};
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// The file as a function gets it: status and text; no status if it didn't arrive whole.
    async fn fetch(sandboxes: &Sandboxes) -> (Option<u16>, String) {
        let url = &sandboxes.environment()["RATES_FEED_URL"];
        let Ok(response) = client().get(url).send().await else {
            return (None, String::new());
        };
        let status = response.status().as_u16();
        match response.text().await {
            Ok(text) => (Some(status), text),
            Err(_) => (None, String::new()),
        }
    }

    /// The values of an attribute, each time it comes.
    fn values<'a>(feed: &'a str, attribute: &str) -> Vec<&'a str> {
        let opening = format!("{attribute}='");
        let after = feed.split(opening.as_str()).skip(1);
        after.map(|rest| rest.split('\'').next().unwrap()).collect()
    }

    fn rate_of<'a>(feed: &'a str, code: &str) -> Option<&'a str> {
        let position = values(feed, "currency").iter().position(|one| *one == code)?;
        values(feed, "rate").get(position).copied()
    }

    /// Whether the text is the whole file: what is opened is closed, the envelope last.
    fn is_whole(feed: &str) -> bool {
        let cubes = feed.matches("<Cube").count();
        feed.starts_with("<?xml ")
            && feed.ends_with("</gesmes:Envelope>")
            && cubes == feed.matches("/>").count() + feed.matches("</Cube>").count()
    }

    #[tokio::test]
    async fn the_file_has_the_day_and_every_rate() {
        let sandboxes = sandboxes().await;
        let before = newest_day(Utc::now());
        let (status, feed) = fetch(&sandboxes).await;
        assert_eq!(status, Some(200));
        assert!(is_whole(&feed), "{feed}");
        assert!((before..=newest_day(Utc::now())).contains(&day(values(&feed, "time")[0])));
        assert_eq!(values(&feed, "time").len(), 1);
        assert_eq!(values(&feed, "currency").len(), 29);
        assert_eq!(values(&feed, "rate").len(), 29);
        assert_eq!(rate_of(&feed, "USD"), Some("1.0845"));
        assert_eq!(rate_of(&feed, "EUR"), None);
        let codes = FIRST_RATES.map(|(currency, _)| currency.code());
        assert_eq!(values(&feed, "currency"), codes);
        sandboxes.stop().await;
    }

    #[tokio::test]
    async fn the_day_and_the_rates_can_be_set() {
        let sandboxes = sandboxes().await;
        let ecb = sandboxes.ecb();
        ecb.set_rate(Currency::USD, "1.1");
        ecb.set_rate(Currency::KWD, "0.3331");
        ecb.remove_rate(Currency::JPY);
        ecb.set_date(day("1999-01-04"));
        let (_, feed) = fetch(&sandboxes).await;
        assert!(is_whole(&feed), "{feed}");
        assert_eq!(values(&feed, "time"), ["1999-01-04"]);
        assert_eq!(rate_of(&feed, "USD"), Some("1.1"));
        assert_eq!(rate_of(&feed, "JPY"), None);
        assert_eq!(values(&feed, "currency").last(), Some(&"KWD"));

        ecb.set_rate(Currency::USD, "<'&");
        assert_eq!(
            rate_of(&fetch(&sandboxes).await.1, "USD"),
            Some("&lt;&apos;&amp;")
        );
        ecb.reset();
        assert_eq!(rate_of(&fetch(&sandboxes).await.1, "USD"), Some("1.0845"));
        assert_ne!(ecb.date(), day("1999-01-04"));
        sandboxes.stop().await;
    }

    #[tokio::test]
    async fn the_file_can_be_broken_and_heals() {
        let sandboxes = sandboxes().await;
        let ecb = sandboxes.ecb();
        let whole = fetch(&sandboxes).await.1;

        ecb.break_feed(FeedDefect::Truncated, 1);
        let (status, feed) = fetch(&sandboxes).await;
        assert_eq!(status, Some(200));
        assert!(!feed.is_empty() && feed.len() < whole.len() && whole.starts_with(&feed));

        ecb.break_feed(FeedDefect::Empty, 1);
        assert_eq!(fetch(&sandboxes).await, (Some(200), String::new()));

        ecb.break_feed(FeedDefect::NoRates, 1);
        let feed = fetch(&sandboxes).await.1;
        assert!(is_whole(&feed) && values(&feed, "rate").is_empty(), "{feed}");
        assert_eq!(values(&feed, "time").len(), 1);

        ecb.break_feed(FeedDefect::ZeroRate, 2);
        for _ in 0..2 {
            let feed = fetch(&sandboxes).await.1;
            assert!(is_whole(&feed), "{feed}");
            assert_eq!(rate_of(&feed, "USD"), Some("0"));
            assert_eq!(rate_of(&feed, "JPY"), Some("163.12"));
        }
        assert_eq!(fetch(&sandboxes).await, (Some(200), whole));
        assert_eq!(ecb.calls().len(), 7);
        sandboxes.stop().await;
    }

    #[tokio::test]
    async fn the_bank_can_fail() {
        let sandboxes = sandboxes().await;
        let ecb = sandboxes.ecb();
        let fail = |effect| ecb.fault(Fault::new("GET", "/", effect));
        fail(Effect::FailAfter { status: 500 });
        assert_eq!(fetch(&sandboxes).await.0, Some(500));
        fail(Effect::RateLimit { retry_after_s: 1 });
        assert_eq!(fetch(&sandboxes).await.0, Some(429));
        fail(Effect::Hang {
            for_ms: 1,
            after_doing: false,
        });
        assert_eq!(fetch(&sandboxes).await.0, None);
        fail(Effect::Reset { after_doing: false });
        assert_eq!(fetch(&sandboxes).await.0, None);
        fail(Effect::Truncate);
        assert_eq!(fetch(&sandboxes).await.0, None);
        assert_eq!(fetch(&sandboxes).await.0, Some(200));
        let elsewhere = format!("{}/ecb/stats/eurofxref/eurofxref-hist.xml", sandboxes.url());
        let elsewhere = client().get(elsewhere).send().await.unwrap();
        assert_eq!(elsewhere.status().as_u16(), 404);
        sandboxes.stop().await;
    }

    #[tokio::test]
    async fn control_routes_do_what_the_handle_does() {
        let sandboxes = sandboxes().await;
        let control = |path: &str| format!("{}/control/ecb{path}", sandboxes.url());
        let post = |path: &str, body: Value| answer(client().post(control(path)).json(&body));
        let (status, _) = post("/rates", json!({ "currency": "GBP", "rate": "0.9" })).await;
        assert_eq!(status, 200);
        assert_eq!(post("/date", json!({ "date": "1999-01-04" })).await.0, 200);
        assert_eq!(answer(client().delete(control("/rates/USD"))).await.0, 200);
        let (_, shown) = answer(client().get(control(""))).await;
        assert_eq!(shown["date"], "1999-01-04");
        assert_eq!(shown["items"][0], json!({ "currency": "JPY", "rate": "163.12" }));
        let feed = fetch(&sandboxes).await.1;
        assert_eq!(
            (
                values(&feed, "time"),
                rate_of(&feed, "GBP"),
                rate_of(&feed, "USD")
            ),
            (vec!["1999-01-04"], Some("0.9"), None)
        );

        let fault = json!({ "effect": { "kind": "invalid_feed", "defect": "empty" } });
        assert_eq!(post("/faults", fault).await.0, 200);
        assert_eq!(fetch(&sandboxes).await.1, "");
        assert_eq!(post("/date", json!({ "date": null })).await.0, 200);
        assert_ne!(sandboxes.ecb().date(), day("1999-01-04"));
        assert_eq!(answer(client().delete(control(""))).await.0, 200);
        assert_eq!(rate_of(&fetch(&sandboxes).await.1, "GBP"), Some("0.83405"));

        for (path, body) in [
            ("/rates", json!({ "currency": "ZZZ", "rate": "1" })),
            ("/date", json!({ "date": "yesterday" })),
        ] {
            assert_eq!(post(path, body).await.0, 400);
        }
        assert_eq!(answer(client().delete(control("/rates/ZZZ"))).await.0, 400);
        assert_eq!(post("/elsewhere", json!({})).await.0, 404);
        sandboxes.stop().await;
    }

    #[tokio::test]
    async fn rates_and_day_outlive_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let options = || SandboxOptions {
            state: Some(state.path().to_owned()),
            ..SandboxOptions::default()
        };
        let sandboxes = Sandboxes::start(options()).await.unwrap();
        sandboxes.ecb().set_rate(Currency::USD, "1.2");
        sandboxes.ecb().set_date(day("1999-01-04"));
        sandboxes.stop().await;

        let sandboxes = Sandboxes::start(options()).await.unwrap();
        assert_eq!(sandboxes.ecb().date(), day("1999-01-04"));
        let first = ListedRate {
            currency: Currency::USD,
            rate: "1.2".to_owned(),
        };
        assert_eq!(sandboxes.ecb().rates().first(), Some(&first));
        sandboxes.stop().await;
    }

    #[test]
    fn a_day_is_published_from_four_in_the_afternoon_on() {
        let newest = |now: &str| newest_day(now.parse().unwrap()).to_string();
        // Tuesday in winter: Frankfurt is an hour ahead of UTC.
        assert_eq!(newest("2026-11-24T14:59:59Z"), "2026-11-23");
        assert_eq!(newest("2026-11-24T15:00:00Z"), "2026-11-24");
        // It is Wednesday in Frankfurt.
        assert_eq!(newest("2026-11-24T23:30:00Z"), "2026-11-24");
        // Monday morning, Sunday, Saturday and Friday evening.
        for now in [
            "2026-11-23T08:00:00Z",
            "2026-11-22T18:00:00Z",
            "2026-11-21T18:00:00Z",
            "2026-11-20T18:00:00Z",
        ] {
            assert_eq!(newest(now), "2026-11-20", "{now}");
        }
        // In summer two hours.
        assert_eq!(newest("2026-07-01T13:59:59Z"), "2026-06-30");
        assert_eq!(newest("2026-07-01T14:00:00Z"), "2026-07-01");
    }
}
