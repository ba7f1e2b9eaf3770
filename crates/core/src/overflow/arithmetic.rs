//! The operators on integers and DECIMALs as functions that check their results.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array, new_empty_array};
use arrow::compute::kernels::numeric::{add, div, mul, neg, sub};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, i256};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// What wraps around when nobody looks. A remainder does not, and a quotient of integers neither;
/// that of DECIMALs is cut off where it is to be rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Negate,
}

impl Operation {
    /// The checked form of a binary operator, if it needs one.
    pub(super) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            Operator::Divide => Some(Self::Divide),
            _ => None,
        }
    }

    /// The operation as a function of integers of one type, or of two DECIMALs.
    pub(super) fn function(self) -> &'static Arc<ScalarUDF> {
        static ADD: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Add));
        static SUBTRACT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Subtract));
        static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Multiply));
        static DIVIDE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Divide));
        static NEGATE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Negate));
        match self {
            Self::Add => &ADD,
            Self::Subtract => &SUBTRACT,
            Self::Multiply => &MULTIPLY,
            Self::Divide => &DIVIDE,
            Self::Negate => &NEGATE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Divide => "rounded_divide",
            Self::Negate => "checked_negate",
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
            Self::Divide => Operator::Divide,
        }
    }

    fn arguments(self) -> usize {
        if self == Self::Negate { 1 } else { 2 }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        })
    }
}

fn made(operation: Operation) -> Arc<ScalarUDF> {
    let signature = Signature::any(operation.arguments(), Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Checked { operation, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn misused<T>(&self) -> Result<T> {
        Err(DataFusionError::Internal(format!(
            "{} takes {} integers of one type or DECIMALs",
            self.operation.name(),
            self.operation.arguments()
        )))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// As the operator: a column of a result is named after what computes it.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [one] => Ok(format!("({} {})", self.operation, one.schema_name())),
            [left, right] => {
                Ok(format!("{} {} {}", left.schema_name(), self.operation, right.schema_name()))
            }
            _ => self.misused(),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [left @ DataType::Decimal128(..), right @ DataType::Decimal128(..)] => {
                BinaryTypeCoercer::new(left, &self.operation.operator(), right).get_result_type()
            }
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(first.clone()),
            _ => self.misused(),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let decimal = matches!(args.return_field.data_type(), DataType::Decimal128(..));
        let computed = self.compute(&args.args)?;
        if decimal { in_range(computed) } else { Ok(computed) }
    }
}

impl Checked {
    fn compute(&self, args: &[ColumnarValue]) -> Result<ColumnarValue> {
        match (self.operation, args) {
            (Operation::Add, [left, right]) => apply(left, right, add),
            (Operation::Subtract, [left, right]) => apply(left, right, sub),
            (Operation::Multiply, [left, right]) => apply(left, right, mul),
            (Operation::Divide, [left, right]) => apply(left, right, divide),
            (Operation::Negate, [ColumnarValue::Array(values)]) => {
                Ok(ColumnarValue::Array(neg(values)?))
            }
            (Operation::Negate, [ColumnarValue::Scalar(value)]) => {
                let negated = neg(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&negated, 0)?))
            }
            _ => self.misused(),
        }
    }
}

/// Quotients of DECIMALs with the engine's scale, rounded half away from zero.
fn divide(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let ((dividends, one_dividend), (divisors, one_divisor)) = (left.get(), right.get());
    let types = (dividends.data_type(), divisors.data_type());
    let quotient = div(&new_empty_array(types.0), &new_empty_array(types.1))?;
    let (
        DataType::Decimal128(_, left_scale),
        DataType::Decimal128(_, right_scale),
        DataType::Decimal128(precision, scale),
    ) = (types.0, types.1, quotient.data_type())
    else {
        return Err(ArrowError::ComputeError(String::from("a quotient of DECIMALs is expected")));
    };
    let (dividends, divisors) =
        (dividends.as_primitive::<Decimal128Type>(), divisors.as_primitive::<Decimal128Type>());
    let shift = u32::try_from(scale - left_scale + right_scale).unwrap_or(0);
    let factor = i256::from_i128(10).checked_pow(shift).unwrap_or(i256::ONE);
    let rows = if one_dividend { divisors.len() } else { dividends.len() };
    let at = |values: &Decimal128Array, one: bool, row: usize| {
        let row = if one { 0 } else { row };
        values.is_valid(row).then(|| values.value(row))
    };
    let quotients = (0..rows).map(|row| {
        let (Some(dividend), Some(divisor)) =
            (at(dividends, one_dividend, row), at(divisors, one_divisor, row))
        else {
            return Ok(None);
        };
        if divisor == 0 {
            return Err(ArrowError::DivideByZero);
        }
        rounded(i256::from_i128(dividend).checked_mul(factor), i256::from_i128(divisor))
            .map(Some)
            .ok_or_else(|| overflow(ArrowError::ComputeError(String::from("a quotient"))))
    });
    let quotients: Decimal128Array = quotients.collect::<Result<_, ArrowError>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(*precision, *scale)?))
}

fn rounded(dividend: Option<i256>, divisor: i256) -> Option<i128> {
    let dividend = dividend?;
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = twice >= divisor.wrapping_abs();
    let negative = dividend.is_negative() != divisor.is_negative();
    let step = if negative { i256::MINUS_ONE } else { i256::ONE };
    if away { quotient.checked_add(step)? } else { quotient }.to_i128()
}

/// The DECIMALs if none has more digits than its type: the engine computes in 128 bits, which
/// hold some numbers of 39.
fn in_range(computed: ColumnarValue) -> Result<ColumnarValue> {
    let of_array = |values: &ArrayRef| -> Result<()> {
        let decimals = values.as_primitive::<Decimal128Type>();
        Ok(decimals.validate_decimal_precision(decimals.precision()).map_err(overflow)?)
    };
    match &computed {
        ColumnarValue::Array(values) => of_array(values)?,
        ColumnarValue::Scalar(value) => of_array(&value.to_array()?)?,
    }
    Ok(computed)
}

fn overflow(error: ArrowError) -> ArrowError {
    ArrowError::ArithmeticOverflow(format!("overflow of a DECIMAL: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int16Array, Int64Array};
    use arrow::datatypes::Int64Type;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    #[test]
    fn quotients_are_rounded_half_away_from_zero() {
        let whole = |number: i128| i256::from_i128(number);
        for (dividend, divisor, expected) in
            [(20, 3, 7), (-20, 3, -7), (20, -8, -3), (1, 2, 1), (-1, 2, -1), (1, 3, 0), (0, 5, 0)]
        {
            assert_eq!(rounded(Some(whole(dividend)), whole(divisor)), Some(expected));
        }
    }

    fn run(operation: Operation, args: Vec<ColumnarValue>) -> Result<ColumnarValue> {
        let data_type = args[0].data_type();
        let arg_fields = (args.iter())
            .map(|arg| Arc::new(Field::new("a", arg.data_type(), true)) as FieldRef)
            .collect();
        operation.function().invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows: 2,
            return_field: Arc::new(Field::new("r", data_type, true)),
            config_options: Arc::new(ConfigOptions::new()),
        })
    }

    fn longs(values: [Option<i64>; 2]) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)
    }

    fn long(value: i64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(value))
    }

    #[test]
    fn what_fits_is_computed_and_null_stays_null() {
        let sum = run(Operation::Add, vec![longs([Some(1), None]), long(2)]).unwrap();
        let sum = sum.into_array(2).unwrap();
        let sum: Vec<_> = sum.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(sum, [Some(3), None]);
        let product = run(Operation::Multiply, vec![long(-3), long(4)]).unwrap();
        assert!(matches!(product, ColumnarValue::Scalar(ScalarValue::Int64(Some(-12)))));
        let negated = run(Operation::Negate, vec![long(i64::MAX)]).unwrap();
        assert!(
            matches!(negated, ColumnarValue::Scalar(ScalarValue::Int64(Some(v))) if v == -i64::MAX)
        );
    }

    #[test]
    fn a_decimal_has_no_more_digits_than_its_type() {
        let largest = 10_i128.pow(38) - 1;
        let decimal =
            |unscaled| ColumnarValue::Scalar(ScalarValue::Decimal128(Some(unscaled), 38, 0));
        let sum = run(Operation::Add, vec![decimal(largest - 1), decimal(1)]).unwrap();
        let ColumnarValue::Scalar(ScalarValue::Decimal128(Some(sum), 38, 0)) = sum else {
            panic!("{sum:?}");
        };
        assert_eq!(sum, largest);
        let cases = [
            (Operation::Add, decimal(largest), decimal(1)),
            (Operation::Subtract, decimal(-largest), decimal(1)),
            (Operation::Multiply, decimal(largest), decimal(largest)),
        ];
        for (operation, left, right) in cases {
            let error = run(operation, vec![left, right]).unwrap_err().to_string();
            assert!(error.to_lowercase().contains("overflow"), "{operation:?}: {error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let cases = [
            (Operation::Add, vec![long(i64::MAX), long(1)]),
            (Operation::Add, vec![longs([Some(0), Some(i64::MAX)]), longs([Some(1), Some(1)])]),
            (Operation::Subtract, vec![long(i64::MIN), longs([Some(1), None])]),
            (Operation::Multiply, vec![longs([Some(i64::MAX), None]), long(2)]),
            (Operation::Negate, vec![long(i64::MIN)]),
            (Operation::Negate, vec![longs([None, Some(i64::MIN)])]),
        ];
        for (operation, args) in cases {
            let error = run(operation, args).unwrap_err().to_string();
            assert!(error.to_lowercase().contains("overflow"), "{operation:?}: {error}");
        }
        let small = || ColumnarValue::Array(Arc::new(Int16Array::from(vec![200, 1])) as ArrayRef);
        assert!(run(Operation::Multiply, vec![small(), small()]).is_err());
    }
}
