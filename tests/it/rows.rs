//! Record batches as plain rows that compare, sort and print.

use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// One decoded row.
pub type Row = Vec<Value>;

/// One value: integers of every width as `Int`, what has no variant of its own as its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// NULL, of any type.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// Any integer.
    Int(i64),
    /// TEXT, and the printed form of every other type.
    Text(String),
}

impl fmt::Display for Value {
    /// The value as a SQL literal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// The rows of all batches, in order.
pub fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let columns: Vec<Vec<Value>> = batch.columns().iter().map(|c| values(c)).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column[row].clone()).collect());
        }
    }
    rows
}

/// The single value of a one-row, one-column answer.
pub fn single(rows: &[Row]) -> Value {
    match rows {
        [row] if row.len() == 1 => row[0].clone(),
        other => panic!("expected one value, got {other:?}"),
    }
}

/// The text of the first column of every row.
pub fn first_column(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| match &row[0] {
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        })
        .collect()
}

fn values(array: &dyn Array) -> Vec<Value> {
    let present = |row: usize, value: Value| if array.is_null(row) { Value::Null } else { value };
    match array.data_type() {
        DataType::Null => vec![Value::Null; array.len()],
        DataType::Boolean => {
            let array = array.as_boolean();
            (0..array.len()).map(|row| present(row, Value::Bool(array.value(row)))).collect()
        }
        integer if integer.is_integer() => {
            let array = cast(array, &DataType::Int64).unwrap();
            let array = array.as_primitive::<Int64Type>();
            (0..array.len()).map(|row| present(row, Value::Int(array.value(row)))).collect()
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            (0..array.len()).map(|row| present(row, array.value(row).into())).collect()
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).unwrap();
            (0..array.len())
                .map(|row| present(row, Value::Text(formatter.value(row).to_string())))
                .collect()
        }
    }
}
