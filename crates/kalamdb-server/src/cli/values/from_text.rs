//! Text becomes values of a column's type: numbers exactly, times as ISO 8601, bytes as
//! hexadecimal digits, nested values as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, FixedSizeBinaryBuilder, IntervalMonthDayNanoBuilder,
    StringArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, IntervalUnit};
use uuid::Uuid;

use super::{interval, is_json, is_text, is_uuid, nested};

/// Characters of a bad value a message shows.
const SHOWN_CHARACTERS_MAX: usize = 80;
const UUID_BYTES: i32 = 16;

/// A text that is not a value of its column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The row within the array, from 0.
    pub row: usize,
    /// What is wrong, with the value in it.
    pub reason: String,
}

impl BadValue {
    /// Says that `text` is no `type_name`.
    pub fn new(row: usize, text: &str, field: &Field) -> Self {
        Self {
            row,
            reason: format!("'{}' is not a value of type {}", shown(text), type_name(field)),
        }
    }
}

/// The beginning of a text, for messages.
pub fn shown(text: &str) -> String {
    let mut beginning: String = text
        .chars()
        .take(SHOWN_CHARACTERS_MAX)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if beginning.len() < text.len() && text.chars().count() > SHOWN_CHARACTERS_MAX {
        beginning.push('…');
    }
    beginning
}

/// The SQL name of a field's type.
pub fn type_name(field: &Field) -> String {
    match kalamdb_commons::ColumnType::from_arrow(field) {
        Ok(column_type) => column_type.to_string(),
        Err(_) => field.data_type().to_string(),
    }
}

/// The values `texts` stand for; NULL stays NULL.
///
/// # Errors
/// The first row whose text is not a value of the type.
pub fn from_text(texts: &StringArray, field: &Field) -> Result<ArrayRef, BadValue> {
    match field.data_type() {
        data_type if is_json(field) && is_text(data_type) => Ok(Arc::new(texts.clone())),
        DataType::Utf8 => Ok(Arc::new(texts.clone())),
        DataType::Binary => {
            let mut builder = BinaryBuilder::with_capacity(texts.len(), texts.values().len() / 2);
            for (row, text) in texts.iter().enumerate() {
                match text.map(|text| bytes(text).ok_or_else(|| not_bytes(row, text))) {
                    Some(value) => builder.append_value(value?),
                    None => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::FixedSizeBinary(UUID_BYTES) if is_uuid(field) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), UUID_BYTES);
            for (row, text) in texts.iter().enumerate() {
                let bad = |text: &str| BadValue::new(row, text, field);
                match text {
                    Some(text) => {
                        let value = Uuid::try_parse(text.trim()).map_err(|_| bad(text))?;
                        builder.append_value(value.as_bytes()).map_err(|_| bad(text))?;
                    }
                    None => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => intervals(texts, field),
        DataType::List(_) | DataType::FixedSizeList(_, _) | DataType::Struct(_) => {
            nested::from_json_texts(texts, field)
        }
        _ => cast(texts, field),
    }
}

/// Intervals in ISO 8601 or in SQL, as in "1 month 2 days".
fn intervals(texts: &StringArray, field: &Field) -> Result<ArrayRef, BadValue> {
    let mut builder = IntervalMonthDayNanoBuilder::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else {
            builder.append_null();
            continue;
        };
        let value = interval::parse(text);
        builder.append_value(value.ok_or_else(|| BadValue::new(row, text, field))?);
    }
    Ok(Arc::new(builder.finish()))
}

/// Types arrow reads from text itself. What cannot be read becomes NULL there, which no other
/// text does.
fn cast(texts: &StringArray, field: &Field) -> Result<ArrayRef, BadValue> {
    let read = |texts: &StringArray| {
        cast_with_options(texts, field.data_type(), &CastOptions::default())
            .map_err(|error| BadValue { row: 0, reason: error.to_string() })
    };
    let values = read(texts)?;
    if values.null_count() == texts.null_count() {
        return Ok(values);
    }
    // Numbers with white space around them are numbers, times without seconds are times.
    let timestamps = matches!(field.data_type(), DataType::Timestamp(..));
    let trimmed: StringArray = texts
        .iter()
        .map(|text| {
            let text = text.map(str::trim)?;
            Some(if timestamps { with_seconds(text) } else { Cow::Borrowed(text) })
        })
        .collect();
    let values = read(&trimmed)?;
    let bad = (0..texts.len()).find(|row| values.is_null(*row) && texts.is_valid(*row));
    match bad {
        Some(row) => Err(BadValue::new(row, texts.value(row), field)),
        None => Ok(values),
    }
}

/// `2025-01-01 10:00`, with a zone or without, with the seconds it lacks.
fn with_seconds(text: &str) -> Cow<'_, str> {
    const MINUTES_END: usize = "2025-01-01 10:00".len();
    let is_colon = |at: usize| text.as_bytes().get(at) == Some(&b':');
    match text.split_at_checked(MINUTES_END) {
        Some((minutes, zone)) if is_colon(MINUTES_END - 3) && !is_colon(MINUTES_END) => {
            Cow::Owned(format!("{minutes}:00{zone}"))
        }
        _ => Cow::Borrowed(text),
    }
}

fn not_bytes(row: usize, text: &str) -> BadValue {
    BadValue {
        row,
        reason: format!("'{}' is not BYTES: write hexadecimal digits, as in \\x00ff", shown(text)),
    }
}

/// Bytes from hexadecimal digits, with or without `\x` or `0x` before them.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").or_else(|| text.strip_prefix("0x")).unwrap_or(text);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};

    use super::*;

    fn read(texts: &[Option<&str>], data_type: DataType) -> Result<ArrayRef, BadValue> {
        from_text(&StringArray::from(texts.to_vec()), &Field::new("c", data_type, true))
    }

    #[test]
    fn numbers_may_have_space_around_them_and_bad_ones_are_named() {
        let values = read(&[Some(" 7"), None, Some("-9223372036854775808")], DataType::Int64);
        let values = values.unwrap();
        let values: Vec<_> = values.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(7), None, Some(i64::MIN)]);
        let error = read(&[Some("1"), None, Some("1.5")], DataType::Int64).unwrap_err();
        assert_eq!(error.row, 2);
        assert_eq!(error.reason, "'1.5' is not a value of type BIGINT");
    }

    #[test]
    fn floats_read_what_export_writes() {
        let texts = ["NaN", "inf", "-inf", "Infinity", "1.7976931348623157e308", "5e-324", "0.1"];
        let texts: Vec<_> = texts.into_iter().map(Some).collect();
        let values = read(&texts, DataType::Float64).unwrap();
        let values = values.as_primitive::<Float64Type>().values().to_vec();
        assert!(values[0].is_nan());
        assert_eq!(
            values[1..],
            [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::MAX, 5e-324, 0.1]
        );
    }

    #[test]
    fn times_reach_the_first_year() {
        let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let texts = [Some("0001-01-01T00:00:00Z"), Some("2024-02-29 12:30:00.5")];
        let values = read(&texts, zone).unwrap();
        let values = values.as_primitive::<TimestampMicrosecondType>().values().to_vec();
        assert_eq!(values, [-62_135_596_800_000_000, 1_709_209_800_500_000]);
        assert!(read(&[Some("2024-02-30")], DataType::Date32).is_err());
        let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
        let texts = [Some("2024-02-29 12:30"), Some("2024-02-29T12:30:00")];
        let values = read(&texts, plain.clone()).unwrap();
        let values = values.as_primitive::<TimestampMicrosecondType>();
        assert_eq!(values.value(0), values.value(1));
        assert!(read(&[Some("2024-02-29 12:3")], plain).is_err());
    }

    #[test]
    fn bytes_are_hexadecimal() {
        assert_eq!(bytes("\\x00Ff"), Some(vec![0, 255]));
        assert_eq!(bytes("00ff"), bytes("0x00FF"));
        assert_eq!(bytes(""), Some(vec![]));
        for wrong in ["0", "0g", "\\x0", "é"] {
            assert_eq!(bytes(wrong), None);
        }
    }

    #[test]
    fn intervals_are_iso_or_sql() {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        assert!(read(&[Some("P1M"), None, Some("1 month 2 days")], interval.clone()).is_ok());
        assert_eq!(read(&[Some("P1M"), Some("soon")], interval).unwrap_err().row, 1);
    }
}
