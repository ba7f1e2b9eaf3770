//! A scan: rows straight from RocksDB's iterator into Arrow builders.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::{KeyRange, ScanFilter, ScanSpec, check_version, rows_of};
use crate::meta::prefix_successor;
use crate::view::OwnedIter;
use crate::{BatchBuilder, ByteRows, ReadView, StoreError, create_batch_trusted, row_format};

/// Bytes of keys and values after which a batch is closed, however few rows it has.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Rows looked at before a batch is handed out, be it an empty one: whoever drives the scan
/// must get the chance to stop it.
const ROWS_PER_CALL_MAX: usize = 1 << 19;
/// One scan may fill this part of the block cache: a half.
const CACHE_SHARE_OF_ONE_SCAN: usize = 2;
/// Rows a filter with a limit sees first; doubled each time.
const FILTERED_ROWS_MIN: usize = 256;

/// Batches of the hot rows of a table, in key order, as of a view.
///
/// A batch has at most `batch_rows` rows and may have none at all: a filter that lets little
/// through hands out what it has now and then. The iterator ends after the first error.
pub struct HotScan {
    rows: Rows,
    output: Output,
    filter: Option<Filtering>,
    /// Rows still wanted.
    remaining: usize,
    batch_rows: usize,
}

/// The rows of the key range, in the direction of the scan.
struct Rows {
    iter: OwnedIter,
    started: bool,
    ended: bool,
    reverse: bool,
    include_deleted: bool,
    prefix_len: usize,
}

/// Where rows go: into builders, or, without any column, into a count.
enum Output {
    Columns(BatchBuilder),
    Count { schema: SchemaRef, rows: usize },
}

/// Rows on their way through a filter.
struct Filtering {
    filter: ScanFilter,
    columns: BatchBuilder,
    /// Copies: the iterator has moved on when the predicate has spoken.
    keys: ByteRows,
    values: ByteRows,
    /// Rows of the next evaluation.
    wanted: usize,
}

impl HotScan {
    /// Opens the scan; nothing is read yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the table was altered or dropped since the layout was made:
    /// plan again.
    pub fn new(view: Arc<ReadView>, spec: ScanSpec) -> Result<Self, StoreError> {
        check_version(&view, &spec.layout)?;
        let generation = view.generation(spec.layout.definition().id);
        let (family, prefix) = rows_of(&spec.layout, generation, spec.owner.as_ref())?;
        let (lower, upper) = spec.ranges.storage_bounds(&prefix);
        // RocksDB takes bounds as given; an empty range must be empty in both directions.
        let empty = upper.as_ref().is_some_and(|upper| *upper <= lower);
        let fill_cache = spec.limit.is_some() || fits_the_cache(&view, &spec, &lower, &upper)?;
        let iter = OwnedIter::new(view, family, lower, upper, fill_cache)?;
        let batch_rows = spec.batch_rows.max(1);
        let output = if spec.projection.is_empty() {
            let schema = Arc::new(arrow::datatypes::Schema::empty());
            Output::Count { schema, rows: 0 }
        } else {
            let rows = spec.limit.unwrap_or(usize::MAX).min(batch_rows);
            let layout = Arc::clone(&spec.layout);
            Output::Columns(BatchBuilder::with_row_capacity(layout, &spec.projection, rows)?)
        };
        let filter = spec
            .filter
            .map(|filter| {
                let columns = BatchBuilder::new(Arc::clone(&spec.layout), &filter.columns)?;
                let wanted = spec.limit.map_or(batch_rows, |_| FILTERED_ROWS_MIN.min(batch_rows));
                let (keys, values) = (ByteRows::new(), ByteRows::new());
                Ok::<_, StoreError>(Filtering { filter, columns, keys, values, wanted })
            })
            .transpose()?;
        Ok(Self {
            rows: Rows {
                iter,
                started: false,
                ended: empty,
                reverse: spec.reverse,
                include_deleted: spec.include_deleted,
                prefix_len: prefix.len(),
            },
            output,
            filter,
            remaining: spec.limit.unwrap_or(usize::MAX),
            batch_rows,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        match &self.output {
            Output::Columns(builder) => builder.schema(),
            Output::Count { schema, .. } => schema,
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        match self.filter.take() {
            None => self.fill()?,
            Some(mut filtering) => {
                let filled = self.fill_filtered(&mut filtering);
                self.filter = Some(filtering);
                filled?;
            }
        }
        if self.remaining == 0 {
            self.rows.ended = true;
        }
        if self.output.len() == 0 && self.rows.ended {
            return Ok(None);
        }
        self.output.finish().map(Some)
    }

    /// Without a filter: from the iterator into the builders.
    fn fill(&mut self) -> Result<(), StoreError> {
        let wanted = self.batch_rows.min(self.remaining);
        let output = &mut self.output;
        let prefix_len = self.rows.prefix_len;
        let (mut rows, mut bytes, mut seen) = (0, 0, 0);
        while rows < wanted && bytes < BATCH_BYTES_MAX && seen < ROWS_PER_CALL_MAX {
            let read = self.rows.read(|key, value| {
                bytes += key.len() + value.len();
                rows += 1;
                output.append(prefix_len, key, value)
            })?;
            if !read {
                break;
            }
            seen += 1;
        }
        self.remaining -= rows;
        Ok(())
    }

    /// With a filter: rows are copied, the predicate sees its columns, those that stay go on.
    fn fill_filtered(&mut self, filtering: &mut Filtering) -> Result<(), StoreError> {
        let mut seen = 0;
        let mut bytes = 0;
        // A batch half full is good enough: filling it up would mean asking the predicate about
        // fewer and fewer rows at a time.
        while self.output.len() <= self.batch_rows / 2
            && self.remaining > 0
            && !self.rows.ended
            && bytes < BATCH_BYTES_MAX
            && seen < ROWS_PER_CALL_MAX
        {
            // What passes must fit into the batch.
            let wanted = filtering.wanted.min(self.batch_rows - self.output.len());
            seen += filtering.gather(&mut self.rows, wanted)?;
            bytes += filtering.pass_on(&mut self.output, &mut self.remaining, &self.rows)?;
            filtering.wanted = (filtering.wanted * 2).min(self.batch_rows);
        }
        Ok(())
    }
}

/// Whether the blocks of a range may stay in memory: a scan of more than the cache holds would
/// only drive out what others use, and find nothing of itself the next time.
fn fits_the_cache(
    view: &ReadView,
    spec: &ScanSpec,
    lower: &[u8],
    upper: &Option<Vec<u8>>,
) -> Result<bool, StoreError> {
    let table = spec.layout.definition().id;
    let database = view.store().database();
    let counts = view.table_counts(table, spec.owner.as_ref())?;
    let mut bytes = counts.bytes;
    if spec.ranges != KeyRange::all() {
        let all = spec.layout.key_prefix(view.generation(table), spec.owner.as_ref());
        let all_end = prefix_successor(&all);
        let samples = &database.key_samples;
        let of_owner = samples.count_between(table, &all, all_end.as_deref());
        let in_range = samples.count_between(table, lower, upper.as_deref());
        if of_owner > 0 {
            bytes = bytes / of_owner as u64 * in_range as u64;
        }
    }
    let cached_bytes_max = database.block_cache_bytes / CACHE_SHARE_OF_ONE_SCAN;
    Ok(bytes <= cached_bytes_max as u64)
}

impl Iterator for HotScan {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.ended {
            return None;
        }
        let batch = self.next_batch();
        if batch.is_err() {
            self.rows.ended = true;
        }
        batch.transpose()
    }
}

impl Rows {
    /// Moves to the next row and gives it to `take` unless it is a tombstone nobody asked for;
    /// false at the end.
    fn read(
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
        if self.include_deleted || !row_format::is_deleted(value) {
            take(key, value)?;
        }
        Ok(true)
    }
}

impl Filtering {
    /// Copies up to `wanted` rows, returns how many were looked at.
    fn gather(&mut self, rows: &mut Rows, wanted: usize) -> Result<usize, StoreError> {
        let (keys, values, columns) = (&mut self.keys, &mut self.values, &mut self.columns);
        keys.clear();
        values.clear();
        let prefix_len = rows.prefix_len;
        let mut seen = 0;
        while keys.len() < wanted
            && values.byte_len() < BATCH_BYTES_MAX
            && seen < ROWS_PER_CALL_MAX
            && rows.read(|key, value| {
                keys.push(key);
                values.push(value);
                columns.append(prefix_len, key, value)
            })?
        {
            seen += 1;
        }
        Ok(seen)
    }

    /// Asks the predicate and appends what stays; returns its bytes.
    fn pass_on(
        &mut self,
        output: &mut Output,
        remaining: &mut usize,
        rows: &Rows,
    ) -> Result<usize, StoreError> {
        if self.keys.is_empty() {
            return Ok(0);
        }
        let batch = self.columns.finish()?;
        let stays: BooleanArray = (self.filter.predicate)(&batch)?;
        if stays.len() != self.keys.len() {
            return Err(StoreError::invalid(format!(
                "a filter answered for {} rows of {}",
                stays.len(),
                self.keys.len()
            )));
        }
        let mut bytes = 0;
        for index in 0..stays.len() {
            if !stays.is_valid(index) || !stays.value(index) {
                continue;
            }
            if *remaining == 0 {
                break;
            }
            let (key, value) = (self.keys.get(index), self.values.get(index));
            output.append(rows.prefix_len, key, value)?;
            bytes += key.len() + value.len();
            *remaining -= 1;
        }
        Ok(bytes)
    }
}

impl Output {
    fn append(&mut self, prefix_len: usize, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Columns(builder) => builder.append(prefix_len, key, value),
            Self::Count { rows, .. } => {
                *rows += 1;
                Ok(())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Columns(builder) => builder.len(),
            Self::Count { rows, .. } => *rows,
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        match self {
            Self::Columns(builder) => builder.finish(),
            Self::Count { schema, rows } => {
                create_batch_trusted(Arc::clone(schema), Vec::new(), std::mem::take(rows))
            }
        }
    }
}

#[cfg(test)]
mod tests;
