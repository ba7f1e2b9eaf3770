//! Which of the optimizer's rules a plan goes through.
//!
//! Most rules are about joins, subqueries, unions and aggregates. For a plan that reads one table
//! and has none of these, looking for them takes longer than reading a row.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::{Optimizer, OptimizerRule};

/// The rules that can find something in a plan over one table.
const RULES_OF_ONE_TABLE: [&str; 10] = [
    "simplify_expressions",
    "eliminate_filter",
    "eliminate_limit",
    "propagate_empty_relation",
    "push_down_limit",
    "push_down_filter",
    "common_sub_expression_eliminate",
    "extract_leaf_expressions",
    "push_down_leaf_projections",
    "optimize_projections",
];

/// The optimizer for plans over one table: a part of the whole one, in the same order; and what a
/// key decides is not sorted by, which holds of one table only.
pub(crate) fn of_one_table(whole: &[Arc<dyn OptimizerRule + Send + Sync>]) -> Optimizer {
    let rules = whole.iter().filter(|rule| RULES_OF_ONE_TABLE.contains(&rule.name()));
    let mut rules: Vec<_> = rules.cloned().collect();
    rules.insert(0, Arc::new(EliminateDuplicatedExpr::new()));
    Optimizer::with_rules(rules)
}

/// Optimizes an analyzed plan.
pub(crate) fn optimize(
    plan: LogicalPlan,
    state: &SessionState,
    of_one_table: &Optimizer,
) -> Result<LogicalPlan> {
    if reads_one_table_only(&plan)? {
        return of_one_table.optimize(plan, state, |_, _| {});
    }
    let correlated = names_outer_columns(&plan)?;
    state.optimizer().optimize(plan, state, |_, _| {}).map_err(|error| match error.find_root() {
        // The statement is right, it was analyzed: a join in the place of a subquery is not.
        DataFusionError::SchemaError(..) | DataFusionError::Internal(_) if correlated => {
            DataFusionError::NotImplemented(String::from(
                "a subquery that names columns of the outer query in this way is not supported, \
                 write a join instead",
            ))
        }
        _ => error,
    })
}

fn names_outer_columns(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = found || node.contains_outer_reference();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn reads_one_table_only(plan: &LogicalPlan) -> Result<bool> {
    let mut only = true;
    plan.apply(|node| {
        only = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::EmptyRelation(_)
        );
        if only {
            node.apply_expressions(|expr| {
                only = only && !has_subquery(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if only { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(only)
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::ScalarSubquery(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_one_the_whole_optimizer_has() {
        let whole = crate::simplify::optimizer_rules();
        let names: Vec<_> =
            of_one_table(&whole).rules.iter().map(|r| r.name().to_owned()).collect();
        assert_eq!(names.len(), RULES_OF_ONE_TABLE.len() + 1, "{names:?}");
    }
}
