//! `kalamdb serve`: opens the engine, listens, and on SIGTERM or SIGINT finishes what runs.

use std::future::IntoFuture;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use arrow_flight::flight_service_server::FlightServiceServer;
use kalamdb_commons::ErrorKind;
use kalamdb_commons::limits::THREAD_STACK_BYTES;
use kalamdb_core::Engine;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::config::{ServeArgs, ServerConfig, TlsFiles};
use crate::connections::{ConnectionBounds, Incoming, Noticed};
use crate::described::{self, Described};
use crate::flight::FlightServer;
use crate::telemetry::{self, Probes};
use crate::{freed_memory, open_files, panics};

/// Calls that one connection may have open; JDBC opens many.
const CONCURRENT_STREAMS_MAX: u32 = 256;
/// How long the answer of a peer may take that is asked whether it still lives.
const KEEPALIVE_TIMEOUT_MAX: Duration = Duration::from_secs(20);
/// When a silent peer is asked below HTTP/2.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// Bytes a client may send ahead on one stream: the next batches of an ingest.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes a client may send ahead on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes of one HTTP/2 frame clients may send.
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// Bytes of one request's headers.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Streams a peer may open and reset before we have looked at them.
const PENDING_RESETS_MAX: usize = 20;
/// Streams we may reset because of a peer's errors before the connection is closed.
const ERROR_RESETS_MAX: usize = 1024;
/// How long a TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long running statements may go on after SIGTERM.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How often the drain looks whether calls are still open.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long connections may take to close once no call is open on them.
const CLOSE_MAX: Duration = Duration::from_millis(500);
/// How long tasks that did not end may keep the process.
const RUNTIME_STOP_MAX: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the configuration is not right, the data directory cannot be opened, or an address is
/// taken.
pub fn run(arguments: &ServeArgs) -> anyhow::Result<()> {
    let config = ServerConfig::resolve(arguments)?;
    telemetry::start_logging(&config.log, config.log_format)?;
    panics::install_hook();
    let probes = Probes::new(telemetry::start_metrics()?);
    let tls = config.tls.as_ref().map(tls_config).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.rpc_threads)
        .thread_name("kalamdb-rpc")
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_all()
        .build()
        .context("cannot start the request threads")?;
    // Before anything is written: a taken address leaves no data directory behind.
    let listeners = runtime.block_on(Listeners::bind(&config))?;
    let engine = open_engine(&config)?;
    if engine.root_password_written() {
        let path = config.engine.data_dir.join("root-password");
        eprintln!("the password of root was written to {}", path.display());
    }
    freed_memory::return_it_forever()?;
    let served = runtime.block_on(serve(Arc::clone(&engine), &config, tls, probes, listeners));
    // Whoever did not finish within the drain is cut off now, before storage closes.
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    engine.close();
    served
}

fn open_engine(config: &ServerConfig) -> anyhow::Result<Arc<Engine>> {
    Engine::open(config.engine.clone()).map_err(|error| {
        let loss = error.kind() == ErrorKind::DataLoss && !config.engine.accept_data_loss;
        let mut context = format!("cannot open {}", config.engine.data_dir.display());
        if loss {
            context.push_str(" (--accept-data-loss opens it with what is left)");
        }
        anyhow::Error::new(error).context(context)
    })
}

/// The two addresses, taken.
struct Listeners {
    flight: TcpListener,
    metrics: TcpListener,
}

impl Listeners {
    async fn bind(config: &ServerConfig) -> anyhow::Result<Self> {
        let flight = bind(config.listen).await?;
        Ok(Self { flight, metrics: bind(config.metrics_listen).await? })
    }
}

async fn serve(
    engine: Arc<Engine>,
    config: &ServerConfig,
    tls: Option<ServerTlsConfig>,
    probes: Probes,
    listeners: Listeners,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let Listeners { flight: listener, metrics: metrics_listener } = listeners;
    let flight_address = listener.local_addr().context("cannot tell the address")?;
    let metrics_address = metrics_listener.local_addr().context("cannot tell the address")?;

    let flight = FlightServer::new(engine, config.token_lifetime)
        .map_err(|status| anyhow::anyhow!("cannot start the service: {}", status.message()))?;
    tokio::spawn(flight.clone().sweep_forever());
    tokio::spawn(probes.clone().serve(metrics_listener));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FlightServiceServer<FlightServer>>().await;
    let service = FlightServiceServer::new(flight.clone())
        .max_decoding_message_size(config.message_bytes_max)
        .max_encoding_message_size(usize::MAX);

    let stop = CancellationToken::new();
    let listener =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    let total_max = open_files::make_room(config.connections.total_max);
    let incoming = Incoming::new(listener, ConnectionBounds { total_max, ..config.connections });
    let routes = Routes::new(Noticed(Described(service)));
    let routes = routes.add_service(Noticed(Described(health_service)));
    let routes = routes.into_axum_router().fallback(described::unknown_service);
    let server = transport(tls, config.keepalive)?
        .add_routes(Routes::from(routes))
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let mut server = pin!(server.into_future());
    probes.set_ready(true);
    println!("ready flight={flight_address} metrics={metrics_address}");

    tokio::select! {
        ended = &mut server => return ended.context("the server stopped"),
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what runs"),
        _ = interrupt.recv() => tracing::info!("SIGINT: finishing what runs"),
    }
    probes.set_ready(false);
    health.set_not_serving::<FlightServiceServer<FlightServer>>().await;
    stop.cancel();
    tokio::select! {
        ended = &mut server => return ended.context("the server stopped"),
        () = drained(&flight) => {}
        () = tokio::time::sleep(DRAIN_MAX) => {
            tracing::warn!("statements still run after {DRAIN_MAX:?}, cutting them off");
            return Ok(());
        }
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    }
    // A client that never said a word would keep its connection open for ever.
    match tokio::time::timeout(CLOSE_MAX, server).await {
        Ok(ended) => ended.context("the server stopped"),
        Err(_) => Ok(()),
    }
}

/// Waits until no call is open.
async fn drained(flight: &FlightServer) {
    while flight.open_calls() > 0 {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

fn transport(tls: Option<ServerTlsConfig>, keepalive: Duration) -> anyhow::Result<Server> {
    let server = Server::builder()
        .max_concurrent_streams(CONCURRENT_STREAMS_MAX)
        .http2_keepalive_interval(Some(keepalive))
        .http2_keepalive_timeout(Some(keepalive.min(KEEPALIVE_TIMEOUT_MAX)))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(ERROR_RESETS_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX);
    match tls {
        Some(tls) => server.tls_config(tls).context("the TLS certificate or key does not work"),
        None => Ok(server),
    }
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn tls_config(files: &TlsFiles) -> anyhow::Result<ServerTlsConfig> {
    ensure_private(&files.key)?;
    let identity = Identity::from_pem(read(&files.certificate)?, read(&files.key)?);
    let config = ServerTlsConfig::new().identity(identity).timeout(TLS_TIMEOUT);
    Ok(match &files.client_authority {
        Some(path) => config.client_ca_root(Certificate::from_pem(read(path)?)),
        None => config,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A key that everybody on the machine can read is no secret.
fn ensure_private(key: &Path) -> anyhow::Result<()> {
    let mode =
        std::fs::metadata(key).with_context(|| format!("cannot read {}", key.display()))?.mode();
    ensure!(
        mode & 0o004 == 0,
        "everybody can read the private key {}, run chmod 600 on it",
        key.display()
    );
    Ok(())
}
