//! The one error the engine shows to the outside.

use std::error::Error;
use std::fmt;

use datafusion::error::DataFusionError;
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_sql::{ParsedStatement, Position, Sought, SqlError};
use kalamdb_store::StoreError;
use kalamdb_tables::TablesError;
use tokio::task::JoinError;

use crate::messages::{self, Said};

/// What went wrong, whose turn it is, and where in the SQL text when that is known.
#[derive(Debug)]
pub struct EngineError {
    kind: ErrorKind,
    message: String,
    position: Option<(u64, u64)>,
    state: Option<SqlState>,
    subject: Option<Sought>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl EngineError {
    /// An error of `kind`; the message is one line, lower-case, and says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, position: None, state: None, subject: None, source: None }
    }

    /// The same error, with a finer code for programs.
    pub fn coded(mut self, state: SqlState) -> Self {
        self.state = Some(state);
        self
    }

    fn with_source(
        kind: ErrorKind,
        message: String,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { source: Some(Box::new(source)), ..Self::new(kind, message) }
    }

    fn said(said: Said, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            state: Some(said.state),
            subject: said.subject,
            source: Some(Box::new(source)),
            ..Self::new(said.kind, said.message)
        }
    }

    /// What the error is about, while its place is not known.
    pub(crate) fn subject(&self) -> Option<&Sought> {
        self.subject.as_ref().filter(|_| self.position.is_none())
    }

    /// The error placed in the text of its statement, when what it is about stands there once, or
    /// where `hint` says.
    pub(crate) fn placed(mut self, statement: &ParsedStatement, hint: Option<Position>) -> Self {
        let found = self.subject().and_then(|it| kalamdb_sql::find_in_text(statement, it, hint));
        if let Some(position) = found {
            self.position = Some((position.line, position.column));
            self.message = format!("{} (at {position})", self.message);
        }
        self
    }

    /// The error at a place, unless it has one already.
    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        if let (None, Some(position)) = (self.position, position) {
            self.position = Some((position.line, position.column));
            self.message = format!("{} (at {position})", self.message);
        }
        self
    }

    /// The error with more words at its end.
    pub(crate) fn and(mut self, words: &str) -> Self {
        self.message.push_str(words);
        self
    }

    /// A failure that is not the caller's: `doing` says what was being done.
    pub(crate) fn internal(doing: &str, source: impl Error + Send + Sync + 'static) -> Self {
        let message = format!("cannot {doing}: {source}");
        Self { source: Some(Box::new(source)), ..Self::new(ErrorKind::Internal, message) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn from_join(error: &JoinError) -> Self {
        if error.is_cancelled() {
            return Self::new(ErrorKind::Cancelled, "the statement was cancelled");
        }
        Self::defect()
    }

    /// For a statement that panicked.
    pub(crate) fn defect() -> Self {
        Self::new(
            ErrorKind::Internal,
            "the statement hit a defect in the server and was stopped; the log has the details",
        )
    }

    /// What the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Line and column in the SQL text, from 1, when known.
    pub fn position(&self) -> Option<(u64, u64)> {
        self.position
    }

    /// Whether ON CONFLICT DO UPDATE met one row twice.
    pub(crate) fn affects_a_row_twice(&self) -> bool {
        let source = self.source.as_deref();
        source
            .and_then(|source| source.downcast_ref::<DataFusionError>())
            .is_some_and(kalamdb_tables::affects_a_row_twice)
    }

    /// What a program is told.
    pub fn state(&self) -> SqlState {
        self.state.unwrap_or(SqlState::of_kind(self.kind))
    }

    /// The five characters of [`Self::state`].
    pub fn sqlstate(&self) -> &'static str {
        self.state().code()
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self {
            state: Some(error.state()),
            ..Self::with_source(error.kind(), error.to_string(), error)
        }
    }
}

impl From<SqlError> for EngineError {
    fn from(error: SqlError) -> Self {
        Self {
            position: error.position().map(|position| (position.line, position.column)),
            state: Some(error.state()),
            subject: error.subject(),
            ..Self::with_source(error.kind(), error.to_string(), error)
        }
    }
}

impl From<TablesError> for EngineError {
    fn from(error: TablesError) -> Self {
        if let Some(own) = own_error_in(&error) {
            return own;
        }
        let said = match &error {
            TablesError::Query(inner) => messages::of(inner),
            ours => messages::of_ours(ours),
        };
        let position = position_in(&error);
        Self { position, ..Self::said(said, error) }
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        if let Some(own) = own_error_in(&error) {
            return own;
        }
        let position = position_in(&error);
        Self { position, ..Self::said(messages::of(&error), error) }
    }
}

/// Where the statement is wrong, if what travelled through a plan knows it.
fn position_in(error: &(dyn Error + 'static)) -> Option<(u64, u64)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(TablesError::Sql(sql)) = error.downcast_ref() {
            return sql.position().map(|position| (position.line, position.column));
        }
        next = error.source();
    }
    None
}

/// The engine's own error that travelled through a plan or an ingest, as it was.
fn own_error_in(error: &(dyn Error + 'static)) -> Option<EngineError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<EngineError>() {
            let EngineError { kind, message, position, state, subject, .. } = own;
            let (message, subject) = (message.clone(), subject.clone());
            let (kind, position, state) = (*kind, *position, *state);
            return Some(EngineError { kind, message, position, state, subject, source: None });
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_error_becomes_one_plain_line() {
        let inner = DataFusionError::Plan("column 'x' not found,\n  try 'y'".into());
        let nested = DataFusionError::Context("while planning".into(), Box::new(inner));
        assert_eq!(EngineError::from(nested).to_string(), "column 'x' not found, try 'y'");
    }

    #[test]
    fn an_own_error_keeps_its_kind_on_the_way_through_a_plan() {
        let own = EngineError::invalid("cannot read the upload");
        let nested = DataFusionError::Context(
            "while reading".into(),
            Box::new(DataFusionError::External(Box::new(own))),
        );
        let error = EngineError::from(nested);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "cannot read the upload");
    }
}
