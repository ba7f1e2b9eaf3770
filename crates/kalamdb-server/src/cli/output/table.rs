//! Aligned columns for people.
//!
//! Widths come from the first rows of a result; when a later value is wider, its column grows from
//! there on. So a result of any size is written with a bounded memory. A value of several lines,
//! such as a plan, takes several lines of its column.

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
                let name = visible(field.name()).replace('\n', " ");
                Column { width: name.width(), name, is_number: is_number(field.data_type()) }
            })
            .collect();
        Self { columns, held: Vec::new(), header_written: false }
    }

    fn release(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        let rows = std::mem::take(&mut self.held);
        for row in &rows {
            for (column, text) in self.columns.iter_mut().zip(row) {
                for width in text.lines().map(UnicodeWidthStr::width) {
                    if width <= COLUMN_WIDTH_MAX {
                        column.width = column.width.max(width);
                    }
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

    fn header(&self, out: &mut String) {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        self.line(&names, |_| false, out);
        for (index, column) in self.columns.iter().enumerate() {
            out.push_str(if index == 0 { "-" } else { "-+-" });
            out.extend(std::iter::repeat_n('-', column.width));
        }
        out.push_str("-\n");
    }

    fn row(&self, row: &[String], out: &mut String) {
        let mut cells: Vec<_> = row.iter().map(|text| text.lines()).collect();
        let height = row.iter().map(|text| text.lines().count()).max().unwrap_or_default().max(1);
        for _ in 0..height {
            let texts: Vec<&str> =
                cells.iter_mut().map(|lines| lines.next().unwrap_or_default()).collect();
            self.line(&texts, |column| column.is_number, out);
        }
    }

    fn line(&self, texts: &[&str], to_the_right: fn(&Column) -> bool, out: &mut String) {
        for (index, (column, text)) in self.columns.iter().zip(texts).enumerate() {
            out.push_str(if index == 0 { " " } else { " | " });
            let missing = column.width.saturating_sub(text.width());
            let padding = std::iter::repeat_n(' ', missing);
            if to_the_right(column) {
                out.extend(padding);
                out.push_str(text);
            } else {
                out.push_str(text);
                out.extend(padding);
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
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
        if !self.held.is_empty() {
            self.release(out)?;
        }
        Ok(out.flush()?)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), ShellError> {
        self.release(out)?;
        Ok(out.flush()?)
    }
}

/// Control characters as escapes, but for line breaks: an escape sequence in a stored text could
/// drive the terminal.
fn visible(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_harmful) {
        return text.to_string();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_harmful(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}
