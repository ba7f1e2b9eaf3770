//! Reads single conditions on key columns out of filter expressions.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::key_access::KeyColumn;

/// What one filter says about one key column. All but `Implied` say exactly what the filter
/// says: a row satisfies one if and only if it satisfies the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constraint {
    /// One of these values, none of them NULL.
    In(Vec<ScalarValue>),
    /// Greater than the value (or equal, when true).
    Lower(ScalarValue, bool),
    /// Less than the value (or equal, when true).
    Upper(ScalarValue, bool),
    /// Not less than `from`, and less than `below`; the filter says more than that.
    Implied { from: ScalarValue, below: Option<ScalarValue> },
}

/// The constraint `filter` puts on one of `columns`, with the column's position among them.
pub(super) fn constraint_of(filter: &Expr, columns: &[KeyColumn]) -> Option<(usize, Constraint)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            either(constraint_of(left, columns)?, constraint_of(right, columns)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(left, *op, right, columns)
            .or_else(|| comparison(right, op.swap()?, left, columns)),
        Expr::InList(InList { expr, list, negated: false }) => {
            let column = key_column(expr, columns)?;
            let mut values = Vec::with_capacity(list.len());
            for item in list {
                let Expr::Literal(value, _) = item else { return None };
                // `x IN (1, NULL)` is true for 1 and never true for anything else.
                if !value.is_null() {
                    values.push(key_value(value, &columns[column])?);
                }
            }
            Some((column, Constraint::In(values)))
        }
        // A BOOLEAN column stands for itself.
        Expr::Column(_) => boolean(filter, columns, true),
        Expr::Not(inner) => boolean(inner, columns, false),
        Expr::Like(like) => prefix(like, columns),
        _ => None,
    }
}

fn either(
    (left, left_says): (usize, Constraint),
    (right, right_says): (usize, Constraint),
) -> Option<(usize, Constraint)> {
    match (left_says, right_says) {
        (Constraint::In(mut values), Constraint::In(more)) if left == right => {
            values.extend(more);
            Some((left, Constraint::In(values)))
        }
        _ => None,
    }
}

fn comparison(
    column: &Expr,
    op: Operator,
    value: &Expr,
    columns: &[KeyColumn],
) -> Option<(usize, Constraint)> {
    let column = key_column(column, columns)?;
    let Expr::Literal(value, _) = value else { return None };
    if value.is_null() {
        // A comparison with NULL is never true.
        let compares = matches!(
            op,
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        return compares.then_some((column, Constraint::In(Vec::new())));
    }
    let value = key_value(value, &columns[column])?;
    let constraint = match op {
        Operator::Eq | Operator::IsNotDistinctFrom => Constraint::In(vec![value]),
        Operator::Gt => Constraint::Lower(value, false),
        Operator::GtEq => Constraint::Lower(value, true),
        Operator::Lt => Constraint::Upper(value, false),
        Operator::LtEq => Constraint::Upper(value, true),
        _ => return None,
    };
    Some((column, constraint))
}

fn boolean(column: &Expr, columns: &[KeyColumn], value: bool) -> Option<(usize, Constraint)> {
    let column = key_column(column, columns)?;
    let value = key_value(&ScalarValue::Boolean(Some(value)), &columns[column])?;
    Some((column, Constraint::In(vec![value])))
}

/// `text LIKE 'abc%'` implies `text >= 'abc' AND text < 'abd'`.
fn prefix(like: &Like, columns: &[KeyColumn]) -> Option<(usize, Constraint)> {
    if like.negated || like.case_insensitive || like.escape_char.is_some() {
        return None;
    }
    let column = key_column(&like.expr, columns)?;
    let Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) = like.pattern.as_ref() else {
        return None;
    };
    let prefix: String = pattern.chars().take_while(|c| !matches!(c, '%' | '_' | '\\')).collect();
    if prefix.is_empty() {
        return None;
    }
    let from = key_value(&ScalarValue::from(prefix.as_str()), &columns[column])?;
    let below = successor(&prefix)
        .and_then(|below| key_value(&ScalarValue::from(below.as_str()), &columns[column]));
    Some((column, Constraint::Implied { from, below }))
}

/// The least text greater than every text that begins with `prefix`.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let mut next = u32::from(last) + 1;
        if next == 0xD800 {
            // Surrogates are no characters.
            next = 0xE000;
        }
        if let Some(next) = char::from_u32(next) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn key_column(expr: &Expr, columns: &[KeyColumn]) -> Option<usize> {
    let Expr::Column(column) = expr else { return None };
    columns.iter().position(|key| key.name == column.name)
}

/// The value as one of the column's type, when nothing is lost by it.
fn key_value(value: &ScalarValue, column: &KeyColumn) -> Option<ScalarValue> {
    if value.data_type() == column.data_type {
        return Some(value.clone());
    }
    let converted = value.cast_to(&column.data_type).ok()?;
    let back = converted.cast_to(&value.data_type()).ok()?;
    (!converted.is_null() && back == *value).then_some(converted)
}
