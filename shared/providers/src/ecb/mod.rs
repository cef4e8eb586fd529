//! The European Central Bank, for the reference rates of the euro.
//!
//! On its working days the bank sets one rate for each of some thirty currencies and publishes all of them in one XML
//! file at about 16:00 in Frankfurt. Until then, and on weekends and holidays, the file is still that of the last
//! working day. Money is converted by these rates, so a file is read whole or refused: [`parse`] accepts
//! no element or attribute that it doesn't know.

mod feed;

use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;

use crate::http::{self, Attempts, NoResponse, exchange};
use crate::outcome::{Outcome, Reason};

pub use feed::{FeedError, ReferenceRates, parse};

const SPACING: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The client.
#[derive(Debug)]
pub struct EcbClient {
    http: Client,
    url: String,
}

/// Why an attempt failed.
struct Failure {
    reason: String,
    /// How long the bank asks us to wait.
    wait: Option<Duration>,
}

impl Failure {
    fn new(reason: String) -> Self {
        Self { reason, wait: None }
    }
}

impl EcbClient {
    /// A client of the feed at this address.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(url: String) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            url,
        })
    }

    /// The reference rates of the bank's last working day. Reading has no effect at the bank, and a feed that is broken
    /// now will be mended, so whatever goes wrong is to be tried again.
    pub async fn daily_rates(&self, deadline: Instant) -> Outcome<ReferenceRates> {
        let mut attempts = Attempts::new(&SPACING, deadline);
        loop {
            match self.attempt(deadline).await {
                Ok(rates) => return Outcome::Done(rates),
                Err(Failure { reason, wait }) => {
                    if !attempts.later(wait).await {
                        return Outcome::Retryable(Reason(reason));
                    }
                }
            }
        }
    }

    async fn attempt(&self, deadline: Instant) -> Result<ReferenceRates, Failure> {
        let response = exchange(self.http.get(&self.url), deadline)
            .await
            .map_err(|error| match error {
                NoResponse::NotSent(reason) | NoResponse::Lost(reason) => Failure::new(reason),
            })?;
        tracing::info!(status = response.status, "received the response of the ECB");
        if response.status != 200 {
            return Err(Failure {
                reason: format!("status {}", response.status),
                wait: http::retry_after(&response.headers),
            });
        }
        let text = std::str::from_utf8(&response.body).map_err(|_| FeedError::NotText);
        text.and_then(parse)
            .map_err(|error| Failure::new(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::feed::tests::{FEED, cubes};
    use super::*;

    /// A bank that gives these responses, one a connection, and its client.
    async fn bank(responses: Vec<String>) -> EcbClient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for response in responses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        EcbClient::new(format!("http://{address}/feed.xml")).unwrap()
    }

    fn response(status: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn a_feed_that_can_not_be_read_is_fetched_again() {
        let good = response("200 OK", FEED);
        for bad in [
            response("503 Service Unavailable", ""),
            response("200 OK", &FEED[..800]),
            good[..800].to_owned(),
        ] {
            let client = bank(vec![bad, good.clone()]).await;
            let outcome = client.daily_rates(Instant::now() + Duration::from_secs(30)).await;
            assert_eq!(outcome, Outcome::Done(parse(FEED).unwrap()));
        }
    }

    #[tokio::test]
    async fn a_feed_that_can_not_be_read_in_time_is_retryable() {
        let deadline = Instant::now() + Duration::from_secs(30);
        let retryable = |reason: &str| Outcome::Retryable(Reason(reason.to_owned()));
        for status in [302, 404, 429, 500, 503] {
            // The bank asks for a longer wait than there is time.
            let busy = response(&format!("{status} No\r\nretry-after: 3600"), FEED);
            let client = bank(vec![busy]).await;
            assert_eq!(
                client.daily_rates(deadline).await,
                retryable(&format!("status {status}"))
            );
        }
        let empty = response("200 OK", &cubes("<Cube/>"));
        let client = bank(vec![empty; 3]).await;
        assert_eq!(
            client.daily_rates(deadline).await,
            retryable("the feed has no rates")
        );
    }
}
