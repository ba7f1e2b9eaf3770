//! LIKE … ESCAPE, SIMILAR TO and `regexp_replace` as the query engine has them: patterns that are
//! written are written anew, others are by a function.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
    ValueWithSpan,
};

use super::function_forms::call;
use crate::TablesError;
use crate::functions::Pattern;

/// LIKE, ILIKE and SIMILAR TO; `None` for what the engine understands as it is.
///
/// # Errors
/// ESCAPE with more than one character, and a literal that is no pattern.
pub(super) fn written(expr: &Expr) -> Result<Option<Expr>, TablesError> {
    let mut expr = expr.clone();
    match &mut expr {
        Expr::Like { pattern, escape_char, any: false, .. }
        | Expr::ILike { pattern, escape_char, any: false, .. } => {
            let Some(escape) = escape_char.take() else { return Ok(None) };
            **pattern = anew(Pattern::Like, pattern, Some(&escape_of(&escape)?))?;
            Ok(Some(expr))
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape_char.take();
            let escape = escape.map_or(Ok(String::from("\\")), |escape| escape_of(&escape))?;
            let pattern = anew(Pattern::Similar, pattern, Some(&escape))?;
            let op = if *negated {
                BinaryOperator::PGRegexNotMatch
            } else {
                BinaryOperator::PGRegexMatch
            };
            let left = Box::new(Expr::Nested(expr.clone()));
            let matched = Expr::BinaryOp { left, op, right: Box::new(pattern) };
            Ok(Some(Expr::Nested(Box::new(matched))))
        }
        _ => Ok(None),
    }
}

/// Writes the replacement of a call of `regexp_replace` anew.
///
/// # Errors
/// None of literals; they are what the pattern's own errors are.
pub(super) fn write_replacement(function: &mut Function) -> Result<(), TablesError> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    if let [_, _, FunctionArg::Unnamed(FunctionArgExpr::Expr(replacement)), ..] =
        list.args.as_mut_slice()
    {
        *replacement = anew(Pattern::Replacement, replacement, None)?;
    }
    Ok(())
}

fn escape_of(escape: &ValueWithSpan) -> Result<String, TablesError> {
    match &escape.value {
        Value::SingleQuotedString(escape) => Ok(escape.clone()),
        _ => Err(TablesError::invalid("ESCAPE takes a text of one character, such as ESCAPE '!'")),
    }
}

fn anew(pattern: Pattern, expr: &Expr, escape: Option<&str>) -> Result<Expr, TablesError> {
    let text = |text: String| Expr::value(Value::SingleQuotedString(text));
    if let Expr::Value(value) = expr
        && let Value::SingleQuotedString(literal) = &value.value
    {
        return pattern.written(literal, escape.unwrap_or_default()).map(text);
    }
    let escape = escape.map(|escape| text(escape.to_owned()));
    let arguments = std::iter::once(expr.clone()).chain(escape).collect();
    Ok(call(pattern.function(), arguments))
}
