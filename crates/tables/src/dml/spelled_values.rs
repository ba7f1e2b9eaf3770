//! What text spells: JSON, UUIDs, bytes, intervals, times of day. With `safe` a text that spells none becomes NULL, without
//! it an error.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeBinaryBuilder, IntervalMonthDayNanoBuilder,
    StringArray, StringBuilder,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use arrow::error::ArrowError;
use kalamdb_commons::{IntervalParts, interval_of_text};
use serde::de::IgnoredAny;
use uuid::Uuid;

/// What a text begins with that spells bytes.
const HEX_PREFIX: &str = "\\x";

/// The texts that are JSON.
pub(super) fn checked_json(texts: &StringArray, safe: bool) -> Result<ArrayRef, ArrowError> {
    let error_of = |text: &str| serde_json::from_str::<IgnoredAny>(text).err();
    let mut bad = texts.iter().flatten().filter_map(|text| Some((text, error_of(text)?)));
    let Some((text, error)) = bad.next() else { return Ok(Arc::new(texts.clone())) };
    if !safe {
        return Err(ArrowError::ParseError(format!("it is no JSON: {}", placed(text, &error))));
    }
    let kept: StringArray =
        texts.iter().map(|text| text.filter(|text| error_of(text).is_none())).collect();
    Ok(Arc::new(kept))
}

/// What is wrong with a JSON text, with the place counted in characters of the whole text: a line
/// and a column would read as a place in the statement.
fn placed(text: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    let before: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let bytes = (before + error.column()).min(text.len());
    let characters = text.bytes().take(bytes).filter(|byte| byte & 0xC0 != 0x80).count();
    format!("{reason} at character {characters} of the value")
}

/// Text is its bytes, but for `\x00ff`, which spells them.
pub(super) fn bytes_of_texts(texts: &StringArray, safe: bool) -> Result<ArrayRef, ArrowError> {
    if !texts.iter().flatten().any(|text| text.starts_with(HEX_PREFIX)) {
        return cast(texts, &DataType::Binary);
    }
    let mut bytes = BinaryBuilder::with_capacity(texts.len(), texts.value_data().len());
    for text in texts {
        let Some(text) = text else {
            bytes.append_null();
            continue;
        };
        match text.strip_prefix(HEX_PREFIX).map(bytes_of_hex) {
            None => bytes.append_value(text),
            Some(Some(value)) => bytes.append_value(value),
            Some(None) if safe => bytes.append_null(),
            Some(None) => {
                return Err(ArrowError::ParseError(String::from(
                    "after \\x stand two hexadecimal digits a byte, as in '\\x00ff'",
                )));
            }
        }
    }
    Ok(Arc::new(bytes.finish()))
}

fn bytes_of_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The UUIDs that have these 16 bytes.
pub(super) fn uuids_of_bytes(values: &ArrayRef, safe: bool) -> Result<ArrayRef, ArrowError> {
    let bytes = cast(values, &DataType::Binary)?;
    let bytes = bytes.as_binary::<i32>();
    let mut uuids = FixedSizeBinaryBuilder::with_capacity(bytes.len(), 16);
    for value in bytes {
        match value {
            Some(value) if value.len() == 16 => uuids.append_value(value)?,
            Some(value) if !safe => {
                return Err(ArrowError::CastError(format!(
                    "a UUID has 16 bytes, not {}",
                    value.len()
                )));
            }
            _ => uuids.append_null(),
        }
    }
    Ok(Arc::new(uuids.finish()))
}

/// The UUIDs that the texts are.
pub(super) fn uuids_of_texts(texts: &StringArray, safe: bool) -> Result<ArrayRef, ArrowError> {
    let mut uuids = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
    for text in texts {
        match text.map(Uuid::try_parse) {
            Some(Ok(uuid)) => uuids.append_value(uuid.as_bytes())?,
            None => uuids.append_null(),
            Some(Err(_)) if safe => uuids.append_null(),
            Some(Err(error)) => {
                return Err(ArrowError::ParseError(format!("it is no UUID: {error}")));
            }
        }
    }
    Ok(Arc::new(uuids.finish()))
}

/// The intervals that the texts are; a number alone is seconds.
pub(super) fn intervals_of_texts(texts: &StringArray, safe: bool) -> Result<ArrayRef, ArrowError> {
    let mut intervals = IntervalMonthDayNanoBuilder::with_capacity(texts.len());
    for text in texts {
        match text.map(|text| (text, interval_of(text))) {
            Some((_, Some(interval))) => intervals.append_value(interval),
            Some((text, None)) if !safe => return Err(no_interval(text)),
            Some((_, None)) | None => intervals.append_null(),
        }
    }
    Ok(Arc::new(intervals.finish()))
}

/// The interval that a text is.
pub(crate) fn interval_of(text: &str) -> Option<IntervalMonthDayNano> {
    let IntervalParts { months, days, nanoseconds } = interval_of_text(text)?;
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// In the words of the engine's own reading of them.
pub(crate) fn no_interval(text: &str) -> ArrowError {
    ArrowError::ParseError(format!("Invalid input syntax for type interval: \"{text}\""))
}

/// The times of day that the texts are. Arrow takes a number for microseconds since midnight.
pub(super) fn times_of_texts(
    texts: &StringArray,
    to: &DataType,
    safe: bool,
) -> Result<ArrayRef, ArrowError> {
    let is_time = |text: &str| text.contains(':');
    if let Some(text) = texts.iter().flatten().find(|text| !is_time(text))
        && !safe
    {
        return Err(ArrowError::CastError(format!(
            "Cannot cast string '{text}' to value of {to} type"
        )));
    }
    let options = CastOptions { safe, ..CastOptions::default() };
    let texts: StringArray =
        texts.iter().map(|text| text.map(str::trim).filter(|text| is_time(text))).collect();
    cast_with_options(&texts, to, &options)
}

/// UUIDs as they are written.
pub(super) fn uuid_texts(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let uuids = values.as_fixed_size_binary();
    let mut texts = StringBuilder::with_capacity(uuids.len(), uuids.len() * 36);
    for uuid in uuids {
        match uuid {
            Some(bytes) => {
                let uuid = Uuid::from_slice(bytes)
                    .map_err(|error| ArrowError::CastError(error.to_string()))?;
                texts.append_value(uuid.to_string());
            }
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_bytes_or_those_that_it_spells() {
        let texts =
            StringArray::from(vec![Some("\\x00fF"), Some("é"), None, Some("\\x"), Some("x00")]);
        let bytes = bytes_of_texts(&texts, false).unwrap();
        let bytes: Vec<Option<&[u8]>> = bytes.as_binary::<i32>().iter().collect();
        let wanted: [Option<&[u8]>; 5] =
            [Some(&[0, 255]), Some("é".as_bytes()), None, Some(b""), Some(b"x00")];
        assert_eq!(bytes, wanted);
        for wrong in ["\\x0", "\\x0g", "\\x é"] {
            let texts = StringArray::from(vec![wrong]);
            assert!(bytes_of_texts(&texts, false).is_err(), "{wrong}");
            assert_eq!(bytes_of_texts(&texts, true).unwrap().null_count(), 1, "{wrong}");
        }
    }

    #[test]
    fn a_number_is_seconds_and_no_time_of_day() {
        let texts = StringArray::from(vec![Some("30"), None, Some("1 day 02:00:00")]);
        let intervals = intervals_of_texts(&texts, false).unwrap();
        assert_eq!((intervals.null_count(), intervals.len()), (1, 3));
        assert!(intervals_of_texts(&StringArray::from(vec!["soon"]), false).is_err());
        let micros = DataType::Time64(arrow::datatypes::TimeUnit::Microsecond);
        let times = StringArray::from(vec![Some("10:00"), Some(" 23:59:59.5 "), None]);
        assert_eq!(times_of_texts(&times, &micros, false).unwrap().null_count(), 1);
        let number = StringArray::from(vec!["1"]);
        assert!(times_of_texts(&number, &micros, false).is_err());
        assert_eq!(times_of_texts(&number, &micros, true).unwrap().null_count(), 1);
    }
}
