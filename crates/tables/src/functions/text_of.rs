//! `x::TEXT` of what the engine would spell otherwise, or not at all: moments as they are shown,
//! BYTES as `\x00ff`, lists as `[1, NULL]`, structs as `{'a': 1}`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, IntervalMonthDayNanoArray, StringArray,
    StringBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalamdb_commons::IntervalParts;
use uuid::Uuid;

/// How moments are spelled; zeros at the end of a fraction are left out.
const MOMENTS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
const PLAIN: FormatOptions<'static> = FormatOptions::new();
/// The zone of every TIMESTAMPTZ.
const ZONE: &str = "+00";
/// The length of a UUID.
const UUID_BYTES: i32 = 16;
/// Characters for which a text within a list or a struct stands in quotes.
const QUOTED: [char; 14] =
    ['[', ']', '{', '}', '(', ')', ',', ':', ';', '=', '"', '\'', '\\', '\n'];

/// `text_of(x)`: the value as text. No statement needs to call it.
pub(crate) fn text_of() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextOf { signature: Signature::any(1, Volatility::Immutable) })
}

/// Whether the text of a type's values is made here.
pub(crate) fn is_told(data_type: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, FixedSizeBinary, FixedSizeList, Interval, LargeBinary, LargeList, List,
        Struct, Time64, Timestamp,
    };
    matches!(
        data_type,
        List(_)
            | LargeList(_)
            | FixedSizeList(..)
            | Struct(_)
            | Timestamp(..)
            | Time64(_)
            | Interval(IntervalUnit::MonthDayNano)
            | Binary
            | LargeBinary
            | BinaryView
            | FixedSizeBinary(_)
    )
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextOf {
    signature: Signature,
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &str {
        "text_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(String::from("text_of takes one argument")));
        };
        let constant = matches!(value, ColumnarValue::Scalar(_));
        let values = value.clone().into_array(if constant { 1 } else { args.number_rows })?;
        let texts: ArrayRef = Arc::new(texts(&values)?);
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
        } else {
            ColumnarValue::Array(texts)
        })
    }
}

/// The text of each value.
pub(crate) fn texts(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    let speller = Speller::new(values.as_ref())?;
    let mut texts = StringBuilder::new();
    for row in 0..values.len() {
        if speller.is_null(row) {
            texts.append_null();
            continue;
        }
        let mut text = String::new();
        speller.spell(row, false, &mut text)?;
        texts.append_value(text);
    }
    Ok(texts.finish())
}

/// Spells the values of one array.
struct Speller<'a> {
    nulls: Option<NullBuffer>,
    form: Form<'a>,
}

enum Form<'a> {
    Plain(ArrayFormatter<'a>),
    Text(ArrayFormatter<'a>),
    /// With the zone, if there is one.
    Moments(ArrayFormatter<'a>, &'static str),
    Bytes(ArrayFormatter<'a>),
    Intervals(&'a IntervalMonthDayNanoArray),
    Uuids(&'a FixedSizeBinaryArray),
    Lists(Ranges<'a>, Box<Speller<'a>>),
    Structs(Vec<(&'a str, Speller<'a>)>),
}

/// Where the items of each list are.
enum Ranges<'a> {
    Short(&'a [i32]),
    Long(&'a [i64]),
    Fixed(usize),
}

impl Ranges<'_> {
    fn of(&self, row: usize) -> Range<usize> {
        let at = |place: usize| match self {
            Self::Short(offsets) => offsets.get(place).map(|offset| *offset as usize),
            Self::Long(offsets) => offsets.get(place).map(|offset| *offset as usize),
            Self::Fixed(length) => Some(place * length),
        };
        at(row).unwrap_or_default()..at(row + 1).unwrap_or_default()
    }
}

impl<'a> Speller<'a> {
    fn new(values: &'a dyn Array) -> Result<Self, ArrowError> {
        let plain = || ArrayFormatter::try_new(values, &PLAIN);
        let form = match values.data_type() {
            DataType::Timestamp(_, zone) => {
                let zone = if zone.is_some() { ZONE } else { "" };
                Form::Moments(ArrayFormatter::try_new(values, &MOMENTS)?, zone)
            }
            DataType::Time64(_) => Form::Moments(plain()?, ""),
            DataType::FixedSizeBinary(UUID_BYTES) => Form::Uuids(values.as_fixed_size_binary()),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Form::Intervals(values.as_primitive())
            }
            of if of.is_binary() => Form::Bytes(plain()?),
            of if of.is_string() => Form::Text(plain()?),
            DataType::List(_) => {
                let lists = values.as_list::<i32>();
                Self::lists(Ranges::Short(lists.value_offsets()), lists.values())?
            }
            DataType::LargeList(_) => {
                let lists = values.as_list::<i64>();
                Self::lists(Ranges::Long(lists.value_offsets()), lists.values())?
            }
            DataType::FixedSizeList(_, length) => {
                let lists = values.as_fixed_size_list();
                let length = usize::try_from(*length).unwrap_or_default();
                Self::lists(Ranges::Fixed(length), lists.values())?
            }
            DataType::Struct(fields) => {
                let columns = values.as_struct().columns();
                let spellers = fields.iter().zip(columns).map(|(field, column)| {
                    Ok((field.name().as_str(), Self::new(column.as_ref())?))
                });
                Form::Structs(spellers.collect::<Result<_, ArrowError>>()?)
            }
            _ => Form::Plain(plain()?),
        };
        Ok(Self { nulls: values.logical_nulls(), form })
    }

    fn lists(ranges: Ranges<'a>, items: &'a ArrayRef) -> Result<Form<'a>, ArrowError> {
        Ok(Form::Lists(ranges, Box::new(Self::new(items.as_ref())?)))
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The value of a row; as an `item` of something else it is quoted where it has to be.
    fn spell(&self, row: usize, item: bool, text: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            text.push_str("NULL");
            return Ok(());
        }
        match &self.form {
            Form::Plain(values) => values.value(row).write(text)?,
            Form::Intervals(values) => {
                let IntervalMonthDayNano { months, days, nanoseconds } = values.value(row);
                let parts = IntervalParts { months, days, nanoseconds };
                text.push_str(&parts.to_string());
            }
            Form::Text(values) => push(&values.value(row).try_to_string()?, item, text),
            Form::Moments(values, zone) => {
                let moment = values.value(row).try_to_string()?;
                let moment = match moment.contains('.') {
                    true => moment.trim_end_matches('0').trim_end_matches('.'),
                    false => &moment,
                };
                push(&format!("{moment}{zone}"), item, text);
            }
            Form::Bytes(values) => {
                push(&format!("\\x{}", values.value(row).try_to_string()?), item, text);
            }
            Form::Uuids(values) => match Uuid::from_slice(values.value(row)) {
                Ok(uuid) => text.push_str(&uuid.to_string()),
                Err(error) => return Err(ArrowError::CastError(error.to_string())),
            },
            Form::Lists(ranges, items) => {
                text.push('[');
                for (place, row) in ranges.of(row).enumerate() {
                    text.push_str(if place == 0 { "" } else { ", " });
                    items.spell(row, true, text)?;
                }
                text.push(']');
            }
            Form::Structs(fields) => {
                text.push('{');
                for (place, (name, values)) in fields.iter().enumerate() {
                    text.push_str(if place == 0 { "" } else { ", " });
                    push_quoted(name, text);
                    text.push_str(": ");
                    values.spell(row, true, text)?;
                }
                text.push('}');
            }
        }
        Ok(())
    }
}

/// The value, in quotes if it is an item that would not be read as one text without them.
fn push(value: &str, item: bool, text: &mut String) {
    let is_unclear = || {
        value.is_empty()
            || value.eq_ignore_ascii_case("null")
            || value.trim() != value
            || value.contains(QUOTED)
    };
    match item && is_unclear() {
        true => push_quoted(value, text),
        false => text.push_str(value),
    }
}

fn push_quoted(value: &str, text: &mut String) {
    text.push('\'');
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, Float32Array, ListArray, StructArray, Time64MicrosecondArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Float32Type, Int32Type};

    use super::*;

    fn told(values: impl Array + 'static) -> Vec<Option<String>> {
        let values: ArrayRef = Arc::new(values);
        assert!(is_told(values.data_type()));
        let texts = texts(&values).unwrap();
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn one(text: &str) -> Vec<Option<String>> {
        vec![Some(text.to_owned())]
    }

    #[test]
    fn moments_have_a_blank_and_no_zeros_at_the_end() {
        let moments = || TimestampMicrosecondArray::from(vec![Some(0), Some(500_000), None]);
        let expected = ["1970-01-01 00:00:00", "1970-01-01 00:00:00.5"];
        let plain = expected.map(|text| Some(text.to_owned())).into_iter().chain([None]);
        assert_eq!(told(moments()), plain.collect::<Vec<_>>());
        let zoned = expected.map(|text| Some(format!("{text}+00"))).into_iter().chain([None]);
        assert_eq!(told(moments().with_timezone("UTC")), zoned.collect::<Vec<_>>());
        let time = Time64MicrosecondArray::from(vec![1_500_000]);
        assert_eq!(told(time), one("00:00:01.5"));
    }

    #[test]
    fn bytes_and_uuids_are_spelled_as_they_are_read() {
        assert_eq!(told(BinaryArray::from_vec(vec![&[0, 255]])), one("\\x00ff"));
        let uuid = FixedSizeBinaryArray::try_from_iter([[7_u8; 16]].into_iter()).unwrap();
        assert_eq!(told(uuid), one("07070707-0707-0707-0707-070707070707"));
    }

    #[test]
    fn lists_and_structs_show_null_and_quote_what_is_unclear() {
        let numbers =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
        assert_eq!(told(numbers), one("[1, NULL]"));
        let vector = arrow::array::FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some(vec![Some(1.0), Some(-2.5)])],
            2,
        );
        assert_eq!(told(vector), one("[1.0, -2.5]"));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x,y"]));
        let plain: ArrayRef = Arc::new(StringArray::from(vec!["it's"]));
        let real: ArrayRef = Arc::new(Float32Array::from(vec![None]));
        let fields = vec![("a", texts), ("b", plain), ("c", real)];
        let structs = StructArray::try_from(fields).unwrap();
        assert_eq!(told(structs), one("{'a': 'x,y', 'b': 'it\\'s', 'c': NULL}"));
    }
}
