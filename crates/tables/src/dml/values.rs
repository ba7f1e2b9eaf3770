//! VALUES of INSERT: every cell is converted to its own column's type, exactly, without the
//! detour over a type common to all rows that VALUES has in a query.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use datafusion::sql::sqlparser::ast::{self, UnaryOperator, Value};
use kalamdb_commons::{ColumnDefinition, ColumnType};
use kalamdb_sql::is_default_keyword;

use super::LiteralRows;
use super::assign::AssignColumn;
use super::defaults::default_expr;
use super::set_returning;
use super::stored_parameter::StoredParameter;
use crate::TablesError;
use crate::functions::AssignCast;
use crate::planner::{PlanContext, as_double, exact_decimal, rounded_decimal};

/// The name VALUES goes by in a plan.
const VALUES: &str = "values";

/// A column the values of one position go to.
pub(super) struct ValuesColumn<'a> {
    pub(super) definition: &'a ColumnDefinition,
    pub(super) assign: Arc<AssignColumn>,
}

/// A plan of the rows, one output column for each of `columns`.
pub(super) fn plan_values(
    context: &PlanContext<'_>,
    rows: &[&[ast::Expr]],
    columns: &[ValuesColumn<'_>],
) -> Result<LogicalPlan> {
    let mut cells = Vec::with_capacity(rows.len());
    for (position, row) in rows.iter().enumerate() {
        if row.len() != columns.len() {
            return Err(TablesError::invalid(format!(
                "row {} of VALUES has {} values for {} columns",
                position + 1,
                row.len(),
                columns.len()
            ))
            .into());
        }
        let planned =
            row.iter().zip(columns).map(|(cell, column)| plan_cell(context, cell, column));
        cells.push(planned.collect::<Result<Vec<_>>>()?);
    }
    if cells.iter().flatten().all(|cell| matches!(cell, Expr::Literal(..))) {
        return literal_rows(cells, columns);
    }
    let with_subquery = has_subquery(&cells)?;
    for (position, row) in cells.iter_mut().enumerate() {
        for (cell, column) in row.iter_mut().zip(columns) {
            *cell = assigned(std::mem::take(cell), column, position as u64 + 1)?;
        }
    }
    if with_subquery { union_of_rows(cells) } else { values(cells, columns) }
}

fn plan_cell(
    context: &PlanContext<'_>,
    cell: &ast::Expr,
    column: &ValuesColumn<'_>,
) -> Result<Expr> {
    if is_default_keyword(cell) {
        return plan_cell(context, &default_expr(column.definition)?, column);
    }
    if matches!(column.assign.column_type(), ColumnType::Decimal { .. })
        && let Some(digits) = number(cell)
    {
        // As a Float64 it would lose digits.
        return Ok(Expr::Literal(ScalarValue::from(digits.as_str()), None));
    }
    set_returning::refuse(cell, column.assign.name())?;
    let planned = context.plan_expression(cell.clone())?;
    Ok(as_assigned(planned, column.assign.column_type()))
}

/// The number in the digits it was written with, for a column that takes it so. An integer does
/// because the number is rounded as the DECIMAL that it spells.
fn in_digits(expr: &Expr, column_type: &ColumnType) -> Option<Expr> {
    match column_type {
        ColumnType::Decimal { .. } => exact_decimal(expr),
        other if other.to_arrow().is_integer() => rounded_decimal(expr),
        _ => None,
    }
}

/// A number as the column it goes to takes it.
pub(super) fn as_assigned(expr: Expr, column_type: &ColumnType) -> Expr {
    in_digits(&expr, column_type).or_else(|| as_double(&expr)).unwrap_or(expr)
}

/// The digits of a number, signed.
fn number(cell: &ast::Expr) -> Option<String> {
    match cell {
        ast::Expr::Value(value) => match &value.value {
            // With an exponent it is a floating point number.
            Value::Number(digits, _) if !digits.contains(['e', 'E']) => {
                Some(digits.replace('_', ""))
            }
            _ => None,
        },
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr)
            .filter(|digits| !digits.starts_with('-'))
            .map(|digits| format!("-{digits}")),
        ast::Expr::UnaryOp { op: UnaryOperator::Plus, expr } => number(expr),
        _ => None,
    }
}

fn has_subquery(cells: &[Vec<Expr>]) -> Result<bool> {
    for cell in cells.iter().flatten() {
        let found = cell.exists(|expr| {
            Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)))
        })?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The cell as an expression of the column's type.
fn assigned(cell: Expr, column: &ValuesColumn<'_>, row: u64) -> Result<Expr> {
    Ok(match cell {
        Expr::Literal(value, metadata) => {
            let values = staged(column.assign.assign(&value.to_array()?, row)?)?;
            Expr::Literal(ScalarValue::try_from_array(&values, 0)?, metadata)
        }
        Expr::Placeholder(Placeholder { id, field: None }) => {
            StoredParameter::placeholder(id, &column.assign)
        }
        other => {
            let function = AssignCast::new(Arc::clone(&column.assign), row);
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![other]))
        }
    })
}

fn schema(columns: &[ValuesColumn<'_>]) -> Schema {
    Schema::new(
        columns
            .iter()
            .map(|column| {
                Field::new(column.assign.name(), staged_type(&column.assign.data_type()), true)
            })
            .collect::<Vec<_>>(),
    )
}

/// The type of a column's values while they are rows of VALUES: the query engine takes them one by
/// one, and then keeps of a list's items only their type and whether they may be NULL.
pub(crate) fn staged_type(column_type: &DataType) -> DataType {
    match column_type {
        DataType::List(item) => {
            let item = Field::new(item.name(), item.data_type().clone(), item.is_nullable());
            DataType::List(Arc::new(item))
        }
        other => other.clone(),
    }
}

/// The values of a column as ones of its [`staged_type`].
pub(crate) fn staged(values: ArrayRef) -> Result<ArrayRef> {
    let DataType::List(item) = staged_type(values.data_type()) else { return Ok(values) };
    let (_, offsets, items, nulls) = values.as_list::<i32>().clone().into_parts();
    Ok(Arc::new(ListArray::try_new(item, offsets, items, nulls)?))
}

fn values(cells: Vec<Vec<Expr>>, columns: &[ValuesColumn<'_>]) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(schema(columns))?);
    LogicalPlanBuilder::values_with_schema(cells, &schema)?.build()
}

/// Subqueries cannot stand in a VALUES node, in projections they can.
fn union_of_rows(cells: Vec<Vec<Expr>>) -> Result<LogicalPlan> {
    let mut union: Option<LogicalPlanBuilder> = None;
    for row in cells {
        let named =
            row.into_iter().enumerate().map(|(position, cell)| cell.alias(format!("c{position}")));
        let row = LogicalPlanBuilder::empty(true).project(named.collect::<Vec<_>>())?;
        union = Some(match union {
            None => row,
            Some(union) => union.union(row.build()?)?,
        });
    }
    union.ok_or_else(|| TablesError::invalid("VALUES has no rows"))?.build()
}

/// All cells converted now, column by column.
fn literal_rows(cells: Vec<Vec<Expr>>, columns: &[ValuesColumn<'_>]) -> Result<LogicalPlan> {
    let row_count = cells.len();
    let mut by_column: Vec<Vec<ScalarValue>> =
        columns.iter().map(|_| Vec::with_capacity(row_count)).collect();
    for row in cells {
        for (cell, column) in row.into_iter().zip(&mut by_column) {
            if let Expr::Literal(value, _) = cell {
                column.push(value);
            }
        }
    }
    let arrays = by_column
        .into_iter()
        .zip(columns)
        .map(|(values, column)| staged(convert_literals(values, &column.assign)?))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(row_count));
    let rows = RecordBatch::try_new_with_options(Arc::new(schema(columns)), arrays, &options)?;
    let source = provider_as_source(Arc::new(LiteralRows::new(rows)));
    LogicalPlanBuilder::scan(VALUES, source, None)?.build()
}

fn convert_literals(values: Vec<ScalarValue>, column: &AssignColumn) -> Result<ArrayRef> {
    let mut types = values.iter().filter(|value| !value.is_null()).map(ScalarValue::data_type);
    let first = types.next();
    let alike = first.as_ref().is_none_or(|first| types.all(|other| other == *first));
    if alike {
        let null = match &first {
            Some(data_type) => ScalarValue::try_from(data_type)?,
            None => ScalarValue::Null,
        };
        let values = values.into_iter().map(|v| if v.is_null() { null.clone() } else { v });
        return Ok(column.assign(&ScalarValue::iter_to_array(values)?, 1)?);
    }
    let converted = values
        .into_iter()
        .enumerate()
        .map(|(position, value)| {
            let value = column.assign(&value.to_array()?, position as u64 + 1)?;
            ScalarValue::try_from_array(&value, 0)
        })
        .collect::<Result<Vec<_>>>()?;
    ScalarValue::iter_to_array(converted)
}

/// Gives parameters that stand alone in the select list the type of the column they go to, and
/// numbers that do the digits they were written with.
pub(super) fn type_parameters(
    plan: LogicalPlan,
    columns: &[Option<Arc<AssignColumn>>],
) -> Result<LogicalPlan> {
    let typed = plan.transform_down(|node| match node {
        LogicalPlan::Projection(projection) => {
            let mut position = 0;
            let node = LogicalPlan::Projection(projection).map_expressions(|expr| {
                let column = columns.get(position).cloned().flatten();
                position += 1;
                typed_parameter(expr, column)
            })?;
            let node = node.map_data(LogicalPlan::recompute_schema)?;
            Ok(Transformed::new(node.data, true, TreeNodeRecursion::Jump))
        }
        // These hand on what their input projects.
        node @ (LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Union(_)) => Ok(Transformed::no(node)),
        node => Ok(Transformed::new(node, false, TreeNodeRecursion::Jump)),
    })?;
    Ok(typed.data)
}

fn typed_parameter(expr: Expr, column: Option<Arc<AssignColumn>>) -> Result<Transformed<Expr>> {
    let Some(column) = column else { return Ok(Transformed::no(expr)) };
    let name = expr.schema_name().to_string();
    let typed = expr.transform_down(|expr| match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            Ok(Transformed::yes(StoredParameter::placeholder(id, &column)))
        }
        alias @ Expr::Alias(_) => Ok(Transformed::no(alias)),
        other => {
            let number = in_digits(&other, column.column_type());
            let changed = number.is_some();
            let expr = number.unwrap_or(other);
            Ok(Transformed::new(expr, changed, TreeNodeRecursion::Stop))
        }
    })?;
    let (typed, changed) = (typed.data, typed.transformed);
    // What stands above finds it by its name.
    let same_name = typed.schema_name().to_string() == name;
    let typed = if same_name { typed } else { typed.alias(name) };
    // The walk ended within this expression only: the next one has its own column.
    Ok(Transformed::new(typed, changed, TreeNodeRecursion::Continue))
}
