//! Rewriting the expressions of a plan's node so that no column of it changes its name.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The node with `rewrite` done to every part of its expressions, innermost first.
pub(crate) fn rewrite_expressions(
    node: LogicalPlan,
    rewrite: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let rewritten = |expr: Expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(&rewrite)?.update_data(|expr| name.restore(expr)))
    };
    node.map_expressions(|expr| match expr {
        // Its members have names, it has none.
        sets @ Expr::GroupingSet(_) => sets.map_children(rewritten),
        expr => rewritten(expr),
    })
}
