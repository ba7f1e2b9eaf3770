//! `INTERVAL '1 day' * 2`, `2 * INTERVAL '1 day'` and `INTERVAL '1 day' / 2`.
//!
//! The query engine has no such operators. What is left of a month are its days, thirty of them;
//! what is left of a day are its hours.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Field, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::error::ArrowError;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const MONTH_DAYS: f64 = 30.0;
const DAY_NANOS: f64 = 86_400e9;
/// Up to here whole numbers of floating point are exact.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

static TIMES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operator::Times));
static DIVIDED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operator::Divided));

fn made(operator: Operator) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![INTERVAL, DataType::Float64], Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Scaled { operator, signature }))
}

/// Plans the operators.
#[derive(Debug)]
pub struct IntervalOperators;

impl ExprPlanner for IntervalOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let operator = match expr.op {
            BinaryOperator::Multiply => &TIMES,
            BinaryOperator::Divide => &DIVIDED,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let interval = |side: &Expr| matches!(side.get_type(schema), Ok(of) if of == INTERVAL);
        let number = |side: &Expr| {
            is_untyped(side) || matches!(side.get_type(schema), Ok(of) if of.is_numeric())
        };
        let arguments = if interval(&expr.left) && number(&expr.right) {
            vec![expr.left, counted(expr.right)]
        } else if matches!(expr.op, BinaryOperator::Multiply)
            && number(&expr.left)
            && interval(&expr.right)
        {
            vec![expr.right, counted(expr.left)]
        } else {
            return Ok(PlannerResult::Original(expr));
        };
        let scaled = ScalarFunction::new_udf(Arc::clone(operator), arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(scaled)))
    }
}

fn is_untyped(side: &Expr) -> bool {
    matches!(side, Expr::Placeholder(Placeholder { field: None, .. }))
}

/// A parameter that an interval is taken times is a number.
fn counted(side: Expr) -> Expr {
    match side {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Field::new(&id, DataType::Float64, true);
            Expr::Placeholder(Placeholder::new_with_field(id, Some(Arc::new(field))))
        }
        other => other,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operator {
    Times,
    Divided,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &str {
        match self.operator {
            Operator::Times => "interval_times",
            Operator::Divided => "interval_divided",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [intervals, numbers] = arrays.as_slice() else {
            let reason = format!("{} takes two arguments", self.name());
            return Err(DataFusionError::Internal(reason));
        };
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.as_primitive::<Float64Type>();
        let scaled = intervals.iter().zip(numbers.iter()).map(|pair| match pair {
            (Some(interval), Some(number)) => {
                let IntervalMonthDayNano { months, days, nanoseconds } = interval;
                scaled([months.into(), days.into(), nanoseconds], self.operator, number).map(Some)
            }
            _ => Ok(None),
        });
        let scaled: IntervalMonthDayNanoArray = scaled.collect::<Result<_, ArrowError>>()?;
        let scaled: ArrayRef = Arc::new(scaled);
        Ok(ColumnarValue::Array(scaled))
    }
}

/// Months, days and nanoseconds times a number, or divided by it.
fn scaled(
    parts: [i64; 3],
    operator: Operator,
    number: f64,
) -> Result<IntervalMonthDayNano, ArrowError> {
    if matches!(operator, Operator::Divided) && number == 0.0 {
        return Err(ArrowError::DivideByZero);
    }
    let overflow = || ArrowError::ComputeError(String::from("Timestamp out of range"));
    let whole = number.fract() == 0.0 && number.abs() <= WHOLE_MAX;
    let [months, days, nanos] = if matches!(operator, Operator::Times) && whole {
        let times = |part: i64| part.checked_mul(number as i64).ok_or_else(overflow);
        [times(parts[0])?, times(parts[1])?, times(parts[2])?]
    } else {
        let of = |part: i64| match operator {
            Operator::Times => part as f64 * number,
            Operator::Divided => part as f64 / number,
        };
        let months = of(parts[0]);
        let days = of(parts[1]) + months.fract() * MONTH_DAYS;
        let nanos = of(parts[2]) + days.fract() * DAY_NANOS;
        let fits = |part: f64| part.is_finite() && part.abs() < i64::MAX as f64;
        if ![months, days, nanos].into_iter().all(fits) {
            return Err(overflow());
        }
        // To the microsecond, as floating point is not exact.
        [
            months.trunc() as i64,
            days.trunc() as i64,
            ((nanos / 1e3).round() as i64).saturating_mul(1_000),
        ]
    };
    let months = i32::try_from(months).map_err(|_| overflow())?;
    let days = i32::try_from(days).map_err(|_| overflow())?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_unit_goes_to_the_smaller_one() {
        let of = |parts, operator, number| {
            let made = scaled(parts, operator, number).unwrap();
            (made.months, made.days, made.nanoseconds)
        };
        assert_eq!(of([1, 2, 3], Operator::Times, -2.0), (-2, -4, -6));
        assert_eq!(of([1, 0, 0], Operator::Divided, 2.0), (0, 15, 0));
        assert_eq!(of([0, 1, 0], Operator::Times, 0.5), (0, 0, 43_200_000_000_000));
        assert!(scaled([0, 1, 0], Operator::Divided, 0.0).is_err());
        assert!(scaled([0, 1, 0], Operator::Times, 1e18).is_err());
        assert!(scaled([0, 1, 0], Operator::Times, f64::NAN).is_err());
    }
}
