//! `ORDER BY (SELECT …)` and `OVER (ORDER BY (SELECT …))` with outer columns.
//!
//! The query engine joins with such subqueries where columns are computed, not where they are
//! sorted by. So their values become columns first:
//!
//! ```text
//!  Sort: (S)            Projection: the columns
//!    input      ──►       Sort: value
//!                           Projection: the columns, (S) AS value
//!                             input
//! ```

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort, SortExpr, Window};

use super::correlated_subqueries::{reaches_beyond, refused};
use super::lifted_keys::names_outer;

/// What the columns are called; a number follows.
const VALUE: &str = "__sorted_by_";

/// The node over columns in the place of subqueries, where it has such.
pub(super) fn hoisted(
    node: LogicalPlan,
    numbers: &Cell<usize>,
) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Sort(sort) if sort.expr.iter().any(|key| has_subquery(&key.expr)) => {
            sorted(sort, numbers).map(Transformed::yes)
        }
        LogicalPlan::Window(window) if window.window_expr.iter().any(has_subquery) => {
            windowed(window, numbers).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    }
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_correlated(expr))).unwrap_or(false)
}

/// Whether it is a subquery that names columns of the query around it.
pub(super) fn is_correlated(expr: &Expr) -> bool {
    plan_of(expr).is_some_and(names_outer)
}

fn plan_of(expr: &Expr) -> Option<&LogicalPlan> {
    match expr {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. })
        | Expr::ScalarSubquery(subquery) => Some(&subquery.subquery),
        _ => None,
    }
}

fn sorted(sort: Sort, numbers: &Cell<usize>) -> Result<LogicalPlan> {
    let Sort { expr, input, fetch } = sort;
    let columns: Vec<_> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut computed = columns.clone();
    let mut keys = Vec::with_capacity(expr.len());
    for key in expr {
        let value = replaced(key.expr, &input, &mut computed, numbers)?;
        keys.push(SortExpr { expr: value, ..key });
    }
    let rows = Arc::new(LogicalPlan::Projection(Projection::try_new(computed, input)?));
    let rows = Arc::new(LogicalPlan::Sort(Sort { expr: keys, input: rows, fetch }));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, rows)?))
}

fn windowed(window: Window, numbers: &Cell<usize>) -> Result<LogicalPlan> {
    let Window { input, window_expr, schema } = window;
    let mut columns: Vec<_> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let first = columns.len();
    let mut computed = columns.clone();
    let mut functions = Vec::with_capacity(window_expr.len());
    for (position, function) in window_expr.into_iter().enumerate() {
        let function = replaced(function, &input, &mut computed, numbers)?;
        let column = Column::new_unqualified(function.schema_name().to_string());
        let name = schema.field(first + position).name();
        columns.push(if column.name == *name {
            Expr::Column(column)
        } else {
            Expr::Column(column).alias(name)
        });
        functions.push(function);
    }
    let rows = Arc::new(LogicalPlan::Projection(Projection::try_new(computed, input)?));
    let rows = Arc::new(LogicalPlan::Window(Window::try_new(functions, rows)?));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, rows)?))
}

/// The expression with columns in the place of such subqueries, which are added to `computed`.
fn replaced(
    expr: Expr,
    input: &LogicalPlan,
    computed: &mut Vec<Expr>,
    numbers: &Cell<usize>,
) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| {
        let Some(plan) = plan_of(&expr).filter(|plan| names_outer(plan)) else {
            return Ok(Transformed::no(expr));
        };
        if reaches_beyond(plan, input.schema())? {
            return refused(String::from(
                "a subquery in ORDER BY or OVER can only name columns that are there to sort by, \
                 compute it in the select list of a subquery in FROM",
            ));
        }
        numbers.set(numbers.get() + 1);
        let name = format!("{VALUE}{}", numbers.get());
        computed.push(expr.alias(name.clone()));
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
    })?;
    Ok(replaced.data)
}
