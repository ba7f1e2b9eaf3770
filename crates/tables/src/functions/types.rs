//! Functions that answer for values of any type: `typeof(x)` and `len(x)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalamdb_commons::ColumnType;

pub(super) fn functions() -> [ScalarUDF; 2] {
    [
        ScalarUDF::new_from_impl(TypeOf { signature: Signature::any(1, Volatility::Immutable) }),
        ScalarUDF::new_from_impl(Len { signature: Signature::user_defined(Volatility::Immutable) }),
    ]
}

/// `typeof(x)`: the SQL name of a value's type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field] = args.arg_fields.as_slice() else {
            return Err(DataFusionError::Internal(String::from("typeof takes one argument")));
        };
        let column_type = ColumnType::from_arrow(&ColumnType::with_uuids(field));
        let name = match (field.data_type(), column_type) {
            (DataType::Null, _) => String::from("NULL"),
            (_, Ok(column_type)) => column_type.to_string(),
            (other, Err(_)) => other.to_string(),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::from(name)))
    }
}

/// `len(x)`: the characters of a text, the bytes of BYTES, the items of an array.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Len {
    signature: Signature,
}

impl ScalarUDFImpl for Len {
    fn name(&self) -> &str {
        "len"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        use DataType::{Binary, FixedSizeList, LargeList, LargeUtf8, List, Null, Utf8, Utf8View};
        match arg_types {
            [Utf8 | LargeUtf8 | Utf8View | Null] => Ok(vec![Utf8]),
            [of @ (Binary | List(_) | LargeList(_) | FixedSizeList(..))] => Ok(vec![of.clone()]),
            _ => Err(DataFusionError::Plan(String::from(
                "len takes one text or array, cast its argument",
            ))),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(String::from("len takes one argument")));
        };
        let constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.clone().into_array(if constant { 1 } else { args.number_rows })?;
        let lengths: ArrayRef = match array.data_type() {
            DataType::Utf8 => {
                let counts = array.as_string::<i32>().iter();
                let counts = counts.map(|text| text.map(|text| text.chars().count() as i64));
                Arc::new(Int64Array::from_iter(counts))
            }
            _ => cast(&length(array.as_ref())?, &DataType::Int64)?,
        };
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?)
        } else {
            ColumnarValue::Array(lengths)
        })
    }
}
