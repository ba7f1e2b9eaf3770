//! The operators on integers and DECIMALs as functions that check their results.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// What wraps around when nobody looks. Division and remainder do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    /// The checked form of a binary operator, if it needs one.
    pub(super) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    /// The operation as a function of integers of one type, or of two DECIMALs.
    pub(super) fn function(self) -> &'static Arc<ScalarUDF> {
        static ADD: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Add));
        static SUBTRACT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Subtract));
        static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Multiply));
        static NEGATE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(Operation::Negate));
        match self {
            Self::Add => &ADD,
            Self::Subtract => &SUBTRACT,
            Self::Multiply => &MULTIPLY,
            Self::Negate => &NEGATE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Negate => "checked_negate",
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
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
