//! What is assigned to a REAL column is computed in DOUBLE.
//!
//! In REAL, `r * 10` may be infinite although no value was; in DOUBLE it is a number, which the
//! assignment finds out of range and names.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Projection, cast};
use kalamdb_commons::ColumnType;

use super::assign::AssignColumn;

/// Widens the arithmetic of `plan` whose results go to REAL columns: those among `columns`, by
/// position.
pub(super) fn compute_reals_wide(
    plan: LogicalPlan,
    columns: &[Option<Arc<AssignColumn>>],
) -> Result<LogicalPlan> {
    let to_real: Vec<bool> = columns
        .iter()
        .map(|column| {
            column.as_ref().is_some_and(|column| *column.column_type() == ColumnType::Float32)
        })
        .collect();
    compute_wide(plan, &to_real)
}

/// As [`compute_reals_wide`], with the columns of the plan that matter.
fn compute_wide(plan: LogicalPlan, to_real: &[bool]) -> Result<LogicalPlan> {
    if !to_real.contains(&true) {
        return Ok(plan);
    }
    match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let schema = Arc::clone(input.schema());
            // What is handed on is computed further below.
            let mut below = vec![false; schema.fields().len()];
            let mut exprs = Vec::with_capacity(expr.len());
            for (position, expr) in expr.into_iter().enumerate() {
                let to_real = to_real.get(position) == Some(&true);
                if to_real
                    && let Expr::Column(column) = unaliased(&expr)
                    && let Some(place) = schema.maybe_index_of_column(column)
                    && let Some(below) = below.get_mut(place)
                {
                    *below = true;
                }
                exprs.push(if to_real { widened(expr, &schema)? } else { expr });
            }
            let input = compute_wide(Arc::unwrap_or_clone(input), &below)?;
            Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
        }
        // These hand on what their input has.
        node @ (LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_)) => {
            let [input] = node.inputs()[..] else { return Ok(node) };
            let input = compute_wide(input.clone(), to_real)?;
            node.with_new_exprs(node.expressions(), vec![input])
        }
        other => Ok(other),
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The expression with DOUBLE operands in the place of REAL ones. A cast is no part of a name, so
/// the column keeps its own.
fn widened(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let wide = |operand: Box<Expr>| match operand.get_type(schema) {
        Ok(DataType::Float32) => Box::new(cast(*operand, DataType::Float64)),
        _ => operand,
    };
    let widened = expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_numerical_operators() => {
            let (left, right) = (wide(left), wide(right));
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(widened.data)
}
