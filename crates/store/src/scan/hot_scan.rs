//! A scan: rows straight from RocksDB's iterator into Arrow builders.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::filtering::Filtering;
use super::rows::Rows;
use super::{KeyRange, ScanSpec, builder_of, check_owner, check_version, rows_of};
use crate::meta::prefix_successor;
use crate::stream::{self, Window};
use crate::view::OwnedIter;
use crate::{BatchBuilder, ReadView, StoreError};

/// One scan may fill this part of the block cache: a half.
const CACHE_SHARE_OF_ONE_SCAN: usize = 2;

/// Batches of the hot rows of a table, in key order, as of a view.
///
/// A batch has at most `batch_rows` rows and may have none at all: a filter that lets little
/// through hands out what it has now and then. The iterator ends after the first error.
pub struct HotScan {
    rows: Rows,
    output: Output,
    /// Rows still wanted.
    remaining: usize,
    batch_rows: usize,
    /// True when the last batch was given, or an error.
    ended: bool,
}

/// Where rows go.
enum Output {
    Columns(BatchBuilder),
    /// Without any column only their number matters.
    Count(SchemaRef),
    Filtered(Box<Filtering>),
}

impl HotScan {
    /// Opens the scan; nothing is read yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the table was altered or dropped since the layout was made:
    /// plan again. [`StoreError::OwnerDropped`].
    pub fn new(view: Arc<ReadView>, mut spec: ScanSpec) -> Result<Self, StoreError> {
        check_version(&view, &spec.layout)?;
        check_owner(&view, spec.owner.as_ref())?;
        let generation = view.generation(spec.layout.definition().id);
        let (family, prefix) = rows_of(&spec.layout, generation, spec.owner.as_ref())?;
        let (mut lower, upper) = spec.ranges.storage_bounds(&prefix);
        let mut prefix_len = prefix.len();
        let mut first_row_id = 0;
        let definition = spec.layout.definition();
        if let Some(options) = definition.stream_options() {
            let window = Window::of(&view, definition.id, &options)?;
            lower = lower.max(window.lower);
            prefix_len = stream::PREFIX_BYTES;
            first_row_id = window.first_row_id;
        }
        // RocksDB takes bounds as given; an empty range must be empty in both directions.
        let empty = upper.as_ref().is_some_and(|upper| *upper <= lower);
        let fill_cache = spec.limit.is_some() || fits_the_cache(&view, &spec, &lower, &upper)?;
        let iter = OwnedIter::new(view, family, lower, upper, fill_cache)?;
        let batch_rows = spec.batch_rows.max(1);
        let filter = spec.filter.take();
        let output = if let Some(filter) = filter {
            Output::Filtered(Box::new(Filtering::new(&spec, filter)?))
        } else if spec.projection.is_empty() {
            Output::Count(Arc::new(Schema::empty()))
        } else {
            let rows = spec.limit.unwrap_or(usize::MAX).min(batch_rows);
            let layout = Arc::clone(&spec.layout);
            Output::Columns(builder_of(layout, &spec.projection, rows, spec.include_deleted)?)
        };
        Ok(Self {
            rows: Rows::new(iter, &spec, prefix_len, first_row_id, empty),
            output,
            remaining: spec.limit.unwrap_or(usize::MAX),
            batch_rows,
            ended: false,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        match &self.output {
            Output::Columns(builder) => builder.schema(),
            Output::Count(schema) => schema,
            Output::Filtered(filtering) => filtering.schema(),
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        let batch_rows = self.batch_rows.min(self.remaining);
        let batch = match &mut self.output {
            Output::Columns(builder) => self.rows.fill(builder, batch_rows)?,
            Output::Count(schema) => self.rows.count(schema, batch_rows)?,
            Output::Filtered(filtering) => {
                return filtering.next_batch(&mut self.rows, &mut self.remaining);
            }
        };
        self.remaining -= batch.num_rows();
        let more = self.remaining > 0 && !self.rows.ended;
        Ok((batch.num_rows() > 0 || more).then_some(batch))
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
    if spec.layout.definition().stream_options().is_some() {
        let pieces = database.streams.pieces_between(table, lower, upper.as_deref());
        bytes = pieces.iter().map(|piece| piece.bytes).sum();
    } else if spec.ranges != KeyRange::all() {
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
        if self.ended {
            return None;
        }
        let batch = self.next_batch();
        self.ended = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

#[cfg(test)]
mod tests;
