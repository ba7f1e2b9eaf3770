//! The open RocksDB database and what its readers, the committer and the janitor share.

use std::collections::BTreeMap;
#[cfg(test)]
use std::sync::atomic::Ordering;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kalamdb_commons::Clock;
use parking_lot::Mutex;
use rocksdb::{FlushOptions, WriteBatch, WriteBufferManager, WriteOptions, properties};

use crate::dropped_owners::DroppedOwners;
use crate::families::Family;
use crate::free_space::FreeSpace;
use crate::generations::Generations;
use crate::key_samples::KeySamples;
use crate::recovery::Recovered;
use crate::stream::Streams;
use crate::table_versions::TableVersions;
use crate::{StoreError, StoreOptions};

/// One open database. The committer and the janitor write, everybody reads.
pub(crate) struct Database {
    rocksdb: rocksdb::DB,
    write_buffers: WriteBufferManager,
    pub(crate) clock: Arc<dyn Clock>,
    /// Bytes of blocks kept in memory.
    pub(crate) block_cache_bytes: usize,
    /// The last commit that views see.
    pub(crate) last_commit_seq: AtomicU64,
    /// The last commit known to be on disk.
    pub(crate) durable_commit_seq: AtomicU64,
    /// The next `_row_id` to give out.
    pub(crate) next_row_id: AtomicU64,
    pub(crate) key_samples: KeySamples,
    pub(crate) generations: Generations,
    pub(crate) streams: Streams,
    pub(crate) table_versions: TableVersions,
    pub(crate) dropped_owners: DroppedOwners,
    /// Refuses rows when the disk is almost full.
    pub(crate) free_space: FreeSpace,
    /// Set when a removal was recorded that the janitor does not know of yet.
    pub(crate) purges_waiting: AtomicBool,
    /// Open views: a lower bound of their RocksDB sequence number → how many there are, and
    /// since when.
    views: Mutex<BTreeMap<u64, (usize, Instant)>>,
    /// Set once, by the first failed write.
    fence: OnceLock<Arc<str>>,
    #[cfg(test)]
    pub(crate) fail_next_write: AtomicBool,
}

impl Database {
    pub(crate) fn new(recovered: Recovered, options: &StoreOptions) -> Self {
        Self {
            rocksdb: recovered.rocksdb,
            write_buffers: recovered.write_buffers,
            clock: Arc::clone(&options.clock),
            block_cache_bytes: options.block_cache_bytes,
            last_commit_seq: AtomicU64::new(recovered.last_commit_seq),
            durable_commit_seq: AtomicU64::new(recovered.last_commit_seq),
            next_row_id: AtomicU64::new(recovered.next_row_id),
            key_samples: KeySamples::default(),
            generations: Generations::default(),
            streams: Streams::default(),
            table_versions: TableVersions::default(),
            dropped_owners: DroppedOwners::default(),
            free_space: FreeSpace::new(options.free_space_floor_bytes),
            // A store closed or killed earlier may have left some.
            purges_waiting: AtomicBool::new(true),
            views: Mutex::new(BTreeMap::new()),
            fence: OnceLock::new(),
            #[cfg(test)]
            fail_next_write: AtomicBool::new(false),
        }
    }

    pub(crate) fn rocksdb(&self) -> &rocksdb::DB {
        &self.rocksdb
    }

    /// Writes a batch; any error stops all writes until restart, because after a failed write
    /// or sync nobody knows what is on disk.
    pub(crate) fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        self.check_fence()?;
        #[cfg(test)]
        if self.fail_next_write.swap(false, Ordering::SeqCst) {
            return Err(self.set_fence("a test asked for a failure"));
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.rocksdb
            .write_opt(batch, &options)
            .map_err(|error| self.set_fence(&format!("write a commit: {error}")))
    }

    /// Puts everything written so far on disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.check_fence()?;
        self.rocksdb
            .flush_wal(true)
            .map_err(|error| self.set_fence(&format!("sync the write-ahead log: {error}")))
    }

    /// Writes all memtables out; returns at once unless it is to `wait`. False when RocksDB does
    /// not want to be told now because it holds writes back already, to write memtables out.
    pub(crate) fn flush_memtables(&self, wait: bool) -> Result<bool, StoreError> {
        let families = Family::ALL
            .into_iter()
            .map(|family| family.handle(&self.rocksdb))
            .collect::<Result<Vec<_>, _>>()?;
        let mut options = FlushOptions::default();
        options.set_wait(wait);
        match self.rocksdb.flush_cfs_opt(&families, &options) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == rocksdb::ErrorKind::TryAgain => Ok(false),
            Err(error) => Err(StoreError::rocksdb("write the memtables out")(error)),
        }
    }

    /// Background jobs of RocksDB that failed since it was opened.
    pub(crate) fn background_errors(&self) -> Result<u64, StoreError> {
        let errors = self.rocksdb.property_int_value(properties::BACKGROUND_ERRORS);
        Ok(errors.map_err(StoreError::rocksdb("ask for background errors"))?.unwrap_or(0))
    }

    /// Bytes in memtables.
    pub(crate) fn memtable_bytes(&self) -> usize {
        // Not RocksDB's property: it stops counting once a memtable is to be written out.
        self.write_buffers.get_usage()
    }

    /// Bytes of memtables there should be at most.
    pub(crate) fn memtable_bytes_max(&self) -> usize {
        self.write_buffers.get_buffer_size()
    }

    /// Stops all writes, for the first reason given, and returns the error that says so.
    pub(crate) fn set_fence(&self, reason: &str) -> StoreError {
        let reason = Arc::clone(self.fence.get_or_init(|| {
            tracing::error!(reason, "writes are stopped until restart");
            metrics::gauge!("kalamdb_writes_fenced").set(1.0);
            Arc::from(reason)
        }));
        StoreError::Fenced { reason }
    }

    /// The error that says why writes are stopped.
    pub(crate) fn fenced(&self) -> StoreError {
        self.set_fence("a write failed")
    }

    pub(crate) fn check_fence(&self) -> Result<(), StoreError> {
        match self.fence.get() {
            Some(reason) => Err(StoreError::Fenced { reason: Arc::clone(reason) }),
            None => Ok(()),
        }
    }

    /// Reads a key as it is now, outside of any view.
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rocksdb
            .get_cf(family.handle(&self.rocksdb)?, key)
            .map_err(StoreError::rocksdb("read a key"))
    }

    /// The first key of a family that is not before `start`, as it is now.
    pub(crate) fn key_at_or_after(
        &self,
        family: Family,
        start: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut iter = self.rocksdb.raw_iterator_cf(family.handle(&self.rocksdb)?);
        iter.seek(start);
        match iter.key() {
            Some(key) => Ok(Some(key.to_vec())),
            None => iter.status().map(|()| None).map_err(StoreError::rocksdb("look for a key")),
        }
    }

    /// Calls `visit` with every key and value that begins with `prefix`, as they are now, until
    /// it returns false.
    pub(crate) fn for_each_with_prefix(
        &self,
        family: Family,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_lower_bound(prefix);
        if let Some(upper) = crate::meta::prefix_successor(prefix) {
            options.set_iterate_upper_bound(upper);
        }
        let mut iter = self.rocksdb.raw_iterator_cf_opt(family.handle(&self.rocksdb)?, options);
        iter.seek_to_first();
        while let Some((key, value)) = iter.item() {
            if !visit(key, value)? {
                return Ok(());
            }
            iter.next();
        }
        iter.status().map_err(StoreError::rocksdb("read keys"))
    }

    /// Every open view, and every later one, sees what was written up to this RocksDB sequence
    /// number.
    pub(crate) fn oldest_view(&self) -> u64 {
        let views = self.views.lock();
        let oldest = views.first_key_value().map(|(sequence, _)| *sequence);
        oldest.unwrap_or_else(|| self.rocksdb.latest_sequence_number())
    }

    /// How many views are open, and how long the oldest has been.
    pub(crate) fn open_views(&self) -> (usize, Duration) {
        let views = self.views.lock();
        let oldest = views.first_key_value().map(|(_, (_, since))| since.elapsed());
        (views.values().map(|(count, _)| count).sum(), oldest.unwrap_or_default())
    }
}

/// Counts a view among the open ones while it lives.
pub(crate) struct ViewRegistration {
    database: Arc<Database>,
    /// At most the RocksDB sequence number the view sees.
    bound: u64,
}

impl ViewRegistration {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        let mut views = database.views.lock();
        // Read under the lock: `oldest_view` cannot fall between the reading and the entry.
        let bound = database.rocksdb.latest_sequence_number();
        views.entry(bound).or_insert_with(|| (0, Instant::now())).0 += 1;
        drop(views);
        Self { database, bound }
    }
}

impl Drop for ViewRegistration {
    fn drop(&mut self) {
        let mut views = self.database.views.lock();
        if let Some((count, _)) = views.get_mut(&self.bound) {
            *count -= 1;
            if *count == 0 {
                views.remove(&self.bound);
            }
        }
    }
}
