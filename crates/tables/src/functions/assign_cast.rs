//! The conversion of a value to the column it is assigned to, as a function inside a plan.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::dml::{AssignColumn, staged, staged_type};

/// Converts one expression of VALUES to its column's type. Unlike CAST its errors name table,
/// column and row.
#[derive(Debug)]
pub(crate) struct AssignCast {
    column: Arc<AssignColumn>,
    /// 1-based row of VALUES.
    row: u64,
    signature: Signature,
}

impl AssignCast {
    pub(crate) fn new(column: Arc<AssignColumn>, row: u64) -> Self {
        // Volatile, so that it is evaluated when the statement runs, once.
        Self { column, row, signature: Signature::any(1, Volatility::Volatile) }
    }
}

impl PartialEq for AssignCast {
    fn eq(&self, other: &Self) -> bool {
        self.row == other.row && self.column == other.column
    }
}

impl Eq for AssignCast {}

impl Hash for AssignCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.row.hash(state);
    }
}

impl ScalarUDFImpl for AssignCast {
    fn name(&self) -> &str {
        "assign_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(staged_type(&self.column.data_type()))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), staged_type(&self.column.data_type()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(String::from("assign_cast takes one argument")));
        };
        let values = value.clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(staged(self.column.assign(&values, self.row)?)?))
    }
}
