//! `IN (SELECT …)` that is true, false or NULL, as it should be.
//!
//! The engine joins with the subquery, and such a join knows a match or no match. That is enough
//! where NULL is as good as false: for `v IN (SELECT …)` under AND and OR of a condition. And for
//! a column that is NOT IN an independent subquery it has a join of its own. Everywhere else, and
//! where the left side is a constant, it takes NULL for false.
//!
//! So what else there is gets spelled out in terms of EXISTS, which is never NULL:
//!
//! ```text
//!  v IN (S)     ──►  match OR (unknown AND NULL)
//!  v NOT IN (S) ──►  NOT match AND (NOT unknown OR NULL);  in a condition, without OR NULL
//!
//!  match    EXISTS (rows of S equal to v)
//!  unknown  v IS NULL AND EXISTS (S)  OR  EXISTS (rows of S that are NULL)
//! ```

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;

/// What the column of a subquery is called once it is spelled out: no column of the outer query
/// has this name, so none is mistaken for it.
const VALUE: &str = "__value_of_subquery";

/// Spells memberships out. To run when types are settled.
#[derive(Debug)]
pub(crate) struct Membership;

impl AnalyzerRule for Membership {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !has_membership(&node)? {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let is_condition = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let spelled = if is_condition {
                    condition(expr, &schema, true)
                } else {
                    value(expr, &schema)
                }?;
                let changed = spelled.transformed;
                Ok(spelled.update_data(|expr| if changed { name.restore(expr) } else { expr }))
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "membership"
    }
}

fn has_membership(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found =
            expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::SetComparison(_))))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// A condition, where NULL is as good as false. `top`: nothing but AND around it.
fn condition(expr: Expr, schema: &DFSchema, top: bool) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        let done = match expr {
            Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. }) => {
                return Ok(Transformed::no(expr));
            }
            Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) if !top => {
                return Ok(Transformed::no(expr));
            }
            Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
                condition(expr, schema, false)?
            }
            Expr::InSubquery(membership) => in_condition(membership, schema, top)?,
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let opposite = InSubquery::new(expr, subquery, !negated);
                    in_condition(opposite, schema, top)?
                }
                inner => value(Expr::Not(Box::new(inner)), schema)?,
            },
            other => value(other, schema)?,
        };
        Ok(Transformed::new(done.data, done.transformed, TreeNodeRecursion::Jump))
    })
}

fn in_condition(membership: InSubquery, schema: &DFSchema, top: bool) -> Result<Transformed<Expr>> {
    let InSubquery { expr, subquery, negated } = membership;
    let left = value(*expr, schema)?.data;
    let joined = if negated {
        top && is_column(&left) && !is_correlated(&subquery)
    } else {
        !is_one_correlated_row(&subquery)
    };
    let membership = InSubquery::new(Box::new(left), subquery, negated);
    if joined {
        return Ok(Transformed::yes(Expr::InSubquery(membership)));
    }
    spelled(membership, schema, true)
}

/// An expression whose value matters, NULL included.
fn value(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::InSubquery(membership) => spelled(membership, schema, false),
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            check(&expr, &subquery)?;
            compared(&expr, &subquery, op, quantifier, schema).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
}

/// `v op ANY (S)` is true when it is for one row, and `v op ALL (S)` false when it is for one; the
/// other way round it is NULL as soon as it is for one.
fn compared(
    left: &Expr,
    subquery: &Subquery,
    op: Operator,
    quantifier: SetQuantifier,
    schema: &DFSchema,
) -> Result<Expr> {
    let rows = named(subquery)?;
    let column = Expr::Column(Column::new_unqualified(VALUE));
    let comparison = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(outer(left.clone(), schema)?),
        op,
        Box::new(column),
    ));
    let null = || lit(ScalarValue::Boolean(None));
    let unknown = |negated| exists(filtered(rows.clone(), comparison.clone().is_null())?, negated);
    Ok(match quantifier {
        SetQuantifier::Any => {
            let matching = exists(filtered(rows.clone(), comparison.clone())?, false)?;
            matching.or(unknown(false)?.and(null()))
        }
        SetQuantifier::All => {
            let opposite = exists(filtered(rows.clone(), comparison.clone().is_false())?, true)?;
            opposite.and(unknown(true)?.or(null()))
        }
    })
}

fn spelled(
    membership: InSubquery,
    schema: &DFSchema,
    in_condition: bool,
) -> Result<Transformed<Expr>> {
    let InSubquery { expr: left, subquery, negated } = membership;
    if is_one_correlated_row(&subquery) {
        // A comparison with the only row there is.
        let op = if negated { Operator::NotEq } else { Operator::Eq };
        let right = Box::new(Expr::ScalarSubquery(subquery));
        return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    }
    let left_nullable = left.nullable(schema)?
        || left.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))?;
    let right_nullable = subquery.subquery.schema().field(0).is_nullable();
    if !left_nullable && !right_nullable && !is_correlated(&subquery) {
        // There is no NULL, the engine's joins know all there is.
        return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr: left, subquery, negated })));
    }
    check(&left, &subquery)?;

    let rows = named(&subquery)?;
    let column = || Expr::Column(Column::new_unqualified(VALUE));
    let equal = outer(left.as_ref().clone(), schema)?.eq(column());
    let matching = exists(filtered(rows.clone(), equal)?, negated)?;
    let mut unknowns = Vec::new();
    if left_nullable {
        let any = exists(rows.clone(), negated)?;
        unknowns.push(if negated {
            left.as_ref().clone().is_not_null().or(any)
        } else {
            left.as_ref().clone().is_null().and(any)
        });
    }
    if right_nullable {
        unknowns.push(exists(filtered(rows, column().is_null())?, negated)?);
    }
    let null = || lit(ScalarValue::Boolean(None));
    let joined = unknowns.into_iter().reduce(|all, one| match negated {
        true => all.and(one),
        false => all.or(one),
    });
    let expr = match joined {
        None => matching,
        Some(known) if negated && in_condition => matching.and(known),
        Some(known) if negated => matching.and(known.or(null())),
        Some(unknown) => matching.or(unknown.and(null())),
    };
    Ok(Transformed::yes(expr))
}

/// Refuses what would mean something else once it is spelled out.
fn check(left: &Expr, subquery: &Subquery) -> Result<()> {
    if left.is_volatile() {
        return refuse("a left side that is another one each time");
    }
    let beyond = left.exists(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(..)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_) => true,
            Expr::ScalarSubquery(subquery) => is_correlated(subquery),
            _ => false,
        })
    })?;
    if beyond {
        return refuse("a left side that reaches for another query");
    }
    if !is_correlated(subquery) {
        return Ok(());
    }
    let columns = left.column_refs();
    let mut fault = None;
    subquery.subquery.apply_with_subqueries(|node| {
        fault = match node {
            LogicalPlan::Limit(_) => Some("LIMIT in a subquery that names outer columns"),
            LogicalPlan::Window(_) => Some("OVER in a subquery that names outer columns"),
            LogicalPlan::Distinct(Distinct::On(_)) => {
                Some("DISTINCT ON in a subquery that names outer columns")
            }
            LogicalPlan::Aggregate(of) if of.group_expr.is_empty() => {
                Some("an aggregate in a subquery that names outer columns")
            }
            node if columns.iter().any(|column| node.schema().has_column(column)) => {
                Some("a table that goes by one name inside and outside of the subquery")
            }
            _ => None,
        };
        Ok(if fault.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    fault.map_or(Ok(()), refuse)
}

fn refuse(what: &str) -> Result<()> {
    Err(DataFusionError::Plan(format!(
        "IN (SELECT …) cannot have {what} where NULL matters, write EXISTS or NOT EXISTS instead"
    )))
}

fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(cast) => is_column(&cast.expr),
        _ => false,
    }
}

/// Whether it aggregates all rows that go with an outer row to one. Joined with, it would have
/// none where no row does.
fn is_one_correlated_row(subquery: &Subquery) -> bool {
    let mut plan = subquery.subquery.as_ref();
    while let LogicalPlan::Projection(Projection { input, .. }) = plan {
        plan = input.as_ref();
    }
    is_correlated(subquery)
        && matches!(plan, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
}

/// The subquery with its column called [`VALUE`].
fn named(subquery: &Subquery) -> Result<LogicalPlan> {
    let plan = Arc::clone(&subquery.subquery);
    let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    Ok(LogicalPlan::Projection(Projection::try_new(vec![column.alias(VALUE)], plan)?))
}

fn filtered(plan: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?))
}

fn exists(plan: LogicalPlan, negated: bool) -> Result<Expr> {
    let subquery = of_plan(plan);
    if is_correlated(&subquery) {
        return Ok(Expr::Exists(Exists { subquery, negated }));
    }
    // Compared with every row: one tells as much as all.
    let plan = LogicalPlanBuilder::from(subquery.subquery).limit(0, Some(1))?.build()?;
    Ok(Expr::Exists(Exists { subquery: of_plan(plan), negated }))
}

fn of_plan(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() }
}

/// The expression as a subquery sees it.
fn outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

#[cfg(test)]
mod tests;
