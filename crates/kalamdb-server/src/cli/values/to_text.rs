//! Values as text that `from_text` reads back, plain or as JSON.

use std::fmt::Write;

use arrow::array::{
    Array, AsArray, BinaryArray, FixedSizeBinaryArray, IntervalMonthDayNanoArray, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, IntervalUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use uuid::Uuid;

use super::{interval, is_json, is_uuid, json_text};

/// The values of one column as text.
pub struct Texts<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Text(&'a StringArray),
    Json(&'a StringArray),
    Bytes(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Interval(&'a IntervalMonthDayNanoArray),
    /// Integers, decimals, booleans: the same text in JSON.
    Word(ArrayFormatter<'a>),
    /// Numbers, some of which JSON cannot write.
    Float(ArrayFormatter<'a>),
    /// Anything else that has a text.
    Other(ArrayFormatter<'a>),
    List(Box<Texts<'a>>, &'a OffsetBuffer<i32>),
    FixedList(Box<Texts<'a>>, usize),
    Struct(Vec<(&'a str, Texts<'a>)>),
}

fn no_text() -> ArrowError {
    ArrowError::CastError("a value has no text form".into())
}

impl<'a> Texts<'a> {
    /// For the values of `array`.
    pub fn new(array: &'a dyn Array, field: &'a Field) -> Result<Self, ArrowError> {
        let format = || {
            let options = FormatOptions::default().with_display_error(false);
            ArrayFormatter::try_new(array, &options)
        };
        let kind = match array.data_type() {
            DataType::Utf8 if is_json(field) => Kind::Json(array.as_string()),
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::Binary => Kind::Bytes(array.as_binary()),
            DataType::FixedSizeBinary(_) if is_uuid(field) => {
                Kind::Uuid(array.as_fixed_size_binary())
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Kind::Interval(array.as_primitive::<IntervalMonthDayNanoType>())
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Kind::List(Box::new(Texts::new(list.values().as_ref(), item)?), list.offsets())
            }
            DataType::FixedSizeList(item, size) => {
                let list = array.as_fixed_size_list();
                let inner = Texts::new(list.values().as_ref(), item)?;
                Kind::FixedList(Box::new(inner), usize::try_from(*size).unwrap_or_default())
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let columns = columns.map(|(field, column)| {
                    Ok((field.name().as_str(), Texts::new(column.as_ref(), field)?))
                });
                Kind::Struct(columns.collect::<Result<_, ArrowError>>()?)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float(format()?),
            data_type if data_type.is_numeric() || data_type == &DataType::Boolean => {
                Kind::Word(format()?)
            }
            _ => Kind::Other(format()?),
        };
        Ok(Self { array, kind })
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || self.array.data_type() == &DataType::Null
    }

    /// Appends the plain text of a value; false when it is NULL.
    pub fn push_plain(&self, row: usize, out: &mut String) -> Result<bool, ArrowError> {
        if self.is_null(row) {
            return Ok(false);
        }
        match &self.kind {
            Kind::Text(texts) | Kind::Json(texts) => out.push_str(texts.value(row)),
            Kind::List(..) | Kind::FixedList(..) | Kind::Struct(_) => self.push_json(row, out)?,
            kind => push_scalar(kind, row, out)?,
        }
        Ok(true)
    }

    /// Appends the value as JSON; NULL is `null`.
    pub fn push_json(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.kind {
            Kind::Text(texts) => json_text::push_string(texts.value(row), out),
            Kind::Json(texts) => push_document(texts.value(row), out),
            Kind::Word(_) => push_scalar(&self.kind, row, out)?,
            Kind::Float(_) => {
                let start = out.len();
                push_scalar(&self.kind, row, out)?;
                let is_number = out.get(start..).is_some_and(|text| !text.ends_with(['N', 'f']));
                if !is_number {
                    let text = out.split_off(start);
                    json_text::push_string(&text, out);
                }
            }
            Kind::List(inner, offsets) => {
                let bounds = (offsets.get(row), offsets.get(row + 1));
                let (Some(start), Some(end)) = bounds else { return Err(no_text()) };
                let index = |offset: i32| usize::try_from(offset).map_err(|_| no_text());
                inner.push_items(index(*start)?..index(*end)?, out)?;
            }
            // A slice of such a list has the slice of its items.
            Kind::FixedList(inner, size) => inner.push_items(row * size..(row + 1) * size, out)?,
            Kind::Struct(columns) => {
                out.push('{');
                for (index, (name, column)) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    json_text::push_string(name, out);
                    out.push(':');
                    column.push_json(row, out)?;
                }
                out.push('}');
            }
            kind => {
                let mut text = String::new();
                push_scalar(kind, row, &mut text)?;
                json_text::push_string(&text, out);
            }
        }
        Ok(())
    }

    fn push_items(&self, rows: std::ops::Range<usize>, out: &mut String) -> Result<(), ArrowError> {
        out.push('[');
        for (index, row) in rows.enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.push_json(row, out)?;
        }
        out.push(']');
        Ok(())
    }
}

fn push_scalar(kind: &Kind<'_>, row: usize, out: &mut String) -> Result<(), ArrowError> {
    let written = match kind {
        Kind::Word(format) | Kind::Float(format) | Kind::Other(format) => {
            write!(out, "{}", format.value(row))
        }
        Kind::Bytes(bytes) => {
            out.push_str("\\x");
            bytes.value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        Kind::Uuid(uuids) => match Uuid::from_slice(uuids.value(row)) {
            Ok(uuid) => write!(out, "{uuid}"),
            Err(_) => return Err(no_text()),
        },
        Kind::Interval(intervals) => interval::write(intervals.value(row), out),
        Kind::Text(_) | Kind::Json(_) | Kind::List(..) | Kind::FixedList(..) | Kind::Struct(_) => {
            return Err(no_text());
        }
    };
    written.map_err(|_| no_text())
}

/// A document within JSON: itself, but `null` and strings as a string that holds their text, so
/// that they differ from NULL and from a string that is a document.
fn push_document(text: &str, out: &mut String) {
    match text.trim_start().as_bytes().first() {
        Some(b'n' | b'"') | None => json_text::push_string(text, out),
        // A line break between values; those in strings are escaped.
        _ => out.extend(text.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c })),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::{ArrayRef, Float64Array};

    use super::super::from_text::from_text;
    use super::super::nested::json_document;
    use super::*;

    #[test]
    fn floats_that_json_lacks_are_strings() {
        let array = Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, 1e30, 0.1]);
        let field = Field::new("c", DataType::Float64, true);
        let texts = Texts::new(&array, &field).unwrap();
        let mut json = String::new();
        texts.push_items(0..4, &mut json).unwrap();
        assert_eq!(json, r#"["NaN","-inf",1e30,0.1]"#);
    }

    #[test]
    fn nested_values_come_back() {
        let inner = vec![
            Field::new("t", DataType::Utf8, true),
            Field::new_list("l", Field::new("item", DataType::Binary, true), true),
            Field::new("d", DataType::Date32, true),
        ];
        let field =
            Field::new_list("c", Field::new("item", DataType::Struct(inner.into()), true), true);
        let texts = StringArray::from(vec![
            Some(r#"[{"t":"a \"b\"","l":["\\x00ff",null],"d":"2024-02-29"},null]"#),
            None,
            Some("[]"),
        ]);
        let values: ArrayRef = from_text(&texts, &field).unwrap();
        for offset in 0..3 {
            let slice = values.slice(offset, 3 - offset);
            let written = Texts::new(slice.as_ref(), &field).unwrap();
            let mut text = String::new();
            let is_value = written.push_plain(0, &mut text).unwrap();
            assert_eq!(is_value.then_some(text.as_str()), texts.iter().nth(offset).unwrap());
        }
    }

    #[test]
    fn documents_survive_json() {
        let metadata = HashMap::from([("ARROW:extension:name".into(), "arrow.json".into())]);
        let field = Field::new("c", DataType::Utf8, true).with_metadata(metadata);
        for document in ["null", "\"text\"", "{\"a\": 1}", "7", "\"7\"", "[true]"] {
            let array = StringArray::from(vec![document]);
            let mut text = String::new();
            Texts::new(&array, &field).unwrap().push_json(0, &mut text).unwrap();
            let read = match json_text::parse(&text).unwrap() {
                json_text::Json::Text(text) => json_document(&text).into_owned(),
                _ => text,
            };
            assert_eq!(read, document);
        }
    }
}
