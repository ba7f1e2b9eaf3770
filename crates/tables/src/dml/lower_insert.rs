//! INSERT as one source query: the declared columns in declared order, defaults filled in.

use std::sync::Arc;

use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, Projection, WriteOp,
};
use datafusion::sql::sqlparser::ast::{self, SetExpr};
use kalamdb_commons::{SqlState, TableDefinition};
use kalamdb_sql::{InsertSource, InsertStatement, ObjectKind, SqlError, TableEntry, not_found};

use super::assign::AssignColumn;
use super::defaults::default_expr;
use super::lower_change::Target;
use super::lower_conflict::plan_conflict;
use super::lower_returning::plan_returning;
use super::sink::{DmlSink, Write};
use super::statement_rows::RowsOf;
use super::values::{ValuesColumn, as_assigned, plan_values, type_parameters};
use super::wide_reals::compute_reals_wide;
use super::write_plan::{OnTaken, WritePlan, WriteSpec};
use crate::TablesError;
use crate::planner::{PlanContext, full_reference};

/// Columns a message names at most.
const NAMED_COLUMNS_MAX: usize = 20;

/// Plans INSERT.
pub(crate) fn plan_insert(
    context: &PlanContext<'_>,
    insert: &InsertStatement,
) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&insert.table)?;
    let definition = &entry.definition;
    let targets = target_positions(definition, &insert.columns)?;
    let source = match &insert.source {
        InsertSource::DefaultValues => None,
        InsertSource::Query(query) => Some(plan_source(context, definition, &targets, query)?),
    };
    // DEFAULT VALUES gives no column, all of them are missing.
    let targets = if source.is_some() { targets } else { Vec::new() };
    let source = match source {
        Some(source) => source,
        None => LogicalPlanBuilder::empty(true).build()?,
    };
    let projection = declared_columns(context, definition, &targets, &source)?;
    let source = LogicalPlan::Projection(Projection::try_new(projection, Arc::new(source))?);
    let target = Target { name: &insert.table, alias: insert.alias.as_ref() };
    let items = &insert.returning;
    // The queries in front of the statement stand there too.
    let with = match &insert.source {
        InsertSource::Query(query) => query.with.as_ref(),
        InsertSource::DefaultValues => None,
    };
    let returning = plan_returning(context, &entry, &target, RowsOf::Written, items, with)?;
    let (on_taken, conflict) = match &insert.on_conflict {
        None if returning.is_none() => return Ok(into_sink(entry, Write::Insert, source)),
        None => (OnTaken::Refuse, None),
        Some(on_conflict) => match plan_conflict(context, &entry, &target, on_conflict, with)? {
            None => (OnTaken::Skip, None),
            conflict => (OnTaken::Update, conflict),
        },
    };
    let (write, returns) = (Write::Insert, returning.is_some());
    let spec = WriteSpec { entry, write, on_taken, returning: returns };
    WritePlan::plan(spec, source, conflict, returning)
}

/// The statement: `source` feeding a sink that writes to the table.
pub(super) fn into_sink(entry: Arc<TableEntry>, write: Write, source: LogicalPlan) -> LogicalPlan {
    sunk(full_reference(&entry), DmlSink::new(entry, write), source)
}

/// The statement: `source` feeding a sink of the table called `name`.
pub(super) fn sunk(name: TableReference, sink: DmlSink, source: LogicalPlan) -> LogicalPlan {
    LogicalPlan::Dml(DmlStatement::new(
        name,
        provider_as_source(Arc::new(sink)),
        WriteOp::Insert(InsertOp::Append),
        Arc::new(source),
    ))
}

/// Positions of the named columns among the declared ones; of all when none is named.
fn target_positions(definition: &TableDefinition, columns: &[String]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok((0..definition.columns.len()).collect());
    }
    columns.iter().map(|name| Ok(target_position(definition, name)?)).collect()
}

/// The position of a column that may be written.
pub(super) fn target_position(
    definition: &TableDefinition,
    name: &str,
) -> Result<usize, TablesError> {
    if let Some((position, _)) = definition.column(name) {
        return Ok(position);
    }
    if kalamdb_commons::system_columns::is_system_column(name) {
        return Err(TablesError::invalid(format!(
            "column {name} of table {} is kept by the system, it cannot be written",
            definition.qualified_name()
        )));
    }
    let known = || definition.columns.iter().map(|column| &*column.name);
    match not_found(ObjectKind::Column, name, known()) {
        error @ SqlError::NotFound { suggestion: None, .. } => {
            let mut names: Vec<&str> = known().take(NAMED_COLUMNS_MAX).collect();
            if names.len() < definition.columns.len() {
                names.push("…");
            }
            let message = format!("{error}, there are {}", names.join(", "));
            Err(SqlError::coded(SqlState::UndefinedColumn, message).into())
        }
        near => Err(near.into()),
    }
}

fn plan_source(
    context: &PlanContext<'_>,
    definition: &TableDefinition,
    targets: &[usize],
    query: &ast::Query,
) -> Result<LogicalPlan> {
    let assign = AssignColumn::of_table(definition);
    if let (SetExpr::Values(values), true) = (query.body.as_ref(), is_plain(query)) {
        let rows: Vec<&[ast::Expr]> =
            values.rows.iter().map(|row| row.content.as_slice()).collect();
        let columns: Vec<ValuesColumn<'_>> = targets
            .iter()
            .map(|position| ValuesColumn {
                definition: &definition.columns[*position],
                assign: Arc::clone(&assign[*position]),
            })
            .collect();
        return plan_values(context, &rows, &columns);
    }
    let source = context.plan_positions(query)?;
    let given = source.schema().fields().len();
    if given != targets.len() {
        return Err(TablesError::invalid(format!(
            "INSERT into {} names {} columns, its query gives {given}",
            definition.qualified_name(),
            targets.len()
        ))
        .into());
    }
    let columns: Vec<_> =
        targets.iter().map(|position| Some(Arc::clone(&assign[*position]))).collect();
    compute_reals_wide(type_parameters(source, &columns)?, &columns)
}

/// True for a query that is nothing but its body.
fn is_plain(query: &ast::Query) -> bool {
    query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
}

/// One expression for each declared column: a column of the source, or the default.
fn declared_columns(
    context: &PlanContext<'_>,
    definition: &TableDefinition,
    targets: &[usize],
    source: &LogicalPlan,
) -> Result<Vec<Expr>> {
    definition
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| {
            let given = targets.iter().position(|target| *target == position);
            let value = match given {
                Some(given) => {
                    let field = source.schema().qualified_field(given);
                    Expr::Column(Column::from(field))
                }
                None => {
                    let value = context.plan_expression(default_expr(column)?)?;
                    as_assigned(value, &column.column_type)
                }
            };
            Ok(value.alias(&*column.name))
        })
        .collect()
}
