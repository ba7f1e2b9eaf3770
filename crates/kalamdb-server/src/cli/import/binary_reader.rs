//! Parquet and Arrow IPC: the types are in the file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::arguments::FileSettings;
use super::columns::matched;
use super::source::{Input, Message, Opened, Send, Target, all_skipped};
use crate::cli::error::ShellError;
use crate::cli::progress::Total;
use crate::cli::values::from_text::from_text;
use crate::cli::values::is_text;

/// Rows of a batch, so that large batches of a file do not become large commits.
const BATCH_ROWS_MAX: usize = 8192;
/// The beginning of Arrow's file format.
const FILE_MAGIC: &[u8] = b"ARROW1";

/// Reads an Arrow file or stream.
pub fn arrow(
    settings: &FileSettings,
    input: Input,
    total: Total,
    target: Option<&Target>,
    send: Send<'_>,
) -> Result<(), ShellError> {
    let mut input = BufReader::new(input);
    let failed = |source| ShellError::File { path: settings.path.clone(), source };
    let is_file = input.fill_buf().map_err(failed)?.starts_with(FILE_MAGIC);
    if !is_file {
        let reader = StreamReader::try_new(input, None).map_err(|e| unreadable(settings, &e))?;
        let schema = reader.schema();
        return rows(settings, (&schema, total), reader, target, send);
    }
    if settings.is_standard() || settings.named.gzip {
        return Err(ShellError::Usage(
            "an Arrow file is read from its end, so name a plain file; standard input takes an \
             Arrow stream"
                .into(),
        ));
    }
    let file = File::open(&settings.path).map_err(failed)?;
    let reader = FileReader::try_new_buffered(file, None);
    let reader = reader.map_err(|error| unreadable(settings, &error))?;
    let schema = reader.schema();
    // A file is read by seeking, which is not counted.
    rows(settings, (&schema, Total::Unknown), reader, target, send)
}

/// Reads a Parquet file, row group by row group.
pub fn parquet(
    settings: &FileSettings,
    target: Option<&Target>,
    send: Send<'_>,
) -> Result<(), ShellError> {
    let failed = |source| ShellError::File { path: settings.path.clone(), source };
    if settings.named.gzip {
        return Err(ShellError::Usage("a Parquet file is not compressed as a whole".into()));
    }
    let file = File::open(&settings.path).map_err(failed)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(settings, &error.into()))?;
    let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let total = Total::Rows(total.saturating_sub(settings.skip_rows));
    let schema = Arc::clone(builder.schema());
    let reader = builder.with_batch_size(BATCH_ROWS_MAX).build();
    let reader = reader.map_err(|error| unreadable(settings, &error.into()))?;
    rows(settings, (&schema, total), reader, target, send)
}

/// What the libraries say of a file that is cut off, or is of another format.
const NOT_WHOLE: [&str; 8] = [
    "Invalid Parquet file",
    "Parquet file too small",
    "Corrupt footer",
    "does not contain correct footer",
    "found empty stream",
    "failed to fill whole buffer",
    "EOF",
    "eof",
];

fn unreadable(settings: &FileSettings, error: &ArrowError) -> ShellError {
    let file = settings.shown();
    let message = error.to_string();
    let is_empty = !settings.is_standard()
        && std::fs::metadata(&settings.path).is_ok_and(|about| about.len() == 0);
    ShellError::Data(if is_empty {
        format!("{file} is empty")
    } else if NOT_WHOLE.iter().any(|part| message.contains(part)) {
        format!(
            "cannot read {file}: it was cut off or is of another format, write it anew or name its \
             --format"
        )
    } else {
        format!("cannot read {file}: {message}")
    })
}

fn rows(
    settings: &FileSettings,
    (schema, total): (&SchemaRef, Total),
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    target: Option<&Target>,
    send: Send<'_>,
) -> Result<(), ShellError> {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let fields = match target {
        Some(target) => {
            let wanted = matched(&names, &target.schema, &target.shown)?;
            let pairs = schema.fields().iter().zip(wanted);
            pairs.map(|(found, wanted)| sent_as(found, wanted)).collect()
        }
        None => schema.fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>(),
    };
    let schema = Arc::new(Schema::new(fields));
    if !send(Message::Opened(Opened { schema: Arc::clone(&schema), total })) {
        return Ok(());
    }
    let mut skip = settings.skip_rows;
    let mut row = 0;
    for batch in batches {
        let batch = batch.map_err(|error| unreadable(settings, &error))?;
        let batch_rows = u64::try_from(batch.num_rows()).unwrap_or_default();
        let left_out = skip.min(batch_rows);
        (skip, row) = (skip - left_out, row + left_out);
        let mut start = usize::try_from(left_out).unwrap_or_default();
        while start < batch.num_rows() {
            let length = BATCH_ROWS_MAX.min(batch.num_rows() - start);
            let part = typed(&batch.slice(start, length), &schema, row, settings)?;
            if !send(Message::Rows(part)) {
                return Ok(());
            }
            start += length;
            row += u64::try_from(length).unwrap_or_default();
        }
    }
    all_skipped(settings, skip)
}

/// Text is read here as the table's type; other values the server converts.
fn sent_as(found: &Field, wanted: Field) -> Field {
    let value_type = match found.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    if is_text(value_type) || found.data_type() == wanted.data_type() {
        return wanted.with_nullable(true);
    }
    found.clone().with_name(wanted.name())
}

fn typed(
    batch: &RecordBatch,
    schema: &SchemaRef,
    rows_before: u64,
    settings: &FileSettings,
) -> Result<RecordBatch, ShellError> {
    let failed = |error: ArrowError| ShellError::Data(format!("{}: {error}", settings.shown()));
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        if column.data_type() == field.data_type() {
            columns.push(Arc::clone(column));
            continue;
        }
        let texts = cast(column, &DataType::Utf8).map_err(failed)?;
        columns.push(from_text(texts.as_string(), field).map_err(|bad| {
            let row = rows_before + u64::try_from(bad.row).unwrap_or_default() + 1;
            let (file, name, reason) = (settings.shown(), field.name(), bad.reason);
            ShellError::Data(format!("{file}: row {row}, column '{name}': {reason}"))
        })?);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}
