//! Bulk ingest: a stream of batches becomes one commit, without a plan.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::PhysicalExpr;
use futures::{Stream, StreamExt};
use kalamdb_commons::TableDefinition;
use kalamdb_sql::{ObjectKind, TableEntry, not_found};
use kalamdb_store::RowChanges;

use super::defaults::{computation, default_expr};
use super::sink::{StatementWriter, Write};
use super::values::as_assigned;
use crate::planner::{Names, PlanContext};
use crate::{StatementContext, TablesError};

/// Appends a stream of batches to a table in one atomic commit. Columns are matched by name,
/// missing ones get their default, values are converted to the declared types. Returns the number
/// of rows.
///
/// `state` supplies functions for defaults and the memory pool.
///
/// # Errors
/// Columns the table does not have, values that cannot be stored, keys that exist; errors of the
/// stream as they come. Nothing is written then.
pub async fn insert_batches(
    state: &SessionState,
    context: &StatementContext,
    entry: &Arc<TableEntry>,
    batches: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send,
) -> Result<u64, TablesError> {
    gather(state, context, entry, batches).await?.commit(context).await
}

/// The rows [`insert_batches`] would write, checked and encoded but not committed: for a table
/// whose definition is committed together with its rows. `None` without rows.
pub async fn encode_batches(
    state: &SessionState,
    context: &StatementContext,
    entry: &Arc<TableEntry>,
    batches: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send,
) -> Result<Option<RowChanges>, TablesError> {
    gather(state, context, entry, batches).await?.finish().await
}

async fn gather(
    state: &SessionState,
    context: &StatementContext,
    entry: &Arc<TableEntry>,
    batches: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send,
) -> Result<StatementWriter, TablesError> {
    let reservation =
        MemoryConsumer::new("rows to ingest").register(&state.runtime_env().memory_pool);
    let mut writer = StatementWriter::new(entry, Write::Insert, context)?;
    let mut columns: Option<(SchemaRef, Vec<ColumnSource>)> = None;
    let mut batches = std::pin::pin!(batches);
    while let Some(batch) = batches.next().await {
        if context.cancel.is_cancelled() {
            return Err(TablesError::Cancelled);
        }
        let batch = batch?;
        let sources = match &mut columns {
            Some((schema, sources)) if *schema == batch.schema() => sources,
            other => {
                let sources = column_sources(state, context, entry, batch.schema_ref())?;
                &mut other.insert((batch.schema(), sources)).1
            }
        };
        writer.add(&declared(&entry.definition, sources, &batch)?)?;
        reservation.try_resize(writer.byte_len())?;
    }
    Ok(writer)
}

/// Where the values of a declared column come from.
enum ColumnSource {
    /// A column of the batch.
    Given(usize),
    /// The column's DEFAULT.
    Default(Arc<dyn PhysicalExpr>),
}

fn column_sources(
    state: &SessionState,
    context: &StatementContext,
    entry: &TableEntry,
    given: &Schema,
) -> Result<Vec<ColumnSource>, TablesError> {
    let definition = &entry.definition;
    let mut positions: Vec<Option<usize>> = definition.columns.iter().map(|_| None).collect();
    for (position, field) in given.fields().iter().enumerate() {
        let target = target_of(definition, field.name())?;
        if positions[target].replace(position).is_some() {
            return Err(TablesError::invalid(format!(
                "the ingested data has the column {} twice",
                definition.columns[target].name
            )));
        }
    }
    // A time for NOW().
    let mut state = state.clone();
    state.mark_start_execution();
    let names = Names::new(&context.catalog, &context.principal, &definition.namespace);
    let plans = PlanContext::new(&state, names);
    positions
        .into_iter()
        .zip(&definition.columns)
        .map(|(position, column)| match position {
            Some(position) => Ok(ColumnSource::Given(position)),
            None => {
                let expr = plans.plan_expression(default_expr(column)?)?;
                let expr = as_assigned(expr, &column.column_type);
                Ok(ColumnSource::Default(computation(&state, expr)?))
            }
        })
        .collect()
}

/// The declared column called `name`; letters may differ in case when that is unambiguous.
fn target_of(definition: &TableDefinition, name: &str) -> Result<usize, TablesError> {
    if let Some((position, _)) = definition.column(name) {
        return Ok(position);
    }
    let mut alike = definition
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.name.eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some((position, _)), None) => Ok(position),
        _ => {
            let known = definition.columns.iter().map(|column| &*column.name);
            Err(not_found(ObjectKind::Column, name, known).into())
        }
    }
}

/// The declared columns of a batch.
fn declared(
    definition: &TableDefinition,
    sources: &[ColumnSource],
    batch: &RecordBatch,
) -> Result<RecordBatch, TablesError> {
    let rows = batch.num_rows();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let without_columns =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
            .map_err(DataFusionError::from)?;
    let mut fields = Vec::with_capacity(sources.len());
    let mut columns = Vec::with_capacity(sources.len());
    for (source, column) in sources.iter().zip(&definition.columns) {
        let values = match source {
            ColumnSource::Given(position) => Arc::clone(batch.column(*position)),
            ColumnSource::Default(expr) => expr.evaluate(&without_columns)?.into_array(rows)?,
        };
        let name = column.name.to_string();
        fields.push(arrow::datatypes::Field::new(name, values.data_type().clone(), true));
        columns.push(values);
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(DataFusionError::from)?)
}
