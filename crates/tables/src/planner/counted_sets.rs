//! INTERSECT ALL and EXCEPT ALL: rows count as often as they occur.
//!
//! The query engine plans them as joins that keep every left row with, or without, an equal one on
//! the right. So equal rows are numbered on both sides, and the number is compared as well: the
//! third of the left goes with the third of the right or with none.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder};

/// The column that numbers equal rows.
const NUMBER: &str = "number among equal rows";

/// Numbers the rows of all such operations in a plan that was just made.
pub(super) fn number(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !concerned(&plan)? {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        if is_counting(&node) {
            numbered(node).map(Transformed::yes)
        } else {
            Ok(Transformed::no(node))
        }
    })
    .data()
}

fn concerned(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= is_counting(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Joins in which NULL equals NULL are those of set operations: no other is planned so early.
/// Where the left side has no row twice, there is nothing to number.
fn is_counting(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Join(join)
        if join.null_equality == NullEquality::NullEqualsNull
            && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
            && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_))))
}

fn numbered(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Join(join) = node else { return Ok(node) };
    let columns: Vec<Expr> = columns(&join.left);
    let left = with_number(join.left)?;
    let right = with_number(join.right)?;
    let keys = |side: fn(&(Expr, Expr)) -> &Expr| -> Result<Vec<Column>> {
        let named = join.on.iter().map(|pair| match side(pair) {
            Expr::Column(column) => Ok(column.clone()),
            other => Err(datafusion::error::DataFusionError::Internal(format!(
                "{other} is no column of a set operation"
            ))),
        });
        named.chain([Ok(Column::from_name(NUMBER))]).collect()
    };
    let (left_keys, right_keys) = (keys(|pair| &pair.0)?, keys(|pair| &pair.1)?);
    LogicalPlanBuilder::from(left)
        .join_detailed(
            right,
            join.join_type,
            (left_keys, right_keys),
            join.filter,
            NullEquality::NullEqualsNull,
        )?
        .project(columns)?
        .build()
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

fn with_number(plan: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let columns = columns(&plan);
    let number = row_number().partition_by(columns.clone()).build()?;
    let name = number.schema_name().to_string();
    let numbers = Expr::Column(Column::from_name(name)).alias(NUMBER);
    LogicalPlanBuilder::from(plan)
        .window([number])?
        .project(columns.into_iter().chain([numbers]))?
        .build()
}
