//! New rows whose keys may be taken: which are new, which stand in the way, and what becomes of
//! the latter.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use kalamdb_store::{ByteRows, ChangeOp, RowChanges, lookup_keys, row_format};

use super::insert_writer::{InsertWriter, LOOKUP_KEYS_MAX, convert_columns, sorted_order};
use super::statement_rows::{RowsDecoder, RowsOf};
use crate::{StatementContext, TablesError};

/// Changes, and where each of their rows stands in the statement.
pub(super) struct OrderedChanges {
    pub(super) changes: RowChanges,
    /// `None`: in the order of the changes.
    pub(super) order: Option<Vec<usize>>,
}

impl OrderedChanges {
    pub(super) fn place(&self, index: usize) -> usize {
        self.order.as_ref().and_then(|order| order.get(index).copied()).unwrap_or(index)
    }
}

/// Rows of an INSERT with ON CONFLICT, held against the keys that exist.
pub(super) struct Split {
    /// Rows whose keys are free.
    pub(super) new: OrderedChanges,
    /// Rows whose keys are taken; none for DO NOTHING.
    pub(super) conflicts: Conflicts,
}

/// Rows whose keys are taken.
pub(super) struct Conflicts {
    writer: InsertWriter,
    keys: ByteRows,
    /// The rows that were to be inserted.
    excluded: ByteRows,
    /// The rows that are there.
    old: ByteRows,
    /// Where each stands in the statement.
    order: Vec<usize>,
}

/// The rows in key order, of those with one key the first; `updates` refuses the others.
fn first_of_each_key(
    writer: &InsertWriter,
    keys: &ByteRows,
    rows: &ByteRows,
    updates: bool,
) -> Result<Vec<usize>, TablesError> {
    let in_order = if writer.ascending { (0..keys.len()).collect() } else { sorted_order(keys) };
    let mut order: Vec<usize> = Vec::with_capacity(in_order.len());
    for row in in_order {
        match order.last() {
            Some(first) if keys.get(*first) == keys.get(row) => {
                if updates {
                    return Err(TablesError::AffectedTwice {
                        table: writer.entry.definition.qualified_name(),
                        key: writer.key_text_of(keys.get(row), rows.get(row))?,
                        first_row: *first as u64 + 1,
                        row: row as u64 + 1,
                    });
                }
            }
            _ => order.push(row),
        }
    }
    Ok(order)
}

/// Splits the rows gathered. Of rows with one key the first counts; `updates` refuses them.
///
/// # Errors
/// [`TablesError::AffectedTwice`].
pub(super) fn split(mut writer: InsertWriter, updates: bool) -> Result<Split, TablesError> {
    let keys = std::mem::take(&mut writer.keys);
    let rows = std::mem::take(&mut writer.rows);
    let order = first_of_each_key(&writer, &keys, &rows, updates)?;
    let mut old = ByteRows::new();
    let mut new_order = Vec::with_capacity(order.len());
    let mut conflicts = Conflicts {
        keys: ByteRows::new(),
        excluded: ByteRows::new(),
        old: ByteRows::new(),
        order: Vec::new(),
        writer,
    };
    let mut chunk = ByteRows::new();
    let writer = &mut conflicts.writer;
    for part in order.chunks(LOOKUP_KEYS_MAX) {
        chunk.clear();
        part.iter().for_each(|row| chunk.push(keys.get(*row)));
        let found = lookup_keys(&writer.view, &writer.entry.layout, &chunk)?;
        for (row, image) in part.iter().copied().zip(found) {
            match image {
                Some(image) if !row_format::is_deleted(&image) => {
                    if updates {
                        conflicts.keys.push(keys.get(row));
                        conflicts.excluded.push(rows.get(row));
                        conflicts.old.push(&image);
                        conflicts.order.push(row);
                    }
                    continue;
                }
                // A deleted row counts as none, and is replaced.
                Some(image) => old.push(&image),
                None => old.push(&[]),
            }
            writer.keys.push(keys.get(row));
            writer.rows.push(rows.get(row));
            new_order.push(row);
        }
    }
    let changes = RowChanges {
        layout: Arc::clone(&writer.entry.layout),
        owner: writer.owner.clone(),
        op: ChangeOp::Insert,
        keys: std::mem::take(&mut writer.keys),
        rows: std::mem::take(&mut writer.rows),
        old: if old.iter().all(<[u8]>::is_empty) { ByteRows::new() } else { old },
    };
    Ok(Split { new: OrderedChanges { changes, order: Some(new_order) }, conflicts })
}

impl Conflicts {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Hands the rows to the plan that says what becomes of them; their bytes.
    pub(super) fn show(&self, context: &StatementContext) -> Result<usize, TablesError> {
        let layout = &self.writer.entry.layout;
        let mut decoder = RowsDecoder::new(layout, RowsOf::Conflicts)?;
        decoder.add(layout, &self.keys, &self.old, Some(&self.excluded), |index| index)?;
        decoder.finish(context)
    }

    /// The changes that plan asks for.
    ///
    /// # Errors
    /// Values that cannot be stored, naming column and row.
    pub(super) async fn updates(
        self,
        mut planned: SendableRecordBatchStream,
    ) -> Result<OrderedChanges> {
        let entry = Arc::clone(&self.writer.entry);
        let mut changes = RowChanges {
            layout: Arc::clone(&entry.layout),
            owner: self.writer.owner.clone(),
            op: ChangeOp::Update,
            keys: ByteRows::new(),
            rows: ByteRows::new(),
            old: ByteRows::new(),
        };
        let mut order = Vec::new();
        let mut seen = vec![false; self.keys.len()];
        while let Some(batch) = planned.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let indexes = self.indexes(&batch, &mut seen)?;
            let places: Vec<usize> =
                indexes.iter().filter_map(|index| self.order.get(*index).copied()).collect();
            let values: Vec<usize> = (1..batch.num_columns()).collect();
            let values = batch.project(&values)?;
            let InsertWriter { columns, checks, .. } = &self.writer;
            let values = convert_columns(&entry.definition, columns, checks, &values, 1)
                .map_err(|error| at_statement_row(error, &places))?;
            entry
                .layout
                .encode_rows(&values, false, &mut changes.rows)
                .map_err(|error| TablesError::of_rows(error, &entry.definition.qualified_name(), 1))
                .map_err(|error| at_statement_row(error, &places))?;
            for index in indexes {
                changes.keys.push(self.keys.get(index));
                changes.old.push(self.old.get(index));
            }
            order.extend(places);
        }
        Ok(OrderedChanges { changes, order: Some(order) })
    }

    /// Which of the rows those of a batch are; none may come again.
    fn indexes(&self, batch: &RecordBatch, seen: &mut [bool]) -> Result<Vec<usize>, TablesError> {
        let defect = || TablesError::Internal {
            reason: String::from("the plan of ON CONFLICT gives rows it was not given"),
        };
        let column = batch.columns().first().and_then(|c| c.as_primitive_opt::<Int64Type>());
        let mut indexes = Vec::with_capacity(batch.num_rows());
        for index in column.ok_or_else(defect)?.values() {
            let index = usize::try_from(*index).map_err(|_| defect())?;
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(defect()),
            }
            indexes.push(index);
        }
        Ok(indexes)
    }
}

/// The error of a row of a batch as one of a row of the statement.
fn at_statement_row(mut error: TablesError, places: &[usize]) -> TablesError {
    if let TablesError::BadValue { row, .. }
    | TablesError::NullValue { row, .. }
    | TablesError::RowTooLarge { row, .. } = &mut error
    {
        let index = usize::try_from(row.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(place) = places.get(index) {
            *row = *place as u64 + 1;
        }
    }
    error
}
