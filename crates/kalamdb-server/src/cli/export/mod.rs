//! `kalamdb export`: the result of a query becomes a file, over Flight SQL alone.
//!
//! ```text
//! server ──► rows, batch by batch ──► writers (a thread) ──► FILE.part-… ──► FILE
//! ```

mod arguments;
mod destination;
mod parquet_writer;
mod writers;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::sync::{mpsc, oneshot};

pub use arguments::ExportArgs;
use arguments::FileSettings;
use destination::{Destination, Out};

use super::connection::{Connection, Prepared, Rows};
use super::error::{ShellError, marked_line};
use super::import::interrupt;
use super::progress::{BytesRead, Progress, Total};

/// Batches that wait to be written.
const WAITING_BATCHES_MAX: usize = 4;

/// Runs `kalamdb export`. Needs a tokio runtime with I/O and time.
pub async fn run(args: ExportArgs) -> ExitCode {
    let sql = match args.sql() {
        Ok(sql) => sql,
        Err(error) => return report(&error, ""),
    };
    match export(args, &sql).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, &sql),
    }
}

fn report(error: &ShellError, sql: &str) -> ExitCode {
    if error.is_closed_output() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error}");
    if let ShellError::Statement { position: Some(position), .. } = error
        && let Some(line) = marked_line(sql, *position, 1)
    {
        eprintln!("{line}");
    }
    ExitCode::from(error.exit_code())
}

async fn export(args: ExportArgs, sql: &str) -> Result<(), ShellError> {
    let settings = args.file_settings()?;
    let sign_in = args.connection.resolve()?;
    let (destination, out) = Destination::open(&settings)?;
    let mut connection = Connection::sign_in_with(sign_in).await?;
    let interrupted = interrupt();
    let mut progress = Progress::new(args.quiet, Total::Unknown, BytesRead::default());
    let written = tokio::select! {
        written = write(&mut connection, sql, settings, out, &mut progress) => written,
        () = interrupted.cancelled() => Err(ShellError::Cancelled),
    };
    progress.clear();
    written?;
    destination.keep()?;
    if !args.quiet {
        eprintln!("{}", progress.summary("exported"));
    }
    Ok(())
}

async fn write(
    connection: &mut Connection,
    sql: &str,
    settings: FileSettings,
    out: Out,
    progress: &mut Progress,
) -> Result<(), ShellError> {
    let mut prepared = connection.prepare(sql).await?;
    let written = write_prepared(connection, &mut prepared, settings, out, progress).await;
    connection.close(prepared).await;
    written
}

async fn write_prepared(
    connection: &Connection,
    prepared: &mut Prepared,
    settings: FileSettings,
    out: Out,
    progress: &mut Progress,
) -> Result<(), ShellError> {
    let schema = prepared
        .dataset_schema()
        .map_err(|error| ShellError::from_flight(&error, connection.uri()))?;
    // Flight SQL's sign for a statement without rows.
    if schema.fields().is_empty() {
        let message = "the statement has no rows to export and was not run, write a SELECT";
        return Err(ShellError::Usage(message.into()));
    }
    let schema = Arc::new(schema.clone());
    let rows = connection.query(prepared).await?;
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES_MAX);
    let (report, outcome) = oneshot::channel();
    let work = move || {
        // Nobody listens any more after Ctrl-C.
        let _unheard = report.send(write_file(&settings, &schema, out, receiver));
    };
    let thread = std::thread::Builder::new().name("export".into()).spawn(work);
    thread.map_err(ShellError::Output)?;
    forward(rows, sender, progress).await?;
    outcome.await.unwrap_or_else(|_| Err(ShellError::Output(io::Error::other("it broke off"))))
}

/// Hands the rows on and says at last that they were all: `None`.
async fn forward(
    mut rows: Rows,
    sender: mpsc::Sender<Option<RecordBatch>>,
    progress: &mut Progress,
) -> Result<(), ShellError> {
    while let Some(batch) = rows.next().await? {
        let count = batch.num_rows();
        if sender.send(Some(batch)).await.is_err() {
            // The writer has failed, and says why.
            return Ok(());
        }
        progress.moved(count);
    }
    // Fails only when the writer has failed.
    let _unwanted = sender.send(None).await;
    Ok(())
}

/// Writes what comes; a file whose rows break off is not completed.
fn write_file(
    settings: &FileSettings,
    schema: &SchemaRef,
    out: Out,
    mut receiver: mpsc::Receiver<Option<RecordBatch>>,
) -> Result<(), ShellError> {
    let mut writer = writers::open(settings, schema, out)?;
    while let Some(message) = receiver.blocking_recv() {
        match message {
            Some(batch) => writer.write(&batch)?,
            None => return writer.finish(),
        }
    }
    Err(ShellError::Cancelled)
}
