//! A disguise for what stands in an expression several times.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Its argument, in one place of an expression: never equal to another place.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    number: u64,
    signature: Signature,
}

impl Place {
    /// The expression, in the place of this number.
    pub(super) fn disguise(number: u64, expr: Expr) -> Expr {
        let place = Self { number, signature: Signature::any(1, Volatility::Immutable) };
        let place = Arc::new(ScalarUDF::new_from_impl(place));
        Expr::ScalarFunction(ScalarFunction::new_udf(place, vec![expr]))
    }
}

impl ScalarUDFImpl for Place {
    fn name(&self) -> &str {
        "place"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(only(args)?.schema_name().to_string())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        only(arg_types).cloned()
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        only(args.arg_fields).cloned()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        only(&args.args).cloned()
    }
}

fn only<T>(arguments: &[T]) -> Result<&T> {
    match arguments {
        [one] => Ok(one),
        _ => Err(DataFusionError::Internal(String::from("a place has one argument"))),
    }
}

/// What stands in a place.
pub(super) fn reveal(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.inner().is::<Place>() && args.len() == 1 =>
        {
            Ok(Transformed::yes(args.remove(0)))
        }
        other => Ok(Transformed::no(other)),
    }
}
