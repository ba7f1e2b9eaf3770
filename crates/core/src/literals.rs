//! Literals take the type of what they meet, when that loses nothing.
//!
//! The query engine would bring both sides to a common type instead: text and TIMESTAMP to
//! nanoseconds, which end in 2262, and a number and DECIMAL to a DOUBLE or to a width that keeps
//! the digits of the number's nearest DOUBLE, not those that were written.

use std::cell::Cell;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit, i256};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast,
};
use kalamdb_tables::{exact_decimal, text_cast};

/// The plan with its literals fitted. Names in it stay as they are.
pub(crate) fn fit(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    // Once a type has changed, what stands above has to hear of it.
    let changed = Cell::new(false);
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            if matches!(expr, Expr::GroupingSet(_)) || !has_literals(&expr)? {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let fitted = expr.transform_up(|expr| Ok(fit_expr(expr, &schema)))?;
            if fitted.transformed {
                changed.set(true);
                return Ok(fitted.update_data(|expr| name.restore(expr)));
            }
            Ok(fitted)
        })?;
        if changed.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })
    .data()
}

fn has_literals(expr: &Expr) -> Result<bool, DataFusionError> {
    expr.exists(|expr| Ok(matches!(expr, Expr::Literal(..))))
}

fn fit_expr(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let of = |expr: &Expr| expr.get_type(schema).ok();
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let (left_type, right_type) = (of(&left), of(&right));
            let left = fit_literal(*left, right_type.as_ref());
            let right = fit_literal(*right, left_type.as_ref());
            binary(left, op, right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_exact(op) => {
            let (left_type, right_type) = (of(&left), of(&right));
            let left = fit_operand(*left, op, right_type.as_ref());
            let right = fit_operand(*right, op, left_type.as_ref());
            binary(left, op, right)
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let wanted = of(&expr);
            let low = fit_literal(*low, wanted.as_ref());
            let high = fit_literal(*high, wanted.as_ref());
            let changed = low.transformed || high.transformed;
            let between = Between::new(expr, negated, Box::new(low.data), Box::new(high.data));
            Transformed::new_transformed(Expr::Between(between), changed)
        }
        Expr::InList(InList { expr, list, negated }) => {
            let wanted = of(&expr);
            let mut changed = false;
            let list = list.into_iter().map(|item| {
                let item = fit_literal(item, wanted.as_ref());
                changed |= item.transformed;
                item.data
            });
            let list = list.collect();
            Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed)
        }
        Expr::Cast(Cast { expr, field }) if is_decimal(field.data_type()) => {
            let exact = exact_operand(*expr);
            exact.update_data(|expr| Expr::Cast(Cast { expr: Box::new(expr), field }))
        }
        Expr::TryCast(TryCast { expr, field }) if is_decimal(field.data_type()) => {
            let exact = exact_operand(*expr);
            exact.update_data(|expr| Expr::TryCast(TryCast { expr: Box::new(expr), field }))
        }
        other => Transformed::no(other),
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

/// The operand in its own digits if it is a number.
fn exact_operand(expr: Expr) -> Transformed<Expr> {
    match exact_decimal(&expr) {
        Some(exact) => Transformed::yes(exact),
        None => Transformed::no(expr),
    }
}

fn binary(left: Transformed<Expr>, op: Operator, right: Transformed<Expr>) -> Transformed<Expr> {
    let changed = left.transformed || right.transformed;
    let expr = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
    Transformed::new_transformed(Expr::BinaryExpr(expr), changed)
}

/// The operators that lose no digits of a DECIMAL. Division does: with a number that has a
/// fraction it is one of DOUBLEs.
fn is_exact(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Modulo)
}

/// The operand in its own digits if it is a number that meets a DECIMAL.
fn fit_operand(expr: Expr, op: Operator, other: Option<&DataType>) -> Transformed<Expr> {
    let Some(DataType::Decimal128(_, scale)) = other else { return Transformed::no(expr) };
    let Some(exact) = exact_decimal(&expr) else { return Transformed::no(expr) };
    let Ok(DataType::Decimal128(_, own_scale)) = exact.get_type(&DFSchema::empty()) else {
        return Transformed::no(expr);
    };
    // No DECIMAL has the digits of this product.
    if op == Operator::Multiply && scale.saturating_add(own_scale) > MAX_SCALE {
        return Transformed::no(expr);
    }
    Transformed::yes(exact)
}

/// Digits after the point that a DECIMAL has at most.
const MAX_SCALE: i8 = arrow::datatypes::DECIMAL128_MAX_SCALE;

fn is_text_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// The literal as one that compares with type `wanted`; anything else as it is.
fn fit_literal(expr: Expr, wanted: Option<&DataType>) -> Transformed<Expr> {
    let fitted = match wanted {
        Some(wanted @ DataType::Timestamp(_, _)) => match &expr {
            Expr::Literal(value @ ScalarValue::Utf8(Some(_)), _) => moment_beside(value, wanted),
            _ => None,
        },
        // What spells none is refused when the cast is read.
        Some(wanted @ DataType::Interval(_)) if is_text_literal(&expr) => {
            let cast = Cast::new(Box::new(expr), wanted.clone());
            return Transformed::yes(Expr::Cast(cast));
        }
        // As in PostgreSQL, a text beside a BOOLEAN is one: 'true', 'f', 'yes', 'off', '1', ….
        Some(DataType::Boolean) => match &expr {
            Expr::Literal(value @ ScalarValue::Utf8(Some(_)), _) => {
                value.cast_to(&DataType::Boolean).ok()
            }
            _ => None,
        },
        Some(DataType::Decimal128(precision, scale)) => {
            digits_of(&expr).map(|digits| digits.beside(*precision, *scale))
        }
        _ => None,
    };
    match fitted {
        Some(fitted) if !fitted.is_null() => Transformed::yes(Expr::Literal(fitted, None)),
        _ => Transformed::no(expr),
    }
}

/// A DOUBLE that is no smaller is taken for a whole number.
const WHOLE_MIN: f64 = 1e15;

/// The moment that a text spells: of type `wanted` if that holds it, else to the microsecond.
fn moment_beside(text: &ScalarValue, wanted: &DataType) -> Option<ScalarValue> {
    let DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) = wanted else {
        return spelled(text, wanted);
    };
    let fine = spelled(text, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
    let held = fine.cast_to(wanted).ok()?;
    let same = held.cast_to(&fine.data_type()).is_ok_and(|same| same == fine);
    Some(if same { held } else { fine })
}

/// The moment that a text spells.
fn spelled(text: &ScalarValue, wanted: &DataType) -> Option<ScalarValue> {
    let read = text_cast(&text.to_array().ok()?, wanted, false).ok()?;
    ScalarValue::try_from_array(&read, 0).ok()
}

/// A number: `unscaled` / 10^`scale`.
struct Digits {
    unscaled: i128,
    precision: u8,
    scale: i8,
}

/// The digits of a number that was written or bound.
fn digits_of(expr: &Expr) -> Option<Digits> {
    let whole = |number: i128| {
        let digits = number.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
        Some(Digits { unscaled: number, precision: u8::try_from(digits).ok()?, scale: 0 })
    };
    let decimal = |unscaled: i128, precision: u8, scale: i8| {
        let digits = Digits { unscaled, precision, scale };
        (scale >= 0).then(|| digits.trimmed())
    };
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => whole(i128::from(*number)),
        Expr::Literal(ScalarValue::UInt64(Some(number)), _) => whole(i128::from(*number)),
        Expr::Literal(ScalarValue::Decimal128(Some(unscaled), precision, scale), _) => {
            decimal(*unscaled, *precision, *scale)
        }
        // The digits of the shortest text, which is what was written: 1e15.
        Expr::Literal(ScalarValue::Float64(Some(number)), _) if number.abs() >= WHOLE_MIN => {
            whole(number.to_string().parse().ok()?)
                .filter(|digits| digits.precision <= DECIMAL128_MAX_PRECISION)
        }
        other => match exact_decimal(other)? {
            Expr::Literal(ScalarValue::Decimal128(Some(unscaled), precision, scale), _) => {
                decimal(unscaled, precision, scale)
            }
            _ => None,
        },
    }
}

impl Digits {
    /// Without the zeros at the end of its fraction.
    fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.unscaled % 10 == 0 {
            self.unscaled /= 10;
            self.scale -= 1;
            self.precision -= 1;
        }
        self.precision = self.precision.max(1);
        self
    }

    /// The number as a value that a `DECIMAL(precision, scale)` is compared with exactly: of the
    /// same type if that holds it, else of one wide enough for both.
    fn beside(&self, precision: u8, scale: i8) -> ScalarValue {
        if let Some(unscaled) = self.scaled_to(scale)
            && unscaled.unsigned_abs() < 10_u128.pow(u32::from(precision))
        {
            return ScalarValue::Decimal128(Some(unscaled), precision, scale);
        }
        let whole_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
        let whole = whole_digits(precision, scale).max(whole_digits(self.precision, self.scale));
        if whole + i16::from(self.scale.max(scale)) <= i16::from(DECIMAL128_MAX_PRECISION) {
            return ScalarValue::Decimal128(Some(self.unscaled), self.precision, self.scale);
        }
        let unscaled = i256::from_i128(self.unscaled);
        ScalarValue::Decimal256(Some(unscaled), self.precision, self.scale)
    }

    fn scaled_to(&self, scale: i8) -> Option<i128> {
        let more = u32::try_from(i16::from(scale) - i16::from(self.scale)).ok()?;
        self.unscaled.checked_mul(10_i128.checked_pow(more)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn fitted(value: ScalarValue, wanted: DataType) -> ScalarValue {
        match fit_literal(Expr::Literal(value, None), Some(&wanted)).data {
            Expr::Literal(value, _) => value,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn digits_stay_as_they_were_written() {
        let decimal = DataType::Decimal128(12, 2);
        let value = fitted(ScalarValue::from(-9_999_999_999.99), decimal.clone());
        assert_eq!(value, ScalarValue::Decimal128(Some(-999_999_999_999), 12, 2));
        let whole = fitted(ScalarValue::from(7_i64), decimal.clone());
        assert_eq!(whole, ScalarValue::Decimal128(Some(700), 12, 2));
        // More digits than the column has: they are compared, not rounded away.
        let finer = fitted(ScalarValue::from(0.125), decimal.clone());
        assert_eq!(finer, ScalarValue::Decimal128(Some(125), 3, 3));
        let larger = fitted(ScalarValue::from(1e30), decimal.clone());
        assert_eq!(larger, ScalarValue::Decimal128(Some(10_i128.pow(30)), 31, 0));
        let larger = ScalarValue::from(1e300);
        assert_eq!(fitted(larger.clone(), decimal), larger);
    }

    #[test]
    fn what_no_decimal_of_38_digits_compares_exactly_is_compared_in_more() {
        let finer = ScalarValue::Decimal128(Some(12_345_678_901), 38, 11);
        let value = fitted(finer, DataType::Decimal128(38, 10));
        assert!(matches!(value, ScalarValue::Decimal256(Some(_), _, 11)), "{value:?}");
        // Zeros at the end say nothing.
        let zeros = ScalarValue::Decimal128(Some(12_345_678_900), 38, 11);
        let value = fitted(zeros, DataType::Decimal128(38, 10));
        assert_eq!(value, ScalarValue::Decimal128(Some(1_234_567_890), 38, 10));
        let whole = fitted(ScalarValue::from(5_i64), DataType::Decimal128(38, 38));
        assert_eq!(whole, ScalarValue::Decimal256(Some(i256::from_i128(5)), 1, 0));
    }

    #[test]
    fn arithmetic_with_a_decimal_is_exact_and_other_arithmetic_stays() {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = DFSchema::try_from(Schema::new(vec![
            field("m", DataType::Decimal128(38, 10)),
            field("fine", DataType::Decimal128(38, 38)),
            field("d", DataType::Float64),
        ]))
        .unwrap();
        let tenth = || Expr::Literal(ScalarValue::Decimal128(Some(1), 1, 1), None);
        assert_eq!(fit_expr(col("m") + lit(0.1), &schema).data, col("m") + tenth());
        assert_eq!(fit_expr(lit(0.1) * col("m"), &schema).data, tenth() * col("m"));
        let all =
            [col("d") + lit(0.1), col("m") / lit(0.1), col("fine") * lit(0.1), lit(0.1) + lit(0.2)];
        for expr in all {
            assert!(!fit_expr(expr.clone(), &schema).transformed, "{expr}");
        }
    }

    #[test]
    fn a_number_cast_to_a_decimal_keeps_its_digits() {
        let decimal =
            |expr: Expr| datafusion::logical_expr::cast(expr, DataType::Decimal128(30, 2));
        let cents = Expr::Literal(ScalarValue::Decimal128(Some(125), 3, 2), None);
        let schema = DFSchema::empty();
        assert_eq!(fit_expr(decimal(lit(1.25)), &schema).data, decimal(cents));
        for other in [decimal(lit("1.25")), decimal(lit(1_i64)), decimal(col("a"))] {
            assert!(!fit_expr(other.clone(), &schema).transformed, "{other}");
        }
    }

    #[test]
    fn a_moment_that_is_finer_than_its_column_keeps_its_fraction() {
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let whole = fitted(ScalarValue::from("1970-01-01 00:00:01.000"), seconds.clone());
        assert_eq!(whole, ScalarValue::TimestampSecond(Some(1), None));
        let finer = fitted(ScalarValue::from("1970-01-01 00:00:01.9"), seconds);
        assert_eq!(finer, ScalarValue::TimestampMicrosecond(Some(1_900_000), None));
    }

    #[test]
    fn moments_beyond_the_range_of_nanoseconds_are_found() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let value = fitted(ScalarValue::from("9999-12-31 23:59:59"), micros.clone());
        assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(253_402_300_799_000_000), None));
        let no_moment = ScalarValue::from("yesterday");
        assert_eq!(fitted(no_moment.clone(), micros), no_moment);
    }
}
