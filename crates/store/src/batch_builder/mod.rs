//! Stored rows to record batches: every projected column filled in one pass over the rows.
//!
//! ```text
//! key   ─► key columns, from the front of the key ────────────────┐
//! value ─► var values ────────────────────────────────────────────┼─► columns ─► RecordBatch
//!       ─► slots ─► stage of a few rows ─► one loop for each column┘
//! ```
//!
//! What to read where is worked out once for each schema version. NULLs are kept as row numbers:
//! a column without them costs nothing for it.

mod columns;
mod fill;
mod nested;
mod null_bit;
mod plan;
mod slots;
#[cfg(test)]
mod tests;
mod widen;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kalamdb_commons::limits::BATCH_ROWS;

use self::columns::{Columns, Fault};
use self::fill::{fill_from_key, fill_rare, fill_var};
use self::plan::{Projection, RowPlan};
use self::slots::SlotStage;
use crate::row_format::{self, FLAG_NULLS, FLAGS_AT};
use crate::{StoreError, TableLayout};

/// Builds record batches of projected columns from keys and row values.
#[derive(Debug)]
pub struct BatchBuilder {
    layout: Arc<TableLayout>,
    schema: SchemaRef,
    projection: Projection,
    columns: Columns,
    /// Slots of the last rows, not yet in their columns.
    stage: SlotStage,
    /// One plan for every schema version met so far.
    plans: Vec<RowPlan>,
    /// The plan of the last row: the next one is most often of the same version.
    current: usize,
    rows: usize,
    /// Bytes of var values gathered.
    var_bytes: usize,
    /// Rows to make room for when a batch starts.
    row_capacity: usize,
}

impl BatchBuilder {
    /// A builder of batches of [`BATCH_ROWS`] rows with the columns at these positions of the
    /// wide schema, in this order; none are needed when rows are only counted.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] for a position the wide schema does not have.
    pub fn new(layout: Arc<TableLayout>, projection: &[usize]) -> Result<Self, StoreError> {
        Self::with_row_capacity(layout, projection, BATCH_ROWS)
    }

    /// The same, with room for `rows` rows a batch: a hint, not a bound.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] for a position the wide schema does not have.
    pub fn with_row_capacity(
        layout: Arc<TableLayout>,
        projection: &[usize],
        rows: usize,
    ) -> Result<Self, StoreError> {
        let wide = layout.wide_schema();
        if let Some(position) = projection.iter().find(|i| **i >= wide.fields().len()) {
            return Err(StoreError::invalid(format!(
                "column {position} was asked for, {} has {}",
                layout.definition().qualified_name(),
                wide.fields().len()
            )));
        }
        let fields: Vec<_> = projection.iter().map(|i| Arc::clone(&wide.fields()[*i])).collect();
        let schema = if projection.iter().copied().eq(0..wide.fields().len()) {
            Arc::clone(wide)
        } else {
            Arc::new(Schema::new(fields))
        };
        let mut columns = Columns::default();
        let projection = Projection::new(&layout, projection, &mut columns);
        let plans = vec![RowPlan::new(layout.current_row_layout(), &projection)?];
        Ok(Self {
            layout,
            schema,
            projection,
            columns,
            stage: SlotStage::default(),
            plans,
            current: 0,
            rows: 0,
            var_bytes: 0,
            row_capacity: rows,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows gathered for the next batch.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when no row is gathered.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of the text, bytes and nested values gathered for the next batch. One column of a
    /// batch holds at most 2 GiB of them: finish early when rows are large.
    pub fn byte_len(&self) -> usize {
        self.var_bytes
    }

    /// Appends one row: its complete key, whose first `prefix_len` bytes stand before the key
    /// columns, and its value. Only what the projected columns need is read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the bytes are not those of a row of this table,
    /// [`StoreError::BatchTooLarge`] when a column is full. After an error the rows gathered are
    /// gone.
    #[inline]
    pub fn append(
        &mut self,
        prefix_len: usize,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        if self.rows == 0 {
            self.columns.start(self.row_capacity);
        }
        match self.append_row(prefix_len, key, value) {
            Ok(var_bytes) => {
                self.var_bytes += var_bytes;
                self.rows += 1;
                Ok(())
            }
            Err(fault) => {
                self.clear();
                Err(self.explain(fault, key, value))
            }
        }
    }

    /// The rows gathered as a batch that owns its buffers; the builder is then empty and makes as
    /// much room for the next one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when text is not UTF-8 or a NOT NULL column has NULL.
    pub fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        if self.rows == 0 {
            self.columns.start(0);
        }
        self.stage.spread(&self.plans[self.current], &mut self.columns);
        let result = self.finish_columns();
        let rows = self.rows;
        self.clear();
        create_batch_trusted(Arc::clone(&self.schema), result?, rows)
    }

    fn finish_columns(&mut self) -> Result<Vec<ArrayRef>, StoreError> {
        let unique = self
            .projection
            .columns
            .iter()
            .map(|column| self.columns.finish(column.target, &column.field))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.projection.outputs.iter().map(|i| Arc::clone(&unique[*i])).collect())
    }

    fn clear(&mut self) {
        self.columns.clear();
        self.stage.clear();
        self.rows = 0;
        self.var_bytes = 0;
    }

    /// Fills every column with its value of the row; returns the bytes of the var values.
    #[inline]
    fn append_row(&mut self, prefix_len: usize, key: &[u8], value: &[u8]) -> Result<usize, Fault> {
        let mut var_bytes = 0;
        if !self.projection.key_steps.is_empty() {
            let rest = key.get(prefix_len..).ok_or(Fault::Key)?;
            var_bytes += fill_from_key(&self.projection, &mut self.columns, rest)?;
        }
        let schema_version = row_format::read_schema_version(value).ok_or(Fault::Version)?;
        if self.plans[self.current].schema_version != schema_version {
            self.stage.spread(&self.plans[self.current], &mut self.columns);
            self.current = self.plan_of(schema_version).ok_or(Fault::Version)?;
        }
        let plan = &self.plans[self.current];
        if value.len() < plan.var_at {
            return Err(Fault::Row);
        }
        let has_nulls = value[FLAGS_AT] & FLAG_NULLS != 0;
        self.stage.push(plan, value, has_nulls, &mut self.columns);
        if plan.has_var {
            var_bytes += match has_nulls {
                false => fill_var::<false>(plan, &mut self.columns.var, value)?,
                true => fill_var::<true>(plan, &mut self.columns.var, value)?,
            };
        }
        if plan.has_rare {
            var_bytes += match has_nulls {
                false => fill_rare::<false>(plan, &mut self.columns, value)?,
                true => fill_rare::<true>(plan, &mut self.columns, value)?,
            };
        }
        if self.projection.has_whole {
            var_bytes += self.projection.fill_whole(&mut self.columns, key, value)?;
        }
        Ok(var_bytes)
    }

    /// The number of the plan for rows of a version; `None` when the table never had it.
    #[cold]
    fn plan_of(&mut self, schema_version: u32) -> Option<usize> {
        let known = self.plans.iter().position(|plan| plan.schema_version == schema_version);
        if known.is_some() {
            return known;
        }
        let rows = self.layout.row_layout(schema_version)?;
        self.plans.push(RowPlan::new(rows, &self.projection).ok()?);
        Some(self.plans.len() - 1)
    }

    #[cold]
    fn explain(&self, fault: Fault, key: &[u8], value: &[u8]) -> StoreError {
        let table = self.layout.definition().qualified_name();
        match fault {
            Fault::Key => {
                StoreError::corrupt("key", format!("{} bytes are not a key of {table}", key.len()))
            }
            Fault::Row => StoreError::corrupt(
                "row",
                format!("{} bytes are not a row of {table}", value.len()),
            ),
            Fault::Version => self.explain_version(value, &table),
            Fault::Range => StoreError::corrupt(
                "row",
                format!("a number is out of its column's range in {table}"),
            ),
            Fault::Full => StoreError::BatchTooLarge { bytes_max: i32::MAX as usize },
        }
    }

    fn explain_version(&self, value: &[u8], table: &str) -> StoreError {
        let version = match row_format::schema_version(value) {
            Ok(version) => version,
            Err(error) => return error,
        };
        let rows = self.layout.row_layout(version);
        match rows.map(|rows| RowPlan::new(rows, &self.projection)) {
            Some(Err(error)) => error,
            _ => StoreError::corrupt("row", format!("{table} never had schema version {version}")),
        }
    }
}

/// A record batch of columns this crate built to fit the schema.
///
/// Arrow's checks of types, lengths and nullability stay on: for a batch of 10 columns they cost
/// no more than decoding a few of its rows, and they turn a defect into an error.
///
/// # Errors
/// [`StoreError::Arrow`] when the columns do not fit.
pub fn create_batch_trusted(
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, StoreError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|source| StoreError::Arrow { operation: "build a record batch", source })
}
