//! Rows of a text file before they have types: every value is text or NULL.

use std::ops::Range;

use arrow::array::{ArrayRef, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Field;

use crate::cli::error::ShellError;
use crate::cli::values::from_text::{BadValue, from_text};
use crate::cli::values::is_json;
use crate::cli::values::nested::json_document;

/// Rows of one batch.
pub const BATCH_ROWS_MAX: usize = 8192;
/// Bytes of text after which a batch ends.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A field of a CSV file; a number, `true` or `false` of a JSON file.
    Word,
    /// A JSON string.
    Text,
    /// A JSON array or object, as its text.
    Nested,
}

/// One column of a batch.
#[derive(Debug)]
pub struct TextColumn {
    /// The values.
    pub values: StringArray,
    /// How each was written.
    pub kinds: Vec<ValueKind>,
}

/// Some rows.
#[derive(Debug)]
pub struct TextBatch {
    /// The columns, in the order of the reader's names.
    pub columns: Vec<TextColumn>,
    /// The line each row begins in, from 1.
    pub lines: Vec<u64>,
}

/// A reader of a text format.
pub trait TextReader: Send {
    /// The columns found so far.
    fn names(&self) -> &[String];

    /// From here on columns not yet found are an error.
    fn freeze(&mut self);

    /// The next rows, `None` at the end.
    fn next(&mut self) -> Result<Option<TextBatch>, ShellError>;

    /// Rows that were to be skipped and did not come.
    fn left_to_skip(&self) -> u64;
}

impl TextColumn {
    /// The values of a column's type.
    pub fn typed(&self, field: &Field) -> Result<ArrayRef, BadValue> {
        if is_json(field) && self.kinds.contains(&ValueKind::Text) {
            let values = self.values.iter().zip(&self.kinds);
            let documents: StringArray = values
                .map(|(value, kind)| match kind {
                    ValueKind::Text => value.map(json_document),
                    ValueKind::Word | ValueKind::Nested => value.map(Into::into),
                })
                .collect();
            return from_text(&documents, field);
        }
        from_text(&self.values, field)
    }
}

/// Gathers the values of one column.
#[derive(Debug)]
pub struct TextColumnBuilder {
    data: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    kinds: Vec<ValueKind>,
}

impl TextColumnBuilder {
    /// With so many NULLs at the beginning.
    pub fn with_nulls(rows: usize) -> Self {
        let mut builder = Self {
            data: Vec::new(),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(BATCH_ROWS_MAX),
            kinds: Vec::new(),
        };
        builder.pad(rows);
        builder
    }

    /// Values so far.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Adds NULLs until there are so many rows.
    pub fn pad(&mut self, rows: usize) {
        while self.len() < rows {
            self.nulls.append_null();
            self.end(ValueKind::Word);
        }
    }

    /// Adds bytes to the value that is being written.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    /// Ends a value.
    pub fn end_value(&mut self, kind: ValueKind) {
        self.nulls.append_non_null();
        self.end(kind);
    }

    fn end(&mut self, kind: ValueKind) {
        // A batch ends far below 2 GiB: see BATCH_BYTES_MAX and RECORD_BYTES_MAX.
        self.offsets.push(i32::try_from(self.data.len()).unwrap_or(i32::MAX));
        self.kinds.push(kind);
    }

    /// The column; the row of the first value that is not UTF-8 otherwise.
    pub fn finish(mut self) -> Result<TextColumn, usize> {
        let bad_row = |offsets: &[i32], data: &[u8]| {
            let range = |pair: &[i32]| -> Option<Range<usize>> {
                let [start, end] = pair else { return None };
                Some(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
            };
            offsets
                .windows(2)
                .position(|pair| {
                    let bytes = range(pair).and_then(|range| data.get(range));
                    bytes.is_none_or(|bytes| std::str::from_utf8(bytes).is_err())
                })
                .unwrap_or_default()
        };
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let data = Buffer::from_vec(self.data);
        match StringArray::try_new(offsets.clone(), data.clone(), self.nulls.finish()) {
            Ok(values) => Ok(TextColumn { values, kinds: self.kinds }),
            Err(_) => Err(bad_row(&offsets, &data)),
        }
    }
}
