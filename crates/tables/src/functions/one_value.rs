//! The only value of a list: how a subquery in the place of a value takes its one row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::TablesError;

/// The function. It is put into plans only, no statement can call it.
pub(crate) fn one_value() -> ScalarUDF {
    ScalarUDF::new_from_impl(OneValue { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneValue {
    signature: Signature,
}

impl ScalarUDFImpl for OneValue {
    fn name(&self) -> &str {
        "one_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::List(item)] => Ok(item.data_type().clone()),
            _ => Err(DataFusionError::Internal(String::from("one_value takes a list"))),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => match field.data_type() {
                // With the extension type of a UUID or JSON.
                DataType::List(item) => Ok(Arc::new(
                    Field::new(self.name(), item.data_type().clone(), true)
                        .with_metadata(item.metadata().clone()),
                )),
                _ => Err(DataFusionError::Internal(String::from("one_value takes a list"))),
            },
            _ => Err(DataFusionError::Internal(String::from("one_value takes one argument"))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [lists] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(String::from("one_value takes one argument")));
        };
        let lists = lists.to_array(args.number_rows)?;
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return Err(DataFusionError::Internal(String::from("one_value takes a list")));
        };
        let mut places = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            let length = if lists.is_null(row) { 0 } else { lists.value_length(row) };
            places.push(match length {
                0 => None,
                1 => lists.value_offsets().get(row).and_then(|place| u32::try_from(*place).ok()),
                _ => {
                    return Err(TablesError::invalid(
                        "a subquery in the place of a value gives more than one row, narrow it or \
                         use an aggregate",
                    )
                    .into());
                }
            });
        }
        let values = take(lists.values().as_ref(), &UInt32Array::from(places), None)?;
        Ok(ColumnarValue::Array(values))
    }
}
