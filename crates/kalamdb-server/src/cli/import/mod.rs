//! `kalamdb import`: a file becomes rows of a table, over Flight SQL alone.
//!
//! ```text
//! file ──► csv_reader, ndjson_reader ──► infer, columns ──► source ──► upload ──► server
//!      ──► binary_reader ────────────────────────────────────┘ a thread │ commits of bounded size
//! ```

mod arguments;
mod binary_reader;
mod columns;
mod csv_reader;
mod infer;
mod ndjson_reader;
mod source;
mod table;
mod text_batch;
mod upload;

use std::process::ExitCode;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use arguments::IfExists;
pub use arguments::{Character, ImportArgs};
use source::{Message, Opened, Target};
use upload::{Mode, Stopped, Upload};

use super::connection::Connection;
use super::error::ShellError;
use super::progress::{BytesRead, Progress, Total, counted};
use super::table_name::TableName;

/// Runs `kalamdb import`. Needs a tokio runtime with I/O and time.
pub async fn run(args: ImportArgs) -> ExitCode {
    match import(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Cancelled by Ctrl-C, and when the process is asked to end.
pub fn interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        if asked_to_end().await {
            cancelled.cancel();
        }
    });
    token
}

/// Waits for a signal; false when signals cannot be waited for.
async fn asked_to_end() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            return tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
                terminated = terminated.recv() => terminated.is_some(),
            };
        }
    }
    tokio::signal::ctrl_c().await.is_ok()
}

/// What becomes of the table before the first row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Preparation {
    /// Nothing: it is there.
    None,
    /// The first commit creates it.
    ByIngest(Mode),
    /// A statement creates it.
    BySql,
    /// It is there, and is emptied before the first commit.
    Emptied,
}

async fn import(args: ImportArgs) -> Result<(), ShellError> {
    let settings = args.file_settings()?;
    let table = args.table_name()?;
    let sign_in = args.connection.clone().resolve()?;
    let mut connection = Connection::sign_in_with(sign_in).await?;
    let signed_in = Instant::now();
    let interrupted = interrupt();
    let (target, preparation) = prepare(&args, &mut connection, &table).await?;
    let read = BytesRead::default();
    let mut progress = Progress::new(args.quiet, Total::Unknown, read.clone());
    let mut messages = source::start(settings, target, read)?;
    let opened = tokio::select! {
        opened = opened(&mut messages) => opened?,
        () = interrupted.cancelled() => return Err(ShellError::Cancelled),
    };
    progress.total = opened.total;
    if preparation == Preparation::BySql {
        let (key, kind) = (&args.primary_key, args.table_type);
        table::create(&mut connection, &table, &opened.schema, key, kind).await?;
    }
    let mode = match preparation {
        Preparation::ByIngest(mode) => mode,
        Preparation::None | Preparation::BySql => Mode::Append,
        Preparation::Emptied => Mode::Replace,
    };
    let mib = usize::try_from(args.commit_mib).unwrap_or_default();
    let mut upload = Upload {
        connection: &mut connection,
        table: &table,
        schema: opened.schema,
        mode,
        commit_bytes: mib << 20,
        committed: 0,
        emptied: false,
        interrupted,
        signed_in,
    };
    let result = upload.run(&mut messages, &mut progress).await;
    let (committed, emptied) = (upload.committed, upload.emptied);
    progress.clear();
    match result {
        Ok(()) => {
            progress.rows = committed;
            if !args.quiet {
                eprintln!("{}", progress.summary("imported"));
            }
            Ok(())
        }
        Err(stopped) => {
            let left = match preparation {
                Preparation::BySql => Left::Created,
                _ if emptied => Left::Emptied,
                _ => Left::AsItWas,
            };
            eprintln!("{}", state(&args, &table, committed, &stopped, left));
            Err(stopped.error)
        }
    }
}

/// Looks at the table and decides what to do about it.
async fn prepare(
    args: &ImportArgs,
    connection: &mut Connection,
    table: &TableName,
) -> Result<(Option<Target>, Preparation), ShellError> {
    let existing = table::columns(connection, table).await?;
    match (existing, args.create, args.if_exists) {
        (Some(schema), false, _) | (Some(schema), true, IfExists::Append) => {
            let target = Target { shown: table.to_string(), schema };
            Ok((Some(target), Preparation::None))
        }
        (Some(schema), true, IfExists::Replace) => {
            let target = Target { shown: table.to_string(), schema };
            Ok((Some(target), Preparation::Emptied))
        }
        (None, false, _) => Err(table::missing(connection, table).await),
        (Some(_), true, IfExists::Fail) => Err(ShellError::Data(format!(
            "table {table} exists: leave out --create to add rows to it, or say --if-exists \
             append or replace"
        ))),
        (None, true, _) if args.table_type.is_some() || !args.primary_key.is_empty() => {
            Ok((None, Preparation::BySql))
        }
        (None, true, _) => Ok((None, Preparation::ByIngest(Mode::Create))),
    }
}

async fn opened(messages: &mut mpsc::Receiver<Message>) -> Result<Opened, ShellError> {
    match messages.recv().await {
        Some(Message::Opened(opened)) => Ok(opened),
        Some(Message::Failed(error)) => Err(error),
        Some(Message::Rows(_) | Message::End) | None => {
            Err(ShellError::Data("reading the file broke off".into()))
        }
    }
}

/// What an import has made of the table beside adding rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    AsItWas,
    Created,
    Emptied,
}

/// What an import that ended early leaves, and how to go on.
fn state(
    args: &ImportArgs,
    table: &TableName,
    committed: u64,
    stopped: &Stopped,
    left: Left,
) -> String {
    let done = args.skip_rows + committed;
    let mut text = match (committed, left) {
        (0, Left::Created) => {
            format!("no row is committed; table {table} was created and is empty")
        }
        (0, Left::Emptied) => {
            format!("no row is committed; table {table} was emptied, the rows it had are gone")
        }
        (0, Left::AsItWas) => "no row is committed".to_owned(),
        (rows, _) => {
            let verb = if rows == 1 { "is" } else { "are" };
            format!("{} {verb} committed", counted(rows, "row"))
        }
    };
    if stopped.unanswered > 0 {
        let rows = counted(stopped.unanswered, "row");
        text.push_str(&format!(
            "; the commit of {rows} more was not answered, count the rows of {table} to see \
             whether they are in"
        ));
    }
    if committed > 0 {
        let without = if args.create { " and without --create" } else { "" };
        text.push_str(&format!("; to go on, say --skip-rows {done}{without}"));
    } else if left != Left::AsItWas {
        text.push_str("; to go on, leave out --create");
    }
    text
}
