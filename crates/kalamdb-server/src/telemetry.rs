//! Logs to stderr, and a small HTTP endpoint for metrics and probes.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::connections::ACCEPT_PAUSE;

/// Bytes of a request's head.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests answered at the same time.
const REQUESTS_MAX: usize = 16;
/// How often histograms are drained, so that they do not grow while nobody reads them.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Upper bounds of call durations, in seconds.
const SECONDS_BUCKETS: [f64; 12] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];

/// How the names of distributions of counts end.
const COUNTS_SUFFIX: &str = "_commits";
/// Upper bounds of counts.
const COUNT_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0];

/// Starts logging.
///
/// # Errors
/// When the filter cannot be read.
pub fn start_logging(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("the log filter '{filter}'"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// Starts collecting metrics.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    buckets()?.install_recorder().context("cannot start collecting metrics")
}

fn buckets() -> anyhow::Result<PrometheusBuilder> {
    let counts = Matcher::Suffix(COUNTS_SUFFIX.to_owned());
    PrometheusBuilder::new()
        .set_buckets(&SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(counts, &COUNT_BUCKETS))
        .context("the bounds of the metrics' buckets are not right")
}

/// The endpoint that answers `/metrics`, `/healthz` and `/readyz`.
#[derive(Clone)]
pub struct Probes {
    metrics: PrometheusHandle,
    ready: Arc<AtomicBool>,
}

impl Probes {
    /// Probes of a server that is not ready yet.
    pub fn new(metrics: PrometheusHandle) -> Self {
        Self { metrics, ready: Arc::new(AtomicBool::new(false)) }
    }

    /// Says whether requests are served.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Answers requests until dropped.
    pub async fn serve(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
        let mut upkeep = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            tokio::select! {
                _ = upkeep.tick() => self.metrics.run_upkeep(),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.spawn_answer(stream, peer, &permits),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a metrics connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn spawn_answer(&self, stream: TcpStream, peer: SocketAddr, permits: &Arc<Semaphore>) {
        // Beyond the bound the connection is closed without an answer.
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { return };
        let probes = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let answered = tokio::time::timeout(REQUEST_TIMEOUT, probes.answer(stream)).await;
            if !matches!(answered, Ok(Ok(()))) {
                tracing::debug!(%peer, "a metrics request was not answered");
            }
        });
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::with_capacity(1024);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < REQUEST_BYTES_MAX {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        let (status, body) = self.response(&request_target(&head));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    }

    fn response(&self, target: &str) -> (&'static str, String) {
        match target {
            "/metrics" => ("200 OK", self.metrics.render()),
            "/healthz" => ("200 OK", "ok\n".to_owned()),
            "/readyz" if self.ready.load(Ordering::Relaxed) => ("200 OK", "ready\n".to_owned()),
            "/readyz" => ("503 Service Unavailable", "not ready\n".to_owned()),
            _ => ("404 Not Found", "try /metrics, /healthz or /readyz\n".to_owned()),
        }
    }
}

/// The path of a `GET` request; empty for anything else.
fn request_target(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(target)) => {
            target.split('?').next().unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_buckets_of_their_own() {
        let recorder = buckets().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("kalamdb_commit_group_commits").record(3.0);
            metrics::histogram!("kalamdb_wal_sync_seconds").record(0.003);
        });
        let told = recorder.handle().render();
        for line in [
            "kalamdb_commit_group_commits_bucket{le=\"2\"} 0",
            "kalamdb_commit_group_commits_bucket{le=\"4\"} 1",
            "kalamdb_wal_sync_seconds_bucket{le=\"0.002\"} 0",
            "kalamdb_wal_sync_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("kalamdb_commit_group_commits_bucket{le=\"0.0002\"}"), "{told}");
    }

    async fn get(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_tell_the_state_and_metrics_the_numbers() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let probes = Probes::new(recorder.handle());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(probes.clone().serve(listener));
        metrics::with_local_recorder(&recorder, || metrics::counter!("tests_total").increment(3));

        assert!(get(address, "GET /readyz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 503"));
        probes.set_ready(true);
        assert!(get(address, "GET /readyz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "GET /metrics HTTP/1.1\r\n\r\n").await.contains("tests_total 3"));
        for odd in
            ["POST /metrics HTTP/1.1\r\n\r\n", "GET /etc/passwd HTTP/1.1\r\n\r\n", "\r\n\r\n"]
        {
            assert!(get(address, odd).await.starts_with("HTTP/1.1 404"), "{odd}");
        }
    }
}
