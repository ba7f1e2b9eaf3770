//! What one partition of a scan produces: an iterator of batches that a thread can run.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::{BaselineMetrics, MetricBuilder, Time};
use kalamdb_commons::limits::BATCH_ROWS;
use kalamdb_store::{ByteRows, HotScan, KeyRange, ReadView, ScanSpec, StoreError, get_rows};

use super::row_filter::{FilterFailure, RowFilter};
use super::{HotRows, HotScanExec, Part};
use crate::{CancelFlag, StatementContext, TablesError};

/// The batches of one partition, in order.
pub(super) struct RowSource {
    rows: HotRows,
    view: Arc<ReadView>,
    cancel: CancelFlag,
    projection: Vec<usize>,
    schema: SchemaRef,
    filter: Option<RowFilter>,
    failure: FilterFailure,
    reverse: bool,
    remaining: Option<usize>,
    batch_rows: usize,
    pending: Pending,
    current: Option<HotScan>,
    ended: bool,
    baseline: BaselineMetrics,
    scan_time: Time,
}

/// What is still to be read.
enum Pending {
    Keys { keys: ByteRows, next: usize },
    Ranges(VecDeque<KeyRange>),
}

impl RowSource {
    pub(super) fn new(
        scan: &HotScanExec,
        partition: usize,
        statement: &StatementContext,
        task: &TaskContext,
    ) -> Result<Self> {
        let pending = match scan.parts.get(partition) {
            Some(Part::Keys(keys)) => Pending::Keys { keys: keys.clone(), next: 0 },
            Some(Part::Ranges(ranges)) => {
                let mut ranges: VecDeque<KeyRange> = ranges.iter().cloned().collect();
                if scan.reverse {
                    ranges.make_contiguous().reverse();
                }
                Pending::Ranges(ranges)
            }
            None => {
                let reason = format!("the scan has no partition {partition}");
                return Err(TablesError::Internal { reason }.into());
            }
        };
        let filters: Vec<_> = scan.filters.iter().chain(&scan.dynamic_filters).cloned().collect();
        Ok(Self {
            rows: scan.rows.clone(),
            view: Arc::clone(&statement.view),
            cancel: statement.cancel.clone(),
            projection: scan.projection.clone(),
            schema: Arc::clone(&scan.schema),
            filter: RowFilter::new(&filters)?,
            failure: FilterFailure::default(),
            reverse: scan.reverse,
            remaining: scan.fetch,
            batch_rows: task.session_config().batch_size().clamp(1, BATCH_ROWS),
            pending,
            current: None,
            ended: false,
            baseline: BaselineMetrics::new(&scan.metrics, partition),
            scan_time: MetricBuilder::new(&scan.metrics).subset_time("scan_time", partition),
        })
    }

    /// The next batch with rows; nothing at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(TablesError::Cancelled.into());
            }
            if self.remaining == Some(0) {
                return Ok(None);
            }
            let batch = match &self.pending {
                Pending::Keys { .. } => self.next_of_keys()?,
                Pending::Ranges(_) => self.next_of_ranges()?,
            };
            let Some(batch) = batch else { return Ok(None) };
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = match self.remaining {
                Some(remaining) if batch.num_rows() > remaining => batch.slice(0, remaining),
                _ => batch,
            };
            if let Some(remaining) = &mut self.remaining {
                *remaining -= batch.num_rows();
            }
            return self.as_planned(batch).map(Some);
        }
    }

    /// Gives the batch exactly the planned schema.
    fn as_planned(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
    }

    fn next_of_ranges(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(scan) = &mut self.current {
                match scan.next() {
                    Some(Ok(batch)) => return Ok(Some(batch)),
                    Some(Err(error)) => return Err(self.failure.explain(error)),
                    None => self.current = None,
                }
            }
            let Pending::Ranges(ranges) = &mut self.pending else { return Ok(None) };
            let Some(range) = ranges.pop_front() else { return Ok(None) };
            self.current = Some(self.open(range).map_err(TablesError::from)?);
        }
    }

    fn open(&self, range: KeyRange) -> Result<HotScan, StoreError> {
        let spec = ScanSpec {
            layout: Arc::clone(&self.rows.layout),
            owner: self.rows.owner.clone(),
            projection: self.projection.clone(),
            ranges: range,
            reverse: self.reverse,
            limit: self.remaining,
            include_deleted: self.rows.include_deleted,
            batch_rows: self.batch_rows,
            filter: self
                .filter
                .as_ref()
                .map(|filter| filter.for_scan(self.cancel.clone(), self.failure.clone())),
        };
        HotScan::new(Arc::clone(&self.view), spec)
    }

    /// Looks up the next keys. With a filter its columns are fetched too, after the projection.
    fn next_of_keys(&mut self) -> Result<Option<RecordBatch>> {
        let Pending::Keys { keys, next } = &mut self.pending else { return Ok(None) };
        if *next == keys.len() {
            return Ok(None);
        }
        let end = keys.len().min(*next + self.batch_rows);
        let mut chunk = ByteRows::with_capacity(end - *next, 0);
        for position in *next..end {
            let position = if self.reverse { keys.len() - 1 - position } else { position };
            chunk.push(keys.get(position));
        }
        *next = end;

        let mut columns = self.projection.clone();
        if let Some(filter) = &self.filter {
            columns
                .extend(filter.columns.iter().filter(|column| !self.projection.contains(column)));
        }
        let deleted_too = self.rows.include_deleted;
        let batch = get_rows(&self.view, &self.rows.layout, &chunk, &columns, deleted_too)
            .map_err(TablesError::from)?;
        let Some(filter) = &self.filter else { return Ok(Some(batch)) };
        let output: Vec<usize> = (0..self.projection.len()).collect();
        let tested: Vec<usize> = filter
            .columns
            .iter()
            .filter_map(|column| columns.iter().position(|fetched| fetched == column))
            .collect();
        let keep = filter.evaluate(&batch.project(&tested)?)?;
        Ok(Some(filter_record_batch(&batch.project(&output)?, &keep)?))
    }
}

impl Iterator for RowSource {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let scan_time = self.scan_time.clone();
        let _timer = scan_time.timer();
        let batch = self.next_batch();
        match &batch {
            Ok(Some(batch)) => self.baseline.record_output(batch.num_rows()),
            Ok(None) | Err(_) => {
                self.ended = true;
                self.current = None;
                self.baseline.done();
            }
        }
        batch.transpose()
    }
}
