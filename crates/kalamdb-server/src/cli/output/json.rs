//! One JSON array per result, one object per line, NULLs written out.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use arrow::json::LineDelimitedWriter;
use arrow::json::WriterBuilder;

use super::RowWriter;
use super::cells::readable_columns;
use crate::cli::error::ShellError;

/// Writes `[`, the rows with commas between them, and `]`.
#[derive(Default)]
pub struct JsonWriter {
    opened: bool,
    has_rows: bool,
}

impl JsonWriter {
    fn open(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        if !self.opened {
            self.opened = true;
            out.write_all(b"[")?;
        }
        Ok(())
    }
}

impl RowWriter for JsonWriter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ShellError> {
        self.open(out)?;
        for line in json_lines(batch)?.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            out.write_all(if self.has_rows { b",\n" } else { b"\n" })?;
            out.write_all(line)?;
            self.has_rows = true;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        Ok(out.flush()?)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        self.open(out)?;
        out.write_all(if self.has_rows { b"\n]\n" } else { b"]\n" })?;
        Ok(out.flush()?)
    }
}

/// A line of JSON for every row; JSON text never holds a raw line break.
fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, ShellError> {
    let columns = readable_columns(batch);
    let fields = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect::<Vec<_>>();
    let readable = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let mut lines = Vec::new();
    let mut writer: LineDelimitedWriter<_> =
        WriterBuilder::new().with_explicit_nulls(true).build(&mut lines);
    writer.write(&readable)?;
    writer.finish()?;
    Ok(lines)
}
