//! Rows that are updated or deleted: found by the source query with their locations and images.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use kalamdb_commons::UserId;
use kalamdb_sql::TableEntry;
use kalamdb_store::{ByteRows, ChangeOp, RowChanges, row_format};

use super::assign::AssignColumn;
use super::checks::TableChecks;
use super::insert_writer::convert_columns;
use crate::TablesError;

/// Columns of the source before the new values: location, image.
const BEFORE_VALUES: usize = 2;

/// Gathers the rows of one UPDATE or DELETE.
pub(super) struct ChangeWriter {
    entry: Arc<TableEntry>,
    owner: Option<UserId>,
    op: ChangeOp,
    /// Whether a deleted row's last image stays for a while.
    keeps_deleted: bool,
    columns: Vec<Arc<AssignColumn>>,
    checks: Arc<TableChecks>,
    /// Locations seen, when the source may give one row several times.
    seen: Option<HashSet<Vec<u8>>>,
    keys: ByteRows,
    rows: ByteRows,
    old: ByteRows,
}

impl ChangeWriter {
    /// `repeated` says that the source joins other tables: of the rows it gives for one location
    /// the first counts.
    pub(super) fn new(
        entry: Arc<TableEntry>,
        owner: Option<UserId>,
        op: ChangeOp,
        repeated: bool,
        checks: Arc<TableChecks>,
    ) -> Self {
        Self {
            checks,
            columns: AssignColumn::of_table(&entry.definition),
            keeps_deleted: entry.definition.options.deleted_retention_hours > 0,
            entry,
            owner,
            op,
            seen: repeated.then(HashSet::new),
            keys: ByteRows::new(),
            rows: ByteRows::new(),
            old: ByteRows::new(),
        }
    }

    /// A writer that deletes rows, and deleted rows, without leaving anything of them.
    pub(super) fn erasing(entry: Arc<TableEntry>, owner: Option<UserId>) -> Self {
        // What goes is checked against nothing.
        let checks = Arc::new(TableChecks::default());
        Self { keeps_deleted: false, ..Self::new(entry, owner, ChangeOp::Delete, false, checks) }
    }

    /// Encoded bytes so far.
    pub(super) fn byte_len(&self) -> usize {
        self.keys.byte_len() + self.rows.byte_len() + self.old.byte_len()
    }

    /// Rows so far.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds rows: location, image, then for an update the declared columns.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), TablesError> {
        let batch = self.first_of_each(batch)?;
        let locations = binary(&batch, 0)?;
        let images = binary(&batch, 1)?;
        for (location, image) in locations.iter().zip(images) {
            let (Some(location), Some(image)) = (location, image) else {
                return Err(TablesError::Internal {
                    reason: String::from("a row to change has no location"),
                });
            };
            self.keys.push(location);
            self.old.push(image);
            if self.op == ChangeOp::Delete && self.keeps_deleted {
                row_format::as_tombstone(image, &mut self.rows)?;
            }
        }
        if self.op == ChangeOp::Update {
            let first_row = (self.keys.len() - batch.num_rows()) as u64 + 1;
            let values: Vec<usize> = (BEFORE_VALUES..batch.num_columns()).collect();
            let values = batch
                .project(&values)
                .map_err(|error| TablesError::Internal { reason: error.to_string() })?;
            let definition = &self.entry.definition;
            let values =
                convert_columns(definition, &self.columns, &self.checks, &values, first_row)?;
            self.entry.layout.encode_rows(&values, false, &mut self.rows).map_err(|error| {
                TablesError::of_rows(error, &definition.qualified_name(), first_row)
            })?;
        }
        Ok(())
    }

    /// The rows whose location has not come before.
    fn first_of_each(&mut self, batch: &RecordBatch) -> Result<RecordBatch, TablesError> {
        let Some(seen) = &mut self.seen else { return Ok(batch.clone()) };
        let locations = binary(batch, 0)?;
        let first: BooleanArray = locations
            .iter()
            .map(|location| Some(location.is_none_or(|location| seen.insert(location.to_vec()))))
            .collect();
        filter_record_batch(batch, &first)
            .map_err(|error| TablesError::Internal { reason: error.to_string() })
    }

    /// The changes to commit.
    pub(super) fn finish(self) -> RowChanges {
        RowChanges {
            layout: Arc::clone(&self.entry.layout),
            owner: self.owner,
            op: self.op,
            keys: self.keys,
            rows: self.rows,
            old: self.old,
        }
    }
}

fn binary(batch: &RecordBatch, column: usize) -> Result<&BinaryArray, TablesError> {
    let column = batch.columns().get(column);
    match column {
        Some(column) if column.data_type() == &DataType::Binary => Ok(column.as_binary::<i32>()),
        _ => Err(TablesError::Internal {
            reason: String::from("the source of a change gives no locations"),
        }),
    }
}
