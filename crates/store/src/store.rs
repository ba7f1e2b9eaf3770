//! Opening and closing the hot tier.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kalamdb_commons::{Clock, CommitSeq, SystemClock};
use rocksdb::WriteBatch;

use crate::committer::Committer;
use crate::database::Database;
use crate::families::Family;
use crate::janitor::{Housekeeping, Janitor};
use crate::recovery::{self, Recovered};
use crate::view::ReadView;
use crate::{StoreError, meta};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Come up even when acknowledged commits are missing.
    pub accept_data_loss: bool,
    /// Bytes of uncompressed blocks kept in memory, over all families.
    pub block_cache_bytes: usize,
    /// Bytes of memtables, over all families.
    pub write_buffer_bytes: usize,
    /// Bytes that must be free on the disk for rows to be written; 0 is no bound.
    pub free_space_floor_bytes: u64,
    /// Seconds the change log reaches back, at least.
    pub change_log_retention_seconds: u64,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            accept_data_loss: false,
            block_cache_bytes: 64 << 20,
            write_buffer_bytes: 32 << 20,
            free_space_floor_bytes: 0,
            change_log_retention_seconds: 3600,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The hot tier of one data directory.
pub struct Store {
    /// Ends before the database is closed: declared, and so dropped, first.
    committer: Committer,
    janitor: Janitor,
    database: Arc<Database>,
    database_id: [u8; 16],
    epoch: u64,
    closing: Closing,
}

/// What is left to write when the store closes.
struct Closing {
    directory: std::path::PathBuf,
    done: std::sync::atomic::AtomicBool,
}

impl Store {
    /// Opens, or creates, the store in `directory`.
    ///
    /// Fails with [`StoreError::DataLoss`] when fewer commits are found than were acknowledged as
    /// durable; nothing is changed then. Blocks while the write-ahead log is read.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Arc<Self>, StoreError> {
        let recovered = recovery::recover(directory, &options)?;
        let Recovered { database_id, epoch, last_allocated_seq, seq_block_end, mark_kept, .. } =
            recovered;
        let database = Arc::new(Database::new(recovered, &options));
        database.for_each_with_prefix(
            Family::Meta,
            &meta::all_key_samples_prefix(),
            |key, value| database.key_samples.load(key, value).map(|()| true),
        )?;
        database.for_each_with_prefix(
            Family::Meta,
            &meta::all_generations_prefix(),
            |key, value| database.generations.load(key, value).map(|()| true),
        )?;
        load_streams(&database)?;
        let mut housekeeping = Housekeeping {
            database: Arc::clone(&database),
            directory: directory.to_owned(),
            database_id: hex(&database_id),
            log_retention_seconds: options.change_log_retention_seconds,
            // Never a commit's: the mark is written anew at each start.
            written_high_water: u64::MAX,
            purges: Vec::new(),
            next_purge: 0,
            background_errors: 0,
            written_stream_time_us: database.streams.latest_us(),
        };
        housekeeping.write_high_water()?;
        if !mark_kept {
            remember_mark(&database)?;
        }
        database.free_space.look(directory)?;
        Ok(Arc::new(Self {
            committer: Committer::start(Arc::clone(&database), last_allocated_seq, seq_block_end)?,
            janitor: Janitor::start(housekeeping)?,
            database,
            database_id,
            epoch,
            closing: Closing { directory: directory.to_owned(), done: false.into() },
        }))
    }

    /// A view of everything as of the last commit.
    pub fn view(self: &Arc<Self>) -> Result<Arc<ReadView>, StoreError> {
        ReadView::take(Arc::clone(self))
    }

    /// What takes commits.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }

    /// The identity of this database, made when it was created.
    pub fn database_id(&self) -> [u8; 16] {
        self.database_id
    }

    /// Raised whenever history may have been rewritten: what was handed out before (a resume
    /// token, say) no longer holds.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last commit that a view taken now would see, or a later one.
    pub fn last_commit_seq(&self) -> CommitSeq {
        CommitSeq(self.database.last_commit_seq.load(Ordering::SeqCst))
    }

    /// The last commit known to be on disk.
    pub fn durable_commit_seq(&self) -> CommitSeq {
        CommitSeq(self.database.durable_commit_seq.load(Ordering::SeqCst))
    }

    /// Whether rows can be written at present: for statements that would otherwise find out only
    /// at their end.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] or [`StoreError::DiskAlmostFull`].
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.database.check_fence()?;
        self.database.free_space.check()
    }

    /// Views open now.
    pub fn open_views(&self) -> usize {
        self.database.open_views().0
    }

    /// Gives out `n` row ids that nobody else gets; what is not used stays unused.
    pub fn allocate_row_ids(&self, n: u64) -> Range<u64> {
        let start = self.database.next_row_id.fetch_add(n, Ordering::SeqCst);
        start..start + n
    }

    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Lets queued commits finish, puts everything on disk, and marks the store as closed in
    /// order. Later commits are refused; open views stay readable, and the directory stays
    /// locked until they and the store are dropped.
    pub fn close(&self) {
        if self.closing.done.swap(true, Ordering::SeqCst) {
            return;
        }
        let drained = self.committer.close();
        self.janitor.close();
        if !drained {
            // What is still queued is written, only not marked as the end.
            return;
        }
        if let Err(error) = self.mark_closed() {
            // The next start takes it for a crash, and loses nothing by it.
            tracing::warn!(%error, "the store could not be marked as closed");
        }
    }

    fn mark_closed(&self) -> Result<(), StoreError> {
        // The next start has no log to read then.
        self.database.flush_memtables(true)?;
        let mut batch = WriteBatch::default();
        let family = Family::Meta.handle(self.database.rocksdb())?;
        batch.put_cf(family, meta::CLOSED_CLEANLY, [1]);
        let stream_time_us = self.database.streams.latest_us();
        batch.put_cf(family, meta::STREAM_TIME, stream_time_us.max(0).to_be_bytes());
        let last = self.database.last_commit_seq.load(Ordering::SeqCst);
        self.database.write(batch, true)?;
        self.database.durable_commit_seq.store(last, Ordering::SeqCst);
        let mark =
            crate::high_water::HighWater { database_id: hex(&self.database_id), commit_seq: last };
        mark.write(&self.closing.directory)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("directory", &self.closing.directory)
            .field("last_commit_seq", &self.last_commit_seq().0)
            .finish_non_exhaustive()
    }
}

/// Learns what streams there are, and how late it was when the store was open last.
fn load_streams(database: &Database) -> Result<(), StoreError> {
    let streams = &database.streams;
    if let Some(stored) = database.get(Family::Meta, meta::STREAM_TIME)? {
        let time_us = meta::decode_u64(&stored).and_then(|time_us| i64::try_from(time_us).ok());
        streams.load_time(
            time_us
                .ok_or_else(|| StoreError::corrupt("time of streams", format!("{stored:02x?}")))?,
        );
    }
    let heads = meta::all_stream_heads_prefix();
    database.for_each_with_prefix(Family::Meta, &heads, |key, value| {
        streams.load_head(key, value).map(|()| true)
    })?;
    let pieces = meta::all_stream_pieces_prefix();
    database.for_each_with_prefix(Family::Meta, &pieces, |key, value| {
        streams.load_piece(key, value).map(|()| true)
    })
}

/// Notes that the high-water file is there: from now on its absence is a loss. Not left to the
/// log alone, which is what may be lost.
fn remember_mark(database: &Database) -> Result<(), StoreError> {
    let mut batch = WriteBatch::default();
    batch.put_cf(Family::Meta.handle(database.rocksdb())?, meta::HIGH_WATER_KEPT, [1]);
    database.write(batch, true)?;
    database.flush_memtables(true)?;
    Ok(())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
