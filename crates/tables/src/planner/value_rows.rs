//! `x IN (VALUES (1), (2))` and `(VALUES (1))` as a value: lists and expressions, which the query
//! engine takes only as such.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, ObjectNamePart, Query, SetExpr, VisitMut, visit_expressions_mut,
};

use super::function_forms::plain_arguments;

/// Rewrites the expressions of a query.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = visit_expressions_mut(node, |expr| {
        if let Some(written) = written(expr) {
            *expr = written;
        }
        ControlFlow::Continue(())
    });
}

fn written(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::InSubquery { expr, subquery, negated } => Some(Expr::InList {
            expr: expr.clone(),
            list: single_values(subquery)?,
            negated: *negated,
        }),
        Expr::Subquery(subquery) => match single_values(subquery)?.as_slice() {
            [value] => Some(Expr::Nested(Box::new(value.clone()))),
            _ => None,
        },
        // The parser takes it for a function.
        Expr::Nested(inner) => {
            let Expr::Function(function) = inner.as_ref() else { return None };
            let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
                return None;
            };
            let FunctionArguments::List(arguments) = &function.args else { return None };
            let plain = name.quote_style.is_none()
                && function.over.is_none()
                && function.filter.is_none()
                && arguments.clauses.is_empty();
            if !plain || !name.value.eq_ignore_ascii_case("values") {
                return None;
            }
            match plain_arguments(function).as_slice() {
                [value] => Some(Expr::Nested(Box::new(value.clone()))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The values of a query that is nothing but VALUES with one column.
fn single_values(query: &Query) -> Option<Vec<Expr>> {
    let bare = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    let SetExpr::Values(values) = query.body.as_ref() else { return None };
    if !bare {
        return None;
    }
    let rows = values.rows.iter();
    rows.map(|row| match row.content.as_slice() {
        [value] => Some(value.clone()),
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn out(text: &str) -> String {
        let dialect = GenericDialect {};
        let mut expr = Parser::new(&dialect).try_with_sql(text).unwrap().parse_expr().unwrap();
        rewrite(&mut expr);
        expr.to_string()
    }

    #[test]
    fn values_become_lists_and_expressions() {
        assert_eq!(out("a IN (VALUES (1), (b + 1))"), "a IN (1, b + 1)");
        assert_eq!(out("a NOT IN (VALUES (1))"), "a NOT IN (1)");
        assert_eq!(out("a = (VALUES (1))"), "a = (1)");
        assert_eq!(out("a = (VALUES (1, 2))"), "a = (VALUES(1, 2))");
        assert_eq!(out("\"values\"(1)"), "\"values\"(1)");
    }
}
