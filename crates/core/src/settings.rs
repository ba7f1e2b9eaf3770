//! What an engine is opened with. Every bound has a default that suits a two-core machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kalamdb_commons::{Clock, SystemClock};

/// Memory that sorts, joins and aggregates may hold before they spill.
const MEMORY_LIMIT_BYTES_DEFAULT: usize = 1 << 30;
/// Disk that spilling statements may use together.
const SPILL_BYTES_MAX_DEFAULT: u64 = 2 << 30;
/// How long a statement may compute; waiting for a slow client does not count.
const STATEMENT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// How long a statement may keep the state it reads, whatever it waits for.
const VIEW_AGE_MAX_DEFAULT: Duration = Duration::from_secs(3600);
/// How long a client may neither take nor send a batch.
const STALL_MAX_DEFAULT: Duration = Duration::from_secs(600);
/// Disk that must be free for rows to be written.
const FREE_SPACE_FLOOR_BYTES_DEFAULT: u64 = 512 << 20;
/// Memory for decompressed storage blocks.
const BLOCK_CACHE_BYTES_DEFAULT: usize = 64 << 20;

/// Settings of an [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The data directory; created when missing.
    pub data_dir: PathBuf,
    /// The password `root` gets at the first start; a random one is written to
    /// `<data-dir>/root-password` when this is `None`.
    pub root_password: Option<String>,
    /// Opens a directory whose newest durable commits are missing.
    pub accept_data_loss: bool,
    /// Threads (and partitions) that run query plans.
    pub execution_threads: usize,
    /// Bytes of memory that sorts, joins and aggregates may hold together before they spill.
    pub memory_limit_bytes: usize,
    /// Bytes of disk that spilling statements may use together.
    pub spill_bytes_max: u64,
    /// How long a statement may compute; `None` is without end.
    pub statement_timeout: Option<Duration>,
    /// How long one state of the tables may be kept readable, by a statement or a ticket.
    pub view_age_max: Duration,
    /// How long a client may neither take a batch of a result nor send one of an ingest.
    pub stall_max: Duration,
    /// Bytes that must be free on the data directory's disk for rows to be written.
    pub free_space_floor_bytes: u64,
    /// Bytes of the storage block cache.
    pub block_cache_bytes: usize,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl EngineSettings {
    /// The defaults, with data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            root_password: None,
            accept_data_loss: false,
            execution_threads: std::thread::available_parallelism().map_or(2, |n| n.get()),
            memory_limit_bytes: MEMORY_LIMIT_BYTES_DEFAULT,
            spill_bytes_max: SPILL_BYTES_MAX_DEFAULT,
            statement_timeout: Some(STATEMENT_TIMEOUT_DEFAULT),
            view_age_max: VIEW_AGE_MAX_DEFAULT,
            stall_max: STALL_MAX_DEFAULT,
            free_space_floor_bytes: FREE_SPACE_FLOOR_BYTES_DEFAULT,
            block_cache_bytes: BLOCK_CACHE_BYTES_DEFAULT,
            clock: Arc::new(SystemClock),
        }
    }
}
