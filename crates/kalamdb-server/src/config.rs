//! What `kalamdb serve` is told, in two layers: settings as somebody wrote them, each of which
//! may be missing, and the configuration the server runs with.
//!
//! Precedence: defaults < `kalamdb.toml` < `KALAMDB_*` environment < flags.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use kalamdb_core::EngineSettings;
use serde::Deserialize;

use crate::connections::ConnectionBounds;

/// The configuration file that is read when it exists and none is named.
const CONFIG_FILE: &str = "kalamdb.toml";
/// The environment variable with the password `root` gets at the first start. There is no flag
/// for it: flags show in process lists.
const ROOT_PASSWORD_VARIABLE: &str = "KALAMDB_ROOT_PASSWORD";
/// Bytes of a root password for a server that others can reach.
const REACHABLE_ROOT_PASSWORD_BYTES_MIN: usize = 8;
/// Bytes of one message a client may send; drivers send an ingest as few large ones.
const MESSAGE_BYTES_DEFAULT: usize = 64 << 20;
/// How long a bearer token holds.
const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(12 * 3600);
/// Connections of all peers.
const CONNECTIONS_MAX_DEFAULT: usize = 4096;
/// Connections from one address.
const CONNECTIONS_PER_PEER_MAX_DEFAULT: usize = 1024;
/// How long a connection may exist before a call arrives on it.
const FIRST_CALL_DEFAULT: Duration = Duration::from_secs(10);
/// How often the peer of a connection is asked whether it still lives.
const KEEPALIVE_DEFAULT: Duration = Duration::from_secs(30);
/// Threads that serve requests; plans run on others.
const RPC_THREADS_DEFAULT: usize = 2;

/// Arguments of `kalamdb serve`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    /// Configuration file [default: kalamdb.toml, where it exists]
    #[arg(long, env = "KALAMDB_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings given on the command line or in the environment.
    #[command(flatten)]
    pub settings: Settings,
}

/// Settings as flags, environment variables, or entries of the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the data lives [default: ./kalamdb-data]
    #[arg(long, env = "KALAMDB_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the Flight SQL endpoint; port 0 takes a free one [default: 127.0.0.1:50051]
    #[arg(long, env = "KALAMDB_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Address of /metrics, /healthz and /readyz [default: 127.0.0.1:9464]
    #[arg(long, env = "KALAMDB_METRICS_LISTEN", value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// Certificate chain (PEM) to serve TLS with
    #[arg(long, env = "KALAMDB_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, env = "KALAMDB_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Certificate authority (PEM) that client certificates must come from
    #[arg(long, env = "KALAMDB_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Bytes of one message a client may send [default: 67108864]
    #[arg(long, env = "KALAMDB_MAX_MESSAGE_BYTES", value_name = "BYTES")]
    pub max_message_bytes: Option<usize>,
    /// Seconds a bearer token holds [default: 43200]
    #[arg(long, env = "KALAMDB_TOKEN_LIFETIME_SECONDS", value_name = "SECONDS")]
    pub token_lifetime_seconds: Option<u64>,
    /// Connections that may be open at the same time [default: 4096]
    #[arg(long, env = "KALAMDB_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Connections from one address (of IPv6: one /64) that may be open [default: 1024]
    #[arg(long, env = "KALAMDB_MAX_CONNECTIONS_PER_PEER", value_name = "N")]
    pub max_connections_per_peer: Option<usize>,
    /// Seconds a connection may be open before a call arrives on it [default: 10]
    #[arg(long, env = "KALAMDB_FIRST_CALL_SECONDS", value_name = "SECONDS")]
    pub first_call_seconds: Option<u64>,
    /// Seconds between two questions to a peer whether it still lives [default: 30]
    #[arg(long, env = "KALAMDB_KEEPALIVE_SECONDS", value_name = "SECONDS")]
    pub keepalive_seconds: Option<u64>,
    /// Threads that serve requests [default: 2]
    #[arg(long, env = "KALAMDB_RPC_THREADS", value_name = "N")]
    pub rpc_threads: Option<usize>,
    /// Threads that run query plans [default: one per core]
    #[arg(long, env = "KALAMDB_EXECUTION_THREADS", value_name = "N")]
    pub execution_threads: Option<usize>,
    /// Bytes of memory that sorts, joins and aggregates may hold before they spill
    #[arg(long, env = "KALAMDB_MEMORY_LIMIT_BYTES", value_name = "BYTES")]
    pub memory_limit_bytes: Option<usize>,
    /// Bytes of disk that spilling statements may use together
    #[arg(long, env = "KALAMDB_SPILL_BYTES_MAX", value_name = "BYTES")]
    pub spill_bytes_max: Option<u64>,
    /// Bytes of the storage block cache
    #[arg(long, env = "KALAMDB_BLOCK_CACHE_BYTES", value_name = "BYTES")]
    pub block_cache_bytes: Option<usize>,
    /// Seconds a statement may compute; 0 is without end
    #[arg(long, env = "KALAMDB_STATEMENT_TIMEOUT_SECONDS", value_name = "SECONDS")]
    pub statement_timeout_seconds: Option<u64>,
    /// Seconds a statement or a ticket may keep the state it reads, whatever it waits for
    /// [default: 3600]
    #[arg(long, env = "KALAMDB_VIEW_AGE_SECONDS", value_name = "SECONDS")]
    pub view_age_seconds: Option<u64>,
    /// Seconds a client may neither take a batch of a result nor send one of an ingest
    /// [default: 600]
    #[arg(long, env = "KALAMDB_STALL_SECONDS", value_name = "SECONDS")]
    pub stall_seconds: Option<u64>,
    /// Bytes that must be free on the disk for rows to be written [default: 536870912]
    #[arg(long, env = "KALAMDB_FREE_SPACE_FLOOR_BYTES", value_name = "BYTES")]
    pub free_space_floor_bytes: Option<u64>,
    /// Opens a data directory whose newest durable commits are missing
    #[arg(
        long,
        env = "KALAMDB_ACCEPT_DATA_LOSS",
        num_args = 0..=1,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub accept_data_loss: Option<bool>,
    /// What to log, as in `info` or `kalamdb_server=debug,warn` [default: info]
    #[arg(long, env = "KALAMDB_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "KALAMDB_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The files that TLS is served with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authority that client certificates must come from, PEM.
    pub client_authority: Option<PathBuf>,
}

/// The configuration a server runs with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address of the Flight SQL endpoint.
    pub listen: SocketAddr,
    /// Address of the metrics endpoint.
    pub metrics_listen: SocketAddr,
    /// TLS, when it is served.
    pub tls: Option<TlsFiles>,
    /// Bytes of one message a client may send.
    pub message_bytes_max: usize,
    /// How long a bearer token holds.
    pub token_lifetime: Duration,
    /// How many connections there may be.
    pub connections: ConnectionBounds,
    /// How often the peer of a connection is asked whether it still lives.
    pub keepalive: Duration,
    /// Threads that serve requests.
    pub rpc_threads: usize,
    /// What to log.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The engine's part.
    pub engine: EngineSettings,
}

impl ServerConfig {
    /// Reads the configuration file and the environment, and checks what came together.
    ///
    /// # Errors
    /// When a file cannot be read, or the settings would make a server that is not safe.
    pub fn resolve(arguments: &ServeArgs) -> anyhow::Result<Self> {
        let from_file = match &arguments.config {
            Some(path) => read_file(path)?,
            None if Path::new(CONFIG_FILE).exists() => read_file(Path::new(CONFIG_FILE))?,
            None => Settings::default(),
        };
        let root_password = match std::env::var(ROOT_PASSWORD_VARIABLE) {
            Ok(password) => Some(password),
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => bail!("{ROOT_PASSWORD_VARIABLE}: {error}"),
        };
        Self::from_settings(arguments.settings.clone().over(from_file), root_password)
    }

    fn from_settings(settings: Settings, root_password: Option<String>) -> anyhow::Result<Self> {
        let engine = engine_settings(&settings, root_password);
        let connections = connection_bounds(&settings);
        let tls = match (settings.tls_cert, settings.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate, key, client_authority: settings.tls_client_ca })
            }
            (None, None) if settings.tls_client_ca.is_none() => None,
            _ => bail!("TLS needs both --tls-cert and --tls-key"),
        };
        let config = Self {
            listen: address("listen", settings.listen, 50051)?,
            metrics_listen: address("metrics_listen", settings.metrics_listen, 9464)?,
            tls,
            message_bytes_max: settings.max_message_bytes.unwrap_or(MESSAGE_BYTES_DEFAULT),
            token_lifetime: settings
                .token_lifetime_seconds
                .map_or(TOKEN_LIFETIME_DEFAULT, Duration::from_secs),
            connections,
            keepalive: settings.keepalive_seconds.map_or(KEEPALIVE_DEFAULT, Duration::from_secs),
            rpc_threads: settings.rpc_threads.unwrap_or(RPC_THREADS_DEFAULT),
            log: settings.log.unwrap_or_else(|| "info".to_owned()),
            log_format: settings.log_format.unwrap_or_default(),
            engine,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let reachable = !self.listen.ip().is_loopback();
        ensure!(
            !reachable || self.tls.is_some(),
            "{} can be reached by others: give --tls-cert and --tls-key, or listen on 127.0.0.1",
            self.listen
        );
        if let Some(password) = &self.engine.root_password {
            ensure!(!password.is_empty(), "{ROOT_PASSWORD_VARIABLE} is empty, give a password");
            ensure!(
                !reachable || password.len() >= REACHABLE_ROOT_PASSWORD_BYTES_MIN,
                "{} can be reached by others: {ROOT_PASSWORD_VARIABLE} needs at least \
                 {REACHABLE_ROOT_PASSWORD_BYTES_MIN} characters",
                self.listen
            );
        }
        ensure!(self.rpc_threads > 0, "rpc_threads must be at least 1");
        ensure!(self.engine.execution_threads > 0, "execution_threads must be at least 1");
        for (name, seconds) in [
            ("first_call_seconds", self.connections.first_call_within),
            ("keepalive_seconds", self.keepalive),
            ("view_age_seconds", self.engine.view_age_max),
            ("stall_seconds", self.engine.stall_max),
        ] {
            ensure!(!seconds.is_zero(), "{name} must be at least 1");
        }
        for (name, count) in [
            ("max_connections", self.connections.total_max),
            ("max_connections_per_peer", self.connections.per_origin_max),
        ] {
            ensure!(count > 0, "{name} must be at least 1");
        }
        Ok(())
    }
}

impl Settings {
    /// These settings; those missing are taken from `lower`.
    fn over(self, lower: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(lower.data_dir),
            listen: self.listen.or(lower.listen),
            metrics_listen: self.metrics_listen.or(lower.metrics_listen),
            tls_cert: self.tls_cert.or(lower.tls_cert),
            tls_key: self.tls_key.or(lower.tls_key),
            tls_client_ca: self.tls_client_ca.or(lower.tls_client_ca),
            max_message_bytes: self.max_message_bytes.or(lower.max_message_bytes),
            token_lifetime_seconds: self.token_lifetime_seconds.or(lower.token_lifetime_seconds),
            max_connections: self.max_connections.or(lower.max_connections),
            max_connections_per_peer: self
                .max_connections_per_peer
                .or(lower.max_connections_per_peer),
            first_call_seconds: self.first_call_seconds.or(lower.first_call_seconds),
            keepalive_seconds: self.keepalive_seconds.or(lower.keepalive_seconds),
            rpc_threads: self.rpc_threads.or(lower.rpc_threads),
            execution_threads: self.execution_threads.or(lower.execution_threads),
            memory_limit_bytes: self.memory_limit_bytes.or(lower.memory_limit_bytes),
            spill_bytes_max: self.spill_bytes_max.or(lower.spill_bytes_max),
            block_cache_bytes: self.block_cache_bytes.or(lower.block_cache_bytes),
            statement_timeout_seconds: self
                .statement_timeout_seconds
                .or(lower.statement_timeout_seconds),
            view_age_seconds: self.view_age_seconds.or(lower.view_age_seconds),
            stall_seconds: self.stall_seconds.or(lower.stall_seconds),
            free_space_floor_bytes: self.free_space_floor_bytes.or(lower.free_space_floor_bytes),
            accept_data_loss: self.accept_data_loss.or(lower.accept_data_loss),
            log: self.log.or(lower.log),
            log_format: self.log_format.or(lower.log_format),
        }
    }
}

/// The engine's part of the settings.
fn engine_settings(settings: &Settings, root_password: Option<String>) -> EngineSettings {
    let data_dir = settings.data_dir.clone().unwrap_or_else(|| PathBuf::from("kalamdb-data"));
    let mut engine = EngineSettings::new(data_dir);
    engine.accept_data_loss = settings.accept_data_loss.unwrap_or_default();
    override_with(&mut engine.execution_threads, settings.execution_threads);
    override_with(&mut engine.memory_limit_bytes, settings.memory_limit_bytes);
    override_with(&mut engine.spill_bytes_max, settings.spill_bytes_max);
    override_with(&mut engine.block_cache_bytes, settings.block_cache_bytes);
    override_with(&mut engine.free_space_floor_bytes, settings.free_space_floor_bytes);
    override_with(&mut engine.view_age_max, settings.view_age_seconds.map(Duration::from_secs));
    override_with(&mut engine.stall_max, settings.stall_seconds.map(Duration::from_secs));
    override_with(
        &mut engine.statement_timeout,
        settings
            .statement_timeout_seconds
            .map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds))),
    );
    engine.root_password = root_password;
    engine
}

fn connection_bounds(settings: &Settings) -> ConnectionBounds {
    ConnectionBounds {
        total_max: settings.max_connections.unwrap_or(CONNECTIONS_MAX_DEFAULT),
        per_origin_max: settings
            .max_connections_per_peer
            .unwrap_or(CONNECTIONS_PER_PEER_MAX_DEFAULT),
        first_call_within: settings
            .first_call_seconds
            .map_or(FIRST_CALL_DEFAULT, Duration::from_secs),
    }
}

fn override_with<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// The address that `given`, a HOST:PORT, means: of several the first of IPv4, which is where
/// clients look first. Without one: `port` on the loopback address.
fn address(setting: &str, given: Option<String>, port: u16) -> anyhow::Result<SocketAddr> {
    let Some(given) = given else {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    };
    let found: Vec<SocketAddr> = given
        .to_socket_addrs()
        .with_context(|| format!("{setting} '{given}' is no HOST:PORT of this machine"))?
        .collect();
    let ipv4 = found.iter().find(|address| address.is_ipv4());
    ipv4.or(found.first())
        .copied()
        .with_context(|| format!("the host of {setting} '{given}' has no address"))
}

fn read_file(path: &Path) -> anyhow::Result<Settings> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("the configuration file {} is not right", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str, root_password: Option<&str>) -> String {
        let password = root_password.map(str::to_owned);
        ServerConfig::from_settings(settings(text), password).unwrap_err().to_string()
    }

    #[test]
    fn nothing_given_is_a_server_on_the_loopback_address() {
        let config = ServerConfig::from_settings(Settings::default(), None).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:9464");
        assert_eq!(config.engine.data_dir, PathBuf::from("kalamdb-data"));
        assert_eq!(config.message_bytes_max, 64 << 20);
        assert_eq!(config.connections.total_max, 4096);
        assert_eq!(config.connections.per_origin_max, 1024);
        assert_eq!(config.connections.first_call_within, Duration::from_secs(10));
        assert_eq!(config.engine.view_age_max, Duration::from_secs(3600));
        assert_eq!(config.engine.stall_max, Duration::from_secs(600));
        assert_eq!(config.engine.free_space_floor_bytes, 512 << 20);
    }

    #[test]
    fn bounds_can_be_set_but_not_to_nothing() {
        let given = "max_connections = 7\nmax_connections_per_peer = 6\nfirst_call_seconds = 5\n\
                     keepalive_seconds = 4\nview_age_seconds = 3\nstall_seconds = 2\n\
                     free_space_floor_bytes = 1";
        let config = ServerConfig::from_settings(settings(given), None).unwrap();
        let bounds = config.connections;
        assert_eq!((bounds.total_max, bounds.per_origin_max), (7, 6));
        assert_eq!(bounds.first_call_within, Duration::from_secs(5));
        assert_eq!(config.keepalive, Duration::from_secs(4));
        assert_eq!(config.engine.view_age_max, Duration::from_secs(3));
        assert_eq!(config.engine.stall_max, Duration::from_secs(2));
        assert_eq!(config.engine.free_space_floor_bytes, 1);
        for name in [
            "max_connections",
            "max_connections_per_peer",
            "first_call_seconds",
            "keepalive_seconds",
            "view_age_seconds",
            "stall_seconds",
        ] {
            assert!(refused(&format!("{name} = 0"), None).contains(name));
        }
    }

    #[test]
    fn flags_stand_over_the_file() {
        let file = settings("listen = '127.0.0.1:1'\nrpc_threads = 3");
        let flags = Settings { listen: Some("127.0.0.1:2".to_owned()), ..Settings::default() };
        let both = flags.over(file);
        assert_eq!(both.listen.as_deref(), Some("127.0.0.1:2"));
        assert_eq!(both.rpc_threads, Some(3));
    }

    #[test]
    fn an_address_may_be_a_name() {
        let config = ServerConfig::from_settings(settings("listen = 'localhost:7'"), None).unwrap();
        assert!(config.listen.ip().is_loopback());
        assert_eq!(config.listen.port(), 7);
        for wrong in ["localhost", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:65536"] {
            let message = refused(&format!("listen = '{wrong}'"), None);
            assert!(message.contains("listen") && message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_an_error() {
        assert!(toml::from_str::<Settings>("lisen = '127.0.0.1:1'").is_err());
    }

    #[test]
    fn what_is_not_safe_is_refused() {
        let tls = "tls_cert = 'c'\ntls_key = 'k'\n";
        assert!(refused("listen = '0.0.0.0:1'", None).contains("--tls-cert"));
        assert!(refused("tls_cert = 'c'", None).contains("both"));
        assert!(refused("", Some("")).contains("empty"));
        let open = format!("{tls}listen = '0.0.0.0:1'");
        assert!(refused(&open, Some("short")).contains("at least 8"));
        assert!(ServerConfig::from_settings(settings(&open), Some("long enough".into())).is_ok());
    }

    #[test]
    fn a_timeout_of_zero_is_no_timeout() {
        let config =
            ServerConfig::from_settings(settings("statement_timeout_seconds = 0"), None).unwrap();
        assert_eq!(config.engine.statement_timeout, None);
    }
}
