//! `(a, b) < (c, d)` and `(a, b) IN ((1, 2), …)`, spelled out by their values.
//!
//! The query engine compares rows as structs, and NULL as the greatest value of all. In SQL what is
//! compared with NULL is unknown, unless an earlier value of the row has decided.
//!
//! ```text
//!  (a, b) = (c, d)   ──►  a = c AND b = d
//!  (a, b) < (c, d)   ──►  a < c OR (a = c AND b < d)
//! ```

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, ObjectNamePart, UnaryOperator,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;

use super::function_forms::plain_arguments;
use crate::TablesError;

/// The comparison of rows in its parts. `None` for any other expression.
///
/// # Errors
/// Rows of different lengths.
pub(super) fn written(expr: &Expr) -> Result<Option<Expr>, TablesError> {
    let spelled = match expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => {
            let (Some(left), Some(right)) = (row_of(left), row_of(right)) else { return Ok(None) };
            compared(&left, op, &right)?
        }
        Expr::IsDistinctFrom(left, right) => {
            let (Some(left), Some(right)) = (row_of(left), row_of(right)) else { return Ok(None) };
            not(same(&left, &right)?)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let (Some(left), Some(right)) = (row_of(left), row_of(right)) else { return Ok(None) };
            same(&left, &right)?
        }
        Expr::InList { expr, list, negated } => {
            let Some(row) = row_of(expr) else { return Ok(None) };
            let rows: Option<Vec<_>> = list.iter().map(row_of).collect();
            let Some(rows) = rows else { return Ok(None) };
            let equal = rows.iter().map(|other| compared(&row, &BinaryOperator::Eq, other));
            let equal = balanced(equal.collect::<Result<_, _>>()?, &BinaryOperator::Or);
            match equal {
                Some(equal) if *negated => not(equal),
                Some(equal) => equal,
                None => return Ok(None),
            }
        }
        Expr::Between { expr, negated, low, high } => {
            let (Some(row), Some(low), Some(high)) = (row_of(expr), row_of(low), row_of(high))
            else {
                return Ok(None);
            };
            let low = compared(&row, &BinaryOperator::GtEq, &low)?;
            let high = compared(&row, &BinaryOperator::LtEq, &high)?;
            let within = binary(low, BinaryOperator::And, high);
            if *negated { not(within) } else { within }
        }
        Expr::IsNull(row) | Expr::IsNotNull(row) => {
            let Some(values) = row_of(row) else { return Ok(None) };
            let null = matches!(expr, Expr::IsNull(_));
            let tested = values.into_iter().map(|value| {
                let value = Box::new(nested(value));
                if null { Expr::IsNull(value) } else { Expr::IsNotNull(value) }
            });
            match balanced(tested.collect(), &BinaryOperator::And) {
                Some(tested) => tested,
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(nested(spelled)))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// The values of `(a, b)` and of `ROW(a, b)`.
fn row_of(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) if values.len() > 1 => Some(values.clone()),
        Expr::Nested(inner) => row_of(inner),
        Expr::Function(function) if is_row(function) => {
            Some(plain_arguments(function)).filter(|values| !values.is_empty())
        }
        _ => None,
    }
}

fn is_row(function: &Function) -> bool {
    matches!(function.name.0.as_slice(), [ObjectNamePart::Identifier(name)]
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("row"))
}

fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Expr, TablesError> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    check_lengths(left, right)?;
    let strict = match op {
        Lt | LtEq => Lt,
        Gt | GtEq => Gt,
        // All are equal, or one is not.
        _ => {
            let pairs = left.iter().zip(right).map(|(left, right)| pair(left, op, right));
            let joined = if *op == NotEq { Or } else { And };
            return balanced(pairs.collect(), &joined).ok_or_else(no_values);
        }
    };
    let mut pairs = left.iter().zip(right).rev();
    let last = pairs.next().map(|(left, right)| pair(left, op, right)).ok_or_else(no_values)?;
    Ok(pairs.fold(last, |rest, (left, right)| {
        let tied = binary(pair(left, &Eq, right), And, nested(rest));
        binary(pair(left, &strict, right), Or, nested(tied))
    }))
}

fn same(left: &[Expr], right: &[Expr]) -> Result<Expr, TablesError> {
    check_lengths(left, right)?;
    let pairs = left.iter().zip(right).map(|(left, right)| {
        let (left, right) = (Box::new(nested(left.clone())), Box::new(nested(right.clone())));
        nested(Expr::IsNotDistinctFrom(left, right))
    });
    balanced(pairs.collect(), &BinaryOperator::And).ok_or_else(no_values)
}

/// One value with another; they may be rows themselves.
fn pair(left: &Expr, op: &BinaryOperator, right: &Expr) -> Expr {
    let pair = binary(nested(left.clone()), op.clone(), nested(right.clone()));
    match written(&pair) {
        Ok(Some(spelled)) => spelled,
        _ => pair,
    }
}

fn check_lengths(left: &[Expr], right: &[Expr]) -> Result<(), TablesError> {
    if left.len() == right.len() {
        return Ok(());
    }
    let message = format!(
        "a row of {} values is compared with one of {}, write as many on both sides",
        left.len(),
        right.len()
    );
    Err(SqlError::Coded { state: SqlState::Syntax, message, position: None }.into())
}

fn no_values() -> TablesError {
    TablesError::invalid("a row without values is compared, write one value at least")
}

/// All joined by one operator, in a tree that is not deep.
fn balanced(mut exprs: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    while exprs.len() > 1 {
        let mut joined = Vec::with_capacity(exprs.len().div_ceil(2));
        let mut rest = exprs.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => nested(binary(left, op.clone(), right)),
                None => left,
            });
        }
        exprs = joined;
    }
    exprs.pop()
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
}

fn nested(expr: Expr) -> Expr {
    match expr {
        simple @ (Expr::Nested(_)
        | Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)) => simple,
        other => Expr::Nested(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn out(text: &str) -> Result<Option<String>, TablesError> {
        let parser = Parser::new(&GenericDialect {}).try_with_sql(text);
        let expr = parser.and_then(|mut parser| parser.parse_expr()).unwrap();
        Ok(written(&expr)?.map(|expr| expr.to_string()))
    }

    #[test]
    fn rows_are_compared_by_their_values() {
        let cases = [
            ("(a, b) = (1, 2)", "((a = 1 AND b = 2))"),
            ("(a, b) <> (1, 2)", "((a <> 1 OR b <> 2))"),
            ("(a, b) <= (1, 2)", "(a < 1 OR (a = 1 AND (b <= 2)))"),
            ("(a, b) IN ((1, 2))", "((a = 1 AND b = 2))"),
            ("(a, b) IS NULL", "((a IS NULL AND b IS NULL))"),
        ];
        for (text, expected) in cases {
            let spelled = out(text).unwrap().unwrap();
            let plain = |text: &str| text.replace(['(', ')'], "");
            assert_eq!(plain(&spelled), plain(expected), "{text}");
        }
        for other in ["a = 1", "a IN (1, 2)", "(a) < (b)", "a IS NULL"] {
            assert!(out(other).unwrap().is_none(), "{other}");
        }
        assert!(out("(a, b) = (1, 2, 3)").is_err());
    }
}
