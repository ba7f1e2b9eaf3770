//! The one error the engine shows to the outside.

use std::error::Error;
use std::fmt;

use datafusion::error::DataFusionError;
use kalamdb_commons::ErrorKind;
use kalamdb_sql::SqlError;
use kalamdb_store::StoreError;
use kalamdb_tables::TablesError;
use tokio::task::JoinError;

use crate::messages;

/// What went wrong, whose turn it is, and where in the SQL text when that is known.
#[derive(Debug)]
pub struct EngineError {
    kind: ErrorKind,
    message: String,
    /// The SQLSTATE where it says more than the kind's.
    sqlstate: Option<&'static str>,
    position: Option<(u64, u64)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl EngineError {
    /// An error of `kind`; the message is one line, lower-case, and says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sqlstate: None, position: None, source: None }
    }

    /// A failure that is not the caller's: `doing` says what was being done.
    pub(crate) fn internal(doing: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            kind: ErrorKind::Internal,
            message: format!("cannot {doing}: {source}"),
            sqlstate: None,
            position: None,
            source: Some(Box::new(source)),
        }
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

    /// The five-character SQLSTATE of the error's kind.
    pub fn sqlstate(&self) -> &'static str {
        if let Some(sqlstate) = self.sqlstate {
            return sqlstate;
        }
        match self.kind {
            ErrorKind::InvalidInput if self.position.is_some() => "42601",
            ErrorKind::InvalidInput => "22000",
            ErrorKind::ConstraintViolation if self.affects_a_row_twice() => "21000",
            ErrorKind::ConstraintViolation => "23000",
            ErrorKind::NotFound => "42P01",
            ErrorKind::AlreadyExists => "42P07",
            ErrorKind::Unauthenticated => "28000",
            ErrorKind::PermissionDenied => "42501",
            ErrorKind::Unsupported => "0A000",
            ErrorKind::FailedPrecondition => "55000",
            ErrorKind::Conflict => "40001",
            ErrorKind::ResourceExhausted => "53000",
            ErrorKind::Unavailable => "57P03",
            ErrorKind::DeadlineExceeded | ErrorKind::Cancelled => "57014",
            ErrorKind::DataLoss => "XX001",
            ErrorKind::Internal => "XX000",
        }
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
            kind: error.kind(),
            message: error.to_string(),
            sqlstate: None,
            position: None,
            source: Some(Box::new(error)),
        }
    }
}

impl From<SqlError> for EngineError {
    fn from(error: SqlError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            sqlstate: None,
            position: error.position().map(|position| (position.line, position.column)),
            source: Some(Box::new(error)),
        }
    }
}

impl From<TablesError> for EngineError {
    fn from(error: TablesError) -> Self {
        if let Some(own) = own_error_in(&error) {
            return own;
        }
        let (kind, message) = match &error {
            TablesError::Query(inner) => messages::of(inner),
            ours => (ours.kind(), ours.to_string()),
        };
        let sqlstate = error.sqlstate();
        Self { kind, message, sqlstate, position: None, source: Some(Box::new(error)) }
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        if let Some(own) = own_error_in(&error) {
            return own;
        }
        let (kind, message) = messages::of(&error);
        let sqlstate = kalamdb_tables::sqlstate_of(&error);
        Self { kind, message, sqlstate, position: None, source: Some(Box::new(error)) }
    }
}

/// The engine's own error that travelled through a plan or an ingest, as it was.
fn own_error_in(error: &(dyn Error + 'static)) -> Option<EngineError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(EngineError { kind, message, sqlstate, position, .. }) = error.downcast_ref() {
            let (kind, message, position) = (*kind, message.clone(), *position);
            return Some(EngineError {
                kind,
                message,
                sqlstate: *sqlstate,
                position,
                source: None,
            });
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
