//! A server on a free port.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::super::{Stripe, StripeCredentials};

/// What the server does with one request.
pub(super) enum Reply {
    /// Responds with a status and a body.
    Json(u16, Value),
    /// The same with a line of the header.
    Header(u16, &'static str, Value),
    /// Responds with what isn't JSON.
    Text(u16, &'static str),
    /// Never responds.
    Silence,
    /// Closes the connection instead of responding.
    Reset,
}

/// The server and its client. After the last reply nothing listens any more.
pub(super) struct Server {
    pub(super) stripe: Stripe,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(respond_to_all(listener, replies, Arc::clone(&requests)));
        let credentials = StripeCredentials {
            api_key: "sk_test_1".into(),
            webhook_secrets: Vec::new(),
        };
        let stripe = Stripe::new(base, &credentials).unwrap();
        Self { stripe, requests }
    }

    /// The requests so far: their heads, an empty line, their bodies with what is escaped put right.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Time enough for one retry.
pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(700)
}

async fn respond_to_all(listener: TcpListener, replies: Vec<Reply>, requests: Arc<Mutex<Vec<String>>>) {
    for reply in replies {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read(&mut stream).await;
        requests.lock().unwrap().push(request);
        let (status, header, body) = match reply {
            Reply::Json(status, body) => (status, "", body.to_string()),
            Reply::Header(status, header, body) => (status, header, body.to_string()),
            Reply::Text(status, body) => (status, "", body.to_owned()),
            Reply::Reset => continue,
            Reply::Silence => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    drop(stream);
                });
                continue;
            }
        };
        let header = if header.is_empty() {
            String::new()
        } else {
            format!("{header}\r\n")
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        received.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length || count == 0 {
                return format!("{}\n\n{}", head.replace("\r\n", "\n"), plain(body));
            }
        }
    }
}

fn plain(body: &str) -> String {
    body.replace("%5B", "[").replace("%5D", "]").replace('+', " ")
}
