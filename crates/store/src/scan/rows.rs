//! The rows of a key range, one after the other.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ScanSpec;
use crate::view::OwnedIter;
use crate::{BatchBuilder, StoreError, create_batch_trusted, row_format, stream};

/// Bytes of keys and values after which a batch is closed, however few rows it has.
pub(super) const BATCH_BYTES_MAX: usize = 16 << 20;
/// Rows looked at before a batch is handed out, be it an empty one: whoever drives the scan
/// must get the chance to stop it.
pub(super) const ROWS_PER_CALL_MAX: usize = 1 << 19;

/// The rows of the key range, in the direction of the scan.
pub(super) struct Rows {
    iter: OwnedIter,
    started: bool,
    pub(super) ended: bool,
    reverse: bool,
    include_deleted: bool,
    pub(super) prefix_len: usize,
    /// Rows of a stream before this one are not shown; 0 where that has been seen to.
    first_row_id: u64,
}

impl Rows {
    /// The rows under `iter` that `spec` asks for; none at all when the range is `empty`.
    pub(super) fn new(
        iter: OwnedIter,
        spec: &ScanSpec,
        prefix_len: usize,
        first_row_id: u64,
        empty: bool,
    ) -> Self {
        Self {
            iter,
            started: false,
            ended: empty,
            reverse: spec.reverse,
            include_deleted: spec.include_deleted,
            prefix_len,
            first_row_id,
        }
    }

    /// The next rows, from the iterator into the builders.
    pub(super) fn fill(
        &mut self,
        builder: &mut BatchBuilder,
        rows: usize,
    ) -> Result<RecordBatch, StoreError> {
        let prefix_len = self.prefix_len;
        let (mut bytes, mut seen) = (0, 0);
        while builder.len() < rows
            && bytes < BATCH_BYTES_MAX
            // What rows of older versions are filled with does not stand in them.
            && builder.byte_len() < BATCH_BYTES_MAX
            && seen < ROWS_PER_CALL_MAX
        {
            let read = self.read(|key, value| {
                bytes += key.len() + value.len();
                builder.append(prefix_len, key, value)
            })?;
            if !read {
                break;
            }
            seen += 1;
        }
        builder.finish()
    }

    /// The number of the next rows.
    pub(super) fn count(
        &mut self,
        schema: &SchemaRef,
        rows: usize,
    ) -> Result<RecordBatch, StoreError> {
        let (mut counted, mut seen) = (0, 0);
        while counted < rows && seen < ROWS_PER_CALL_MAX {
            let read = self.read(|_, _| {
                counted += 1;
                Ok(())
            })?;
            if !read {
                break;
            }
            seen += 1;
        }
        create_batch_trusted(Arc::clone(schema), Vec::new(), counted)
    }

    /// Moves to the next row and gives it to `take` unless it is a tombstone nobody asked for;
    /// false at the end.
    pub(super) fn read(
        &mut self,
        take: impl FnOnce(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        if self.ended {
            return Ok(false);
        }
        match (self.started, self.reverse) {
            (false, false) => self.iter.seek_to_first(),
            (false, true) => self.iter.seek_to_last(),
            (true, false) => self.iter.next(),
            (true, true) => self.iter.prev(),
        }
        self.started = true;
        let Some((key, value)) = self.iter.item()? else {
            self.ended = true;
            return Ok(false);
        };
        if self.first_row_id > 0 {
            if stream::row_id_of(key) < self.first_row_id {
                // Row ids rise with the keys: what follows is not shown either way round.
                self.ended = self.reverse;
                return Ok(!self.reverse);
            }
            if !self.reverse {
                self.first_row_id = 0;
            }
        }
        if self.include_deleted || !row_format::is_deleted(value) {
            take(key, value)?;
        }
        Ok(true)
    }
}
