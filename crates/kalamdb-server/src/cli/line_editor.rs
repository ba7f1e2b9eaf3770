//! Reads statements from a person: history, completion, several lines until the semicolon.
//!
//! The editor blocks while someone types, so it has a thread of its own; the shell asks it for one
//! input at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::{env, io, thread};

use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    ColorMode, CompletionType, Config, Context, Editor, Helper, Hinter, Result as ReadlineResult,
};
use tokio::sync::{oneshot, watch};
use unicode_width::UnicodeWidthStr;

use super::arguments::Password;
use super::completion::complete;
use super::error::ShellError;
use super::names::Table;
use super::statement_splitter::is_complete;

/// Inputs the history file keeps.
const HISTORY_LEN_MAX: usize = 10_000;
const PROMPT: &str = "kalamdb> ";

/// What came of asking for input.
pub enum Typed {
    /// One or more complete statements, or a command.
    Text(String),
    /// Ctrl-C: the input is thrown away.
    Interrupted,
    /// Ctrl-D: nothing more comes.
    End,
}

type Reply = oneshot::Sender<ReadlineResult<String>>;

/// The thread that owns the terminal's input.
pub struct LineEditor {
    requests: mpsc::SyncSender<Reply>,
}

impl LineEditor {
    /// Starts the editor; `tables` is what it completes from.
    pub fn start(tables: watch::Receiver<Arc<Vec<Table>>>) -> Result<Self, ShellError> {
        let config = Config::builder()
            .max_history_size(HISTORY_LEN_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(terminal_error)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let (requests, inbox) = mpsc::sync_channel::<Reply>(1);
        thread::Builder::new().name("line-editor".into()).spawn(move || {
            let mut editor = match Editor::<SqlHelper, DefaultHistory>::with_config(config) {
                Ok(editor) => editor,
                Err(error) => {
                    if let Ok(reply) = inbox.recv() {
                        // The shell waits for this answer; if it is gone, nobody is left to tell.
                        let _unheard = reply.send(Err(error));
                    }
                    return;
                }
            };
            editor.set_helper(Some(SqlHelper { tables }));
            let history = history_path();
            if let Some(path) = &history {
                // The first start has no history yet.
                let _missing = editor.load_history(path);
            }
            while let Ok(reply) = inbox.recv() {
                let input = editor.readline(PROMPT);
                if let Ok(text) = &input {
                    remember(&mut editor, text, history.as_deref());
                }
                if reply.send(input).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { requests })
    }

    /// Waits for the next input.
    pub async fn read(&self) -> Result<Typed, ShellError> {
        let gone = || ShellError::Output(io::Error::other("the line editor has stopped"));
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())? {
            Ok(text) => Ok(Typed::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(terminal_error(error)),
        }
    }
}

/// Asks for a password without showing it.
pub fn ask_password(user: &str) -> Result<Password, ShellError> {
    let config = Config::builder().auto_add_history(false).build();
    let mut editor =
        Editor::<Masked, DefaultHistory>::with_config(config).map_err(terminal_error)?;
    editor.set_helper(Some(Masked));
    // Without colours the editor would not ask how to show the line, and show it as it is.
    editor.set_color_mode(ColorMode::Forced);
    match editor.readline(&format!("password for {user}: ")) {
        Ok(password) => Ok(Password(password)),
        Err(ReadlineError::Interrupted | ReadlineError::Eof) => Err(ShellError::Cancelled),
        Err(error) => Err(terminal_error(error)),
    }
}

fn terminal_error(error: ReadlineError) -> ShellError {
    match error {
        ReadlineError::Io(source) => ShellError::Output(source),
        other => ShellError::Output(io::Error::other(other.to_string())),
    }
}

fn remember(editor: &mut Editor<SqlHelper, DefaultHistory>, text: &str, path: Option<&Path>) {
    let holds_secret = text.to_ascii_lowercase().contains("password");
    if text.trim().is_empty() || holds_secret {
        return;
    }
    // A history that cannot be written must not stop anyone from working.
    let _added = editor.add_history_entry(text);
    if let Some(path) = path {
        let _saved = editor.append_history(path);
    }
}

/// `KALAMDB_HISTORY`, or a file in the user's state directory; none where there is no home.
fn history_path() -> Option<PathBuf> {
    if let Some(path) = env::var_os("KALAMDB_HISTORY") {
        return Some(path.into());
    }
    let state = match env::var_os("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None => env::home_dir()?.join(".local/state"),
    };
    let directory = state.join("kalamdb");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("sql_history"))
}

#[derive(Helper, Hinter)]
struct SqlHelper {
    tables: watch::Receiver<Arc<Vec<Table>>>,
}

impl Completer for SqlHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> ReadlineResult<(usize, Vec<String>)> {
        let tables = self.tables.borrow().clone();
        Ok(complete(line, position, &tables))
    }
}

impl Validator for SqlHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> ReadlineResult<ValidationResult> {
        let input = context.input();
        Ok(match is_complete(input) || is_bare_word(input) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Highlighter for SqlHelper {}

/// The words people type when they are lost; they need no semicolon.
pub fn is_bare_word(input: &str) -> bool {
    ["exit", "quit", "help"].contains(&input.trim().to_ascii_lowercase().as_str())
}

#[derive(Helper, Hinter)]
struct Masked;

impl Completer for Masked {
    type Candidate = String;
}

impl Validator for Masked {}

impl Highlighter for Masked {
    fn highlight<'l>(&self, line: &'l str, _position: usize) -> std::borrow::Cow<'l, str> {
        "*".repeat(line.width()).into()
    }

    fn highlight_char(&self, _line: &str, _position: usize, _kind: CmdKind) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_need_no_semicolon() {
        assert!(is_bare_word(" Quit "));
        assert!(!is_bare_word("quit now"));
    }
}
