//! Makes system columns answer where they are named, and only there.
//!
//! Tables are narrow: `*`, NATURAL JOIN and INSERT see declared columns. In a SELECT scope that
//! names a system column the tables concerned are marked, in the syntax tree, to be read wide;
//! what a wide table would change there is written out first from the narrow one: wildcards
//! become lists of columns. All other scopes stay as they are.

use std::collections::HashSet;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, OrderByExpr, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};
use kalamdb_sql::{TableName, stored_name};

use super::marked_tables::{is_marked, mark};
use super::plan_context::PlanContext;
use super::scopes::{FromColumn, ScopeRewrite, Scopes, column_expr};
use super::system_columns::{NamedSystemColumns, factor_name, names_any};
use crate::TablesError;
use crate::table_provider::TableShape;

/// Rewrites all scopes of `query` that name a system column.
pub(super) fn widen_scopes(context: &PlanContext<'_>, query: &mut Query) -> Result<()> {
    if names_any(query) { Widening { scopes: Scopes::new(context) }.query(query) } else { Ok(()) }
}

struct Widening<'a> {
    scopes: Scopes<'a>,
}

impl<'a> ScopeRewrite<'a> for Widening<'a> {
    fn scopes(&mut self) -> &mut Scopes<'a> {
        &mut self.scopes
    }

    fn select(&mut self, select: &mut Select, order_by: &mut Vec<OrderByExpr>) -> Result<()> {
        self.nested(select)?;
        let named = NamedSystemColumns::of_scope(select, order_by);
        if named.is_empty() {
            return Ok(());
        }
        let concerned = self.concerned(&select.from, &named);
        if concerned.is_empty() {
            return Ok(());
        }
        self.expand_wildcards(select)?;
        for table in &mut select.from {
            mark_tables(table, &named, &concerned);
        }
        Ok(())
    }
}

impl Widening<'_> {
    /// The base tables of FROM that have to be wide, by the names they go by.
    fn concerned(&self, from: &[TableWithJoins], named: &NamedSystemColumns) -> HashSet<String> {
        let mut concerned = HashSet::new();
        for factor in from.iter().flat_map(factors) {
            let TableFactor::Table { name, args: None, .. } = factor else { continue };
            if is_marked(name) || self.scopes.is_with_query(name) || self.is_view(name) {
                continue;
            }
            if let Some(name) = factor_name(factor)
                && named.concern(&name)
            {
                concerned.insert(name);
            }
        }
        concerned
    }

    /// True when the name is a view's: it has the columns its query gives, and no others.
    fn is_view(&self, name: &ObjectName) -> bool {
        TableName::from_ast(name).is_ok_and(|name| self.scopes.context.names().is_view(&name))
    }

    /// Replaces every wildcard by the columns it stands for in narrow tables.
    fn expand_wildcards(&self, select: &mut Select) -> Result<()> {
        let mut projection = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            let is_wildcard =
                matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
            if !is_wildcard {
                projection.push(item);
                continue;
            }
            let (item, replaced) = take_replacements(item);
            for (qualifier, column) in self.narrow_columns(select, vec![item])? {
                let replacement = replaced.iter().find(|(name, _)| *name == column);
                let alias = Ident::with_quote('"', &column);
                projection.push(match replacement {
                    Some((_, expr)) => SelectItem::ExprWithAlias { expr: expr.clone(), alias },
                    None => SelectItem::UnnamedExpr(column_expr(qualifier.as_ref(), &column)),
                });
            }
        }
        select.projection = projection;
        Ok(())
    }

    /// The columns `projection` gives over the scope's FROM, all tables narrow.
    fn narrow_columns(
        &self,
        scope: &Select,
        projection: Vec<SelectItem>,
    ) -> Result<Vec<FromColumn>> {
        let mut select = bare_select(scope);
        select.projection = projection;
        select.from = scope.from.clone();
        self.scopes.columns_of(select)
    }
}

/// All relations of a FROM item, those in nested joins included.
pub(super) fn factors(table: &TableWithJoins) -> Vec<&TableFactor> {
    let mut found = Vec::new();
    let mut pending = vec![&table.relation];
    pending.extend(table.joins.iter().map(|join| &join.relation));
    while let Some(factor) = pending.pop() {
        match factor {
            // An alias hides the names within.
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                pending.push(&table_with_joins.relation);
                pending.extend(table_with_joins.joins.iter().map(|join| &join.relation));
            }
            other => found.push(other),
        }
    }
    found
}

fn mark_tables(
    table: &mut TableWithJoins,
    named: &NamedSystemColumns,
    concerned: &HashSet<String>,
) {
    mark_factor(&mut table.relation, named, concerned);
    for join in &mut table.joins {
        mark_factor(&mut join.relation, named, concerned);
    }
}

fn mark_factor(factor: &mut TableFactor, named: &NamedSystemColumns, concerned: &HashSet<String>) {
    let known_as = factor_name(factor);
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            mark_tables(table_with_joins, named, concerned);
        }
        TableFactor::Table { name, args: None, .. } if !is_marked(name) => {
            if let Some(known_as) = known_as
                && concerned.contains(&known_as)
            {
                let include_deleted = named.show_deleted(&known_as);
                mark(name, TableShape::Wide { include_deleted });
            }
        }
        _ => {}
    }
}

/// Takes `REPLACE (expr AS name)` off a wildcard: the name's column gives way to the expression.
fn take_replacements(item: SelectItem) -> (SelectItem, Vec<(String, Expr)>) {
    let take = |options: &mut datafusion::sql::sqlparser::ast::WildcardAdditionalOptions| {
        let replace = options.opt_replace.take();
        let items = replace.into_iter().flat_map(|replace| replace.items);
        items.map(|item| (stored_name(&item.column_name), item.expr)).collect()
    };
    match item {
        SelectItem::Wildcard(mut options) => {
            let replaced = take(&mut options);
            (SelectItem::Wildcard(options), replaced)
        }
        SelectItem::QualifiedWildcard(kind, mut options) => {
            let replaced = take(&mut options);
            (SelectItem::QualifiedWildcard(kind, options), replaced)
        }
        other => (other, Vec::new()),
    }
}

/// `scope` with nothing but its shape left.
pub(super) fn bare_select(scope: &Select) -> Select {
    let mut select = scope.clone();
    select.distinct = None;
    select.exclude = None;
    select.lateral_views = Vec::new();
    select.prewhere = None;
    select.selection = None;
    select.connect_by = Vec::new();
    select.group_by =
        datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.cluster_by = Vec::new();
    select.distribute_by = Vec::new();
    select.sort_by = Vec::new();
    select.having = None;
    select.named_window = Vec::new();
    select.qualify = None;
    select
}

/// `SELECT` of nothing from nowhere, to be filled.
pub(crate) fn empty_select() -> Result<Select> {
    match *parse_query("SELECT 1")?.body {
        SetExpr::Select(mut select) => {
            select.projection.clear();
            Ok(*select)
        }
        _ => Err(TablesError::Internal { reason: String::from("SELECT 1 is no select") }.into()),
    }
}

fn parse_query(sql: &str) -> Result<Box<Query>> {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};
    Ok(Parser::new(&GenericDialect {}).try_with_sql(sql)?.parse_query()?)
}

/// A query of nothing but a body.
pub(crate) fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
