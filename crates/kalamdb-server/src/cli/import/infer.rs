//! The types a text file's columns seem to have: the narrowest of BOOLEAN, BIGINT, DECIMAL, DOUBLE,
//! DATE, TIMESTAMP, JSON and TEXT that holds every value looked at.

use std::collections::HashMap;

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Schema, Time64NanosecondType, TimeUnit,
};

use super::text_batch::{TextBatch, TextReader, ValueKind};

/// Digits a DECIMAL holds.
const DECIMAL_DIGITS_MAX: usize = 38;
/// Digits after the second a TIMESTAMP holds.
const MICROSECOND_DIGITS: usize = 6;

/// What the values of a column could still be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guess {
    seen: bool,
    boolean: bool,
    bigint: bool,
    integer: bool,
    double: bool,
    date: bool,
    timestamp: bool,
    /// Whether times name a zone; `None` before the first.
    zoned: Option<bool>,
    nanos: bool,
    nested: bool,
}

impl Guess {
    fn new() -> Self {
        Self {
            seen: false,
            boolean: true,
            bigint: true,
            integer: true,
            double: true,
            date: true,
            timestamp: true,
            zoned: None,
            nanos: false,
            nested: false,
        }
    }

    fn add(&mut self, text: &str, kind: ValueKind) {
        self.seen = true;
        match kind {
            ValueKind::Nested => self.nested = true,
            ValueKind::Text => {
                (self.boolean, self.bigint, self.integer, self.double) =
                    (false, false, false, false);
            }
            ValueKind::Word => {}
        }
        let text = text.trim();
        self.boolean = self.boolean && is_boolean(text);
        if self.integer || self.double {
            let integer = integer_digits(text);
            self.integer = self.integer && integer.is_some_and(|n| n <= DECIMAL_DIGITS_MAX);
            self.bigint = self.bigint && integer.is_some() && text.parse::<i64>().is_ok();
            self.double = self.double && (integer.is_some() || is_double(text));
        }
        self.date = self.date && is_date(text);
        self.add_time(text);
    }

    fn add_time(&mut self, text: &str) {
        if !self.timestamp {
            return;
        }
        let Some((zoned, digits)) = time_shape(text) else {
            self.timestamp = false;
            return;
        };
        self.timestamp = *self.zoned.get_or_insert(zoned) == zoned;
        self.nanos |= digits > MICROSECOND_DIGITS;
    }

    fn field(&self, name: &str) -> Field {
        let unit = if self.nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        let data_type = if !self.seen || self.nested {
            DataType::Utf8
        } else if self.boolean {
            DataType::Boolean
        } else if self.bigint {
            DataType::Int64
        } else if self.integer {
            DataType::Decimal128(38, 0)
        } else if self.double {
            DataType::Float64
        } else if self.date {
            DataType::Date32
        } else if self.timestamp {
            DataType::Timestamp(unit, (self.zoned == Some(true)).then(|| "UTC".into()))
        } else {
            DataType::Utf8
        };
        let field = Field::new(name, data_type, true);
        if !self.nested {
            return field;
        }
        let json = [("ARROW:extension:name", "arrow.json"), ("ARROW:extension:metadata", "")];
        let json = json.map(|(key, value)| (key.to_owned(), value.to_owned()));
        field.with_metadata(HashMap::from(json))
    }
}

/// Guesses the types of all columns.
#[derive(Debug, Default)]
pub struct Inference {
    guesses: Vec<Guess>,
}

impl Inference {
    /// Looks at more rows.
    pub fn add(&mut self, batch: &TextBatch) {
        self.guesses.resize(self.guesses.len().max(batch.columns.len()), Guess::new());
        for (column, guess) in batch.columns.iter().zip(&mut self.guesses) {
            for (value, kind) in column.values.iter().zip(&column.kinds) {
                if let Some(value) = value {
                    guess.add(value, *kind);
                }
            }
        }
    }

    /// The columns, with the names the reader has found.
    pub fn schema(mut self, reader: &dyn TextReader) -> Schema {
        let names = reader.names();
        self.guesses.resize(names.len(), Guess::new());
        let fields = names.iter().zip(&self.guesses).map(|(name, guess)| guess.field(name));
        Schema::new(fields.collect::<Vec<_>>())
    }
}

fn is_boolean(text: &str) -> bool {
    ["true", "false", "t", "f"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The digits of a whole number. One that begins with a needless zero is none: it would come back
/// without it.
fn integer_digits(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && (digits == "0" || !digits.starts_with('0'))).then_some(digits.len())
}

fn is_double(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    !is_whole && Float64Type::parse(text).is_some()
}

fn is_date(text: &str) -> bool {
    matches!(text.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _])
        && Date32Type::parse(text).is_some()
}

/// Whether a time names a zone, and how many digits follow its second; `None` for other texts.
fn time_shape(text: &str) -> Option<(bool, usize)> {
    if is_date(text) {
        return Some((false, 0));
    }
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes().get(10), Some(b'T' | b' ')) || !is_date(date) {
        return None;
    }
    let end = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at_checked(end)?;
    if time.as_bytes().get(2) != Some(&b':') || Time64NanosecondType::parse(time).is_none() {
        return None;
    }
    let is_offset = |zone: &str| {
        (2..=5).contains(&zone.len()) && zone.bytes().all(|b| b.is_ascii_digit() || b == b':')
    };
    if !matches!(zone, "" | "Z" | "z") && !zone.get(1..).is_some_and(is_offset) {
        return None;
    }
    let fraction = time.split_once('.').map_or("", |(_, fraction)| fraction);
    Some((!zone.is_empty(), fraction.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(texts: &[&str]) -> DataType {
        let mut guess = Guess::new();
        texts.iter().for_each(|text| guess.add(text, ValueKind::Word));
        guess.field("c").data_type().clone()
    }

    #[test]
    fn the_narrowest_type_that_holds_every_value() {
        let moment =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (texts, expected) in [
            (&["true", "F"][..], DataType::Boolean),
            (&["1", "-9223372036854775808"], DataType::Int64),
            (&["1", "9223372036854775808"], DataType::Decimal128(38, 0)),
            (&["1", "2.5", "1e3", "NaN"], DataType::Float64),
            (&["9223372036854775808", "2.5"], DataType::Float64),
            (&["007", "1"], DataType::Utf8),
            (&["1", "true"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2024-02-30"], DataType::Utf8),
            (&["2024-02-29", "2024-02-29 10:00"], moment(None)),
            (&["2013-01-01T10:00:00Z", "2013-01-01T10:00:00.5+02:00"], moment(Some("UTC"))),
            (&["2013-01-01T10:00:00Z", "2013-01-01T10:00:00"], DataType::Utf8),
            (&["2013-01-01T10:00:00.1234567"], DataType::Timestamp(TimeUnit::Nanosecond, None)),
            (&["10:00"], DataType::Utf8),
            (&["x", "1"], DataType::Utf8),
            (&[], DataType::Utf8),
        ] {
            assert_eq!(guessed(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn json_strings_are_no_numbers_and_objects_are_json() {
        let mut guess = Guess::new();
        guess.add("1", ValueKind::Text);
        assert_eq!(guess.field("c").data_type(), &DataType::Utf8);
        guess.add("{}", ValueKind::Nested);
        assert!(crate::cli::values::is_json(&guess.field("c")));
        let mut date = Guess::new();
        date.add("2024-02-29", ValueKind::Text);
        assert_eq!(date.field("c").data_type(), &DataType::Date32);
    }
}
