//! `a LIKE ANY (ARRAY['x%', 'y%'])` and `a LIKE ALL (…)`: one LIKE for each pattern.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value};
use kalamdb_sql::SqlError;

use super::function_forms::plain_arguments;
use crate::TablesError;

/// The conditions a LIKE of several patterns stands for; `None` for one of a single pattern.
///
/// # Errors
/// Patterns that are not written one by one.
pub(super) fn written(expr: &Expr) -> Result<Option<Expr>, TablesError> {
    let (Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. }) = expr else {
        return Ok(None);
    };
    let (patterns, op) = match pattern.as_ref() {
        pattern if *any => (patterns_of(std::slice::from_ref(pattern)), BinaryOperator::Or),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("all") => {
            (patterns_of(&plain_arguments(function)), BinaryOperator::And)
        }
        _ => return Ok(None),
    };
    let Some(patterns) = patterns else {
        let what = if *any { "LIKE ANY" } else { "LIKE ALL" };
        let advice = "write the patterns one by one, or use EXISTS (SELECT 1 FROM unnest(…) AS p \
                      WHERE … LIKE p)";
        return Err(SqlError::unsupported(format!("{what} of an array as a value"), advice).into());
    };
    let nothing = Expr::value(Value::Boolean(op == BinaryOperator::And));
    let all = patterns.into_iter().map(|pattern| with_pattern(expr, pattern));
    let all = all.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    });
    Ok(Some(Expr::Nested(Box::new(all.unwrap_or(nothing)))))
}

/// The patterns of `('x', 'y')` and of `(ARRAY['x', 'y'])`.
fn patterns_of(written: &[Expr]) -> Option<Vec<Expr>> {
    match written {
        [Expr::Array(array)] => Some(array.elem.clone()),
        [Expr::Tuple(patterns)] => Some(patterns.clone()),
        [Expr::Nested(inner)] => patterns_of(std::slice::from_ref(inner)),
        [pattern @ Expr::Value(_)] => Some(vec![pattern.clone()]),
        [_, _, ..] => Some(written.to_vec()),
        _ => None,
    }
}

fn with_pattern(like: &Expr, one: Expr) -> Expr {
    let mut like = like.clone();
    if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
        *any = false;
        **pattern = one;
    }
    like
}
