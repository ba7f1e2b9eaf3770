//! Parquet files, row group by row group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalMonthDayNanoType, IntervalUnit, Schema, SchemaRef,
    TimeUnit,
};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::arguments::ParquetCompression;
use super::destination::Out;
use super::writers::RowWriter;
use crate::cli::error::ShellError;
use crate::cli::values::interval;

/// Rows of one row group.
const ROW_GROUP_ROWS_MAX: usize = 122_880;
/// Bytes of a row group that is being written; it is held in memory.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Writes row groups of bounded size.
pub struct ParquetWriter {
    writer: ArrowWriter<Out>,
    schema: SchemaRef,
}

impl ParquetWriter {
    /// For rows of the given columns.
    pub fn new(
        schema: &SchemaRef,
        compression: ParquetCompression,
        out: Out,
    ) -> Result<Self, ShellError> {
        let compression = match compression {
            ParquetCompression::Snappy => Compression::SNAPPY,
            ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
            ParquetCompression::Gzip => Compression::GZIP(GzipLevel::default()),
            ParquetCompression::Lz4 => Compression::LZ4_RAW,
            ParquetCompression::None => Compression::UNCOMPRESSED,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
            .build();
        let fields = schema.fields().iter().map(written_as).collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Schema::new(fields));
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties));
        Ok(Self { writer: writer.map_err(failed)?, schema })
    }
}

impl RowWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| Ok(converted(column, field.data_type())?));
        let columns = columns.collect::<Result<Vec<_>, ShellError>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.writer.write(&batch).map_err(failed)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES_MAX {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ShellError> {
        self.writer.finish().map_err(failed)?;
        Ok(self.writer.inner_mut().flush()?)
    }
}

/// What a column becomes: Parquet has no seconds, and no intervals of our kind, which are written
/// as ISO 8601 text.
fn written_as(field: &FieldRef) -> Result<FieldRef, ShellError> {
    let data_type = match field.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => DataType::Utf8,
        other => nested_type(other).ok_or_else(|| {
            ShellError::Data(format!(
                "column '{}': Parquet holds no intervals within arrays and structs, export Arrow \
                 or NDJSON",
                field.name()
            ))
        })?,
    };
    let written = Field::new(field.name(), data_type, field.is_nullable());
    Ok(Arc::new(written.with_metadata(field.metadata().clone())))
}

/// The type with milliseconds for seconds; `None` when an interval is in it.
fn nested_type(data_type: &DataType) -> Option<DataType> {
    let inner = |field: &FieldRef| -> Option<FieldRef> {
        let written =
            Field::new(field.name(), nested_type(field.data_type())?, field.is_nullable());
        Some(Arc::new(written.with_metadata(field.metadata().clone())))
    };
    Some(match data_type {
        DataType::Interval(_) => return None,
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::List(item) => DataType::List(inner(item)?),
        DataType::LargeList(item) => DataType::LargeList(inner(item)?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item)?, *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(inner).collect::<Option<Fields>>()?)
        }
        other => other.clone(),
    })
}

fn converted(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    let Some(intervals) = column.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return cast(column, data_type);
    };
    let mut texts = StringBuilder::new();
    for value in intervals {
        match value {
            Some(value) => {
                let mut text = String::new();
                interval::write(value, &mut text)
                    .map_err(|_| ArrowError::CastError("an interval has no text form".into()))?;
                texts.append_value(text);
            }
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn failed(error: ParquetError) -> ShellError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => ShellError::Output(*source),
            Err(source) => ShellError::Data(format!("cannot write Parquet: {source}")),
        },
        other => ShellError::Data(format!("cannot write Parquet: {other}")),
    }
}
