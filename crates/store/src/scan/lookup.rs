//! Reading rows by their complete keys.

use std::sync::Arc;

use arrow::array::RecordBatch;
use kalamdb_commons::TableType;

use super::{StoredRow, builder_of, check_owner, check_version};
use crate::families::Family;
use crate::view::OwnedIter;
use crate::{ByteRows, ReadView, StoreError, TableLayout, row_format};

/// Keys given to RocksDB in one call.
const MULTI_GET_KEYS_MAX: usize = 1024;
/// From so many keys on it pays to look first whether anything lies in their range at all.
const RANGE_PROBE_KEYS_MIN: usize = 16;

/// The stored values of complete storage keys, `None` where there is none; tombstones are values.
///
/// Also the key check of inserts: when nothing lies between the least and the greatest key, as
/// with appended or first rows, that costs one seek for all keys together.
///
/// # Errors
/// [`StoreError::Conflict`] when the table was altered or dropped since the layout was made: plan
/// again. [`StoreError::OwnerDropped`].
pub fn lookup_keys<'v>(
    view: &'v Arc<ReadView>,
    layout: &TableLayout,
    keys: &ByteRows,
) -> Result<Vec<Option<StoredRow<'v>>>, StoreError> {
    check_version(view, layout)?;
    check_owner_of_keys(view, layout, keys)?;
    if layout.definition().stream_options().is_some() {
        return Err(StoreError::invalid("rows of a stream are not looked up by their keys"));
    }
    let family = family_of(layout);
    if keys.len() >= RANGE_PROBE_KEYS_MIN && range_is_empty(view, family, keys)? {
        return Ok(std::iter::repeat_with(|| None).take(keys.len()).collect());
    }
    let db = view.rocksdb();
    let handle = family.handle(db)?;
    let options = view.read_options();
    let mut found = Vec::with_capacity(keys.len());
    let mut start = 0;
    while start < keys.len() {
        let end = (start + MULTI_GET_KEYS_MAX).min(keys.len());
        let chunk = (start..end).map(|index| keys.get(index));
        for value in db.batched_multi_get_cf_opt(handle, chunk, false, &options) {
            let value = value.map_err(StoreError::rocksdb("read rows by key"))?;
            found.push(value.map(StoredRow));
        }
        start = end;
    }
    Ok(found)
}

/// As [`check_owner`], of the one owner the keys of a statement have.
fn check_owner_of_keys(
    view: &ReadView,
    layout: &TableLayout,
    keys: &ByteRows,
) -> Result<(), StoreError> {
    let nobody = view.store().database().dropped_owners.is_empty();
    match keys.iter().next() {
        Some(key) if !nobody => check_owner(view, layout.owner(key)?.as_ref()),
        _ => Ok(()),
    }
}

fn range_is_empty(
    view: &Arc<ReadView>,
    family: Family,
    keys: &ByteRows,
) -> Result<bool, StoreError> {
    let (Some(min), Some(max)) = (keys.iter().min(), keys.iter().max()) else { return Ok(true) };
    // The least key after the greatest one.
    let upper = [max, &[0]].concat();
    let mut iter = OwnedIter::new(Arc::clone(view), family, min.to_vec(), Some(upper), true)?;
    iter.seek_to_first();
    Ok(iter.item()?.is_none())
}

/// The rows of complete storage keys as one batch, in the order of the keys; keys without a row
/// are left out, tombstones too unless they are asked for.
pub fn get_rows(
    view: &Arc<ReadView>,
    layout: &Arc<TableLayout>,
    keys: &ByteRows,
    projection: &[usize],
    include_deleted: bool,
) -> Result<RecordBatch, StoreError> {
    let layout_of_rows = Arc::clone(layout);
    let mut builder = builder_of(layout_of_rows, projection, keys.len(), include_deleted)?;
    let rows = lookup_keys(view, layout, keys)?;
    for (key, row) in keys.iter().zip(rows) {
        let Some(row) = row.filter(|row| include_deleted || !row_format::is_deleted(row)) else {
            continue;
        };
        builder.append(layout.prefix_len(key)?, key, &row)?;
    }
    builder.finish()
}

/// The family of a table's rows.
pub(super) fn family_of(layout: &TableLayout) -> Family {
    match layout.definition().table_type {
        TableType::Shared => Family::SharedTable,
        TableType::User => Family::UserTable,
        TableType::Stream => Family::StreamTable,
    }
}
