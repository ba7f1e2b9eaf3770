//! `(SELECT x FROM u WHERE u.id = t.id)` in the place of a value: one row at most, which only the
//! run can tell.
//!
//! The query engine takes such a subquery only when it is an aggregate. So its values are
//! gathered, and a function around the subquery takes the one that is there, or refuses several.
//! It stands outside: rows of `u` that belong to no row of `t` may be as many as they like.

use std::sync::{Arc, LazyLock};

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::array_agg;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan, ScalarUDF, Subquery};

use crate::functions;

static ONE_VALUE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::one_value()));

/// Rewrites such subqueries, when the plan has any.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut concerned = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            concerned = concerned || expr.exists(|expr| Ok(is_open(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !concerned {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(gathered)?;
            Ok(if rewritten.transformed {
                rewritten.update_data(|expr| name.restore(expr))
            } else {
                rewritten
            })
        })
    })
    .data()
}

/// A correlated subquery in the place of a value that may give several rows.
fn is_open(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = expr else { return false };
    let plan = subquery.subquery.as_ref();
    !subquery.outer_ref_columns.is_empty()
        && plan.schema().fields().len() == 1
        && !is_aggregated(plan)
        && plan.max_rows().is_none_or(|rows| rows > 1)
}

fn is_aggregated(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_aggregated(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_aggregated(&alias.input),
        LogicalPlan::Filter(Filter { input, .. }) => {
            matches!(input.as_ref(), LogicalPlan::Aggregate(_))
        }
        LogicalPlan::Aggregate(_) => true,
        _ => false,
    }
}

fn gathered(expr: Expr) -> Result<Transformed<Expr>> {
    if !is_open(&expr) {
        return Ok(Transformed::no(expr));
    }
    let Expr::ScalarSubquery(Subquery { subquery, outer_ref_columns, spans }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let value = Expr::Column(Column::from(subquery.schema().qualified_field(0)));
    let all = Aggregate::try_new(subquery, Vec::new(), vec![array_agg(value)])?;
    let subquery = Arc::new(LogicalPlan::Aggregate(all));
    let values = Expr::ScalarSubquery(Subquery { subquery, outer_ref_columns, spans });
    let one = ScalarFunction::new_udf(Arc::clone(&ONE_VALUE), vec![values]);
    Ok(Transformed::yes(Expr::ScalarFunction(one)))
}
