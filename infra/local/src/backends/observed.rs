//! A listener in front of another one, which says whenever something was answered: whoever waits for a change looks then,
//! instead of again and again.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BUFFER: usize = 16 * 1024;

/// Passes connections on to `server` for as long as it is polled, and marks `answered` as changed with each answer.
pub(super) async fn pass_on(listener: TcpListener, server: SocketAddr, answered: watch::Sender<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connect(client, server, answered.clone()));
                }
                Err(error) => tracing::warn!("accepting a connection failed: {error}"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection that breaks off on either side ends on the other; whoever used it sees that.
async fn connect(client: TcpStream, server: SocketAddr, answered: watch::Sender<()>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let answers = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length) = from_server.read(&mut buffer).await {
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            // First: what is to be seen is there before its writer knows.
            answered.send_replace(());
            if to_client.write_all(bytes).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(requests, answers);
}
