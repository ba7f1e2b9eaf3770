//! DEFAULT expressions, and whether they suit their columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr as LogicalExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, Value};
use kalamdb_commons::{ColumnDefinition, Principal, SqlState};
use kalamdb_sql::{
    CatalogSnapshot, CreateTable, NewColumn, SqlError, TableName, check_expression, quote_name,
};

use super::assign::{AssignColumn, convert, reason_of};
use super::values::as_assigned;
use crate::TablesError;
use crate::plain_words::plain_words;
use crate::planner::{Names, PlanContext};

/// Refuses a DEFAULT that its column cannot store: without this, the rows that need it would be
/// refused, one after the other.
///
/// # Errors
/// [`SqlError::Coded`], which names the column.
pub fn check_defaults(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    namespace: &str,
    table: &CreateTable,
) -> Result<(), TablesError> {
    if table.columns.iter().all(|column| column.default.is_none()) {
        return Ok(());
    }
    let state = at_this_time(state);
    let plans = PlanContext::new(&state, Names::new(catalog, principal, namespace));
    for column in &table.columns {
        value_of(&state, &plans, &table.name, column)?;
    }
    Ok(())
}

/// What a column's DEFAULT is now, as an array of one value of the column's type; `None` when it
/// has none, or NULL.
///
/// # Errors
/// As [`check_defaults`].
pub fn default_value(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    namespace: &str,
    table: &TableName,
    column: &NewColumn,
) -> Result<Option<ArrayRef>, TablesError> {
    let state = at_this_time(state);
    let plans = PlanContext::new(&state, Names::new(catalog, principal, namespace));
    value_of(&state, &plans, table, column)
}

/// The state with a time for NOW().
fn at_this_time(state: &SessionState) -> SessionState {
    let mut state = state.clone();
    state.mark_start_execution();
    state
}

fn value_of(
    state: &SessionState,
    plans: &PlanContext<'_>,
    table: &TableName,
    column: &NewColumn,
) -> Result<Option<ArrayRef>, TablesError> {
    let Some(text) = &column.default else { return Ok(None) };
    let refused = |reason: String| {
        let message = format!(
            "the default {text} of column {} cannot be a value of type {}: {reason}",
            quote_name(&column.name),
            column.column_type
        );
        TablesError::Sql(SqlError::coded(SqlState::DatatypeMismatch, message))
    };
    let value = plans
        .plan_expression(written(text)?)
        .and_then(|expr| one_value(state, as_assigned(expr, &column.column_type)))
        .map_err(|error| refused(plain_words(&error.strip_backtrace()).message))?;
    // NULL is for the column's NOT NULL to refuse.
    if value.logical_null_count() > 0 {
        return Ok(None);
    }
    let value =
        convert(&value, &column.column_type, false).map_err(|error| refused(reason_of(error)))?;
    let assign = AssignColumn::of_new(&table.to_string(), column);
    assign.check_length(&value, 1).map_err(|error| refused(error.to_string()))?;
    Ok(Some(value))
}

/// The value of an expression without columns.
fn one_value(state: &SessionState, expr: LogicalExpr) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    computation(state, expr)?.evaluate(&row)?.into_array(1)
}

/// An expression without columns in the form in which it is computed: coerced, and with the
/// statement's time in the place of NOW().
pub(super) fn computation(
    state: &SessionState,
    expr: LogicalExpr,
) -> Result<Arc<dyn PhysicalExpr>> {
    let plan = LogicalPlanBuilder::empty(true).project([expr])?.build()?;
    let analyzer = state.analyzer();
    let plan = analyzer.execute_and_check(plan, state.config_options(), |_, _| {})?;
    let context = SimplifyContext::builder()
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let expr = match plan {
        LogicalPlan::Projection(projection) => projection.expr.into_iter().next(),
        _ => None,
    };
    let expr = expr.map(|expr| ExprSimplifier::new(context).simplify(expr)).transpose()?;
    state.create_physical_expr(expr.unwrap_or_default(), &DFSchema::empty())
}

/// The DEFAULT of a column as an expression; NULL where none was declared.
pub(super) fn default_expr(column: &ColumnDefinition) -> Result<Expr> {
    match &column.default {
        Some(text) => written(text),
        None => Ok(Expr::value(Value::Null)),
    }
}

fn written(text: &str) -> Result<Expr> {
    let expr = parse(text)?;
    match &expr {
        // CURRENT_USER and the like may stand without brackets.
        Expr::Identifier(name) if name.quote_style.is_none() => parse(&format!("{name}()")),
        _ => Ok(expr),
    }
}

fn parse(text: &str) -> Result<Expr> {
    Ok(check_expression(text).map_err(TablesError::from)?)
}
