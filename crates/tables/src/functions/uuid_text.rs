//! UUIDs and their text form. UUIDs are 16 bytes, and a plain cast would take the text's own
//! bytes for them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalamdb_commons::ColumnType;

use crate::dml::convert;

/// `to_uuid(text)`: the UUID the text spells.
pub(crate) fn to_uuid() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextCast {
        name: "to_uuid",
        target: ColumnType::Uuid,
        signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
    })
}

/// `uuid_text(uuid)`: the UUID as text.
pub(crate) fn uuid_text() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextCast {
        name: "uuid_text",
        target: ColumnType::Text,
        signature: Signature::exact(vec![ColumnType::Uuid.to_arrow()], Volatility::Immutable),
    })
}

/// `json_of_text(text)`: the text as JSON, which it must be. No statement needs to call it.
pub(crate) fn json_of_text() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextCast {
        name: "json_of_text",
        target: ColumnType::Json,
        signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
    })
}

/// `json_kept(text)`: text that is JSON already, as JSON. No statement needs to call it.
pub(crate) fn json_kept() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonKept {
        signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
    })
}

/// `bytes_of_text(text)`: the bytes that `\x00ff` spells, else those of the text itself. No
/// statement needs to call it.
pub(crate) fn bytes_of_text() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextCast {
        name: "bytes_of_text",
        target: ColumnType::Bytes,
        signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextCast {
    name: &'static str,
    target: ColumnType,
    signature: Signature,
}

impl ScalarUDFImpl for TextCast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.target.to_arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field: &FieldRef| field.is_nullable());
        let field: Field = self.target.to_field(self.name, nullable);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            let reason = format!("{} takes one argument", self.name);
            return Err(DataFusionError::Internal(reason));
        };
        let scalar = matches!(value, ColumnarValue::Scalar(_));
        let rows = if scalar { 1 } else { args.number_rows };
        let values: ArrayRef = value.clone().into_array(rows)?;
        let converted = convert(&values, &self.target, false)?;
        Ok(if scalar {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&converted, 0)?)
        } else {
            ColumnarValue::Array(converted)
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonKept {
    signature: Signature,
}

impl ScalarUDFImpl for JsonKept {
    fn name(&self) -> &str {
        "json_kept"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(ColumnType::Json.to_field(self.name(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args
            .into_iter()
            .next()
            .ok_or_else(|| DataFusionError::Internal(String::from("json_kept takes one argument")))
    }
}
