//! The housekeeping thread: high-water mark, free space, removal of dropped tables and of what
//! dropped users had, trimming of the log, eviction from streams.
//!
//! A removal is recorded in `meta` by the commit that asks for it, so that it survives a restart.
//! It runs once no open view is older than the record: first whole files are deleted (which
//! ignores snapshots, hence the waiting), then the range, and with it the record.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use kalamdb_commons::TableId;
use parking_lot::Mutex;
use rocksdb::WriteBatch;

use crate::database::Database;
use crate::families::Family;
use crate::high_water::HighWater;
use crate::purge::Purge;
use crate::{StoreError, change_log, meta};

/// How often the high-water mark may be written and removals are looked at.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);
/// Rounds between two looks at the age of the log.
const ROUNDS_PER_LOG_TRIM: u32 = 30;

/// The thread's handle.
pub(crate) struct Janitor {
    stop: SyncSender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread keeps.
pub(crate) struct Housekeeping {
    pub(crate) database: Arc<Database>,
    pub(crate) directory: PathBuf,
    pub(crate) database_id: String,
    /// Age at which a bucket of the log is removed.
    pub(crate) log_retention_seconds: u64,
    /// The mark that stands in the file.
    pub(crate) written_high_water: u64,
    /// Recorded removals: `meta` key, what, and the RocksDB sequence number that every open view
    /// must have reached.
    pub(crate) purges: Vec<(Vec<u8>, Purge, u64)>,
    /// Number of the next removal recorded here.
    pub(crate) next_purge: u32,
    /// Failed background jobs that were reported.
    pub(crate) background_errors: u64,
    /// The time of streams that stands in `meta`.
    pub(crate) written_stream_time_us: i64,
}

impl Janitor {
    pub(crate) fn start(mut housekeeping: Housekeeping) -> Result<Self, StoreError> {
        let (stop, stopped) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new()
            .name("kalamdb-janitor".to_owned())
            .spawn(move || housekeeping.run(&stopped))
            .map_err(|source| StoreError::Io {
                operation: "start a thread for",
                path: "housekeeping".into(),
                source,
            })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread after its present round.
    pub(crate) fn close(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        // Fails only when the thread has ended already.
        let _ = self.stop.send(());
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the housekeeping thread panicked");
        }
    }
}

impl Housekeeping {
    fn run(&mut self, stopped: &Receiver<()>) {
        let mut round: u32 = 0;
        while stopped.recv_timeout(ROUND_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            round = round.wrapping_add(1);
            let trim_log = round.is_multiple_of(ROUNDS_PER_LOG_TRIM);
            if let Err(error) = self.round(trim_log) {
                // Nothing is lost by trying again in the next round.
                tracing::warn!(%error, "housekeeping");
            }
        }
    }

    /// One round of everything.
    pub(crate) fn round(&mut self, trim_log: bool) -> Result<(), StoreError> {
        self.watch()?;
        self.write_high_water()?;
        self.bound_memtables()?;
        if trim_log {
            self.record_log_trims()?;
        }
        self.record_evictions()?;
        if self.database.purges_waiting.swap(false, Ordering::SeqCst) {
            self.load_purges()?;
        }
        self.run_purges()
    }

    fn watch(&mut self) -> Result<(), StoreError> {
        let (views, oldest) = self.database.open_views();
        metrics::gauge!("kalamdb_open_views").set(views as f64);
        metrics::gauge!("kalamdb_oldest_view_seconds").set(oldest.as_secs_f64());
        if let Err(error) = self.database.free_space.look(&self.directory) {
            tracing::warn!(%error, "nobody knows how full the disk is");
        }
        let errors = self.database.background_errors()?;
        metrics::gauge!("kalamdb_rocksdb_background_errors").set(errors as f64);
        if errors > self.background_errors {
            tracing::error!(errors, "a background job of the database failed, see its LOG file");
            self.background_errors = errors;
        }
        Ok(())
    }

    /// Brings the high-water file up to what is on disk.
    pub(crate) fn write_high_water(&mut self) -> Result<(), StoreError> {
        let commit_seq = self.database.durable_commit_seq.load(Ordering::SeqCst);
        if commit_seq == self.written_high_water {
            return Ok(());
        }
        let mark = HighWater { database_id: self.database_id.clone(), commit_seq };
        mark.write(&self.directory)?;
        self.written_high_water = commit_seq;
        Ok(())
    }

    /// RocksDB looks at its bound for memtables when something is written. One large statement
    /// may go far beyond it, and nothing may be written for a long time after.
    fn bound_memtables(&self) -> Result<(), StoreError> {
        let bytes = self.database.memtable_bytes();
        metrics::gauge!("kalamdb_memtable_bytes").set(bytes as f64);
        if bytes > 2 * self.database.memtable_bytes_max()
            && !self.database.flush_memtables(false)?
        {
            tracing::debug!("writes are held back, the memtables are looked at again later");
        }
        Ok(())
    }

    /// Records the removal of log buckets that are old enough.
    fn record_log_trims(&mut self) -> Result<(), StoreError> {
        let retention_us =
            i64::try_from(self.log_retention_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let keep_from =
            change_log::bucket_of(self.database.clock.now_us().saturating_sub(retention_us));
        let mut table = TableId(0);
        let mut batch = WriteBatch::default();
        let db = self.database.rocksdb();
        let family = Family::Meta.handle(db)?;
        while let Some((logged, bucket)) = self.first_logged(table)? {
            let purge = Purge::LogBuckets { table: logged, keep_from };
            let waiting = self.purges.iter().any(|(_, known, _)| *known == purge);
            if bucket < keep_from && !waiting {
                self.next_purge = self.next_purge.wrapping_add(1);
                let last = self.database.last_commit_seq.load(Ordering::SeqCst);
                // Numbers of the committer's own removals count up from 0.
                let key = meta::purge_key(last, u32::MAX - self.next_purge);
                batch.put_cf(family, key, purge.encode());
                batch.put_cf(family, meta::log_floor_key(logged), keep_from.to_be_bytes());
            }
            let Some(next) = logged.0.checked_add(1) else { break };
            table = TableId(next);
        }
        if !batch.is_empty() {
            self.database.write(batch, false)?;
            self.database.purges_waiting.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Records the removal of what no later view shows of streams, and how late it is: rows that
    /// have expired must not come back when the store is opened with a clock that runs behind.
    fn record_evictions(&mut self) -> Result<(), StoreError> {
        let streams = &self.database.streams;
        if streams.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        let family = Family::Meta.handle(self.database.rocksdb())?;
        let evictions = streams.evictions(&*self.database.clock);
        let waiting = |table| {
            self.purges.iter().any(
                |(_, purge, _)| matches!(purge, Purge::Stream(waiting) if waiting.table == table),
            )
        };
        let due: Vec<_> = evictions.into_iter().filter(|e| !waiting(e.table)).collect();
        for eviction in &due {
            self.next_purge = self.next_purge.wrapping_add(1);
            let last = self.database.last_commit_seq.load(Ordering::SeqCst);
            let key = meta::purge_key(last, u32::MAX - self.next_purge);
            batch.put_cf(family, key, Purge::Stream(*eviction).encode());
        }
        let now_us = streams.latest_us().max(0);
        if now_us == self.written_stream_time_us && due.is_empty() {
            return Ok(());
        }
        batch.put_cf(family, meta::STREAM_TIME, now_us.to_be_bytes());
        // Files go at once, whatever becomes of the log. The rows that pushed these ones out must
        // be on disk before: what is synced takes everything before it along.
        self.database.write(batch, !due.is_empty())?;
        self.written_stream_time_us = now_us;
        if !due.is_empty() {
            self.database.purges_waiting.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// The first table from `table` on that has log entries, and its oldest bucket.
    fn first_logged(&self, table: TableId) -> Result<Option<(TableId, u32)>, StoreError> {
        let found = self.database.key_at_or_after(Family::ChangeLog, &table.0.to_be_bytes())?;
        let Some(key) = found else { return Ok(None) };
        change_log::table_and_bucket(&key).map(Some).ok_or_else(|| {
            StoreError::corrupt("change log key", format!("{key:02x?} is too short"))
        })
    }

    fn load_purges(&mut self) -> Result<(), StoreError> {
        let mut loaded = Vec::new();
        self.database.for_each_with_prefix(
            Family::Meta,
            &meta::purges_prefix(),
            |key, value| {
                let purge = Purge::decode(value).ok_or_else(|| {
                    StoreError::corrupt("recorded removal", format!("{value:02x?}"))
                })?;
                loaded.push((key.to_vec(), purge));
                Ok(true)
            },
        )?;
        // The records were written at or before this number.
        let recorded_by = self.database.rocksdb().latest_sequence_number();
        for (key, purge) in loaded {
            if !self.purges.iter().any(|(known, _, _)| *known == key) {
                self.purges.push((key, purge, recorded_by));
            }
        }
        Ok(())
    }

    fn run_purges(&mut self) -> Result<(), StoreError> {
        if self.purges.is_empty() {
            return Ok(());
        }
        let oldest_view = self.database.oldest_view();
        while let Some(due) = self.purges.iter().position(|(_, _, by)| *by <= oldest_view) {
            let (key, purge, _) = &self.purges[due];
            purge.run(&self.database, key)?;
            match purge {
                // As often as once a second.
                Purge::Stream(_) => tracing::debug!(?purge, "removed"),
                _ => tracing::info!(?purge, "removed"),
            }
            self.purges.remove(due);
        }
        Ok(())
    }
}
