//! `generate_series` and `range` in FROM with arguments that are no plain numbers: parameters,
//! dates, timestamps, what is computed; and `json_array_elements`.
//!
//! The query engine's table functions take integers that are known when a statement is planned.
//! For others the function of the same name makes an array, whose items are the rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, SelectItem, SetExpr, TableAlias, TableFactor, UnaryOperator, Value, VisitMut,
    VisitorMut,
};

use super::function_forms::call;
use super::table_functions::{self, JSON_ITEMS, SERIES, VALUE};
use super::wide_scopes::{empty_select, query_of};

/// Rewrites the tables of a query; their columns have their names already.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = node.visit(&mut Series);
}

struct Series;

impl VisitorMut for Series {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(rows) = rows_of(factor) {
            *factor = rows;
        }
        ControlFlow::Continue(())
    }
}

fn rows_of(factor: &TableFactor) -> Option<TableFactor> {
    let (name, arguments, alias) = table_functions::function(factor)?;
    let json = JSON_ITEMS.contains(&name.as_str());
    if !json && (!SERIES.contains(&name.as_str()) || arguments.iter().all(is_number)) {
        return None;
    }
    let array = table_functions::array_of(&name, &arguments)?;
    let mut select = empty_select().ok()?;
    select.projection = vec![SelectItem::ExprWithAlias {
        expr: call("unnest", vec![array]),
        alias: Ident::new(VALUE),
    }];
    let alias = alias.clone().or_else(|| {
        Some(TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None })
    });
    Some(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias,
        sample: None,
    })
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..) | Value::Null),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_number(expr),
        Expr::Nested(inner) => is_number(inner),
        _ => false,
    }
}
