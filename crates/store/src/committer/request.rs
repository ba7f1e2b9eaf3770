//! What a statement hands to the committer, and what it gets back.

use std::sync::Arc;

use kalamdb_commons::{CommitSeq, TableDefinition, TableId, UserId};

use crate::families::{Family, SystemFamily};
use crate::{ByteRows, StoreError, TableLayout, meta};

/// What a set of changes does to its rows, as the change log will say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeOp {
    /// New keys, or keys that held a tombstone.
    Insert,
    /// New values of live rows.
    Update,
    /// Live rows become tombstones, or go at once.
    Delete,
    /// All rows of a table go; only the change log says so.
    Truncate,
}

/// Changes of one kind to rows of one table (and of one owner, when it is a USER table).
///
/// No key may stand twice in one request.
pub struct RowChanges {
    /// The version of the table the rows were encoded with.
    pub layout: Arc<TableLayout>,
    /// Whose rows: `Some` for USER tables, `None` for SHARED ones.
    pub owner: Option<UserId>,
    /// What happens to the rows.
    pub op: ChangeOp,
    /// Complete storage keys.
    pub keys: ByteRows,
    /// The new values, one per key; the committer patches commit seq and time into them. For
    /// [`ChangeOp::Delete`]: the tombstone images, or no rows at all: the keys go at once.
    pub rows: ByteRows,
    /// The images the keys have now: one per key, an empty string where there is none. No rows at
    /// all means that no key has one. Needed for updates, deletes, inserts over tombstones.
    pub old: ByteRows,
}

impl RowChanges {
    /// The old image of the row at `index`.
    pub(crate) fn old_image(&self, index: usize) -> Option<&[u8]> {
        if self.old.is_empty() {
            return None;
        }
        Some(self.old.get(index)).filter(|image| !image.is_empty())
    }

    /// The table the rows belong to.
    pub(crate) fn table(&self) -> TableId {
        self.layout.definition().id
    }

    /// Encoded bytes of keys, new values and old images.
    pub(crate) fn byte_len(&self) -> usize {
        self.keys.byte_len() + self.rows.byte_len() + self.old.byte_len()
    }
}

/// A write to a catalog entity or a named `meta` value, part of a commit.
#[derive(Debug, Clone)]
pub struct CatalogOp {
    pub(crate) family: Family,
    pub(crate) key: Vec<u8>,
    /// `None` deletes the key.
    pub(crate) value: Option<Vec<u8>>,
}

impl CatalogOp {
    /// Writes a named value of `meta`, read back with [`crate::ReadView::meta`]. For what the
    /// layers above count or remember (the next table id, say).
    pub fn put_meta(name: &str, value: &[u8]) -> Self {
        Self { family: Family::Meta, key: meta::named_key(name), value: Some(value.to_vec()) }
    }

    /// Removes a named value of `meta`.
    pub fn delete_meta(name: &str) -> Self {
        Self { family: Family::Meta, key: meta::named_key(name), value: None }
    }

    pub(crate) fn entity(family: SystemFamily, key: Vec<u8>, value: Option<Vec<u8>>) -> Self {
        Self { family: family.family(), key, value }
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// One statement's changes: all of them become visible and durable together, or none does.
#[derive(Default)]
pub struct CommitRequest {
    /// The commit seq of the view the statement read.
    pub read_seq: CommitSeq,
    /// Changes to rows.
    pub changes: Vec<RowChanges>,
    /// Changes to the catalog.
    pub catalog: Vec<CatalogOp>,
    /// Tables that have a new schema version from this commit on; `None`: dropped, its rows are
    /// removed once no view is older.
    pub tables_changed: Vec<(TableId, Option<u32>)>,
    /// Tables whose rows must be those of the view: the statement relies on all of them, as does
    /// a column that becomes NOT NULL. Written since `read_seq`, they are a conflict.
    pub tables_as_read: Vec<Arc<TableDefinition>>,
    /// SHARED tables emptied by this commit: a new generation begins, what stands in the one before
    /// is removed once no view is older. Rows written since `read_seq` go too.
    pub tables_truncated: Vec<Arc<TableDefinition>>,
    /// Users dropped by this commit: from it on nothing of theirs is written, and what they have
    /// in USER tables is removed once no view is older. Their ids must not be used again.
    pub owners_dropped: Vec<UserId>,
}

impl CommitRequest {
    /// Encoded bytes the request carries; what bounds statements and groups.
    pub fn byte_len(&self) -> usize {
        self.changes.iter().map(RowChanges::byte_len).sum::<usize>()
            + self.catalog.iter().map(CatalogOp::byte_len).sum::<usize>()
    }
}

/// What a commit became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitReceipt {
    /// Its position in the order of all commits.
    pub commit_seq: CommitSeq,
    /// The `_updated` of its rows, µs since the Unix epoch.
    pub updated_us: i64,
    /// True when it is on disk; false when a table's `interval` lets the sync come later.
    pub durable: bool,
}

/// Called once, from the committer's thread, with the outcome: it must not block.
pub type CommitReply = Box<dyn FnOnce(Result<CommitReceipt, StoreError>) + Send>;

/// A request that was not queued, given back whole so that it can be tried again.
pub struct RejectedCommit {
    /// Why: the queue is full, or writes are stopped.
    pub error: StoreError,
    /// The request.
    pub request: CommitRequest,
    /// The reply, not called.
    pub reply: CommitReply,
}
