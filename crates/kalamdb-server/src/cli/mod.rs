//! `kalamdb sql`, a shell, and `kalamdb import` and `kalamdb export`: plain Flight SQL clients.
//!
//! ```text
//! -c, -f, stdin, terminal ──► statement_splitter ──► runner (prepare, run, read) ──► output
//! a file ──► import ──► a table          a query ──► export ──► a file
//! ```
//!
//! It knows the server only through the wire: it would work on any other Flight SQL server, and
//! nothing of the engine is linked for it.

mod arguments;
mod commands;
mod completion;
mod connection;
mod error;
pub mod export;
mod file_format;
pub mod import;
mod line_editor;
mod names;
mod output;
mod progress;
mod runner;
mod statement_splitter;
mod table_name;
mod values;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::watch;

pub use arguments::SqlArgs;
use arguments::{Input, Settings, SignIn};
use commands::Command;
use connection::Connection;
use error::{ShellError, in_source, marked_line};
pub use export::ExportArgs;
pub use import::ImportArgs;
use line_editor::{LineEditor, Typed};
use names::Table;
use runner::Display;
use statement_splitter::{Piece, StatementSplitter};

/// How deep `\i` may nest.
const INCLUDE_DEPTH_MAX: usize = 16;
/// Verbs after which the names offered by completion are asked for again.
const SCHEMA_VERBS: [&str; 3] = ["create", "drop", "alter"];

/// Runs `kalamdb sql`. Needs a tokio runtime with I/O and time.
pub async fn run(args: SqlArgs) -> ExitCode {
    let outcome = match args.resolve() {
        Ok(settings) => run_settings(settings).await,
        Err(error) => Err(report(&error, None)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}

/// An exit code; the failure behind it has been reported.
type Reported<T> = Result<T, u8>;

/// Says on standard error what went wrong.
fn report(error: &ShellError, place: Option<Place<'_>>) -> u8 {
    if error.is_closed_output() {
        return 0;
    }
    if matches!(error, ShellError::Cancelled) && io::stderr().is_terminal() {
        // The terminal has shown ^C and stays in that line.
        eprintln!();
    }
    let source = place.and_then(|place| place.source).map(|s| format!("{s}: "));
    let begins = place.map_or((1, 1), |place| place.begins);
    let message = in_source(&error.to_string(), error.position(), begins);
    eprintln!("{}error: {message}", source.unwrap_or_default());
    if let (Some(position), Some(place)) = (error.position(), place)
        && let Some(line) = marked_line(place.sql, position, begins.0)
    {
        eprintln!("{line}");
    }
    error.exit_code()
}

/// The statement a failure is about, and where it came from.
#[derive(Clone, Copy)]
struct Place<'a> {
    sql: &'a str,
    source: Option<&'a str>,
    /// Line and column in that source, from 1, at which the statement begins.
    begins: (usize, usize),
}

async fn run_settings(settings: Settings) -> Reported<()> {
    let Settings { address, user, password, input, format, row_limit, timing } = settings;
    let connection = Connection::sign_in_with(SignIn { address, user, password }).await;
    let connection = connection.map_err(|error| report(&error, None))?;
    let mut shell = Shell {
        connection,
        display: Display { format, row_limit, timing },
        out: output::stdout(),
        schema_changed: false,
    };
    match input {
        Input::Commands(texts) => {
            for text in texts {
                if shell.run_script(text.as_bytes(), None, 0).await?.is_quit() {
                    break;
                }
            }
            Ok(())
        }
        Input::File(path) => shell.run_file(&path, 0).await.map(drop),
        Input::Stdin => {
            let stdin = BufReader::new(io::stdin());
            shell.run_script(stdin, Some("stdin"), 0).await.map(drop)
        }
        Input::Terminal => shell.converse().await.map_err(|error| report(&error, None)),
    }
}

/// Whether to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Quit,
}

impl Next {
    fn is_quit(self) -> bool {
        self == Self::Quit
    }
}

struct Shell {
    connection: Connection,
    display: Display,
    out: io::BufWriter<io::Stdout>,
    /// Set by statements that may have created or removed names.
    schema_changed: bool,
}

impl Shell {
    /// Reads from a person until they leave. A failed statement is said and forgotten.
    async fn converse(&mut self) -> Result<(), ShellError> {
        println!(
            "kalamdb {}, signed in at {} as {}; \\? for help, \\q to leave",
            env!("CARGO_PKG_VERSION"),
            self.connection.uri(),
            self.connection.user()
        );
        let (publish, tables) = watch::channel(Arc::new(Vec::new()));
        let publish = Arc::new(publish);
        let editor = LineEditor::start(tables)?;
        self.schema_changed = true;
        loop {
            if std::mem::take(&mut self.schema_changed) {
                tokio::spawn(refresh_names(self.connection.clone(), publish.clone()));
            }
            let text = match editor.read().await? {
                Typed::Text(text) => text,
                Typed::Interrupted => continue,
                Typed::End => return Ok(()),
            };
            let text = match text.trim().to_ascii_lowercase().as_str() {
                "exit" | "quit" => "\\q",
                "help" => "\\?",
                _ => &text,
            };
            for piece in statement_splitter::split(text) {
                match self.run_piece(&piece, None, 0).await {
                    Ok(Next::Quit) => return Ok(()),
                    Ok(Next::Continue) => {}
                    Err(_reported) => break,
                }
            }
        }
    }

    async fn run_file(&mut self, path: &Path, depth: usize) -> Reported<Next> {
        let opened = File::open(path);
        let file = opened.map_err(|source| {
            report(&ShellError::File { path: path.to_path_buf(), source }, None)
        })?;
        let name = path.display().to_string();
        // Boxed: `\i` in a script comes back here.
        Box::pin(self.run_script(BufReader::new(file), Some(&name), depth)).await
    }

    /// Runs a script as it is read, until its first failure.
    async fn run_script(
        &mut self,
        mut reader: impl BufRead,
        source: Option<&str>,
        depth: usize,
    ) -> Reported<Next> {
        let mut splitter = StatementSplitter::default();
        let mut line = String::new();
        let mut pieces = Vec::new();
        loop {
            line.clear();
            let length = reader.read_line(&mut line).map_err(|error| {
                let path = PathBuf::from(source.unwrap_or("-c"));
                report(&ShellError::File { path, source: error }, None)
            })?;
            if length == 0 {
                break;
            }
            splitter.push(&line, &mut pieces);
            for piece in pieces.drain(..) {
                if self.run_piece(&piece, source, depth).await?.is_quit() {
                    return Ok(Next::Quit);
                }
            }
        }
        match splitter.finish() {
            Some(piece) => self.run_piece(&piece, source, depth).await,
            None => Ok(Next::Continue),
        }
    }

    async fn run_piece(
        &mut self,
        piece: &Piece,
        source: Option<&str>,
        depth: usize,
    ) -> Reported<Next> {
        let (Piece::Statement(located) | Piece::Command(located)) = piece;
        let text = &located.text;
        let source = source.map(|name| format!("{name}:{}", located.line));
        let begins = (located.line, located.column);
        let place = Place { sql: text, source: source.as_deref(), begins };
        let result = match piece {
            Piece::Statement(_) => {
                self.schema_changed |= SCHEMA_VERBS.contains(&runner::first_word(text).as_str());
                runner::run_statement(&mut self.connection, text, self.display, &mut self.out).await
            }
            Piece::Command(_) => match Command::parse(text) {
                Ok(Command::Quit) => return Ok(Next::Quit),
                Ok(Command::Include(_)) if depth == INCLUDE_DEPTH_MAX => Err(ShellError::Usage(
                    format!("\\i nests deeper than {INCLUDE_DEPTH_MAX} files"),
                )),
                Ok(Command::Include(path)) => return self.run_file(&path, depth + 1).await,
                Ok(command) => {
                    command.run(&mut self.connection, &mut self.display, &mut self.out).await
                }
                Err(error) => Err(error),
            },
        };
        // Rows that arrived before a failure are shown before it.
        let result = result.and_then(|()| Ok(self.out.flush()?)).or_else(|error| {
            if !error.is_closed_output() {
                self.out.flush()?;
            }
            Err(error)
        });
        result.map(|()| Next::Continue).map_err(|error| report(&error, Some(place)))
    }
}

/// Asks for the names completion offers. Without an answer the old ones stay: a missing
/// suggestion is no reason to disturb someone who types.
async fn refresh_names(mut connection: Connection, publish: Arc<watch::Sender<Arc<Vec<Table>>>>) {
    let everything = names::TablePattern::default();
    if let Ok(mut tables) = names::tables(&mut connection, &everything, true).await {
        tables.truncate(names::COMPLETION_TABLES_MAX);
        // Fails only when the editor has ended.
        let _unread = publish.send(Arc::new(tables));
    }
}
