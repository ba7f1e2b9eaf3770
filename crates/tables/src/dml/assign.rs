//! The conversion of values to the type of the column they are assigned to.
//!
//! Stricter than CAST where CAST would lose something silently: what does not fit is an error that
//! names table, column, row and value. Numbers are rounded as CAST rounds them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kalamdb_commons::{ColumnDefinition, ColumnType, TableDefinition};
use kalamdb_sql::NewColumn;

use super::rounded::{loses_fraction, rounded_cast};
use super::{moment_texts, nested_values, spelled_values, years};
use crate::TablesError;
use crate::functions::{is_told, texts};
use crate::plain_words::plain_words;

/// Characters of a value an error message shows.
const SHOWN_CHARS_MAX: usize = 80;

/// A column that values are assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssignColumn {
    table: String,
    name: String,
    column_type: ColumnType,
    nullable: bool,
    length_max: Option<u32>,
}

impl AssignColumn {
    pub(crate) fn new(table: &TableDefinition, column: &ColumnDefinition) -> Self {
        Self {
            table: table.qualified_name(),
            name: column.name.to_string(),
            column_type: column.column_type.clone(),
            nullable: column.nullable,
            length_max: column.length_max,
        }
    }

    /// A column of a table that does not exist yet.
    pub(super) fn of_new(table: &str, column: &NewColumn) -> Self {
        Self {
            table: table.to_owned(),
            name: column.name.clone(),
            column_type: column.column_type.clone(),
            nullable: column.nullable,
            length_max: column.length_max,
        }
    }

    /// A column that a bound value goes to; whether it takes NULL is for others to know.
    pub(super) fn of_parameter(table: String, name: String, column_type: ColumnType) -> Self {
        Self { table, name, column_type, nullable: true, length_max: None }
    }

    /// The declared columns of a table.
    pub(crate) fn of_table(table: &TableDefinition) -> Vec<Arc<Self>> {
        table.columns.iter().map(|column| Arc::new(Self::new(table, column))).collect()
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn column_type(&self) -> &ColumnType {
        &self.column_type
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.column_type.to_arrow()
    }

    /// The values as ones of the column. `first_row` is the 1-based row of the first value.
    ///
    /// # Errors
    /// [`TablesError::BadValue`] for the first value that cannot be one.
    pub(crate) fn assign(
        &self,
        values: &ArrayRef,
        first_row: u64,
    ) -> Result<ArrayRef, TablesError> {
        let target = self.data_type();
        if values.data_type() == &target && !is_checked(&self.column_type) {
            return Ok(Arc::clone(values));
        }
        let nulls = values.logical_null_count();
        if nulls == values.len() {
            return Ok(new_null_array(&target, values.len()));
        }
        let converted = match convert(values, &self.column_type, true) {
            Ok(converted) => converted,
            Err(_) => return Err(self.bad_value(values, first_row)),
        };
        if converted.logical_null_count() != nulls {
            return Err(self.bad_value(values, first_row));
        }
        Ok(converted)
    }

    /// Refuses NULL in a NOT NULL column.
    pub(crate) fn check_not_null(
        &self,
        values: &ArrayRef,
        first_row: u64,
    ) -> Result<(), TablesError> {
        if self.nullable || values.logical_null_count() == 0 {
            return Ok(());
        }
        let nulls = values.logical_nulls();
        let row = nulls.and_then(|nulls| (0..values.len()).find(|row| nulls.is_null(*row)));
        Err(TablesError::NullValue {
            table: self.table.clone(),
            column: self.name.clone(),
            row: first_row + row.unwrap_or(0) as u64,
        })
    }

    /// Refuses texts with more characters, and bytes that are more, than the column takes. The
    /// values are ones of the column.
    pub(crate) fn check_length(
        &self,
        values: &ArrayRef,
        first_row: u64,
    ) -> Result<(), TablesError> {
        let Some(length_max) = self.length_max else { return Ok(()) };
        let limit = length_max as usize;
        let found = match self.column_type {
            // A text has no more characters than bytes: most need not be counted.
            ColumnType::Text => {
                values.as_string::<i32>().iter().enumerate().find_map(|(row, v)| {
                    let length = v.filter(|text| text.len() > limit)?.chars().count();
                    (length > limit).then_some((row, length))
                })
            }
            ColumnType::Bytes => {
                values.as_binary::<i32>().iter().enumerate().find_map(|(row, value)| {
                    let length = value?.len();
                    (length > limit).then_some((row, length))
                })
            }
            _ => None,
        };
        let Some((row, length)) = found else { return Ok(()) };
        let unit = if self.column_type == ColumnType::Text { "characters" } else { "bytes" };
        Err(TablesError::ValueTooLong {
            table: self.table.clone(),
            column: self.name.clone(),
            column_type: kalamdb_commons::declared_type(&self.column_type, self.length_max),
            row: first_row + row as u64,
            length,
            unit,
        })
    }

    /// The error for the first value that cannot be converted.
    fn bad_value(&self, values: &ArrayRef, first_row: u64) -> TablesError {
        let nulls = values.logical_nulls();
        for row in 0..values.len() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let one = values.slice(row, 1);
            let reason = match convert(&one, &self.column_type, false) {
                Ok(converted) if converted.logical_null_count() == 0 => continue,
                Ok(_) => String::from("it is out of range"),
                Err(error) => reason_of(error),
            };
            return self.error(shown(&one), first_row + row as u64, reason);
        }
        // Every value can be converted alone, so this is a defect of the conversion.
        self.error(String::from("?"), first_row, String::from("it cannot be converted"))
    }

    fn error(&self, value: String, row: u64, reason: String) -> TablesError {
        TablesError::BadValue {
            table: self.table.clone(),
            column: self.name.clone(),
            column_type: self.column_type.to_string(),
            row,
            value,
            reason,
        }
    }
}

/// What Arrow said, in our words.
pub(super) fn reason_of(error: ArrowError) -> String {
    plain_words(&error.to_string()).message
}

fn shown(value: &ArrayRef) -> String {
    let options = FormatOptions::default();
    let Ok(formatter) = ArrayFormatter::try_new(value, &options) else { return String::from("?") };
    let text = formatter.value(0).to_string();
    let quote =
        if matches!(value.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            "'"
        } else {
            ""
        };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{quote}{}…{quote}", &text[..end]),
        None => format!("{quote}{text}{quote}"),
    }
}

/// Converts; with `safe` a value that cannot be converted becomes NULL, without it an error.
pub(crate) fn convert(
    values: &ArrayRef,
    target: &ColumnType,
    safe: bool,
) -> Result<ArrayRef, ArrowError> {
    let from = values.data_type();
    if let DataType::Dictionary(_, value_type) = from {
        return convert(&cast(values, value_type)?, target, safe);
    }
    let to = target.to_arrow();
    let options = CastOptions { safe, ..CastOptions::default() };
    match target {
        _ if *from == DataType::Null => Ok(new_null_array(&to, values.len())),
        ColumnType::List(item) => nested_values::lists(values, item, target),
        ColumnType::Struct(fields) => nested_values::structs(values, fields, target),
        ColumnType::Embedding(dimensions) => {
            nested_values::embeddings(values, *dimensions, target, safe)
        }
        ColumnType::Json => {
            let text: ArrayRef = cast_with_options(values, &DataType::Utf8, &options)?;
            if from.is_nested() || from.is_binary() {
                return Err(no_cast(from, target));
            }
            spelled_values::checked_json(text.as_string::<i32>(), safe)
        }
        ColumnType::Uuid if is_text(from) => {
            let text: ArrayRef = cast(values, &DataType::Utf8)?;
            spelled_values::uuids_of_texts(text.as_string::<i32>(), safe)
        }
        ColumnType::Text if matches!(from, DataType::FixedSizeBinary(16)) => {
            spelled_values::uuid_texts(values)
        }
        // BYTES are the text that they are.
        ColumnType::Text if is_told(from) && !from.is_binary() => Ok(Arc::new(texts(values)?)),
        ColumnType::Uuid if from.is_binary() => spelled_values::uuids_of_bytes(values, safe),
        ColumnType::Bytes if is_text(from) => {
            let text: ArrayRef = cast(values, &DataType::Utf8)?;
            spelled_values::bytes_of_texts(text.as_string::<i32>(), safe)
        }
        ColumnType::Interval if is_text(from) => {
            let text: ArrayRef = cast(values, &DataType::Utf8)?;
            spelled_values::intervals_of_texts(text.as_string::<i32>(), safe)
        }
        ColumnType::Time if is_text(from) => {
            let text: ArrayRef = cast(values, &DataType::Utf8)?;
            spelled_values::times_of_texts(text.as_string::<i32>(), &to, safe)
        }
        ColumnType::Bytes if from.is_numeric() => {
            Err(ArrowError::CastError(String::from("a number is no BYTES value")))
        }
        _ if target_is_temporal(&to) && from.is_integer() => Err(ArrowError::CastError(format!(
            "a number is no {target}, use to_timestamp or a literal"
        ))),
        _ if loses_fraction(from, &to) => rounded_cast(values, &to, &options),
        ColumnType::Float32 if from.is_numeric() || is_text(from) => {
            let wide: ArrayRef = cast_with_options(values, &DataType::Float64, &options)?;
            narrowed(wide.as_primitive::<Float64Type>(), safe)
        }
        ColumnType::Timestamp { .. } if is_text(from) => {
            let texts: ArrayRef = cast(values, &DataType::Utf8)?;
            let zoned = matches!(to, DataType::Timestamp(_, Some(_)));
            let texts = moment_texts::for_arrow(texts.as_string::<i32>(), zoned);
            years::checked(cast_with_options(&texts, &to, &options)?, safe)
        }
        ColumnType::Date | ColumnType::Timestamp { .. } if can_cast_types(from, &to) => {
            years::checked(cast_with_options(values, &to, &options)?, safe)
        }
        _ if can_cast_types(from, &to) => cast_with_options(values, &to, &options),
        _ => Err(no_cast(from, target)),
    }
}

pub(super) fn no_cast(from: &DataType, target: &ColumnType) -> ArrowError {
    ArrowError::CastError(format!("a value of type {from} cannot become {target}"))
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether not every Arrow value of the type is one of the column type.
fn is_checked(column_type: &ColumnType) -> bool {
    match column_type {
        ColumnType::Json | ColumnType::Date | ColumnType::Timestamp { .. } => true,
        ColumnType::List(item) => is_checked(item),
        ColumnType::Struct(fields) => fields.iter().any(|field| is_checked(&field.field_type)),
        _ => false,
    }
}

fn target_is_temporal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Interval(_)
    )
}

/// Float64 as Float32; a finite value must stay finite.
fn narrowed(values: &Float64Array, safe: bool) -> Result<ArrayRef, ArrowError> {
    let overflows = |value: f64| value.is_finite() && !(value as f32).is_finite();
    if !safe && let Some(value) = values.iter().flatten().find(|value| overflows(*value)) {
        return Err(ArrowError::CastError(format!("{value} is out of range")));
    }
    let narrowed: Float32Array =
        values.unary_opt::<_, Float32Type>(|value| (!overflows(value)).then_some(value as f32));
    Ok(Arc::new(narrowed))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType};

    use super::*;

    fn column(column_type: ColumnType) -> AssignColumn {
        AssignColumn {
            table: String::from("ns.t"),
            name: String::from("c"),
            column_type,
            nullable: false,
            length_max: None,
        }
    }

    #[test]
    fn numbers_are_rounded_and_never_wrap() {
        let int = column(ColumnType::Int32);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![2.5, -2.5, 3.5, 1e9]));
        let ints = int.assign(&floats, 1).unwrap();
        assert_eq!(ints.as_primitive::<Int32Type>().values(), &[2, -2, 4, 1_000_000_000]);
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![25, -25, 24]).with_precision_and_scale(5, 1).unwrap(),
        );
        let ints = int.assign(&decimals, 1).unwrap();
        assert_eq!(ints.as_primitive::<Int32Type>().values(), &[3, -3, 2]);
        for too_large in [
            Arc::new(Int64Array::from(vec![1, i64::from(i32::MAX) + 1])) as ArrayRef,
            Arc::new(Float64Array::from(vec![1.0, 1e10])) as ArrayRef,
        ] {
            let error = int.assign(&too_large, 10).unwrap_err();
            assert!(matches!(error, TablesError::BadValue { row: 11, .. }), "{error}");
        }
    }

    #[test]
    fn an_error_names_table_column_row_and_value() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), None, Some("twelve")]));
        let error = column(ColumnType::Int32).assign(&texts, 1).unwrap_err().to_string();
        for part in ["ns.t", "column c", "INT", "row 3", "'twelve'"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn text_becomes_what_it_spells() {
        let uuid = "0189f7f1-1c6e-7cc4-8a5b-6f1f0d6a7b11";
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(uuid), None]));
        let uuids = column(ColumnType::Uuid).assign(&texts, 1).unwrap();
        let back = column(ColumnType::Text).assign(&uuids, 1).unwrap();
        assert_eq!(back.as_string::<i32>().value(0), uuid);
        assert!(back.is_null(1));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["2013-01-02 03:04:05"]));
        let times = column(ColumnType::timestamp()).assign(&texts, 1).unwrap();
        let expected = 1_357_095_845_000_000;
        assert_eq!(times.as_primitive::<TimestampMicrosecondType>().value(0), expected);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["{\"a\": [1]}", "{a"]));
        let error = column(ColumnType::Json).assign(&texts, 1).unwrap_err().to_string();
        assert!(error.contains("row 2") && error.contains("no JSON"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(column(ColumnType::timestamp()).assign(&ints, 1).is_err());
    }

    #[test]
    fn a_real_never_becomes_infinite_by_itself() {
        let real = column(ColumnType::Float32);
        let too_large: [ArrayRef; 2] = [
            Arc::new(Float64Array::from(vec![1.0, -1e300])),
            Arc::new(StringArray::from(vec!["1", "-1e300"])),
        ];
        for values in too_large {
            let error = real.assign(&values, 1).unwrap_err().to_string();
            for part in ["ns.t", "column c", "REAL", "row 2", "1e300"] {
                assert!(error.contains(part), "{part} in {error}");
            }
        }
        let infinite: [ArrayRef; 2] = [
            Arc::new(Float64Array::from(vec![f64::INFINITY, 0.1])),
            Arc::new(StringArray::from(vec!["Infinity", "0.1"])),
        ];
        for values in infinite {
            let stored = real.assign(&values, 1).unwrap();
            assert_eq!(stored.as_primitive::<Float32Type>().values(), &[f32::INFINITY, 0.1]);
        }
    }

    #[test]
    fn null_in_a_not_null_column_names_its_row() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let error = column(ColumnType::Int32).check_not_null(&ints, 5).unwrap_err();
        assert!(matches!(error, TablesError::NullValue { row: 6, .. }), "{error}");
    }
}
