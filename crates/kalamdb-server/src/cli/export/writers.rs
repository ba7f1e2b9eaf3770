//! Rows as the bytes of a file, one writer for each format.

use std::collections::HashSet;
use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::arguments::FileSettings;
use super::destination::Out;
use super::parquet_writer::ParquetWriter;
use crate::cli::error::ShellError;
use crate::cli::file_format::FileFormat;
use crate::cli::values::json_text;
use crate::cli::values::to_text::Texts;

/// Writes the rows of one result.
pub trait RowWriter: Send {
    /// Takes more rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError>;

    /// Writes what closes the file. Without it the file is not complete.
    fn finish(self: Box<Self>) -> Result<(), ShellError>;
}

/// A writer for rows of the given columns.
pub fn open(
    settings: &FileSettings,
    schema: &SchemaRef,
    out: Out,
) -> Result<Box<dyn RowWriter>, ShellError> {
    match settings.named.format {
        FileFormat::Parquet => Ok(Box::new(ParquetWriter::new(schema, settings.compression, out)?)),
        FileFormat::Csv => {
            let (delimiter, gzip) = (settings.delimiter, settings.named.gzip);
            let mut writer = CsvWriter { out: TextOut::new(out, gzip), delimiter };
            if settings.header {
                writer.header(schema)?;
            }
            Ok(Box::new(writer))
        }
        FileFormat::Ndjson => {
            let mut names = HashSet::new();
            if let Some(field) = schema.fields().iter().find(|field| !names.insert(field.name())) {
                let name = field.name();
                let message =
                    format!("two columns are called '{name}', rename one of them with AS");
                return Err(ShellError::Data(message));
            }
            Ok(Box::new(NdjsonWriter { out: TextOut::new(out, settings.named.gzip) }))
        }
        FileFormat::Arrow if settings.stream => {
            Ok(Box::new(ArrowStream(StreamWriter::try_new(out, schema)?)))
        }
        FileFormat::Arrow => Ok(Box::new(ArrowFile(FileWriter::try_new(out, schema)?))),
    }
}

/// Text, compressed or not.
enum TextOut {
    Plain(Out),
    Gzip(GzEncoder<Out>),
}

impl TextOut {
    fn new(out: Out, gzip: bool) -> Self {
        if gzip {
            Self::Gzip(GzEncoder::new(out, Compression::default()))
        } else {
            Self::Plain(out)
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut out) => out.flush(),
            Self::Gzip(out) => out.finish()?.flush(),
        }
    }
}

/// The values of a batch as text.
fn texts(batch: &RecordBatch) -> Result<Vec<Texts<'_>>, ShellError> {
    let schema = batch.schema_ref();
    let columns = batch.columns().iter().zip(schema.fields());
    Ok(columns
        .map(|(column, field)| Texts::new(column.as_ref(), field))
        .collect::<Result<_, _>>()?)
}

struct CsvWriter {
    out: TextOut,
    delimiter: u8,
}

impl CsvWriter {
    fn header(&mut self, schema: &SchemaRef) -> Result<(), ShellError> {
        let mut line = String::new();
        for (index, field) in schema.fields().iter().enumerate() {
            self.separate(index, &mut line);
            let start = line.len();
            line.push_str(field.name());
            self.quote(start, &mut line);
        }
        line.push('\n');
        Ok(self.out.write(line.as_bytes())?)
    }

    fn separate(&self, index: usize, line: &mut String) {
        if index > 0 {
            line.push(char::from(self.delimiter));
        }
    }

    /// Quotes the field that begins at `start`, if it must be; empty text is quoted, since an empty
    /// field is NULL.
    fn quote(&self, start: usize, line: &mut String) {
        let value = line.get(start..).unwrap_or_default();
        let is_special = |byte: u8| byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        if !value.is_empty() && !value.bytes().any(is_special) {
            return;
        }
        let value = line.split_off(start);
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    }
}

impl RowWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError> {
        let columns = texts(batch)?;
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in columns.iter().enumerate() {
                self.separate(index, &mut line);
                let start = line.len();
                if column.push_plain(row, &mut line)? {
                    self.quote(start, &mut line);
                }
            }
            line.push('\n');
            self.out.write(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), ShellError> {
        Ok(self.out.finish()?)
    }
}

struct NdjsonWriter {
    out: TextOut,
}

impl RowWriter for NdjsonWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError> {
        let columns = texts(batch)?;
        let keys = batch.schema_ref().fields().iter().enumerate().map(|(index, field)| {
            let mut key = String::from(if index == 0 { "{" } else { "," });
            json_text::push_string(field.name(), &mut key);
            key.push(':');
            key
        });
        let keys: Vec<String> = keys.collect();
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (key, column) in keys.iter().zip(&columns) {
                line.push_str(key);
                column.push_json(row, &mut line)?;
            }
            line.push_str("}\n");
            self.out.write(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), ShellError> {
        Ok(self.out.finish()?)
    }
}

struct ArrowFile(FileWriter<Out>);

impl RowWriter for ArrowFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError> {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), ShellError> {
        self.0.finish()?;
        Ok(self.0.get_mut().flush()?)
    }
}

struct ArrowStream(StreamWriter<Out>);

impl RowWriter for ArrowStream {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ShellError> {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), ShellError> {
        self.0.finish()?;
        Ok(self.0.get_mut().flush()?)
    }
}
