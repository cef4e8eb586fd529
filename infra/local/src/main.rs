//! `moneta`: the local cloud's command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    local_cloud::cli::run().await
}
