//! The ports of a local cloud: a row of fixed ones for a developer, free ones for tests.
//!
//! All of them are taken before anything starts, so that one that is in use is said at once, with all others that are.
//! Kafka's isn't among them: librdkafka's mock cluster always takes a free one.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, anyhow, bail};
use tokio::net::TcpListener;

use crate::options::External;

/// The port after the last one that a row may begin with.
pub(crate) const MAX_BASE: u16 = 65_500;

/// What listens.
#[derive(Clone, Copy)]
enum Service {
    Api,
    Sandboxes,
    Postgres,
    DynamoDb,
    Sqs,
    Smtp,
    RuntimeApi,
    /// The PostgreSQL of a further node of the wallets, from 1 on.
    WalletNode(u16),
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "HTTP API",
            Self::Sandboxes => "sandboxes",
            Self::Postgres => "PostgreSQL",
            Self::DynamoDb => "DynamoDB",
            Self::Sqs => "SQS",
            Self::Smtp => "SMTP",
            Self::RuntimeApi => "Lambda runtime API",
            Self::WalletNode(_) => "PostgreSQL of a node of the wallets",
        }
    }

    /// Its port's place in the row.
    fn place(self) -> u16 {
        match self {
            Self::Api => 0,
            Self::Sandboxes => 1,
            Self::Postgres => 2,
            Self::DynamoDb => 3,
            Self::Sqs => 4,
            Self::Smtp => 5,
            Self::RuntimeApi => 6,
            Self::WalletNode(node) => node.saturating_add(6),
        }
    }

    /// Its port in the row that begins with `base`; any free one without a row.
    fn port(self, base: Option<u16>) -> u16 {
        base.map_or(0, |base| base.saturating_add(self.place()))
    }
}

/// The ports, taken.
pub(crate) struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) sandboxes: TcpListener,
    /// PostgreSQL takes its port by itself: free when it was looked at, or none for a free one.
    pub(crate) postgres: Option<u16>,
    /// The same of the further nodes of the wallets.
    pub(crate) wallet_nodes: Vec<Option<u16>>,
    pub(crate) dynamodb: Option<TcpListener>,
    pub(crate) sqs: Option<TcpListener>,
    pub(crate) smtp: TcpListener,
    pub(crate) runtime: TcpListener,
}

impl Listeners {
    /// Takes the row of ports that begins with `base`, or free ones; what a real service takes the place of needs none. The
    /// wallets are spread over `wallet_nodes` databases.
    pub(crate) async fn bind(
        base: Option<u16>,
        external: &External,
        wallet_nodes: u16,
    ) -> anyhow::Result<Self> {
        if base.is_some_and(|base| base > MAX_BASE) {
            bail!("the ports begin with {MAX_BASE} at most, to leave room for all of them");
        }
        let mut taken = Vec::new();
        let api = bind(Service::Api, base, &mut taken).await?;
        let sandboxes = bind(Service::Sandboxes, base, &mut taken).await?;
        if base.is_some() && external.database_url.is_none() {
            drop(bind(Service::Postgres, base, &mut taken).await?);
        }
        let further: Vec<Service> = (1..wallet_nodes).map(Service::WalletNode).collect();
        if base.is_some() {
            for node in &further {
                drop(bind(*node, base, &mut taken).await?);
            }
        }
        let dynamodb = match &external.dynamodb_endpoint {
            Some(_) => None,
            None => bind(Service::DynamoDb, base, &mut taken).await?,
        };
        let sqs = match &external.sqs_endpoint {
            Some(_) => None,
            None => bind(Service::Sqs, base, &mut taken).await?,
        };
        let smtp = bind(Service::Smtp, base, &mut taken).await?;
        let runtime = bind(Service::RuntimeApi, base, &mut taken).await?;
        let (true, Some(api), Some(sandboxes), Some(smtp), Some(runtime)) =
            (taken.is_empty(), api, sandboxes, smtp, runtime)
        else {
            return Err(explain(&taken));
        };
        Ok(Self {
            api,
            sandboxes,
            postgres: base.map(|_| Service::Postgres.port(base)),
            wallet_nodes: further.iter().map(|node| base.map(|_| node.port(base))).collect(),
            dynamodb,
            sqs,
            smtp,
            runtime,
        })
    }
}

/// Takes a port; one that is in use is put on the list.
async fn bind(
    service: Service,
    base: Option<u16>,
    taken: &mut Vec<(Service, u16)>,
) -> anyhow::Result<Option<TcpListener>> {
    let port = service.port(base);
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            taken.push((service, port));
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("port {port} ({}) can't be used", service.name())),
    }
}

fn explain(taken: &[(Service, u16)]) -> anyhow::Error {
    let ports = taken
        .iter()
        .map(|(service, port)| format!("port {port} ({}) is taken", service.name()))
        .collect::<Vec<_>>()
        .join(", ");
    let first = taken.first().map_or(0, |(_, port)| *port);
    anyhow!(
        "{ports}, perhaps by another local cloud: end what uses it (`ss -ltnp 'sport = :{first}'` shows it), or move \
         all ports with --port, as in `moneta up --port 9500`"
    )
}

/// A free port of the loopback interface.
pub(crate) async fn free() -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of as many free ports in a row as a local cloud needs, but the one that is held.
    async fn row_with_a_held_port(place: u16) -> (u16, TcpListener) {
        for base in (20_000..60_000).step_by(10) {
            let mut row = Vec::new();
            for port in base..base + 9 {
                row.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok());
            }
            if row.iter().all(Option::is_some) {
                let held = row.swap_remove(usize::from(place)).unwrap();
                return (base, held);
            }
        }
        panic!("no nine free ports in a row");
    }

    #[tokio::test]
    async fn ports_that_are_taken_are_named_with_what_to_do() {
        let (base, _held) = row_with_a_held_port(2).await;
        let error = Listeners::bind(Some(base), &External::default(), 1)
            .await
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(
            text.contains(&format!("port {} (PostgreSQL) is taken", base + 2)),
            "{text}"
        );
        assert!(text.contains("--port"), "{text}");
        let external = External {
            database_url: Some("postgres://elsewhere".to_owned()),
            ..External::default()
        };
        let listeners = Listeners::bind(Some(base), &external, 1).await.unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        assert_eq!(port(&listeners.api), base);
        assert_eq!(port(&listeners.runtime), base + 6);
        assert_eq!(listeners.wallet_nodes, []);
        drop(listeners);
        let listeners = Listeners::bind(Some(base), &external, 3).await.unwrap();
        assert_eq!(listeners.wallet_nodes, [Some(base + 7), Some(base + 8)]);
    }

    #[tokio::test]
    async fn a_row_has_room_for_all_ports() {
        let error = Listeners::bind(Some(65_533), &External::default(), 1).await;
        assert!(error.is_err());
    }
}
