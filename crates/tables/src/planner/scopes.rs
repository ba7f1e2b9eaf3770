//! The SELECTs of a query, one scope after the other, with the WITH clauses around each.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, ObjectName, OrderByExpr, OrderByKind, Query, Select, SetExpr, VisitMut,
    VisitorMut, With,
};
use kalamdb_sql::stored_name;

use super::plan_context::PlanContext;
use super::wide_scopes::{query_of, widen_scopes};

/// A column as FROM brings it: what it is qualified with, and its name.
pub(super) type FromColumn = (Option<TableReference>, String);

/// Where a rewrite stands.
pub(super) struct Scopes<'a> {
    pub(super) context: &'a PlanContext<'a>,
    /// WITH clauses around the scope, outermost first.
    withs: Vec<With>,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(context: &'a PlanContext<'a>) -> Self {
        Self { context, withs: Vec::new() }
    }

    /// True when the name is one of a WITH query in sight.
    pub(super) fn is_with_query(&self, name: &ObjectName) -> bool {
        let [part] = name.0.as_slice() else { return false };
        let Some(name) = part.as_ident().map(stored_name) else { return false };
        let mut queries = self.withs.iter().flat_map(|with| &with.cte_tables);
        queries.any(|cte| stored_name(&cte.alias.name) == name)
    }

    /// The columns a SELECT in this scope gives; it names no system column itself.
    pub(super) fn columns_of(&self, select: Select) -> Result<Vec<FromColumn>> {
        let mut query = query_of(SetExpr::Select(Box::new(select)));
        for with in self.withs.iter().rev() {
            query.with = Some(with.clone());
            query = query_of(SetExpr::Query(Box::new(query)));
        }
        widen_scopes(self.context, &mut query)?;
        let plan = self.context.plan_prepared(query)?;
        let columns = plan.schema().iter();
        Ok(columns.map(|(qualifier, field)| (qualifier.cloned(), field.name().clone())).collect())
    }
}

/// What is done in every scope of a query.
pub(super) trait ScopeRewrite<'a>: Sized {
    fn scopes(&mut self) -> &mut Scopes<'a>;

    /// Rewrites a scope and, by [`Self::nested`], those within it. `order_by` are the keys of the
    /// query whose body the scope is.
    fn select(&mut self, select: &mut Select, order_by: &mut Vec<OrderByExpr>) -> Result<()>;

    fn query(&mut self, query: &mut Query) -> Result<()> {
        let around = self.scopes().withs.len();
        if let Some(with) = &mut query.with {
            for position in 0..with.cte_tables.len() {
                let before = in_sight_of(with, position);
                self.scopes().withs.push(before);
                let result = match with.cte_tables.get_mut(position) {
                    Some(cte) => self.query(&mut cte.query),
                    None => Ok(()),
                };
                self.scopes().withs.truncate(around);
                result?;
            }
            self.scopes().withs.push(with.clone());
        }
        let mut order_by = query.order_by.take();
        if let Some(order_by) = &mut order_by {
            self.nested(order_by)?;
        }
        let result = match order_by.as_mut().map(|order_by| &mut order_by.kind) {
            Some(OrderByKind::Expressions(keys)) => self.body(&mut query.body, keys),
            _ => self.body(&mut query.body, &mut Vec::new()),
        };
        query.order_by = order_by;
        self.scopes().withs.truncate(around);
        result
    }

    fn body(&mut self, body: &mut SetExpr, order_by: &mut Vec<OrderByExpr>) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, &mut Vec::new())?;
                self.body(right, &mut Vec::new())
            }
            SetExpr::Values(values) => self.nested(values),
            _ => Ok(()),
        }
    }

    /// Rewrites the queries nested in a part of a scope, each as a scope of its own.
    fn nested<V: VisitMut>(&mut self, part: &mut V) -> Result<()> {
        match part.visit(&mut NestedQueries { rewrite: self, inside: 0 }) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}

/// What the WITH query at `position` sees of its clause: those before it and, where it may name
/// itself, its first term under its name.
fn in_sight_of(with: &With, position: usize) -> With {
    let mut before = with.clone();
    before.cte_tables.truncate(position);
    if with.recursive
        && let Some(own) = with.cte_tables.get(position)
        && let SetExpr::SetOperation { left, .. } = own.query.body.as_ref()
    {
        let query = Query { body: left.clone(), ..(*own.query).clone() };
        before.cte_tables.push(Cte { query: Box::new(query), ..own.clone() });
    }
    before
}

/// Hands every outermost query below a node to the rewrite.
struct NestedQueries<'w, R> {
    rewrite: &'w mut R,
    inside: usize,
}

impl<'a, R: ScopeRewrite<'a>> VisitorMut for NestedQueries<'_, R> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        self.inside += 1;
        if self.inside == 1
            && let Err(error) = self.rewrite.query(query)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<DataFusionError> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }
}

/// The expression that names a column.
pub(super) fn column_expr(qualifier: Option<&TableReference>, column: &str) -> Expr {
    let quoted = |part: &str| Ident::with_quote('"', part);
    let Some(qualifier) = qualifier else { return Expr::Identifier(quoted(column)) };
    let parts = [qualifier.catalog(), qualifier.schema(), Some(qualifier.table()), Some(column)];
    Expr::CompoundIdentifier(parts.into_iter().flatten().map(quoted).collect())
}
