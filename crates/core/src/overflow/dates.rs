//! A DATE that is computed lies in the years 1 to 9999, as one that is stored.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type};
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// 0001-01-01 in days from 1970-01-01.
const FIRST_DAY: i32 = -719_162;
/// 9999-12-31 in the same.
const LAST_DAY: i32 = 2_932_896;

/// The dates, or an error.
pub(super) fn within(dates: Expr) -> Expr {
    static WITHIN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::exact(vec![DataType::Date32], Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Within { signature }))
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&WITHIN), vec![dates]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Within {
    signature: Signature,
}

fn only<T>(arguments: &[T]) -> Result<&T> {
    match arguments {
        [one] => Ok(one),
        _ => Err(DataFusionError::Internal(String::from("checked_date takes one argument"))),
    }
}

impl ScalarUDFImpl for Within {
    fn name(&self) -> &str {
        "checked_date"
    }

    /// As what computes it.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(only(args)?.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let dates = only(&args.args)?;
        let array = dates.to_array(1)?;
        let mut days = array.as_primitive::<Date32Type>().iter().flatten();
        if array.null_count() < array.len()
            && days.any(|day| !(FIRST_DAY..=LAST_DAY).contains(&day))
        {
            return Err(ArrowError::ComputeError(String::from("Date out of range")).into());
        }
        Ok(dates.clone())
    }
}
