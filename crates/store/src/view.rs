//! Views: one RocksDB snapshot for everything a statement reads, and the iterators over it.
//!
//! The only `unsafe` of the crate stands here: RocksDB's snapshots and iterators borrow the
//! database, and statements need them to live in plans and streams. Each is kept beside a
//! reference count of what it borrows and is dropped before it.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kalamdb_commons::{CommitSeq, Generation, TableId, UserId};
use rocksdb::{DBRawIterator, ReadOptions, Snapshot};

use crate::counters::CounterDelta;
use crate::database::{Database, ViewRegistration};
use crate::families::Family;
use crate::{Store, StoreError, TableCounts, meta};

/// A snapshot that keeps its database open.
struct OwnedSnapshot {
    /// Borrows `*database`; dropped by hand before `database` is.
    snapshot: ManuallyDrop<Snapshot<'static>>,
    database: Arc<Database>,
}

impl OwnedSnapshot {
    fn take(database: Arc<Database>) -> Self {
        let snapshot = database.rocksdb().snapshot();
        // SAFETY: only the lifetime changes. The snapshot borrows the `DB` inside the `Arc`'s
        // allocation, which does not move and is not freed while `self.database` counts it;
        // `Drop` releases the snapshot first, and it is never moved out of `self`.
        let snapshot = unsafe { std::mem::transmute::<Snapshot<'_>, Snapshot<'static>>(snapshot) };
        Self { snapshot: ManuallyDrop::new(snapshot), database }
    }
}

impl Drop for OwnedSnapshot {
    fn drop(&mut self) {
        // SAFETY: this is the only place that drops it, and it runs once, while `self.database`
        // is still alive.
        unsafe { ManuallyDrop::drop(&mut self.snapshot) }
    }
}

/// Everything as of one commit: all tables, counters and catalog entities.
///
/// Cheap to take; while it lives RocksDB keeps what it can see, so do not hold one for long.
pub struct ReadView {
    snapshot: OwnedSnapshot,
    /// Released after the snapshot: declared, and so dropped, after it.
    _registration: ViewRegistration,
    commit_seq: CommitSeq,
    now_us: i64,
    taken_at: Instant,
    store: Arc<Store>,
}

impl ReadView {
    pub(crate) fn take(store: Arc<Store>) -> Result<Arc<Self>, StoreError> {
        let database = Arc::clone(store.database());
        // Registered first, with a lower bound of what the snapshot will see: whoever asks for
        // the oldest view in between gets an answer that is old enough.
        let registration = ViewRegistration::new(Arc::clone(&database));
        // Read after the registration: a view that is not older than the record of an eviction is
        // not earlier than its time either.
        let now_us = database.streams.now_us(&*database.clock);
        let snapshot = OwnedSnapshot::take(database);
        let mut view = Self {
            snapshot,
            _registration: registration,
            commit_seq: CommitSeq(0),
            now_us,
            taken_at: Instant::now(),
            store,
        };
        view.commit_seq = CommitSeq(view.read_u64(meta::LAST_COMMIT_SEQ)?.unwrap_or(0));
        Ok(Arc::new(view))
    }

    /// The last commit this view sees.
    pub fn commit_seq(&self) -> CommitSeq {
        self.commit_seq
    }

    /// The time at which it decides what has expired, µs since the Unix epoch. Later views never
    /// have an earlier one, whatever the clock does.
    pub fn now_us(&self) -> i64 {
        self.now_us
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.taken_at.elapsed()
    }

    /// The store it is a view of.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The generation the table's rows stand in as of this view, and new ones are put into.
    pub fn generation(&self, table: TableId) -> Generation {
        self.store.database().generations.at(table, self.commit_seq)
    }

    /// What stands in a table, or, with `owner`, in that owner's part of a USER table.
    pub fn table_counts(
        &self,
        table: TableId,
        owner: Option<&UserId>,
    ) -> Result<TableCounts, StoreError> {
        let value = self.get(Family::Meta, &meta::counters_key(table, owner))?;
        Ok(CounterDelta::decode_stored(value.as_deref())?.counts())
    }

    /// A value the layers above keep by name, see [`crate::CatalogOp::put_meta`].
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get(Family::Meta, &meta::named_key(name))?.map(|value| value.to_vec()))
    }

    fn read_u64(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(value) = self.get(Family::Meta, key)? else { return Ok(None) };
        let number = meta::decode_u64(&value).ok_or_else(|| StoreError::Corrupt {
            what: "meta value",
            detail: format!("key {key:02x?} has {} bytes, not 8", value.len()),
        })?;
        Ok(Some(number))
    }

    pub(crate) fn get(
        &self,
        family: Family,
        key: &[u8],
    ) -> Result<Option<rocksdb::DBPinnableSlice<'_>>, StoreError> {
        let db = self.rocksdb();
        db.get_pinned_cf_opt(family.handle(db)?, key, &self.read_options())
            .map_err(StoreError::rocksdb("read a key"))
    }

    pub(crate) fn rocksdb(&self) -> &rocksdb::DB {
        self.snapshot.database.rocksdb()
    }

    /// Options that read through this view's snapshot. Not to be used after the view is gone.
    pub(crate) fn read_options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&*self.snapshot.snapshot);
        options
    }
}

impl std::fmt::Debug for ReadView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadView").field("commit_seq", &self.commit_seq.0).finish_non_exhaustive()
    }
}

/// A key and its value, as RocksDB holds them.
pub(crate) type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// An iterator that keeps its view, and so its snapshot and database, alive.
pub(crate) struct OwnedIter {
    /// Borrows the database of `_view`; declared, and so dropped, before it.
    iter: DBRawIterator<'static>,
    _view: Arc<ReadView>,
}

impl OwnedIter {
    /// An iterator over the keys in `lower..upper` of `family`, not positioned yet. Whether the
    /// blocks it reads stay in memory is for the caller to say.
    pub(crate) fn new(
        view: Arc<ReadView>,
        family: Family,
        lower: Vec<u8>,
        upper: Option<Vec<u8>>,
        fill_cache: bool,
    ) -> Result<Self, StoreError> {
        let mut options = view.read_options();
        options.fill_cache(fill_cache);
        options.set_iterate_lower_bound(lower);
        if let Some(upper) = upper {
            options.set_iterate_upper_bound(upper);
        }
        let db = view.rocksdb();
        let iter = db.raw_iterator_cf_opt(family.handle(db)?, options);
        // SAFETY: only the lifetime changes. The iterator borrows the `DB` that `view` keeps
        // open through its snapshot's `Arc`, and reads through that snapshot. Fields drop in
        // order of declaration, so the iterator goes before both.
        let iter =
            unsafe { std::mem::transmute::<DBRawIterator<'_>, DBRawIterator<'static>>(iter) };
        Ok(Self { iter, _view: view })
    }

    pub(crate) fn seek_to_first(&mut self) {
        self.iter.seek_to_first();
    }

    pub(crate) fn seek_to_last(&mut self) {
        self.iter.seek_to_last();
    }

    pub(crate) fn next(&mut self) {
        self.iter.next();
    }

    pub(crate) fn prev(&mut self) {
        self.iter.prev();
    }

    /// The key and value it stands at; `None` past the end. An iterator that stopped because
    /// of an error looks like one at the end: this tells them apart.
    pub(crate) fn item(&self) -> Result<Option<KeyValue<'_>>, StoreError> {
        match self.iter.item() {
            Some(item) => Ok(Some(item)),
            None => {
                self.iter.status().map_err(StoreError::rocksdb("read rows"))?;
                Ok(None)
            }
        }
    }
}

/// The stored value of a row, pinned in RocksDB's memory while it lives.
pub struct StoredRow<'v>(pub(crate) rocksdb::DBPinnableSlice<'v>);

impl Deref for StoredRow<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
