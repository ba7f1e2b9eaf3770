//! JSON made of other values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StringBuilder, StructArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalamdb_commons::ColumnType;

use super::read::{is_text, wrong};
use crate::functions::texts;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Makes {
    /// The value itself.
    Value,
    /// An array of all arguments.
    Array,
    /// An object of keys and values in turns.
    Object,
}

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        to_json(),
        made(Makes::Array, "json_build_array", Some("json_array")),
        made(Makes::Object, "json_build_object", Some("json_object")),
    ]
}

/// `to_json(x)`: the value as JSON.
pub(crate) fn to_json() -> ScalarUDF {
    made(Makes::Value, "to_json", None)
}

fn made(makes: Makes, name: &'static str, alias: Option<&str>) -> ScalarUDF {
    ScalarUDF::new_from_impl(Build {
        makes,
        name,
        aliases: alias.into_iter().map(str::to_owned).collect(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Build {
    makes: Makes,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match self.makes {
            Makes::Value if arg_types.len() != 1 => {
                Err(wrong(format!("{} takes one value", self.name)))
            }
            Makes::Object if !arg_types.len().is_multiple_of(2) => {
                Err(wrong(format!("{} takes keys and values in turns", self.name)))
            }
            Makes::Object => arg_types
                .iter()
                .enumerate()
                .map(|(position, given)| match position % 2 {
                    0 if is_text(given) => Ok(DataType::Utf8),
                    0 => Err(wrong(format!("a key of {} is text, not {given}", self.name))),
                    _ => Ok(given.clone()),
                })
                .collect(),
            Makes::Value | Makes::Array => Ok(arg_types.to_vec()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(ColumnType::Json.to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let fields = args.arg_fields.clone();
        by_rows(&args, |arrays, rows| {
            let mut parts = Vec::with_capacity(arrays.len());
            for (array, field) in arrays.iter().zip(&fields) {
                parts.push(Part::new(plain(array)?, field));
            }
            self.build(&parts, rows)
        })
    }
}

impl Build {
    fn build(&self, parts: &[Part], rows: usize) -> Result<ArrayRef> {
        let options = EncoderOptions::default().with_explicit_nulls(true);
        let mut encoders =
            parts.iter().map(|part| part.encoder(&options)).collect::<Result<Vec<_>>>()?;
        let mut out = StringBuilder::with_capacity(rows, rows * 16);
        let mut text = Vec::new();
        for row in 0..rows {
            text.clear();
            match self.makes {
                Makes::Value => {
                    if parts.iter().any(|part| part.values.is_null(row)) {
                        out.append_null();
                        continue;
                    }
                    write_all(parts, &mut encoders, row, b",", &mut text);
                }
                Makes::Array => {
                    text.push(b'[');
                    write_all(parts, &mut encoders, row, b",", &mut text);
                    text.push(b']');
                }
                Makes::Object => {
                    if parts.iter().step_by(2).any(|key| key.values.is_null(row)) {
                        let message = format!("a key of {} cannot be NULL", self.name);
                        return Err(DataFusionError::Execution(message));
                    }
                    text.push(b'{');
                    write_all(parts, &mut encoders, row, b":,", &mut text);
                    text.push(b'}');
                }
            }
            let made = std::str::from_utf8(&text)
                .map_err(|error| DataFusionError::Internal(error.to_string()))?;
            out.append_value(made);
        }
        Ok(Arc::new(out.finish()))
    }
}

/// One argument.
struct Part {
    values: ArrayRef,
    field: FieldRef,
    /// It is JSON already and goes in as it is.
    json: bool,
}

impl Part {
    fn new(values: ArrayRef, field: &FieldRef) -> Self {
        let json = values.data_type() == &DataType::Utf8
            && ColumnType::from_arrow(field).is_ok_and(|of| of == ColumnType::Json);
        let field = Field::new("", values.data_type().clone(), true);
        Self { values, field: Arc::new(field), json }
    }

    fn encoder<'a>(&'a self, options: &'a EncoderOptions) -> Result<NullableEncoder<'a>> {
        Ok(make_encoder(&self.field, self.values.as_ref(), options)?)
    }
}

/// The values of one row with the separators between them, in turns.
fn write_all(
    parts: &[Part],
    encoders: &mut [NullableEncoder<'_>],
    row: usize,
    separators: &[u8],
    out: &mut Vec<u8>,
) {
    for (position, (part, encoder)) in parts.iter().zip(encoders).enumerate() {
        if position > 0 {
            out.push(separators[(position - 1) % separators.len()]);
        }
        if part.values.is_null(row) {
            out.extend_from_slice(b"null");
        } else if part.json {
            out.extend_from_slice(part.values.as_string::<i32>().value(row).as_bytes());
        } else {
            encoder.encode(row, out);
        }
    }
}

/// The values in a type that can be written: numbers keep theirs, DECIMALs their digits; UUIDs and
/// BYTES are their texts, in lists and structs, too.
fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Utf8View
        | DataType::LargeUtf8
        | DataType::Interval(_)
        | DataType::Duration(_) => cast(values, &DataType::Utf8)?,
        DataType::Null => new_null_array(&DataType::Utf8, values.len()),
        of if of.is_binary() => Arc::new(texts(values)?),
        DataType::List(item) => {
            let (_, offsets, items, nulls) = values.as_list::<i32>().clone().into_parts();
            let items = plain(&items)?;
            let item = Arc::new(Field::new(item.name(), items.data_type().clone(), true));
            Arc::new(ListArray::try_new(item, offsets, items, nulls)?)
        }
        DataType::Struct(_) => {
            let (fields, columns, nulls) = values.as_struct().clone().into_parts();
            let columns = columns.iter().map(plain).collect::<Result<Vec<_>>>()?;
            let fields = fields
                .iter()
                .zip(&columns)
                .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
            let fields: Fields = fields.collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, nulls, values.len())?)
        }
        _ => Arc::clone(values),
    })
}

/// Runs over the arguments as arrays; once when all are constants.
pub(super) fn by_rows(
    args: &ScalarFunctionArgs,
    run: impl FnOnce(&[ArrayRef], usize) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { args.number_rows };
    let arrays =
        args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
    let made = run(&arrays, rows)?;
    Ok(if constant {
        ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
    } else {
        ColumnarValue::Array(made)
    })
}
