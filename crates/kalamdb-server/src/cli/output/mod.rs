//! Results as text: aligned tables, CSV and JSON, each written while rows arrive.

mod cells;
mod csv;
mod json;
mod table;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::error::ShellError;
use csv::CsvWriter;
use json::JsonWriter;
use table::TableWriter;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, for people
    Table,
    /// Comma-separated values with a header; NULL is an empty field, empty text is ""
    Csv,
    /// One JSON array per result, one object per line
    Json,
}

impl Format {
    /// Every format's name, as typed.
    pub const NAMES: [&'static str; 3] = ["table", "csv", "json"];

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "table" => Some(Self::Table),
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// A writer for one result of the given columns.
    pub fn writer(self, schema: &SchemaRef) -> Box<dyn RowWriter + Send> {
        match self {
            Self::Table => Box::new(TableWriter::new(schema)),
            Self::Csv => Box::new(CsvWriter::new(schema)),
            Self::Json => Box::new(JsonWriter::default()),
        }
    }
}

/// Writes the rows of one result.
pub trait RowWriter {
    /// Takes more rows; they may be held back until their widths are known.
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ShellError>;

    /// Writes what was held back, because no more rows are in sight for a while.
    fn flush(&mut self, out: &mut dyn Write) -> Result<(), ShellError>;

    /// Writes what closes the result.
    fn finish(&mut self, out: &mut dyn Write) -> Result<(), ShellError>;
}

/// A value the formatter cannot write is the server's fault, a closed pipe is not.
impl From<ArrowError> for ShellError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Output(source),
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// Standard output, buffered: a result is many small writes.
pub fn stdout() -> io::BufWriter<io::Stdout> {
    io::BufWriter::with_capacity(STDOUT_BUFFER_BYTES, io::stdout())
}

/// Bytes of output gathered for one write.
const STDOUT_BUFFER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
