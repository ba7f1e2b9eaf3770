//! The stages of a MERGE above its join: which clause a row falls under, decided once; the rows
//! that have one; the values of each clause, for its rows only.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, lit};
use kalamdb_sql::{MergeAction, MergeClause, MergeMatching, SqlError};

use super::lower_merge::Lowering;
use super::merge_scope::check_columns;
use super::merge_writer::{ACTION, LOCATION};
use crate::TablesError;

/// The column that says which clause a row falls under; negative: none.
const CLAUSE: &str = "clause of merge";

impl Lowering<'_> {
    /// Decides on the clause once for each row, leaves out rows without one, and computes the
    /// values of a clause for its own rows only.
    pub(super) fn by_clause(
        &self,
        plan: LogicalPlan,
        clauses: &[Option<usize>],
    ) -> Result<LogicalPlan> {
        let LogicalPlan::Projection(Projection { expr: items, input, .. }) = plan else {
            let reason = String::from("the source of a MERGE is no select");
            return Err(TablesError::Internal { reason }.into());
        };
        let LogicalPlan::Join(join) = input.as_ref() else {
            return Err(TablesError::invalid(
                "aggregate and window functions cannot stand in MERGE, compute them in its source",
            )
            .into());
        };
        for expr in join.filter.iter().chain(&items) {
            refuse_predicates(expr)?;
        }
        self.check(&items, clauses)?;
        let mut below: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
        let which = items.get(ACTION).cloned().unwrap_or_default();
        below.push(which.unalias().alias(CLAUSE));
        let below = LogicalPlan::Projection(Projection::try_new(below, input)?);
        let clause = Expr::Column(Column::new_unqualified(CLAUSE));
        let source = match self.takes_all() {
            true => below,
            false => {
                let taken = clause.clone().gt_eq(lit(0_i64));
                LogicalPlan::Filter(Filter::try_new(taken, Arc::new(below))?)
            }
        };
        let values = items.into_iter().zip(clauses).enumerate().map(|(position, (item, of))| {
            let (_, name) = item.qualified_name();
            let item = item.unalias();
            let value = match of {
                _ if position == ACTION => clause.clone(),
                Some(number) if !is_plain(&item) => only_for(&clause, *number, item),
                _ => item,
            };
            value.alias(name)
        });
        Ok(LogicalPlan::Projection(Projection::try_new(values.collect(), Arc::new(source))?))
    }

    /// Whether every row of the join falls under a clause that changes something.
    fn takes_all(&self) -> bool {
        let kinds = [MergeMatching::NotMatched, MergeMatching::NotMatchedBySource];
        let kinds = kinds.into_iter().filter(|kind| self.has(*kind));
        let taken = |kind: MergeMatching| {
            let mut clauses = self.merge.clauses.iter().filter(|clause| clause.matching == kind);
            clauses.any(|clause| clause.condition.is_none())
        };
        let nothing = |clause: &MergeClause| matches!(clause.action, MergeAction::Nothing);
        [MergeMatching::Matched].into_iter().chain(kinds).all(taken)
            && !self.merge.clauses.iter().any(nothing)
    }

    /// Refuses columns that clauses cannot see.
    fn check(&self, items: &[Expr], clauses: &[Option<usize>]) -> Result<()> {
        let target = items.get(LOCATION).map(|location| location.clone().unalias());
        let target: Option<TableReference> = match target {
            Some(Expr::Column(column)) => column.relation,
            _ => None,
        };
        for (item, number) in items.iter().zip(clauses) {
            let Some(number) = *number else { continue };
            let Some(clause) = self.merge.clauses.get(number) else { continue };
            check_columns(item, clause.matching, target.as_ref(), &self.named(number))?;
        }
        let Some(which) = items.get(ACTION).map(|item| item.clone().unalias()) else {
            return Ok(());
        };
        let Expr::Case(Case { when_then_expr, .. }) = which else { return Ok(()) };
        for (number, (clause, (when, _))) in
            self.merge.clauses.iter().zip(&when_then_expr).enumerate()
        {
            if clause.condition.is_some()
                && let Expr::BinaryExpr(holds) = when.as_ref()
                && let Expr::Case(Case { when_then_expr: in_turn, .. }) = holds.left.as_ref()
            {
                let named = self.named(number);
                for (_, given) in in_turn {
                    check_columns(given, clause.matching, target.as_ref(), &named)?;
                }
            }
        }
        Ok(())
    }
}

/// The query engine finds rows by these in WHERE only.
fn refuse_predicates(expr: &Expr) -> Result<()> {
    let predicate = |expr: &Expr| {
        Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
    };
    if !expr.exists(predicate)? {
        return Ok(());
    }
    let what = "IN (SELECT …), EXISTS, ANY or ALL in the conditions and values of MERGE";
    let advice = "join the other table in the source: USING (SELECT … LEFT JOIN …)";
    Err(TablesError::from(SqlError::unsupported(what, advice)).into())
}

/// True for what costs nothing and cannot fail.
fn is_plain(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(_) | Expr::Literal(..) | Expr::Placeholder(_))
}

fn only_for(clause: &Expr, number: usize, value: Expr) -> Expr {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let when = Box::new(clause.clone().eq(lit(number)));
    Expr::Case(Case::new(None, vec![(when, Box::new(value))], None))
}
