//! EXISTS and IN over subqueries whose value is wanted: in a select list, in CASE, in SET, inside
//! an aggregate.
//!
//! The query engine computes them in conditions only. Elsewhere they become a join that keeps
//! every row and adds one column, which tells whether a row of the subquery goes with it:
//!
//! ```text
//!  Projection: EXISTS (S)          Projection: mark
//!    input                  ──►      LeftMark Join: what S names of the input
//!                                      input
//!                                      S
//! ```

use std::collections::BTreeSet;

use datafusion::common::alias::AliasGenerator;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

/// How the joined subqueries are called.
const ALIAS: &str = "__value_subquery";
/// The column of such a join.
const MARK: &str = "mark";

/// Puts joins in the place of subqueries that are values. To run when memberships are spelled out.
#[derive(Debug)]
pub(crate) struct ValueSubqueries;

impl AnalyzerRule for ValueSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let aliases = AliasGenerator::new();
        plan.transform_up_with_subqueries(|node| {
            if has_value_subquery(&node)? {
                joined(node, &aliases)
            } else {
                Ok(Transformed::no(node))
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "value_subqueries"
    }
}

/// Whether it computes one, and has one input to join with.
fn has_value_subquery(node: &LogicalPlan) -> Result<bool> {
    let computes = matches!(
        node,
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)
    );
    if !computes {
        return Ok(false);
    }
    let mut found = false;
    node.apply_expressions(|expr| {
        found = expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn joined(node: LogicalPlan, aliases: &AliasGenerator) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let inputs = node.inputs();
    let [input] = inputs.as_slice() else { return Ok(Transformed::no(node)) };
    let mut input = (*input).clone();
    let mut expressions = Vec::new();
    for expr in node.expressions() {
        let name = names.save(&expr);
        let replaced = expr.transform_up(|expr| {
            let (plan, marked) = match expr {
                Expr::Exists(Exists { subquery, negated }) => {
                    let (plan, mark) = with_exists(input.clone(), &subquery, aliases)?;
                    (plan, if negated { !mark } else { mark })
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let (plan, mark) = with_membership(input.clone(), *expr, &subquery, aliases)?;
                    (plan, if negated { !mark } else { mark })
                }
                other => return Ok(Transformed::no(other)),
            };
            input = plan;
            Ok(Transformed::yes(marked))
        })?;
        let changed = replaced.transformed;
        expressions.push(if changed { name.restore(replaced.data) } else { replaced.data });
    }
    node.with_new_exprs(expressions, vec![input]).map(Transformed::yes)
}

/// The input with a column that tells whether a row of the subquery goes with its row.
fn with_exists(
    input: LogicalPlan,
    subquery: &Subquery,
    aliases: &AliasGenerator,
) -> Result<(LogicalPlan, Expr)> {
    let alias = aliases.next(ALIAS);
    let plan = subquery.subquery.as_ref().clone();
    if subquery.outer_ref_columns.is_empty() {
        // One row tells as much as all.
        let rows = LogicalPlanBuilder::from(plan).limit(0, Some(1))?.project([lit(1_i64)])?;
        return marked(input, rows.alias(alias.as_str())?.build()?, lit(true), &alias);
    }
    let mut pull_up = PullUpCorrelatedExpr::new().with_exists_sub_query(true);
    let rows = plan.rewrite(&mut pull_up).data()?;
    if !pull_up.can_pull_up {
        return Err(DataFusionError::NotImplemented(String::from(
            "EXISTS or IN over a subquery that names columns of the outer query in this way is \
             not supported outside of WHERE, write a join instead",
        )));
    }
    // What the join compares, each under a name of its own.
    let compared: BTreeSet<Column> =
        pull_up.correlated_subquery_cols_map.values().flatten().cloned().collect();
    let own_name = |position: usize| format!("c{position}");
    let mut columns: Vec<Expr> = compared
        .iter()
        .enumerate()
        .map(|(position, column)| Expr::Column(column.clone()).alias(own_name(position)))
        .collect();
    if columns.is_empty() {
        columns.push(lit(1_i64));
    }
    let rows = LogicalPlanBuilder::from(rows).project(columns)?.alias(alias.as_str())?.build()?;
    let condition = conjunction(pull_up.join_filters).unwrap_or_else(|| lit(true));
    let condition = condition.transform_up(|expr| match &expr {
        Expr::Column(column) => Ok(match compared.iter().position(|one| one == column) {
            Some(position) => Transformed::yes(Expr::Column(Column::new(
                Some(alias.as_str()),
                own_name(position),
            ))),
            None => Transformed::no(expr),
        }),
        _ => Ok(Transformed::no(expr)),
    })?;
    marked(input, rows, condition.data, &alias)
}

/// The same for rows whose only column equals `value`; neither is ever NULL.
fn with_membership(
    input: LogicalPlan,
    value: Expr,
    subquery: &Subquery,
    aliases: &AliasGenerator,
) -> Result<(LogicalPlan, Expr)> {
    let alias = aliases.next(ALIAS);
    let plan = subquery.subquery.as_ref().clone();
    let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let rows = LogicalPlanBuilder::from(plan).project([column.alias("c0")])?;
    let rows = rows.alias(alias.as_str())?.build()?;
    let condition = value.eq(Expr::Column(Column::new(Some(alias.as_str()), "c0")));
    marked(input, rows, condition, &alias)
}

fn marked(
    input: LogicalPlan,
    rows: LogicalPlan,
    condition: Expr,
    alias: &str,
) -> Result<(LogicalPlan, Expr)> {
    let plan =
        LogicalPlanBuilder::from(input).join_on(rows, JoinType::LeftMark, [condition])?.build()?;
    Ok((plan, Expr::Column(Column::new(Some(alias), MARK))))
}
