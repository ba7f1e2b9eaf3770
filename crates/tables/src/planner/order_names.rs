//! Names in expressions of ORDER BY: `SELECT -n AS n FROM t ORDER BY -n` sorts by the table's `n`.
//!
//! Only a key that is nothing but a name means the result's column. The query engine takes that
//! one everywhere. So where an expression uses the name of a result column, that column goes by
//! another name while it is sorted, and what is left of the name is the table's.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr as LogicalExpr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Visit, Visitor,
};
use kalamdb_sql::stored_name;

/// How the names begin that are given while sorting.
const GIVEN: &str = "sorted column ";

/// The aliases of result columns, by what they are called while sorting.
pub(super) type Renamed = HashMap<String, String>;

/// Renames the result columns whose names are used in expressions of ORDER BY; `None` when there
/// are none.
pub(super) fn rename(query: &Query) -> Option<(Query, Renamed)> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else { return None };
    let keys = keys.iter().filter(|key| name_of(&key.expr).is_none());
    let used: Vec<String> = keys.flat_map(|key| used_names(&key.expr)).collect();
    if !select.projection.iter().filter_map(hiding).any(|alias| used.contains(&alias)) {
        return None;
    }
    let mut query = query.clone();
    let mut renamed = Renamed::new();
    let mut given = HashMap::new();
    if let SetExpr::Select(select) = query.body.as_mut() {
        for item in &mut select.projection {
            let Some(written) = hiding(item).filter(|alias| used.contains(alias)) else {
                continue;
            };
            let name = format!("{GIVEN}{}", renamed.len() + 1);
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                *alias = Ident::with_quote('"', name.as_str());
            }
            given.insert(written.clone(), name.clone());
            renamed.insert(name, written);
        }
    }
    if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|by| &mut by.kind) {
        for key in keys {
            if let Some(name) = name_of(&key.expr).and_then(|name| given.get(&name)) {
                key.expr = Expr::Identifier(Ident::with_quote('"', name.as_str()));
            }
        }
    }
    Some((query, renamed))
}

/// The plan with the names that were written.
pub(super) fn named_back(plan: LogicalPlan, renamed: &Renamed) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().map(|(qualifier, field)| {
        let column = LogicalExpr::Column(Column::from((qualifier, field)));
        match renamed.get(field.name()) {
            Some(alias) => column.alias(alias),
            None => column,
        }
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The alias of an item that may hide a column of FROM: not `n AS n`.
fn hiding(item: &SelectItem) -> Option<String> {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
    let alias = stored_name(alias);
    let same = match expr {
        Expr::Identifier(name) => stored_name(name) == alias,
        Expr::CompoundIdentifier(parts) => {
            parts.last().is_some_and(|name| stored_name(name) == alias)
        }
        _ => false,
    };
    (!same).then_some(alias)
}

/// The name a key is, when it is nothing else.
pub(super) fn name_of(key: &Expr) -> Option<String> {
    match key {
        Expr::Identifier(name) => Some(stored_name(name)),
        Expr::Nested(inner) => name_of(inner),
        _ => None,
    }
}

/// The names of columns in an expression; those in its subqueries are their own.
pub(super) fn used_names(expr: &Expr) -> Vec<String> {
    let mut used = UsedNames::default();
    let _: ControlFlow<()> = expr.visit(&mut used);
    used.names
}

#[derive(Default)]
struct UsedNames {
    inside: usize,
    names: Vec<String>,
}

impl Visitor for UsedNames {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => Some(name),
            // The query engine mistakes it for the alias, too.
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if self.inside == 0 {
            self.names.extend(name.map(stored_name));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(sql: &str) -> Option<String> {
        match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(query) => rename(&query).map(|(q, _)| q.to_string()),
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn only_names_within_expressions_are_the_tables() {
        assert_eq!(
            renamed("SELECT -n AS n, m AS k FROM t ORDER BY n, -n, k").unwrap(),
            "SELECT -n AS \"sorted column 1\", m AS k FROM t ORDER BY \"sorted column 1\", -n, k"
        );
        assert_eq!(renamed("SELECT -n AS n FROM t ORDER BY n"), None);
        assert_eq!(renamed("SELECT n AS n, -m AS k FROM t ORDER BY -n, (k)"), None);
        assert_eq!(renamed("SELECT -n AS n FROM t ORDER BY (SELECT max(n) FROM u)"), None);
    }
}
