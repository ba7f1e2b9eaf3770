//! A file as typed batches, read on a thread of its own while others are sent.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;

use super::arguments::{FileSettings, InferRows};
use super::binary_reader;
use super::columns::matched;
use super::csv_reader::CsvReader;
use super::infer::Inference;
use super::ndjson_reader::NdjsonReader;
use super::text_batch::{TextBatch, TextReader};
use crate::cli::error::ShellError;
use crate::cli::file_format::FileFormat;
use crate::cli::progress::{BytesRead, Total};
use crate::panics;

/// Batches that wait to be sent.
const WAITING_BATCHES_MAX: usize = 4;
/// Bytes of text held while types are inferred.
const INFER_BYTES_MAX: usize = 64 << 20;
/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// The table rows go to, as far as reading must know it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name for messages.
    pub shown: String,
    /// Its columns.
    pub schema: SchemaRef,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The columns, named and typed as in the table.
    pub schema: SchemaRef,
    /// How much there is to read.
    pub total: Total,
}

/// Takes what is read; false when nobody wants more.
pub type Send<'a> = &'a mut dyn FnMut(Message) -> bool;

/// What the reading thread says.
#[derive(Debug)]
pub enum Message {
    /// First.
    Opened(Opened),
    /// Then the rows.
    Rows(RecordBatch),
    /// At last, when everything has been read.
    End,
    /// Or this.
    Failed(ShellError),
}

/// Reads a file on a thread. Without a target, types are inferred.
pub fn start(
    settings: FileSettings,
    target: Option<Target>,
    read: BytesRead,
) -> Result<mpsc::Receiver<Message>, ShellError> {
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES_MAX);
    let work = move || {
        let mut send = |message| sender.blocking_send(message).is_ok();
        // Libraries trust the lengths within damaged files.
        let result = panics::contain(|| run(&settings, target.as_ref(), read, &mut send));
        let damaged = || ShellError::Data(format!("{} is damaged", settings.shown()));
        let last = match result.unwrap_or_else(|| Err(damaged())) {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        send(last);
    };
    // Not a task of the runtime: that would wait for a read of a terminal.
    let thread = std::thread::Builder::new().name("import".into()).spawn(work);
    thread.map_err(|source| ShellError::Data(format!("cannot start a thread: {source}")))?;
    Ok(receiver)
}

fn run(
    settings: &FileSettings,
    target: Option<&Target>,
    read: BytesRead,
    send: Send<'_>,
) -> Result<(), ShellError> {
    match settings.named.format {
        FileFormat::Csv | FileFormat::Ndjson => {
            let reader = open_text(settings, target, read.clone())?;
            read_text(settings, reader, target, read, send)
        }
        FileFormat::Arrow => {
            let (input, total) = open(settings, read)?;
            binary_reader::arrow(settings, input, total, target, send)
        }
        FileFormat::Parquet => binary_reader::parquet(settings, target, send),
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.read.add(bytes);
        Ok(bytes)
    }
}

/// The bytes of a file, decompressed.
pub type Input = Box<dyn Read + std::marker::Send>;

fn open(settings: &FileSettings, read: BytesRead) -> Result<(Input, Total), ShellError> {
    let failed = |source| ShellError::File { path: settings.path.clone(), source };
    let (input, total): (Input, Total) = if settings.is_standard() {
        (Box::new(io::stdin()), Total::Unknown)
    } else {
        let file = File::open(&settings.path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let total = if about.is_file() { Total::Bytes(about.len()) } else { Total::Unknown };
        (Box::new(file), total)
    };
    let input = Counted { input, read };
    if settings.named.gzip {
        let input = BufReader::with_capacity(READ_BYTES, input);
        return Ok((Box::new(MultiGzDecoder::new(input)), total));
    }
    Ok((Box::new(input), total))
}

fn open_text(
    settings: &FileSettings,
    target: Option<&Target>,
    read: BytesRead,
) -> Result<(Box<dyn TextReader>, Total), ShellError> {
    let (input, total) = open(settings, read)?;
    let (file, skip) = (settings.shown(), settings.skip_rows);
    let mut names = settings.columns.clone();
    if settings.named.format == FileFormat::Ndjson {
        let input = BufReader::with_capacity(READ_BYTES, input);
        return Ok((Box::new(NdjsonReader::new(input, &file, names, skip)), total));
    }
    if let (None, false, Some(target)) = (&names, settings.dialect.header, target) {
        names = Some(target.schema.fields().iter().map(|field| field.name().clone()).collect());
    }
    let reader = CsvReader::open(input, &file, settings.dialect.clone(), names, skip)?;
    Ok((Box::new(reader), total))
}

fn read_text(
    settings: &FileSettings,
    (mut reader, total): (Box<dyn TextReader>, Total),
    target: Option<&Target>,
    read: BytesRead,
    send: Send<'_>,
) -> Result<(), ShellError> {
    let mut held: VecDeque<TextBatch> = VecDeque::new();
    let mut inference = Inference::default();
    let (rows_max, is_all) = match (target, settings.infer_rows) {
        // Only the keys are to be found.
        (Some(_), _) => (u64::from(settings.named.format == FileFormat::Ndjson), false),
        (None, InferRows::First(rows)) => (rows, false),
        (None, InferRows::All) => (u64::MAX, true),
    };
    let (mut rows, mut bytes) = (0, 0);
    while rows < rows_max && (is_all || bytes < INFER_BYTES_MAX) {
        let Some(batch) = reader.next()? else { break };
        rows += u64::try_from(batch.lines.len()).unwrap_or_default();
        bytes += batch.columns.iter().map(|c| c.values.values().len()).sum::<usize>();
        inference.add(&batch);
        if !is_all {
            held.push_back(batch);
        }
    }
    reader.freeze();
    let fields: Vec<Field> = match target {
        // Whether NULL may stand there is the server's to say.
        Some(target) => matched(reader.names(), &target.schema, &target.shown)?
            .into_iter()
            .map(|field| field.with_nullable(true))
            .collect(),
        None => {
            let schema = inference.schema(reader.as_ref());
            schema.fields().iter().map(|field| field.as_ref().clone()).collect()
        }
    };
    if fields.is_empty() {
        let message = format!("{} has no rows that could name columns", settings.shown());
        return Err(ShellError::Data(message));
    }
    let schema = Arc::new(Schema::new(fields));
    if !send(Message::Opened(Opened { schema: Arc::clone(&schema), total })) {
        return Ok(());
    }
    if is_all {
        let names = FileSettings { columns: Some(reader.names().to_vec()), ..settings.clone() };
        let again = if settings.named.format == FileFormat::Ndjson { &names } else { settings };
        (reader, _) = open_text(again, target, read)?;
    }
    let mut row = settings.skip_rows;
    let guessed = target.is_none().then_some(settings.infer_rows);
    loop {
        let batch = match held.pop_front() {
            Some(batch) => batch,
            None => match reader.next()? {
                Some(batch) => batch,
                None => break,
            },
        };
        let count = batch.lines.len();
        if !send(Message::Rows(typed(&batch, &schema, row, settings, guessed)?)) {
            return Ok(());
        }
        row += u64::try_from(count).unwrap_or_default();
    }
    all_skipped(settings, reader.left_to_skip())
}

/// An error when the file has fewer rows than were to be left out.
pub fn all_skipped(settings: &FileSettings, left: u64) -> Result<(), ShellError> {
    if left == 0 {
        return Ok(());
    }
    let (file, rows) = (settings.shown(), settings.skip_rows - left);
    Err(ShellError::Data(format!("{file} has only {rows} rows, none are left to import")))
}

fn typed(
    batch: &TextBatch,
    schema: &SchemaRef,
    rows_before: u64,
    settings: &FileSettings,
    guessed: Option<InferRows>,
) -> Result<RecordBatch, ShellError> {
    let mut columns = Vec::with_capacity(batch.columns.len());
    for (column, field) in batch.columns.iter().zip(schema.fields()) {
        columns.push(column.typed(field).map_err(|bad| {
            let line = batch.lines.get(bad.row).copied().unwrap_or_default();
            let row = rows_before + u64::try_from(bad.row).unwrap_or_default() + 1;
            let advice = match guessed {
                // It would have been looked at before.
                Some(InferRows::First(rows)) if row > rows => format!(
                    "; the type was inferred from the first {rows} rows at most, --infer-rows all \
                     looks at every one"
                ),
                _ => String::new(),
            };
            let (file, name, reason) = (settings.shown(), field.name(), bad.reason);
            ShellError::Data(format!(
                "{file}: row {row} (line {line}), column '{name}': {reason}{advice}"
            ))
        })?);
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| ShellError::Data(format!("{}: {error}", settings.shown())))
}
