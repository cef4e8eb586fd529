//! The settings of a server: those of all, and what makes it quick or safe.

/// Those of every server.
pub(super) const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "timezone=UTC",
    "log_timezone=UTC",
];
/// Durability against a crash isn't worth the time here.
const QUICK: [&str; 4] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=64MB",
];
/// A crash of the server loses nothing that was committed, one of the machine may.
const OUTLIVES_SERVER: [&str; 3] = ["fsync=off", "full_page_writes=off", "shared_buffers=64MB"];
/// For measuring: the server's own defaults, and checkpoints as rare as on a server that is set up for writing.
const DURABLE: [&str; 1] = ["max_wal_size=2GB"];

/// What must happen before something that was committed is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A crash of the server.
    Quick,
    /// A crash of the machine.
    OutlivesServer,
    /// More than that: as deployed.
    Durable,
}

impl Durability {
    /// Beside those of every server.
    pub(super) fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Quick => &QUICK,
            Self::OutlivesServer => &OUTLIVES_SERVER,
            Self::Durable => &DURABLE,
        }
    }
}
