//! Aligned columns for people.
//!
//! Widths come from the first rows of a result; when a later value is wider, its column grows from
//! there on. So a result of any size is written with a bounded memory.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::FormatOptions;
use unicode_width::UnicodeWidthStr;

use super::RowWriter;
use super::cells::{Cells, is_number, readable_columns};
use crate::cli::error::ShellError;

/// Rows that are held back to find the widths.
const WIDTH_SAMPLE_ROWS: usize = 1000;
/// Values no wider than this widen their column for good; a wider one only breaks its own row.
const COLUMN_WIDTH_MAX: usize = 120;
/// How NULL is shown.
const NULL: &str = "NULL";

struct Column {
    name: String,
    is_number: bool,
    width: usize,
}

/// Writes a header, a rule and the rows.
pub struct TableWriter {
    columns: Vec<Column>,
    held: Vec<Vec<String>>,
    header_written: bool,
}

impl TableWriter {
    /// For a result of the given columns.
    pub fn new(schema: &SchemaRef) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let name = visible(field.name());
                Column { width: name.width(), name, is_number: is_number(field.data_type()) }
            })
            .collect();
        Self { columns, held: Vec::new(), header_written: false }
    }

    fn release(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        let rows = std::mem::take(&mut self.held);
        for row in &rows {
            for (column, text) in self.columns.iter_mut().zip(row) {
                let width = text.width();
                if width <= COLUMN_WIDTH_MAX {
                    column.width = column.width.max(width);
                }
            }
        }
        let mut line = String::new();
        if !self.header_written {
            self.header_written = true;
            self.header(&mut line);
        }
        for row in &rows {
            self.row(row, &mut line);
        }
        Ok(out.write_all(line.as_bytes())?)
    }

    fn header(&self, line: &mut String) {
        for (index, column) in self.columns.iter().enumerate() {
            line.push_str(if index == 0 { " " } else { " | " });
            pad(&column.name, column.width, false, index + 1 == self.columns.len(), line);
        }
        line.push('\n');
        for (index, column) in self.columns.iter().enumerate() {
            line.push_str(if index == 0 { "-" } else { "-+-" });
            line.extend(std::iter::repeat_n('-', column.width));
        }
        line.push_str("-\n");
    }

    fn row(&self, row: &[String], line: &mut String) {
        for (index, (column, text)) in self.columns.iter().zip(row).enumerate() {
            line.push_str(if index == 0 { " " } else { " | " });
            pad(text, column.width, column.is_number, index + 1 == self.columns.len(), line);
        }
        line.push('\n');
    }
}

impl RowWriter for TableWriter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ShellError> {
        let columns = readable_columns(batch);
        let options = FormatOptions::default()
            .with_display_error(false)
            .with_null(NULL)
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
        let cells = columns
            .iter()
            .map(|column| Cells::new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for index in 0..batch.num_rows() {
            let mut row = Vec::with_capacity(cells.len());
            for cell in &cells {
                let mut text = String::new();
                let is_value = cell.append(index, &mut text)?;
                row.push(if is_value { visible(&text) } else { NULL.to_string() });
            }
            self.held.push(row);
            if self.held.len() == WIDTH_SAMPLE_ROWS {
                self.release(out)?;
            }
        }
        if self.header_written {
            self.release(out)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        self.release(out)?;
        Ok(out.flush()?)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        self.flush(out)
    }
}

/// Control characters as escapes: a line break would tear the table, an escape sequence in a
/// stored text could drive the terminal.
fn visible(text: &str) -> String {
    if !text.contains(|c: char| c.is_control()) {
        return text.to_string();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

fn pad(text: &str, width: usize, to_the_right: bool, is_last: bool, line: &mut String) {
    let missing = width.saturating_sub(text.width());
    if to_the_right {
        line.extend(std::iter::repeat_n(' ', missing));
    }
    line.push_str(text);
    if !to_the_right && !is_last {
        line.extend(std::iter::repeat_n(' ', missing));
    }
}
