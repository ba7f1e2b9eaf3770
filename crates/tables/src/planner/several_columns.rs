//! Subqueries with several columns of one name: `SELECT * FROM (SELECT * FROM t JOIN u …) AS q`.
//!
//! They are columns as any others until one is named: which one `q.id` is, nobody knows. The query
//! engine would call the second `id:1`, and take `q.id` for the first. So here all columns that
//! share a name go by others while the query is planned, which no statement can write, and have
//! their own again in the result.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{
    Cte, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::result_names::{first_select, written_name};
use super::wide_scopes::{empty_select, query_of};

/// What stands between the name of such a column and its number. No name of a user has a control
/// character in it; EXPLAIN leaves it out.
const MARK: &str = ":\u{1}";

/// What the column of this number, among those called `name`, goes by.
pub(super) fn given(name: &str, number: usize) -> String {
    format!("{name}{MARK}{number}")
}

/// The name of a column that shares it with others, by what it goes by; `None` for the others.
pub fn shared_name(given: &str) -> Option<&str> {
    match given.split_once(MARK) {
        Some((name, _)) if !name.is_empty() => Some(name),
        _ => None,
    }
}

/// Plans subqueries in FROM that may have several columns of one name.
#[derive(Debug)]
pub(super) struct SeveralColumns;

impl RelationPlanner for SeveralColumns {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::Derived { subquery, alias, .. } = &mut relation
            && alias.as_ref().is_some_and(|alias| alias.columns.is_empty())
            && may_share(&subquery.body)
        {
            let alias = alias.take();
            let plan = told_apart(context.plan(relation)?)?;
            let planned = PlannedRelation::new(plan, alias);
            return Ok(RelationPlanning::Planned(Box::new(planned)));
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

/// Makes subqueries in FROM of the queries in WITH that may have several columns of one name.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    match query.visit(&mut WithQueries) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WithQueries;

impl VisitorMut for WithQueries {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let Some(with) = query.with.as_mut().filter(|with| !with.recursive) else {
            return ControlFlow::Continue(());
        };
        for cte in &mut with.cte_tables {
            if cte.alias.columns.is_empty()
                && may_share(&cte.query.body)
                && let Err(error) = as_subquery(cte)
            {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

/// `q AS (SELECT * FROM (the query) AS q)`.
fn as_subquery(cte: &mut Cte) -> Result<()> {
    let mut select = empty_select()?;
    select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    let outer = query_of(SetExpr::Select(Box::new(select)));
    let subquery = std::mem::replace(&mut cte.query, Box::new(outer));
    let alias = TableAlias { explicit: true, ..cte.alias.clone() };
    let relation =
        TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
    if let SetExpr::Select(select) = cte.query.body.as_mut() {
        select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    }
    Ok(())
}

/// Whether a query can have several columns of one name: it has one written twice, or a `*` beside
/// other items or of several tables.
fn may_share(body: &SetExpr) -> bool {
    let Some(Select { projection, from, .. }) = first_select(body) else { return false };
    let is_wildcard = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    if projection.iter().any(is_wildcard) {
        let joined = from.len() > 1 || from.iter().any(|table| !table.joins.is_empty());
        return joined || projection.len() > 1;
    }
    let mut names: Vec<_> = projection.iter().filter_map(written_name).collect();
    let items = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() < items
}

/// The plan with other names for columns that share one.
fn told_apart(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let names = plan.schema().fields().iter().map(|field| field.name().as_str());
    let names: Vec<&str> = names.map(|name| shared_name(name).unwrap_or(name)).collect();
    for name in &names {
        *uses.entry(*name).or_default() += 1;
    }
    if uses.len() == names.len() {
        return Ok(plan);
    }
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let columns = plan.schema().iter().zip(&names).map(|((qualifier, field), name)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if uses.get(name).is_none_or(|uses| *uses < 2) {
            return column;
        }
        let number = numbers.entry(*name).or_default();
        *number += 1;
        column.alias(given(name, *number))
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_given_here_are_shared() {
        assert_eq!(shared_name(&given("id", 2)), Some("id"));
        assert_eq!(shared_name("id:1"), None);
        assert_eq!(shared_name("\u{1}place"), None);
    }

    #[test]
    fn what_may_share_a_name_is_told_by_the_select_list() {
        let shares = |sql: &str| match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(query) => may_share(&query.body),
            other => panic!("{} is no query", other.name()),
        };
        for sql in [
            "SELECT * FROM t JOIN u ON t.a = u.a",
            "SELECT * FROM t, u",
            "SELECT *, a FROM t",
            "SELECT t.a, u.a FROM t, u UNION SELECT 1, 2",
        ] {
            assert!(shares(sql), "{sql}");
        }
        for sql in ["SELECT * FROM t", "SELECT a, b FROM t, u", "VALUES (1, 1)"] {
            assert!(!shares(sql), "{sql}");
        }
    }
}
