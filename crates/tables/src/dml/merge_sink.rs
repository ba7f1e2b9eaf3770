//! Where the source query of MERGE ends: rows of all actions in one commit.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::StreamExt;
use kalamdb_sql::TableEntry;

use super::merge_writer::{MergeClauses, MergeWriter};
use super::sink::nullable;
use crate::{StatementContext, TablesError};

/// The target of a MERGE: takes the source's rows, commits them, answers how many rows were
/// inserted, updated and deleted.
#[derive(Debug, Clone)]
pub(crate) struct MergeSink {
    entry: Arc<TableEntry>,
    clauses: Arc<MergeClauses>,
    schema: SchemaRef,
}

impl MergeSink {
    pub(super) fn new(entry: Arc<TableEntry>, clauses: MergeClauses) -> Self {
        let schema = Arc::clone(entry.layout.declared_schema());
        Self { entry, clauses: Arc::new(clauses), schema }
    }
}

#[async_trait]
impl TableProvider for MergeSink {
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
        let run = MergeRun { sink: self.clone(), schema: nullable(&input.schema()) };
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(run), None)))
    }
}

/// The sink of one physical plan.
#[derive(Debug)]
struct MergeRun {
    sink: MergeSink,
    /// The input's columns, all nullable: the writer checks NOT NULL itself.
    schema: SchemaRef,
}

impl DisplayAs for MergeRun {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let table = self.sink.entry.definition.qualified_name();
        write!(f, "merge into {table} ({})", self.sink.clauses)
    }
}

#[async_trait]
impl DataSink for MergeRun {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(
        &self,
        mut data: SendableRecordBatchStream,
        task: &Arc<TaskContext>,
    ) -> Result<u64> {
        let context = StatementContext::of(task.session_config())?;
        let reservation = MemoryConsumer::new("rows to write").register(task.memory_pool());
        let mut writer = MergeWriter::new(&self.sink.entry, &self.sink.clauses, &context)?;
        while let Some(batch) = data.next().await {
            if context.cancel.is_cancelled() {
                return Err(TablesError::Cancelled.into());
            }
            writer.add(&batch?)?;
            reservation.try_resize(writer.byte_len())?;
        }
        // The source's view and memory are not needed while the commit waits.
        drop(data);
        Ok(writer.commit(&context).await?)
    }
}
