//! The text of single values, the same for tables and CSV.

use std::fmt::Write;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, IntervalMonthDayNanoArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kalamdb_commons::IntervalParts;
use uuid::Uuid;

/// Field metadata that names an extension type.
const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";
/// The extension type of UUID columns.
const UUID_EXTENSION: &str = "arrow.uuid";

/// The columns of `batch` with UUIDs and intervals as their usual text.
pub fn readable_columns(batch: &RecordBatch) -> Vec<ArrayRef> {
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| readable_column(field, column))
        .collect()
}

fn readable_column(field: &Field, column: &ArrayRef) -> ArrayRef {
    let is_uuid = field.metadata().get(EXTENSION_NAME_KEY).is_some_and(|n| n == UUID_EXTENSION);
    match column.as_any().downcast_ref::<FixedSizeBinaryArray>() {
        Some(bytes) if is_uuid => {
            let texts = bytes.iter().map(|value| {
                value.and_then(|value| Uuid::from_slice(value).ok()).map(|uuid| uuid.to_string())
            });
            std::sync::Arc::new(texts.collect::<StringArray>())
        }
        _ => match column.as_primitive_opt::<IntervalMonthDayNanoType>() {
            Some(intervals) => std::sync::Arc::new(interval_texts(intervals)),
            None => column.clone(),
        },
    }
}

/// Intervals as SQL writes them.
fn interval_texts(intervals: &IntervalMonthDayNanoArray) -> StringArray {
    let texts = intervals.iter().map(|value| {
        value.map(|IntervalMonthDayNano { months, days, nanoseconds }| {
            IntervalParts { months, days, nanoseconds }.to_string()
        })
    });
    texts.collect()
}

/// True for types whose values are aligned to the right.
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Formats the values of one column.
pub struct Cells<'a> {
    column: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    /// For the values of `column`; times are written as `options` say.
    pub fn new(column: &'a dyn Array, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        Ok(Self { column, formatter: ArrayFormatter::try_new(column, options)? })
    }

    /// Appends the value in `row` to `text`; false when it is NULL.
    pub fn append(&self, row: usize, text: &mut String) -> Result<bool, ArrowError> {
        if self.column.is_null(row) || self.column.data_type() == &DataType::Null {
            return Ok(false);
        }
        write!(text, "{}", self.formatter.value(row))
            .map_err(|_| ArrowError::CastError("a value has no text form".into()))?;
        Ok(true)
    }
}
