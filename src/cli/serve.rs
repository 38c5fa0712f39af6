//! `florin serve`: the daemon.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::config::Config;
use super::gauges::EngineGauges;
use super::{Failure, ServeArgs};
use crate::api::{self, ApiState, keys::Keys, limits::Limiter};
use crate::engine::boot::{Engine, EngineOptions, Founding, Snapshots};
use crate::engine::snapshot::Guard;
use crate::engine::vault::Root;
use crate::simulation::progress;
use crate::web;

/// Serves until it is told to stop.
///
/// # Errors
/// A configuration that cannot be, a damaged journal, or an address in use.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = Config::resolve(args)?;
    log_to_stderr();
    in_cell(serve(config))
}

/// Runs a future on a cell: routers, account actors and connections on this thread.
pub fn in_cell<F: std::future::Future>(work: F) -> F::Output {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|error| {
            tracing::error!(%error, "no runtime");
            std::process::exit(1)
        })
    };
    actix::System::with_tokio_rt(runtime).block_on(work)
}

/// Logs to standard error; FLORIN_LOG sets the filter.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("FLORIN_LOG").unwrap_or_else(|_| EnvFilter::new("warn,florin=info"));
    let stderr = std::io::stderr();
    let ansi = stderr.is_terminal();
    // A second call (tests that start several) finds one there already.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).try_init();
}

async fn serve(config: Config) -> Result<(), Failure> {
    raise_file_limit();
    let listener = listen(config.listen)
        .map_err(|error| Failure::failed(format!("cannot listen on {}: {error}", config.listen)))?;
    let address = listener.local_addr()?;
    let bar = progress::bar("recovering", None, true);
    let options = EngineOptions {
        platforms: vec![Founding { country: config.country, currency: config.currency, clock: None }],
        tables: config.tables.clone(),
        rates: Arc::clone(&config.rates),
        cells: config.cells,
        realtime: config.realtime,
        snapshots: snapshots(config.snapshot_seconds)?,
        ..EngineOptions::new(&config.data)
    };
    let engine = Engine::start(options, &|entries| bar.set_position(entries))
        .await
        .map_err(|error| Failure::damaged(error.to_string()))?;
    bar.finish_and_clear();
    let secret = config.test_key.clone().unwrap_or_else(|| format!("sk_test_{}", derived(engine.root(), "secret key")));
    let publishable = format!("pk_test_{}", derived(engine.root(), "publishable key"));
    let mut keys = Keys::serving_at(&config.public_url(address));
    for (index, platform) in engine.platforms().iter().enumerate() {
        let tenant = keys.tenant(platform.clone());
        keys.load(&tenant).await;
        if index == 0 {
            for key in [&secret, &publishable] {
                keys.grant(key, &tenant).map_err(|error| Failure::usage(error.to_string()))?;
            }
            for (key, permissions) in &config.keys {
                let granted = keys.grant_with(key, &tenant, permissions.clone());
                granted.map_err(|error| Failure::usage(error.to_string()))?;
            }
        }
    }
    greet(address, &secret, &publishable, &config)?;
    let state = ApiState { limiter: config.limits.map(Limiter::new), ..ApiState::new(keys) };
    state.metrics.registry().register_collector(Box::new(EngineGauges::of(&engine)));
    let state = Arc::new(state);
    let router = api::router(Arc::clone(&state)).merge(web::router(state));
    api::server::serve(listener, router, stop_signal()).await;
    engine.stop().await;
    Ok(())
}

/// Connections that wait to be accepted: more come at once than are let in between two turns of the cell, and who does
/// not fit tries again only after a second.
const WAITING_CONNECTIONS: u32 = 4_096;

fn listen(address: std::net::SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // A restart takes the address over from connections that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_CONNECTIONS)
}

/// Asks for as many open files as the system allows: a shell grants 1,024, and every connection is one.
#[allow(unsafe_code)]
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a limit of this stack frame, the second one only reads it.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if !raised {
        tracing::warn!("the limit of open files stays as it is (ulimit -n)");
    }
}

/// How snapshots are written; a child that opens one gets two minutes.
fn snapshots(seconds: u64) -> Result<Option<Snapshots>, Failure> {
    if seconds == 0 {
        return Ok(None);
    }
    let guard = Guard::this_binary(Duration::from_secs(120))?;
    Ok(Some(Snapshots { every: Duration::from_secs(seconds), guard }))
}

/// The text of a key that derives from the root secret: the same at every start, and nowhere stored.
fn derived(root: &Root, purpose: &str) -> String {
    root.derive(purpose, 1).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Resolves at the first Ctrl-C or TERM; the second ends the process at once.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    tracing::info!("draining: connections get 10 seconds; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
}

fn greet(address: std::net::SocketAddr, secret: &str, publishable: &str, config: &Config) -> Result<(), Failure> {
    let data = std::fs::canonicalize(&config.data).unwrap_or_else(|_| config.data.clone());
    let mut out = std::io::stdout().lock();
    writeln!(out, "Florin {} listens on http://{address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  secret key       {secret}")?;
    writeln!(out, "  publishable key  {publishable}")?;
    writeln!(out, "  data             {}", data.display())?;
    writeln!(out, "  try              curl http://{address}/v1/balance -u {secret}:")?;
    out.flush()?;
    Ok(())
}
