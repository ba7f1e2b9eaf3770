//! `(a, b) = (SELECT x, y …)`: a subquery for each of the columns.

use datafusion::sql::sqlparser::ast::{GroupByExpr, Query, SelectItem, SetExpr};

use crate::error::SqlError;

/// The subqueries that give one column each of `query`'s `count`.
///
/// Each is evaluated for itself, so one whose row depends on more than its conditions is refused:
/// with LIMIT the columns could come from different rows.
pub(super) fn by_column(query: &Query, count: usize) -> Result<Vec<Query>, SqlError> {
    let refused = |what: &str| {
        let what = format!("{what} in a subquery that sets several columns");
        Err(SqlError::unsupported(what, "write a subquery for each column"))
    };
    if query.limit_clause.is_some() || query.fetch.is_some() || query.order_by.is_some() {
        return refused("ORDER BY or LIMIT");
    }
    let SetExpr::Select(select) = query.body.as_ref() else {
        return refused("something else than SELECT");
    };
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
    };
    if select.distinct.is_some() || grouped || select.qualify.is_some() {
        return refused("DISTINCT or GROUP BY");
    }
    let plain = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    if !select.projection.iter().all(plain) {
        return refused("*");
    }
    if select.projection.len() != count {
        return Err(SqlError::invalid(format!(
            "{count} columns are set from a subquery that gives {}",
            select.projection.len()
        )));
    }
    let queries = select.projection.iter().map(|item| {
        let mut select = select.clone();
        select.projection = vec![item.clone()];
        Query { body: Box::new(SetExpr::Select(select)), ..query.clone() }
    });
    Ok(queries.collect())
}
