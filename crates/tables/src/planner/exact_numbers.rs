//! Numbers keep the digits they were written with until it is known what they meet.
//!
//! The query engine reads a number with a fraction as a DOUBLE, which keeps 15 digits of any
//! number and no more of most. Where such a number meets a DECIMAL its digits count. The shortest
//! text of a DOUBLE gives back what was written up to 15 digits; a longer number is planned as a
//! cast of its own text to DOUBLE, marked, so that it is a DOUBLE to everything else. A number that
//! becomes an integer, or a sum or product of numbers that does, is the DECIMAL that it spells:
//! half-way it is rounded as that. With an exponent it is a DOUBLE there, and marked to be told.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, DataType as SqlType, ExactNumberInfo, Ident, ObjectName,
    ObjectNamePart, UnaryOperator, Value, VisitMut, visit_expressions_mut,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::{SqlError, column_type_from_ast};

use crate::TablesError;

/// The type name that marks a number as written; no statement can spell it.
const MARK: &str = "\u{0}number as written";
/// The key that marks the type in a plan.
const MARK_KEY: &str = "kalamdb:number_as_written";
/// Digits that every DOUBLE keeps.
const DOUBLE_DIGITS: usize = 15;
/// Below it a DOUBLE has digits of a fraction left; above it stand mostly numbers with exponents.
const DOUBLE_EXACT_MAX: f64 = 1e15;

/// Marks the numbers of a query or an expression that a DOUBLE does not keep.
///
/// # Errors
/// A number beyond the range of DOUBLE.
pub(super) fn mark<N: VisitMut>(node: &mut N) -> Result<()> {
    let walked = visit_expressions_mut(node, |expr| match marked(expr) {
        Ok(Some(cast)) => {
            *expr = cast;
            ControlFlow::Continue(())
        }
        Ok(None) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match walked {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

fn marked(expr: &ast::Expr) -> Result<Option<ast::Expr>, TablesError> {
    match expr {
        ast::Expr::Value(value) => {
            let Value::Number(digits, _) = &value.value else { return Ok(None) };
            let digits = digits.replace('_', "");
            if digits.parse::<f64>().is_ok_and(f64::is_infinite) {
                return Err(TablesError::invalid(format!(
                    "the number {digits} is out of range, write 'Infinity' for infinity"
                )));
            }
            let whole = digits.parse::<u64>().is_ok();
            if !whole && digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return large_integer(digits).map(Some);
            }
            let marked = !whole && (is_long(&digits) || is_approximate_fraction(&digits));
            Ok(marked.then(|| cast_of(digits)))
        }
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let ast::Expr::Value(value) = expr.as_ref() else { return Ok(None) };
            let Value::Number(digits, _) = &value.value else { return Ok(None) };
            let negative = format!("-{}", digits.replace('_', ""));
            // A longer one is marked already.
            let beyond = negative[1..].parse::<u64>().is_ok() && negative.parse::<i64>().is_err();
            Ok(beyond.then(|| cast_of(negative)))
        }
        ast::Expr::Cast { kind, expr, data_type, array: false, format: None } => {
            Ok(fraction_as_decimal(expr, data_type).map(|decimal| ast::Expr::Cast {
                kind: kind.clone(),
                expr: Box::new(decimal),
                data_type: data_type.clone(),
                array: false,
                format: None,
            }))
        }
        _ => Ok(None),
    }
}

/// An integer that BIGINT UNSIGNED does not hold: a DECIMAL of as many digits as there may be.
fn large_integer(digits: String) -> Result<ast::Expr, TablesError> {
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(DECIMAL128_MAX_PRECISION) {
        return Err(SqlError::Coded {
            state: SqlState::NumericOutOfRange,
            message: format!(
                "the integer {digits} has more than {DECIMAL128_MAX_PRECISION} digits, \
                 write it with an exponent to have a DOUBLE"
            ),
            position: None,
        }
        .into());
    }
    let size = ExactNumberInfo::PrecisionAndScale(digits.len() as u64, 0);
    Ok(text_cast(digits.to_owned(), SqlType::Decimal(size)))
}

/// The number with a fraction that is cast to an integer, as a DECIMAL.
fn fraction_as_decimal(expr: &ast::Expr, target: &SqlType) -> Option<ast::Expr> {
    let number = Exact::of(expr).filter(|number| number.scale > 0)?;
    if !column_type_from_ast(target).is_ok_and(|target| target.to_arrow().is_integer()) {
        return None;
    }
    let precision = number.precision()?;
    let size = ExactNumberInfo::PrecisionAndScale(u64::from(precision), i64::from(number.scale));
    Some(text_cast(number.to_string(), SqlType::Decimal(size)))
}

/// A number that is known exactly: `unscaled` / 10^`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exact {
    unscaled: i128,
    scale: u8,
}

impl Exact {
    /// What numbers without exponents, their signs, sums, differences and products come to. `None`
    /// for anything else and for what no DECIMAL holds.
    fn of(expr: &ast::Expr) -> Option<Self> {
        match expr {
            ast::Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Self::of_written(&digits.replace('_', "")),
                _ => None,
            },
            ast::Expr::Nested(inner) => Self::of(inner),
            ast::Expr::UnaryOp { op: UnaryOperator::Plus, expr } => Self::of(expr),
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let Self { unscaled, scale } = Self::of(expr)?;
                Some(Self { unscaled: -unscaled, scale })
            }
            ast::Expr::BinaryOp { left, op, right } => {
                Self::of(left)?.computed(op, Self::of(right)?)
            }
            ast::Expr::Cast { expr, data_type, .. } if marked_type(data_type).is_some() => {
                match expr.as_ref() {
                    ast::Expr::Value(value) => match &value.value {
                        Value::SingleQuotedString(digits) => Self::of_digits(digits),
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// More digits than any DECIMAL has are those of the nearest DOUBLE.
    fn of_written(digits: &str) -> Option<Self> {
        if has_exponent(digits) {
            return None;
        }
        let nearest = || {
            let number: f64 = digits.parse().ok()?;
            (number.abs() < DOUBLE_EXACT_MAX).then(|| number.to_string())
        };
        Self::of_digits(digits).or_else(|| Self::of_digits(&nearest()?))
    }

    fn of_digits(digits: &str) -> Option<Self> {
        let ScalarValue::Decimal128(Some(unscaled), _, scale) = decimal_of(digits)? else {
            return None;
        };
        Some(Self { unscaled, scale: u8::try_from(scale).ok()? })
    }

    fn computed(self, op: &BinaryOperator, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let aligned = (self.scaled_to(scale), other.scaled_to(scale));
        let (unscaled, scale) = match op {
            BinaryOperator::Plus => (aligned.0?.checked_add(aligned.1?)?, scale),
            BinaryOperator::Minus => (aligned.0?.checked_sub(aligned.1?)?, scale),
            BinaryOperator::Multiply => {
                (self.unscaled.checked_mul(other.unscaled)?, self.scale.checked_add(other.scale)?)
            }
            _ => return None,
        };
        let number = Self { unscaled, scale };
        number.precision().map(|_| number)
    }

    fn scaled_to(self, scale: u8) -> Option<i128> {
        let more = u32::from(scale.checked_sub(self.scale)?);
        self.unscaled.checked_mul(10_i128.checked_pow(more)?)
    }

    /// Of the smallest DECIMAL that holds it.
    fn precision(self) -> Option<u8> {
        let length = self.unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
        let precision = u8::try_from(length).ok()?.max(self.scale);
        (precision <= DECIMAL128_MAX_PRECISION).then_some(precision)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        // A digit stands before the point.
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}")?;
        if scale > 0 { write!(f, ".{fraction}") } else { Ok(()) }
    }
}

/// Whether the number is a fraction written with an exponent.
fn is_approximate_fraction(digits: &str) -> bool {
    has_exponent(digits) && digits.parse::<f64>().is_ok_and(|number| number.fract() != 0.0)
}

fn has_exponent(digits: &str) -> bool {
    digits.contains(['e', 'E'])
}

/// Whether a DECIMAL keeps more of these digits than a DOUBLE does.
fn is_long(digits: &str) -> bool {
    let significant = digits.trim_start_matches(['0', '.']);
    significant.bytes().filter(u8::is_ascii_digit).count() > DOUBLE_DIGITS
        && decimal_of(digits).is_some()
}

fn cast_of(digits: String) -> ast::Expr {
    let mark = ObjectNamePart::Identifier(Ident::with_quote('"', MARK));
    text_cast(digits, SqlType::Custom(ObjectName(vec![mark]), Vec::new()))
}

fn text_cast(digits: String, data_type: SqlType) -> ast::Expr {
    ast::Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(ast::Expr::value(Value::SingleQuotedString(digits))),
        data_type,
        array: false,
        format: None,
    }
}

/// The type the mark stands for.
pub(super) fn marked_type(sql_type: &SqlType) -> Option<FieldRef> {
    let SqlType::Custom(ObjectName(parts), _) = sql_type else { return None };
    let [ObjectNamePart::Identifier(name)] = parts.as_slice() else { return None };
    (name.value == MARK).then(|| {
        let mark = HashMap::from([(MARK_KEY.to_owned(), String::new())]);
        Arc::new(Field::new("", DataType::Float64, true).with_metadata(mark))
    })
}

/// The DECIMAL that a number as written is, or a computation of such: `0.1`, `-0.1`, `0.1 * 3`.
/// `None` for anything else and for what no DECIMAL holds.
pub fn exact_decimal(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => {
            let exact = number.abs() < DOUBLE_EXACT_MAX;
            let decimal = exact.then(|| decimal_of(&number.to_string())).flatten()?;
            Some(Expr::Literal(decimal, None))
        }
        Expr::Cast(Cast { expr, field }) if field.metadata().contains_key(MARK_KEY) => {
            let digits = written_digits(expr)?;
            if has_exponent(digits) {
                return exact_decimal(&Expr::Literal(double_of(digits)?, None));
            }
            Some(Expr::Literal(decimal_of(digits)?, None))
        }
        Expr::Negative(inner) => match exact_decimal(inner)? {
            Expr::Literal(value, _) => Some(Expr::Literal(value.arithmetic_negate().ok()?, None)),
            other => Some(Expr::Negative(Box::new(other))),
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply),
            right,
        }) => {
            let (exact_left, exact_right) = (exact_decimal(left), exact_decimal(right));
            if exact_left.is_none() && exact_right.is_none() {
                return None;
            }
            let left = exact_left.or_else(|| whole_number(left))?;
            let right = exact_right.or_else(|| whole_number(right))?;
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        _ => None,
    }
}

/// As [`exact_decimal`], of what is to be an integer: a fraction with an exponent is a DOUBLE, and
/// so is what is computed of it.
pub(crate) fn rounded_decimal(expr: &Expr) -> Option<Expr> {
    if matches!(expr, Expr::Literal(..)) {
        return exact_decimal(expr);
    }
    let approximate = expr.exists(|part| {
        Ok(match part {
            Expr::Cast(Cast { expr, field }) if field.metadata().contains_key(MARK_KEY) => {
                written_digits(expr).is_some_and(has_exponent)
            }
            _ => false,
        })
    });
    if approximate.ok()? { as_double(expr) } else { exact_decimal(expr) }
}

/// The text of a marked number.
fn written_digits(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(digits)), _) => Some(digits),
        _ => None,
    }
}

fn double_of(digits: &str) -> Option<ScalarValue> {
    digits.parse::<f64>().ok().map(ScalarValue::from)
}

/// A marked number as the DOUBLE that it is; `None` for anything else.
pub(crate) fn as_double(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) if field.metadata().contains_key(MARK_KEY) => {
            Some(Expr::Literal(double_of(written_digits(expr)?)?, None))
        }
        Expr::Negative(inner) => match as_double(inner)? {
            Expr::Literal(value, _) => Some(Expr::Literal(value.arithmetic_negate().ok()?, None)),
            _ => None,
        },
        _ => None,
    }
}

fn whole_number(expr: &Expr) -> Option<Expr> {
    let whole = matches!(
        expr,
        Expr::Literal(ScalarValue::Int64(Some(_)) | ScalarValue::UInt64(Some(_)), _)
    );
    whole.then(|| expr.clone())
}

/// The digits as a DECIMAL of no more digits than they are.
fn decimal_of(digits: &str) -> Option<ScalarValue> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let length = unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    let precision = u8::try_from(length).ok()?.max(scale.unsigned_abs());
    (precision <= DECIMAL128_MAX_PRECISION).then_some(ScalarValue::Decimal128(
        Some(unscaled),
        precision,
        scale,
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn decimal(unscaled: i128, precision: u8, scale: i8) -> Expr {
        Expr::Literal(ScalarValue::Decimal128(Some(unscaled), precision, scale), None)
    }

    #[test]
    fn digits_make_the_smallest_decimal_that_holds_them() {
        let cases = [
            ("0.1", Some((1, 1, 1))),
            (".5", Some((5, 1, 1))),
            ("-12.50", Some((-1250, 4, 2))),
            ("7", Some((7, 1, 0))),
            ("0", Some((0, 1, 0))),
            ("1e3", None),
            ("inf", None),
        ];
        for (digits, wanted) in cases {
            let wanted = wanted.map(|(unscaled, precision, scale)| {
                ScalarValue::Decimal128(Some(unscaled), precision, scale)
            });
            assert_eq!(decimal_of(digits), wanted, "{digits}");
        }
        assert!(decimal_of(&"9".repeat(38)).is_some());
        assert_eq!(decimal_of(&"9".repeat(39)), None);
        assert_eq!(decimal_of(&format!("0.{}", "1".repeat(39))), None);
    }

    #[test]
    fn only_what_a_double_loses_is_marked() {
        let number = |digits: &str| ast::Expr::value(Value::Number(digits.to_owned(), false));
        for digits in ["0.1", "123456789012345", "18446744073709551615", "1e300", "25e1", "1_000"] {
            assert_eq!(marked(&number(digits)).unwrap(), None, "{digits}");
        }
        let long = ["1234567890.1234567890", "18446744073709551616", "0.30000000000000004"];
        for digits in long.into_iter().chain(["2.5E0", "1e-3"]) {
            assert!(marked(&number(digits)).unwrap().is_some(), "{digits}");
        }
        assert!(marked(&number("1e309")).is_err());
        let large = marked(&number("18446744073709551616")).unwrap().unwrap();
        assert_eq!(large.to_string(), "CAST('18446744073709551616' AS DECIMAL(20,0))");
        // More digits than any DECIMAL has.
        assert!(marked(&number(&"9".repeat(39))).is_err());
    }

    #[test]
    fn a_number_cast_to_an_integer_is_the_decimal_it_spells() {
        let cast = |text: &str, data_type| {
            let positive = text.strip_prefix('-');
            let digits = positive.unwrap_or(text).to_owned();
            let mut expr = ast::Expr::value(Value::Number(digits, false));
            if positive.is_some() {
                expr = ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(expr) };
            }
            ast::Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(ast::Expr::Nested(Box::new(expr))),
                data_type,
                array: false,
                format: None,
            }
        };
        let written = |text: &str, data_type| {
            let mut expr = cast(text, data_type);
            mark(&mut expr).unwrap();
            expr.to_string()
        };
        let cases = [
            ("2.5", "CAST(CAST('2.5' AS DECIMAL(2,1)) AS INT)"),
            ("-1.50", "CAST(CAST('-1.50' AS DECIMAL(3,2)) AS INT)"),
            ("1234567890123456.5", "CAST(CAST('1234567890123456.5' AS DECIMAL(17,1)) AS INT)"),
            ("7", "CAST((7) AS INT)"),
            ("1e3", "CAST((1e3) AS INT)"),
        ];
        for (text, wanted) in cases {
            assert_eq!(written(text, SqlType::Int(None)), wanted);
        }
        let approximate = written("25e-1", SqlType::Int(None));
        assert!(approximate.contains(MARK) && !approximate.contains("DECIMAL"), "{approximate}");
        assert_eq!(written("2.5", SqlType::Real), "CAST((2.5) AS REAL)");
    }

    #[test]
    fn what_is_computed_of_numbers_and_cast_to_an_integer_is_exact() {
        let exact = |text: &str| {
            let expr = Parser::new(&GenericDialect {}).try_with_sql(text).unwrap().parse_expr();
            Exact::of(&expr.unwrap()).map(|number| number.to_string())
        };
        let cases = [
            ("1.25 * 2", "2.50"),
            ("0.5 + 2", "2.5"),
            ("-(4.0 - 1.55)", "-2.45"),
            ("+.5 - 1", "-0.5"),
            ("0.05 * 0.1", "0.005"),
            ("2 + 3", "5"),
        ];
        for (text, wanted) in cases {
            assert_eq!(exact(text).as_deref(), Some(wanted), "{text}");
        }
        let long = format!("0.{} * 0.01", "1".repeat(37));
        for text in ["5.0 / 2", "2.5E0", "1e0 + 1.5", "abs(2.5)", "a + 1.5", long.as_str()] {
            assert_eq!(exact(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_with_an_exponent_is_rounded_as_a_double() {
        let mark = HashMap::from([(MARK_KEY.to_owned(), String::new())]);
        let marked = |digits: &str| {
            let field = Field::new("", DataType::Float64, true).with_metadata(mark.clone());
            Expr::Cast(Cast::new_from_field(Box::new(lit(digits)), Arc::new(field)))
        };
        assert_eq!(rounded_decimal(&lit(2.5)), Some(decimal(25, 2, 1)));
        let product = lit(1.25) * lit(2_i64);
        assert_eq!(rounded_decimal(&product), exact_decimal(&product));
        assert_eq!(rounded_decimal(&marked("2.5E0")), Some(lit(2.5)));
        assert_eq!(rounded_decimal(&(marked("2.5E0") + lit(1.0))), None);
        // A DECIMAL takes its digits.
        assert_eq!(exact_decimal(&marked("2.5E0")), Some(decimal(25, 2, 1)));
    }

    #[test]
    fn what_is_computed_of_numbers_is_exact() {
        assert_eq!(exact_decimal(&lit(0.1)), Some(decimal(1, 1, 1)));
        assert_eq!(exact_decimal(&Expr::Negative(Box::new(lit(0.1)))), Some(decimal(-1, 1, 1)));
        assert_eq!(exact_decimal(&(lit(0.1) * lit(3_i64))), Some(decimal(1, 1, 1) * lit(3_i64)));
        for other in [lit(1_i64), lit(1e30), lit(f64::INFINITY), col("a"), lit(0.1) + col("a")] {
            assert_eq!(exact_decimal(&other), None, "{other}");
        }
    }
}
