//! `a[2:]`, `a[:3]` and `a[:]`: a slice without an end reaches to the array's.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Subscript, UnaryOperator, Value};

/// Writes out the ends that are left out: 1 is the first item, -1 the last.
pub(super) fn write_out(chain: &mut [AccessExpr]) {
    for access in chain {
        if let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access {
            lower_bound.get_or_insert_with(one);
            upper_bound.get_or_insert_with(|| Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: Box::new(one()),
            });
        }
    }
}

fn one() -> Expr {
    Expr::value(Value::Number(String::from("1"), false))
}
