//! Where the source query of a DML statement ends: in one commit.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::StreamExt;
use kalamdb_commons::limits::STATEMENT_BYTES_MAX;
use kalamdb_sql::TableEntry;
use kalamdb_store::{ChangeOp, RowChanges};

use super::append_only;
use super::change_writer::ChangeWriter;
use super::commit::{commit, truncate};
use super::insert_writer::InsertWriter;
use super::upsert::OrderedChanges;
use crate::table_provider::{check_version, owner_of};
use crate::{StatementContext, TablesError};

/// Rows from which on keys are checked on a blocking thread.
const INLINE_ROWS_MAX: usize = 1024;

/// What a statement does with the rows its source gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    /// The declared columns of new rows.
    Insert,
    /// Location, image, and the declared columns as they become. `repeated`: a row may come
    /// several times, the first counts.
    Update { repeated: bool },
    /// Location and image.
    Delete { repeated: bool },
    /// Location and image of rows, deleted ones among them, of which nothing is to stay.
    Erase,
    /// No rows: all of a SHARED table's go, and those of further ones.
    Truncate,
}

impl Write {
    /// What EXPLAIN calls it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Insert => "insert into",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete from",
            Self::Erase | Self::Truncate => "truncate",
        }
    }
}

/// The target of a DML plan: takes the source's rows, commits them, answers their number.
#[derive(Debug, Clone)]
pub(crate) struct DmlSink {
    entry: Arc<TableEntry>,
    write: Write,
    /// SHARED tables that are emptied in the same commit.
    emptied_too: Vec<Arc<TableEntry>>,
    schema: SchemaRef,
}

impl DmlSink {
    pub(crate) fn new(entry: Arc<TableEntry>, write: Write) -> Self {
        let schema = Arc::clone(entry.layout.declared_schema());
        Self { entry, write, emptied_too: Vec::new(), schema }
    }

    /// Empties SHARED tables, all or none.
    pub(crate) fn truncating(entry: Arc<TableEntry>, others: Vec<Arc<TableEntry>>) -> Self {
        Self { emptied_too: others, ..Self::new(entry, Write::Truncate) }
    }

    /// What EXPLAIN calls the statement, where it is no insertion.
    pub(crate) fn verb(&self) -> Option<&'static str> {
        match self.write {
            Write::Insert => None,
            Write::Update { .. } => Some("Update"),
            Write::Delete { .. } => Some("Delete"),
            Write::Erase | Write::Truncate => Some("Truncate"),
        }
    }
}

#[async_trait]
impl TableProvider for DmlSink {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let reason = String::from("the sink of a statement cannot be scanned");
        Err(TablesError::Internal { reason }.into())
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        _op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let run = SinkRun { sink: self.clone(), schema: nullable(&input.schema()) };
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(run), None)))
    }
}

/// The sink of one physical plan.
#[derive(Debug)]
struct SinkRun {
    sink: DmlSink,
    /// The input's columns, all nullable: DataSinkExec's own NOT NULL check names neither table
    /// nor row, so it is given nothing to check; ours comes later.
    schema: SchemaRef,
}

pub(super) fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl DisplayAs for SinkRun {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.sink.write.verb();
        write!(f, "{verb} {}", self.sink.entry.definition.qualified_name())?;
        let others = self.sink.emptied_too.iter();
        others.map(|entry| entry.definition.qualified_name()).try_for_each(|n| write!(f, ", {n}"))
    }
}

#[async_trait]
impl DataSink for SinkRun {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(
        &self,
        data: SendableRecordBatchStream,
        task: &Arc<TaskContext>,
    ) -> Result<u64> {
        let context = StatementContext::of(task.session_config())?;
        let (entry, write) = (&self.sink.entry, self.sink.write);
        let (writer, _memory) = gather(entry, write, data, &context, task).await?;
        match write {
            Write::Truncate => {
                let mut tables = vec![Arc::clone(&entry.definition)];
                for other in &self.sink.emptied_too {
                    // For what is checked there: the right to, and that it is the same table still.
                    StatementWriter::new(other, write, &context)?;
                    tables.push(Arc::clone(&other.definition));
                }
                truncate(&context.view, tables, &context.cancel).await?;
                Ok(0)
            }
            // It says as little as the other form of TRUNCATE.
            Write::Erase => writer.commit(&context).await.map(|_| 0).map_err(Into::into),
            _ => Ok(writer.commit(&context).await?),
        }
    }
}

/// Takes all rows of a source, and the memory they need.
pub(super) async fn gather(
    entry: &Arc<TableEntry>,
    write: Write,
    mut data: SendableRecordBatchStream,
    context: &StatementContext,
    task: &TaskContext,
) -> Result<(StatementWriter, MemoryReservation)> {
    let reservation = MemoryConsumer::new("rows to write").register(task.memory_pool());
    let mut writer = StatementWriter::new(entry, write, context)?;
    while let Some(batch) = data.next().await {
        if context.cancel.is_cancelled() {
            return Err(TablesError::Cancelled.into());
        }
        writer.add(&batch?)?;
        reservation.try_resize(writer.byte_len())?;
    }
    // The source's view and memory are not needed while the commit waits: it ends here.
    Ok((writer, reservation))
}

/// Gathers the rows of one statement and commits them.
pub(super) struct StatementWriter {
    table: String,
    rows: Rows,
}

enum Rows {
    New(InsertWriter),
    Changed(ChangeWriter),
}

impl StatementWriter {
    /// # Errors
    /// When the principal may not write the table, or it has changed since the plan was made.
    pub(super) fn new(
        entry: &Arc<TableEntry>,
        write: Write,
        context: &StatementContext,
    ) -> Result<Self, TablesError> {
        check_version(entry, context)?;
        context.catalog.authorize_write(&context.principal, entry)?;
        let owner = owner_of(entry, context);
        let checks = context.checks.of(entry)?;
        let changed = |op, repeated| {
            let (entry, owner, checks) = (Arc::clone(entry), owner.clone(), Arc::clone(&checks));
            Rows::Changed(ChangeWriter::new(entry, owner, op, repeated, checks))
        };
        if !matches!(write, Write::Insert) {
            append_only::refuse_change(entry, "a change")?;
        }
        let rows = match write {
            Write::Insert => {
                let view = Arc::clone(&context.view);
                let (entry, checks) = (Arc::clone(entry), Arc::clone(&checks));
                Rows::New(InsertWriter::new(entry, owner.clone(), view, checks))
            }
            Write::Update { repeated } => changed(ChangeOp::Update, repeated),
            Write::Delete { repeated } => changed(ChangeOp::Delete, repeated),
            Write::Erase | Write::Truncate => {
                Rows::Changed(ChangeWriter::erasing(Arc::clone(entry), owner.clone()))
            }
        };
        Ok(Self { table: entry.definition.qualified_name(), rows })
    }

    /// Adds rows of the source.
    ///
    /// # Errors
    /// Values that cannot be stored; more bytes than a statement may write.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), TablesError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match &mut self.rows {
            Rows::New(writer) => writer.add(batch)?,
            Rows::Changed(writer) => writer.add(batch)?,
        }
        if self.byte_len() > STATEMENT_BYTES_MAX {
            return Err(TablesError::StatementTooLarge {
                table: self.table.clone(),
                limit_bytes: STATEMENT_BYTES_MAX,
            });
        }
        Ok(())
    }

    pub(super) fn byte_len(&self) -> usize {
        match &self.rows {
            Rows::New(writer) => writer.byte_len(),
            Rows::Changed(writer) => writer.byte_len(),
        }
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::New(writer) => writer.len(),
            Rows::Changed(writer) => writer.len(),
        }
    }

    /// Checks the keys and commits; the number of rows. Nothing is committed without rows.
    pub(super) async fn commit(self, context: &StatementContext) -> Result<u64, TablesError> {
        let count = self.len() as u64;
        if let Some(changes) = self.finish().await? {
            commit(&context.view, vec![changes], &context.cancel).await?;
        }
        Ok(count)
    }

    /// Checks the keys; the changes to commit, when there are any.
    pub(super) async fn finish(self) -> Result<Option<RowChanges>, TablesError> {
        Ok(self.into_changes().await?.map(|ordered| ordered.changes))
    }

    /// As [`StatementWriter::finish`], with where the rows stood in the statement.
    pub(super) async fn into_changes(self) -> Result<Option<OrderedChanges>, TablesError> {
        if self.len() == 0 {
            return Ok(None);
        }
        Ok(Some(match self.rows {
            Rows::Changed(writer) => OrderedChanges { changes: writer.finish(), order: None },
            Rows::New(_) => self.apart(InsertWriter::finish).await?,
        }))
    }

    /// Checks the keys of new rows.
    pub(super) async fn apart<T: Send + 'static>(
        self,
        check: impl FnOnce(InsertWriter) -> Result<T, TablesError> + Send + 'static,
    ) -> Result<T, TablesError> {
        let Rows::New(writer) = self.rows else {
            let reason = String::from("only new rows have keys to check");
            return Err(TablesError::Internal { reason });
        };
        check_apart(writer, check).await
    }
}

/// Checks the keys of new rows, on a blocking thread when there are many.
pub(super) async fn check_apart<T: Send + 'static>(
    writer: InsertWriter,
    check: impl FnOnce(InsertWriter) -> Result<T, TablesError> + Send + 'static,
) -> Result<T, TablesError> {
    if writer.len() <= INLINE_ROWS_MAX {
        return check(writer);
    }
    let checked = tokio::task::spawn_blocking(move || check(writer)).await;
    checked.unwrap_or_else(|error| {
        Err(TablesError::Internal { reason: format!("the key check ended early: {error}") })
    })
}
