//! Comma-separated values (RFC 4180) that keep NULL and empty text apart.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::FormatOptions;

use super::RowWriter;
use super::cells::{Cells, readable_columns};
use crate::cli::error::ShellError;

/// Writes a header line, then a line per row.
pub struct CsvWriter {
    header: Option<Vec<String>>,
}

impl CsvWriter {
    /// For a result of the given columns.
    pub fn new(schema: &SchemaRef) -> Self {
        Self { header: Some(schema.fields().iter().map(|field| field.name().clone()).collect()) }
    }

    fn write_header(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        if let Some(names) = self.header.take() {
            let mut line = String::new();
            for (index, name) in names.iter().enumerate() {
                separate(index, &mut line);
                push_field(name, &mut line);
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

impl RowWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ShellError> {
        self.write_header(out)?;
        let columns = readable_columns(batch);
        let options = FormatOptions::default().with_display_error(false).with_null("NULL");
        let cells = columns
            .iter()
            .map(|column| Cells::new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut line, mut value) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, cell) in cells.iter().enumerate() {
                separate(index, &mut line);
                value.clear();
                if cell.append(row, &mut value)? {
                    push_field(&value, &mut line);
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        Ok(out.flush()?)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        self.write_header(out)?;
        Ok(out.flush()?)
    }
}

fn separate(index: usize, line: &mut String) {
    if index > 0 {
        line.push(',');
    }
}

/// Quotes what needs it; empty text is quoted, since an empty field means NULL.
fn push_field(value: &str, line: &mut String) {
    if !value.is_empty() && !value.contains([',', '"', '\n', '\r']) {
        line.push_str(value);
        return;
    }
    line.push('"');
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}
