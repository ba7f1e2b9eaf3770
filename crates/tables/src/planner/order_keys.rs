//! ORDER BY ALL, and SELECT DISTINCT ordered by what it computes.
//!
//! The query engine takes neither where an expression is no column: both become numbers of columns,
//! as in `SELECT DISTINCT id + 1 FROM t ORDER BY 1`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Value, VisitMut,
    VisitorMut,
};

use super::result_names::{first_select, shown_name};

/// Rewrites the keys of a query and of those within it.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = node.visit(&mut OrderKeys);
}

struct OrderKeys;

impl VisitorMut for OrderKeys {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order_by) = &mut query.order_by
            && let Some(select) = first_select(&query.body)
        {
            let items = &select.projection;
            match &mut order_by.kind {
                OrderByKind::All(options) if items.iter().all(is_one_column) => {
                    let keys = (1..=items.len()).map(|position| OrderByExpr {
                        expr: number(position),
                        options: *options,
                        with_fill: None,
                    });
                    order_by.kind = OrderByKind::Expressions(keys.collect());
                }
                OrderByKind::Expressions(keys)
                    if matches!(select.distinct, Some(Distinct::Distinct))
                        && matches!(query.body.as_ref(), SetExpr::Select(_))
                        && items.iter().all(is_one_column) =>
                {
                    for key in keys {
                        if let Some(position) = computed_as(&key.expr, items) {
                            key.expr = number(position);
                        }
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_one_column(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// The number of the column that is computed as the key is; `None` for a key that names one.
fn computed_as(key: &Expr, items: &[SelectItem]) -> Option<usize> {
    let spelled = |expr: &Expr| shown_name(&SelectItem::UnnamedExpr(expr.clone()));
    if matches!(key, Expr::Value(_)) {
        return None;
    }
    let wanted = spelled(key).filter(|text| !text.ends_with('…'))?;
    let is_key = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            spelled(expr).as_ref() == Some(&wanted)
        }
        _ => false,
    };
    items.iter().position(is_key).map(|place| place + 1)
}

fn number(position: usize) -> Expr {
    Expr::value(Value::Number(position.to_string(), false))
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
    fn keys_become_numbers_of_columns() {
        for (sql, wanted) in [
            (
                "SELECT s, count(*) FROM t GROUP BY ALL ORDER BY ALL DESC NULLS LAST",
                "SELECT s, count(*) FROM t GROUP BY ALL \
                 ORDER BY 1 DESC NULLS LAST, 2 DESC NULLS LAST",
            ),
            (
                "SELECT DISTINCT id+1 AS x, s FROM t ORDER BY s, ID + 1 DESC, 2",
                "SELECT DISTINCT id + 1 AS x, s FROM t ORDER BY s, 1 DESC, 2",
            ),
        ] {
            assert_eq!(rewritten(sql), wanted);
        }
        for same in [
            "SELECT * FROM t ORDER BY ALL",
            "SELECT id + 1 FROM t ORDER BY id + 1",
            "SELECT DISTINCT id FROM t ORDER BY id + 1",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }
}
