//! What can go wrong in the shell, and the exit code each failure has.

use std::io;
use std::path::PathBuf;

use arrow_flight::error::FlightError;
use thiserror::Error;
use tonic::Code;
use tonic::metadata::MetadataMap;
use unicode_width::UnicodeWidthStr;

use crate::status::{COLUMN_KEY, LINE_KEY, SQLSTATE_KEY};

/// A failure of the shell or of what it was asked to run.
#[derive(Debug, Error)]
pub enum ShellError {
    /// The command line or a backslash command is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file could not be created or written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What a file holds cannot be imported, or a result cannot be exported.
    #[error("{0}")]
    Data(String),
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach {uri}: {reason}")]
    Connect {
        /// The server's address as given.
        uri: String,
        /// What the transport said.
        reason: String,
    },
    /// The server did not accept who we say we are.
    #[error("cannot sign in as '{user}': {message}")]
    SignIn {
        /// The user's name.
        user: String,
        /// What the server said.
        message: String,
    },
    /// The server refused a statement.
    #[error("{message}{}", sqlstate.as_ref().map(|s| format!(" (SQLSTATE {s})")).unwrap_or_default())]
    Statement {
        /// What the server said.
        message: String,
        /// The gRPC code.
        code: Code,
        /// The SQLSTATE, where the server names one.
        sqlstate: Option<String>,
        /// Line and column in the statement, from 1, where the server names them.
        position: Option<(usize, usize)>,
    },
    /// What the server sent cannot be understood.
    #[error("cannot understand the server's answer: {0}")]
    Protocol(String),
    /// Ctrl-C.
    #[error("cancelled")]
    Cancelled,
    /// The output is closed or full.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

impl ShellError {
    /// The process exit code: 1 a statement failed, 2 wrong usage, 3 no connection or sign-in,
    /// 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Statement { .. } | Self::Protocol(_) | Self::Output(_) | Self::Data(_) => 1,
            Self::Usage(_) | Self::File { .. } | Self::Write { .. } => 2,
            Self::Connect { .. } | Self::SignIn { .. } => 3,
            Self::Cancelled => 130,
        }
    }

    /// True when the reader of our output has gone, as `| head` does: no reason to complain.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// True when signing in once more may help.
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Statement { code: Code::Unauthenticated, .. })
    }

    /// Line and column in the statement, from 1, where the server names them.
    pub fn position(&self) -> Option<(usize, usize)> {
        match self {
            Self::Statement { position, .. } => *position,
            _ => None,
        }
    }

    /// What a failed call says; `uri` is named when the transport, not the server, failed.
    pub fn from_status(status: &tonic::Status, uri: &str) -> Self {
        if let Some(cause) = std::error::Error::source(status) {
            return Self::Connect { uri: uri.to_string(), reason: innermost(cause) };
        }
        let metadata = status.metadata();
        let number = |key| entry(metadata, key)?.parse::<usize>().ok();
        Self::Statement {
            message: status.message().to_string(),
            code: status.code(),
            sqlstate: entry(metadata, SQLSTATE_KEY).map(str::to_string),
            position: number(LINE_KEY).zip(number(COLUMN_KEY)),
        }
    }

    /// The same for what the Flight client reports.
    pub fn from_flight(error: &FlightError, uri: &str) -> Self {
        match error {
            FlightError::Tonic(status) => Self::from_status(status, uri),
            other => Self::Protocol(other.to_string()),
        }
    }
}

fn entry<'a>(metadata: &'a MetadataMap, key: &'static str) -> Option<&'a str> {
    metadata.get(key)?.to_str().ok()
}

/// A message whose place is one in a statement, with the place in the script the statement came
/// from, where it begins at `begins`.
pub fn in_source(
    message: &str,
    position: Option<(usize, usize)>,
    begins: (usize, usize),
) -> String {
    let Some((line, column)) = position else { return message.to_string() };
    let in_script = if line == 1 { column + begins.1 - 1 } else { column };
    message.replacen(
        &format!("(at line {line}, column {column})"),
        &format!("(at line {}, column {in_script})", line + begins.0 - 1),
        1,
    )
}

/// The line of `sql` a failure is about, with a mark under the place; `begins` is the line of the
/// script on which `sql` begins.
pub fn marked_line(sql: &str, (line, column): (usize, usize), begins: usize) -> Option<String> {
    let text = sql.lines().nth(line.checked_sub(1)?)?;
    let before: String = text.chars().take(column.checked_sub(1)?).collect();
    let prefix = format!("line {}: ", line + begins - 1);
    let indent = prefix.width() + before.width();
    Some(format!("{prefix}{text}\n{:indent$}^", ""))
}

/// The last error of a chain: "connection refused" rather than "transport error".
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_statement_usage_and_connection_apart() {
        let status = tonic::Status::not_found("table 'default.t' does not exist");
        let refused = ShellError::from_status(&status, "grpc://x:1");
        assert_eq!(refused.exit_code(), 1);
        assert_eq!(refused.to_string(), "table 'default.t' does not exist");
        assert_eq!(ShellError::Usage("x".into()).exit_code(), 2);
        let lost = tonic::Status::from_error(Box::new(io::Error::other("connection refused")));
        let lost = ShellError::from_status(&lost, "grpc://x:1");
        assert_eq!(lost.exit_code(), 3);
        assert_eq!(lost.to_string(), "cannot reach grpc://x:1: connection refused");
    }

    #[test]
    fn the_sqlstate_and_the_place_are_shown_when_the_server_names_them() {
        let mut status = tonic::Status::invalid_argument("no such column");
        status.metadata_mut().insert(SQLSTATE_KEY, "42703".parse().unwrap());
        status.metadata_mut().insert(LINE_KEY, "2".parse().unwrap());
        status.metadata_mut().insert(COLUMN_KEY, "3".parse().unwrap());
        let error = ShellError::from_status(&status, "");
        assert_eq!(error.to_string(), "no such column (SQLSTATE 42703)");
        let ShellError::Statement { position: Some(position), .. } = error else { panic!() };
        let marked = marked_line("SELECT\n  nope", position, 1).unwrap();
        assert_eq!(marked, "line 2:   nope\n          ^");
        let marked = marked_line("SELECT\n  nope", position, 4).unwrap();
        assert_eq!(marked, "line 5:   nope\n          ^");
        assert_eq!(marked_line("SELECT 1", (7, 1), 1), None);
    }

    #[test]
    fn places_are_those_of_the_script() {
        let message = "no such column (at line 2, column 3) (SQLSTATE 42703)";
        let shown = in_source(message, Some((2, 3)), (4, 9));
        assert_eq!(shown, "no such column (at line 5, column 3) (SQLSTATE 42703)");
        let shown = in_source("no (at line 1, column 3)", Some((1, 3)), (4, 9));
        assert_eq!(shown, "no (at line 4, column 11)");
        assert_eq!(in_source("no (at line 1, column 3)", None, (4, 9)), "no (at line 1, column 3)");
    }
}
