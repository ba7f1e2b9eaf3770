//! The function in the place of a cast to integers.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TryCast, Volatility,
};
use kalamdb_tables::rounded_cast;

/// A cast that rounds.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RoundedCast {
    /// The field of the cast.
    target: FieldRef,
    /// Whether what cannot be cast is NULL: TRY_CAST.
    safe: bool,
    /// Whether its column is called as that of the cast. What joins compare become columns beside
    /// those of the tables, and need names of their own.
    named: bool,
    signature: Signature,
}

impl RoundedCast {
    pub(super) fn new(target: FieldRef, safe: bool, named: bool) -> Self {
        Self { target, safe, named, signature: Signature::any(1, Volatility::Immutable) }
    }

    pub(super) fn call(self, value: Expr) -> Expr {
        let function = Arc::new(ScalarUDF::new_from_impl(self));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value]))
    }

    /// The function and its argument, where `expr` is a call of one.
    pub(super) fn of(expr: &Expr) -> Option<(&Self, &Expr)> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
        let [value] = args.as_slice() else { return None };
        func.inner().downcast_ref::<Self>().map(|function| (function, value))
    }

    pub(super) fn target(&self) -> &DataType {
        self.target.data_type()
    }

    /// The cast that the function stands for.
    pub(super) fn as_cast(&self, value: Expr) -> Expr {
        let (expr, field) = (Box::new(value), Arc::clone(&self.target));
        if self.safe {
            Expr::TryCast(TryCast { expr, field })
        } else {
            Expr::Cast(Cast { expr, field })
        }
    }

    fn integers(&self, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let options = CastOptions { safe: self.safe, ..CastOptions::default() };
        rounded_cast(values, self.target(), &options).map_err(|error| {
            // It tells of the value as it was.
            cast_with_options(values, self.target(), &options).err().unwrap_or(error)
        })
    }
}

fn only<T>(arguments: &[T]) -> Result<&T> {
    match arguments {
        [one] => Ok(one),
        _ => Err(DataFusionError::Internal(String::from("a cast has one argument"))),
    }
}

impl ScalarUDFImpl for RoundedCast {
    fn name(&self) -> &str {
        if self.safe { "try_rounded_cast" } else { "rounded_cast" }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let value = only(args)?.schema_name().to_string();
        Ok(if self.named { value } else { format!("{}({value})", self.name()) })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.target().clone())
    }

    /// What the engine tells of the cast.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let source = Arc::clone(only(args.arg_fields)?);
        let column = Expr::Column(Column::new_unqualified(source.name()));
        let schema = DFSchema::from_unqualified_fields(vec![source].into(), HashMap::new())?;
        Ok(self.as_cast(column).to_field(&schema)?.1)
    }

    /// Folding constants is for the engine; as with its casts a wrong one is an error in any case.
    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let [Expr::Literal(value, _)] = args.as_slice() {
            self.integers(&value.to_array()?)?;
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = only(&args.args)?;
        let integers = self.integers(&value.to_array(1)?)?;
        Ok(match value {
            ColumnarValue::Array(_) => ColumnarValue::Array(integers),
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&integers, 0)?)
            }
        })
    }
}
