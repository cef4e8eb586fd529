//! `GET /graphql/realtime`: subscriptions of the app's API, in AppSync's own protocol over WebSocket. The path is the one that
//! AppSync has under a domain name of one's own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{
        Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, header},
    response::Response,
    routing::get,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{authorize::bearer, graphql::call_of};
use crate::{
    graphql::{Asked, Caller, Subscribed},
    running::Running,
};

const PROTOCOL: &str = "graphql-ws";
/// With this before it a further protocol carries the connection's header.
const HEADER_PROTOCOL: &str = "header-";
/// How often AppSync says that the connection is alive, and how long a client waits for that.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const TIMEOUT_MS: u32 = 300_000;
/// AppSync takes no more of these.
const MAX_MESSAGE_BYTES: usize = 240 * 1024;
const MAX_SUBSCRIPTIONS: usize = 200;

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new().route("/graphql/realtime", get(connect))
}

#[derive(Deserialize)]
struct Parameters {
    header: Option<String>,
}

async fn connect(
    State(cloud): State<Arc<Running>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let token = token_of_query(&parameters).or_else(|| token_of_protocol(&headers));
    let is_authorized = token.is_some_and(|token| cloud.issuer.verify(bearer(&token)).is_ok());
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| serve(cloud, socket, is_authorized))
}

/// The token of `?header=`, which is JSON in Base64.
fn token_of_query(parameters: &Parameters) -> Option<String> {
    let json = STANDARD.decode(parameters.header.as_ref()?).ok()?;
    token_of(&serde_json::from_slice(&json).ok()?)
}

/// The token of a protocol `header-…`, which is how a browser says it without a word in the address.
fn token_of_protocol(headers: &HeaderMap) -> Option<String> {
    let protocols = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let mut protocols = protocols.split(',').map(str::trim);
    let encoded = protocols.find_map(|protocol| protocol.strip_prefix(HEADER_PROTOCOL))?;
    let json = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
    token_of(&serde_json::from_slice(&json).ok()?)
}

fn token_of(header: &Value) -> Option<String> {
    let token = header
        .get("Authorization")
        .or_else(|| header.get("authorization"));
    token?.as_str().map(str::to_owned)
}

fn unauthorized() -> Value {
    let message = "You are not authorized to make this call.";
    json!({ "errors": [{ "errorType": "UnauthorizedException", "errorCode": 401, "message": message }] })
}

async fn serve(cloud: Arc<Running>, socket: WebSocket, is_authorized: bool) {
    let (mut sink, mut stream) = socket.split();
    if !is_authorized {
        // The client may have gone; then there is nobody to tell.
        let _ = send(
            &mut sink,
            &json!({ "type": "connection_error", "payload": unauthorized() }),
        )
        .await;
        let _ = sink.close().await;
        return;
    }
    let (sender, mut messages) = mpsc::unbounded_channel();
    let mut connection = Connection {
        cloud,
        sender,
        subscriptions: HashMap::new(),
    };
    let mut alive = interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            received = stream.next() => match received {
                Some(Ok(Message::Text(text))) => connection.receive(&text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => None,
            },
            message = messages.recv() => message,
            _ = alive.tick() => Some(json!({ "type": "ka" })),
        };
        if let Some(message) = message
            && send(&mut sink, &message).await.is_err()
        {
            break;
        }
    }
}

async fn send(sink: &mut SplitSink<WebSocket, Message>, message: &Value) -> Result<(), axum::Error> {
    sink.send(Message::Text(message.to_string().into())).await
}

/// A connection with its subscriptions, which end with it.
struct Connection {
    cloud: Arc<Running>,
    sender: UnboundedSender<Value>,
    subscriptions: HashMap<String, Subscription>,
}

#[derive(Deserialize)]
struct Received {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    payload: Value,
}

impl Connection {
    /// What is answered at once to a message.
    fn receive(&mut self, text: &str) -> Option<Value> {
        let Ok(received) = serde_json::from_str::<Received>(text) else {
            return Some(failed(
                "",
                &refusal("UnsupportedOperation", "The message can't be read."),
            ));
        };
        match received.kind.as_str() {
            "connection_init" => {
                Some(json!({ "type": "connection_ack", "payload": { "connectionTimeoutMs": TIMEOUT_MS } }))
            }
            "start" => {
                let id = received.id.clone();
                self.start(received).err().map(|errors| failed(&id, &errors))
            }
            "stop" => {
                if let Some(subscription) = self.subscriptions.remove(&received.id) {
                    subscription.task.abort();
                }
                Some(json!({ "type": "complete", "id": received.id }))
            }
            _ => Some(failed(
                &received.id,
                &refusal("UnsupportedOperation", "The message is of no known type."),
            )),
        }
    }

    /// Starts a subscription, for which each message says anew who asks; what comes of it is sent by a task of its own.
    fn start(&mut self, received: Received) -> Result<(), Value> {
        self.subscriptions
            .retain(|_, subscription| !subscription.has_ended());
        if self.subscriptions.contains_key(&received.id) {
            return Err(refusal("DuplicatedOperationError", "The id is in use."));
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let message = "A connection has at most 200 subscriptions.";
            return Err(refusal("MaxSubscriptionsReachedError", message));
        }
        let token = received.payload.pointer("/extensions/authorization");
        let token = token.and_then(token_of).ok_or_else(unauthorized)?;
        let claims = self.cloud.issuer.verify(bearer(&token));
        let claims = claims.map_err(|_| unauthorized())?;
        let data = received.payload.get("data").and_then(Value::as_str);
        let asked: Asked = serde_json::from_str(data.unwrap_or_default())
            .map_err(|_| refusal("MalformedHttpRequestException", "The request can't be read."))?;
        let graphql = self.cloud.graphql.as_ref();
        let graphql = graphql.ok_or_else(|| refusal("NotFoundException", "There is no API."))?;
        let call = call_of(&self.cloud, Caller::App(claims), &HeaderMap::new(), &received.id);
        let subscribed = graphql.subscribe(asked, call)?;
        let ended = Arc::new(AtomicBool::new(false));
        let following = follow(
            received.id.clone(),
            subscribed,
            self.sender.clone(),
            ended.clone(),
        );
        let task = tokio::spawn(following);
        self.subscriptions
            .insert(received.id, Subscription { task, ended });
        Ok(())
    }
}

/// What a client has subscribed to on a connection.
struct Subscription {
    task: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

impl Subscription {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst) || self.task.is_finished()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for subscription in self.subscriptions.values() {
            subscription.task.abort();
        }
    }
}

fn refusal(kind: &str, message: &str) -> Value {
    json!({ "errors": [{ "errorType": kind, "message": message }] })
}

fn failed(id: &str, payload: &Value) -> Value {
    json!({ "type": "error", "id": id, "payload": payload })
}

/// Sends what a subscription tells, once it has begun; before, what comes is why it can't.
async fn follow(id: String, subscribed: Subscribed, sender: UnboundedSender<Value>, ended: Arc<AtomicBool>) {
    let Subscribed {
        mut answers,
        mut started,
    } = subscribed;
    let (has_begun, first) = tokio::select! {
        biased;
        begun = &mut started => (begun.is_ok(), None),
        answer = answers.next() => (started.try_recv().is_ok(), answer),
    };
    // That nobody takes a message means that the connection has ended, and this task with it.
    if has_begun {
        let _ = sender.send(json!({ "type": "start_ack", "id": id }));
    }
    let mut next = match first {
        Some(answer) => Some(answer),
        None => answers.next().await,
    };
    if !has_begun {
        let errors = next.as_ref().and_then(|answer| answer.get("errors"));
        // Whoever hears of the refusal may use the id again.
        ended.store(true, Ordering::SeqCst);
        let _ = sender.send(failed(&id, &json!({ "errors": errors })));
        return;
    }
    while let Some(answer) = next {
        let _ = sender.send(json!({ "type": "data", "id": id, "payload": answer }));
        next = answers.next().await;
    }
}
