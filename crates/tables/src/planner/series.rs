//! `generate_series` and `range` in FROM with arguments that are no plain numbers: parameters,
//! dates, timestamps, what is computed.
//!
//! The query engine's table functions take integers that are known when a statement is planned.
//! For others the function of the same name makes an array, whose items are the rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, SelectItem, SetExpr, TableAlias, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::function_forms::call;
use super::wide_scopes::{empty_select, query_of};

/// The functions that are rows in FROM and arrays elsewhere.
const SERIES: [&str; 2] = ["generate_series", "range"];
/// The column of the rows.
const COLUMN: &str = "value";

/// Rewrites the tables of a query.
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
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
        TableFactor::Function { lateral: false, name, args, alias, .. } => (name, args, alias),
        _ => return None,
    };
    let [part] = name.0.as_slice() else { return None };
    let name = part.as_ident()?.value.to_lowercase();
    let name = SERIES.iter().find(|series| **series == name)?;
    let arguments: Vec<Expr> = args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if arguments.iter().all(is_number) {
        return None;
    }
    let array = call(name, arguments);
    let mut select = empty_select().ok()?;
    select.projection = vec![SelectItem::ExprWithAlias {
        expr: call("unnest", vec![array]),
        alias: Ident::new(COLUMN),
    }];
    let alias = alias.clone().or_else(|| {
        Some(TableAlias { explicit: true, name: Ident::new(*name), columns: Vec::new(), at: None })
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
