//! What a scan is asked for.

use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use kalamdb_commons::limits::BATCH_ROWS;
use kalamdb_commons::{Generation, TableType, UserId};

use crate::families::Family;
use crate::meta::prefix_successor;
use crate::{BatchBuilder, ReadView, StoreError, TableLayout};

/// A range of keys, in encoded form, without the table's prefix.
///
/// A bound may consist of the first key columns only; it then stands for all keys that begin with
/// it: `Included` takes all of them in, `Excluded` leaves all of them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// The storage keys of the range under `prefix`: first key included, last key excluded
    /// (`None`: to the end of the family).
    pub(crate) fn storage_bounds(&self, prefix: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        let with_prefix = |key: &Vec<u8>| [prefix, key.as_slice()].concat();
        let lower = match &self.start {
            Bound::Unbounded => prefix.to_vec(),
            Bound::Included(key) => with_prefix(key),
            // No successor: every key that could follow is of the excluded prefix too.
            Bound::Excluded(key) => {
                let key = with_prefix(key);
                prefix_successor(&key).unwrap_or(key)
            }
        };
        let upper = match &self.end {
            Bound::Unbounded => prefix_successor(prefix),
            Bound::Included(key) => prefix_successor(&with_prefix(key)),
            Bound::Excluded(key) => Some(with_prefix(key)),
        };
        (lower, upper)
    }
}

impl Default for KeyRange {
    fn default() -> Self {
        Self::all()
    }
}

/// Says which rows of a batch stay: true stays, false and NULL go.
pub type ScanPredicate = Box<dyn FnMut(&RecordBatch) -> Result<BooleanArray, StoreError> + Send>;

/// A filter evaluated over many rows at a time.
pub struct ScanFilter {
    /// Columns the predicate needs: indices into the wide schema, in the order it sees them.
    pub columns: Vec<usize>,
    /// Sees batches of just these columns.
    pub predicate: ScanPredicate,
}

/// A scan of the hot rows of one table (and of one owner, when it is a USER table).
pub struct ScanSpec {
    /// The version of the table rows are shown as.
    pub layout: Arc<TableLayout>,
    /// Whose rows: `Some` for USER tables, `None` for SHARED ones.
    pub owner: Option<UserId>,
    /// Columns of the batches: indices into the wide schema; empty: batches of row counts only.
    pub projection: Vec<usize>,
    /// Which keys.
    pub ranges: KeyRange,
    /// In descending order of keys.
    pub reverse: bool,
    /// Stop after so many rows (of those that pass the filter).
    pub limit: Option<usize>,
    /// Show tombstones too.
    pub include_deleted: bool,
    /// Most rows of a batch.
    pub batch_rows: usize,
    /// Rows to leave out.
    pub filter: Option<ScanFilter>,
}

impl ScanSpec {
    /// A forward scan of all live rows; change what differs.
    pub fn new(layout: Arc<TableLayout>, owner: Option<UserId>, projection: Vec<usize>) -> Self {
        Self {
            layout,
            owner,
            projection,
            ranges: KeyRange::all(),
            reverse: false,
            limit: None,
            include_deleted: false,
            batch_rows: BATCH_ROWS,
            filter: None,
        }
    }
}

/// A builder of batches for `rows` rows, deleted ones too when they are shown.
pub(super) fn builder_of(
    layout: Arc<TableLayout>,
    projection: &[usize],
    rows: usize,
    include_deleted: bool,
) -> Result<BatchBuilder, StoreError> {
    if include_deleted {
        BatchBuilder::with_deleted_rows(layout, projection, rows)
    } else {
        BatchBuilder::with_row_capacity(layout, projection, rows)
    }
}

/// Refuses to read, at this view, with a layout of another version of the table: the statement
/// was planned before the table was altered or dropped.
pub(super) fn check_version(view: &ReadView, layout: &TableLayout) -> Result<(), StoreError> {
    let versions = &view.store().database().table_versions;
    versions.check_read(layout.definition(), view.commit_seq())
}

/// Refuses to read, at this view, rows of a user dropped before it: they may be half gone.
pub(super) fn check_owner(view: &ReadView, owner: Option<&UserId>) -> Result<(), StoreError> {
    let Some(owner) = owner else { return Ok(()) };
    view.store().database().dropped_owners.check_read(owner, view.commit_seq())
}

/// The family and key prefix of an owner's rows in a table.
pub(crate) fn rows_of(
    layout: &TableLayout,
    generation: Generation,
    owner: Option<&UserId>,
) -> Result<(Family, Vec<u8>), StoreError> {
    let definition = layout.definition();
    let family = match (definition.table_type, owner) {
        (TableType::Shared, None) => Family::SharedTable,
        (TableType::User, Some(_)) => Family::UserTable,
        (TableType::Stream, _) => Family::StreamTable,
        (TableType::Shared, Some(_)) | (TableType::User, None) => {
            return Err(StoreError::InvalidRequest {
                reason: format!(
                    "rows of a {} table need {} owner",
                    definition.table_type.as_str(),
                    if owner.is_some() { "no" } else { "an" }
                ),
            });
        }
    };
    Ok((family, layout.key_prefix(generation, owner)))
}
