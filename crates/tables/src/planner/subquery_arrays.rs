//! `ARRAY(SELECT …)`: the rows of a subquery as an array, an empty one of no rows.
//!
//! ```text
//! ARRAY(SELECT a FROM t ORDER BY b)
//!   ──►   coalesce((SELECT array_agg(a ORDER BY b) FROM t), [])
//! ```

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, Value, visit_expressions,
};
use kalamdb_sql::{SqlError, stored_name};
use std::ops::ControlFlow;

use super::function_forms::call;
use super::wide_scopes::{empty_select, query_of};
use crate::TablesError;

/// The array of a subquery's rows.
///
/// # Errors
/// A subquery of several columns, and an order it is not known how to keep.
pub(super) fn written(query: &Query) -> Result<Expr, TablesError> {
    let gathered = match in_place(query)? {
        Some(gathered) => gathered,
        None if query.order_by.is_some() => {
            let advice = "use (SELECT array_agg(x ORDER BY …) FROM …)";
            let what = "ARRAY(SELECT … ORDER BY …) of what is computed or limited";
            return Err(SqlError::unsupported(what, advice).into());
        }
        None => around(query)?,
    };
    let empty = call("make_array", Vec::new());
    Ok(call("coalesce", vec![Expr::Subquery(Box::new(gathered)), empty]))
}

/// The subquery with its column gathered; `None` when its rows are made of more than FROM and WHERE.
fn in_place(query: &Query) -> Result<Option<Query>, TablesError> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
    let (item, alias) = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => (expr, None),
        [SelectItem::ExprWithAlias { expr, alias }] => (expr, Some(alias)),
        [SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)] => return Ok(None),
        _ => return Err(TablesError::invalid("ARRAY(SELECT …) takes one column, name one")),
    };
    if !is_plain(select) || query.limit_clause.is_some() || calls(item) {
        return Ok(None);
    }
    let keys = match query.order_by.as_ref().map(|by| &by.kind) {
        None => Vec::new(),
        Some(OrderByKind::Expressions(keys)) => keys.clone(),
        Some(OrderByKind::All(_)) => return Ok(None),
    };
    let keys = keys.into_iter().map(|key| {
        let named = matches!((&key.expr, alias), (Expr::Identifier(name), Some(alias))
            if stored_name(name) == stored_name(alias));
        let first = matches!(&key.expr, Expr::Value(value)
            if matches!(&value.value, Value::Number(digits, _) if digits == "1"));
        let expr = if named || first { item.clone() } else { key.expr };
        OrderByExpr { expr, ..key }
    });
    let mut select = select.clone();
    select.projection = vec![SelectItem::UnnamedExpr(gather(item.clone(), keys.collect()))];
    let mut query = query.clone();
    query.body = Box::new(SetExpr::Select(select));
    query.order_by = None;
    Ok(Some(query))
}

fn is_plain(select: &Select) -> bool {
    let grouped =
        !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    !grouped && select.distinct.is_none() && select.having.is_none() && select.qualify.is_none()
}

/// Whether functions are called: one may be an aggregate, or make several rows.
fn calls(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// `SELECT array_agg(item) FROM (the subquery) AS items (item)`.
fn around(query: &Query) -> Result<Query, TablesError> {
    let item = Ident::new("item");
    let mut select =
        empty_select().map_err(|error| TablesError::Internal { reason: error.to_string() })?;
    let gathered = gather(Expr::Identifier(item.clone()), Vec::new());
    select.projection = vec![SelectItem::UnnamedExpr(gathered)];
    let alias = TableAlias {
        explicit: true,
        name: Ident::new("items"),
        columns: vec![TableAliasColumnDef { name: item, data_type: None }],
        at: None,
    };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query.clone()),
        alias: Some(alias),
        sample: None,
    };
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    Ok(query_of(SetExpr::Select(Box::new(select))))
}

fn gather(item: Expr, keys: Vec<OrderByExpr>) -> Expr {
    let mut gathered = call("array_agg", vec![item]);
    if !keys.is_empty()
        && let Expr::Function(function) = &mut gathered
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(keys));
    }
    gathered
}
