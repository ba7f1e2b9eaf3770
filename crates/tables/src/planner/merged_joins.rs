//! JOIN … USING and NATURAL JOIN: the columns both sides have are one, left of all others in `*`.
//!
//! The query engine takes the left table's column where one is named. That is NULL in rows that
//! only the right table has, and in chains of joins there are two lefts. So such a join becomes one
//! ON equal columns, and the merged column is written out where it is named: the left side's, of a
//! RIGHT JOIN the right side's, of a FULL JOIN the one that is there.

mod sides;
mod wildcards;

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, OrderByExpr, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};
use kalamdb_sql::stored_name;

use self::sides::{Merged, Output, Side, constraint, joined, merged_names};
use self::wildcards::{expand_wildcards, shown_as};
use super::plan_context::PlanContext;
use super::scopes::{ScopeRewrite, Scopes, column_expr};
use super::wide_scopes::{empty_select, query_of};

/// Rewrites the joins of all scopes of `query`, when there are such.
pub(super) fn write_out(context: &PlanContext<'_>, query: &mut Query) -> Result<()> {
    if !merges_any(query) {
        return Ok(());
    }
    MergedJoins { scopes: Scopes::new(context), around: Merged::new() }.query(query)
}

struct MergedJoins<'a> {
    scopes: Scopes<'a>,
    /// The merged columns of the scopes around, as far as they are in sight.
    around: Merged,
}

impl<'a> ScopeRewrite<'a> for MergedJoins<'a> {
    fn scopes(&mut self) -> &mut Scopes<'a> {
        &mut self.scopes
    }

    fn select(&mut self, select: &mut Select, order_by: &mut Vec<OrderByExpr>) -> Result<()> {
        let mut from = std::mem::take(&mut select.from);
        for item in &mut from {
            hide_named(item)?;
        }
        self.nested(&mut from)?;
        let mut in_sight = self.outer_names(select, &from)?;
        let _: ControlFlow<()> = select.visit(&mut Naming { merged: &in_sight, inside: 0 });
        if from.iter().any(merges) {
            in_sight.extend(self.merge(select, &mut from, order_by)?);
        }
        let around = std::mem::replace(&mut self.around, in_sight);
        let result = self.nested(select);
        self.around = around;
        select.from = from;
        result
    }
}

impl MergedJoins<'_> {
    /// Rewrites the joins of FROM, and the names of their merged columns in the scope.
    fn merge(
        &self,
        select: &mut Select,
        from: &mut [TableWithJoins],
        order_by: &mut [OrderByExpr],
    ) -> Result<Merged> {
        let mut outputs = Vec::new();
        for item in from.iter_mut() {
            outputs.extend(self.item(item)?.outputs);
        }
        let merged = merged_names(&outputs);
        expand_wildcards(select, &outputs)?;
        let shown = shown_names(&select.projection);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Expr::Identifier(name) = expr
                && let Some(column) = merged.get(&stored_name(name))
            {
                *item = shown_as(column, &stored_name(name));
            }
        }
        let mut naming = Naming { merged: &merged, inside: 0 };
        let _: ControlFlow<()> = select.visit(&mut naming);
        for key in order_by {
            if let Expr::Identifier(name) = &key.expr
                && shown.contains(&stored_name(name))
            {
                continue;
            }
            let _: ControlFlow<()> = key.visit(&mut naming);
        }
        Ok(merged)
    }

    /// Rewrites the joins of one item of FROM.
    fn item(&self, item: &mut TableWithJoins) -> Result<Side> {
        let mut left = self.first(&mut item.relation)?;
        for position in 0..item.joins.len() {
            let (before, rest) = item.joins.split_at_mut(position);
            let Some(join) = rest.first_mut() else { break };
            let merged = merged_names(&left.outputs);
            let mut naming = Naming { merged: &merged, inside: 0 };
            let _: ControlFlow<()> = join.visit(&mut naming);
            let right = self.next(&item.relation, before, join, left.columns)?;
            left = joined(left, right, &mut join.join_operator)?;
        }
        Ok(left)
    }

    fn first(&self, relation: &mut TableFactor) -> Result<Side> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = relation {
            return self.item(table_with_joins);
        }
        let alone = TableWithJoins { relation: relation.clone(), joins: Vec::new() };
        self.side_of(alone, 0)
    }

    /// The side that `join` brings in after `before`.
    fn next(
        &self,
        relation: &TableFactor,
        before: &[Join],
        join: &mut Join,
        columns: usize,
    ) -> Result<Side> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = &mut join.relation {
            return self.item(table_with_joins);
        }
        if !matches!(join.relation, TableFactor::Derived { lateral: true, .. })
            && !matches!(join.relation, TableFactor::Function { .. } | TableFactor::UNNEST { .. })
        {
            return self.first(&mut join.relation);
        }
        // It may name columns of what stands before it.
        let mut joins = before.to_vec();
        let mut last = join.clone();
        last.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        joins.push(last);
        self.side_of(TableWithJoins { relation: relation.clone(), joins }, columns)
    }

    /// The columns of `item` after the first `known`.
    fn side_of(&self, item: TableWithJoins, known: usize) -> Result<Side> {
        let mut select = empty_select()?;
        select.projection = vec![SelectItem::Wildcard(Default::default())];
        select.from = vec![item];
        let columns = self.scopes.columns_of(select)?;
        let outputs: Vec<Output> = columns
            .into_iter()
            .skip(known)
            .map(|(qualifier, name)| Output {
                expr: column_expr(qualifier.as_ref(), &name),
                name,
                merged: false,
            })
            .collect();
        Ok(Side { columns: outputs.len(), outputs })
    }

    /// The merged columns of the scopes around that this scope names, or one within it.
    fn outer_names(&self, select: &Select, from: &[TableWithJoins]) -> Result<Merged> {
        if self.around.is_empty() {
            return Ok(Merged::new());
        }
        let mut used = UsedNames::default();
        let _: ControlFlow<()> = select.visit(&mut used);
        let mut outer = self.around.clone();
        outer.retain(|name, _| used.names.contains(name));
        if outer.is_empty() {
            return Ok(outer);
        }
        for item in from {
            for own in self.item(&mut item.clone())?.outputs {
                outer.remove(&own.name);
            }
        }
        Ok(outer)
    }
}

/// The names ORDER BY can mean a result's column by.
fn shown_names(projection: &[SelectItem]) -> HashSet<String> {
    let names = projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(stored_name(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(stored_name(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(stored_name),
        _ => None,
    });
    names.collect()
}

/// Makes `(t JOIN u USING (id)) AS j` a subquery: the alias hides the names within.
fn hide_named(item: &mut TableWithJoins) -> Result<()> {
    let relations = std::iter::once(&mut item.relation)
        .chain(item.joins.iter_mut().map(|join| &mut join.relation));
    for relation in relations {
        let TableFactor::NestedJoin { table_with_joins, alias } = relation else { continue };
        hide_named(table_with_joins)?;
        if alias.is_none() || !merges(table_with_joins) {
            continue;
        }
        let mut select = empty_select()?;
        select.projection = vec![SelectItem::Wildcard(Default::default())];
        select.from = vec![(**table_with_joins).clone()];
        *relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
            alias: alias.take(),
            sample: None,
        };
    }
    Ok(())
}

/// Whether a join of an item of FROM merges columns.
fn merges(item: &TableWithJoins) -> bool {
    let nested = |relation: &TableFactor| match relation {
        TableFactor::NestedJoin { table_with_joins, .. } => merges(table_with_joins),
        _ => false,
    };
    nested(&item.relation)
        || item.joins.iter().any(|join| nested(&join.relation) || is_merging(&join.join_operator))
}

fn is_merging(operator: &JoinOperator) -> bool {
    let mut operator = operator.clone();
    matches!(constraint(&mut operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn merges_any(query: &Query) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.from.iter().any(merges) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    query.visit(&mut Search).is_break()
}

/// Puts merged columns in the place of their names, outside of nested queries.
struct Naming<'m> {
    merged: &'m Merged,
    inside: usize,
}

impl VisitorMut for Naming<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.inside == 0
            && let Expr::Identifier(name) = expr
            && let Some(column) = self.merged.get(&stored_name(name))
        {
            *expr = column.clone();
        }
        ControlFlow::Continue(())
    }
}

/// The names without a table in a scope, and in those within it.
#[derive(Default)]
struct UsedNames {
    names: HashSet<String>,
}

impl Visitor for UsedNames {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            self.names.insert(stored_name(name));
        }
        ControlFlow::Continue(())
    }
}
