//! Stored rows to record batches: every projected column filled in one pass over the rows.
//!
//! ```text
//! key   ─► key columns, from the front of the key ────────────────┐
//! value ─► var values ────────────────────────────────────────────┼─► columns ─► RecordBatch
//!       ─► slots ─► stage of a few rows ─► one loop for each column┘
//! ```
//!
//! What to read where is worked out once for each schema version. Rows of one version that follow
//! each other make a run: what all of them lack is filled when the run ends, for all at a time.
//! NULLs are kept as row numbers: a column without them costs nothing for it.

mod columns;
mod fill;
#[cfg(test)]
mod history_tests;
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
    /// The plans of the schema versions met so far, each once.
    plans: Vec<RowPlan>,
    /// These versions, and the number of their plan.
    versions: Vec<(u32, usize)>,
    /// The version of the last row: the next one is most often of the same.
    version: u32,
    /// The plan of that version.
    current: usize,
    rows: usize,
    /// The first row of the run that lasts; what its rows lack is not in the columns yet.
    run_start: usize,
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
        let wide = Arc::clone(layout.wide_schema());
        Self::with_schema(layout, &wide, projection, rows)
    }

    /// The same for rows some of which are deleted, or images of rows as they were before: what
    /// is NOT NULL now may be NULL in them, when it was not always NOT NULL.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] for a position the wide schema does not have.
    pub fn with_deleted_rows(
        layout: Arc<TableLayout>,
        projection: &[usize],
        rows: usize,
    ) -> Result<Self, StoreError> {
        let wide = Arc::clone(layout.wide_schema_with_deleted());
        Self::with_schema(layout, &wide, projection, rows)
    }

    fn with_schema(
        layout: Arc<TableLayout>,
        wide: &SchemaRef,
        projection: &[usize],
        rows: usize,
    ) -> Result<Self, StoreError> {
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
        let projection = Projection::new(&layout, wide, projection, &mut columns);
        let plans = vec![RowPlan::new(layout.current_row_layout(), &projection)?];
        let version = layout.definition().schema_version;
        Ok(Self {
            layout,
            schema,
            projection,
            columns,
            stage: SlotStage::default(),
            plans,
            versions: vec![(version, 0)],
            version,
            current: 0,
            rows: 0,
            run_start: 0,
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
    /// [`StoreError::Corrupt`] when the bytes are not those of a row of this table, in this version
    /// or an older one, [`StoreError::BatchTooLarge`] when a column is full. After an error the rows gathered are
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
    /// [`StoreError::Corrupt`] when text is not UTF-8 or a NOT NULL column has NULL,
    /// [`StoreError::BatchTooLarge`] when a column is full.
    pub fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        if self.rows == 0 {
            self.columns.start(0);
        }
        let result = match self.end_run() {
            Ok(()) => self.finish_columns(),
            Err(fault) => Err(self.explain(fault, &[], &[])),
        };
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
        self.run_start = 0;
        self.var_bytes = 0;
    }

    /// Brings every column to the same length: the run of rows of one version ends.
    fn end_run(&mut self) -> Result<(), Fault> {
        let plan = &self.plans[self.current];
        self.stage.spread(plan, &mut self.columns);
        plan.fill_missing(&mut self.columns, self.rows - self.run_start)?;
        self.run_start = self.rows;
        Ok(())
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
        if self.version != schema_version {
            self.change_version(schema_version)?;
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
        Ok(var_bytes + plan.fill_bytes)
    }

    /// Rows of another version follow.
    #[cold]
    fn change_version(&mut self, schema_version: u32) -> Result<(), Fault> {
        let plan = self.plan_of(schema_version).ok_or(Fault::Version)?;
        if plan != self.current {
            self.end_run()?;
            self.current = plan;
        }
        self.version = schema_version;
        Ok(())
    }

    /// The number of the plan for rows of a version; `None` when the table never had it.
    fn plan_of(&mut self, schema_version: u32) -> Option<usize> {
        if let Some((_, known)) = self.versions.iter().find(|known| known.0 == schema_version) {
            return Some(*known);
        }
        let rows = self.layout.row_layout(schema_version)?;
        let plan = RowPlan::new(rows, &self.projection).ok()?;
        // Many versions differ in names, defaults or options alone.
        let number = self.plans.iter().position(|known| *known == plan).unwrap_or_else(|| {
            self.plans.push(plan);
            self.plans.len() - 1
        });
        self.versions.push((schema_version, number));
        Some(number)
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
                format!(
                    "a value of {table} from before its column's type was changed is out of the \
                     range of its type"
                ),
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
        let newest = self.layout.definition().schema_version;
        match rows.map(|rows| RowPlan::new(rows, &self.projection)) {
            Some(Err(error)) => error,
            // A view in which a table has a newer version refuses to be read with this layout, so
            // no such row is met.
            _ if version > newest => StoreError::corrupt(
                "row",
                format!("it has schema version {version} of {table}, the newest is {newest}"),
            ),
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
