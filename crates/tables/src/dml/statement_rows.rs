//! Rows a running statement has found out about, as a table that plans of the same statement
//! read: those that stand in the way of ON CONFLICT, and those RETURNING gives back.
//!
//! The rows travel with the statement's context; the plans hold nothing and can be kept.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use kalamdb_commons::limits::BATCH_ROWS;
use kalamdb_sql::TableEntry;
use kalamdb_store::{BatchBuilder, ByteRows, TableLayout};
use parking_lot::Mutex;

use crate::{StatementContext, TablesError};

/// The column that tells a row's place, unless the table has one of that name. No name a user
/// writes has a control character in it, and messages leave such names out.
const PLACE: &str = "\u{1}place";
/// What ON CONFLICT calls the rows that were to be inserted.
pub(super) const EXCLUDED: &str = "excluded";

/// Which rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RowsOf {
    /// Rows that have the keys of new ones, each beside the new one.
    Conflicts,
    /// Rows as they are written.
    Written,
    /// Rows as they were before they are deleted.
    Deleted,
}

/// The name of the column that tells a row's place; none of the table's own.
pub(super) fn place_column(layout: &TableLayout) -> String {
    let mut name = String::from(PLACE);
    while layout.declared_schema().field_with_name(&name).is_ok() {
        name.push('.');
    }
    name
}

/// The rows of one running statement.
#[derive(Debug, Default)]
pub struct StatementRows {
    conflicts: Mutex<Vec<RecordBatch>>,
    changed: Mutex<Vec<RecordBatch>>,
}

impl StatementRows {
    fn of(&self, rows: RowsOf) -> &Mutex<Vec<RecordBatch>> {
        match rows {
            RowsOf::Conflicts => &self.conflicts,
            RowsOf::Written | RowsOf::Deleted => &self.changed,
        }
    }

    pub(super) fn set(&self, rows: RowsOf, batches: Vec<RecordBatch>) {
        *self.of(rows).lock() = batches;
    }
}

impl RowsOf {
    /// The wide schema's columns a row of the table has.
    fn columns(self, layout: &TableLayout) -> Vec<usize> {
        let declared = 0..layout.declared_len();
        let kept = [layout.updated_index(), layout.commit_seq_index()];
        match self {
            // Number and time of the commit are not known before it, and which row of a stream
            // comes next is not either.
            Self::Written if layout.definition().stream_options().is_some() => declared.collect(),
            Self::Written => declared.chain(layout.row_id_index()).collect(),
            Self::Deleted => declared.chain(layout.row_id_index()).chain(kept).collect(),
            Self::Conflicts => declared.chain(kept).collect(),
        }
    }

    /// Whether a row has the system column of this name.
    pub(super) fn has(self, layout: &TableLayout, name: &str) -> bool {
        let wide = layout.wide_schema();
        self.columns(layout).iter().any(|column| wide.field(*column).name() == name)
    }

    fn schema(self, layout: &TableLayout) -> SchemaRef {
        let wide = layout.wide_schema();
        let mut fields: Vec<Field> =
            self.columns(layout).iter().map(|column| wide.field(*column).clone()).collect();
        if self == Self::Conflicts {
            let excluded = layout.declared_schema().fields().iter();
            fields = fields
                .into_iter()
                .chain(excluded.map(|field| field.as_ref().clone()))
                .enumerate()
                // Both sides have the same names.
                .map(|(position, field)| field.with_name(format!("c{position}")))
                .collect();
        }
        fields.push(Field::new(place_column(layout), DataType::Int64, false));
        Arc::new(Schema::new(fields))
    }
}

/// A plan of the rows: the target's columns go by `reference`, those of [`EXCLUDED`] by that name.
pub(crate) fn relation(
    entry: &Arc<TableEntry>,
    rows: RowsOf,
    reference: TableReference,
) -> Result<LogicalPlan> {
    let layout = &entry.layout;
    let table = RowsTable { schema: rows.schema(layout), rows };
    let source = provider_as_source(Arc::new(table));
    let scan = LogicalPlanBuilder::scan(reference.clone(), source, None)?;
    if rows != RowsOf::Conflicts {
        return scan.build();
    }
    let wide = layout.wide_schema();
    let mut names = Vec::new();
    for column in rows.columns(layout) {
        names.push((reference.clone(), wide.field(column).name()));
    }
    for field in layout.declared_schema().fields() {
        names.push((TableReference::bare(EXCLUDED), field.name()));
    }
    let columns = names.into_iter().enumerate().map(|(position, (side, name))| {
        let column = Column::new(Some(reference.clone()), format!("c{position}"));
        Expr::Column(column).alias_qualified(Some(side), name)
    });
    let place = Expr::Column(Column::new(Some(reference.clone()), place_column(layout)));
    let columns: Vec<Expr> = columns.chain([place]).collect();
    scan.project(columns)?.build()
}

/// The rows of one statement as a table.
#[derive(Debug)]
pub(crate) struct RowsTable {
    rows: RowsOf,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partition = RowsPartition { rows: self.rows, schema: self.schema() };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(partition)];
        let exec =
            StreamingTableExec::try_new(self.schema(), partitions, projection, [], false, limit)?;
        Ok(Arc::new(exec))
    }
}

#[derive(Debug)]
struct RowsPartition {
    rows: RowsOf,
    schema: SchemaRef,
}

impl PartitionStream for RowsPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, task: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches: Vec<Result<RecordBatch>> = match StatementContext::of(task.session_config()) {
            Ok(context) => context.rows.of(self.rows).lock().iter().cloned().map(Ok).collect(),
            Err(error) => vec![Err(error.into())],
        };
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
    }
}

/// Decodes rows into the batches [`RowsTable`] gives.
pub(super) struct RowsDecoder {
    rows: RowsOf,
    schema: SchemaRef,
    target: BatchBuilder,
    excluded: Option<BatchBuilder>,
    places: Vec<i64>,
    batches: Vec<RecordBatch>,
}

impl RowsDecoder {
    pub(super) fn new(layout: &Arc<TableLayout>, rows: RowsOf) -> Result<Self, TablesError> {
        let declared: Vec<usize> = (0..layout.declared_len()).collect();
        let excluded = match rows {
            RowsOf::Conflicts => Some(BatchBuilder::new(Arc::clone(layout), &declared)?),
            RowsOf::Written | RowsOf::Deleted => None,
        };
        Ok(Self {
            rows,
            schema: rows.schema(layout),
            target: BatchBuilder::new(Arc::clone(layout), &rows.columns(layout))?,
            excluded,
            places: Vec::new(),
            batches: Vec::new(),
        })
    }

    /// Adds rows: their keys and images, the images of new rows beside them if they conflict, and
    /// the place of each.
    pub(super) fn add(
        &mut self,
        layout: &TableLayout,
        keys: &ByteRows,
        images: &ByteRows,
        excluded: Option<&ByteRows>,
        place: impl Fn(usize) -> usize,
    ) -> Result<(), TablesError> {
        for (index, (key, image)) in keys.iter().zip(images.iter()).enumerate() {
            let prefix = layout.prefix_len(key)?;
            self.target.append(prefix, key, image)?;
            if let (Some(builder), Some(excluded)) = (&mut self.excluded, excluded) {
                builder.append(prefix, key, excluded.get(index))?;
            }
            self.places.push(i64::try_from(place(index)).unwrap_or(i64::MAX));
            if self.places.len() == BATCH_ROWS {
                self.close_batch()?;
            }
        }
        Ok(())
    }

    fn close_batch(&mut self) -> Result<(), TablesError> {
        if self.places.is_empty() {
            return Ok(());
        }
        let mut columns = self.target.finish()?.columns().to_vec();
        if let Some(excluded) = &mut self.excluded {
            columns.extend_from_slice(excluded.finish()?.columns());
        }
        columns.push(Arc::new(Int64Array::from(std::mem::take(&mut self.places))));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| TablesError::Internal { reason: error.to_string() })?;
        self.batches.push(batch);
        Ok(())
    }

    /// Hands the rows to the plans of the statement; their bytes.
    pub(super) fn finish(mut self, context: &StatementContext) -> Result<usize, TablesError> {
        self.close_batch()?;
        let bytes = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        context.rows.set(self.rows, self.batches);
        Ok(bytes)
    }
}
