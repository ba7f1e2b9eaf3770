//! JOIN … USING and NATURAL JOIN: the columns both sides have are one, left of all others in `*`.
//!
//! The query engine takes the left table's column where one is named. That is NULL in rows that
//! only the right table has, and in chains of joins there are two lefts. So such a join becomes one
//! ON equal columns, and the merged column is written out where it is named: the left side's, of a
//! RIGHT JOIN the right side's, of a FULL JOIN the one that is there.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExceptSelectItem, ExcludeSelectItem, Expr, Ident, Join, JoinConstraint,
    JoinOperator, ObjectName, OrderByExpr, Query, Select, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions,
};
use kalamdb_sql::stored_name;

use super::function_forms::call;
use super::plan_context::PlanContext;
use super::scopes::{ScopeRewrite, Scopes, column_expr};
use super::wide_scopes::{empty_select, query_of};
use crate::TablesError;

/// Rewrites the joins of all scopes of `query`, when there are such.
pub(super) fn write_out(context: &PlanContext<'_>, query: &mut Query) -> Result<()> {
    if !merges_any(query) {
        return Ok(());
    }
    MergedJoins { scopes: Scopes::new(context), around: Merged::new() }.query(query)
}

/// A column of a scope's FROM: how it is called without a table, and what it is.
#[derive(Clone)]
struct Output {
    name: String,
    expr: Expr,
    merged: bool,
}

/// One side of a join.
struct Side {
    /// What `*` stands for.
    outputs: Vec<Output>,
    /// How many columns the relations of the side have, the merged ones of each included.
    columns: usize,
}

/// The merged columns of a scope, by name.
type Merged = HashMap<String, Expr>;

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

/// Joins two sides: the constraint is ON afterwards.
fn joined(left: Side, right: Side, operator: &mut JoinOperator) -> Result<Side> {
    let kept = Kept::of(operator);
    let mut merged = Vec::new();
    if let Some(constraint) = constraint(operator) {
        let names = match constraint {
            JoinConstraint::Using(names) => names.iter().map(column_of).collect::<Result<_>>()?,
            JoinConstraint::Natural => common_names(&left, &right),
            _ => Vec::new(),
        };
        let natural = matches!(constraint, JoinConstraint::Natural);
        let mut condition: Option<Expr> = None;
        for name in names {
            let (ours, theirs) = (column(&left, &name)?, column(&right, &name)?);
            let equal = equals(ours.expr.clone(), theirs.expr.clone());
            condition = Some(match condition {
                Some(before) => and(before, equal),
                None => equal,
            });
            let expr = match kept {
                Kept::Right => theirs.expr.clone(),
                Kept::Either => call("coalesce", vec![ours.expr.clone(), theirs.expr.clone()]),
                Kept::Left | Kept::OnlyLeft | Kept::OnlyRight => ours.expr.clone(),
            };
            merged.push(Output { name, expr, merged: true });
        }
        match condition {
            Some(condition) => *constraint = JoinConstraint::On(condition),
            None if natural => {
                *constraint = JoinConstraint::On(Expr::value(Value::Boolean(true)));
            }
            None => {}
        }
    }
    Ok(match kept {
        Kept::OnlyLeft => left,
        Kept::OnlyRight => right,
        Kept::Left | Kept::Right | Kept::Either => {
            let columns = left.columns + right.columns;
            let names: HashSet<String> = merged.iter().map(|column| column.name.clone()).collect();
            let rest = left.outputs.into_iter().chain(right.outputs);
            let rest = rest.filter(|column| !names.contains(&column.name));
            Side { outputs: merged.into_iter().chain(rest).collect(), columns }
        }
    })
}

/// Which side's rows a join keeps whole.
#[derive(Clone, Copy)]
enum Kept {
    /// Both, or the left one's.
    Left,
    Right,
    Either,
    OnlyLeft,
    OnlyRight,
}

impl Kept {
    fn of(operator: &JoinOperator) -> Self {
        match operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Self::Right,
            JoinOperator::FullOuter(_) => Self::Either,
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_) => Self::OnlyLeft,
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => Self::OnlyRight,
            _ => Self::Left,
        }
    }
}

/// The one column of `side` called `name`.
fn column<'s>(side: &'s Side, name: &str) -> Result<&'s Output> {
    let mut found = side.outputs.iter().filter(|output| output.name == name);
    match (found.next(), found.next()) {
        (Some(output), None) => Ok(output),
        (Some(_), Some(_)) => Err(schema_error(SchemaError::AmbiguousReference {
            field: Box::new(Column::new_unqualified(name)),
        })),
        (None, _) => Err(schema_error(SchemaError::FieldNotFound {
            field: Box::new(Column::new_unqualified(name)),
            valid_fields: side
                .outputs
                .iter()
                .map(|output| Column::new_unqualified(&output.name))
                .collect(),
        })),
    }
}

fn schema_error(error: SchemaError) -> DataFusionError {
    DataFusionError::SchemaError(Box::new(error), Box::new(None))
}

/// The names both sides have, as they come in the left one.
fn common_names(left: &Side, right: &Side) -> Vec<String> {
    let theirs: HashSet<&str> = right.outputs.iter().map(|column| column.name.as_str()).collect();
    let mut seen = HashSet::new();
    let ours = left.outputs.iter().map(|column| column.name.as_str());
    ours.filter(|name| theirs.contains(name) && seen.insert(*name)).map(str::to_owned).collect()
}

/// The merged columns whose names are no other column's.
fn merged_names(outputs: &[Output]) -> Merged {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for output in outputs {
        *uses.entry(&output.name).or_default() += 1;
    }
    let merged = outputs.iter().filter(|output| output.merged);
    let merged = merged.filter(|output| uses.get(output.name.as_str()) == Some(&1));
    merged.map(|output| (output.name.clone(), output.expr.clone())).collect()
}

/// Writes out every `*` of the select list.
fn expand_wildcards(select: &mut Select, outputs: &[Output]) -> Result<()> {
    let mut projection = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let SelectItem::Wildcard(options) = &item else {
            projection.push(item);
            continue;
        };
        let Some(wildcard) = Wildcard::of(options) else {
            // The query engine says what it does not do.
            projection.push(item);
            continue;
        };
        for name in &wildcard.excluded {
            let side = Side { outputs: outputs.to_vec(), columns: outputs.len() };
            column(&side, name)?;
        }
        for output in outputs.iter().filter(|output| !wildcard.excluded.contains(&output.name)) {
            projection.push(match wildcard.replaced.get(&output.name) {
                Some(expr) => SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', &output.name),
                },
                None => shown_as(&output.expr, &output.name),
            });
        }
    }
    select.projection = projection;
    Ok(())
}

/// What a `*` says of single columns.
struct Wildcard {
    excluded: Vec<String>,
    replaced: HashMap<String, Expr>,
}

impl Wildcard {
    fn of(options: &WildcardAdditionalOptions) -> Option<Self> {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike: None,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename: None,
            opt_alias: None,
        } = options
        else {
            return None;
        };
        let mut excluded = Vec::new();
        match opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => excluded.push(column_of(name).ok()?),
            Some(ExcludeSelectItem::Multiple(names)) => {
                for name in names {
                    excluded.push(column_of(name).ok()?);
                }
            }
            None => {}
        }
        if let Some(ExceptSelectItem { first_element, additional_elements }) = opt_except {
            excluded.push(stored_name(first_element));
            excluded.extend(additional_elements.iter().map(stored_name));
        }
        let replaced = opt_replace.iter().flat_map(|replace| &replace.items);
        let replaced =
            replaced.map(|item| (stored_name(&item.column_name), item.expr.clone())).collect();
        Some(Self { excluded, replaced })
    }
}

/// An item that shows a column under its name.
fn shown_as(expr: &Expr, name: &str) -> SelectItem {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr.clone()),
        _ => SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) },
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
        if !merges(table_with_joins) {
            continue;
        }
        let Some(TableAlias { .. }) = alias else { continue };
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

/// The name of a column that stands alone.
fn column_of(name: &ObjectName) -> Result<String> {
    let column = match name.0.as_slice() {
        [part] => part.as_ident().map(stored_name),
        _ => None,
    };
    column.ok_or_else(|| {
        TablesError::invalid(format!(
            "{name} is no plain name of a column, write it without a table"
        ))
        .into()
    })
}

fn equals(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
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
