//! What an app hears as it happens: subscriptions over AppSync's own protocol.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use futures::{SinkExt, StreamExt};
use local_cloud::TokenOptions;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        change_of_a_money_flow_is_told_as_the_history_has_it,
        what_belongs_to_another_is_never_told,
        subscription_begins_with_a_good_token_alone,
        subscription_that_is_stopped_tells_no_more,
        app_that_connects_again_hears_what_comes_then,
        document_that_is_no_subscription_of_ours_is_refused,
        app_tells_nobody_anything,
        alone(notification_is_told_within_a_second),
    ]
}

const ADDED: &str = "subscription { notification_added { id kind title body data created_at } }";
const CHANGED: &str =
    "subscription Flow { changed: money_flow_changed { id status amount_cents direction under_review } }";
/// How long a message is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app's connection.
struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    token: String,
}

impl Connection {
    /// A connection on which nothing is said yet.
    async fn open(fixture: &Fixture, token: &str) -> Result<Self> {
        let header = json!({ "host": "localhost", "Authorization": token }).to_string();
        let header = STANDARD.encode(header).replace('+', "%2B").replace('/', "%2F");
        let address = format!("{}?header={header}&payload=e30=", address(fixture));
        Self::connect(&address, "graphql-ws", token).await
    }

    async fn connect(address: &str, protocols: &str, token: &str) -> Result<Self> {
        let mut request = address.into_client_request()?;
        let protocols = HeaderValue::from_str(protocols)?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols);
        let (socket, answer) = connect_async(request).await?;
        let chosen = answer.headers().get("Sec-WebSocket-Protocol");
        ensure!(chosen.is_some_and(|chosen| chosen == "graphql-ws"), "{answer:?}");
        let token = token.to_owned();
        Ok(Self { socket, token })
    }

    /// A connection of the customer's that is acknowledged.
    async fn of(fixture: &Fixture, tester: &Tester) -> Result<Self> {
        let token = token_of(fixture, tester)?;
        let mut connection = Self::open(fixture, &token).await?;
        connection.send(&json!({ "type": "connection_init" })).await?;
        let acknowledged = connection.next().await?;
        ensure_eq!(acknowledged["type"], "connection_ack");
        ensure!(
            acknowledged["payload"]["connectionTimeoutMs"].is_u64(),
            "{acknowledged}"
        );
        Ok(connection)
    }

    async fn send(&mut self, message: &Value) -> Result {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message that says something.
    async fn next(&mut self) -> Result<Value> {
        let waiting = async {
            loop {
                match self.socket.next().await.context("the connection has ended")?? {
                    Message::Text(text) => {
                        let message: Value = serde_json::from_str(&text)?;
                        if message["type"] != "ka" {
                            return Ok(message);
                        }
                    }
                    Message::Close(_) => bail!("the connection was closed"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .context("nothing was said")?
    }

    /// What is answered to the start of a subscription.
    async fn started(&mut self, id: &str, query: &str) -> Result<Value> {
        let data = json!({ "query": query, "variables": {} }).to_string();
        let authorization = json!({ "host": "localhost", "Authorization": self.token });
        let payload = json!({ "data": data, "extensions": { "authorization": authorization } });
        self.send(&json!({ "id": id, "type": "start", "payload": payload }))
            .await?;
        self.next().await
    }

    async fn start(&mut self, id: &str, query: &str) -> Result {
        ensure_eq!(
            self.started(id, query).await?,
            json!({ "id": id, "type": "start_ack" })
        );
        Ok(())
    }

    /// What a subscription tells next.
    async fn told(&mut self, id: &str) -> Result<Value> {
        let message = self.next().await?;
        ensure_eq!(
            (&message["type"], &message["id"]),
            (&json!("data"), &json!(id)),
            "{message}"
        );
        Ok(message["payload"]["data"].clone())
    }
}

fn address(fixture: &Fixture) -> String {
    format!("{}/graphql/realtime", fixture.cloud.url()).replacen("http", "ws", 1)
}

fn token_of(fixture: &Fixture, tester: &Tester) -> Result<String> {
    let claims = json!({ "profile_id": tester.customer.profile_id });
    fixture.cloud.mint_token(claims)
}

/// Deposits, and waits until it has gone through; gives its id.
async fn deposited(tester: &Tester, amount_cents: i64) -> Result<i64> {
    let deposit = tester.deposit(amount_cents).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    Ok(deposit)
}

async fn notification_is_told_within_a_second(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.start("n", ADDED).await?;
    let mut delays = Vec::new();
    for count in 1..=4 {
        let deposit = deposited(&tester, 10_000 + count).await?;
        let told = connection.told("n").await?["notification_added"].clone();
        let at: DateTime<Utc> = told["created_at"].as_str().context("no time")?.parse()?;
        let delay = fixture.cloud.now() - at;
        let count = usize::try_from(count)?;
        let feed = tester.feed_reaches(count).await?;
        for part in ["id", "kind", "title", "body", "created_at"] {
            ensure_eq!(told[part], feed[0][part], "{part}");
        }
        let data: Value = serde_json::from_str(told["data"].as_str().unwrap_or_default())?;
        ensure_eq!(data, feed[0]["data"]);
        ensure_eq!(data["money_flow_id"], deposit.to_string());
        delays.push(delay);
    }
    // The first one starts functions.
    let slow = delays
        .iter()
        .skip(1)
        .find(|delay| **delay > TimeDelta::seconds(1));
    ensure!(slow.is_none(), "told after {delays:?}");
    Ok(())
}

async fn change_of_a_money_flow_is_told_as_the_history_has_it(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.start("f", CHANGED).await?;
    let deposit = tester.deposit(25_000).await?.expect(201)?.number("id")?;
    let mut told = Vec::new();
    loop {
        let changed = connection.told("f").await?["changed"].clone();
        let is_last = changed["status"] == "success";
        told.push(changed);
        if is_last {
            break;
        }
    }
    let query = "{ list_money_flow_history { items { id status amount_cents direction under_review } } }";
    let history = tester.api.graphql_data(query, &json!({})).await?;
    ensure_eq!(told.last(), Some(&history["list_money_flow_history"]["items"][0]));
    ensure!(
        told.iter()
            .all(|changed| changed["id"] == json!(deposit.to_string()) && changed["amount_cents"] == "25000"),
        "{told:?}"
    );
    Ok(())
}

async fn what_belongs_to_another_is_never_told(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let mut connection = Connection::of(&fixture, &tester).await?;
    let mut of_other = Connection::of(&fixture, &other).await?;
    for each in [&mut connection, &mut of_other] {
        each.start("n", ADDED).await?;
    }
    deposited(&other, 20_000).await?;
    of_other.told("n").await?;
    // Whatever this one was told comes first.
    let own = deposited(&tester, 30_000).await?;
    let told = connection.told("n").await?;
    let data = told["notification_added"]["data"].as_str().unwrap_or_default();
    let data: Value = serde_json::from_str(data)?;
    ensure_eq!(data["money_flow_id"], own.to_string());
    Ok(())
}

async fn subscription_begins_with_a_good_token_alone(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let claims = json!({ "profile_id": tester.customer.profile_id });
    let expired = fixture
        .cloud
        .mint_token(json!({ "profile_id": 1, "expires_in": -60 }))?;
    let foreign = TokenOptions {
        audience: Some("somebody-else".to_owned()),
        ..TokenOptions::default()
    };
    let foreign = fixture.cloud.mint_token_with(claims, foreign)?;
    let refused = |message: &Value| message["payload"]["errors"][0]["errorType"] == "UnauthorizedException";
    for token in ["", "no.token.atall", &expired, &foreign] {
        let mut connection = Connection::open(&fixture, token).await?;
        let answer = connection.next().await?;
        ensure_eq!(answer["type"], "connection_error", "{answer}");
        ensure!(refused(&answer), "{answer}");
        ensure!(connection.next().await.is_err(), "the connection goes on");
        // A good one to connect with doesn't make up for it.
        let mut connection = Connection::of(&fixture, &tester).await?;
        connection.token = token.to_owned();
        let answer = connection.started("n", ADDED).await?;
        ensure_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("n")));
        ensure!(refused(&answer), "{answer}");
    }
    let mut nothing = Connection::connect(&address(&fixture), "graphql-ws", "").await?;
    ensure_eq!(nothing.next().await?["type"], "connection_error");
    let service = fixture.cloud.mint_token(json!({ "scope": "wallets" }))?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.token = service;
    for query in [ADDED, CHANGED] {
        let answer = connection.started("n", query).await?;
        ensure_eq!(answer["type"], "error", "{answer}");
        let error = &answer["payload"]["errors"][0];
        ensure_eq!(
            (&error["errorType"], &error["errorInfo"]["status"]),
            (&json!("denied"), &json!(403))
        );
    }
    // A browser says its token by a further protocol.
    let token = token_of(&fixture, &tester)?;
    let header = json!({ "host": "localhost", "Authorization": token }).to_string();
    let protocols = format!("graphql-ws, header-{}", URL_SAFE_NO_PAD.encode(header));
    let mut browser = Connection::connect(&address(&fixture), &protocols, &token).await?;
    browser.start("n", ADDED).await?;
    Ok(())
}

async fn subscription_that_is_stopped_tells_no_more(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.start("first", ADDED).await?;
    let again = connection.started("first", ADDED).await?;
    ensure_eq!(
        again["payload"]["errors"][0]["errorType"],
        "DuplicatedOperationError"
    );
    connection.start("second", ADDED).await?;
    connection.send(&json!({ "id": "first", "type": "stop" })).await?;
    ensure_eq!(
        connection.next().await?,
        json!({ "id": "first", "type": "complete" })
    );
    for amount_cents in [1_000, 2_000] {
        deposited(&tester, amount_cents).await?;
        connection.told("second").await?;
    }
    Ok(())
}

async fn app_that_connects_again_hears_what_comes_then(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.start("n", ADDED).await?;
    drop(connection);
    deposited(&tester, 1_000).await?;
    // What it missed stands in the feed.
    tester.feed_reaches(1).await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    connection.start("n", CHANGED).await?;
    let second = tester.deposit(2_000).await?.expect(201)?.number("id")?;
    let told = connection.told("n").await?;
    ensure_eq!(told["changed"]["id"], second.to_string());
    Ok(())
}

async fn document_that_is_no_subscription_of_ours_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut connection = Connection::of(&fixture, &tester).await?;
    let aliases: String = (0..21)
        .map(|index| format!("f{index}: notification_added {{ id }} "))
        .collect();
    for (query, kind) in [
        ("{ get_unread_count { unread } }", json!("UnsupportedOperation")),
        ("subscription {", json!("MalformedHttpRequestException")),
        (
            &format!("subscription {{ {aliases} }}"),
            json!("ResolverExecutionLimitReached"),
        ),
        ("subscription { no_such_field { id } }", json!(null)),
        (
            "subscription { notification_added { no_such_field } }",
            json!(null),
        ),
    ] {
        let answer = connection.started("n", query).await?;
        ensure_eq!(answer["type"], "error", "{query}: {answer}");
        let error = &answer["payload"]["errors"][0];
        ensure!(error["message"].is_string(), "{query}: {answer}");
        ensure_eq!(error["errorType"], kind, "{query}");
    }
    connection.send(&json!({ "id": "x", "type": "nonsense" })).await?;
    ensure_eq!(connection.next().await?["type"], "error");
    connection.socket.send(Message::text("no JSON")).await?;
    ensure_eq!(connection.next().await?["type"], "error");
    // The connection goes on.
    connection.start("n", ADDED).await?;
    Ok(())
}

async fn app_tells_nobody_anything(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let document =
        "mutation($input: NotificationAddedInput!) { publish_notification_added(input: $input) { id } }";
    let input = json!({
        "profile_id": tester.customer.profile_id.to_string(), "id": "1", "kind": "k", "title": "t", "body": "b",
        "data": "{}", "read": false, "created_at": "2026-11-28T12:00:00Z",
    });
    let variables = json!({ "input": input });
    let refused = tester
        .api
        .graphql_error(document, &variables, "Unauthorized")
        .await?;
    ensure_eq!(refused["path"], json!(["publish_notification_added"]));
    let scope = "local/20261128/us-east-1/appsync/aws4_request";
    for signature in ["", "00"] {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        );
        let request = fixture
            .api(None)?
            .request(Method::POST, "/graphql")
            .header("Authorization", authorization)
            .header("X-Amz-Date", "20261128T120000Z")
            .json(&json!({ "query": document, "variables": variables }));
        let answer = tester.api.send(request).await?.expect(401)?;
        ensure_eq!(answer.body["errors"][0]["errorType"], "UnauthorizedException");
    }
    Ok(())
}
