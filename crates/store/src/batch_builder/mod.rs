//! Stored rows to record batches: every projected column filled in one pass over the rows.
//!
//! ```text
//! (key, value) ─► key columns, from the front of the key ─┐
//!              ─► header columns, slots, var values ──────┴─► columns ─► RecordBatch
//! ```
//!
//! Columns are grouped by the width of their values, so a row is filled by a few tight loops
//! rather than by one decision a value. What to read where is worked out once for each schema
//! version. NULLs are kept as row numbers: a column without them costs nothing for it.

mod columns;
mod nested;
mod plan;
#[cfg(test)]
mod tests;
mod widen;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kalamdb_commons::limits::BATCH_ROWS;

use self::columns::{Columns, Fault, FixedColumn, SlotValue};
use self::plan::{KeyTarget, Projection, RowPlan, Slot};
use crate::key_codec::{KeyOrder, append_unescaped, take};
use crate::row_format::{self, FLAG_DELETED, FLAG_NULLS, FLAGS_AT, Width, var_value};
use crate::{StoreError, TableLayout};

/// Builds record batches of projected columns from keys and row values.
#[derive(Debug)]
pub struct BatchBuilder {
    layout: Arc<TableLayout>,
    schema: SchemaRef,
    projection: Projection,
    columns: Columns,
    /// One plan for every schema version, the present one first.
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
        let plans = layout
            .row_layouts()
            .iter()
            .map(|rows| RowPlan::new(rows, &projection))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            layout,
            schema,
            projection,
            columns,
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
            self.current = self.plan_of(schema_version).ok_or(Fault::Version)?;
        }
        let plan = &self.plans[self.current];
        if value.len() < plan.var_at {
            return Err(Fault::Row);
        }
        let flags = value[FLAGS_AT];
        var_bytes += if flags & FLAG_NULLS == 0 {
            fill::<false>(plan, &mut self.columns, value)?
        } else {
            fill::<true>(plan, &mut self.columns, value)?
        };
        if self.projection.has_whole {
            var_bytes += self.projection.fill_whole(&mut self.columns, key, value)?;
        }
        Ok(var_bytes)
    }

    /// The plan for rows of a version; `None` when the table never had it.
    #[cold]
    fn plan_of(&self, schema_version: u32) -> Option<usize> {
        self.plans.iter().position(|plan| plan.schema_version == schema_version)
    }

    #[cold]
    fn explain(&self, fault: Fault, key: &[u8], value: &[u8]) -> StoreError {
        let table = self.layout.definition().qualified_name();
        match fault {
            Fault::Key => StoreError::corrupt(
                "key",
                format!("{} bytes are not a key of {table}", key.len()),
            ),
            Fault::Row => StoreError::corrupt(
                "row",
                format!("{} bytes are not a row of {table}", value.len()),
            ),
            Fault::Version => match row_format::schema_version(value) {
                Err(error) => error,
                Ok(version) => StoreError::corrupt(
                    "row",
                    format!("it has the unknown schema version {version} of {table}"),
                ),
            },
            Fault::Range => {
                StoreError::corrupt("row", format!("a number is out of its column's range in {table}"))
            }
            Fault::Full => StoreError::BatchTooLarge { bytes_max: i32::MAX as usize },
        }
    }
}

impl Projection {
    /// Fills the columns that show the row as a whole; returns the bytes of their values.
    fn fill_whole(&self, columns: &mut Columns, key: &[u8], value: &[u8]) -> Result<usize, Fault> {
        let mut var_bytes = 0;
        if let Some(column) = self.deleted {
            columns.w1[column].values.push(value[FLAGS_AT] & FLAG_DELETED);
        }
        if let Some(column) = self.location {
            columns.var[column].push(key)?;
            var_bytes += key.len();
        }
        if let Some(column) = self.image {
            columns.var[column].push(value)?;
            var_bytes += value.len();
        }
        Ok(var_bytes)
    }
}

/// Fills the key columns; returns the bytes of their var values.
#[inline]
fn fill_from_key(
    projection: &Projection,
    columns: &mut Columns,
    mut rest: &[u8],
) -> Result<usize, Fault> {
    let mut var_bytes = 0;
    for step in &projection.key_steps {
        let filled = match step.target {
            KeyTarget::Fixed(order, Width::W8, column) => {
                key_slot::<u64, 8>(&mut columns.w8[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W4, column) => {
                key_slot::<u32, 4>(&mut columns.w4[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W16, column) => {
                key_slot::<i128, 16>(&mut columns.w16[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W2, column) => {
                key_slot::<u16, 2>(&mut columns.w2[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W1, column) => {
                key_slot::<u8, 1>(&mut columns.w1[column], order, &mut rest)
            }
            KeyTarget::Escaped(column) => {
                let column = &mut columns.var[column];
                let before = column.bytes.len();
                let filled = append_unescaped(&mut rest, &mut column.bytes);
                var_bytes += column.bytes.len() - before;
                column.finish_value()?;
                filled
            }
            KeyTarget::Skip => step.part.skip(&mut rest),
        };
        filled.ok_or(Fault::Key)?;
    }
    if projection.whole_key && !rest.is_empty() {
        return Err(Fault::Key);
    }
    Ok(var_bytes)
}

#[inline]
fn key_slot<T: SlotValue<W>, const W: usize>(
    column: &mut FixedColumn<T>,
    order: KeyOrder,
    rest: &mut &[u8],
) -> Option<()> {
    column.values.push(T::from_key(order, take::<W>(rest)?));
    Some(())
}

/// Fills the columns that stand in the row value; returns the bytes of their var values.
#[inline]
fn fill<const NULLS: bool>(
    plan: &RowPlan,
    columns: &mut Columns,
    value: &[u8],
) -> Result<usize, Fault> {
    fill_slots::<u64, 8, NULLS>(&mut columns.w8, &plan.w8, value)?;
    fill_slots::<u32, 4, NULLS>(&mut columns.w4, &plan.w4, value)?;
    fill_slots::<u8, 1, NULLS>(&mut columns.w1, &plan.w1, value)?;
    let mut var_bytes = 0;
    for slot in &plan.var {
        let column = &mut columns.var[slot.column];
        if NULLS && slot.null.is_set(value) {
            column.push_null();
            continue;
        }
        let bytes =
            var_value(value, plan.ends_at, plan.var_at, slot.index).ok_or(Fault::Row)?;
        column.push(bytes)?;
        var_bytes += bytes.len();
    }
    if plan.has_rare {
        var_bytes += fill_rare::<NULLS>(plan, columns, value)?;
    }
    Ok(var_bytes)
}

/// The kinds of columns few tables have.
fn fill_rare<const NULLS: bool>(
    plan: &RowPlan,
    columns: &mut Columns,
    value: &[u8],
) -> Result<usize, Fault> {
    fill_slots::<u16, 2, NULLS>(&mut columns.w2, &plan.w2, value)?;
    fill_slots::<i128, 16, NULLS>(&mut columns.w16, &plan.w16, value)?;
    let mut var_bytes = 0;
    for slot in &plan.nested {
        let column = &mut columns.nested[slot.column];
        if NULLS && slot.null.is_set(value) {
            column.push_null();
            continue;
        }
        let bytes =
            var_value(value, plan.ends_at, plan.var_at, slot.index).ok_or(Fault::Row)?;
        column.push(bytes)?;
        var_bytes += bytes.len();
    }
    for step in &plan.widened {
        if NULLS && step.null.is_set(value) {
            columns.push_null(step.target);
        } else {
            step.append(columns, value)?;
        }
    }
    for target in &plan.missing {
        columns.push_null(*target);
    }
    Ok(var_bytes)
}

#[inline]
fn fill_slots<T: SlotValue<W>, const W: usize, const NULLS: bool>(
    columns: &mut [FixedColumn<T>],
    slots: &[Slot],
    value: &[u8],
) -> Result<(), Fault> {
    for slot in slots {
        let column = &mut columns[slot.column];
        if NULLS && slot.null.is_set(value) {
            column.push_null();
            continue;
        }
        let bytes = value.get(slot.at..slot.at + W).and_then(|slot| slot.first_chunk::<W>());
        column.values.push(T::from_slot(*bytes.ok_or(Fault::Row)?));
    }
    Ok(())
}

/// A record batch of columns this crate built to fit the schema.
///
/// Arrow's checks of types, lengths and nullability stay on: they cost about as much as one
/// row's decoding, and turn a defect into an error instead of undefined values.
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
