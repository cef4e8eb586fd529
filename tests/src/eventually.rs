//! Waiting for a state instead of for a time.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::{Answer, Result};

/// How long something may take to come true, on a machine that is busy with other things too.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// The first pause between two looks; each is half as long again as the one before it.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Looks again and again until the look succeeds; fails with what the last look saw when that has been the same for
/// [`TIMEOUT`]. What goes on, however slowly on a busy machine, is waited for.
///
/// # Errors
/// The last look's.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut end = Instant::now() + TIMEOUT;
    let mut before = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let seen = match look().await {
            Ok(seen) => return Ok(seen),
            Err(seen) => seen,
        };
        let now = format!("{seen:#}");
        if now != before {
            end = Instant::now() + TIMEOUT;
            before = now;
        } else if Instant::now() >= end {
            return Err(seen).with_context(|| format!("waited {} s: {what}", TIMEOUT.as_secs()));
        }
        sleep(pause).await;
        pause = MAX_PAUSE.min(pause * 3 / 2);
    }
}

/// Sends a request, and sends it again for as long as the answer asks for that: 409 `request-in-flight`, while a copy of
/// it is worked on (or was by a process whose database session has not ended yet), and 503 with `Retry-After`. Gives the
/// first other answer, whatever it is.
///
/// # Errors
/// When there is no answer, or it still asks for another try after [`TIMEOUT`].
pub async fn send_until_answered(what: &str, send: impl AsyncFn() -> Result<Answer>) -> Result<Answer> {
    send_within(TIMEOUT, what, send).await
}

async fn send_within(
    timeout: Duration,
    what: &str,
    send: impl AsyncFn() -> Result<Answer>,
) -> Result<Answer> {
    let end = Instant::now() + timeout;
    loop {
        let answer = send().await?;
        let Some(pause) = retry_after(&answer) else {
            return Ok(answer);
        };
        if Instant::now() + pause > end {
            let (seconds, status, text) = (timeout.as_secs(), answer.status, answer.text);
            bail!("{what}: sent again for {seconds} s, and the answer is still {status} {text}");
        }
        sleep(pause).await;
    }
}

/// How long to wait before the request is sent again, if the answer asks for that.
fn retry_after(answer: &Answer) -> Option<Duration> {
    match answer.status {
        // "Ask again in a moment."
        409 if answer.body["code"] == "request-in-flight" => Some(MAX_PAUSE),
        503 => answer.header("retry-after").parse().ok().map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: Value, retry_after: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert("retry-after", HeaderValue::from_static(seconds));
        }
        Answer {
            status,
            headers,
            text: body.to_string(),
            body,
        }
    }

    /// Sends with these answers in turn; gives the status that counts and how many were not asked for.
    async fn sent(timeout: Duration, answers: Vec<Answer>) -> (Result<u16>, usize) {
        let answers = RefCell::new(answers.into_iter());
        let outcome = send_within(timeout, "a payment", async || {
            answers.borrow_mut().next().context("nothing more")
        });
        let outcome = outcome.await.map(|answer| answer.status);
        (outcome, answers.into_inner().count())
    }

    fn in_flight() -> Answer {
        answer(409, json!({ "code": "request-in-flight" }), None)
    }

    fn unavailable(retry_after: &'static str) -> Answer {
        answer(503, json!({ "code": "unavailable" }), Some(retry_after))
    }

    fn done() -> Answer {
        answer(201, json!({}), None)
    }

    #[tokio::test]
    async fn requests_are_sent_again_for_as_long_as_the_answer_asks_for_it() {
        let answers = vec![in_flight(), unavailable("0"), in_flight(), done(), done()];
        let (outcome, left) = sent(TIMEOUT, answers).await;
        assert!(matches!(outcome, Ok(201)), "{outcome:?}");
        assert_eq!(left, 1);
    }

    #[tokio::test]
    async fn other_answers_are_final() {
        for last in [
            answer(409, json!({ "code": "insufficient-funds" }), None),
            answer(503, json!({ "message": "Service Unavailable" }), None),
            answer(500, json!({ "code": "internal" }), None),
        ] {
            let status = last.status;
            let (outcome, left) = sent(TIMEOUT, vec![last, done()]).await;
            assert_eq!((outcome.ok(), left), (Some(status), 1));
        }
    }

    #[tokio::test]
    async fn sending_again_ends_with_an_error_that_says_what_for() {
        let (outcome, left) = sent(Duration::from_secs(4), vec![unavailable("5"), done()]).await;
        let error = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("a payment") && error.contains("503"), "{error}");
        assert_eq!(left, 1);
    }
}
