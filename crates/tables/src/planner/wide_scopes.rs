//! Makes system columns answer where they are named, and only there.
//!
//! Tables are narrow: `*`, NATURAL JOIN and INSERT see declared columns. In a SELECT scope that
//! names a system column the tables concerned are marked, in the syntax tree, to be read wide;
//! what a wide table would change there is written out first from the narrow one: wildcards
//! become lists of columns, NATURAL becomes USING. All other scopes stay as they are.

use std::collections::HashSet;

use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableFactor, TableWithJoins, VisitMut, VisitorMut, With,
};
use kalamdb_sql::{TableName, stored_name};

use super::marked_tables::{is_marked, mark};
use super::plan_context::PlanContext;
use super::system_columns::{NamedSystemColumns, factor_name, names_any};
use crate::TablesError;
use crate::table_provider::TableShape;

/// Rewrites all scopes of `query` that name a system column.
pub(super) fn widen_scopes(context: &PlanContext<'_>, query: &mut Query) -> Result<()> {
    if names_any(query) { Widening { context, withs: Vec::new() }.query(query) } else { Ok(()) }
}

struct Widening<'a> {
    context: &'a PlanContext<'a>,
    /// WITH clauses around the scope, outermost first.
    withs: Vec<With>,
}

impl Widening<'_> {
    fn query(&mut self, query: &mut Query) -> Result<()> {
        let around = self.withs.len();
        if let Some(with) = &mut query.with {
            for position in 0..with.cte_tables.len() {
                let mut before = with.clone();
                before.cte_tables.truncate(position);
                self.withs.push(before);
                let result = match with.cte_tables.get_mut(position) {
                    Some(cte) => self.query(&mut cte.query),
                    None => Ok(()),
                };
                self.withs.truncate(around);
                result?;
            }
            self.withs.push(with.clone());
        }
        let mut order_by = query.order_by.take();
        if let Some(order_by) = &mut order_by {
            self.nested(order_by)?;
        }
        let order_exprs = order_by.as_ref().map(|order_by| match &order_by.kind {
            OrderByKind::Expressions(exprs) => exprs.clone(),
            OrderByKind::All(_) => Vec::new(),
        });
        let result = self.body(&mut query.body, &order_exprs.unwrap_or_default());
        query.order_by = order_by;
        self.withs.truncate(around);
        result
    }

    fn body(
        &mut self,
        body: &mut SetExpr,
        order_by: &Vec<datafusion::sql::sqlparser::ast::OrderByExpr>,
    ) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, &Vec::new())?;
                self.body(right, &Vec::new())
            }
            SetExpr::Values(values) => self.nested(values),
            _ => Ok(()),
        }
    }

    /// Rewrites the queries nested in a part of a scope, each as a scope of its own.
    fn nested<V: VisitMut>(&mut self, part: &mut V) -> Result<()> {
        let mut visitor = NestedQueries { widening: self, inside: 0, error: None };
        let _ = part.visit(&mut visitor);
        match visitor.error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        order_by: &Vec<datafusion::sql::sqlparser::ast::OrderByExpr>,
    ) -> Result<()> {
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
        for position in 0..select.from.len() {
            self.expand_natural(&mut select.from[position])?;
        }
        for table in &mut select.from {
            mark_tables(table, &named, &concerned);
        }
        Ok(())
    }

    /// The base tables of FROM that have to be wide, by the names they go by.
    fn concerned(&self, from: &[TableWithJoins], named: &NamedSystemColumns) -> HashSet<String> {
        let mut concerned = HashSet::new();
        for factor in from.iter().flat_map(factors) {
            let TableFactor::Table { name, args: None, .. } = factor else { continue };
            if is_marked(name) || self.is_with_query(name) || self.is_view(name) {
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
        TableName::from_ast(name).is_ok_and(|name| self.context.names().is_view(&name))
    }

    /// True when the name is one of a WITH query in sight.
    fn is_with_query(&self, name: &ObjectName) -> bool {
        let [part] = name.0.as_slice() else { return false };
        let Some(name) = part.as_ident().map(stored_name) else { return false };
        let mut queries = self.withs.iter().flat_map(|with| &with.cte_tables);
        queries.any(|cte| stored_name(&cte.alias.name) == name)
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
    ) -> Result<Vec<(Option<TableReference>, String)>> {
        let mut select = bare_select(scope);
        select.projection = projection;
        select.from = scope.from.clone();
        self.columns_of(select)
    }

    fn columns_of(&self, select: Select) -> Result<Vec<(Option<TableReference>, String)>> {
        let mut query = query_of(SetExpr::Select(Box::new(select)));
        for with in self.withs.iter().rev() {
            query.with = Some(with.clone());
            query = query_of(SetExpr::Query(Box::new(query)));
        }
        let plan = self.context.plan_prepared(query)?;
        let columns = plan.schema().iter();
        Ok(columns.map(|(qualifier, field)| (qualifier.cloned(), field.name().clone())).collect())
    }

    /// Replaces NATURAL by USING the columns that narrow tables have in common.
    fn expand_natural(&self, table: &mut TableWithJoins) -> Result<()> {
        for position in 0..table.joins.len() {
            let natural =
                table.joins.get_mut(position).and_then(|join| constraint(&mut join.join_operator));
            if !matches!(natural, Some(JoinConstraint::Natural)) {
                continue;
            }
            let left = TableWithJoins {
                relation: table.relation.clone(),
                joins: table.joins[..position].to_vec(),
            };
            let right = TableWithJoins {
                relation: table.joins[position].relation.clone(),
                joins: Vec::new(),
            };
            let right: HashSet<String> =
                self.all_columns(right)?.into_iter().map(|(_, column)| column).collect();
            let mut common = Vec::new();
            for (_, column) in self.all_columns(left)? {
                if right.contains(&column) {
                    let ident = Ident::with_quote('"', column);
                    common.push(ObjectName(vec![ObjectNamePart::Identifier(ident)]));
                }
            }
            if let Some(constraint) =
                table.joins.get_mut(position).and_then(|join| constraint(&mut join.join_operator))
            {
                *constraint = if common.is_empty() {
                    JoinConstraint::On(Expr::value(
                        datafusion::sql::sqlparser::ast::Value::Boolean(true),
                    ))
                } else {
                    JoinConstraint::Using(common)
                };
            }
        }
        Ok(())
    }

    fn all_columns(&self, from: TableWithJoins) -> Result<Vec<(Option<TableReference>, String)>> {
        let mut select = empty_select()?;
        select.projection = vec![SelectItem::Wildcard(Default::default())];
        select.from = vec![from];
        self.columns_of(select)
    }
}

/// Hands every outermost query below a node to the widening.
struct NestedQueries<'w, 'a> {
    widening: &'w mut Widening<'a>,
    inside: usize,
    error: Option<datafusion::error::DataFusionError>,
}

impl VisitorMut for NestedQueries<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> std::ops::ControlFlow<()> {
        self.inside += 1;
        if self.inside == 1
            && let Err(error) = self.widening.query(query)
        {
            self.error = Some(error);
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> std::ops::ControlFlow<()> {
        self.inside -= 1;
        std::ops::ControlFlow::Continue(())
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

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
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

fn column_expr(qualifier: Option<&TableReference>, column: &str) -> Expr {
    let quoted = |part: &str| Ident::with_quote('"', part);
    let mut parts: Vec<Ident> = match qualifier {
        Some(qualifier) => [qualifier.catalog(), qualifier.schema(), Some(qualifier.table())]
            .into_iter()
            .flatten()
            .map(quoted)
            .collect(),
        None => Vec::new(),
    };
    parts.push(quoted(column));
    match parts.len() {
        1 => Expr::Identifier(quoted(column)),
        _ => Expr::CompoundIdentifier(parts),
    }
}

/// `scope` with nothing but its shape left.
fn bare_select(scope: &Select) -> Select {
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
