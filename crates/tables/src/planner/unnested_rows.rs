//! Unnested rows in another order: the query engine sorts rows that are unnested in a select list by
//! what is in that list only. So it is, while they are sorted.
//!
//! ```text
//! SELECT unnest(a) FROM t ORDER BY id
//!   ──►   SELECT * EXCLUDE (k) FROM (SELECT unnest(a), id AS k FROM t) ORDER BY k
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, GroupByExpr, Ident, ObjectName, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions, visit_expressions,
};
use kalamdb_sql::stored_name;

use super::order_names::used_names;
use super::wide_scopes::{empty_select, query_of};

/// The function.
const ITEMS: &str = "unnest";
/// How the names begin that sort keys are given.
const KEY: &str = "unnested by ";

/// Rewrites the queries of a query.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = node.visit(&mut UnnestedRows);
}

struct UnnestedRows;

impl VisitorMut for UnnestedRows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        sorted_outside(query);
        ControlFlow::Continue(())
    }
}

fn derived(select: Select, name: Ident) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }),
        sample: None,
    }
}

/// Sorts unnested rows by keys that are not in the select list.
fn sorted_outside(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let Some(keys) = query.order_by.as_ref().map(|by| &by.kind) else { return };
    let OrderByKind::Expressions(keys) = keys else { return };
    let names: Option<Vec<String>> = select.projection.iter().map(name_of_item).collect();
    let Some(names) = names else { return };
    let grouped =
        !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    let is_hidden = |key: &Expr| match key {
        Expr::Identifier(name) => !names.contains(&stored_name(name)),
        Expr::CompoundIdentifier(parts) => {
            !parts.last().is_some_and(|name| names.contains(&stored_name(name)))
        }
        Expr::Value(_) => false,
        other => !used_names(other).iter().any(|name| names.contains(name)),
    };
    let hidden: Vec<Expr> =
        keys.iter().map(|key| &key.expr).filter(|key| is_hidden(key)).cloned().collect();
    if hidden.is_empty()
        || grouped
        || select.distinct.is_some()
        || hidden.iter().any(unnests)
        || !select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => unnests(expr),
            _ => false,
        })
    {
        return;
    }
    let Ok(mut outer) = empty_select() else { return };
    let mut inner = select.as_ref().clone();
    let given: Vec<Ident> =
        (1..=hidden.len()).map(|n| Ident::with_quote('"', format!("{KEY}{n}"))).collect();
    let items = hidden.iter().zip(&given);
    inner.projection.extend(
        items.map(|(key, name)| SelectItem::ExprWithAlias {
            expr: key.clone(),
            alias: name.clone(),
        }),
    );
    let excluded = given.iter().map(|name| ObjectName::from(vec![name.clone()])).collect();
    outer.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions {
        opt_exclude: Some(ExcludeSelectItem::Multiple(excluded)),
        ..Default::default()
    })];
    let relation = derived(inner, Ident::with_quote('"', KEY));
    outer.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    *query.body = SetExpr::Select(Box::new(outer));
    if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|by| &mut by.kind) {
        let mut given = given.into_iter();
        for key in keys {
            if hidden.contains(&key.expr)
                && let Some(name) = given.next()
            {
                key.expr = Expr::Identifier(name);
            }
        }
    }
}

/// What an item of a select list is called where ORDER BY asks for it; `None` of several columns.
fn name_of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(stored_name(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(stored_name(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(stored_name),
        SelectItem::UnnamedExpr(other) => Some(other.to_string()),
        _ => None,
    }
}

fn unnests(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(ITEMS) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(sql: &str) -> String {
        match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(mut query) => {
                rewrite(&mut query);
                query.to_string()
            }
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn rows_are_sorted_by_what_is_not_in_the_select_list() {
        assert_eq!(
            rewritten("SELECT unnest(a) AS x FROM t ORDER BY t.id DESC, x LIMIT 2"),
            "SELECT * EXCLUDE (\"unnested by 1\") FROM (SELECT unnest(a) AS x, \
             t.id AS \"unnested by 1\" FROM t) AS \"unnested by \" \
             ORDER BY \"unnested by 1\" DESC, x LIMIT 2"
        );
        for same in [
            "SELECT unnest(a) AS x FROM t ORDER BY x, 1",
            "SELECT id, unnest(a) AS x FROM t ORDER BY id, x + 1",
            "SELECT *, unnest(a) AS x FROM t ORDER BY id",
            "SELECT a FROM t ORDER BY id",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }
}
