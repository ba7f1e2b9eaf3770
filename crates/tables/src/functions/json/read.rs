//! What is taken out of a JSON value.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalamdb_commons::ColumnType;

use super::path::steps_type;
use super::scan::{self, NotJson, Step};

/// Characters of a wrong value that an error shows.
const SHOWN_CHARS_MAX: usize = 40;

/// What a function gives of the value at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Gives {
    Json,
    Text,
    Int,
    Float,
    Bool,
    Length,
    Keys,
    Elements,
    TypeName,
    Existence,
}

/// Each with the names it goes by.
const FUNCTIONS: [(Gives, &[&str]); 10] = [
    (Gives::Json, &["json_get", "json_extract", "json_get_json"]),
    (Gives::Text, &["json_get_text", "json_get_str", "json_extract_string", "json_as_text"]),
    (Gives::Int, &["json_get_int"]),
    (Gives::Float, &["json_get_float"]),
    (Gives::Bool, &["json_get_bool"]),
    (Gives::Length, &["json_length", "json_array_length"]),
    (Gives::Keys, &["json_object_keys", "json_keys"]),
    (Gives::Elements, &["json_array_elements", "json_get_array"]),
    (Gives::TypeName, &["json_typeof", "json_type"]),
    (Gives::Existence, &["json_exists", "jsonb_exists"]),
];

pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS
        .iter()
        .filter_map(|(gives, names)| {
            let (name, aliases) = names.split_first()?;
            Some(ScalarUDF::new_from_impl(Read {
                gives: *gives,
                name,
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Read {
    gives: Gives,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Read {
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
        let Some((value, steps)) = arg_types.split_first() else {
            return Err(wrong(format!("{} takes a JSON value and a path", self.name)));
        };
        if !is_text(value) {
            return Err(wrong(format!("{} takes a JSON value, not {value}", self.name)));
        }
        let mut types = vec![DataType::Utf8];
        for step in steps {
            types.push(match step {
                step if is_text(step) => DataType::Utf8,
                step if step.is_integer() => DataType::Int64,
                DataType::List(steps) if is_text(steps.data_type()) => steps_type(),
                other => {
                    return Err(wrong(format!(
                        "a step into JSON is a key (text) or an index (integer), not {other}"
                    )));
                }
            });
        }
        Ok(types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        let list = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        Ok(match self.gives {
            Gives::Json | Gives::Text | Gives::TypeName => DataType::Utf8,
            Gives::Int | Gives::Length => DataType::Int64,
            Gives::Float => DataType::Float64,
            Gives::Bool | Gives::Existence => DataType::Boolean,
            Gives::Keys | Gives::Elements => list(),
        })
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(match self.gives {
            Gives::Json => ColumnType::Json.to_field(self.name, true),
            _ => Field::new(self.name, self.return_type(&[])?, true),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::build::by_rows(&args, |arrays, rows| self.read(arrays, rows))
    }
}

impl Read {
    fn read(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let Some((values, paths)) = arrays.split_first() else {
            return Err(wrong(format!("{} takes a JSON value", self.name)));
        };
        let values: &StringArray = values.as_string();
        let mut out = Output::new(self.gives, rows);
        for row in 0..rows {
            if values.is_null(row) || paths.iter().any(|path| path.is_null(row)) {
                out.push_none();
                continue;
            }
            let value = values.value(row);
            let found = walk(value, paths, row).and_then(|found| out.push(found));
            found.map_err(|NotJson| not_json(value))?;
        }
        Ok(out.finish())
    }
}

/// The value at the path of one row.
fn walk<'a>(value: &'a str, paths: &[ArrayRef], row: usize) -> Result<Option<&'a str>, NotJson> {
    let mut value = value.trim_ascii();
    if scan::type_of(value).is_err() {
        return Err(NotJson);
    }
    for path in paths {
        let found = match path.data_type() {
            DataType::Int64 => {
                scan::step(value, &Step::Index(path.as_primitive::<Int64Type>().value(row)))?
            }
            DataType::List(_) => by_keys(value, &path.as_list::<i32>().value(row))?,
            _ => {
                let text = path.as_string::<i32>().value(row);
                match scan::dollar_path(text) {
                    Some(steps) => {
                        let mut found = Some(value);
                        for step in &steps {
                            found = match found {
                                Some(value) => scan::step(value, step)?,
                                None => None,
                            };
                        }
                        found
                    }
                    None => scan::step(value, &Step::Key(Cow::Borrowed(text)))?,
                }
            }
        };
        match found {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The value at a path of keys, of which none is NULL.
fn by_keys<'a>(value: &'a str, keys: &ArrayRef) -> Result<Option<&'a str>, NotJson> {
    let mut found = Some(value);
    for key in keys.as_string::<i32>() {
        found = match (found, key) {
            (Some(value), Some(key)) => scan::step(value, &Step::Key(Cow::Borrowed(key)))?,
            _ => None,
        };
    }
    Ok(found)
}

/// The results as they are made.
enum Output {
    Json(StringBuilder),
    Text(StringBuilder),
    TypeName(StringBuilder),
    Int(Int64Builder),
    Length(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Existence(BooleanBuilder),
    Keys(ListBuilder<StringBuilder>),
    Elements(ListBuilder<StringBuilder>),
}

impl Output {
    fn new(gives: Gives, rows: usize) -> Self {
        match gives {
            Gives::Json => Self::Json(StringBuilder::new()),
            Gives::Text => Self::Text(StringBuilder::new()),
            Gives::TypeName => Self::TypeName(StringBuilder::new()),
            Gives::Int => Self::Int(Int64Builder::with_capacity(rows)),
            Gives::Length => Self::Length(Int64Builder::with_capacity(rows)),
            Gives::Float => Self::Float(Float64Builder::with_capacity(rows)),
            Gives::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Gives::Existence => Self::Existence(BooleanBuilder::with_capacity(rows)),
            Gives::Keys => Self::Keys(ListBuilder::new(StringBuilder::new())),
            Gives::Elements => Self::Elements(ListBuilder::new(StringBuilder::new())),
        }
    }

    fn push_none(&mut self) {
        match self {
            Self::Json(out) | Self::Text(out) | Self::TypeName(out) => out.append_null(),
            Self::Int(out) | Self::Length(out) => out.append_null(),
            Self::Float(out) => out.append_null(),
            Self::Bool(out) | Self::Existence(out) => out.append_null(),
            Self::Keys(out) | Self::Elements(out) => out.append_null(),
        }
    }

    fn push(&mut self, found: Option<&str>) -> Result<(), NotJson> {
        if let Self::Existence(out) = self {
            out.append_value(found.is_some());
            return Ok(());
        }
        let Some(value) = found else {
            self.push_none();
            return Ok(());
        };
        let kind = scan::type_of(value)?;
        match self {
            Self::Json(out) => out.append_value(value),
            Self::Text(out) => out.append_option(scan::text(value)?),
            Self::TypeName(out) => out.append_value(kind),
            Self::Int(out) => out.append_option(whole(value)),
            Self::Float(out) => out.append_option(value.parse().ok().filter(|_| kind == "number")),
            Self::Bool(out) => out.append_option(value.parse().ok()),
            Self::Existence(_) => {}
            Self::Length(out) => {
                let count = match kind {
                    "array" => counted(scan::items(value))?,
                    "object" => counted(scan::entries(value))?,
                    _ => None,
                };
                out.append_option(count);
            }
            Self::Keys(out) => {
                if kind != "object" {
                    out.append_null();
                    return Ok(());
                }
                for entry in scan::entries(value) {
                    out.values().append_value(scan::unescaped(entry?.0)?);
                }
                out.append(true);
            }
            Self::Elements(out) => {
                if kind != "array" {
                    out.append_null();
                    return Ok(());
                }
                for item in scan::items(value) {
                    out.values().append_value(item?);
                }
                out.append(true);
            }
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Json(mut out) | Self::Text(mut out) | Self::TypeName(mut out) => {
                Arc::new(out.finish())
            }
            Self::Int(mut out) | Self::Length(mut out) => Arc::new(out.finish()),
            Self::Float(mut out) => Arc::new(out.finish()),
            Self::Bool(mut out) | Self::Existence(mut out) => Arc::new(out.finish()),
            Self::Keys(mut out) | Self::Elements(mut out) => Arc::new(out.finish()),
        }
    }
}

fn counted<T>(values: impl Iterator<Item = Result<T, NotJson>>) -> Result<Option<i64>, NotJson> {
    let mut count = 0_i64;
    for value in values {
        value?;
        count += 1;
    }
    Ok(Some(count))
}

/// A number without a fraction, however it is written.
fn whole(value: &str) -> Option<i64> {
    if let Ok(whole) = value.parse() {
        return Some(whole);
    }
    // 2^53: up to there a number with an exponent is exact.
    let number: f64 = value.parse().ok()?;
    let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    exact.then_some(number as i64)
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    use DataType::{LargeUtf8, Null, Utf8, Utf8View};
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Null)
}

pub(super) fn wrong(message: String) -> DataFusionError {
    DataFusionError::Plan(message)
}

pub(super) fn not_json(value: &str) -> DataFusionError {
    let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    let rest = if shown.len() < value.len() { "…" } else { "" };
    DataFusionError::Execution(format!("'{shown}{rest}' is no JSON, strings in it are \"quoted\""))
}
