//! Subqueries that name columns of the query they stand in: each means what it would if it was
//! run for every outer row.
//!
//! The query engine joins with them instead, which it does rightly where conditions stand below
//! columns, joins and one aggregate. So what else stands there is either written in such a form,
//! or refused: an aggregate of all rows is one row, whatever its rows; equalities below windows,
//! LIMIT and the like are lifted over them ([`super::lifted_keys`]).

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, FetchType, LogicalPlan, Operator, SkipType, Sort, Subquery,
    SubqueryAlias, Union, lit, when,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;

use super::hoisted_subqueries::hoisted;
use super::lifted_keys::{compared, equality, lift, names_outer};
use super::one_aggregate_row::OneRow;
use crate::TablesError;

/// Rewrites the correlated subqueries of a plan that was just made.
///
/// # Errors
/// One that would be answered wrongly.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !concerned(&plan)? {
        return Ok(plan);
    }
    let rewriting = Rewriting { numbers: Cell::new(0) };
    let plan =
        plan.transform_up_with_subqueries(|node| hoisted(node, &rewriting.numbers)).data()?;
    let changed = Cell::new(false);
    plan.transform_up_with_subqueries(|node| {
        let node = rewriting.lateral(node)?;
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| rewriting.subquery(expr, &schema))?;
            Ok(if rewritten.transformed {
                rewritten.update_data(|expr| name.restore(expr))
            } else {
                rewritten
            })
        })?;
        if node.transformed || matches!(node.data, LogicalPlan::Join(_)) {
            changed.set(true);
        }
        // What was never NULL may be, up to the result.
        if changed.get() { with_own_schema(node.data).map(Transformed::yes) } else { Ok(node) }
    })
    .data()
}

fn with_own_schema(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Union(Union { inputs, .. }) => {
            Union::try_new_with_loose_types(inputs).map(LogicalPlan::Union)
        }
        other => other.recompute_schema(),
    }
}

fn concerned(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found =
            found || matches!(node, LogicalPlan::Subquery(_)) || node.contains_outer_reference();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// What is made of the rows of a subquery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Whether there is one.
    Exists,
    /// Whether one compares.
    Compared,
    /// Each goes with the outer row.
    Joined,
    /// They are aggregated, also where only one may be there.
    Aggregated,
}

struct Rewriting {
    /// How many keys have a name.
    numbers: Cell<usize>,
}

impl Rewriting {
    fn subquery(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let subquery = match &expr {
            Expr::Exists(Exists { subquery, .. })
            | Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::SetComparison(SetComparison { subquery, .. })
            | Expr::ScalarSubquery(subquery) => subquery,
            _ => return Ok(Transformed::no(expr)),
        };
        let plan = Arc::clone(&subquery.subquery);
        if !names_outer(&plan) {
            return Ok(Transformed::no(expr));
        }
        check_reach(&plan, schema)?;
        let one_row = match OneRow::of(&plan) {
            Some(row) => Some(self.settled_row(row)?),
            None => None,
        };
        let rewritten = match (expr, one_row) {
            (Expr::Exists(Exists { negated, .. }), Some(row)) => match row.having_value()? {
                None => lit(!negated),
                Some(having) if negated => having.is_not_true(),
                Some(having) => having.is_true(),
            },
            (Expr::Exists(Exists { negated, .. }), None) => {
                let plan = self.settled(first_rows_whole(&plan)?, Use::Exists)?;
                Expr::Exists(Exists { subquery: of_plan(plan), negated })
            }
            (Expr::ScalarSubquery(_), Some(row)) => match row.having_value()? {
                None => row.value()?,
                Some(having) => when(having, row.value()?).end()?,
            },
            (Expr::ScalarSubquery(_), None) => {
                Expr::ScalarSubquery(of_plan(self.settled(&plan, Use::Aggregated)?))
            }
            (Expr::InSubquery(InSubquery { expr, negated, .. }), Some(row)) => {
                let op = if negated { Operator::NotEq } else { Operator::Eq };
                compared_with_row(&row, *expr, op, negated)?
            }
            (Expr::InSubquery(InSubquery { expr, negated, .. }), None) => {
                let subquery = of_plan(self.settled(&plan, Use::Compared)?);
                Expr::InSubquery(InSubquery { expr, subquery, negated })
            }
            (Expr::SetComparison(of), Some(row)) => {
                let all = of.quantifier == SetQuantifier::All;
                compared_with_row(&row, *of.expr, of.op, all)?
            }
            (Expr::SetComparison(of), None) => {
                let subquery = of_plan(self.settled(&plan, Use::Compared)?);
                Expr::SetComparison(SetComparison { subquery, ..of })
            }
            (other, _) => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::yes(rewritten))
    }

    /// A join with LATERAL.
    fn lateral(&self, node: LogicalPlan) -> Result<LogicalPlan> {
        let LogicalPlan::Join(mut join) = node else { return Ok(node) };
        match join.right.as_ref() {
            LogicalPlan::Subquery(subquery) => {
                join.right = Arc::new(self.joined(subquery)?);
            }
            LogicalPlan::SubqueryAlias(alias) => {
                if let LogicalPlan::Subquery(subquery) = alias.input.as_ref() {
                    let rows = Arc::new(self.joined(subquery)?);
                    let rows = SubqueryAlias::try_new(rows, alias.alias.clone())?;
                    join.right = Arc::new(LogicalPlan::SubqueryAlias(rows));
                }
            }
            _ => {}
        }
        Ok(LogicalPlan::Join(join))
    }

    fn joined(&self, subquery: &Subquery) -> Result<LogicalPlan> {
        let plan = subquery.subquery.as_ref();
        if !names_outer(plan) {
            return Ok(LogicalPlan::Subquery(subquery.clone()));
        }
        let plan = match OneRow::of(plan) {
            None => self.settled(plan, Use::Joined)?,
            Some(row) if row.has_having() => {
                return refuse("HAVING over an aggregate without GROUP BY in LATERAL");
            }
            Some(row) => self.settled_row(row)?.joined(plan.schema())?,
        };
        Ok(LogicalPlan::Subquery(of_plan(plan)))
    }

    fn settled_row(&self, row: OneRow) -> Result<OneRow> {
        let input = Arc::clone(&row.aggregate.input);
        if !names_outer(&input) {
            return Ok(row);
        }
        row.over(self.settled(&input, Use::Aggregated)?)
    }

    /// The subquery in a form that is joined with rightly.
    fn settled(&self, plan: &LogicalPlan, used: Use) -> Result<LogicalPlan> {
        let fault = fault(plan, used, used == Use::Aggregated)?;
        if fault.is_none() && !is_deep(plan) {
            return Ok(plan.clone());
        }
        match (lift(plan, &self.numbers)?, fault) {
            (Some(lifted), _) => Ok(lifted),
            (None, None) => Ok(plan.clone()),
            (None, Some(what)) => refuse(what),
        }
    }
}

/// `value op` the only row, where there is one; `otherwise` where HAVING leaves none.
fn compared_with_row(row: &OneRow, value: Expr, op: Operator, otherwise: bool) -> Result<Expr> {
    let comparison = BinaryExpr::new(Box::new(value), op, Box::new(row.value()?));
    let comparison = Expr::BinaryExpr(comparison);
    match row.having_value()? {
        None => Ok(comparison),
        Some(having) => when(having, comparison).otherwise(lit(otherwise)),
    }
}

pub(super) fn of_plan(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() }
}

/// The rows without a LIMIT that leaves some: whether there are rows is all that is asked.
fn first_rows_whole(plan: &LogicalPlan) -> Result<&LogicalPlan> {
    match plan {
        LogicalPlan::Sort(Sort { input, fetch: None, .. }) => first_rows_whole(input),
        LogicalPlan::Limit(limit) => {
            let skips = !matches!(limit.get_skip_type()?, SkipType::Literal(0));
            let none = matches!(limit.get_fetch_type()?, FetchType::Literal(Some(0)));
            if skips || none { Ok(plan) } else { first_rows_whole(&limit.input) }
        }
        _ => Ok(plan),
    }
}

/// A subquery reaches for the query around it, no further.
fn check_reach(plan: &LogicalPlan, schema: &DFSchema) -> Result<()> {
    if reaches_beyond(plan, schema)? {
        return refused(String::from(
            "a subquery can only name columns of the query next around it, not of one further \
             out; write a join instead",
        ));
    }
    Ok(())
}

pub(super) fn reaches_beyond(plan: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    let mut beyond = false;
    plan.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    beyond |= !schema.has_column(column);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(beyond)
}

/// Whether an order, a name or a UNION stands above what names outer columns.
fn is_deep(plan: &LogicalPlan) -> bool {
    let here = matches!(
        plan,
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) | LogicalPlan::Union(_)
    );
    names_outer(plan) && (here || plan.inputs().into_iter().any(is_deep))
}

/// What a join with the subquery would do otherwise than running it for every outer row.
fn fault(plan: &LogicalPlan, used: Use, aggregated: bool) -> Result<Option<&'static str>> {
    if !names_outer(plan) {
        return Ok(None);
    }
    let mut aggregated = aggregated;
    let what = match plan {
        LogicalPlan::Window(_) => Some("a window function (OVER)"),
        LogicalPlan::Limit(_) => Some("LIMIT or OFFSET"),
        LogicalPlan::Distinct(Distinct::On(_)) => Some("DISTINCT ON"),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            (used == Use::Joined && !only_equalities(input)?).then_some("DISTINCT")
        }
        LogicalPlan::Aggregate(aggregate) => {
            aggregated = true;
            let sets = aggregate.group_expr.iter().any(|one| matches!(one, Expr::GroupingSet(_)));
            if sets {
                Some("GROUPING SETS, ROLLUP or CUBE")
            } else if aggregate.group_expr.is_empty() {
                Some("an aggregate within a subquery of its own")
            } else if aggregate.aggr_expr.is_empty()
                && used == Use::Joined
                && !only_equalities(&aggregate.input)?
            {
                Some("GROUP BY")
            } else {
                None
            }
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => None,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                names_outer(&join.right).then_some("the right side of an outer join or of EXCEPT")
            }
            JoinType::Right => names_outer(&join.left).then_some("the left side of an outer join"),
            _ => Some("FULL JOIN"),
        },
        LogicalPlan::Filter(filter) if aggregated => {
            let unlike = split_conjunction(&filter.predicate).into_iter().any(|condition| {
                equality(condition).is_some() && !is_plain(condition, &filter.input)
            });
            unlike.then_some("a comparison with more than a column")
        }
        _ => None,
    };
    if what.is_some() {
        return Ok(what);
    }
    for input in plan.inputs() {
        if let Some(what) = fault(input, used, aggregated)? {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

/// Whether the conditions on outer columns are all equalities.
fn only_equalities(plan: &LogicalPlan) -> Result<bool> {
    let mut only = true;
    plan.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        if let LogicalPlan::Filter(filter) = node {
            let conditions = split_conjunction(&filter.predicate);
            let mut outer = conditions.into_iter().filter(|condition| condition.contains_outer());
            only &= outer.all(|condition| is_plain(condition, &filter.input));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(only)
}

/// Whether it is an equality with a column as it is: rows that differ in the column then go with
/// different outer rows.
fn is_plain(condition: &Expr, input: &LogicalPlan) -> bool {
    let Some((inner, outer)) = equality(condition) else { return false };
    let value = compared(inner, outer, input);
    matches!(value.as_ref().unwrap_or(inner), Expr::Column(_))
}

fn refuse<T>(what: &str) -> Result<T> {
    refused(format!(
        "{what} in a subquery that names columns of the outer query is not supported in this \
         way, write a join instead"
    ))
}

pub(super) fn refused<T>(message: String) -> Result<T> {
    let state = SqlState::FeatureNotSupported;
    let error = SqlError::Coded { state, message, position: None };
    Err(DataFusionError::from(TablesError::from(error)))
}
