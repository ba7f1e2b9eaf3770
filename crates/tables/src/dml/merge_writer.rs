//! The rows of one MERGE, each by the action of its clause.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kalamdb_commons::limits::STATEMENT_BYTES_MAX;
use kalamdb_sql::TableEntry;
use kalamdb_store::{BatchBuilder, ByteRows, ChangeOp, RowChanges};

use super::change_writer::ChangeWriter;
use super::commit::commit;
use super::insert_writer::InsertWriter;
use super::sink::check_apart;
use crate::table_provider::{check_version, owner_of};
use crate::{StatementContext, TablesError};

/// Columns of the source: where the row is, what it is now, the number of the clause.
pub(super) const LOCATION: usize = 0;
pub(super) const IMAGE: usize = 1;
pub(super) const ACTION: usize = 2;

/// What a clause does with its rows. `columns` are the source's columns that hold the declared
/// ones as they become, in declared order.
#[derive(Debug)]
pub(super) enum ClauseRows {
    Insert { columns: Vec<usize> },
    Update { columns: Vec<usize> },
    Delete,
    Nothing,
}

/// The clauses of a MERGE; a row's action is the position of its clause.
#[derive(Debug)]
pub(super) struct MergeClauses(pub(super) Vec<ClauseRows>);

impl fmt::Display for MergeClauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, clause) in self.0.iter().enumerate() {
            let name = match clause {
                ClauseRows::Insert { .. } => "insert",
                ClauseRows::Update { .. } => "update",
                ClauseRows::Delete => "delete",
                ClauseRows::Nothing => "nothing",
            };
            write!(f, "{}{position}: {name}", if position == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Gathers the rows of one MERGE.
pub(super) struct MergeWriter {
    entry: Arc<TableEntry>,
    clauses: Arc<MergeClauses>,
    inserts: InsertWriter,
    updates: ChangeWriter,
    deletes: ChangeWriter,
    /// Locations of the rows that are updated or deleted.
    changed: HashSet<Vec<u8>>,
}

impl MergeWriter {
    /// # Errors
    /// When the principal may not write the table, or it has changed since the plan was made.
    pub(super) fn new(
        entry: &Arc<TableEntry>,
        clauses: &Arc<MergeClauses>,
        context: &StatementContext,
    ) -> Result<Self, TablesError> {
        check_version(entry, context)?;
        context.catalog.authorize_write(&context.principal, entry)?;
        let owner = owner_of(entry, context);
        let checks = context.checks.of(entry)?;
        let changes = |op| {
            ChangeWriter::new(Arc::clone(entry), owner.clone(), op, false, Arc::clone(&checks))
        };
        let view = Arc::clone(&context.view);
        Ok(Self {
            entry: Arc::clone(entry),
            clauses: Arc::clone(clauses),
            updates: changes(ChangeOp::Update),
            deletes: changes(ChangeOp::Delete),
            inserts: InsertWriter::new(Arc::clone(entry), owner.clone(), view, checks),
            changed: HashSet::new(),
        })
    }

    pub(super) fn byte_len(&self) -> usize {
        self.inserts.byte_len() + self.updates.byte_len() + self.deletes.byte_len()
    }

    /// Adds rows of the source.
    ///
    /// # Errors
    /// Values that cannot be stored; a row that would be changed twice; more bytes than a
    /// statement may write.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), TablesError> {
        let clauses = Arc::clone(&self.clauses);
        let actions = batch.columns().get(ACTION).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let actions = actions.ok_or_else(|| internal("the source of a MERGE gives no actions"))?;
        for (number, clause) in (0_i64..).zip(&clauses.0) {
            let rows = rows_of(batch, actions, number)?;
            if rows.num_rows() == 0 {
                continue;
            }
            match clause {
                ClauseRows::Insert { columns } => self.inserts.add(&project(&rows, columns)?)?,
                ClauseRows::Update { columns } => {
                    self.check_unchanged(&rows)?;
                    let mut places = vec![LOCATION, IMAGE];
                    places.extend(columns);
                    self.updates.add(&project(&rows, &places)?)?;
                }
                ClauseRows::Delete => {
                    self.check_unchanged(&rows)?;
                    self.deletes.add(&project(&rows, &[LOCATION, IMAGE])?)?;
                }
                ClauseRows::Nothing => {}
            }
        }
        if self.byte_len() > STATEMENT_BYTES_MAX {
            return Err(TablesError::StatementTooLarge {
                table: self.entry.definition.qualified_name(),
                limit_bytes: STATEMENT_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Refuses rows that the statement has changed already.
    fn check_unchanged(&mut self, rows: &RecordBatch) -> Result<(), TablesError> {
        let column = |place: usize| {
            let column = rows.columns().get(place).and_then(|c| c.as_binary_opt::<i32>());
            column.ok_or_else(|| internal("the source of a MERGE gives no locations"))
        };
        for (location, image) in column(LOCATION)?.iter().zip(column(IMAGE)?) {
            let location = location.unwrap_or_default();
            if !self.changed.insert(location.to_vec()) {
                return Err(TablesError::ChangedTwice {
                    table: self.entry.definition.qualified_name(),
                    key: self.key_text(location, image.unwrap_or_default())?,
                });
            }
        }
        Ok(())
    }

    /// The key of a stored row as `(id = 5, name = x)`; all its columns when it has none.
    fn key_text(&self, key: &[u8], image: &[u8]) -> Result<String, TablesError> {
        let layout = &self.entry.layout;
        let positions = match self.entry.definition.key_positions() {
            none if none.is_empty() => (0..self.entry.definition.columns.len()).collect(),
            positions => positions,
        };
        let mut builder = BatchBuilder::new(Arc::clone(layout), &positions)?;
        builder.append(layout.prefix_len(key)?, key, image)?;
        let batch = builder.finish()?;
        let options = FormatOptions::default().with_null("NULL");
        let mut parts = Vec::with_capacity(positions.len());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let shown = ArrayFormatter::try_new(column, &options).map_err(arrow_error)?;
            parts.push(format!("{} = {}", field.name(), shown.value(0)));
        }
        Ok(format!("({})", parts.join(", ")))
    }

    /// Checks the keys and commits everything at once; the number of rows inserted, updated and
    /// deleted.
    pub(super) async fn commit(self, context: &StatementContext) -> Result<u64, TablesError> {
        let count = (self.inserts.len() + self.updates.len() + self.deletes.len()) as u64;
        let Self { mut inserts, updates, deletes, .. } = self;
        let updates = updates.finish();
        let (deletes, replaced) = replaced(&mut inserts, deletes.finish());
        let inserts = match inserts.len() {
            0 => None,
            _ => Some(check_apart(inserts, InsertWriter::finish).await?.changes),
        };
        let mut changes: Vec<RowChanges> =
            [Some(deletes), Some(updates), replaced, inserts].into_iter().flatten().collect();
        changes.retain(|changes| !changes.keys.is_empty());
        if !changes.is_empty() {
            commit(&context.view, changes, &context.cancel).await?;
        }
        Ok(count)
    }
}

/// No key may stand twice in a commit: a row that takes the key of one that is deleted becomes an
/// update of it. The deletions that are left, and these updates.
fn replaced(inserts: &mut InsertWriter, deletes: RowChanges) -> (RowChanges, Option<RowChanges>) {
    if inserts.len() == 0 || deletes.keys.is_empty() {
        return (deletes, None);
    }
    let mut deleted: HashMap<&[u8], usize> =
        deletes.keys.iter().enumerate().map(|(row, key)| (key, row)).collect();
    let mut taken = Vec::new();
    // Of two new rows with one key the second stays: it meets the check for duplicates.
    let (keys, rows) = inserts.take(|key| {
        let row = deleted.remove(key);
        taken.extend(row);
        row.is_some()
    });
    if keys.is_empty() {
        return (deletes, None);
    }
    let mut old = ByteRows::new();
    taken.iter().for_each(|row| old.push(deletes.old.get(*row)));
    let without: HashSet<usize> = taken.into_iter().collect();
    let left = |from: &ByteRows| {
        let mut left = ByteRows::new();
        let rows = from.iter().enumerate().filter(|(row, _)| !without.contains(row));
        rows.for_each(|(_, bytes)| left.push(bytes));
        left
    };
    let layout = Arc::clone(&deletes.layout);
    let owner = deletes.owner.clone();
    let replaced = RowChanges { layout, owner, op: ChangeOp::Update, keys, rows, old };
    let (keys, rows, old) = (left(&deletes.keys), left(&deletes.rows), left(&deletes.old));
    (RowChanges { keys, rows, old, ..deletes }, Some(replaced))
}

fn rows_of(
    batch: &RecordBatch,
    actions: &Int64Array,
    number: i64,
) -> Result<RecordBatch, TablesError> {
    let chosen: BooleanArray = actions.iter().map(|action| Some(action == Some(number))).collect();
    filter_record_batch(batch, &chosen).map_err(arrow_error)
}

fn project(rows: &RecordBatch, columns: &[usize]) -> Result<RecordBatch, TablesError> {
    rows.project(columns).map_err(arrow_error)
}

fn arrow_error(error: ArrowError) -> TablesError {
    TablesError::Internal { reason: error.to_string() }
}

fn internal(reason: &str) -> TablesError {
    TablesError::Internal { reason: reason.to_owned() }
}
