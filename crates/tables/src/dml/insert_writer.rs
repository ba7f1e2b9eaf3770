//! New rows: converted, checked, encoded, and held against the keys that exist.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kalamdb_commons::{Generation, TableDefinition, TableType, UserId};
use kalamdb_sql::TableEntry;
use kalamdb_store::{
    BatchBuilder, ByteRows, ChangeOp, ReadView, RowChanges, lookup_keys, row_format,
};

use super::assign::AssignColumn;
use super::checks::TableChecks;
use super::upsert::OrderedChanges;
use crate::TablesError;
use crate::functions::{is_told, texts};

/// Keys looked up in one call.
pub(super) const LOOKUP_KEYS_MAX: usize = 8192;

/// Gathers the rows of one INSERT or ingest.
pub(super) struct InsertWriter {
    pub(super) entry: Arc<TableEntry>,
    pub(super) owner: Option<UserId>,
    pub(super) view: Arc<ReadView>,
    generation: Generation,
    pub(super) columns: Vec<Arc<AssignColumn>>,
    pub(super) checks: Arc<TableChecks>,
    pub(super) keys: ByteRows,
    pub(super) rows: ByteRows,
    /// Every key so far is greater than the one before it: none can be there twice.
    pub(super) ascending: bool,
}

impl InsertWriter {
    pub(super) fn new(
        entry: Arc<TableEntry>,
        owner: Option<UserId>,
        view: Arc<ReadView>,
        checks: Arc<TableChecks>,
    ) -> Self {
        Self {
            checks,
            generation: view.generation(entry.definition.id),
            columns: AssignColumn::of_table(&entry.definition),
            entry,
            owner,
            view,
            keys: ByteRows::new(),
            rows: ByteRows::new(),
            ascending: true,
        }
    }

    /// Encoded bytes so far.
    pub(super) fn byte_len(&self) -> usize {
        self.keys.byte_len() + self.rows.byte_len()
    }

    /// Rows so far.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds rows whose columns are the declared ones, of whatever type.
    ///
    /// # Errors
    /// Values that cannot be stored, naming column and row.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), TablesError> {
        let batch = self.converted(batch)?;
        let before = self.keys.len();
        let rows = batch.num_rows() as u64;
        let row_ids = match self.entry.definition.table_type {
            // A stream's rows get theirs in the order of the commits; until then they are counted.
            TableType::Stream => Some(before as u64..before as u64 + rows),
            _ if self.entry.definition.has_hidden_key() => {
                Some(self.view.store().allocate_row_ids(rows))
            }
            _ => None,
        };
        let layout = &self.entry.layout;
        layout.encode_keys(
            &batch,
            self.generation,
            self.owner.as_ref(),
            row_ids,
            &mut self.keys,
        )?;
        layout.encode_rows(&batch, false, &mut self.rows).map_err(|error| {
            let table = self.entry.definition.qualified_name();
            TablesError::of_rows(error, &table, before as u64 + 1)
        })?;
        self.ascending = self.ascending
            && (before.max(1)..self.keys.len())
                .all(|row| self.keys.get(row - 1) < self.keys.get(row));
        Ok(())
    }

    fn converted(&self, batch: &RecordBatch) -> Result<RecordBatch, TablesError> {
        let first_row = self.keys.len() as u64 + 1;
        convert_columns(&self.entry.definition, &self.columns, &self.checks, batch, first_row)
    }

    /// Takes out the rows whose keys are `wanted`: their keys, and what they hold.
    pub(super) fn take(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) -> (ByteRows, ByteRows) {
        let (mut keys, mut rows) = (ByteRows::new(), ByteRows::new());
        let (mut kept_keys, mut kept_rows) = (ByteRows::new(), ByteRows::new());
        for (key, row) in self.keys.iter().zip(self.rows.iter()) {
            let taken = wanted(key);
            (if taken { &mut keys } else { &mut kept_keys }).push(key);
            (if taken { &mut rows } else { &mut kept_rows }).push(row);
        }
        (self.keys, self.rows) = (kept_keys, kept_rows);
        (keys, rows)
    }

    /// Checks the keys and gives the changes to commit.
    ///
    /// # Errors
    /// A key that exists, or that the statement has twice.
    pub(super) fn finish(mut self) -> Result<OrderedChanges, TablesError> {
        let (mut old, mut order) = (ByteRows::new(), None);
        if !self.entry.definition.has_hidden_key() {
            order = if self.ascending { None } else { Some(self.sort()?) };
            old = self.replaced_tombstones(order.as_deref())?;
        }
        let changes = RowChanges {
            layout: Arc::clone(&self.entry.layout),
            owner: self.owner,
            op: ChangeOp::Insert,
            keys: self.keys,
            rows: self.rows,
            old,
        };
        Ok(OrderedChanges { changes, order })
    }

    /// Puts the rows into key order, which the store writes fastest. Returns where each row
    /// stood before.
    fn sort(&mut self) -> Result<Vec<usize>, TablesError> {
        let order = sorted_order(&self.keys);
        let same = order.windows(2).find(|pair| self.keys.get(pair[0]) == self.keys.get(pair[1]));
        if let Some(&[first, second]) = same {
            let (first, second) = (first.min(second), first.max(second));
            return Err(TablesError::DuplicateKeyInStatement {
                table: self.entry.definition.qualified_name(),
                key: self.key_text(first)?,
                first_row: first as u64 + 1,
                row: second as u64 + 1,
            });
        }
        let sorted = |from: &ByteRows| {
            let mut rows = ByteRows::with_capacity(from.len(), from.byte_len());
            for row in &order {
                rows.push(from.get(*row));
            }
            rows
        };
        self.keys = sorted(&self.keys);
        self.rows = sorted(&self.rows);
        Ok(order)
    }

    /// Looks the keys up. The images of tombstones that are replaced; no rows when there are none.
    fn replaced_tombstones(&self, order: Option<&[usize]>) -> Result<ByteRows, TablesError> {
        let mut old = ByteRows::new();
        let mut chunk = ByteRows::new();
        let mut start = 0;
        while start < self.keys.len() {
            let end = self.keys.len().min(start + LOOKUP_KEYS_MAX);
            chunk.clear();
            for row in start..end {
                chunk.push(self.keys.get(row));
            }
            let found = lookup_keys(&self.view, &self.entry.layout, &chunk)?;
            for (row, image) in (start..end).zip(found) {
                match image {
                    None if old.is_empty() => {}
                    None => old.push(&[]),
                    Some(image) if row_format::is_deleted(&image) => {
                        while old.len() < row {
                            old.push(&[]);
                        }
                        old.push(&image);
                    }
                    Some(_) => {
                        let statement_row = order.and_then(|order| order.get(row).copied());
                        return Err(TablesError::DuplicateKey {
                            table: self.entry.definition.qualified_name(),
                            key: self.key_text(row)?,
                            row: statement_row.unwrap_or(row) as u64 + 1,
                        });
                    }
                }
            }
            start = end;
        }
        Ok(old)
    }

    /// The key of a gathered row as `(id = 5, name = x)`.
    fn key_text(&self, row: usize) -> Result<String, TablesError> {
        self.key_text_of(self.keys.get(row), self.rows.get(row))
    }

    /// The key of a row in the same form.
    pub(super) fn key_text_of(&self, key: &[u8], row: &[u8]) -> Result<String, TablesError> {
        let layout = &self.entry.layout;
        let positions = self.entry.definition.key_positions();
        let mut builder = BatchBuilder::new(Arc::clone(layout), &positions)?;
        builder.append(layout.prefix_len(key)?, key, row)?;
        let batch = builder.finish()?;
        let options = FormatOptions::default();
        let mut parts = Vec::with_capacity(positions.len());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let shown = match column.data_type() {
                of if is_told(of) => texts(column).map(|text| text.value(0).to_owned()),
                _ => ArrayFormatter::try_new(column, &options)
                    .map(|formatter| formatter.value(0).to_string()),
            };
            let shown =
                shown.map_err(|error| TablesError::Internal { reason: error.to_string() })?;
            parts.push(format!("{} = {shown}", field.name()));
        }
        Ok(format!("({})", parts.join(", ")))
    }
}

/// The rows in ascending order of their keys. Equal keys stay in the order they came in.
pub(super) fn sorted_order(keys: &ByteRows) -> Vec<usize> {
    let shared = shared_prefix(keys);
    // Most keys differ within the 8 bytes after what they share: comparing these as one number
    // spares the way to the keys.
    let mut order: Vec<(u64, usize)> = keys
        .iter()
        .enumerate()
        .map(|(row, key)| {
            let mut head = [0; 8];
            let rest = key.get(shared..).unwrap_or_default();
            let length = rest.len().min(head.len());
            head[..length].copy_from_slice(&rest[..length]);
            (u64::from_be_bytes(head), row)
        })
        .collect();
    order.sort_unstable_by(|(head_a, a), (head_b, b)| {
        head_a.cmp(head_b).then_with(|| keys.get(*a).cmp(keys.get(*b))).then_with(|| a.cmp(b))
    });
    order.into_iter().map(|(_, row)| row).collect()
}

/// The length of what all keys begin with.
fn shared_prefix(keys: &ByteRows) -> usize {
    let mut rows = keys.iter();
    let Some(first) = rows.next() else { return 0 };
    rows.fold(first.len(), |shared, key| {
        first[..shared].iter().zip(key).take_while(|(a, b)| a == b).count()
    })
}

/// A batch of exactly the declared columns: values converted, NULLs, lengths and CHECK
/// constraints checked. `first_row` is the 1-based row of the first.
pub(super) fn convert_columns(
    definition: &TableDefinition,
    columns: &[Arc<AssignColumn>],
    checks: &TableChecks,
    batch: &RecordBatch,
    first_row: u64,
) -> Result<RecordBatch, TablesError> {
    if batch.num_columns() != columns.len() {
        return Err(TablesError::Internal {
            reason: format!(
                "{} columns came for the {} of {}",
                batch.num_columns(),
                columns.len(),
                definition.qualified_name()
            ),
        });
    }
    let converted = columns
        .iter()
        .zip(batch.columns())
        .map(|(column, values)| {
            let values = column.assign(values, first_row)?;
            column.check_not_null(&values, first_row)?;
            column.check_length(&values, first_row)?;
            Ok(values)
        })
        .collect::<Result<Vec<_>, TablesError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(definition.arrow_schema(), converted, &options)
        .map_err(|error| TablesError::Internal { reason: error.to_string() })?;
    checks.enforce(definition, &batch, first_row)?;
    Ok(batch)
}
