//! A subquery that aggregates all its rows: one row, also where it has none to aggregate.
//!
//! `EXISTS (SELECT max(b) FROM u WHERE u.a = t.a)` is true, whatever `u` holds. A join with the
//! groups of `u` knows nothing of a group that is not there, so what is asked of the row is
//! computed from the aggregates alone.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, LogicalPlan, Projection, SkipType, Sort, lit, when,
};

use super::correlated_subqueries::of_plan;
use super::hoisted_subqueries::is_correlated;

/// What the number of rows is called where it is counted only to know that there is a row.
const ROWS: &str = "__rows_of_subquery";

/// The row: expressions over the aggregates, and the condition it is there on.
pub(super) struct OneRow {
    columns: Vec<Expr>,
    having: Option<Expr>,
    pub(super) aggregate: Aggregate,
}

impl OneRow {
    /// The only row of a plan that has one by its form.
    pub(super) fn of(plan: &LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Some(Self {
                columns: plan.schema().columns().into_iter().map(Expr::Column).collect(),
                having: None,
                aggregate: aggregate.clone(),
            }),
            LogicalPlan::Projection(projection) => {
                let row = Self::of(&projection.input)?;
                let schema = projection.input.schema();
                let columns = projection.expr.iter();
                let columns = columns.map(|expr| row.put_into(expr, schema));
                Some(Self { columns: columns.collect::<Option<_>>()?, ..row })
            }
            LogicalPlan::Filter(filter) => {
                let row = Self::of(&filter.input)?;
                let condition = row.put_into(&filter.predicate, filter.input.schema())?;
                let having = match row.having {
                    None => condition,
                    Some(before) => before.and(condition),
                };
                Some(Self { having: Some(having), ..row })
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Distinct(Distinct::All(input)) => Self::of(input),
            LogicalPlan::Sort(Sort { input, fetch: None, .. }) => Self::of(input),
            LogicalPlan::Limit(limit) => {
                let skip = limit.get_skip_type().ok()?;
                let fetch = limit.get_fetch_type().ok()?;
                match (skip, fetch) {
                    (SkipType::Literal(0), FetchType::Literal(None | Some(1..))) => {
                        Self::of(&limit.input)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// An expression over the row as one over the aggregates.
    fn put_into(&self, expr: &Expr, schema: &DFSchema) -> Option<Expr> {
        // The columns a subquery names in here would stay as they are.
        if expr.exists(|expr| Ok(is_correlated(expr))).unwrap_or(true) {
            return None;
        }
        let expr = expr.clone().transform_down(|expr| match &expr {
            Expr::Column(column) => {
                let position = schema.index_of_column(column)?;
                Ok(match self.columns.get(position) {
                    Some(value) => Transformed::new(value.clone(), true, TreeNodeRecursion::Jump),
                    None => Transformed::no(expr),
                })
            }
            _ => Ok(Transformed::no(expr)),
        });
        Some(expr.data().ok()?.unalias_nested().data)
    }

    pub(super) fn has_having(&self) -> bool {
        self.having.is_some()
    }

    /// The same over another input with the same columns.
    pub(super) fn over(self, input: LogicalPlan) -> Result<Self> {
        let Aggregate { group_expr, aggr_expr, .. } = self.aggregate;
        let aggregate = Aggregate::try_new(Arc::new(input), group_expr, aggr_expr)?;
        Ok(Self { aggregate, ..self })
    }

    /// The value of its first column.
    pub(super) fn value(&self) -> Result<Expr> {
        match self.columns.first() {
            Some(column) => self.computed(column),
            None => Ok(lit(ScalarValue::Null)),
        }
    }

    /// The value of HAVING.
    pub(super) fn having_value(&self) -> Result<Option<Expr>> {
        self.having.as_ref().map(|having| self.computed(having)).transpose()
    }

    fn computed(&self, value: &Expr) -> Result<Expr> {
        if value.column_refs().is_empty() && !value.contains_outer() {
            return Ok(value.clone());
        }
        let rows = Arc::new(LogicalPlan::Aggregate(self.aggregate.clone()));
        let row = Projection::try_new(vec![value.clone()], rows)?;
        Ok(Expr::ScalarSubquery(of_plan(LogicalPlan::Projection(row))))
    }

    /// The row as it is joined with, with the columns of `schema`.
    pub(super) fn joined(self, schema: &DFSchema) -> Result<LogicalPlan> {
        let Self { mut aggregate, columns, .. } = self;
        let is_constant = |expr: &Expr| expr.column_refs().is_empty() && !expr.contains_outer();
        if columns.iter().any(is_constant) {
            // Where nothing was aggregated the engine knows what aggregates are, nothing else.
            aggregate.aggr_expr.push(count(lit(1_i64)).alias(ROWS));
            let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
            aggregate = Aggregate::try_new(input, group_expr, aggr_expr)?;
        }
        let columns = columns.into_iter().zip(schema.iter()).map(|(value, (qualifier, field))| {
            let own = Column::new(qualifier.cloned(), field.name());
            let value = if is_constant(&value) {
                let rows = Expr::Column(Column::new_unqualified(ROWS));
                when(rows.gt_eq(lit(0_i64)), value).end()?
            } else if value == Expr::Column(own) {
                return Ok(value);
            } else {
                value
            };
            Ok(value.alias_qualified(qualifier.cloned(), field.name()))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows = Arc::new(LogicalPlan::Aggregate(aggregate));
        Ok(LogicalPlan::Projection(Projection::try_new(columns, rows)?))
    }
}
