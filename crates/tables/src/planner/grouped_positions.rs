//! Numbers in `ROLLUP (1, 2)`, CUBE and GROUPING SETS: items of the select list, as in GROUP BY 1.
//!
//! The query engine knows them outside of sets only, and would group by the constant.

use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

use crate::TablesError;

/// Puts the items in the places of their numbers, in every SELECT of a query.
pub(super) fn resolve(query: &mut Query) -> Result<()> {
    match query.visit(&mut Positions) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Positions;

impl VisitorMut for Positions {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        resolve_in(&mut query.body).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

fn resolve_in(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) => resolve_sets(select),
        // A query in parentheses is visited as one.
        SetExpr::SetOperation { left, right, .. } => {
            resolve_in(left)?;
            resolve_in(right)
        }
        _ => Ok(()),
    }
}

fn resolve_sets(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return Ok(()) };
    for group in groups {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = group else {
            continue;
        };
        for member in sets.iter_mut().flatten() {
            if let Some(position) = position(member) {
                *member = item(&select.projection, position)?;
            }
        }
    }
    Ok(())
}

fn position(member: &Expr) -> Option<usize> {
    let Expr::Value(value) = member else { return None };
    let Value::Number(number, _) = &value.value else { return None };
    number.parse().ok()
}

fn item(items: &[SelectItem], position: usize) -> Result<Expr> {
    let before = position.checked_sub(1).and_then(|index| items.get(..=index));
    let Some([before @ .., item]) = before else {
        return Err(DataFusionError::Plan(format!(
            "Cannot find column with position {position} in SELECT clause. Valid columns: 1 to {}",
            items.len()
        )));
    };
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }
            if !before.iter().any(is_wildcard) =>
        {
            Ok(expr.clone())
        }
        _ => Err(TablesError::NotSupported {
            what: "a number in ROLLUP, CUBE or GROUPING SETS beside a * in the select list"
                .to_owned(),
        }
        .into()),
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}
