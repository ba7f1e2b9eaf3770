//! Rows on their way through a filter.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{BatchCoalescer, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::rows::{BATCH_BYTES_MAX, ROWS_PER_CALL_MAX, Rows};
use super::{ScanFilter, ScanSpec, builder_of};
use crate::{BatchBuilder, StoreError, create_batch_trusted};

/// Rows a filter with a limit sees first; doubled each time.
const FILTERED_ROWS_MIN: usize = 256;

/// Decodes rows, asks a predicate about them, and gathers those that stay into full batches.
///
/// Everything is decoded in the one pass over the rows: the iterator has moved on when the
/// predicate has spoken, and keeping a row's bytes until then costs as much as decoding them.
pub(super) struct Filtering {
    filter: ScanFilter,
    /// The columns of the output, then those only the filter needs.
    columns: BatchBuilder,
    /// The columns the filter sees, in its order.
    tested: Vec<usize>,
    /// The columns that are given out come first.
    given: Vec<usize>,
    schema: SchemaRef,
    passed: BatchCoalescer,
    /// Rows of the next evaluation.
    wanted: usize,
    batch_rows: usize,
}

impl Filtering {
    pub(super) fn new(spec: &ScanSpec, filter: ScanFilter) -> Result<Self, StoreError> {
        let batch_rows = spec.batch_rows.max(1);
        let mut positions = spec.projection.clone();
        let mut tested = Vec::with_capacity(filter.columns.len());
        for column in &filter.columns {
            let known = positions.iter().position(|position| position == column);
            tested.push(known.unwrap_or_else(|| {
                positions.push(*column);
                positions.len() - 1
            }));
        }
        let wanted = spec.limit.map_or(batch_rows, |_| FILTERED_ROWS_MIN.min(batch_rows));
        let layout = Arc::clone(&spec.layout);
        let columns = builder_of(layout, &positions, wanted, spec.include_deleted)?;
        let given: Vec<usize> = (0..spec.projection.len()).collect();
        let schema: SchemaRef = Arc::new(columns.schema().project(&given).map_err(filtering)?);
        let passed = BatchCoalescer::new(Arc::clone(&schema), batch_rows);
        Ok(Self { filter, columns, tested, given, schema, passed, wanted, batch_rows })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch of rows that stay; without any row when it is time to hand the scan back.
    pub(super) fn next_batch(
        &mut self,
        rows: &mut Rows,
        remaining: &mut usize,
    ) -> Result<Option<RecordBatch>, StoreError> {
        let mut seen = 0;
        while *remaining > 0 && !rows.ended && seen < ROWS_PER_CALL_MAX {
            seen += self.gather(rows)?;
            if let Some(batch) = self.pass_on(remaining)? {
                return Ok(Some(batch));
            }
        }
        self.passed.finish_buffered_batch().map_err(filtering)?;
        let more = *remaining > 0 && !rows.ended;
        let handed_back = || more.then(|| RecordBatch::new_empty(Arc::clone(&self.schema)));
        Ok(self.passed.next_completed_batch().or_else(handed_back))
    }

    /// Decodes the rows of the next evaluation; returns how many were looked at.
    fn gather(&mut self, rows: &mut Rows) -> Result<usize, StoreError> {
        let wanted = self.wanted;
        self.wanted = (wanted * 2).min(self.batch_rows);
        let columns = &mut self.columns;
        let prefix_len = rows.prefix_len;
        let mut seen = 0;
        while columns.len() < wanted
            && columns.byte_len() < BATCH_BYTES_MAX
            && seen < ROWS_PER_CALL_MAX
            && rows.read(|key, value| columns.append(prefix_len, key, value))?
        {
            seen += 1;
        }
        Ok(seen)
    }

    /// Asks the predicate; gives a batch once there is a full one.
    fn pass_on(&mut self, remaining: &mut usize) -> Result<Option<RecordBatch>, StoreError> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        let mut batch = self.columns.finish()?;
        let mut stays = (self.filter.predicate)(&batch.project(&self.tested).map_err(filtering)?)?;
        if stays.len() != batch.num_rows() {
            return Err(StoreError::invalid(format!(
                "a filter answered for {} rows of {}",
                stays.len(),
                batch.num_rows()
            )));
        }
        if stays.null_count() > 0 {
            stays = prep_null_mask_filter(&stays);
        }
        if *remaining < stays.len()
            && let Some(last) = stays.values().set_indices().nth(*remaining - 1)
        {
            batch = batch.slice(0, last + 1);
            stays = stays.slice(0, last + 1);
        }
        let staying = stays.true_count();
        *remaining -= staying;
        if staying == 0 {
            return Ok(None);
        }
        if self.given.is_empty() {
            return create_batch_trusted(Arc::clone(&self.schema), Vec::new(), staying).map(Some);
        }
        let batch = batch.project(&self.given).map_err(filtering)?;
        if staying == batch.num_rows() && self.passed.is_empty() {
            return Ok(Some(batch));
        }
        self.passed.push_batch_with_filter(batch, &stays).map_err(filtering)?;
        if self.passed.size() > BATCH_BYTES_MAX {
            self.passed.finish_buffered_batch().map_err(filtering)?;
        }
        Ok(self.passed.next_completed_batch())
    }
}

fn filtering(source: ArrowError) -> StoreError {
    StoreError::Arrow { operation: "filter rows", source }
}
