//! ORDER BY after UNION, INTERSECT and EXCEPT sorts by the columns of their result: `SELECT a FROM
//! t UNION ALL SELECT a FROM u ORDER BY b` has no `b`.
//!
//! The query engine looks for such names in the tables of the first SELECT, and adds to it what it
//! finds. So where a key is more than the name or the number of a column, the result is sorted as
//! that of a subquery: `SELECT * FROM (SELECT … UNION ALL SELECT …) ORDER BY a + 1`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Expr, OrderByKind, Query, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::order_names::{name_of, used_names};
use super::result_names::{first_select, shown_name, written_name};
use super::wide_scopes::{empty_select, query_of};

/// Rewrites the set operations of a query that are sorted by more than their columns.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    match query.visit(&mut OrderedSets) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct OrderedSets;

impl VisitorMut for OrderedSets {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        if matches!(query.body.as_ref(), SetExpr::SetOperation { .. })
            && let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order_by.kind
        {
            let columns = Columns::of(&query.body);
            let mut plain = true;
            for key in keys {
                if let Some(position) = columns.position(&key.expr) {
                    key.expr = Expr::value(Value::Number(position.to_string(), false));
                }
                plain &= columns.has(&key.expr);
            }
            if !plain && let Err(error) = sort_as_subquery(query) {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The columns of a set operation: those of its first SELECT.
struct Columns<'a> {
    items: &'a [SelectItem],
    names: HashSet<String>,
    /// A `*` or the like: there may be others.
    more: bool,
}

impl<'a> Columns<'a> {
    fn of(body: &'a SetExpr) -> Self {
        let items = first_select(body).map_or(&[][..], |select| &select.projection);
        let name = |item| written_name(item).or_else(|| shown_name(item));
        let names: HashSet<_> = items.iter().filter_map(name).collect();
        let more = items.is_empty()
            || items.iter().any(|item| {
                !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            });
        Self { items, names, more }
    }

    /// Whether a key is a column, or its number.
    fn has(&self, key: &Expr) -> bool {
        match name_of(key) {
            Some(name) => self.more || self.names.contains(&name),
            None => matches!(key, Expr::Value(_)),
        }
    }

    /// The number of the column that is computed as the key is, where the names in it are not those
    /// of columns.
    fn position(&self, key: &Expr) -> Option<usize> {
        if self.more
            || name_of(key).is_some()
            || self.has(key)
            || used_names(key).iter().all(|name| self.names.contains(name))
        {
            return None;
        }
        let is_key = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == key,
            _ => false,
        };
        self.items.iter().position(is_key).map(|place| place + 1)
    }
}

/// `SELECT * FROM (the set operation) ORDER BY …`.
fn sort_as_subquery(query: &mut Query) -> Result<()> {
    let wildcard = SelectItem::Wildcard(WildcardAdditionalOptions::default());
    let mut select = empty_select()?;
    select.projection = vec![wildcard];
    let placeholder = Box::new(SetExpr::Select(Box::new(empty_select()?)));
    let body = std::mem::replace(&mut query.body, placeholder);
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(*body)),
        alias: None,
        sample: None,
    };
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    *query.body = SetExpr::Select(Box::new(select));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(sql: &str) -> String {
        match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(mut query) => {
                rewrite(&mut query).unwrap();
                query.to_string()
            }
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn only_keys_that_are_no_columns_are_rewritten() {
        for (sql, wanted) in [
            (
                "SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY a + 1, b LIMIT 2",
                "SELECT * FROM (SELECT a FROM t UNION ALL SELECT a FROM u) ORDER BY a + 1, b \
                 LIMIT 2",
            ),
            (
                "SELECT a AS x FROM t UNION SELECT a FROM u ORDER BY a",
                "SELECT * FROM (SELECT a AS x FROM t UNION SELECT a FROM u) ORDER BY a",
            ),
            (
                "SELECT 1, a + 1 FROM t UNION SELECT 1, a FROM u ORDER BY a + 1 DESC",
                "SELECT 1, a + 1 FROM t UNION SELECT 1, a FROM u ORDER BY 2 DESC",
            ),
        ] {
            assert_eq!(rewritten(sql), wanted);
        }
        for same in [
            "SELECT a AS x FROM t UNION SELECT a FROM u ORDER BY x, 1",
            "SELECT * FROM t UNION SELECT a FROM u ORDER BY a",
            "SELECT a FROM t ORDER BY b",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }
}
